"""Lists of open orders: each request and each row as the fixture file of its venue has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.venues.cases import VENUES, Case, called, cases, entries, unfold
from venues.base import Batch, HttpReply, OpenOrder, Route, Venue
from venues.words import ALL_TYPES, OrdType, Purpose, Side
from worker.orders.judge import ListHeard, hear_list
from worker.orders.routes import cancel_routes
from worker.orders.scope import found


def route_of(case: Case) -> Route:
    route = next(each for each in case.venue.lists if each.name == case.said["route"])
    return route.by_symbol() if case.said.get("by_symbol") else route


def batch_of(case: Case) -> Batch:
    said = case.said
    words = (said.get("page", 1), said.get("read", 0), 0, said.get("cursor", ""))
    return Batch(route_of(case), (), *words, symbol=said.get("symbol", ""))


def heard(case: Case) -> ListHeard:
    body = unfold(case.said["json"])
    text = case.said.get("text", json.dumps(body))
    reply = HttpReply(case.said.get("status", 200), {}, body, text)
    return hear_list(case.venue, batch_of(case), reply)


@pytest.mark.parametrize("case", cases("lists"))
def test_a_list_is_asked_for_as_recorded(case: Case) -> None:
    request = case.venue.build(batch_of(case))

    said, body = case.said, request.body.decode()
    recorded = (said.get("method", "GET"), said["target"], said.get("body", body))
    assert (request.method, request.target, body) == recorded


@pytest.mark.parametrize("case", cases("lists"))
def test_a_list_is_read_as_recorded(case: Case) -> None:
    said, expected = heard(case), case.said["expect"]

    assert case.said["source"]
    if isinstance(expected, list):
        assert said.orders is not None
        assert [order._replace(state="") for order in said.orders] == [
            order_of(row) for row in expected
        ]
    elif expected.endswith(" rows"):
        assert said.orders is not None
        assert f"{len(said.orders)} rows" == expected
    else:
        verdict, _, reason = expected.partition(" ")
        assert said.orders is None
        assert said.said.verdict == verdict
        assert not reason or said.said.reason == reason
        return
    assert said.more is case.said["more"]


def order_of(row: dict[str, Any]) -> OpenOrder:
    side = row.get("side")
    return OpenOrder(
        row["id"],
        row["symbol"],
        frozenset(map(OrdType, row["ord_types"])),
        Side(side) if side else None,
        row.get("client_id"),
    )


@pytest.mark.parametrize("case", cases("lists"))
def test_what_a_list_shows_can_be_canceled(case: Case) -> None:
    for order in heard(case).orders or ():
        ref, progress = found(order, route_of(case))

        assert progress.seen_open
        assert cancel_routes(case.venue, ref.shape)


@pytest.mark.parametrize("venue", VENUES, ids=called)
def test_every_list_is_recorded_and_says_what_it_shows(venue: Venue) -> None:
    assert {said["route"] for said in entries(venue, "lists")} == {
        route.name for route in venue.lists
    }
    for route in venue.lists:
        assert route.purpose is Purpose.LIST
        assert route.ord_types <= ALL_TYPES
        assert set(route.quotas) <= set(venue.quotas)


@pytest.mark.parametrize("venue", [venue for venue in VENUES if venue.lists], ids=called)
def test_lists_show_every_type_that_can_be_canceled(venue: Venue) -> None:
    cancels = (r.ord_types for r in venue.routes if r.purpose is Purpose.CANCEL)
    canceled = frozenset[OrdType]().union(*cancels) & ALL_TYPES

    assert canceled <= frozenset[OrdType]().union(*(route.ord_types for route in venue.lists))
