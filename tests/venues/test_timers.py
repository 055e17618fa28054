"""Timers of venues: each request and reply as its fixture file has it, and no other request."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.venues.cases import VENUES, Case, called, cases, entries, fixture_of
from tests.venues.test_contract import ODD_BODIES
from tests.venues.test_guard import fields, masked, words_in
from venues.base import Batch, HttpReply, HttpRequest, Timer, Venue, Verdict
from venues.words import ALL_TYPES, CANCELS, SYMBOL_SHAPE, Purpose
from worker.metrics import TIMER
from worker.orders.judge import hear_list

LAW = settings(max_examples=60, derandomize=True, deadline=None, database=None)
TIMED = [(venue, venue.timer) for venue in VENUES if venue.timer is not None]
every_timer = pytest.mark.parametrize(
    ("venue", "timer"), [pytest.param(*each, id=called(each[0])) for each in TIMED]
)


@pytest.mark.parametrize("case", cases("timers"))
def test_a_timer_is_set_as_recorded(case: Case) -> None:
    request = case.venue.build(case.batch)
    signed = case.venue.sign(request, case.credential, case.file["now_ms"])

    assert case.said["source"]
    assert (signed.method, signed.target) == (case.said["method"], case.said["target"])
    assert signed.body.decode() == case.said.get("body", "")
    assert dict(signed.headers) == case.said["headers"]


@pytest.mark.parametrize("case", cases("timers"))
def test_a_reply_is_read_as_recorded(case: Case) -> None:
    said = hear_list(case.venue, case.batch, case.reply).said
    verdict, _, reason = case.said["expect"].partition(" ")

    assert (said.verdict, said.reason) == (verdict, reason)


@every_timer
def test_every_timer_is_recorded_and_says_what_it_reaches(venue: Venue, timer: Timer) -> None:
    recorded = entries(venue, "timers")
    route = timer.route

    assert {bool(said["after_s"]) for said in recorded} == {True, False}
    assert {bool(said.get("symbol")) for said in recorded} == {route.needs_symbol}
    assert (route.name, route.purpose) == (TIMER, Purpose.TIMER)
    assert route.ord_types <= ALL_TYPES
    assert set(route.quotas) <= set(venue.quotas)
    assert 1 <= timer.least_s < timer.most_s


def test_no_other_route_is_a_timer() -> None:
    for venue in VENUES:
        routes = (*venue.routes, *venue.lists, *venue.cancel_alls)
        assert Purpose.TIMER not in {route.purpose for route in routes}
    assert Purpose.TIMER not in CANCELS


@every_timer
@LAW
@given(data=st.data())
def test_only_symbol_and_time_tell_a_timer_from_a_recorded_one(
    venue: Venue, timer: Timer, data: st.DataObject
) -> None:
    """So nothing that an account or a job says places, changes or cancels an order by it."""
    shapes = st.from_regex(SYMBOL_SHAPE, fullmatch=True)
    symbol = data.draw(shapes) if timer.route.needs_symbol else ""
    after_s = data.draw(st.just(0) | st.integers(timer.least_s, timer.most_s))
    batch = Batch(timer.route, (), symbol=symbol, after_s=after_s)
    alike = next(s for s in entries(venue, "timers") if bool(s["after_s"]) is bool(after_s))
    recorded = Case(venue, fixture_of(venue), alike).batch
    expected = form_of(venue.build(recorded), recorded)
    assume(not (words_said(batch) - words_said(recorded)) & words_in(expected))

    assert form_of(venue.build(batch), batch) == expected


def form_of(request: HttpRequest, batch: Batch) -> object:
    """Return a request with its symbol and its time taken out, wherever a value may stand."""
    path, _, query = request.target.partition("?")
    body = request.body.decode()
    told = json.loads(body) if body.startswith("{") else fields(body)
    assert path == batch.route.path
    said = words_said(batch)
    return request.method, path, masked(fields(query), said), masked(told, said)


def words_said(batch: Batch) -> set[str]:
    return {str(batch.after_s), str(batch.after_s * 1000), batch.symbol} - {""}


@every_timer
@pytest.mark.parametrize("status", [200, 400, 500, 503])
@pytest.mark.parametrize("after_s", [0, 60])
def test_an_unreadable_reply_sets_no_timer(
    venue: Venue, timer: Timer, status: int, after_s: int
) -> None:
    symbol = "BTC" if timer.route.needs_symbol else ""
    batch = Batch(timer.route, (), symbol=symbol, after_s=after_s)
    for body in ODD_BODIES:
        reply = HttpReply(status, {}, body, json.dumps(body))
        assert hear_list(venue, batch, reply).said.verdict is not Verdict.ACCEPTED
