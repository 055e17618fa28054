"""What the words of a job name at its venue: order references, or refusals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from venues.base import Venue
from venues.words import SYMBOL_SHAPE, IdKind, OrderRef, OrdType, Purpose
from worker.orders.routes import can_name, routes_of

#: What is said of orders beside their ids; of one job, and of most jobs, it is little.
MOST_REMEMBERED = 1024

_A_CLIENT_ORDER_ID = "a client order id (the id that the trader gave the order)"
_A_VENUE_ORDER_ID = "a venue order id (the id that the venue gave the order)"
_ORD_TYPES = {str(ord_type): ord_type for ord_type in OrdType}
_ID_KINDS = {str(kind): kind for kind in IdKind}
_KIND_TEXT = {IdKind.CLIENT: _A_CLIENT_ORDER_ID, IdKind.VENUE: _A_VENUE_ORDER_ID}


#: What a job says of an order beside its id, in raw words: the kind (None: nothing), the type
#: and the symbol. A plain tuple, as one is made for each id and most are the same.
Words = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order cannot be asked for at this venue; the raw words, a code and a sentence."""

    id: str
    kind: str
    symbol: str
    ord_type: str
    reason: str
    text: str


class _Refused(NamedTuple):
    reason: str
    text: str


class _Way(NamedTuple):
    """A kind and type that an id may have, and why no route takes it, if none does."""

    fits: Callable[[str], object]
    kind: IdKind
    ord_type: OrdType
    refused: _Refused | None


def name_order(venue: Venue, order_id: str, words: Words) -> OrderRef | Refusal:
    """Return the reference by which the venue is asked for an order, or why it cannot be."""
    said_kind, _, symbol = words
    ways = _ways(venue, words)
    if isinstance(ways, _Refused):
        return _refusal(order_id, words, said_kind or "", ways)
    fitting = [way for way in ways if way.fits(order_id)]
    if not fitting:
        misshapen = _misshapen(venue, order_id, said_kind)
        return _refusal(order_id, words, said_kind or "", misshapen)
    first, *others = fitting
    if first.refused:
        return _refusal(order_id, words, first.kind, first.refused)
    # Its shape does not tell the kind; what cannot be asked for in another form need not be.
    or_kind = next((way.kind for way in others if not way.refused), None)
    return OrderRef(order_id, first.kind, symbol, first.ord_type, or_kind)


def _refusal(order_id: str, words: Words, kind: str, why: _Refused) -> Refusal:
    _, ord_type, symbol = words
    return Refusal(order_id, kind, symbol, ord_type, why.reason, why.text)


@lru_cache(maxsize=MOST_REMEMBERED)
def _ways(venue: Venue, words: Words) -> tuple[_Way, ...] | _Refused:
    """Return what an id may be, or why none can be asked for in these words.

    It is worked out once for all ids of which jobs say the same: what is left is their shape.
    """
    said_kind, said_type, symbol = words
    ord_type = _ORD_TYPES.get(said_type)
    if ord_type is None:
        known = ", ".join(OrdType)
        return _Refused("unknown_ord_type", f"{shortened(said_type)} is none of {known}")
    if symbol and not SYMBOL_SHAPE.fullmatch(symbol):
        return _Refused("bad_symbol", f"{shortened(symbol)} cannot be a symbol")
    kinds = _kinds(venue, said_kind)
    if isinstance(kinds, _Refused):
        return kinds
    return tuple(
        _Way(
            venue.id_shapes[kind].fullmatch,
            kind,
            ord_type,
            _without_route(venue, kind, ord_type, bool(symbol)),
        )
        for kind in kinds
    )


def _kinds(venue: Venue, word: str | None) -> Collection[IdKind] | _Refused:
    """Return what kinds an id may be of, where that much is said, or why it can be of none."""
    if word is None:
        return venue.id_shapes
    kind = _ID_KINDS.get(word)
    if kind is None:
        return _Refused("unknown_kind", f"{shortened(word)} is not {' or '.join(IdKind)}")
    return [kind] if kind in venue.id_shapes else _unsupported(venue, kind)


def _misshapen(venue: Venue, order_id: str, word: str | None) -> _Refused:
    if word is None:
        text = f"{shortened(order_id)} has the shape of no order id at {venue.name}"
    else:
        text = f"{shortened(order_id)} cannot be {_KIND_TEXT[_ID_KINDS[word]]} at {venue.name}"
    return _Refused("bad_id", text)


def _unsupported(venue: Venue, kind: IdKind) -> _Refused:
    return _Refused("unsupported_kind", f"{venue.name} cancels no order by {_KIND_TEXT[kind]}")


@cache
def _without_route(
    venue: Venue, kind: IdKind, ord_type: OrdType, has_symbol: bool
) -> _Refused | None:
    """Return why no route cancels such an order; None: one does."""
    of_kind = routes_of(venue, Purpose.CANCEL, kind)
    if not of_kind:
        return _unsupported(venue, kind)
    of_type = [r for r in of_kind if ord_type in r.ord_types]
    if not of_type:
        return _Refused("unsupported_ord_type", f"{venue.name} cancels no {ord_type} order")
    if not any(can_name(r, has_symbol) for r in of_type):
        text = f"{venue.name} cancels {_KIND_TEXT[kind]} only together with its symbol"
        return _Refused("missing_symbol", text)
    return None


def shortened(word: str) -> str:
    """Return a producer's word as a sentence may quote it."""
    return repr(word if len(word) <= 60 else word[:60] + "…")
