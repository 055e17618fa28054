"""Who has the processor when it is short: lanes that begin, before those under way."""

from __future__ import annotations

import pytest

from tests.support.lane import FAST, Task, ids, lane_of, leaves, orders
from worker.lane.lane import Lane
from worker.lane.load import ASK_AGAIN_S, BUSY_S, LATE_S, Load
from worker.pacing.pace import MOST_BEHIND

#: Ids of some requests; `Plain` takes eight at once.
MANY = range(80)
GAP_S = 0.1


def under_way_and_beginning(load: Load, *, kill: bool = False) -> tuple[Lane, Lane]:
    """Return a lane whose first request left at 5.0, and one whose job came then."""
    under_way, beginning = lane_of(FAST, load=load), lane_of(FAST, load=load)
    under_way.add(Task(kill=kill), orders(*MANY), 5.0)
    leaves(under_way, 5.0)
    beginning.add(Task(), orders(*MANY), 5.0)
    return under_way, beginning


def busy_at(now: float) -> Load:
    load = Load()
    load.cancel_left(2 * LATE_S, now)
    return load


def test_a_lane_that_keeps_its_pace_waits_for_one_that_begins() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))

    assert under_way.next(5.0 + GAP_S) is None
    assert under_way.next_at(5.0 + GAP_S) == pytest.approx(5.0 + GAP_S + ASK_AGAIN_S)
    assert ids(leaves(beginning, 5.0 + GAP_S)) == [str(number) for number in MANY[:8]]


def test_it_goes_on_when_the_other_has_caught_up() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    now = 5.0 + 2.5 * GAP_S
    for _ in range(3):
        assert under_way.next(now) is None
        leaves(beginning, now)

    assert ids(leaves(under_way, now)) == [str(number) for number in MANY[8:16]]


def test_it_goes_on_when_the_other_has_nothing_left() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    beginning.withdraw_all("stopping", 5.0 + GAP_S)

    assert leaves(under_way, 5.0 + GAP_S)


def test_it_waits_no_longer_than_it_can_make_up_for() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    latest = 5.0 + MOST_BEHIND * FAST["cancel_batch"].window_s

    assert under_way.next(latest - 0.01) is None
    leaves(under_way, latest)
    assert under_way.next(latest) is None

    beginning.withdraw_all("stopping", latest)
    for _ in range(4):  # with the one above, all that were due by now
        leaves(under_way, latest)
    assert under_way.next(latest) is None


def test_a_kill_waits_for_nobody() -> None:
    under_way, _ = under_way_and_beginning(busy_at(5.0), kill=True)

    assert leaves(under_way, 5.0)


def test_a_request_that_is_not_full_waits_for_nobody() -> None:
    """It could not be made up for: more ids may join it."""
    load = busy_at(5.0)
    under_way, beginning = lane_of(FAST, load=load), lane_of(FAST, load=load)
    under_way.add(Task(), orders(1), 5.0)
    leaves(under_way, 5.0)
    beginning.add(Task(), orders(*MANY), 5.0)
    under_way.add(Task(), orders(2), 5.0 + GAP_S)

    assert ids(leaves(under_way, 5.0 + GAP_S)) == ["2"]


@pytest.mark.parametrize("load", [Load(), busy_at(5.0 + GAP_S - BUSY_S)])
def test_nobody_waits_while_the_process_keeps_up(load: Load) -> None:
    under_way, _ = under_way_and_beginning(load)

    assert leaves(under_way, 5.0 + GAP_S)
