"""The venue's own timer at a lane: when it is set, and that nothing else is by that."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.toys import Plain
from tests.support.lane import Task, leaves, orders
from venues.base import Quota, Route, Timer
from venues.words import ALL_TYPES, Purpose
from worker.lane.lane import Lane, Sending
from worker.lane.venue_timer import LATE_AFTER, RENEWED_AT, VenueTimer
from worker.pacing.pace import Pace

AFTER_S = 60
OF_ACCOUNT = Timer(
    Route("timer", Purpose.TIMER, "POST", "/timer", ord_types=ALL_TYPES, quotas=("account",)),
    least_s=1,
    most_s=3600,
)
OF_SYMBOL = Timer(replace(OF_ACCOUNT.route, needs_symbol=True), least_s=1, most_s=3600)


def set_now(timer: VenueTimer, now: float, *, done: bool = True) -> list[tuple[str, int]]:
    """Let all that is due leave, and be answered at once; return what left."""
    left = []
    while (batch := timer.next) is not None:
        timer.leaves(batch)
        timer.came(batch, now, done=done)
        left.append((batch.symbol, batch.after_s))
    return left


def kept(timer: VenueTimer, now: float) -> list[tuple[str, int]]:
    timer.keep(now)
    return set_now(timer, now)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.floats(0.01, AFTER_S * LATE_AFTER), min_size=50, max_size=150))
def test_no_third_of_its_time_goes_by_without_a_renewal(gaps_s: list[float]) -> None:
    """As far as proofs of life come as often as marks do, however they are spaced."""
    timer, now, left = VenueTimer(OF_ACCOUNT, AFTER_S), 0.0, []
    for gap_s in gaps_s:
        left += [now] * len(kept(timer, now))
        now += gap_s

    assert left[0] == 0.0
    times = [*left, now]
    between = [after - before for before, after in pairwise(times)]
    assert max(between) <= AFTER_S / 3 + 1e-9
    assert all(gap_s >= AFTER_S * RENEWED_AT for gap_s in between[:-1])


def test_each_symbol_has_its_own() -> None:
    timer = VenueTimer(OF_SYMBOL, AFTER_S, ("AAA", "BBB"))

    assert kept(timer, 0.0) == [("AAA", 60), ("BBB", 60)]
    assert kept(timer, 1.0) == []
    assert kept(timer, 20.0) == [("AAA", 60), ("BBB", 60)]


def test_what_failed_is_due_again_at_the_next_proof_of_life() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    timer.keep(0.0)
    set_now(timer, 0.0, done=False)
    assert timer.next is None
    assert timer.left_s("", 1.0) is None

    assert kept(timer, 5.0) == [("", 60)]
    assert timer.left_s("", 6.0) == 59.0


def test_it_is_disarmed_once_all_have_signed_off_and_armed_by_the_next() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    kept(timer, 0.0)
    timer.end(1.0)
    assert set_now(timer, 1.0, done=False) == [("", 0)]
    timer.end(2.0)
    assert set_now(timer, 2.0) == [("", 0)]
    timer.end(3.0)
    assert set_now(timer, 3.0) == []
    assert timer.left_s("", 3.0) is None

    assert kept(timer, 4.0) == [("", 60)]


def test_who_has_just_begun_disarms_what_others_may_have_armed() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    timer.end(0.0)

    assert set_now(timer, 0.0) == [("", 0)]


def test_a_request_that_is_out_is_waited_for() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    timer.keep(0.0)
    batch = timer.next
    assert batch is not None
    timer.leaves(batch)
    timer.keep(30.0)
    timer.end(31.0)
    assert timer.next is None
    assert timer.hand_over() == []

    assert timer.came(batch, 0.0, done=True)
    timer.end(32.0)
    assert set_now(timer, 32.0) == [("", 0)]


def test_who_stops_hands_over_what_is_armed_and_nothing_else() -> None:
    timer = VenueTimer(OF_SYMBOL, AFTER_S, ("AAA", "BBB"))
    assert timer.hand_over() == []
    kept(timer, 0.0)
    assert [(b.symbol, b.after_s) for b in timer.hand_over()] == [("AAA", 60), ("BBB", 60)]

    timer.end(1.0)
    assert [(b.symbol, b.after_s) for b in timer.hand_over()] == [("AAA", 0), ("BBB", 0)]
    set_now(timer, 1.0)
    assert timer.hand_over() == []


def test_what_left_before_the_lane_was_lost_says_nothing_after_it() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    timer.keep(0.0)
    batch = timer.next
    assert batch is not None
    timer.leaves(batch)
    timer.forget()

    assert not timer.came(batch, 0.0, done=True)
    assert timer.next is None
    assert kept(timer, 1.0) == [("", 60)]


def test_what_cannot_leave_is_late_once_the_third_is_over() -> None:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    kept(timer, 0.0)
    timer.keep(15.0)
    timer.keep(19.0)
    assert timer.late(20.0) == []
    assert timer.late(20.1) == [""]


# -- at the lane


def lane_of(quota: Quota, venue: Plain | None = None) -> Lane:
    timer = VenueTimer(OF_ACCOUNT, AFTER_S)
    return Lane(venue or Plain(), {"account": Pace(quota)}, random.Random(1), timer=timer)


def keep(lane: Lane, now: float) -> None:
    assert lane.timer is not None
    lane.timer.keep(now)


def test_it_leaves_before_a_kill_and_takes_a_token() -> None:
    """Once in a quarter of its time; or a backlog of cancels would make it fire."""
    lane = lane_of(Quota(2, 10.0))
    lane.add(Task(kill=True), orders("o1", "o2", "o3"), 0.0)
    keep(lane, 0.0)

    first, second = leaves(lane, 0.0), leaves(lane, 0.0)
    assert (first.sets_timer, second.sets_timer) == (True, False)
    assert (first.owners(), first.is_probe, first.cancels_all) == ([], False, False)
    assert lane.next(0.0) is None
    assert lane.timer_answered(first, 0.1, done=True)
    keep(lane, 1.0)
    assert lane.next(1.0) is None


@pytest.mark.parametrize("follow", ["not_sent", "in_doubt"])
def test_a_failure_costs_no_order_anything(follow: str) -> None:
    lane = lane_of(Quota(5, 1.0))
    keep(lane, 0.0)
    sending = leaves(lane, 0.0)

    getattr(lane, follow)(sending, "timeout", 0.1)

    assert (lane.in_flight, lane.standing.shut) == (0, False)
    assert lane.next(0.1) is None
    keep(lane, 5.0)
    assert leaves(lane, 5.0).sets_timer


def test_while_the_account_is_quiet_it_is_not_set() -> None:
    lane = lane_of(Quota(5, 1.0))
    lane.pause(0.0, 30.0)
    keep(lane, 0.0)

    assert lane.next(1.0) is None
    assert lane.hand_over_timer(1.0) == []
    assert leaves(lane, 40.0).sets_timer


def test_a_key_that_is_refused_is_asked_by_cancels_and_reads_alone() -> None:
    lane = lane_of(Quota(5, 1.0))
    lane.standing.refused("auth", OF_ACCOUNT.route, 0.0, 0.1)
    keep(lane, 1.0)

    assert lane.next(5.0) is None
    assert lane.hand_over_timer(5.0) == []


def test_the_last_act_takes_a_token_that_is_free() -> None:
    lane = lane_of(Quota(2, 10.0))
    keep(lane, 0.0)
    lane.timer_answered(leaves(lane, 0.0), 0.1, done=True)

    (last,) = lane.hand_over_timer(1.0)
    assert (last.sets_timer, last.batch.after_s) == (True, AFTER_S)
    assert isinstance(last, Sending)
    lane.timer_answered(last, 1.1, done=True)
    assert lane.hand_over_timer(1.2) == [], "no token is left"


def test_nonces_stay_in_their_order() -> None:
    class InOrder(Plain):
        in_order_s = 1.0

    lane = lane_of(Quota(5, 1.0), InOrder())
    keep(lane, 0.0)
    lane.timer_answered(leaves(lane, 0.0), 0.1, done=True)
    lane.add(Task(), orders("o1"), 5.0)
    leaves(lane, 5.0)

    assert lane.hand_over_timer(5.5) == []
    assert len(lane.hand_over_timer(6.5)) == 1
