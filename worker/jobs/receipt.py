"""What a receipt says of a job, by the names of `ReceiptMessage`. Pure.

Nothing else of what a producer wrote is in it, so it holds no secret that somebody put into a
field which means nothing here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from venues.words import Priority
from worker.amqp.publisher import Publication
from worker.amqp.topology import RECEIPTS
from worker.contract.job import (
    InvalidJob,
    is_label,
    order_id_of,
    scope_json,
    validated,
)
from worker.contract.outcome import json_bytes, rfc_3339
from worker.contract.receipt import MOST_IDS, SCHEMA_VERSION, Answer, receipt_id
from worker.jobs.parse import ParsedJob

#: Of why a message was rejected, so many characters.
_MOST_DETAIL = 200
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def taken_receipt(parsed: ParsedJob) -> dict[str, Any]:
    """Return the receipt for a job that a worker has taken."""
    job = parsed.job
    count = len(job.refs) + len(parsed.refused)
    ids = [ref.id for ref in job.refs[:MOST_IDS]]
    ids += [refused.id for refused in parsed.refused[: MOST_IDS - len(ids)]]
    of_scope = {"scope": scope_json(job.scope), "hold_s": job.scope.hold_s} if job.scope else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "message_id": receipt_id(job.job_id),
        "job_id": job.job_id,
        "venue": job.venue,
        "account": job.account,
        "priority": job.priority,
        "answer": Answer.TAKEN,
        "ids": ids,
        "ids_count": count,
        **of_scope,
        "accepted_at": rfc_3339(job.accepted_at),
        "deadline": rfc_3339(job.deadline),
        "requested_by": job.requested_by,
        "sent_by": job.sent_by,
        "reason": job.reason,
        "tags": dict(job.tags),
        "unknown_fields": list(job.unknown_fields),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A message that is no job, and why; `value` may be the job in it, None: nothing may."""

    value: Any
    body: bytes
    priority: str  # as its key says, perhaps none
    sent_by: str
    error: InvalidJob


def rejected_receipt(found: Rejected, venue: str, now: datetime) -> dict[str, Any]:
    """Return the receipt for a message that was rejected; `venue` is "" where nobody knows it.

    Of one that is not valid only that is told whose form is right.
    """
    error, said = found.error, found.value if isinstance(found.value, dict) else {}
    orders = said["orders"] if isinstance(said.get("orders"), list) else []
    account, priority = said.get("account"), found.priority
    return {
        "schema_version": SCHEMA_VERSION,
        "message_id": receipt_id(error.job_id),
        "job_id": error.job_id,
        "venue": venue,
        "account": account if isinstance(account, str) and _ACCOUNT.fullmatch(account) else "",
        "priority": priority if priority in tuple(Priority) else "",
        "answer": Answer.REJECTED,
        "rejected_reason": error.reason,
        "rejected_detail": error.detail[:_MOST_DETAIL],
        "ids": [order_id for item in orders[:MOST_IDS] if (order_id := _id_of(item))],
        "ids_count": len(orders),
        **_scope_of(said),
        "accepted_at": rfc_3339(now),
        "requested_by": _label(said.get("requested_by")),
        "sent_by": found.sent_by,
        "reason": _label(said.get("reason")),
        "tags": {},
        "unknown_fields": [],
        "message_bytes": len(found.body),
        "message_sha256": hashlib.sha256(found.body).hexdigest(),
    }


def _id_of(item: Any) -> str:
    return order_id_of(item.get("id") if isinstance(item, dict) else item)


def _label(value: Any) -> str:
    return value if isinstance(value, str) and is_label(value) else ""


def _scope_of(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scope of a job that is valid in itself, as where its venue cannot see it."""
    try:
        scope = validated(said).scope
    except InvalidJob:
        return {}
    return {"scope": said["scope"], "hold_s": said.get("hold_s")} if scope else {}


def receipt_letter(receipt: Mapping[str, Any], trace: Mapping[str, str]) -> Publication:
    """Return the message of a receipt."""
    names = (receipt["venue"] or "_", receipt["account"] or "_", receipt["answer"])
    return Publication(
        exchange=RECEIPTS,
        routing_key=".".join(names),
        body=json_bytes(receipt),
        properties={
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "message_id": receipt["message_id"],
        },
        headers=trace,
    )
