"""When a whole list is asked for in place of many ids (docs/decisions/0010)."""

from __future__ import annotations

from venues.base import Route
from worker.pacing.pace import NEVER

#: A whole list of more rows is longer than what is read of a body (1 MiB, 500 bytes a row).
MOST_ROWS = 2000
#: After a list that failed its ids are asked for by id for this long (seconds); twice as long
#: after each further failure.
NARROW_S = 2.0
NARROW_MOST_S = 60.0


class WholeLists:
    """Which whole lists of an account failed lately, by the names of their routes."""

    def __init__(self) -> None:
        self._narrow: dict[str, tuple[float, float]] = {}  # since when, and for how long

    def most_ids(
        self, route: Route, page: int, open_orders: int, now: float, *, urgent: bool = False
    ) -> int:
        """Return how many ids a request may be for.

        `open_orders` is how many rows the list has at least. A page after the first is of a
        list that may have been cut, and is asked for by id. A kill (`urgent`) does not try a
        list that overlaps one that failed lately, either.
        """
        narrow = self._narrow_until(route.name)
        if urgent:
            narrow = max(narrow, self._narrow_until(route.overlaps))
        if page > 1 or now < narrow or open_orders > MOST_ROWS:
            return route.max_ids
        return max(route.max_ids, route.list_all_ids)

    def _narrow_until(self, name: str) -> float:
        since, pause_s = self._narrow.get(name, (-NEVER, 0.0))
        return since + pause_s

    def came(self, route: Route) -> None:
        """Note that a whole list was read."""
        self._narrow.pop(route.name, None)

    def did_not_come(self, route: Route, now: float) -> None:
        """Note that a whole list was too long, or came too late."""
        _, last_s = self._narrow.get(route.name, (0.0, NARROW_S / 2))
        pause_s = min(NARROW_MOST_S, 2 * last_s)
        self._narrow[route.name] = now, pause_s
