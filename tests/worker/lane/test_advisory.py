"""A kill looks for its orders while they wait for a token, and never waits for the look."""

from __future__ import annotations

import pytest

from tests.simulation.toys import Hasty, Mute
from tests.support.lane import (
    ABSENT,
    ACCEPTED,
    Task,
    answer,
    ids,
    lane_of,
    leaves,
    results,
)
from venues.base import Quota, Venue, Verdict
from venues.coinw import CoinW
from venues.words import CancelOutcome, CancelStatus, IdKind, OrderRef, OrdStatus, OrdType
from worker.lane.lane import Lane, Sending
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, new_cohorts

OPEN = Judgement(Verdict.STATE, ord_status=OrdStatus.NEW, ord_type=OrdType.LIMIT)


def limit_orders(count: int, ord_type: OrdType = OrdType.LIMIT) -> list[Cohort]:
    return new_cohorts(OrderRef(str(n), IdKind.VENUE, "AAA", ord_type) for n in range(count))


def killing(count: int, venue: Venue | None = None, **quotas: Quota) -> tuple[Lane, Task]:
    """Return a lane with a kill of so many limit orders, of which one request may leave."""
    limits = {"cancel_batch": Quota(1, 1.0), **quotas}
    lane = lane_of(limits, venue or Mute())
    task = Task(kill=True)
    lane.add(task, limit_orders(count), 5.0)
    return lane, task


def glanced(lane: Lane, now: float = 5.0) -> Sending:
    """Return the look that leaves behind the first cancel."""
    assert not leaves(lane, now).advisory
    advisory = leaves(lane, now)
    assert advisory.advisory
    return advisory


def test_what_waits_for_a_token_is_looked_for_the_last_first() -> None:
    lane, _ = killing(65)
    first = glanced(lane)

    assert first.batch.route.name == "open_limit"
    assert ids(first) == [str(n) for n in range(64, 19, -1)]
    assert lane.next(5.0) is None


def test_kills_that_may_not_share_a_list_are_looked_for_apart() -> None:
    lane, _ = killing(25)
    market = [OrderRef(f"m{n}", IdKind.VENUE, "AAA", OrdType.MARKET) for n in range(3)]
    lane.add(Task(kill=True), new_cohorts(market), 5.0)
    first, second = glanced(lane), leaves(lane, 5.0)

    assert (first.batch.route.name, ids(first)) == ("history", ["m2", "m1", "m0"])
    assert (second.batch.route.name, ids(second)) == (
        "open_limit",
        ["24", "23", "22", "21", "20"],
    )
    assert (first.advisory, second.advisory) == (True, True)


def test_no_more_are_looked_for_together_than_a_list_may_show() -> None:
    lane, _ = killing(100)
    first, second = glanced(lane), leaves(lane, 5.0)

    assert [len(first.entries), len(second.entries)] == [60, 20]
    assert second.advisory


def test_a_kill_that_leaves_at_once_looks_for_nothing() -> None:
    lane, _ = killing(20)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None


@pytest.mark.parametrize("kill", [True, False])
def test_only_a_kill_at_a_venue_that_looks_first_looks_meanwhile(kill: bool) -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0)}, Hasty() if kill else Mute())
    lane.add(Task(kill=kill), limit_orders(40), 5.0)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None


def test_an_order_of_unknown_type_is_not_looked_for_as_that_would_part_it_from_others() -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0)}, Mute())
    lane.add(Task(kill=True), limit_orders(40, OrdType.ANY), 5.0)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None


def test_the_cancel_does_not_wait_for_the_look() -> None:
    """The token comes back while the look is under way, and its answer finds them canceled."""
    lane, task = killing(40)
    first = leaves(lane, 5.0)
    advisory = leaves(lane, 5.0)
    answer(lane, first, ACCEPTED, 5.05)
    second = leaves(lane, 6.05)

    assert (second.batch.route.name, len(second.entries)) == ("cancel_batch", 20)

    answer(lane, advisory, OPEN, 6.06)
    answer(lane, second, ACCEPTED, 6.1)

    assert {entry.progress.seen_open for entry in second.entries} == {True}
    assert results(lane, task) == []


def test_what_was_seen_open_and_is_gone_is_closed_and_is_sought_in_fewer_lists() -> None:
    lane, task = killing(21)
    first = leaves(lane, 5.0)
    advisory = leaves(lane, 5.0)
    answer(lane, advisory, OPEN, 5.05)
    answer(lane, first, ACCEPTED, 5.05)
    now, asked = 5.05, []
    while lane.waiting() or lane.in_flight:
        now = max(now, lane.next_at(now))
        sending = lane.next(now)
        if sending is None:  # one came to a list, and waits there for another
            assert lane.next_at(now) > now
            continue
        if "20" in ids(sending):
            asked.append(sending.batch.route.name)
        answer(lane, sending, ACCEPTED if "cancel" in sending.batch.route.name else ABSENT, now)

    found = {o.id: o.status for o in results(lane, task) if isinstance(o, CancelOutcome)}
    assert asked == ["cancel_one", "open_limit", "history", "open_limit"]
    assert found.pop("20") is CancelStatus.CLOSED
    assert set(found.values()) == {CancelStatus.NOT_FOUND}


@pytest.mark.parametrize("end", ["not_sent", "in_doubt", "throttled"])
def test_a_look_that_comes_to_nothing_changes_nothing(end: str) -> None:
    lane, task = killing(40)
    advisory = glanced(lane)
    before = [entry.progress for entry in advisory.entries]
    match end:
        case "not_sent":
            lane.not_sent(advisory, "unreachable", 5.1)
        case "in_doubt":
            lane.in_doubt(advisory, "timeout", 5.1)
        case _:
            answer(lane, advisory, Judgement(Verdict.THROTTLED), 5.1)

    assert [entry.progress for entry in advisory.entries] == before
    assert (lane.in_flight, lane.waiting(), results(lane, task)) == (1, 20, [])


def test_what_was_given_back_meanwhile_is_forgotten() -> None:
    lane, task = killing(40)
    advisory = glanced(lane)
    lane.withdraw(task, "deadline", 5.02)
    answer(lane, advisory, OPEN, 5.05)

    assert lane.waiting() == 0


def test_a_look_leaves_the_tokens_to_cancels() -> None:
    lane, _ = killing(65, account=Quota(2, 1.0))

    assert not leaves(lane, 5.0).advisory
    assert lane.next(5.0) is None


def test_a_look_that_must_name_a_symbol_is_repeated_with_it() -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0)}, CoinW())
    task = Task(kill=True)
    lane.add(task, limit_orders(40), 5.0)
    leaves(lane, 5.0)
    first = leaves(lane, 5.0)
    answer(lane, first, Judgement(Verdict.SYMBOL_DEMANDED), 5.05)
    again = leaves(lane, 5.05)

    assert (first.advisory, first.batch.route.needs_symbol) == (True, False)
    assert (again.advisory, again.batch.route.needs_symbol) == (True, True)
    assert ids(again) == ids(first)
    answer(lane, again, OPEN, 5.1)
    seen = [entry.progress.seen_open for entry in again.entries]
    assert (len(seen), set(seen)) == (20, {True})
