"""Look-ups for kills that wait for a token; no step of the kill waits for them."""

from __future__ import annotations

from collections.abc import Iterable

from venues.base import Route, Venue
from venues.words import OrderRef, OrdType
from worker.lane.entry import Entry, Group, is_lookup
from worker.orders.follow import next_route
from worker.orders.progress import Phase
from worker.orders.routes import batch_key, lookup_routes

#: Ids that may share a look, as in `Lane`: the route and what they must have in common.
_Company = tuple[Route, tuple[str, ...]]


class AdvisoryLooks:
    """Look-ups for kills that wait for a token, at venues that forget canceled orders.

    Only a look-up before the cancel shows there that there was an order (docs/decisions/0014).
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._unseen: list[Entry] = []

    def add(self, entries: Iterable[Entry]) -> None:
        """Take in ids that came with a kill, in the order of cancels.

        An id whose type nobody stated is left out: to learn its type would part it from the
        others of its batch, and so take one more cancel request.
        """
        if self._venue.forgets_canceled:
            self._unseen += [entry for entry in entries if self._can_be_seen(entry)]

    def _can_be_seen(self, entry: Entry) -> bool:
        stated = entry.progress.ord_type is not OrdType.ANY
        return stated and bool(lookup_routes(self._venue, entry.progress.shape))

    def group(self, now: float) -> Group | None:
        """Return the first id to look for: the last to be canceled, as it waits longest."""
        while self._unseen and not _waits_for_its_cancel(self._unseen[-1], now):
            self._unseen.pop()
        if not self._unseen:
            return None
        entry = self._unseen[-1]
        route, _ = self._company(entry)
        return Group(
            route, 1, kills=[(entry.place, entry.version, entry)], size=1, kills_here=1
        )

    def take(self, most: int, now: float) -> tuple[Entry, ...]:
        """Return the ids that are looked for together, each once."""
        company = self._company(self._unseen[-1])
        taken: dict[OrderRef, Entry] = {}
        while self._unseen and len(taken) < most:
            entry = self._unseen[-1]
            if _waits_for_its_cancel(entry, now):
                if self._company(entry) != company:
                    break
                taken.setdefault(entry.known, entry)
            self._unseen.pop()
        return tuple(taken.values())

    def _company(self, entry: Entry) -> _Company:
        look = entry.progress._replace(phase=Phase.PRECHECK)
        route = next_route(look, self._venue)
        return route, batch_key(route, look)


def _waits_for_its_cancel(entry: Entry, now: float) -> bool:
    group = entry.group
    waits = group is not None and not is_lookup(group.route)
    return waits and not entry.progress.type_known and now < entry.deadline
