"""Which list the proof of each kill of a lane needs next. Pure but for its counts."""

from __future__ import annotations

from collections import Counter

from venues.base import Route, Venue
from worker.follow import Track, all_but_id, next_route
from worker.model import Purpose
from worker.plan import group_key, lookup_routes
from worker.waiting import Group, Item

#: A list, and what ids must share to be sought in it together.
_List = tuple[Route, tuple[str, ...]]


class Ahead:
    """Counts the kills of a lane, from when they come in until they leave it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._lists: dict[Item, _List | None] = {}
        self._named: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._drawing: Counter[tuple[str, ...]] = Counter()
        self._like: tuple[tuple[object, ...], bool, _List | None] | None = None

    def __len__(self) -> int:
        """Return how many kills are in the lane."""
        return len(self._lists)

    def note(self, item: Item) -> None:
        """Note where a kill stands now."""
        self._count(self._lists.get(item), -1)
        self._lists[item] = ahead = self._list_of(item)
        self._count(ahead, 1)

    def forget(self, item: Item) -> None:
        """Note that an id is out of the lane."""
        self._count(self._lists.pop(item, None), -1)

    def of(self, group: Group) -> int:
        """Return how many kills have a group's list before them, at its first page."""
        head = group.head()
        key = group_key(group.route, head.track.known) if head is not None else ()
        return self._named[group.route.name, key]

    def drawing(self, route: Route) -> int:
        """Return how many kills have a list before them that draws the route's quotas."""
        return self._drawing[route.quotas]

    def _count(self, ahead: _List | None, one: int) -> None:
        if ahead is not None:
            route, key = ahead
            self._named[route.name, key] += one
            self._drawing[route.quotas] += one

    def _list_of(self, item: Item) -> _List | None:
        """Return the next list of an id; one that comes right after its like has the same."""
        like = all_but_id(item.track)
        if self._like is None or self._like[:2] != (like, item.flying):
            self._like = like, item.flying, self._find(item.track, flying=item.flying)
        return self._like[2]

    def _find(self, track: Track, *, flying: bool) -> _List | None:
        """Return the next list; None while one is read, or its pages are turned."""
        if track.purpose is Purpose.CANCEL:
            track = track._replace(purpose=Purpose.LOOKUP, absent=(), early=False, page=1)
        elif flying:
            return None
        if track.page > 1 or not lookup_routes(self._venue, track.shape):
            return None
        route = next_route(track, self._venue)
        return route, group_key(route, track.known)
