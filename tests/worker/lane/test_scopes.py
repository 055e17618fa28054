"""A job with a scope at its lane: what is read and canceled, and what is told at the end."""

from __future__ import annotations

from tests.simulation.scopes import PlainLister
from tests.support.lane import (
    CANCELED,
    FAST,
    Task,
    answer,
    ids,
    lane_of,
    leaves,
    orders,
    results,
)
from venues.base import OpenOrder, Verdict
from venues.words import CancelOutcome, OrdType, Scope
from worker.jobs.job_report import result_of
from worker.lane.lane import Lane, Sending
from worker.lane.submission import AskedScope, ScopeEnd
from worker.orders.judge import Judgement, ListHeard

LIMIT = frozenset({OrdType.LIMIT})
ACCEPTED = Judgement(Verdict.ACCEPTED)
VENUE = PlainLister()


def scoped(hold_s: float = 0.0) -> Task:
    return Task(kill=True, received_at=100.0, scope=AskedScope(Scope(hold_s=hold_s), 100.0))


def begun(task: Task) -> Lane:
    lane = lane_of(FAST, VENUE)
    lane.add_scope(task, 100.0)
    return lane


def row(order_id: str) -> OpenOrder:
    return OpenOrder(order_id, "AAA", LIMIT, None, "")


def shows(lane: Lane, sending: Sending, now: float, *order_ids: str) -> None:
    """Let a list show orders, and no other."""
    lane.listed(sending, ListHeard(ACCEPTED, tuple(map(row, order_ids))), now)


def read_round(lane: Lane, now: float, *order_ids: str) -> None:
    """Let both lists be read; the second one shows these orders."""
    for shown in (), order_ids:
        sending = leaves(lane, now)
        assert sending.scope is not None, sending
        shows(lane, sending, now, *shown)


def the_end(lane: Lane, task: Task) -> ScopeEnd:
    lane.next(1e6)
    ((owner, end),) = lane.take_ended()
    assert owner is task
    return end


def test_what_is_found_is_canceled_before_the_other_lists_are_read() -> None:
    lane = begun(scoped())

    shows(lane, leaves(lane, 100.0), 100.1, "o1", "o2")
    sent = [leaves(lane, 100.1), leaves(lane, 100.1)]

    assert [sending.scope is None for sending in sent] == [False, True]
    assert ids(sent[1]) == ["o1", "o2"]


def test_it_ends_when_the_lists_have_stayed_empty_and_every_order_is_told() -> None:
    task = scoped()
    lane = begun(task)
    read_round(lane, 100.0, "o1")
    answer(lane, leaves(lane, 100.1), CANCELED, 100.2)
    for now in 105.0, 107.0, 109.0, 111.0:
        assert lane.take_ended() == []
        read_round(lane, now)

    end = the_end(lane, task)

    assert [type(result) for result in results(lane, task)] == [CancelOutcome]
    assert result_of(end) == "empty"
    assert [(p.name, p.first) for p in end.proofs] == [
        ("list_waiting", 105.0),
        ("list_open", 105.0),
    ]
    assert not lane.asks(task)
    assert lane.next(112.0) is None


def test_an_order_that_is_shown_after_it_was_told_as_canceled_is_canceled_anew() -> None:
    task = scoped()
    lane = begun(task)
    read_round(lane, 100.0, "o1")
    answer(lane, leaves(lane, 100.1), CANCELED, 100.2)
    read_round(lane, 102.0, "o1")  # the list may lag
    assert lane.next(102.1) is None

    read_round(lane, 104.0, "o1")

    assert ids(leaves(lane, 104.0)) == ["o1"]


def test_one_that_the_venue_refuses_to_cancel_is_told_as_resting() -> None:
    task = scoped()
    lane = begun(task)
    read_round(lane, 100.0, "o1")
    answer(lane, leaves(lane, 100.1), Judgement(Verdict.REFUSED, reason="bad_request"), 100.2)
    for now in 105.0, 107.0, 109.0, 111.0:
        read_round(lane, now, "o1")

    end = the_end(lane, task)

    assert result_of(end) == "not_empty"
    assert [ref.id for ref in end.resting] == ["o1"]


def test_at_the_deadline_what_still_shows_is_told_and_nothing_proven() -> None:
    task = scoped()
    lane = begun(task)
    shows(lane, leaves(lane, 100.0), 100.1)
    lane.withdraw(task, "deadline", 101.0)

    end = the_end(lane, task)

    assert not end.goes_on
    assert result_of(end) == "unproven"
    assert {unread.reason for unread in end.unread} == {"deadline"}


def test_a_job_that_is_withdrawn_goes_on_later_with_the_orders_that_it_found() -> None:
    task = scoped()
    lane = begun(task)
    read_round(lane, 100.0, "o1", "o2")
    sending = leaves(lane, 100.0)
    lane.withdraw(task, "stopping", 100.1)
    assert lane.take_ended() == []  # two are in flight

    lane.in_doubt(sending, "timeout", 100.2)
    ((_, end),) = lane.take_ended()

    assert end.goes_on == "stopping"
    assert len(results(lane, task)) == 2


def test_orders_that_came_along_are_not_found_once_more() -> None:
    task = scoped()
    lane = lane_of(FAST, VENUE)
    lane.add(task, orders("o1"), 100.0)
    lane.add_scope(task, 100.0)
    read_round(lane, 100.0, "o1")

    assert ids(leaves(lane, 100.0)) == ["o1"]
    assert task.waits == 1


def test_at_a_halted_account_it_ends_with_that() -> None:
    task = scoped()
    lane = begun(task)
    now = 100.0
    for _ in range(3):
        sending = leaves(lane, now)
        lane.refused(sending, "permission", now)
        refused = ListHeard(Judgement(Verdict.HALT, reason="permission"))
        lane.listed(sending, refused, now)
        now += 100.0

    end = the_end(lane, task)

    assert result_of(end) == "unproven"
    assert {unread.reason for unread in end.unread} == {"permission"}


def test_a_read_that_fails_is_made_again() -> None:
    lane = begun(scoped())
    failed = leaves(lane, 100.0)

    lane.in_doubt(failed, "timeout", 101.0)

    assert lane.next(101.0) is None
    again = leaves(lane, 101.5)
    assert again.batch == failed.batch
