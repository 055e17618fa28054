"""Which routes an order may take at its venue, and which orders may share a request. Pure."""

from __future__ import annotations

from functools import cache

from venues.base import ENDED_STAGE, Batch, Route, Venue
from venues.words import ALL_TYPES, CANCELS, IdKind, OrderRef, OrdType, Purpose, Shape
from worker.orders.progress import OrderProgress


def routes_of(venue: Venue, purpose: Purpose, kind: IdKind) -> list[Route]:
    """Return the venue's routes of a purpose that take an id kind."""
    return [r for r in venue.routes if r.purpose is purpose and kind in r.id_kinds]


@cache
def _looks(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the look-ups that take an id, by symbol where the venue demands one."""
    routes = routes_of(venue, Purpose.LOOKUP, order.kind)
    return tuple(r.by_symbol() if r.path in order.by_symbol else r for r in routes)


def can_name(route: Route, has_symbol: bool) -> bool:
    """Say whether the route can be asked about an order, with its symbol or without."""
    return has_symbol or not route.needs_symbol


@cache
def cancel_routes(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the routes that can cancel an order, in the order in which to try them."""
    routes = routes_of(venue, Purpose.CANCEL, order.kind)
    of_type = (route for route in routes if order.ord_type in route.ord_types)
    return tuple(route for route in of_type if can_name(route, order.has_symbol))


@cache
def single_route(venue: Venue, order: Shape) -> Route | None:
    """Return the cancel route that one id takes by itself first; None: the same as others."""
    routes = cancel_routes(venue, order)
    return next((route for route in routes if order.ord_type in route.single_first), None)


@cache
def quotas_of_cancels(venue: Venue) -> frozenset[str]:
    """Return the quotas that cancels draw from."""
    return frozenset(
        name for route in venue.routes if route.purpose in CANCELS for name in route.quotas
    )


@cache
def bypassed_quotas(venue: Venue) -> frozenset[str]:
    """Return the quotas beside which each order of their routes may be canceled alone."""
    cancels = [route for route in venue.routes if route.purpose is Purpose.CANCEL]
    apart: set[str] = set()
    others: set[str] = set()
    for route in cancels:
        alone = (
            set(one.quotas)
            for one in cancels
            if one.single_first >= route.ord_types and one.id_kinds >= route.id_kinds
        )
        left = set(route.quotas) - next(alone, set(route.quotas))
        apart |= left
        others |= set(route.quotas) - left
    return frozenset(apart - others)


@cache
def lookup_routes(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the routes that can show an order, the likely ones first.

    A stated type is a hint: the routes of other types come last, but they come.
    """
    looks = _looks(venue, order)
    routes = (route for route in looks if can_name(route, order.has_symbol))
    return tuple(sorted(routes, key=lambda route: order.ord_type not in route.ord_types))


@cache
def hangs_on_symbol(venue: Venue, order: Shape) -> bool:
    """Say whether an order may rest unseen because its symbol is not, or wrongly, stated.

    What a list shows of one symbol only is proven absent by a list of all symbols alone.
    """
    routes = [route for route in _looks(venue, order) if route.life_stage < ENDED_STAGE]
    of_one = [r for r in routes if r.needs_symbol and not any(_covers(o, r) for o in routes)]
    return any(not order.has_symbol or order.ord_type in route.ord_types for route in of_one)


@cache
def record_hangs_on_symbol(venue: Venue, order: Shape) -> bool:
    """Say whether an order of some type that has ended is shown under its own symbol only."""
    routes = _looks(venue, order)
    if venue.forgets_canceled:
        return all(route.needs_symbol or route.only_open for route in routes)
    of_types = ([r for r in routes if each in r.ord_types] for each in sorted(ALL_TYPES))
    return any(rs and all(r.needs_symbol or r.only_open for r in rs) for rs in of_types)


def _covers(other: Route, route: Route) -> bool:
    """Say whether a list of all symbols shows every open order that another route shows."""
    types = route.ord_types - {OrdType.ANY}
    sooner = other.life_stage <= route.life_stage
    return not other.needs_symbol and sooner and types <= other.ord_types


@cache
def engine_route(venue: Venue, order: Shape) -> Route | None:
    """Return the cancel route whose answer is the venue's own word on one id.

    It names the id alone: neither a symbol nor a type that a job stated can mislead it.
    """
    alone = (r for r in cancel_routes(venue, order) if r.max_ids == 1 and not r.needs_symbol)
    return next(alone, None)


def probe_of(venue: Venue, ref: OrderRef) -> Batch | None:
    """Return the cheapest signed read that can be asked about an order; None: there is none."""
    routes = lookup_routes(venue, ref.shape)
    route = min(routes, key=lambda route: route.max_pages, default=None)
    return Batch(route, (ref,)) if route else None


def batch_key(route: Route, order: OrderRef | OrderProgress) -> tuple[str, ...]:
    """Return what an order must share with the others of its request."""
    return tuple(str(getattr(order, name)) for name in route.group_by)
