"""What is reported of a whole job, by the names of `ReportMessage`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from venues.base import Venue
from venues.words import CancelJob, Scope
from worker.contract.job import scope_json
from worker.contract.outcome import rfc_3339
from worker.contract.report import MOST_RESTING, SCHEMA_VERSION, Result, report_id
from worker.lane.submission import ListUnread, ScopeEnd
from worker.orders.scope import plan_of


class Sent(NamedTuple):
    """When the first and the last cancel of a job left; None: none did, as far as is known."""

    first: datetime | None = None
    last: datetime | None = None

    def joined(self, other: Sent) -> Sent:
        """Return the times of both."""
        firsts = [sent.first for sent in (self, other) if sent.first]
        lasts = [sent.last for sent in (self, other) if sent.last]
        return Sent(min(firsts, default=None), max(lasts, default=None))


def result_of(end: ScopeEnd) -> Result:
    """Return what is proven of a scope."""
    if end.resting:
        return Result.NOT_EMPTY
    if end.unread or end.left_out or not end.proofs:
        return Result.UNPROVEN
    return Result.EMPTY


def nothing_read(venue: Venue, scope: Scope, why: str) -> ScopeEnd:
    """Return the end of a scope of which no list was read."""
    plan = plan_of(venue, scope)
    unread = (ListUnread(key.route.name, key.symbol, why) for key in plan.lists)
    return ScopeEnd(unread=tuple(unread), left_out=tuple(plan.left_out))


def job_report(
    job: CancelJob,
    accepted_at: datetime,
    counts: Mapping[str, int],
    sent: Sent,
    now: datetime,
) -> dict[str, Any]:
    """Return the report on a job with orders."""
    return {
        "schema_version": SCHEMA_VERSION,
        "message_id": report_id(job.job_id),
        "job_id": job.job_id,
        "venue": job.venue,
        "account": job.account,
        "priority": job.priority,
        "result": Result.DONE,
        "counts": {status: count for status, count in counts.items() if count},
        "accepted_at": rfc_3339(accepted_at),
        "first_sent_at": rfc_3339(sent.first) if sent.first else None,
        "last_sent_at": rfc_3339(sent.last) if sent.last else None,
        "finished_at": rfc_3339(now),
        "latency_ms": round((now - accepted_at).total_seconds() * 1000, 1),
        "requested_by": job.requested_by,
        "sent_by": job.sent_by,
        "reason": job.reason,
        "tags": dict(job.tags),
        "unknown_fields": list(job.unknown_fields),
    }


def of_scope(
    job: CancelJob, end: ScopeEnd, why: Mapping[str, str], monotonic: float, now: datetime
) -> dict[str, Any]:
    """Return what the report on a job with a scope has besides.

    `why` says of ids why they may rest; `monotonic` is the time now of the clock that reads
    were timed with.
    """
    assert job.scope is not None  # noqa: S101 - the caller has asked

    def at(moment: float) -> str:
        return rfc_3339(wall_time(moment, monotonic, now))

    return {
        "result": result_of(end),
        "scope": scope_json(job.scope),
        "hold_s": job.scope.hold_s,
        "proof": [
            {
                "list": proof.name,
                "symbol": proof.symbol,
                "first_read_at": at(proof.first),
                "last_read_at": at(proof.last),
                "others": proof.others,
            }
            for proof in end.proofs
        ],
        "resting": [
            {
                "id": ref.id,
                "kind": ref.kind,
                "symbol": ref.symbol,
                "ord_type": ref.ord_type,
                "reason": why.get(ref.id, ""),
            }
            for ref in end.resting[:MOST_RESTING]
        ],
        "resting_count": len(end.resting),
        "unread": [
            {"list": unread.name, "symbol": unread.symbol, "reason": unread.reason}
            for unread in end.unread
        ],
        "cancel_alls": [
            {"request": said.name, "symbol": said.symbol, "claimed": said.claimed}
            for said in end.cancel_alls
        ],
        "left_out": [
            {"ord_types": list(ord_types), "reason": reason}
            for ord_types, reason in end.left_out
        ],
    }


def wall_time(moment: float, monotonic: float, now: datetime) -> datetime:
    """Return a time of the monotonic clock as wall time; both clocks' times now are given."""
    return now - timedelta(seconds=monotonic - moment)
