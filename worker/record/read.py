"""A message of the record's queue becomes a row of the record. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from worker.amqp.topology import RECEIPTS, REPORTS
from worker.contract.outcome import OutcomeMessage
from worker.contract.receipt import ReceiptMessage
from worker.contract.report import ReportMessage

#: The largest integer of the column that holds it.
_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came."""

    body: bytes
    routing_key: str
    exchange: str = ""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its body, in hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Row:
    """Values for one table, and the message that they come from."""

    table: str
    values: Mapping[str, Any]
    message: Message
    recorded_at: datetime


def read(message: Message, now: datetime) -> Row:
    """Return the row of an outcome, a receipt or a report; of all else one that keeps it."""
    try:
        if message.exchange == RECEIPTS:
            receipt = ReceiptMessage.model_validate_json(message.body)
            return Row("receipts", _of_receipt(receipt), message, now)
        if message.exchange == REPORTS:
            report = ReportMessage.model_validate_json(message.body)
            return Row("reports", _of_report(report), message, now)
        outcome = OutcomeMessage.model_validate_json(message.body)
        return Row("outcomes", _of_outcome(outcome), message, now)
    except ValidationError as error:
        return unreadable(message, str(error.errors(include_url=False)[0]["msg"]), now)
    except (ValueError, OverflowError) as error:
        return unreadable(message, str(error), now)


def _of_outcome(found: OutcomeMessage) -> dict[str, Any]:
    values: dict[str, Any] = storable(found.model_dump(mode="json"))
    return values | {
        "accepted_at": _moment(found.accepted_at),
        "finished_at": _moment(found.finished_at),
        "attempts": min(found.attempts, _MOST),
    }


def _of_report(found: ReportMessage) -> dict[str, Any]:
    said = found.model_dump(mode="json", exclude={"schema_version", "message_id"})
    values: dict[str, Any] = storable(said)
    times = ("accepted_at", "first_sent_at", "last_sent_at", "finished_at")
    return values | {
        **{name: _moment(values[name]) if values[name] else None for name in times},
        "resting_count": min(found.resting_count, _MOST),
    }


def _of_receipt(found: ReceiptMessage) -> dict[str, Any]:
    said = found.model_dump(mode="json", exclude={"schema_version", "message_id"})
    values: dict[str, Any] = storable(said)
    return values | {
        "accepted_at": _moment(found.accepted_at),
        "deadline": _moment(found.deadline) if found.deadline else None,
        "ids_count": min(found.ids_count, _MOST),
        "message_bytes": min(found.message_bytes, _MOST),
    }


def _moment(word: str) -> datetime:
    moment = datetime.fromisoformat(word)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)


def storable(value: Any) -> Any:
    """Return what every database takes: PostgreSQL keeps no NUL, none half a character.

    Raises:
        ValueError: NaN or infinity, which no database gives back as it was.
    """
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value  # as nearly all are
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def unreadable(message: Message, why: str, now: datetime) -> Row:
    """Return the row that keeps a message which is none of them."""
    return Row(
        "unreadable",
        {
            "digest": message.sha256,
            "routing_key": storable(message.routing_key),
            "received_at": now,
            "why": storable(why)[:500],
            "body": message.body,
        },
        message,
        now,
    )
