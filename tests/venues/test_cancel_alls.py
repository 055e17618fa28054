"""Cancel-alls: each request and each reply as the fixture file of its venue has it."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.cases import VENUES, Case, called, cases, entries, unfold
from tests.venues.test_contract import ODD_BODIES
from venues.base import Batch, HttpReply, HttpRequest, Venue, Verdict
from venues.words import ALL_TYPES, SYMBOL_SHAPE, Purpose
from worker.orders.judge import hear_list

LAW = settings(max_examples=40, derandomize=True, deadline=None, database=None)
SWEEPING = [venue for venue in VENUES if venue.cancel_alls]


def batch_of(case: Case) -> Batch:
    name = case.said["route"]
    route = next(each for each in case.venue.cancel_alls if each.name == name)
    return Batch(route, (), symbol=case.said.get("symbol", ""))


@pytest.mark.parametrize("case", cases("cancel_alls"))
def test_a_cancel_all_is_asked_for_as_recorded(case: Case) -> None:
    request = case.venue.build(batch_of(case))
    signed = case.venue.sign(request, case.credential, case.file["now_ms"])

    assert (request.method, request.target) == (case.said["method"], case.said["target"])
    assert request.body.decode() == case.said.get("body", "")
    assert case.said.get("signature", "") in f"{signed.target} {dict(signed.headers)}"


@pytest.mark.parametrize("case", cases("cancel_alls"))
def test_a_reply_is_read_as_recorded(case: Case) -> None:
    body = unfold(case.said["json"])
    reply = HttpReply(case.said.get("status", 200), {}, body, json.dumps(body))
    said, expected = hear_list(case.venue, batch_of(case), reply), case.said["expect"]

    assert case.said["source"]
    if isinstance(expected, list):
        assert [[order.id, order.symbol] for order in said.orders or ()] == expected
        assert said.said.verdict is Verdict.ACCEPTED
        assert said.claimed == case.said.get("claimed", len(expected))
        return
    verdict, _, reason = expected.partition(" ")
    assert (said.orders, said.claimed) == (None, None)
    assert said.said.verdict == verdict
    assert not reason or said.said.reason == reason


@pytest.mark.parametrize("venue", VENUES, ids=called)
def test_every_cancel_all_is_recorded_and_says_what_it_reaches(venue: Venue) -> None:
    recorded = {said["route"] for said in entries(venue, "cancel_alls")}

    assert recorded == {route.name for route in venue.cancel_alls}
    for route in venue.cancel_alls:
        assert route.purpose is Purpose.CANCEL_ALL
        assert route.ord_types <= ALL_TYPES
        assert set(route.quotas) <= set(venue.quotas)


@pytest.mark.parametrize("venue", SWEEPING, ids=called)
@LAW
@given(data=st.data())
def test_a_symbol_stands_where_a_recorded_one_does(venue: Venue, data: st.DataObject) -> None:
    """No symbol makes a request of another form: none that reaches more, or that trades."""
    route = data.draw(st.sampled_from(venue.cancel_alls))
    drawn = st.from_regex(SYMBOL_SHAPE, fullmatch=True)
    symbol = data.draw(drawn) if route.needs_symbol else ""
    said = next(s for s in entries(venue, "cancel_alls") if s["route"] == route.name)
    recorded = said.get("symbol", "")

    built = venue.build(Batch(route, (), symbol=symbol))
    expected = venue.build(Batch(route, (), symbol=recorded))
    assert bool(recorded) is route.needs_symbol
    assert in_words(built, symbol) == in_words(expected, recorded)


def in_words(request: HttpRequest, symbol: str) -> tuple[str, list[str], str]:
    """Return a request with its symbol taken out, wherever a value may stand."""
    path, _, query = request.target.partition("?")
    fields = [field.partition("=") for field in query.split("&")]
    masked = [f"{n}={'*' if unquote(v) == symbol and symbol else v}" for n, _, v in fields]
    body = request.body.decode()
    if symbol and body:
        body = body.replace(json.dumps(symbol), "*")
    return f"{request.method} {path}", masked, body


@pytest.mark.parametrize("venue", SWEEPING, ids=called)
@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_an_unreadable_reply_names_nobody(venue: Venue, status: int) -> None:
    for route in venue.cancel_alls:
        for body in ODD_BODIES:
            batch = Batch(route, (), symbol="BTC" if route.needs_symbol else "")
            said = hear_list(venue, batch, HttpReply(status, {}, body, json.dumps(body)))
            assert not said.orders
