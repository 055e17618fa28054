"""The quotas of one account: a route draws from all of its own together, or from none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from venues.base import Quota, Route
from worker.lane.waiting import Group, is_lookup, is_urgent
from worker.pacing.pace import NEVER, Pace


class Tokens:
    """Says when a group of ids may leave, and counts the requests. All times are monotonic."""

    def __init__(self, paces: Mapping[str, Pace]) -> None:
        self._paces = paces

    def ready_at(self, group: Group, groups: Iterable[Group], now: float) -> float:
        """Return when a request of `group` may leave, beside all `groups` that wait."""
        urgent, lookup = is_urgent(group), is_lookup(group.route)
        since = _since(group)
        times = (
            pace.ready_at(
                now,
                urgent=urgent,
                lookup=lookup,
                spare=self._spare(name, groups, urgent) if lookup else 0,
                since=since,
            )
            for name, pace in self._drawn(group.route)
        )
        return max(times, default=now)

    def one_may_leave(self, route: Route, now: float, *, urgent: bool) -> bool:
        """Say whether a cancel of one id may leave by this route now."""
        paces = (pace for _, pace in self._drawn(route))
        return all(pace.ready_at(now, urgent=urgent) <= now for pace in paces)

    def latest_at(self, route: Route) -> float:
        """Return until when a cancel can wait whose lane then makes up for it."""
        return max((pace.latest_at for _, pace in self._drawn(route)), default=-NEVER)

    def keeps_pace(self, route: Route, now: float) -> bool:
        """Say whether no cancel of the route is due that could have left by now."""
        return max((pace.due_at for _, pace in self._drawn(route)), default=NEVER) >= now

    def slow(self, route: Route) -> bool:
        """Say whether tokens of the route come back slowly."""
        return any(pace.slow for _, pace in self._drawn(route))

    def plenty_at(self, route: Route, now: float) -> float:
        """Return when the route has no lack of tokens."""
        return max((pace.plenty_at(now) for _, pace in self._drawn(route)), default=-NEVER)

    def beside_at(self, route: Route, requests: int, now: float) -> float:
        """Return when a request may leave that takes no token from so many others to come."""
        paces = (pace for _, pace in self._drawn(route))
        return max((pace.beside_at(now, requests) for pace in paces), default=-NEVER)

    def take(
        self, route: Route, now: float, since: float = NEVER, planned: Route | None = None
    ) -> None:
        """A request of the route starts; its first id is here `since` then.

        Where it was `planned` by another route, the next one there keeps its distance, too:
        two routes are no reason for twice the requests.
        """
        for _, pace in self._drawn(route):
            pace.take(now, lookup=is_lookup(route), since=since)
        for name, pace in self._drawn(planned or route):
            if name not in route.quotas:
                pace.passed(now, since)

    def give_back(self, route: Route, now: float) -> None:
        """Its response came, or its time-out."""
        for _, pace in self._drawn(route):
            pace.give_back(now)

    def start_spent(self, now: float) -> None:
        """Take over from an owner whose last requests nobody knows."""
        for pace in self._paces.values():
            pace.start_spent(now)

    def _drawn(self, route: Route) -> Iterator[tuple[str, Pace]]:
        return ((name, self._paces[name]) for name in route.quotas if name in self._paces)

    def _spare(self, quota: str, groups: Iterable[Group], urgent: bool) -> int:
        """Return how many tokens a look-up leaves to the cancels that wait for them."""
        return sum(
            min(-(-other.size // other.route.max_ids), self._could_use(other.route, quota))
            for other in groups
            if not is_lookup(other.route)
            and quota in other.route.quotas
            and (not urgent or is_urgent(other))
        )

    def _could_use(self, route: Route, quota: str) -> int:
        """Return how many requests the route's other quotas allow in this quota's window."""
        window_s = self._paces[quota].quota.window_s
        others = (pace.quota for name, pace in self._drawn(route) if name != quota)
        return min((_fits(other, window_s) for other in others), default=1 << 30)


def _since(group: Group) -> float:
    """Return since when the first id of a full request is here; NEVER: more may join it."""
    head = group.head()
    full = group.size >= group.route.max_ids
    return head.entered if full and head is not None else NEVER


def _fits(quota: Quota, window_s: float) -> int:
    """Return how many requests a quota allows in so many seconds, from when all are free."""
    return quota.limit * math.ceil(window_s / quota.window_s)
