"""What is reported of a whole job agrees with the schema, and says no more than is proven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kombu import Connection

from venues import all_venues
from venues.words import CancelJob, IdKind, OrderRef, OrdType, Priority, Scope
from worker.amqp.publisher import Publisher
from worker.contract.report import MOST_RESTING, ReportMessage, Result
from worker.jobs.job_report import Sent, job_report, nothing_read, of_scope, result_of
from worker.jobs.report import Report
from worker.lane.submission import CancelAllSaid, ListProof, ListUnread, ScopeEnd

NOW = datetime(2026, 11, 21, 9, 25, 10, tzinfo=UTC)
ACCEPTED = NOW - timedelta(seconds=10)
PROOF = ListProof("list_open", "", 990.0, 995.0, 3)
REF = OrderRef("7", IdKind.VENUE, "BTC", OrdType.LIMIT)
UNREAD = ListUnread("list_open", "BTC", "timeout")


def job(scope: Scope | None = None) -> CancelJob:
    return CancelJob(
        job_id="6f1d",
        account="desk-1",
        venue="ztdx",
        priority=Priority.KILL,
        refs=(),
        scope=scope,
        accepted_at=ACCEPTED,
        deadline=NOW + timedelta(minutes=5),
        tags={"a": "b"},
    )


def report(end: ScopeEnd) -> dict[str, Any]:
    """Return the report on a scope, whose reads were timed by a clock that says 1000 now."""
    scoped = job(Scope(hold_s=5.0))
    found = job_report(scoped, ACCEPTED, {"canceled": 2, "failed": 0}, Sent(), NOW)
    found |= of_scope(scoped, end, {"7": "still_open"}, 1000.0, NOW)
    ReportMessage.model_validate(found, strict=False)
    return found


@pytest.mark.parametrize(
    ("end", "result"),
    [
        (ScopeEnd(proofs=(PROOF,)), Result.EMPTY),
        (ScopeEnd(proofs=(PROOF,), resting=(REF,)), Result.NOT_EMPTY),
        (ScopeEnd(resting=(REF,), unread=(UNREAD,)), Result.NOT_EMPTY),
        (ScopeEnd(proofs=(PROOF,), unread=(UNREAD,)), Result.UNPROVEN),
        (ScopeEnd(proofs=(PROOF,), left_out=(((OrdType.TRIGGER,), "x"),)), Result.UNPROVEN),
        (ScopeEnd(), Result.UNPROVEN),
    ],
)
def test_empty_is_said_only_where_all_was_read_and_nothing_rests(
    end: ScopeEnd, result: Result
) -> None:
    assert result_of(end) is result
    assert report(end)["result"] is result


def test_a_job_with_orders_is_done() -> None:
    sent = Sent(ACCEPTED, ACCEPTED).joined(Sent(NOW, NOW)).joined(Sent())
    found = job_report(job(), ACCEPTED, {"canceled": 2, "failed": 0}, sent, NOW)

    said = ReportMessage.model_validate(found)
    assert (said.result, said.counts) == (Result.DONE, {"canceled": 2})
    assert said.message_id == "report/6f1d"
    assert (said.first_sent_at, said.last_sent_at) == (
        "2026-11-21T09:25:00.000Z",
        "2026-11-21T09:25:10.000Z",
    )
    assert said.latency_ms == 10_000.0


def test_times_of_reads_are_told_by_the_wall_clock() -> None:
    (proof,) = report(ScopeEnd(proofs=(PROOF,)))["proof"]

    assert proof == {
        "list": "list_open",
        "symbol": "",
        "first_read_at": "2026-11-21T09:25:00.000Z",
        "last_read_at": "2026-11-21T09:25:05.000Z",
        "others": 3,
    }


def test_what_rests_is_named_with_its_reason_and_counted_beyond_the_bound() -> None:
    found = report(ScopeEnd(resting=(REF,) * (MOST_RESTING + 1)))

    assert len(found["resting"]) == MOST_RESTING
    assert found["resting_count"] == MOST_RESTING + 1
    assert found["resting"][0]["reason"] == "still_open"


def test_what_a_cancel_all_claims_is_told_and_counts_for_nothing() -> None:
    said = (CancelAllSaid("cancel_all", "", 1000), CancelAllSaid("cancel_all", "BTC", None))

    found = report(ScopeEnd(proofs=(PROOF,), cancel_alls=said))

    assert found["counts"] == {"canceled": 2}
    assert found["cancel_alls"] == [
        {"request": "cancel_all", "symbol": "", "claimed": 1000},
        {"request": "cancel_all", "symbol": "BTC", "claimed": None},
    ]


def test_of_a_job_that_was_given_up_each_list_is_unread() -> None:
    end = nothing_read(all_venues()["coinw"], Scope(), "delivery_limit")

    assert result_of(end) is Result.UNPROVEN
    assert {unread.reason for unread in end.unread} == {"delivery_limit"}
    assert [reason for _, reason in end.left_out] == ["missing_symbol"]


@pytest.mark.parametrize(("scope", "expected"), [(None, 0), (Scope(), 1)])
def test_where_only_scopes_have_reports_others_are_logged(
    scope: Scope | None, expected: int
) -> None:
    publisher = Publisher(lambda: Connection("memory://"))
    one, every = (
        Report(publisher, job(scope), {}, publish_done=done) for done in (False, True)
    )
    for each in one, every:
        each.finish(Sent(), NOW)
        each.done()

    assert len(one.take_posted()) == expected
    assert len(every.take_posted()) == 1
    publisher.stop()
