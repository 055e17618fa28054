"""The venue's time: never the same twice, corrected once, and no excuse for a bad key."""

from __future__ import annotations

import pytest

from venues.base import HttpReply
from worker.processes.venue_clock import CLOCK_OFF_MS, VenueClock, stated_ms

#: Our time in ms, and the same instant on the clock of a venue ten minutes behind.
NOW_MS = 1_700_000_000_000
VENUE_MS = NOW_MS - 600_000


class Wall:
    """A clock that a test moves by hand (seconds)."""

    def __init__(self) -> None:
        self.now = NOW_MS / 1000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def clock(wall: Wall) -> VenueClock:
    return VenueClock(wall)


def test_no_time_comes_twice(clock: VenueClock, wall: Wall) -> None:
    burst = [clock.now_ms() for _ in range(3)]
    wall.now -= 5  # somebody has set the machine's clock back
    after = clock.now_ms()
    wall.now += 6

    assert burst == [NOW_MS, NOW_MS + 1, NOW_MS + 2]
    assert after == NOW_MS + 3
    assert clock.now_ms() == NOW_MS + 1000


def test_a_correction_moves_the_time_back(clock: VenueClock, wall: Wall) -> None:
    clock.now_ms()

    assert clock.correct(VENUE_MS, now=10.0) == VENUE_MS - NOW_MS
    assert clock.now_ms() == VENUE_MS
    wall.now += 1
    assert clock.now_ms() == VENUE_MS + 1000


@pytest.mark.parametrize(
    ("venue_ms", "explains"),
    [
        (NOW_MS, False),
        (NOW_MS + CLOCK_OFF_MS, False),
        (NOW_MS + CLOCK_OFF_MS + 1, True),
        (NOW_MS - CLOCK_OFF_MS - 1, True),
        (None, False),
    ],
)
def test_only_a_clock_that_is_off_explains_a_refusal(
    clock: VenueClock, venue_ms: int | None, explains: bool
) -> None:
    assert clock.explains(started=1.0, venue_ms=venue_ms) is explains


def test_what_the_clock_before_signed_proves_nothing(clock: VenueClock) -> None:
    clock.correct(VENUE_MS, now=10.0)

    assert clock.explains(started=9.0, venue_ms=VENUE_MS)
    assert clock.was_corrected_after(10.0)
    assert not clock.was_corrected_after(10.1)
    assert not clock.explains(started=10.1, venue_ms=VENUE_MS)


def test_a_venue_that_refuses_its_own_time_is_not_believed_again(clock: VenueClock) -> None:
    clock.correct(VENUE_MS, now=10.0)

    assert clock.correct(VENUE_MS - 1000, now=11.0) is None
    assert clock.now_ms() == VENUE_MS


def test_after_our_clock_was_set_the_venues_time_is_taken_anew(
    clock: VenueClock, wall: Wall
) -> None:
    """Else a halted account would never resume: its offset belongs to a clock that is gone."""
    clock.correct(VENUE_MS, now=10.0)
    assert clock.correct(VENUE_MS, now=11.0) is None
    wall.now = VENUE_MS / 1000 + 60

    assert clock.correct(VENUE_MS + 60_000, now=70.0) == 0


def test_a_time_that_was_accepted_may_be_corrected_anew(clock: VenueClock) -> None:
    clock.correct(VENUE_MS, now=10.0)
    clock.accepted()

    assert clock.correct(VENUE_MS - 1000, now=11.0) == VENUE_MS - 1000 - NOW_MS


def test_without_a_stated_time_nothing_is_corrected(clock: VenueClock) -> None:
    assert clock.correct(None, now=10.0) is None
    assert clock.now_ms() == NOW_MS


@pytest.mark.parametrize(
    ("headers", "ms"),
    [
        ({"date": "Tue, 14 Nov 2023 22:13:20 GMT"}, NOW_MS),
        ({"date": "yesterday"}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_the_date_of_a_reply(headers: dict[str, str], ms: int | None) -> None:
    reply = HttpReply(status=401, headers=headers, json=None, text="", received_at=0.0)

    assert stated_ms(reply) == ms
