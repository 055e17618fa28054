"""The venue's cancel-all for a scope: when it leaves, and what becomes of orders meanwhile."""

from __future__ import annotations

from tests.simulation.scopes import PlainCanceler
from tests.support.lane import (
    ABSENT,
    CANCELED,
    FAST,
    OPEN,
    Task,
    answer,
    id_of,
    ids,
    lane_of,
    leaves,
    orders,
    results,
)
from tests.worker.lane.test_scopes import ACCEPTED, LIMIT, read_round, row, scoped, shows
from venues.base import Batch, Verdict
from venues.words import CancelOutcome, CancelStatus, Purpose, Scope
from worker.lane.lane import Lane, Sending
from worker.lane.scopes import ScopeRun
from worker.lane.submission import AskedScope
from worker.orders.judge import Judgement, ListHeard


def swept(task: Task) -> tuple[Lane, Sending, Sending]:
    """Begin a scope at such a venue; return its cancel-all and its first read, as they left."""
    lane = lane_of(FAST, PlainCanceler())
    lane.add_scope(task, 100.0)
    cancel_all, read = leaves(lane, 100.0), leaves(lane, 100.0)
    assert (cancel_all.cancels_all, read.cancels_all) == (True, False)
    assert cancel_all.batch.route.purpose is Purpose.CANCEL_ALL
    return lane, cancel_all, read


def done(lane: Lane, sending: Sending, now: float, *named: str) -> None:
    """Let the venue say that a cancel-all is done, and of which orders."""
    lane.listed(sending, ListHeard(ACCEPTED, tuple(map(row, named))), now)


def all_that_leave(lane: Lane, now: float) -> list[Sending]:
    return [sending for sending in iter(lambda: lane.next(now), None) if sending]


def reads_on(lane: Lane, now: float, *order_ids: str) -> None:
    """Let the second list of the first round be read, and the next round: it shows these."""
    shows(lane, leaves(lane, now), now)
    read_round(lane, now, *order_ids)


def test_a_cancel_all_leaves_first_and_what_is_shown_meanwhile_is_read_again() -> None:
    task = scoped()
    lane, cancel_all, read = swept(task)
    shows(lane, read, 100.1, "o1", "o2")
    done(lane, cancel_all, 100.1)

    reads_on(lane, 100.1, "o2")

    assert task.sent == (100.0, 100.0)
    sent = [leaves(lane, 100.2), leaves(lane, 100.2)]
    assert [(s.batch.route.purpose, ids(s)) for s in sent] == [
        (Purpose.CANCEL, ["o2"]),  # it is open still
        (Purpose.LOOKUP, ["o1"]),  # it is not shown, which proves nothing
    ]


def test_an_order_that_a_cancel_all_took_is_told_by_its_look_up_alone() -> None:
    task = scoped()
    lane, cancel_all, read = swept(task)
    shows(lane, read, 100.1, "o1", "o2")
    done(lane, cancel_all, 100.1, "o1", "o2")
    reads_on(lane, 100.1)
    assert results(lane, task) == []

    look = leaves(lane, 100.2)
    o1, o2 = look.batch.refs
    lane.answered(look, {o1: CANCELED, o2: OPEN}, 100.3)

    (outcome,) = results(lane, task)
    assert isinstance(outcome, CancelOutcome)
    assert (outcome.id, outcome.status, outcome.attempts) == ("o1", CancelStatus.CANCELED, 0)
    assert outcome.evidence == "lookup"
    assert ids(leaves(lane, 100.3)) == ["o2"]  # now by its id


def test_an_order_that_only_the_reply_names_is_looked_up_too() -> None:
    task = scoped()
    lane, cancel_all, read = swept(task)
    shows(lane, read, 100.1)
    done(lane, cancel_all, 100.1, "o7")
    reads_on(lane, 100.1)

    look = leaves(lane, 100.2)
    assert (look.batch.route.purpose, ids(look)) == (Purpose.LOOKUP, ["o7"])
    answer(lane, look, ABSENT, 100.3)
    assert results(lane, task) == []  # nobody has seen it: it may be hidden


