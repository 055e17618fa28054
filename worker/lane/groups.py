"""Where the ids of a lane wait: in groups that travel together, or for their time to come."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from venues.base import ENDED_STAGE, Route, Venue
from worker.lane.entry import Entry, Group, GroupKey, is_lookup, is_urgent
from worker.orders.follow import next_route
from worker.orders.progress import MOST_REMEMBERED, OrderProgress
from worker.orders.routes import batch_key
from worker.pacing.pace import NEVER


class Groups:
    """All ids of a lane that wait. All times are monotonic seconds."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._tickets = itertools.count(1)
        self._groups: dict[GroupKey, Group] = {}
        self._later: list[tuple[float, int, Entry]] = []

    @property
    def groups(self) -> Collection[Group]:
        """All groups; some may be empty."""
        return self._groups.values()

    @property
    def wakes_at(self) -> float:
        """When the next ids wake that wait for a time; NEVER if there are none."""
        return self._later[0][0] if self._later else NEVER

    def cancels(self, *, urgent: bool) -> list[tuple[Route, int]]:
        """Return routes with their number of ids that wait for a cancel; `urgent`: of kills."""
        return [
            (group.route, group.size)
            for group in self._groups.values()
            if not is_lookup(group.route) and (not urgent or is_urgent(group))
        ]

    def put(self, entries: Sequence[Entry], not_before: float, now: float) -> None:
        """Queue ids of one progress for their next step; all of them are kills, or none is."""
        for entry in entries:
            entry.version = next(self._tickets)
            entry.since = not_before
        if not_before <= now:
            self._enter(entries)
            return
        for entry in entries:
            heapq.heappush(self._later, (not_before, entry.version, entry))

    def wake(self, now: float) -> None:
        """Move the ids whose time has come into their groups."""
        awake: list[Entry] = []
        while self._later and self._later[0][0] <= now:
            _, version, entry = heapq.heappop(self._later)
            if version == entry.version:
                awake.append(entry)
        for _, same in groupby(awake, key=lambda entry: (entry.progress, entry.kill)):
            self._enter(list(same))

    def joining(self, group: Group) -> Iterator[Group]:
        """Yield those who begin to read a group's record: they go with its next page."""
        begins = group.page == 1
        if not (begins or group.read) or group.route.life_stage < ENDED_STAGE:
            return
        for again in (False, True) if begins else (False,):
            other = self._groups.get(_key(group.route, 1, group.company, again=again))
            if other is not None and other is not group:
                yield other

    def each(self) -> Iterator[Group]:
        """Yield each group; forget it if it is empty afterwards."""
        for key, group in list(self._groups.items()):
            yield group
            if not group.size:
                del self._groups[key]

    def _enter(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        group, kill = self._group_of(entries[0].progress), entries[0].kill
        queue = group.kills if kill else group.routines
        first = entries[0].place - entries[0].seq  # the same for all of one progress
        for entry in entries:
            heapq.heappush(queue, (first + entry.seq, entry.version, entry))
            entry.group = group
        group.size += len(entries)
        group.kills_here += kill * len(entries)

    def _group_of(self, progress: OrderProgress) -> Group:
        """Return the group of an order of which this is known."""
        route, key = _next_request(progress, self._venue)
        group = self._groups.get(key)
        if group is None:
            read, again = progress.search.read, bool(progress.search.until)
            company = batch_key(route, progress)
            group = Group(
                route, key[1], read.rows, read.size, read.cursor, again=again, company=company
            )
            self._groups[key] = group
        return group


@lru_cache(maxsize=MOST_REMEMBERED)
def _next_request(progress: OrderProgress, venue: Venue) -> tuple[Route, GroupKey]:
    """Return the route of an order's next step and what it must share with its company."""
    route = next_route(progress, venue)
    search, company = progress.search, batch_key(route, progress)
    if search.read.rows:
        rows, size, _, _, cursor = search.read
        return route, (route.name, search.page, (*company, str(rows), str(size), cursor))
    return route, _key(route, search.page, company, again=bool(search.until))


def _key(route: Route, page: int, company: tuple[str, ...], *, again: bool) -> GroupKey:
    return route.name, page, (*company, "again") if again else company
