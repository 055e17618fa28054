"""How orders are named, routed and put together, over a venue made for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues import all_venues
from venues.base import Answers, Batch, HttpReply, HttpRequest, Quota, Route, Venue
from venues.credential import Credential
from venues.words import IdKind, OrderRef, OrdType, Purpose
from worker.jobs.resolve import Refusal, Words, name_order
from worker.orders.routes import (
    batch_key,
    bypassed_quotas,
    cancel_routes,
    hangs_on_symbol,
    lookup_routes,
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
    routes: Sequence[Route] = (BATCH, ONE, ANY_LIST, TRIGGER_LIST, SYMBOL_LIST)
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


class ClientIdsOnly(Toy):
    """A venue that knows the shape of its own ids but has no route for them."""

    name = "inverse"
    routes = (replace(ONE, id_kinds=frozenset({IdKind.CLIENT})), SYMBOL_LIST)


TOY, NARROW, CLIENT_IDS_ONLY = Toy(), VenueIdsOnly(), ClientIdsOnly()


def venue_ref(order_id: str = "1", symbol: str = "", ord_type: str = "any") -> OrderRef:
    return OrderRef(order_id, IdKind.VENUE, symbol, OrdType(ord_type))


def said(kind: str | None = None, ord_type: str = "any", symbol: str = "") -> Words:
    return kind, ord_type, symbol


def test_the_kind_is_worked_out_from_the_shape() -> None:
    assert venue_ref("42") == name_order(TOY, "42", said())
    assert OrderRef("x42", IdKind.CLIENT, "BTC", OrdType.LIMIT) == name_order(
        TOY, "x42", said(None, "limit", "BTC")
    )


def test_an_id_of_either_shape_may_be_of_the_other_kind_where_no_kind_is_stated() -> None:
    either = OrderRef("42", IdKind.VENUE, "BTC", or_kind=IdKind.CLIENT)

    assert either == name_order(TOY, "42", said(symbol="BTC"))
    assert either._replace(or_kind=None) == name_order(
        TOY, "42", said("venue_order_id", symbol="BTC")
    )


def test_a_kind_that_cannot_be_asked_for_is_no_other_form() -> None:
    assert venue_ref("42") == name_order(TOY, "42", said())  # a client order id needs a symbol
    assert venue_ref("42", "BTC") == name_order(NARROW, "42", said(symbol="BTC"))


def test_a_stated_kind_beats_the_shape() -> None:
    assert OrderRef("42", IdKind.CLIENT, "BTC") == name_order(
        TOY, "42", said("client_order_id", "any", "BTC")
    )


def test_the_first_kind_that_an_id_fits_is_its_kind_even_where_that_has_no_route() -> None:
    refused = name_order(CLIENT_IDS_ONLY, "42", said(symbol="BTC"))
    named = name_order(CLIENT_IDS_ONLY, "x42", said(symbol="BTC"))

    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.reason) == (IdKind.VENUE, "unsupported_kind")
    assert named == OrderRef("x42", IdKind.CLIENT, "BTC")


def test_the_words_of_an_order_are_judged_before_its_id_and_its_routes() -> None:
    worst = [
        name_order(NARROW, "4 2", said("VENUE", "stop", " ")),
        name_order(NARROW, "4 2", said("VENUE", "tp_sl", " ")),
        name_order(NARROW, "4 2", said("VENUE", "tp_sl")),
        name_order(NARROW, "4 2", said("venue_order_id", "tp_sl")),
        name_order(NARROW, "42", said("venue_order_id", "tp_sl")),
    ]

    assert [named.reason for named in worst if isinstance(named, Refusal)] == [
        "unknown_ord_type",
        "bad_symbol",
        "unknown_kind",
        "bad_id",
        "unsupported_ord_type",
    ]


REFUSALS = [
    (TOY, "", said(), "bad_id"),
    (TOY, "4 2", said(), "bad_id"),
    (TOY, "42\n", said(), "bad_id"),
    (TOY, "x42", said("venue_order_id"), "bad_id"),
    (TOY, "42", said("VENUE"), "unknown_kind"),
    (TOY, "42", said(""), "unknown_kind"),
    (TOY, "42", said(None, "stop"), "unknown_ord_type"),
    (TOY, "42", said(None, ""), "unknown_ord_type"),
    (TOY, "42", said(None, "LIMIT"), "unknown_ord_type"),
    (TOY, "42", said(None, "any", " "), "bad_symbol"),
    (TOY, "42", said(None, "any", "BTC\r\nX: 1"), "bad_symbol"),
    (TOY, "42", said(None, "any", "BTC&a=b"), "bad_symbol"),
    (TOY, "42", said(None, "any", "B" * 41), "bad_symbol"),
    (TOY, "42", said(None, "any", "/etc"), "bad_symbol"),
    (TOY, "42", said(None, "any", "БТЦ"), "bad_symbol"),
    (TOY, "x42", said(), "missing_symbol"),
    (TOY, "42", said(None, "trigger"), "missing_symbol"),
    (TOY, "42", said(None, "tp_sl", "BTC"), "unsupported_ord_type"),
    (NARROW, "x42", said(), "unsupported_kind"),
    (NARROW, "42", said("client_order_id"), "unsupported_kind"),
]


@pytest.mark.parametrize(("venue", "order_id", "words", "reason"), REFUSALS)
def test_what_cannot_be_asked_is_refused_with_the_producers_own_words(
    venue: Venue, order_id: str, words: Words, reason: str
) -> None:
    refused = name_order(venue, order_id, words)
    _, ord_type, symbol = words

    assert isinstance(refused, Refusal)
    assert (reason, order_id, symbol) == (refused.reason, refused.id, refused.symbol)
    assert ord_type == refused.ord_type
    assert refused.text.isprintable()
    assert len(refused.text) < 200


def test_a_refusal_speaks_plainly() -> None:
    refused = name_order(NARROW, "x42", said())

    assert isinstance(refused, Refusal)
    assert refused.kind == "client_order_id"
    assert refused.text == (
        "narrow cancels no order by a client order id (the id that the trader gave the order)"
    )


@pytest.mark.parametrize(
    "symbol", ["BTC", "BTCUSDT", "BTC-USD.P", "BTC/USDT:USDT", "1INCH_USDT"]
)
def test_symbols_in_every_venues_spelling_pass(symbol: str) -> None:
    named = name_order(TOY, "42", said("venue_order_id", symbol=symbol))

    assert venue_ref("42", symbol) == named


def names(routes: tuple[Route, ...]) -> list[str]:
    return [route.name for route in routes]


@pytest.mark.parametrize(
    ("ref", "cancel", "lookup"),
    [
        (venue_ref(), ["batch"], ["any_list", "trigger_list"]),
        (
            venue_ref(symbol="BTC"),
            ["batch", "one"],
            ["any_list", "symbol_list", "trigger_list"],
        ),
        (
            venue_ref(symbol="BTC", ord_type="trigger"),
            ["one"],
            ["trigger_list", "symbol_list", "any_list"],
        ),
        (OrderRef("x", IdKind.CLIENT, "BTC"), ["one"], ["symbol_list"]),
        (OrderRef("x", IdKind.CLIENT), [], []),
    ],
)
def test_routes_are_tried_in_table_order_likely_look_ups_first(
    ref: OrderRef, cancel: list[str], lookup: list[str]
) -> None:
    assert cancel == names(cancel_routes(TOY, ref.shape))
    assert lookup == names(lookup_routes(TOY, ref.shape))


COINW, ZTDX = all_venues()["coinw"], all_venues()["ztdx"]


@pytest.mark.parametrize(
    ("venue", "ord_type", "symbol", "hangs"),
    [
        (COINW, "any", "BTC", True),
        (COINW, "trigger", "BTC", True),
        (COINW, "limit", "BTC", False),  # no list of one symbol shows it
        (COINW, "limit", "", True),  # the type is a hint, and one list cannot be asked
        (ZTDX, "any", "BTCUSDT", False),  # a list of all symbols shows what is open
    ],
)
def test_absence_hangs_on_the_symbol_where_a_list_of_one_symbol_alone_may_show_an_order(
    venue: Venue, ord_type: str, symbol: str, hangs: bool
) -> None:
    assert hangs_on_symbol(venue, venue_ref("1", symbol, ord_type).shape) is hangs


@pytest.mark.parametrize(("name", "found"), [("bybit", {"cancel_batch"}), ("coinw", set())])
def test_a_quota_is_bypassed_where_each_order_of_its_routes_may_go_alone_by_others(
    name: str, found: set[str]
) -> None:
    """At CoinW only limit orders may."""
    assert bypassed_quotas(all_venues()[name].variants()[0]) == found


def test_the_group_is_what_the_route_says() -> None:
    ref = venue_ref("1", "BTC", "limit")

    assert batch_key(BATCH, ref) == ("BTC", "limit")
    assert batch_key(ONE, ref) == ()


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    order_id=st.text(max_size=6) | st.from_regex("[a-z0-9]{1,4}", fullmatch=True),
    words=st.tuples(
        st.none() | st.sampled_from(IdKind) | st.text(max_size=3),
        st.sampled_from(OrdType) | st.text(max_size=3),
        st.sampled_from(["", "BTC"]) | st.text(max_size=4),
    ),
)
def test_every_order_gets_a_cancel_route_or_a_reason(order_id: str, words: Words) -> None:
    named = name_order(TOY, order_id, words)

    if isinstance(named, Refusal):
        assert named.reason
        assert named.text.isprintable()
    else:
        assert cancel_routes(TOY, named.shape)
        assert order_id == named.id


KUNA = all_venues()["kuna"]
UUID = "3fa42833-9508-4061-8d80-b68563dcd521"


@pytest.mark.parametrize(
    ("order_id", "words", "kind", "text"),
    [
        (
            UUID,
            (None, "stop", ""),
            "",
            "'stop' is none of any, limit, market, trigger, trailing_stop, tp_sl",
        ),
        (
            UUID,
            ("own", "any", ""),
            "own",
            "'own' is not venue_order_id or client_order_id",
        ),
        (
            "risk-42",
            ("client_order_id", "any", ""),
            "client_order_id",
            "kuna cancels no order by a client order id "
            "(the id that the trader gave the order)",
        ),
        (
            "x" * 60,
            (None, "any", ""),
            "",
            f"'{'x' * 60}' has the shape of no order id at kuna",
        ),
        (
            "x" * 61,
            (None, "any", ""),
            "",
            f"'{'x' * 60}…' has the shape of no order id at kuna",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(
    order_id: str, words: Words, kind: str, text: str
) -> None:
    refused = name_order(KUNA, order_id, words)

    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.text) == (kind, text)
