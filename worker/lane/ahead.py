"""Which list the proof of each kill of a lane needs next. Pure but for its counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from venues.base import Route, Venue
from worker.lane.waiting import Group, Item
from worker.orders.follow import next_route
from worker.orders.plan import group_key, lookup_routes
from worker.orders.progress import MOST_REMEMBERED, OrderProgress, Phase


@dataclass(slots=True, eq=False)
class _Line:
    """Kills that will be sought in one list together, there already or on their way."""

    route: Route
    kills: int = 0


class Ahead:
    """Counts the kills of a lane, from when they come in until they leave it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._lines: dict[tuple[str, tuple[str, ...]], _Line] = {}
        self._at: dict[Item, _Line | None] = {}

    def __len__(self) -> int:
        """Return how many kills are in the lane."""
        return len(self._at)

    def note(self, item: Item) -> None:
        """Note where a kill stands now; one that is being sought in a list is in no line."""
        sought = item.flying and item.progress.phase is not Phase.CANCEL
        self._move(item, None if sought else self._line_of(item.progress))

    def forget(self, item: Item) -> None:
        """Note that an id is out of the lane."""
        left = self._at.pop(item, None)
        if left is not None:
            left.kills -= 1

    def of(self, group: Group) -> int:
        """Return how many kills have a group's list before them, at its first page."""
        head = group.head()
        key = group_key(group.route, head.progress) if head is not None else ()
        line = self._lines.get((group.route.name, key))
        return line.kills if line is not None else 0

    def drawing(self, route: Route) -> int:
        """Return how many kills have a list before them that draws the route's quotas."""
        return sum(
            line.kills for line in self._lines.values() if line.route.quotas == route.quotas
        )

    def _move(self, item: Item, line: _Line | None) -> None:
        left = self._at.get(item)
        if left is not None:
            left.kills -= 1
        if line is not None:
            line.kills += 1
        self._at[item] = line

    def _line_of(self, progress: OrderProgress) -> _Line | None:
        """Return the line of an order of which this is known."""
        found = _next_list(progress, self._venue)
        if found is None:
            return None
        route, key = found
        return self._lines.setdefault((route.name, key), _Line(route))


@lru_cache(maxsize=MOST_REMEMBERED)
def _next_list(progress: OrderProgress, venue: Venue) -> tuple[Route, tuple[str, ...]] | None:
    """Return the list in which a kill is sought next and its group key; None: no list."""
    if progress.phase is Phase.CANCEL:
        progress = progress._replace(phase=Phase.CONFIRM)
    if progress.search.page > 1 or not lookup_routes(venue, progress.shape):
        return None
    route = next_route(progress, venue)
    return route, group_key(route, progress)