def test_what_a_cancel_all_claims_is_told_at_the_end_and_proves_nothing() -> None:
    """Also that no reply came; but not of one that surely had no effect."""
    run = ScopeRun(scoped(), PlainCanceler(), 100.0)
    batch = Batch(run.cancel_alls.leaves(100.0).route, ())
    accepted = ListHeard(ACCEPTED, (), claimed=1000)
    refused = ListHeard(Judgement(Verdict.THROTTLED))
    name = batch.route.name

    run.cancel_all_came(accepted, batch, 100.1)
    run.cancel_all_came(refused, batch, 100.2)
    run.cancel_all_missed(batch, 100.3, sent=True)
    run.cancel_all_missed(batch, 100.4, sent=False)

    assert [(said.name, said.claimed) for said in run.end().cancel_alls] == [
        (name, 1000),
        (name, None),
    ]
    assert run.end().proofs == ()


def test_a_cancel_all_that_surely_did_nothing_holds_nobody_up() -> None:
    lane, cancel_all, read = swept(scoped())
    shows(lane, read, 100.1, "o1")
    refused = ListHeard(Judgement(Verdict.REFUSED, reason="bad_symbol"))

    lane.listed(cancel_all, refused, 100.2)

    by_id = leaves(lane, 100.2)
    while by_id.scope is not None:
        by_id = leaves(lane, 100.2)
    assert (by_id.batch.route.purpose, ids(by_id)) == (Purpose.CANCEL, ["o1"])


def test_a_cancel_all_without_an_answer_is_waited_for_a_second_and_not_sent_again() -> None:
    lane, cancel_all, read = swept(scoped())
    shows(lane, read, 100.1, "o1")
    shows(lane, leaves(lane, 100.1), 100.1)
    assert lane.next(100.5) is None

    shows(lane, leaves(lane, 101.0), 101.1, "o1")

    assert ["o1"] in [ids(sending) for sending in all_that_leave(lane, 101.1)]
    lane.in_doubt(cancel_all, "timeout", 105.0)
    assert not any(sending.cancels_all for sending in all_that_leave(lane, 106.0))


def test_orders_that_wait_for_a_reading_are_told_or_handed_back_at_the_end() -> None:
    task = scoped()
    lane, cancel_all, read = swept(task)
    shows(lane, read, 100.1, "o1")
    done(lane, cancel_all, 100.1)

    lane.withdraw(task, "stopping", 100.2)

    (given_back,) = results(lane, task)
    assert not isinstance(given_back, CancelOutcome)
    assert given_back.progress.sent
    ((_, end),) = lane.take_ended()
    assert end.goes_on == "stopping"


def test_what_a_late_reply_names_is_handed_back_with_the_rest() -> None:
    task = scoped()
    lane, cancel_all, read = swept(task)
    lane.add(task, orders("o9"), 100.0)
    by_id = leaves(lane, 100.0)
    lane.withdraw(task, "deadline", 100.1)
    assert lane.take_ended() == []  # o9 is in flight

    done(lane, cancel_all, 100.2, "o1")
    shows(lane, read, 100.2, "o2")
    lane.in_doubt(by_id, "timeout", 100.3)
    while (sending := lane.next(100.4)) is not None:
        answer(lane, sending, ABSENT, 100.5)

    assert {id_of(result) for result in results(lane, task)} == {"o1", "o2", "o9"}


def test_no_cancel_all_leaves_for_a_part_or_when_the_job_comes_back() -> None:
    part = AskedScope(Scope(ord_types=LIMIT), 100.0)
    comes_back = AskedScope(Scope(), 100.0, is_begun=True)
    for scope in part, comes_back:
        lane = lane_of(FAST, PlainCanceler())
        lane.add_scope(Task(kill=True, received_at=100.0, scope=scope), 100.0)
        assert not any(sending.cancels_all for sending in all_that_leave(lane, 100.0))


def test_a_routine_job_that_is_late_sends_no_cancel_all() -> None:
    task = scoped()
    task.deadline = 100.0
    lane = lane_of(FAST, PlainCanceler())
    lane.add_scope(task, 100.0)

    assert not leaves(lane, 100.0).cancels_all
