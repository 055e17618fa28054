"""A lane takes more as long as there is room, and never more than a prefetch at once."""

from __future__ import annotations

from collections.abc import Iterable

from worker.consumer.intake import Bounds, LaneIntake, Load

PREFETCH = 8
BOUNDS = Bounds(ids=20, size=1000, lanes=2)


def lane(of_all: Load, jobs: Iterable[tuple[str, int, int]] = ()) -> LaneIntake:
    """Return a lane that holds jobs: consumer, ids and bytes of each."""
    found = LaneIntake(PREFETCH, BOUNDS, of_all)
    for job in jobs:
        found.take(*job)
    return found


def test_a_consumer_that_is_not_used_up_is_kept() -> None:
    assert not lane(Load()).wants_more()
    assert not lane(Load(), [("t1", 1, 10)] * 5).wants_more()
    assert lane(Load(), [("t1", 1, 10)] * 6).wants_more()


def test_who_lets_go_is_handed_more_by_the_broker_itself() -> None:
    held = lane(Load(), [("t1", 1, 10)] * 6)
    held.let_go("t1", 1, 10)

    assert not held.wants_more()


def test_a_new_consumer_counts_from_nothing_and_late_messages_of_the_old_one_do_not() -> None:
    held = lane(Load(), [("t1", 1, 10)] * 6)
    held.renewed()
    held.take("t1", 1, 10)
    assert not held.wants_more()
    for _ in range(5):
        held.take("t2", 1, 10)
    assert not held.wants_more()
    held.take("t2", 1, 10)

    assert held.wants_more()


def test_no_more_is_taken_than_fits_in_ids_or_in_bytes() -> None:
    full_of_ids = lane(Load(), [("t1", 4, 10)] * 6)
    full_of_bytes = lane(Load(), [("t1", 1, 200)] * 6)

    assert not full_of_ids.wants_more()
    assert not full_of_bytes.wants_more()


def test_a_lane_has_its_share_whatever_others_hold() -> None:
    of_all = Load()
    greedy = lane(of_all, [("t1", 4, 10)] * 8)
    modest = lane(of_all, [("t2", 1, 10)] * 6)

    assert not greedy.wants_more()
    assert modest.wants_more()


def test_room_comes_back_with_what_is_let_go() -> None:
    held = lane(Load(), [("t1", 4, 10)] * 6)
    held.renewed()
    for _ in range(6):
        held.take("t2", 4, 10)
    assert not held.wants_more()
    for _ in range(6):
        held.let_go("t1", 4, 10)
    assert not held.wants_more()
    held = lane(Load(), [("t1", 1, 10)] * 6)
    assert held.wants_more()
