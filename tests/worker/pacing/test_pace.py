"""The tokens of one quota, over times of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.base import Quota
from worker.pacing.pace import LONG_USE_S, NEVER, Pace

TEN = Quota(10, 1.0)
LONG = Quota(50, 10.0)


def burst(pace: Pace, count: int, now: float) -> None:
    for _ in range(count):
        pace.take(now)


def test_a_token_comes_back_one_window_after_its_response() -> None:
    pace = Pace(Quota(1, 1.0))
    pace.take(5.0)

    assert pace.ready_at(5.1, urgent=True) == NEVER

    pace.release(5.3)

    assert pace.ready_at(5.4, urgent=True) == pytest.approx(6.3)
    assert pace.free(6.29) == 0
    assert pace.free(6.3) == 1


def test_a_request_beside_others_to_come_waits_for_a_token_more_than_theirs() -> None:
    pace = Pace(Quota(3, 1.0))
    assert pace.spare_at(5.0, 50) == 5.0  # no more than all can be free

    pace.take(5.0)
    assert pace.spare_at(5.0, 1) == 5.0
    assert pace.spare_at(5.0, 2) == NEVER

    pace.release(5.1)
    assert pace.spare_at(5.1, 2) == pytest.approx(6.1)


def test_a_kill_takes_every_free_token_at_once() -> None:
    pace = Pace(TEN)
    for _ in range(10):
        assert pace.ready_at(5.0, urgent=True) == 5.0
        pace.take(5.0)

    assert pace.ready_at(5.0, urgent=True) == NEVER


def test_routine_requests_are_evenly_spaced_and_the_first_leaves_at_once() -> None:
    pace = Pace(TEN)

    assert pace.ready_at(5.0, urgent=False) == 5.0

    pace.take(5.0)

    assert pace.ready_at(5.0, urgent=False) == pytest.approx(5.1)
    assert pace.ready_at(6.0, urgent=False) == 6.0


def test_full_requests_make_up_for_a_late_start_but_for_half_a_window_at_most() -> None:
    """Ids are here since 5.0; nothing could leave before 5.25, and nothing again before 8.0."""
    late, very_late = Pace(TEN), Pace(TEN)
    for now, pace, at_once in ((5.25, late, 3), (8.0, very_late, 6)):
        for _ in range(at_once):
            assert pace.ready_at(now, urgent=False, since=5.0) == now
            pace.take(now, since=5.0)

        assert pace.ready_at(now, urgent=False) == pytest.approx(now + 0.1)
        assert now < pace.ready_at(now, urgent=False, since=5.0) <= now + 0.1


def test_full_requests_in_time_keep_their_distance() -> None:
    pace = Pace(TEN)
    pace.take(5.0, since=4.0)

    assert pace.ready_at(5.0, urgent=False, since=5.0) == pytest.approx(5.0)

    pace.take(5.0, since=5.0)

    assert pace.ready_at(5.0, urgent=False, since=5.0) == pytest.approx(5.1)


def test_a_cancel_by_another_route_is_kept_at_a_distance_but_takes_no_token() -> None:
    pace = Pace(TEN)
    pace.passed(5.0)

    assert pace.free(5.0) == 10
    assert pace.ready_at(5.0, urgent=False) == pytest.approx(5.1)


def test_a_long_window_is_not_spaced_but_leaves_a_share_to_a_kill() -> None:
    pace = Pace(LONG)
    burst(pace, 39, 5.0)

    assert pace.ready_at(5.0, urgent=False) == 5.0

    pace.take(5.0)

    assert pace.ready_at(5.0, urgent=False) == NEVER
    assert pace.ready_at(5.0, urgent=True) == 5.0


@pytest.mark.parametrize(("of_cancels", "ready_at"), [(True, NEVER), (False, 5.0)])
def test_a_kills_look_up_leaves_a_share_of_a_long_window_to_cancels(
    of_cancels: bool, ready_at: float
) -> None:
    pace = Pace(LONG)
    pace.of_cancels = of_cancels
    burst(pace, 40, 5.0)

    assert pace.ready_at(5.0, urgent=True, lookup=True) == ready_at
    assert pace.ready_at(5.0, urgent=True) == 5.0


def test_tokens_of_a_long_window_are_dear_where_they_come_back_slowly_and_do_not_suffice() -> (
    None
):
    pace = Pace(Quota(2000, 60.0))  # 400 of them are kept for kills

    assert pace.dear(40, 41, 5.0)
    assert not pace.dear(40, 40, 5.0)
    assert not pace.dear(4, 401, 5.0)
    assert not Pace(TEN).dear(5, 9, 5.0)
    assert Pace(TEN).slow(5)


def test_a_look_up_keeps_its_distance_from_a_cancel_but_not_the_other_way() -> None:
    pace = Pace(TEN)
    pace.take(5.0)

    assert pace.ready_at(5.05, urgent=False, lookup=True) == pytest.approx(5.1)

    pace.take(5.1, lookup=True)

    assert pace.ready_at(5.15, urgent=False) == 5.15
    assert pace.ready_at(5.15, urgent=False, lookup=True) == pytest.approx(5.2)


def test_a_look_up_that_a_cancel_waits_for_keeps_its_distance_from_its_kind_and_cancels() -> (
    None
):
    pace = Pace(TEN)
    pace.take(5.0)

    assert pace.ready_at(5.05, urgent=False, lookup=True, awaited=True) == pytest.approx(5.1)

    pace.take(6.0, lookup=True)

    assert pace.ready_at(6.05, urgent=False, lookup=True, awaited=True) == 6.05

    pace.take(6.05, lookup=True, awaited=True)

    assert pace.ready_at(6.05, urgent=False, lookup=True) == pytest.approx(6.15)
    assert pace.ready_at(6.05, urgent=False, lookup=True, awaited=True) == pytest.approx(6.15)


@pytest.mark.parametrize(("out", "ready_at"), [(2, 5.25), (3, 5.3)])
def test_where_more_than_few_tokens_are_out_every_look_up_keeps_its_distance(
    out: int, ready_at: float
) -> None:
    pace = Pace(TEN)
    for _ in range(out):
        pace.take(5.2, lookup=True)

    found = pace.ready_at(5.25, urgent=False, lookup=True, awaited=True)
    assert found == pytest.approx(ready_at)


@pytest.mark.parametrize(("spare", "ready"), [(0, True), (2, True), (3, False), (99, False)])
def test_spare_tokens_stay_free(spare: int, ready: bool) -> None:
    pace = Pace(TEN)
    burst(pace, 7, 5.0)

    assert (pace.ready_at(5.0, urgent=True, spare=spare) == 5.0) is ready


def test_so_many_spare_tokens_that_none_is_left_wait_for_all_to_be_free() -> None:
    pace = Pace(TEN)

    assert pace.ready_at(5.0, urgent=True, spare=99) == 5.0


def test_a_new_owner_waits_a_short_window_out() -> None:
    pace = Pace(TEN)
    pace.assume_spent(5.0)

    assert pace.free(5.99) == 0
    assert pace.free(6.0) == 10


def test_to_a_new_owner_a_long_window_comes_back_evenly() -> None:
    pace = Pace(LONG)
    pace.assume_spent(5.0)

    assert pace.free(5.0) == 1
    assert pace.free(10.0) == pytest.approx(26, abs=1)
    assert pace.free(15.0) == 50


steps = st.lists(
    st.tuples(st.floats(0.0, 0.4), st.booleans(), st.floats(0.0, 1.0)), max_size=60
)


@given(st.integers(1, 6), steps)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, plan: list[tuple[float, bool, float]]
) -> None:
    """Requests leave when they may; the venue stamps each anywhere until its response."""
    pace, now, stamps = Pace(Quota(limit, 1.0)), 100.0, list[float]()
    for rtt_s, urgent, stamped in plan:
        now = max(now, pace.ready_at(now, urgent=urgent))
        pace.take(now)
        stamps.append(now + rtt_s * stamped)
        now += rtt_s
        pace.release(now)
    stamps.sort()

    assert all(b - a > 1.0 - 1e-9 for a, b in zip(stamps, stamps[limit:], strict=False))


def test_a_long_backlog_leaves_one_token_to_a_kill() -> None:
    """Ten a second, never a rest: after half a minute a kill finds a token at once."""
    pace = Pace(Quota(10, 1.0))
    now, waits = 0.0, []
    while now < 2 * LONG_USE_S:
        now = pace.ready_at(now, urgent=False)
        waits.append((now, pace.ready_at(now, urgent=True, spare=1) - now))
        pace.take(now)
        pace.release(now + 0.05)

    assert max(wait for at, wait in waits if at < LONG_USE_S) > 0
    assert max(wait for at, wait in waits if at > LONG_USE_S + 1) == 0


def test_a_long_backlog_leaves_nothing_to_a_kill_that_has_another_route() -> None:
    pace = Pace(TEN)
    pace.leaves_one = False
    burst(pace, 9, 5.0)

    assert pace.ready_at(5.0 + LONG_USE_S, urgent=False) == 5.0 + LONG_USE_S
