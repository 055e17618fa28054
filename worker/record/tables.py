"""The tables of the record, and the story of one id as it is kept there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is added when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the database is given."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return what the reader is given."""
        if value is None:
            return None
        found: datetime = value
        return found.replace(tzinfo=UTC) if dialect.name == "sqlite" else found.astimezone(UTC)


METADATA = MetaData()

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("job_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("venue", String, nullable=False),
    Column("account", String, nullable=False),
    Column("symbol", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ord_type", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("ord_status", String),
    Column("cum_qty", String, nullable=False, server_default=""),
    Column("became", String, nullable=False, server_default=""),
    Column("evidence", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("venue_code", String, nullable=False),
    Column("text", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("sent_by", String, nullable=False, server_default=""),
    Column("job_reason", String, nullable=False, server_default=""),
    Column("found_by", String),
    Column("tags", JSON, nullable=False),
    Column("accepted_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("latency_ms", Float, nullable=False),
    # The status that an earlier answer to the same job gave, where it was another.
    Column("previous_status", String, nullable=False, server_default=""),
    # The row of the journal with the message that stands here; none: recorded before the chain.
    Column("number", BigInteger),
    # What makes `explain` quick: all jobs of one id, in their order.
    Index("ix_outcomes_id", "id", "finished_at"),
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("job_id", String, primary_key=True),
    *(Column(name, String, nullable=False) for name in ("venue", "account", "priority")),
    Column("result", String, nullable=False),
    Column("scope", JSON(none_as_null=True)),
    Column("hold_s", Float),
    Column("counts", JSON, nullable=False),
    Column("accepted_at", UtcTime, nullable=False),
    Column("first_sent_at", UtcTime),
    Column("last_sent_at", UtcTime),
    Column("finished_at", UtcTime, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("proof", JSON, nullable=False),
    Column("resting", JSON, nullable=False),
    Column("resting_count", Integer, nullable=False),
    Column("unread", JSON, nullable=False),
    Column("left_out", JSON, nullable=False),
    Column("cancel_alls", JSON, nullable=False, server_default="[]"),
    *(Column(name, String, nullable=False) for name in ("requested_by", "sent_by", "reason")),
    Column("tags", JSON, nullable=False),
    Column("unknown_fields", JSON, nullable=False),
    Column("number", BigInteger),
)

#: A row for each receipt: a job may be taken more than once, and not always in the same words.
RECEIPTS = Table(
    "receipts",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, String, nullable=False) for name in ("job_id", "venue", "account")),
    *(Column(name, String, nullable=False) for name in ("priority", "answer")),
    *(Column(f"rejected_{name}", String, nullable=False) for name in ("reason", "detail")),
    Column("ids", JSON, nullable=False),
    Column("ids_count", Integer, nullable=False),
    Column("scope", JSON(none_as_null=True)),
    Column("hold_s", Float),
    Column("accepted_at", UtcTime, nullable=False),
    Column("deadline", UtcTime),
    *(Column(name, String, nullable=False) for name in ("requested_by", "sent_by", "reason")),
    Column("tags", JSON, nullable=False),
    Column("unknown_fields", JSON, nullable=False),
    Column("message_bytes", Integer, nullable=False),
    Column("message_sha256", String, nullable=False),
    Index("ix_receipts_job_id", "job_id"),
    Index("ix_receipts_accepted_at", "accepted_at"),
)

#: All messages as they came, in the order in which they were recorded (`worker.record.chain`).
#: Rows are added, and never changed.
JOURNAL = Table(
    "journal",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("routing_key", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_sha256", String, nullable=False),
    Column("previous_sha256", String, nullable=False),
    Column("sha256", String, nullable=False),
    # A message that comes twice is recorded once.
    Index("ix_journal_body_sha256", "body_sha256", unique=True),
    # What makes the export of a day quick.
    Index("ix_journal_finished_at", "finished_at"),
)

#: Messages of the queue that are none of these; kept as they came, as nothing may be lost.
UNREADABLE = Table(
    "unreadable",
    METADATA,
    Column("digest", String, primary_key=True),
    Column("routing_key", String, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("why", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One row of the record: what became of one id in one job."""

    job_id: str
    id: str
    venue: str
    account: str
    symbol: str
    kind: str
    ord_type: str
    status: str
    reason: str
    ord_status: str | None
    evidence: str
    attempts: int
    venue_code: str
    text: str
    requested_by: str
    tags: dict[str, str]
    accepted_at: datetime
    finished_at: datetime
    latency_ms: float
    previous_status: str = ""
    cum_qty: str = ""
    became: str = ""
    sent_by: str = ""
    job_reason: str = ""
    found_by: str | None = None
    number: int | None = None
