"""Which routes an id may take, and which ids travel together: pure, once for all venues."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from venues.base import Batch, Route, Venue
from worker.model import IdKind, OrderRef, OrdType, Purpose, Shape

#: What may stand in a request as a symbol; whatever could be URL or header syntax may not.
SYMBOL_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,39}")

#: Pairs of type and symbol; those of one job, and of most jobs, are few.
MOST_REMEMBERED = 1024

_A_CLIENT_ORDER_ID = "a client order id (the id that the trader gave the order)"
_A_VENUE_ORDER_ID = "a venue order id (the id that the venue gave the order)"
_ORD_TYPES = {str(ord_type): ord_type for ord_type in OrdType}
_ID_KINDS = {str(kind): kind for kind in IdKind}
_KIND_TEXT = {IdKind.CLIENT: _A_CLIENT_ORDER_ID, IdKind.VENUE: _A_VENUE_ORDER_ID}


class AskedOrder(NamedTuple):
    """An order as a job names it: raw words, nothing checked but that they are strings."""

    id: str
    kind: str | None = None
    ord_type: str = OrdType.ANY
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order cannot be asked for at this venue; the raw words, a code and a sentence."""

    id: str
    kind: str
    symbol: str
    ord_type: str
    reason: str
    text: str


class _Refused(Exception):
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text


def name_order(venue: Venue, order: AskedOrder) -> OrderRef | Refusal:
    """Return the reference by which the venue is asked for an order, or why it cannot be."""
    try:
        ord_type = _ord_type_of(order.ord_type, order.symbol)
        kind = _kind_of(venue, order)
    except _Refused as why:
        return _refusal(order, order.kind or "", why)
    try:
        _check_routes(venue, kind, ord_type, bool(order.symbol))
    except _Refused as why:
        return _refusal(order, kind, why)
    return OrderRef(order.id, kind, order.symbol, ord_type)


def _refusal(order: AskedOrder, kind: str, why: _Refused) -> Refusal:
    return Refusal(order.id, kind, order.symbol, order.ord_type, why.reason, why.text)


@lru_cache(maxsize=MOST_REMEMBERED)
def _ord_type_of(word: str, symbol: str) -> OrdType:
    ord_type = _ORD_TYPES.get(word)
    if ord_type is None:
        words = ", ".join(OrdType)
        raise _Refused("unknown_ord_type", f"{_said(word)} is none of {words}")
    if symbol and not SYMBOL_SHAPE.fullmatch(symbol):
        raise _Refused("bad_symbol", f"{_said(symbol)} cannot be a symbol")
    return ord_type


def _kind_of(venue: Venue, order: AskedOrder) -> IdKind:
    if order.kind is None:
        return _guessed_kind(venue, order.id)
    kind = _ID_KINDS.get(order.kind)
    if kind is None:
        words = " or ".join(IdKind)
        raise _Refused("unknown_kind", f"{_said(order.kind)} is not {words}")
    if kind not in venue.id_shapes:
        raise _unsupported(venue, kind)
    if not venue.id_shapes[kind].fullmatch(order.id):
        raise _Refused(
            "bad_id", f"{_said(order.id)} cannot be {_KIND_TEXT[kind]} at {venue.name}"
        )
    return kind


def _guessed_kind(venue: Venue, order_id: str) -> IdKind:
    for kind, shape in venue.id_shapes.items():
        if shape.fullmatch(order_id):
            return kind
    raise _Refused("bad_id", f"{_said(order_id)} has the shape of no order id at {venue.name}")


def _unsupported(venue: Venue, kind: IdKind) -> _Refused:
    return _Refused("unsupported_kind", f"{venue.name} cancels no order by {_KIND_TEXT[kind]}")


@cache
def _check_routes(venue: Venue, kind: IdKind, ord_type: OrdType, has_symbol: bool) -> None:
    of_kind = _routes(venue, Purpose.CANCEL, kind)
    if not of_kind:
        raise _unsupported(venue, kind)
    of_type = [r for r in of_kind if ord_type in r.ord_types]
    if not of_type:
        raise _Refused("unsupported_ord_type", f"{venue.name} cancels no {ord_type} order")
    if not any(_can_name(r, has_symbol) for r in of_type):
        text = f"{venue.name} cancels {_KIND_TEXT[kind]} only together with its symbol"
        raise _Refused("missing_symbol", text)


def _said(word: str) -> str:
    return repr(word if len(word) <= 60 else word[:60] + "…")


def _routes(venue: Venue, purpose: Purpose, kind: IdKind) -> list[Route]:
    return [r for r in venue.routes if r.purpose is purpose and kind in r.id_kinds]


def _can_name(route: Route, has_symbol: bool) -> bool:
    return has_symbol or not route.needs_symbol


@cache
def cancel_routes(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the routes that can cancel an order, in the order in which to try them."""
    routes = _routes(venue, Purpose.CANCEL, order.kind)
    of_type = (route for route in routes if order.ord_type in route.ord_types)
    return tuple(route for route in of_type if _can_name(route, order.has_symbol))


@cache
def alone_route(venue: Venue, order: Shape) -> Route | None:
    """Return the cancel route that one id takes by itself first; None: the same as others."""
    routes = cancel_routes(venue, order)
    return next((route for route in routes if order.ord_type in route.alone), None)


@cache
def lookup_routes(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the routes that can show an order, the likely ones first.

    A stated type is a hint: the routes of other types come last, but they come.
    """
    of_kind = _routes(venue, Purpose.LOOKUP, order.kind)
    routes = (route for route in of_kind if _can_name(route, order.has_symbol))
    return tuple(sorted(routes, key=lambda route: order.ord_type not in route.ord_types))


def unasked_routes(venue: Venue, order: Shape) -> tuple[Route, ...]:
    """Return the look-up routes that cannot be asked because the symbol is not known."""
    routes = _routes(venue, Purpose.LOOKUP, order.kind)
    return tuple(route for route in routes if not _can_name(route, order.has_symbol))


def group_key(route: Route, ref: OrderRef) -> tuple[str, ...]:
    """Return what a reference must share with the others of its request."""
    return tuple(str(getattr(ref, name)) for name in route.group_by)


def split(route: Route, refs: Iterable[OrderRef]) -> tuple[Batch, ...]:
    """Return the fewest requests that carry the references, each once and in their order."""
    groups: dict[tuple[str, ...], list[OrderRef]] = {}
    for ref in refs:
        groups.setdefault(group_key(route, ref), []).append(ref)
    return tuple(
        Batch(route, chunk)
        for group in groups.values()
        for chunk in _chunks(group, route.max_ids)
    )


def _chunks(refs: Sequence[OrderRef], size: int) -> list[tuple[OrderRef, ...]]:
    return [tuple(refs[start : start + size]) for start in range(0, len(refs), size)]
