"""A JSON value from the queue becomes a CancelJob, or a reason why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from venues.words import CancelJob, CancelOutcome, CancelStatus, OrderRef, Priority
from worker.contract.job import (
    DEFAULT_DEADLINE,
    Envelope,
    InvalidJob,
    JobMessage,
    is_text,
    job_id_of,
    unknown_fields,
    validated,
)
from worker.jobs.resolve import Refusal, Words, name_order
from worker.settings import Account

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ParsedJob:
    """A job ready to run, and the ids of it that cannot be asked for.

    `came_at` is when the worker read its message (monotonic seconds); infinite: unknown.
    """

    job: CancelJob
    refused: tuple[CancelOutcome, ...] = ()
    unknown_fields: tuple[str, ...] = ()
    came_at: float = math.inf


def read_job(
    value: Any, envelope: Envelope, accounts: Mapping[str, Account], now: datetime
) -> ParsedJob:
    """Return the job in a JSON value.

    Raises:
        InvalidJob: with the reason, and the job_id if it could be read.
    """
    try:
        return _read_job(value, envelope, accounts, now)
    except InvalidJob as error:
        error.job_id = error.job_id or job_id_of(value)
        raise


def _read_job(
    value: Any, envelope: Envelope, accounts: Mapping[str, Account], now: datetime
) -> ParsedJob:
    message = validated(value)
    account = _account(message, envelope, accounts)
    venue, asked = account.venue, _asked(message)
    named = [name_order(venue, order_id, words) for order_id, words in asked.items()]
    job = CancelJob(
        job_id=message.job_id or _message_id(envelope),
        account=account.name,
        venue=venue.name,
        priority=_priority(envelope.priority),
        refs=tuple(ref for ref in named if isinstance(ref, OrderRef)),
        accepted_at=now,
        deadline=message.deadline or now + DEFAULT_DEADLINE,
        reason=message.reason,
        requested_by=message.requested_by,
        tags=message.tags,
        trace=_trace(envelope.headers or {}),
    )
    refused = tuple(_refused(item) for item in named if isinstance(item, Refusal))
    return ParsedJob(job, refused, unknown_fields(value))


def _account(
    message: JobMessage, envelope: Envelope, accounts: Mapping[str, Account]
) -> Account:
    account = accounts.get(message.account)
    if account is None:
        raise InvalidJob("unknown_account", f"no account {message.account!r} is configured")
    if envelope.account and envelope.account != message.account:
        text = f"the routing key names {envelope.account!r}, the body {message.account!r}"
        raise InvalidJob("wrong_routing_key", text)
    if message.venue and message.venue != account.venue.name:
        text = f"account {account.name!r} is at {account.venue.name}, not {message.venue!r}"
        raise InvalidJob("wrong_venue", text)
    return account


def _priority(word: str) -> Priority:
    try:
        return Priority(word)
    except ValueError:
        text = f"{word!r} is neither routine nor kill"
        raise InvalidJob("wrong_routing_key", text) from None


def _message_id(envelope: Envelope) -> str:
    if not (0 < len(envelope.message_id) <= 128 and is_text(envelope.message_id)):
        raise InvalidJob("no_job_id", "neither job_id nor a usable AMQP message_id")
    return envelope.message_id


def _asked(message: JobMessage) -> dict[str, Words]:
    """Return each id once, with what is said of it.

    The first mention counts, but two may not contradict each other.
    """
    common = message.symbol or ""
    nothing = (None, "any", common)
    asked: dict[str, Words] = {}
    for item in message.orders:
        if isinstance(item, dict):
            order_id = str(item["id"])
            words = (item["kind"], item["ord_type"], item["symbol"] or common)
        else:
            order_id, words = str(item), nothing
        known = asked.setdefault(order_id, words)
        if known is not words and _contradict(known, words):
            text = f"order {order_id!r} stands twice with another kind or symbol; send two jobs"
            raise InvalidJob("contradictory_orders", text)
    return asked


def _contradict(one: Words, other: Words) -> bool:
    return (one[0], one[2]) != (other[0], other[2])


def _refused(refusal: Refusal) -> CancelOutcome:
    return CancelOutcome(
        id=refusal.id,
        kind=refusal.kind,
        symbol=refusal.symbol,
        ord_type=refusal.ord_type,
        status=CancelStatus.REJECTED,
        reason=refusal.reason,
        text=refusal.text,
    )


def _trace(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return the W3C trace headers; a malformed one is dropped, as the standard says."""
    parent = headers.get("traceparent")
    if not (isinstance(parent, str) and _TRACEPARENT.fullmatch(parent)):
        return {}
    state = headers.get("tracestate")
    if isinstance(state, str) and 0 < len(state) <= 512 and state.isprintable():
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}
