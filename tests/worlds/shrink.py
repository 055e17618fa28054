"""Takes a world that breaks the law and makes it as small as it can be and still break it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from tests.worlds.plan import LONG_AGO_S, Ask, Behaviours, JobPlan, OrderPlan, World

#: Says whether a smaller world still breaks the law in the same way.
Breaks = Callable[[World], bool]
#: Most worlds that are tried for one find.
MOST_TRIES = 600


def shrink(world: World, breaks: Breaks) -> World:
    """Return the smallest world that was found; it still breaks the law."""
    tries = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(world):
            tries += 1
            if tries > MOST_TRIES:
                return world
            if breaks(candidate):
                world, smaller = candidate, True
                break
    return world


def _smaller(world: World) -> Iterator[World]:
    """Give worlds a step smaller, those that take most away first."""
    yield from _fewer_jobs(world)
    yield from _fewer_ids(world)
    yield from _fewer_orders(world)
    yield from _plainer_ways(world)
    if world.verify:
        yield replace(world, verify=False)
    yield from _plainer_orders(world)
    yield from _plainer_jobs(world)


def _fewer_jobs(world: World) -> Iterator[World]:
    if len(world.jobs) > 1:
        for job in world.jobs:
            yield replace(world, jobs=tuple(j for j in world.jobs if j is not job))


def _fewer_ids(world: World) -> Iterator[World]:
    ids = list(dict.fromkeys(ask.id for job in world.jobs for ask in job.asks))
    size = len(ids) // 2
    while size:
        for start in range(0, len(ids), size):
            dropped = set(ids[start : start + size])
            jobs = [
                replace(job, asks=tuple(a for a in job.asks if a.id not in dropped))
                for job in world.jobs
            ]
            if all(job.asks for job in jobs):
                orders = tuple(
                    order
                    for order in world.orders
                    if not {order.venue_id, order.client_id} & dropped
                )
                yield replace(world, jobs=tuple(jobs), orders=orders)
        size //= 2


def _fewer_orders(world: World) -> Iterator[World]:
    for order in world.orders:
        yield replace(world, orders=tuple(o for o in world.orders if o is not order))


def _plainer_ways(world: World) -> Iterator[World]:
    ways, plain = world.ways, Behaviours()
    for field in fields(ways):
        value, least = getattr(ways, field.name), getattr(plain, field.name)
        if value == least:
            continue
        yield replace(world, ways=replace(ways, **{field.name: least}))
        if isinstance(value, float) and abs(value - least) > 0.2:
            half = round((value + least) / 2, 2)
            yield replace(world, ways=replace(ways, **{field.name: half}))
        if isinstance(value, int) and not isinstance(value, bool) and field.name != "page_cap":
            yield replace(world, ways=replace(ways, **{field.name: (value + least) // 2}))


def _plainer_orders(world: World) -> Iterator[World]:
    ids = {order.venue_id for order in world.orders}
    bearers = Counter(order.client_id for order in world.orders if order.client_id)
    shared = {each for each, count in bearers.items() if count > 1 or each in ids}
    for order in world.orders:
        if {order.venue_id, order.client_id} & shared:
            continue  # which of two orders may bear one id is for `draw` to say
        for plainer in _plainer_order(order):
            yield replace(
                world, orders=tuple(plainer if o is order else o for o in world.orders)
            )


def _plainer_order(order: OrderPlan) -> Iterator[OrderPlan]:
    plain = OrderPlan(order.venue_id, order.symbol)
    for name in ("changes", "swallowed", "hidden_s", "child", "ord_type", "placed_s"):
        least = getattr(plain, name)
        if getattr(order, name) != least:
            yield replace(order, **{name: least})
    for change in order.changes:
        yield replace(order, changes=tuple(c for c in order.changes if c is not change))
    if order.placed_s < LONG_AGO_S:
        yield replace(order, placed_s=LONG_AGO_S)


def _plainer_jobs(world: World) -> Iterator[World]:
    for job in world.jobs:
        for plainer in _plainer_job(job):
            yield replace(world, jobs=tuple(plainer if j is job else j for j in world.jobs))


def _plainer_job(job: JobPlan) -> Iterator[JobPlan]:
    if job.again_s:
        yield replace(job, again_s=0.0)
    if not job.kill:
        yield replace(job, kill=True)
    if job.at_s:
        yield replace(job, at_s=0.0)
    for ask in job.asks:
        for plainer in _plainer_ask(ask):
            yield replace(job, asks=tuple(plainer if a is ask else a for a in job.asks))


def _plainer_ask(ask: Ask) -> Iterator[Ask]:
    if ask.ord_type:
        yield replace(ask, ord_type="")
    if ask.kind:
        yield replace(ask, kind="")
