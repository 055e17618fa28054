"""Ids wait in the group with which they may travel, or for their time to come."""

from __future__ import annotations

from itertools import count

from tests.simulation.toys import Plain
from venues.words import IdKind, OrderRef
from worker.lane.queues import Queues
from worker.lane.waiting import Group, Item, full_since, unqueue
from worker.orders.progress import OrderProgress, Phase, Search, new_progress
from worker.pacing.pace import NEVER

_seq = count()


def items(*ids: str, symbol: str = "AAA", kill: bool = False, **known: object) -> list[Item]:
    """Return ids of which the same is known."""
    refs = [OrderRef(order_id, IdKind.VENUE, symbol) for order_id in ids]
    progress: OrderProgress = new_progress(refs[0])._replace(**known)  # type: ignore[arg-type]
    return [Item((ref.id,), ref, progress, {}, next(_seq), kill, 5.0) for ref in refs]


def held(queues: Queues) -> dict[tuple[str, str], tuple[list[str], int]]:
    """Return the ids of each group, most pressing first, by route and symbol; and its kills.

    Takes them all out.
    """
    found = {}
    for group in queues.groups:
        head, size, kills = group.head(), group.size, group.kills_here
        if head is not None:
            taken = group.take(100)
            assert (len(taken), sum(item.kill for item in taken)) == (size, kills)
            assert (group.size, group.kills_here) == (0, 0)
            names = [item.ref.id for item in taken]
            found[group.route.name, head.ref.symbol] = (names, kills)
    return found


def only(queues: Queues) -> Group:
    (group,) = queues.groups
    return group


def test_ids_wait_with_those_that_they_may_travel_with() -> None:
    queues = Queues(Plain())
    for same in (
        items("1", "2"),
        items("3", symbol="BBB"),
        items("4", kill=True),
        items("5", phase=Phase.CONFIRM),
    ):
        queues.put(same, 5.0, 5.0)

    assert held(queues) == {
        ("cancel_batch", "AAA"): (["4", "1", "2"], 1),
        ("cancel_batch", "BBB"): (["3"], 0),
        ("lookup", "AAA"): (["5"], 0),
    }


def test_ids_whose_time_comes_together_wait_apart_where_they_may_not_travel_together() -> None:
    queues = Queues(Plain())
    for same in (items("1"), items("2", symbol="BBB"), items("3", kill=True), items("4")):
        queues.put(same, 6.0, 5.0)
    queues.put(items("late"), 6.5, 5.0)
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
    queues = Queues(Plain())
    old, new = items("old", phase=Phase.CONFIRM), items("new", phase=Phase.CONFIRM)
    pressing = items("pressing", "next", phase=Phase.PRECHECK)
    for same in (new, pressing, old):
        queues.put(same, 5.0, 5.0)

    (found, _), *rest = held(queues).values()
    assert (found, rest) == (["pressing", "next", "old", "new"], [])


def test_ids_go_in_the_order_in_which_they_came_whoever_they_come_back_with() -> None:
    queues = Queues(Plain())
    first, second, third = items("1", "2", "3")
    queues.put([first, third], 5.0, 5.0)
    queues.put([second], 5.0, 5.0)

    assert held(queues) == {("cancel_batch", "AAA"): (["1", "2", "3"], 0)}


def test_a_page_parts_look_ups_only() -> None:
    queues = Queues(Plain())
    for page in 1, 2:
        queues.put(items(f"cancel-{page}"), 5.0, 5.0)
        look = items(f"look-{page}", phase=Phase.CONFIRM, search=Search(page=page))
        queues.put(look, 5.0, 5.0)

    assert sorted((group.route.name, group.page, group.size) for group in queues.groups) == [
        ("cancel_batch", 1, 2),
        ("lookup", 1, 1),
        ("lookup", 2, 1),
    ]


def test_an_id_that_is_taken_out_of_its_queue_is_counted_and_found_there_no_more() -> None:
    queues = Queues(Plain())
    routine, kills = items("1", "2", "3"), items("4", "5", kill=True)
    queues.put(routine, 5.0, 5.0)
    queues.put(kills, 5.0, 5.0)
    for item in routine[0], kills[0], kills[0]:
        unqueue(item)

    assert (only(queues).size, only(queues).kills_here) == (3, 1)
    assert held(queues) == {("cancel_batch", "AAA"): (["5", "2", "3"], 1)}


def test_an_id_that_goes_back_to_its_queue_has_one_place_there() -> None:
    queues = Queues(Plain())
    (item,) = items("1")
    queues.put([item], 6.0, 5.0)
    queues.put([item], 5.0, 5.0)
    queues.wake(6.0)

    assert held(queues) == {("cancel_batch", "AAA"): (["1"], 0)}


def test_a_group_gives_no_more_than_was_asked_for_and_counts_the_rest() -> None:
    queues = Queues(Plain())
    queues.put(items("1", "2", "3"), 5.0, 5.0)
    queues.put(items("4", "5", kill=True), 5.0, 5.0)
    group = only(queues)

    assert [item.ref.id for item in group.take(1)] == ["4"]
    assert (group.size, group.kills_here) == (4, 1)
    assert [item.ref.id for item in group.take(2)] == ["5", "1"]
    assert (group.size, group.kills_here) == (2, 0)


def test_a_group_is_forgotten_after_its_turn_when_it_is_empty() -> None:
    queues = Queues(Plain())
    queues.put(items("1"), 5.0, 5.0)

    assert [group.size for group in queues.each()] == [1]

    only(queues).take(1)

    assert [group.size for group in queues.each()] == [0]
    assert list(queues.each()) == []


def test_cancels_that_wait_are_counted_in_requests_and_those_of_kills_apart() -> None:
    queues = Queues(Plain())
    for same in (
        items(*(f"{n}" for n in range(33))),
        items("k", symbol="BBB", kill=True),
        items("look", phase=Phase.CONFIRM),
    ):
        queues.put(same, 5.0, 5.0)

    assert [count for _, count in queues.cancels(urgent=False)] == [5, 1]
    assert [count for _, count in queues.cancels(urgent=True)] == [1]


def test_a_request_is_full_since_its_first_id_is_here() -> None:
    queues = Queues(Plain())
    queues.put(items(*(f"{n}" for n in range(7))), 6.0, 6.0)

    assert full_since(only(queues)) == NEVER

    queues.put(items("8"), 6.0, 6.0)

    assert full_since(only(queues)) == 5.0
