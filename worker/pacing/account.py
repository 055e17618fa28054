"""The quotas of one account: a route draws from all of its own together, or from none."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from venues.base import Quota, Route
from venues.words import CANCELS, Purpose
from worker.pacing.pace import NEVER, Pace


class Tokens:
    """Says when a request may leave, and counts the requests. All times are monotonic."""

    def __init__(self, paces: Mapping[str, Pace]) -> None:
        self._paces = paces

    def ready_at(
        self,
        route: Route,
        now: float,
        *,
        urgent: bool,
        awaited: bool = False,
        since: float = NEVER,
        spare: Collection[tuple[Route, int]] = (),
        ids: int = 1,
    ) -> float:
        """Return when a request of the route may leave; see `Pace.ready_at`.

        `spare` holds routes with their number of waiting ids, to which it leaves tokens; where
        they can use all of a quota, it leaves while others of theirs keep them waiting, and its
        own tokens are back by then. A request for `ids` may leave for fewer where that costs no
        more an id: see `reach`.
        """
        # The timer is set, whatever it takes: nothing is kept from it.
        lookup = _is_lookup(route) and (not urgent or route.purpose is not Purpose.TIMER)
        ready_at = now
        for name, pace in self._drawn(route):
            left = self._spare(name, spare)
            tokens = route.tokens(name, ids if route.cost_of(name).per_request else 1)
            at = pace.ready_at(
                now,
                urgent=urgent,
                lookup=lookup,
                awaited=awaited,
                spare=left,
                since=since,
                tokens=tokens,
                lane=self,
            )
            if left + tokens > pace.quota.limit:
                at = self._before_all_is_used(name, at, spare, now)
            pace.asked(self, now, urgent=urgent, ready_at=at)
            ready_at = max(ready_at, at)
        return ready_at

    def _before_all_is_used(
        self, quota: str, at: float, waiting: Collection[tuple[Route, int]], now: float
    ) -> float:
        """Return when a request may leave that could `at`, by those who need all of a quota.

        It goes before them if its tokens come back in time, and else after them.
        """
        used_at = min(
            (self._own_at(route, quota, now) for route, ids in waiting if ids), default=NEVER
        )
        is_back_in_time = at + self._paces[quota].quota.window_s <= used_at
        return at if is_back_in_time else max(at, used_at)

    def _own_at(self, route: Route, quota: str, now: float) -> float:
        """Return when a request of the route may leave by its quotas other than this one."""
        if quota not in route.quotas:
            return NEVER
        others = (
            pace.ready_at(now, urgent=True, tokens=route.tokens(name, 1), lane=self)
            for name, pace in self._drawn(route)
            if name != quota
        )
        return max(others, default=now)

    def reach(self, route: Route, most: int, now: float, *, urgent: bool) -> int:
        """Return for how many ids a request may leave now that may leave: 1 to `most`."""
        for name, pace in self._drawn(route):
            cost = route.cost_of(name)
            if cost.per_id:
                tokens = pace.to_spend(now, urgent=urgent, evenly=not cost.per_request)
                most = min(most, (tokens - cost.per_request) // cost.per_id)
        return max(1, most)

    def one_may_leave(self, route: Route, now: float, *, urgent: bool) -> bool:
        """Say whether a cancel of one id may leave by this route now."""
        return all(
            pace.ready_at(now, urgent=urgent, tokens=route.tokens(name, 1), lane=self) <= now
            for name, pace in self._drawn(route)
        )

    def catch_up_limit(self, route: Route) -> float:
        """Return the latest start of a cancel that its lane can still make up for."""
        return max((pace.catch_up_limit for _, pace in self._drawn(route)), default=-NEVER)

    def keeps_pace(self, route: Route, now: float) -> bool:
        """Say whether no cancel of the route is due that could have left by now."""
        return max((pace.due_at for _, pace in self._drawn(route)), default=NEVER) >= now

    def slow(self, route: Route) -> bool:
        """Say whether tokens of the route come back slowly."""
        return any(pace.slow(route.tokens(name, 1)) for name, pace in self._drawn(route))

    def dear(self, route: Route, requests: int, now: float) -> bool:
        """Say whether tokens for so many requests of the route are not here for a while."""
        return any(
            pace.dear(route.tokens(name, 1), requests, now) for name, pace in self._drawn(route)
        )

    def half_free_at(self, route: Route, now: float) -> float:
        """Return when more than half of the tokens of each of its quotas are free."""
        return max((pace.half_free_at(now) for _, pace in self._drawn(route)), default=-NEVER)

    def spare_at(self, route: Route, requests: int, now: float) -> float:
        """Return when a request may leave and leave tokens for `requests` others to come."""
        times = (
            pace.spare_at(now, requests, route.tokens(name, route.max_ids))
            for name, pace in self._drawn(route)
        )
        return max(times, default=-NEVER)

    def take(
        self,
        route: Route,
        now: float,
        since: float = NEVER,
        planned: Route | None = None,
        ids: int = 1,
        *,
        urgent: bool = True,
        awaited: bool = False,
    ) -> None:
        """Count a request for `ids` that starts; its first id is here since `since`.

        Where it was `planned` by another route, the next one there keeps its distance, too:
        two routes are no reason for twice the requests.
        """
        lookup = _is_lookup(route)
        for name, pace in self._drawn(route):
            tokens = route.tokens(name, ids)
            pace.take(
                now,
                lookup=lookup,
                awaited=awaited,
                since=since,
                tokens=tokens,
                lane=self,
                urgent=urgent,
            )
        if planned is not None:
            for name, pace in self._drawn(planned):
                if name not in route.quotas:
                    pace.passed(now, since, planned.tokens(name, ids))

    def release(self, route: Route, now: float, ids: int = 1) -> None:
        """Count its response, or its time-out."""
        for name, pace in self._drawn(route):
            pace.release(now, route.tokens(name, ids))

    def assume_spent(self, now: float) -> None:
        """Take over from an owner whose last requests nobody knows."""
        for pace in self._paces.values():
            pace.assume_spent(now)

    def _drawn(self, route: Route) -> Iterator[tuple[str, Pace]]:
        return ((name, self._paces[name]) for name in route.quotas if name in self._paces)

    def _spare(self, quota: str, waiting: Collection[tuple[Route, int]]) -> int:
        """Return how many tokens of a quota the waiting ids can use."""
        return sum(
            min(-(-ids // route.max_ids), self._could_use(route, quota))
            * route.tokens(quota, min(ids, route.max_ids))
            for route, ids in waiting
            if quota in route.quotas
        )

    def _could_use(self, route: Route, quota: str) -> int:
        """Return how many requests the route's other quotas allow in this quota's window."""
        window_s = self._paces[quota].quota.window_s
        fit = (
            max(1, _fits(pace.quota, window_s) // route.tokens(name, route.max_ids))
            for name, pace in self._drawn(route)
            if name != quota
        )
        return min(fit, default=1 << 30)


def _is_lookup(route: Route) -> bool:
    return route.purpose not in CANCELS


def _fits(quota: Quota, window_s: float) -> int:
    """Return how many tokens a quota that is all free has in a window of seconds."""
    return quota.limit * math.ceil(window_s / quota.window_s)
