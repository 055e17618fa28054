"""When what is left of a job goes again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.words import IdKind, OrderRef
from worker.orders.progress import new_progress
from worker.orders.retry import (
    LONGEST_BACKOFF_S,
    RetryDecision,
    Returned,
    backoff_s,
    retry_decision,
)

REF = OrderRef("1", IdKind.VENUE)


def parked(not_before: float, why: str = "throttled") -> Returned:
    return Returned(REF, new_progress(REF), not_before, why)


def test_nothing_left_is_not_tried_again() -> None:
    assert retry_decision([], 10.0, 99.0) is None


def test_at_the_deadline_nothing_goes_again() -> None:
    assert retry_decision([parked(5.0)], 99.0, 99.0) is None


@pytest.mark.parametrize(
    ("not_before", "countdown_s"),
    [(5.0, 1), (10.0, 1), (10.2, 1), (11.0, 1), (11.01, 2), (14.5, 5), (500.0, 20)],
)
def test_the_wait_is_in_whole_seconds_and_ends_at_the_deadline(
    not_before: float, countdown_s: int
) -> None:
    assert retry_decision([parked(not_before)], 10.0, 30.0) == RetryDecision(
        countdown_s, "throttled"
    )


def test_the_last_id_decides_when_and_why() -> None:
    left = [parked(12.0, "http_503"), parked(15.0, "banned"), parked(11.0)]
    named_last = parked(11.0)._replace(ref=OrderRef("9", IdKind.VENUE))

    assert retry_decision([*left, named_last], 10.0, 99.0) == RetryDecision(5, "banned")


class Longest(random.Random):
    """Dice that always fall on the highest number."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(
    ("attempt", "most_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (5000, 30.0)]
)
def test_a_wait_doubles_up_to_its_bound(attempt: int, most_s: float) -> None:
    assert backoff_s(attempt, 0.5, Longest()) == most_s
    assert most_s <= LONGEST_BACKOFF_S


@given(st.integers(1, 10_000), st.floats(0.01, 5.0), st.integers())
def test_a_backoff_grows_to_a_limit(attempt: int, base_s: float, seed: int) -> None:
    wait_s = backoff_s(attempt, base_s, random.Random(seed))

    assert 0.0 <= wait_s <= min(LONGEST_BACKOFF_S, base_s * 2.0 ** min(attempt - 1, 16))


@given(
    st.lists(st.floats(0.0, 100.0), min_size=1), st.floats(0.0, 100.0), st.floats(0.0, 100.0)
)
def test_no_wait_is_cut_short_but_by_the_deadline(
    times: list[float], now: float, deadline: float
) -> None:
    decision = retry_decision([parked(when) for when in times], now, deadline)

    if decision is None:
        assert now >= deadline
    else:
        assert decision.countdown_s >= 1
        assert now + decision.countdown_s >= min(max(times), deadline) - 1e-9
