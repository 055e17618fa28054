"""The bound: how soon the venue's limits allow N cancels, and how near to it we came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.simulation.laws import LawBroken
from tests.simulation.meters import EPSILON_S
from tests.simulation.scenario import SimJob
from tests.simulation.world import World
from venues.base import Quota, Route
from venues.words import Purpose
from worker.orders.routes import batch_key, cancel_routes
from worker.pacing.pace import EVEN_WINDOW_S, KILL_SHARE

#: How much longer than its bound a calm run may take.
FACTOR = 1.05


def check_bound(world: World) -> None:
    """Check that a calm run sent its cancels as early as the limits and the RTT allow."""
    ratio = ratio_to_bound(world)
    if ratio > FACTOR:
        raise LawBroken("bound", f"{ratio:.3f} times the bound", world.agenda.now)


def ratio_to_bound(world: World) -> float:
    """Return the longest time of a job's cancels against its bound; 0: not measured."""
    scenario = world.scenario
    shared = any(quota.scope == "address" for quota in scenario.quotas.values())
    if not scenario.calm or (shared and len(scenario.jobs) > 1):
        return 0.0
    return max((_ratio(world, job) for job in scenario.jobs), default=0.0)


def _ratio(world: World, job: SimJob) -> float:
    if any(route.costs for route in world.scenario.venue.routes):
        return 0.0  # its requests are not all alike; tests/worker/lane measures it
    if world.scenario.venue.forgets_canceled and not job.kill:
        return 0.0  # its cancels wait for look-ups, which have quotas of their own
    # Of so few tokens none can be kept for cancels, and look-ups take turns with them: of one,
    # or of two for a kill, whose requests may become ready at once.
    if any(quota.limit <= (2 if job.kill else 1) for quota in _shared(world)):
        return 0.0
    routes = _requests(world, job)
    took_s = max(world.first_cancels[job.job_id, ref] for ref in job.refs) - job.arrives
    quotas, slowest_s = world.scenario.quotas, world.scenario.rtt_s[1]
    bound_s = max(
        _bound_s(route, count, quotas, slowest_s, job.kill) for route, count in routes.items()
    )
    return took_s / (bound_s + EPSILON_S)


def _shared(world: World) -> list[Quota]:
    """Return the quotas from which both cancels and look-ups draw."""
    drawn = {purpose: set[str]() for purpose in Purpose}
    for route in world.scenario.venue.routes:
        drawn[route.purpose].update(route.quotas)
    both = drawn[Purpose.CANCEL] & drawn[Purpose.LOOKUP]
    return [quota for name, quota in world.scenario.quotas.items() if name in both]


def _requests(world: World, job: SimJob) -> dict[Route, int]:
    """Return how many requests each route needs at least."""
    groups: Counter[tuple[Route, tuple[str, ...]]] = Counter()
    for ref in job.refs:
        route = cancel_routes(world.scenario.venue, ref.shape)[0]
        groups[route, batch_key(route, ref)] += 1
    requests: Counter[Route] = Counter()
    for (route, _), ids in groups.items():
        requests[route] += -(-ids // route.max_ids)
    return requests


def _bound_s(
    route: Route, count: int, quotas: Mapping[str, Quota], rtt_s: float, kill: bool
) -> float:
    """Return when the last of `count` requests may leave, if each takes the longest RTT.

    Routine: one gap W/L after the one before, and W after the response of the L-th before.
    Kill: W after the response of the L-th before. So of one quota this is the even-pace
    bound (n-1)·W/L, or the burst bound W·(⌈n/L⌉ - 1), and one RTT a window.
    """
    drawn = [quotas[name] for name in route.quotas if name in quotas]
    times: list[float] = []
    for number in range(count):
        earliest = 0.0
        for quota in drawn:
            usable = _usable(quota, kill)
            if number >= usable:
                earliest = max(earliest, times[number - usable] + rtt_s + quota.window_s)
            if number and not kill:
                earliest = max(earliest, times[-1] + _gap_s(quota))
        times.append(earliest)
    return times[-1]


def _usable(quota: Quota, kill: bool) -> int:
    kept = 0 if kill or quota.window_s <= EVEN_WINDOW_S else int(quota.limit * KILL_SHARE)
    return quota.limit - kept


def _gap_s(quota: Quota) -> float:
    return 0.0 if quota.window_s > EVEN_WINDOW_S else quota.window_s / quota.limit
