"""Lanes that share a quota: who goes first, what is left to those that begin, and to kills."""

from __future__ import annotations

import pytest

from venues.base import Quota
from worker.pacing.pace import NEVER, Pace
from worker.pacing.shared import APART_S, BEGINS, PATIENCE_S, SharedPace

#: As CoinW has it: routine ids leave 15 of 75 to a kill.
ADDRESS = Quota(75, 10.0, "address")
KEPT = 15
SHORT = Quota(10, 1.0, "address")
BUSY, OTHER, BEGINNER = "busy", "other", "beginner"


def take(pace: SharedPace, lane: str, now: float, *, urgent: bool = False) -> float:
    """Ask as a lane does, and take what may be had at once; return when it could."""
    ready_at = pace.ready_at(now, urgent=urgent, lane=lane)
    pace.asked(lane, now, urgent=urgent, ready_at=ready_at)
    if ready_at <= now:
        pace.take(now, lane=lane, urgent=urgent)
        pace.release(now)
    return ready_at


def use_up(pace: SharedPace, now: float, *lanes: str, urgent: bool = False) -> None:
    """Let lanes take in turn all that they may."""
    while min([take(pace, lane, now, urgent=urgent) for lane in lanes]) <= now:
        pass


@pytest.mark.parametrize("urgent", [True, False])
@pytest.mark.parametrize("quota", [ADDRESS, SHORT])
def test_a_lane_that_is_alone_is_paced_as_ever(quota: Quota, *, urgent: bool) -> None:
    shared, alone = SharedPace(quota), Pace(quota)
    now = 5.0
    for _ in range(3 * quota.limit):
        expected = alone.ready_at(now, urgent=urgent)
        found = shared.ready_at(now, urgent=urgent, lane=BUSY)
        shared.asked(BUSY, now, urgent=urgent, ready_at=found)
        assert found == expected

        now = max(now, expected)
        for pace in shared, alone:
            pace.take(now, lane=BUSY, urgent=urgent)
            pace.release(now)


@pytest.mark.parametrize("urgent", [True, False])
def test_one_that_begins_finds_a_token_beside_two_that_are_busy(*, urgent: bool) -> None:
    pace = SharedPace(ADDRESS)
    use_up(pace, 5.0, BUSY, OTHER, urgent=urgent)

    assert take(pace, BEGINNER, 8.0, urgent=urgent) == 8.0
    assert take(pace, "another", 8.0, urgent=urgent) == 8.0


def test_busy_lanes_take_all_in_the_end_one_token_after_another() -> None:
    pace = SharedPace(ADDRESS)
    use_up(pace, 5.0, BUSY, OTHER)
    left = pace.free(5.0) - KEPT
    assert left > 1

    times = []
    for _ in range(left - 1):
        times.append(min(take(pace, lane, 5.0) for lane in (BUSY, OTHER)))
        assert take(pace, BUSY, times[-1]) == times[-1] or take(pace, OTHER, times[-1])
    assert times == sorted(times)
    assert times[0] == pytest.approx(15.0 - left * APART_S)


def used_up_short(*, urgent: bool) -> SharedPace:
    """Return a quota of two whose first token comes back at 6.0; `busy` had them, and waits."""
    pace = SharedPace(Quota(2, 1.0, "address"))
    pace.take(5.0, lane=OTHER)
    pace.release(5.0)
    pace.take(5.3, lane=BUSY, urgent=urgent)
    assert take(pace, BUSY, 5.5, urgent=urgent) == 6.0
    return pace


def test_who_waits_and_has_had_less_goes_first() -> None:
    pace = used_up_short(urgent=False)
    assert take(pace, BEGINNER, 5.5) == 6.0

    assert pace.ready_at(6.0, urgent=False, lane=BUSY) == NEVER  # one of two must be left
    assert take(pace, BEGINNER, 6.0) == 6.0


def test_a_kill_that_waits_goes_before_routine_ids_of_others() -> None:
    pace = used_up_short(urgent=True)

    assert take(pace, BEGINNER, 5.5) == NEVER
    assert take(pace, BUSY, 6.0, urgent=True) == 6.0


def test_a_lane_whose_kills_are_gone_goes_before_others_no_more() -> None:
    pace = used_up_short(urgent=True)
    assert take(pace, BUSY, 5.7) == 6.0

    assert take(pace, BEGINNER, 5.7) == 6.0


def flooded() -> SharedPace:
    """Return an address of whose tokens kills of two lanes have taken all that they may."""
    pace = SharedPace(ADDRESS)
    use_up(pace, 5.0, BUSY, OTHER, urgent=True)
    assert 0 < pace.free(5.0) <= KEPT
    return pace


def test_kills_of_others_keep_a_lane_that_begins_waiting_no_longer_than_a_second() -> None:
    pace = flooded()

    assert take(pace, BEGINNER, 6.0) == 6.0 + PATIENCE_S
    assert take(pace, BEGINNER, 6.0 + PATIENCE_S) == 6.0 + PATIENCE_S


def test_routine_ids_borrow_once_no_kill_of_their_lane_waits_any_more() -> None:
    pace = flooded()
    look_at = pace.ready_at(6.0, urgent=True, lane=BEGINNER, spare=KEPT)
    pace.asked(BEGINNER, 6.0, urgent=True, ready_at=look_at)
    assert take(pace, BEGINNER, 6.0) == 15.0

    assert take(pace, BEGINNER, 6.5) == 6.0 + PATIENCE_S


def test_routine_ids_borrow_once_a_second_whoever_waits_and_who_has_had_least() -> None:
    pace = flooded()
    for lane in BEGINNER, "another":
        assert take(pace, lane, 6.0) == 7.0
    assert take(pace, BEGINNER, 7.0) == 7.0

    assert take(pace, "another", 7.0) == 8.0
    assert take(pace, BEGINNER, 7.5) == 15.0  # not before it that has had none


def test_nobody_borrows_the_last_token_but_one_that_has_had_none() -> None:
    pace = flooded()
    for now in range(6, 6 + BEGINS):
        pace.take(float(now), lane=f"lane {now}", urgent=True)
        pace.release(float(now))
    while pace.free(11.0) > 1:
        pace.take(11.0, lane=BUSY, urgent=True)
        pace.release(11.0)
    assert take(pace, "lane 6", 12.0) == 15.0

    assert take(pace, BEGINNER, 12.0) == 12.0 + PATIENCE_S


def test_a_lane_with_many_of_its_own_borrows_nothing() -> None:
    pace = flooded()
    for _ in range(BEGINS):
        pace.take(5.0, lane=BEGINNER)
        pace.release(5.0)

    assert take(pace, BEGINNER, 6.0) == 15.0
    assert take(pace, BEGINNER, 9.0) == 15.0


def test_a_request_of_several_tokens_borrows_no_more_than_are_free() -> None:
    pace = flooded()
    more = pace.free(5.0) + 1
    take(pace, BEGINNER, 6.0)

    assert pace.ready_at(8.0, urgent=False, lane=BEGINNER, tokens=more) == 15.0
