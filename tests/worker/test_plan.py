"""How orders are named, routed and put together, over a venue made for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues.base import Answers, Batch, HttpReply, HttpRequest, Quota, Route, Venue
from worker.model import Credential, IdKind, OrderRef, OrdType, Purpose
from worker.plan import (
    AskedOrder,
    Refusal,
    cancel_routes,
    group_key,
    lookup_routes,
    name_order,
    split,
    unasked_routes,
)

PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
BATCH = Route(
    name="batch",
    purpose=Purpose.CANCEL,
    method="POST",
    path="/b",
    ord_types=PLAIN,
    max_ids=3,
    group_by=("symbol", "ord_type"),
)
ONE = Route(
    name="one",
    purpose=Purpose.CANCEL,
    method="POST",
    path="/o",
    id_kinds=frozenset(IdKind),
    ord_types=PLAIN | {OrdType.TRIGGER},
    needs_symbol=True,
)
ANY_LIST = Route(
    name="any_list", purpose=Purpose.LOOKUP, method="GET", path="/a", ord_types=PLAIN
)
TRIGGER_LIST = Route(
    name="trigger_list",
    purpose=Purpose.LOOKUP,
    method="GET",
    path="/t",
    ord_types=frozenset({OrdType.TRIGGER}),
)
SYMBOL_LIST = Route(
    name="symbol_list",
    purpose=Purpose.LOOKUP,
    method="GET",
    path="/s",
    id_kinds=frozenset(IdKind),
    needs_symbol=True,
)


class Toy(Venue):
    """Venue order ids are digits; client order ids are words, and go one by one."""

    name = "toy"
    base_url = "https://toy.invalid"
    id_shapes = {
        IdKind.VENUE: re.compile("[0-9]+"),
        IdKind.CLIENT: re.compile("[a-z0-9]+"),
    }
    routes: ClassVar[Sequence[Route]] = (BATCH, ONE, ANY_LIST, TRIGGER_LIST, SYMBOL_LIST)
    quotas = {"account": Quota(1, 1.0)}
    rules = ()
    states = {}

    def build(self, batch: Batch) -> HttpRequest:
        raise NotImplementedError

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        raise NotImplementedError

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        raise NotImplementedError


class VenueIdsOnly(Toy):
    """A venue that knows the shape of client order ids but has no route for them."""

    name = "narrow"
    routes = (BATCH, ANY_LIST)


TOY, NARROW = Toy(), VenueIdsOnly()


def venue_ref(order_id: str = "1", symbol: str = "", ord_type: str = "any") -> OrderRef:
    return OrderRef(order_id, IdKind.VENUE, symbol, OrdType(ord_type))


def test_the_kind_is_worked_out_from_the_shape() -> None:
    assert venue_ref("42") == name_order(TOY, AskedOrder("42"))
    assert OrderRef("x42", IdKind.CLIENT, "BTC", OrdType.LIMIT) == name_order(
        TOY, AskedOrder("x42", None, "limit", "BTC")
    )


def test_a_stated_kind_beats_the_shape() -> None:
    assert OrderRef("42", IdKind.CLIENT, "BTC") == name_order(
        TOY, AskedOrder("42", "client_order_id", "any", "BTC")
    )


REFUSALS = [
    (TOY, AskedOrder("", None), "bad_id"),
    (TOY, AskedOrder("4 2", None), "bad_id"),
    (TOY, AskedOrder("42\n", None), "bad_id"),
    (TOY, AskedOrder("x42", "venue_order_id"), "bad_id"),
    (TOY, AskedOrder("42", "VENUE"), "unknown_kind"),
    (TOY, AskedOrder("42", ""), "unknown_kind"),
    (TOY, AskedOrder("42", None, "stop"), "unknown_ord_type"),
    (TOY, AskedOrder("42", None, ""), "unknown_ord_type"),
    (TOY, AskedOrder("42", None, "LIMIT"), "unknown_ord_type"),
    (TOY, AskedOrder("42", None, "any", " "), "bad_symbol"),
    (TOY, AskedOrder("42", None, "any", "BTC\r\nX: 1"), "bad_symbol"),
    (TOY, AskedOrder("42", None, "any", "BTC&a=b"), "bad_symbol"),
    (TOY, AskedOrder("42", None, "any", "B" * 41), "bad_symbol"),
    (TOY, AskedOrder("42", None, "any", "/etc"), "bad_symbol"),
    (TOY, AskedOrder("42", None, "any", "БТЦ"), "bad_symbol"),
    (TOY, AskedOrder("x42", None), "missing_symbol"),
    (TOY, AskedOrder("42", None, "trigger"), "missing_symbol"),
    (TOY, AskedOrder("42", None, "tp_sl", "BTC"), "unsupported_ord_type"),
    (NARROW, AskedOrder("x42"), "unsupported_kind"),
    (NARROW, AskedOrder("42", "client_order_id"), "unsupported_kind"),
]


@pytest.mark.parametrize(("venue", "order", "reason"), REFUSALS)
def test_what_cannot_be_asked_is_refused_with_the_producers_own_words(
    venue: Venue, order: AskedOrder, reason: str
) -> None:
    refused = name_order(venue, order)

    assert isinstance(refused, Refusal)
    assert (reason, order.id, order.symbol) == (refused.reason, refused.id, refused.symbol)
    assert order.ord_type == refused.ord_type
    assert refused.text.isprintable()
    assert len(refused.text) < 200


def test_a_refusal_speaks_plainly() -> None:
    refused = name_order(NARROW, AskedOrder("x42"))

    assert isinstance(refused, Refusal)
    assert refused.kind == "client_order_id"
    assert refused.text == (
        "narrow cancels no order by a client order id (the id that the trader gave the order)"
    )


@pytest.mark.parametrize(
    "symbol", ["BTC", "BTCUSDT", "BTC-USD.P", "BTC/USDT:USDT", "1INCH_USDT"]
)
def test_symbols_in_every_venues_spelling_pass(symbol: str) -> None:
    assert venue_ref("42", symbol) == name_order(TOY, AskedOrder("42", symbol=symbol))


def names(routes: tuple[Route, ...]) -> list[str]:
    return [route.name for route in routes]


@pytest.mark.parametrize(
    ("ref", "cancel", "lookup", "unasked"),
    [
        (venue_ref(), ["batch"], ["any_list", "trigger_list"], ["symbol_list"]),
        (
            venue_ref(symbol="BTC"),
            ["batch", "one"],
            ["any_list", "symbol_list", "trigger_list"],
            [],
        ),
        (
            venue_ref(symbol="BTC", ord_type="trigger"),
            ["one"],
            ["trigger_list", "symbol_list", "any_list"],
            [],
        ),
        (OrderRef("x", IdKind.CLIENT, "BTC"), ["one"], ["symbol_list"], []),
        (OrderRef("x", IdKind.CLIENT), [], [], ["symbol_list"]),
    ],
)
def test_routes_are_tried_in_table_order_likely_look_ups_first(
    ref: OrderRef, cancel: list[str], lookup: list[str], unasked: list[str]
) -> None:
    assert cancel == names(cancel_routes(TOY, ref.shape))
    assert lookup == names(lookup_routes(TOY, ref.shape))
    assert unasked == names(unasked_routes(TOY, ref.shape))


def test_requests_are_filled_in_order_and_groups_stay_apart() -> None:
    refs = [venue_ref(str(n), "BTC" if n % 2 else "ETH", "limit") for n in range(8)]

    assert [[ref.id for ref in batch.refs] for batch in split(BATCH, refs)] == [
        ["0", "2", "4"],
        ["6"],
        ["1", "3", "5"],
        ["7"],
    ]


def test_nothing_makes_no_request() -> None:
    assert split(BATCH, []) == ()


def test_the_group_is_what_the_route_says() -> None:
    ref = venue_ref("1", "BTC", "limit")

    assert group_key(BATCH, ref) == ("BTC", "limit")
    assert group_key(ONE, ref) == ()


some_ref = st.builds(
    OrderRef,
    st.integers(1, 99).map(str),
    st.sampled_from(IdKind),
    st.sampled_from(["", "BTC", "ETH"]),
    st.sampled_from(OrdType),
)


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(refs=st.lists(some_ref, max_size=60, unique=True), route=st.sampled_from(Toy.routes))
def test_a_split_loses_and_doubles_nothing(refs: list[OrderRef], route: Route) -> None:
    batches = split(route, refs)

    assert sorted(map(repr, refs)) == sorted(repr(r) for batch in batches for r in batch.refs)
    assert all(1 <= len(batch.refs) <= route.max_ids for batch in batches)
    assert all(len({group_key(route, r) for r in batch.refs}) == 1 for batch in batches)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    order=st.builds(
        AskedOrder,
        st.text(max_size=6) | st.from_regex("[a-z0-9]{1,4}", fullmatch=True),
        st.none() | st.sampled_from(IdKind) | st.text(max_size=3),
        st.sampled_from(OrdType) | st.text(max_size=3),
        st.sampled_from(["", "BTC"]) | st.text(max_size=4),
    )
)
def test_every_order_gets_a_cancel_route_or_a_reason(order: AskedOrder) -> None:
    named = name_order(TOY, order)

    if isinstance(named, Refusal):
        assert named.reason
        assert named.text.isprintable()
    else:
        assert cancel_routes(TOY, named.shape)
        assert order.id == named.id
