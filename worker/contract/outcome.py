"""The final word on one id as it is published: its schema, its message id and its times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from venues.words import CancelStatus, Evidence, OrdStatus

#: AMQP holds a message id in at most 255 bytes.
_MOST_ID_BYTES = 255


class OutcomeMessage(BaseModel):
    """The final word on one id, as it is published and logged."""

    model_config = ConfigDict(title="CancelOutcome")

    job_id: str
    venue: str = Field(description="Empty for a rejected job whose account is unknown.")
    account: str
    symbol: str
    id: str = Field(description="Empty for a message that was no valid job.")
    kind: str
    ord_type: str
    status: CancelStatus
    reason: str
    ord_status: OrdStatus | None = Field(description="What the venue last said the order is.")
    cum_qty: str = Field(
        default="",
        description="Executed in all, as the venue wrote it with the final state; empty where "
        "it did not say.",
    )
    became: str = Field(
        default="",
        description="Id of the order that this one became when it fired; empty where it did "
        "not. The status, the state and the quantity are those of that one.",
    )
    evidence: Evidence
    attempts: Annotated[int, Field(ge=0)]
    venue_code: str
    text: str
    requested_by: str = Field(description="As the producer says.")
    sent_by: str = Field(
        default="",
        description="User who sent the job, as the broker checked it (AMQP user_id); empty "
        "where the producer did not state it.",
    )
    job_reason: str = Field(default="", description="The `reason` of the job, as it was sent.")
    found_by: Literal["scope"] | None = Field(
        default=None,
        description="`scope`: the job named no ids, and its worker found this one.",
    )
    tags: dict[str, str]
    accepted_at: str
    finished_at: str
    latency_ms: float


def message_id(job_id: str, order_id: str) -> str:
    """Return `<job_id>/<id>`; where that is too long for AMQP, a digest takes its end."""
    plain = f"{job_id}/{order_id}"
    if len(plain.encode()) <= _MOST_ID_BYTES:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return plain.encode()[: _MOST_ID_BYTES - 65].decode("utf-8", "ignore") + "/" + digest


def json_bytes(message: Mapping[str, Any]) -> bytes:
    """Return compact UTF-8; half a character, as a venue may say, has no bytes there."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def rfc_3339(moment: datetime) -> str:
    """Return a UTC time with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> datetime:
    """Return the wall clock; deadlines are wall-clock times."""
    return datetime.now(UTC)
