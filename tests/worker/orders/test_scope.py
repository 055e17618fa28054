"""Which lists show the orders of a scope, what is of it, and what proves that none rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from venues import all_venues
from venues.base import OpenOrder, Page, Venue
from venues.words import OrdType, Scope, Side
from worker.orders.scope import (
    LeftOut,
    ListKey,
    NotSeen,
    ScopePlan,
    ScopeSearch,
    cancel_alls_of,
    found,
    is_of,
    plan_of,
    search_of,
)

COINW, ZTDX = all_venues()["coinw"], all_venues()["ztdx"]
LIMIT, TRIGGER = frozenset({OrdType.LIMIT}), frozenset({OrdType.TRIGGER})
ORDER = OpenOrder("7", "BTC", LIMIT, Side.BUY, "mm-1")


def names(plan: ScopePlan) -> list[tuple[str, str]]:
    return [(key.route.name, key.symbol) for key in plan.lists]


# -- a cancel-all of the venue -----------------------------------------------------------

BINANCE = all_venues()["binance"].variants()
KRAKEN, DERIBIT = all_venues()["kraken_futures"], all_venues()["deribit"]
BTC = frozenset({"BTCUSDT"})


@pytest.mark.parametrize(
    ("venue", "scope", "expected"),
    [
        (KRAKEN, Scope(), [("cancel_all", "")]),
        (KRAKEN, Scope(hold_s=5.0), [("cancel_all", "")]),
        (KRAKEN, Scope(symbols=BTC), []),
        (DERIBIT, Scope(symbols=BTC), [("cancel_all_of_symbol", "BTCUSDT")]),
        (BINANCE[0], Scope(), []),  # it has none of all symbols
        (
            BINANCE[0],
            Scope(symbols=frozenset({"B", "A"})),
            [(name, s) for s in "AB" for name in ("cancel_all", "cancel_all_algo")],
        ),
        (BINANCE[1], Scope(symbols=BTC), [("cancel_all", "BTCUSDT")]),
        (BINANCE[1], Scope(symbols=frozenset(map(str, range(11)))), []),  # too many requests
        (COINW, Scope(), []),
    ],
)
def test_a_cancel_all_covers_a_scope_or_is_not_used(
    venue: Venue, scope: Scope, expected: list[tuple[str, str]]
) -> None:
    assert [(c.route.name, c.symbol) for c in cancel_alls_of(venue, scope)] == expected


@pytest.mark.parametrize(
    "narrower",
    [
        {"side": Side.BUY},
        {"ord_types": LIMIT},
        {"client_order_id_prefix": "mm-"},
        {"excepted": frozenset({"7"})},
    ],
)
@pytest.mark.parametrize("symbols", [frozenset(), BTC])
def test_no_cancel_all_reaches_more_than_the_scope(
    narrower: dict[str, Any], symbols: frozenset[str]
) -> None:
    for venue in (KRAKEN, DERIBIT, *BINANCE):
        assert cancel_alls_of(venue, Scope(symbols=symbols, **narrower)) == ()


def test_cancel_alls_that_leave_out_a_kind_are_not_used() -> None:
    half = BINANCE[0].variants()[0]
    half.cancel_alls = half.cancel_alls[:1]

    assert cancel_alls_of(half, Scope(symbols=BTC)) == ()


# -- the plan ----------------------------------------------------------------------------


def test_what_is_listed_of_a_symbol_only_is_left_out_and_told() -> None:
    plan = plan_of(COINW, Scope())

    assert names(plan) == [
        ("list_trailing_stop", ""),
        ("list_tp_sl", ""),
        ("list_limit", ""),
        ("list_market", ""),
    ]
    assert plan.left_out == (LeftOut((OrdType.TRIGGER,), "missing_symbol"),)


def test_stated_symbols_are_read_and_prove_nothing() -> None:
    """Also of a type that only such a list shows; a scope with symbols does not need them."""
    stated = frozenset({"ETH", "BTC"})
    every, triggers = Scope(stated=stated), Scope(stated=stated, ord_types=TRIGGER)

    of_each = [("list_trigger", "BTC"), ("list_trigger", "ETH")]
    assert names(plan_of(COINW, every))[2:4] == of_each
    assert names(plan_of(COINW, triggers)) == of_each
    for scope in (every, triggers):
        left_out = plan_of(COINW, scope).left_out
        assert left_out == (LeftOut((OrdType.TRIGGER,), "stated_symbols"),)
    named = Scope(symbols=frozenset({"XRP"}), ord_types=TRIGGER, stated=stated)
    assert names(plan_of(COINW, named)) == [("list_trigger", "XRP")]
    assert plan_of(COINW, named).left_out == ()
    assert plan_of(ZTDX, Scope(stated=stated)) == plan_of(ZTDX, Scope())


def test_with_symbols_each_is_listed() -> None:
    plan = plan_of(COINW, Scope(symbols=frozenset({"ETH", "BTC"}), ord_types=TRIGGER))

    assert names(plan) == [("list_trigger", "BTC"), ("list_trigger", "ETH")]
    assert plan.left_out == ()


@pytest.mark.parametrize(
    ("scope", "reason", "says"),
    [
        (Scope(side=Side.BUY), "unsupported_scope", "buy from sell"),
        (Scope(client_order_id_prefix="mm-"), "unsupported_scope", "client order ids"),
        (Scope(ord_types=TRIGGER), "unsupported_scope", "of a symbol only"),
        (Scope(symbols=frozenset({"BTC&x=1"})), "bad_scope", "cannot be a symbol"),
        (Scope(excepted=frozenset({"mm-1"})), "bad_scope", "no id"),
    ],
)
def test_a_scope_that_cannot_be_seen_is_refused(scope: Scope, reason: str, says: str) -> None:
    with pytest.raises(NotSeen, match=says) as caught:
        plan_of(COINW, scope)

    assert caught.value.reason == reason


def test_a_venue_without_lists_is_refused() -> None:
    blind = type(ZTDX)()
    blind.lists = ()

    with pytest.raises(NotSeen, match="no list"):
        plan_of(blind, Scope())


# -- what is of a scope ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), True),
        (Scope(symbols=frozenset({"btc"})), True),
        (Scope(symbols=frozenset({"ETH"})), False),
        (Scope(side=Side.SELL), False),
        (Scope(client_order_id_prefix="mm-"), True),
        (Scope(client_order_id_prefix="xx-"), False),
        (Scope(excepted=frozenset({"7"})), False),
        (Scope(excepted=frozenset({"mm-1"})), False),
        (Scope(ord_types=LIMIT, side=Side.BUY), True),
        (Scope(ord_types=TRIGGER), False),
    ],
)
def test_an_order_is_of_a_scope_if_it_fits_all_words(scope: Scope, expected: bool) -> None:
    assert is_of(scope, ORDER) is expected


@pytest.mark.parametrize(
    ("scope", "order"),
    [
        (Scope(symbols=frozenset({"BTC"})), ORDER._replace(symbol="")),
        (Scope(side=Side.BUY), ORDER._replace(side=None)),
        (Scope(client_order_id_prefix="mm-"), ORDER._replace(client_id=None)),
        (Scope(ord_types=LIMIT), ORDER._replace(ord_types=LIMIT | TRIGGER)),
    ],
)
def test_what_a_row_does_not_tell_is_not_guessed(scope: Scope, order: OpenOrder) -> None:
    assert is_of(scope, order) is None


def test_an_order_is_canceled_as_the_type_that_its_row_tells() -> None:
    (route,) = ZTDX.lists

    assert found(ORDER, route)[0].ord_type is OrdType.LIMIT
    assert found(ORDER._replace(ord_types=LIMIT | TRIGGER), route)[0].ord_type is OrdType.ANY


# -- the proof ---------------------------------------------------------------------------


def search(hold_s: float = 0.0) -> ScopeSearch:
    """At a venue with one list, of a job that was accepted at 100."""
    scope = Scope(hold_s=hold_s)
    return search_of(ZTDX, scope, plan_of(ZTDX, scope), 100.0, 100.0)


def read(before: ScopeSearch, began: float, *orders: OpenOrder) -> ScopeSearch:
    return before.page_came(orders, None, more=False, started=began)


def test_empty_takes_reads_after_every_lag_and_for_as_long_as_a_list_may_hide() -> None:
    began = search()
    proves_from = 100.0 + ZTDX.birth_lag_s + ZTDX.read_lag_s
    too_early = read(began, proves_from - 0.1)
    first = read(too_early, proves_from)
    last = read(first, proves_from + ZTDX.hidden_s)

    assert not too_early.is_clean
    assert not first.is_clean
    assert first.next_at == pytest.approx(proves_from + 2.0)
    assert not read(first, proves_from + ZTDX.hidden_s - 0.1).is_clean
    assert last.is_clean
    assert [(p.first, p.last) for p in last.proofs()] == [
        (proves_from, proves_from + ZTDX.hidden_s)
    ]


def test_an_order_that_shows_up_begins_the_proof_anew() -> None:
    first = read(search(), 105.0)
    shown = read(first, 107.0, ORDER)
    last = read(read(shown, 109.0), 111.9)

    assert not shown.first_round
    assert not last.is_clean
    assert read(last, 112.0).is_clean
    assert shown.resting() == [(ListKey(ZTDX.lists[0]), ORDER)]


def test_the_hold_puts_the_proof_off() -> None:
    held = search(hold_s=60.0)

    assert not read(read(held, 161.9), 165.0).is_clean
    assert read(read(held, 162.0), 165.0).is_clean


def test_a_stuck_order_ends_the_reading_and_is_told() -> None:
    held = search()
    for began in 105.0, 108.0:
        held = held.page_came([ORDER], None, more=False, started=began, stuck=["7"])

    assert held.is_clean
    assert [order.id for _, order in held.resting()] == ["7"]


def test_a_row_that_does_not_tell_proves_nothing() -> None:
    untold = ORDER._replace(side=None)
    scope = Scope(side=Side.BUY)
    held = search_of(ZTDX, scope, plan_of(ZTDX, scope), 100.0, 100.0)
    held = read(read(held, 105.0, untold), 108.0, untold)

    assert held.is_clean
    assert [each.reason for each in held.unread()] == ["not_told"]


def test_a_list_that_fails_is_read_again_after_its_pause_and_told_until_then() -> None:
    failed = search().missed("timeout", 100.5, 1.0)

    assert failed.next_at == 101.5
    assert [each.reason for each in failed.unread()] == ["timeout"]
    assert read(failed, 101.5).unread() == []


def test_a_list_that_the_venue_refuses_is_left_and_told() -> None:
    refused = search().gave_up("bad_request")

    assert refused.is_clean  # there is nothing more to read
    assert [each.reason for each in refused.unread()] == ["bad_request"]


def test_a_first_round_too_early_to_prove_anything_begins_where_most_orders_rest() -> None:
    held = search_of(COINW, Scope(), plan_of(COINW, Scope()), 100.0, 100.0)
    rounds: list[list[str]] = []
    for began in 100.0, 120.0, 140.0:
        rounds.append([])
        while held.rounds < len(rounds):
            rounds[-1].append(held.batch().route.name)
            held = read(held, began)

    in_order = ["list_trailing_stop", "list_tp_sl", "list_limit", "list_market"]
    assert rounds == [[*in_order[2:], *in_order[:2]], in_order, in_order]


def test_a_round_in_another_order_proves_nothing_however_late_it_begins() -> None:
    held = search_of(COINW, Scope(), plan_of(COINW, Scope()), 100.0, 100.0)
    while held.rounds < 1:
        held = read(held, 150.0)
    assert not held.first_round

    while held.rounds < 2:
        held = read(held, 152.0)
    assert held.first_round


def test_a_job_that_is_taken_over_late_reads_in_the_order_that_proves() -> None:
    held = search_of(COINW, Scope(), plan_of(COINW, Scope()), 100.0, 150.0)

    assert held.batch().route.name == "list_trailing_stop"


def test_rounds_become_rarer_in_a_long_hold() -> None:
    held = search(hold_s=3600.0)

    assert read(held, 100.0).next_at == 102.0
    assert read(held, 200.0).next_at == 210.0
    assert read(held, 1000.0).next_at == 1030.0


# -- pages -------------------------------------------------------------------------------


def paged(*symbols: str) -> ScopeSearch:
    scope = Scope(symbols=frozenset(symbols), ord_types=TRIGGER)
    return search_of(COINW, scope, plan_of(COINW, scope), 100.0, 100.0)


def rows(ids: Sequence[int]) -> list[OpenOrder]:
    return [OpenOrder(str(n), "BTC", TRIGGER) for n in ids]


def page(ids: Sequence[int], end: int, total: int | None = None) -> Page:
    return Page(tuple(map(str, ids)), end, total, 3)


def test_pages_are_read_as_one_list_and_rows_that_two_show_count_once() -> None:
    first = paged("BTC").page_came(
        rows([1, 2, 3]), page([1, 2, 3], 3, 5), more=True, started=100.0
    )
    last = first.page_came(rows([3, 4, 5]), page([3, 4, 5], 5, 5), more=False, started=101.0)

    assert (first.batch().page, first.batch().read, first.batch().size) == (2, 3, 3)
    assert [order.id for _, order in last.resting()] == ["1", "2", "3", "4", "5"]
    assert last.last_round[0].began == 100.0


def test_a_page_is_asked_for_by_the_cursor_of_the_one_before() -> None:
    said = page([1, 2, 3], 3)._replace(cursor="1")
    first = paged("BTC").page_came(rows([1, 2, 3]), said, more=True, started=1.0)
    anew = first.missed("http_503", 2.0)

    assert (first.batch().page, first.batch().cursor) == (2, "1")
    assert (anew.batch().page, anew.batch().cursor) == (1, "")


def test_a_page_that_does_not_overlap_the_one_before_is_no_proof() -> None:
    first = paged("BTC").page_came(rows([1, 2, 3]), page([1, 2, 3], 3), more=True, started=1.0)
    shifted = first.page_came(rows([5, 6]), page([5, 6], 5), more=False, started=2.0)

    assert shifted.last_round == ()
    assert [each.reason for each in shifted.unread()] == ["list_changes"]
    assert shifted.batch().page == 1


def test_a_list_that_is_cut_is_no_proof() -> None:
    cut = search().page_came([ORDER], None, more=True, started=105.0)

    assert cut.last_round == ()
    assert [each.reason for each in cut.unread()] == ["list_too_long"]


def test_a_list_that_demands_a_symbol_is_read_for_each_that_is_stated() -> None:
    scope = Scope(symbols=frozenset({"BTC", "ETH"}), ord_types=LIMIT)
    asked = search_of(COINW, scope, plan_of(COINW, scope), 0.0, 0.0)
    by_symbol = asked.symbol_demanded()
    unstated = replace(asked, scope=Scope()).symbol_demanded()

    assert names(by_symbol.plan) == [("list_limit", "BTC"), ("list_limit", "ETH")]
    assert by_symbol.batch().of_symbol == "BTC"
    assert [each.reason for each in unstated.unread()] == ["missing_symbol"]
