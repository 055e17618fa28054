"""Which list the proof of each kill needs next: counted from its coming to its going."""

from __future__ import annotations

from venues.base import Route
from venues.coinw import CoinW
from venues.words import IdKind, OrderRef, OrdType
from worker.lane.ahead import Ahead
from worker.lane.waiting import Group, Item
from worker.orders.progress import OrderProgress, Phase, Search, new_progress

VENUE = CoinW()
ROUTES = {route.name: route for route in VENUE.routes}


def item_of(number: int, *, type_known: bool = False) -> Item:
    ref = OrderRef(str(number), IdKind.VENUE, "BTC", OrdType.LIMIT)
    progress = new_progress(ref)._replace(type_known=type_known)
    return Item((number,), ref, progress, {}, number, True, 5.0)


def group_at(route: Route, item: Item) -> Group:
    return Group(route, 1, kills=[(item.seq, item.ticket, item)], size=1, kills_here=1)


def moved(item: Item, **changes: object) -> OrderProgress:
    return item.progress._replace(**changes)  # type: ignore[arg-type]


def test_a_kill_is_counted_at_the_next_list_of_its_proof() -> None:
    ahead, item = Ahead(VENUE), item_of(1)
    first, later = (
        group_at(ROUTES[f"open_{word}"], item) for word in ("trailing_stop", "tp_sl")
    )

    ahead.note(item)

    assert (ahead.of(first), ahead.of(later), len(ahead)) == (1, 0, 1)

    item.progress = moved(item, phase=Phase.CONFIRM, search=Search(("open_trailing_stop",)))
    ahead.note(item)

    assert (ahead.of(first), ahead.of(later), len(ahead)) == (0, 1, 1)


def test_a_kill_of_which_the_venue_told_the_type_has_one_list_before_it() -> None:
    ahead, item = Ahead(VENUE), item_of(1, type_known=True)

    ahead.note(item)

    assert ahead.of(group_at(ROUTES["open_limit"], item)) == 1
    assert ahead.of(group_at(ROUTES["open_trailing_stop"], item)) == 0


def test_a_kill_that_was_looked_for_before_has_all_lists_before_it_once_canceled() -> None:
    ahead, item = Ahead(VENUE), item_of(1)
    item.progress = moved(item, phase=Phase.PRECHECK, search=Search(("open_limit",)))
    ahead.note(item)
    item.progress = moved(item, phase=Phase.CANCEL, search=Search())

    ahead.note(item)

    assert ahead.of(group_at(ROUTES["open_trailing_stop"], item)) == 1


def test_a_kill_that_is_being_looked_for_or_turns_pages_is_not_waited_for() -> None:
    ahead, item = Ahead(VENUE), item_of(1)
    group = group_at(ROUTES["open_trailing_stop"], item)
    item.progress = moved(item, phase=Phase.CONFIRM)

    for flying, page, expected in ((False, 1, 1), (True, 1, 0), (False, 2, 0)):
        item.flying, item.progress = flying, moved(item, search=Search(page=page))
        ahead.note(item)

        assert (ahead.of(group), ahead.drawing(group.route)) == (expected, expected)
        assert len(ahead) == 1


def test_kills_are_counted_by_the_quotas_that_their_next_list_draws() -> None:
    ahead, items = Ahead(VENUE), [item_of(1), item_of(2, type_known=True)]
    for item in items:
        ahead.note(item)

    assert ahead.drawing(ROUTES["open_limit"]) == 2
    assert ahead.drawing(ROUTES["history"]) == 0

    for item in items:
        ahead.forget(item)
        ahead.forget(item)  # once more, as one that was never noted

    assert (ahead.drawing(ROUTES["open_limit"]), len(ahead)) == (0, 0)
