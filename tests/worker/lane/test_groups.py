"""Ids wait in the group with which they may travel, or for their time to come."""

from __future__ import annotations

from itertools import count

from tests.simulation.toys import Plain
from venues.words import IdKind, OrderRef
from worker.lane.entry import Entry, Group, dequeue, full_since
from worker.lane.groups import Groups
from worker.orders.progress import OrderProgress, Phase, Search, new_progress
from worker.pacing.pace import NEVER

_seq = count()


def entries(*ids: str, symbol: str = "AAA", kill: bool = False, **known: object) -> list[Entry]:
    """Return ids of which the same is known."""
    refs = [OrderRef(order_id, IdKind.VENUE, symbol) for order_id in ids]
    progress: OrderProgress = new_progress(refs[0])._replace(**known)  # type: ignore[arg-type]
    return [Entry(r.id, r.id, r[1:4], progress, (), next(_seq), kill, 5.0) for r in refs]


def held(queues: Groups) -> dict[tuple[str, str], tuple[list[str], int]]:
    """Return the ids of each group, most pressing first, by route and symbol; and its kills.

    Takes them all out.
    """
    found = {}
    for group in queues.groups:
        head, size, kills = group.head(), group.size, group.kills_here
        if head is not None:
            taken = group.take(100)
            assert (len(taken), sum(entry.kill for entry in taken)) == (size, kills)
            assert (group.size, group.kills_here) == (0, 0)
            names = [entry.ref.id for entry in taken]
            found[group.route.name, head.ref.symbol] = (names, kills)
    return found


def only(queues: Groups) -> Group:
    (group,) = queues.groups
    return group


def test_ids_wait_with_those_that_they_may_travel_with() -> None:
    queues = Groups(Plain())
    for same in (
        entries("1", "2"),
        entries("3", symbol="BBB"),
        entries("4", kill=True),
        entries("5", phase=Phase.CONFIRM),
    ):
        queues.put(same, 5.0, 5.0)

    assert held(queues) == {
        ("cancel_batch", "AAA"): (["4", "1", "2"], 1),
        ("cancel_batch", "BBB"): (["3"], 0),
        ("lookup", "AAA"): (["5"], 0),
    }


def test_ids_whose_time_comes_together_wait_apart_where_they_may_not_travel_together() -> None:
    queues = Groups(Plain())
    for same in (
        entries("1"),
        entries("2", symbol="BBB"),
        entries("3", kill=True),
        entries("4"),
    ):
        queues.put(same, 6.0, 5.0)
    queues.put(entries("late"), 6.5, 5.0)
    queues.wake(5.9)

    assert (queues.wakes_at, held(queues)) == (6.0, {})

    queues.wake(6.0)

    assert queues.wakes_at == 6.5
    assert held(queues) == {
        ("cancel_batch", "AAA"): (["3", "1", "4"], 1),
        ("cancel_batch", "BBB"): (["2"], 0),
    }

    queues.wake(6.5)

    assert (queues.wakes_at, list(held(queues).values())) == (NEVER, [(["late"], 0)])


def test_one_that_a_cancel_waits_for_is_looked_for_before_older_ones() -> None:
    queues = Groups(Plain())
    old, new = entries("old", phase=Phase.CONFIRM), entries("new", phase=Phase.CONFIRM)
    pressing = entries("pressing", "next", phase=Phase.PRECHECK)
    for same in (new, pressing, old):
        queues.put(same, 5.0, 5.0)

    (found, _), *rest = held(queues).values()
    assert (found, rest) == (["pressing", "next", "old", "new"], [])


def test_ids_go_in_the_order_in_which_they_came_whoever_they_come_back_with() -> None:
    queues = Groups(Plain())
    first, second, third = entries("1", "2", "3")
    queues.put([first, third], 5.0, 5.0)
    queues.put([second], 5.0, 5.0)

    assert held(queues) == {("cancel_batch", "AAA"): (["1", "2", "3"], 0)}


def test_a_page_parts_look_ups_only() -> None:
    queues = Groups(Plain())
    for page in 1, 2:
        queues.put(entries(f"cancel-{page}"), 5.0, 5.0)
        look = entries(f"look-{page}", phase=Phase.CONFIRM, search=Search(page=page))
        queues.put(look, 5.0, 5.0)

    assert sorted((group.route.name, group.page, group.size) for group in queues.groups) == [
        ("cancel_batch", 1, 2),
        ("lookup", 1, 1),
        ("lookup", 2, 1),
    ]


def test_an_id_that_is_taken_out_of_its_queue_is_counted_and_found_there_no_more() -> None:
    queues = Groups(Plain())
    routine, kills = entries("1", "2", "3"), entries("4", "5", kill=True)
    queues.put(routine, 5.0, 5.0)
    queues.put(kills, 5.0, 5.0)
    for entry in routine[0], kills[0], kills[0]:
        dequeue(entry)

    assert (only(queues).size, only(queues).kills_here) == (3, 1)
    assert held(queues) == {("cancel_batch", "AAA"): (["5", "2", "3"], 1)}


def test_an_id_that_goes_back_to_its_queue_has_one_place_there() -> None:
    queues = Groups(Plain())
    (entry,) = entries("1")
    queues.put([entry], 6.0, 5.0)
    queues.put([entry], 5.0, 5.0)
    queues.wake(6.0)

    assert held(queues) == {("cancel_batch", "AAA"): (["1"], 0)}


def test_a_group_gives_no_more_than_was_asked_for_and_counts_the_rest() -> None:
    queues = Groups(Plain())
    queues.put(entries("1", "2", "3"), 5.0, 5.0)
    queues.put(entries("4", "5", kill=True), 5.0, 5.0)
    group = only(queues)

    assert [entry.ref.id for entry in group.take(1)] == ["4"]
    assert (group.size, group.kills_here) == (4, 1)
    assert [entry.ref.id for entry in group.take(2)] == ["5", "1"]
    assert (group.size, group.kills_here) == (2, 0)


def test_a_group_is_forgotten_after_its_turn_when_it_is_empty() -> None:
    queues = Groups(Plain())
    queues.put(entries("1"), 5.0, 5.0)

    assert [group.size for group in queues.each()] == [1]

    only(queues).take(1)

    assert [group.size for group in queues.each()] == [0]
    assert list(queues.each()) == []


def test_ids_that_wait_for_a_cancel_are_counted_and_those_of_kills_apart() -> None:
    queues = Groups(Plain())
    for same in (
        entries(*(f"{n}" for n in range(33))),
        entries("k", symbol="BBB", kill=True),
        entries("look", phase=Phase.CONFIRM),
    ):
        queues.put(same, 5.0, 5.0)

    assert [count for _, count in queues.cancels(urgent=False)] == [33, 1]
    assert [count for _, count in queues.cancels(urgent=True)] == [1]


def test_a_request_is_full_since_its_first_id_is_here() -> None:
    queues = Groups(Plain())
    queues.put(entries(*(f"{n}" for n in range(7))), 6.0, 6.0)

    assert full_since(only(queues)) == NEVER

    queues.put(entries("8"), 6.0, 6.0)

    assert full_since(only(queues)) == 5.0
