"""Requests held against those of a client that nobody here wrote: ccxt makes the same calls.

Offline: its `fetch` hands out what it would send, at the time of the fixtures. Method, path and
words have to be the same, and what a venue's `sign` adds to the very bytes that ccxt sends has
to be what ccxt added. `peers.py` has the calls, and the reason of each difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt
import pytest

from tests.venues.cases import called, fixture_of, kind_of
from tests.venues.peers import ELSEWHERE, PARTNERS, PEERS, Call, Peer
from venues import all_venues
from venues.base import Batch, HttpRequest, Route, Venue
from venues.credential import Credential
from venues.words import OrderRef

NOW_MS = 1_700_000_000_000
CASES = [
    pytest.param(peer, call, id=f"{called(peer.of())}: {call.route} {' '.join(call.ids)}")
    for peer in PEERS
    for call in peer.calls
]


class Asked(Exception):
    """What ccxt would have sent."""


def client_of(peer: Peer, nonce: object = NOW_MS) -> Any:
    """Return ccxt's client with the venue's only market, which sends nothing."""
    given = fixture_of(peer.of())["credential"]
    words = {theirs: given[ours] for theirs, ours in peer.parts.items() if ours in given}
    spot = ":" not in peer.symbol
    client = getattr(ccxt, peer.client)(
        {
            **words,
            "enableRateLimit": False,
            "options": {"defaultType": "spot" if spot else "swap", **peer.options},
        }
    )

    def fetch(url: str, method: str, headers: Any, body: str | None) -> None:
        split = urlsplit(url)
        target = split.path + (f"?{split.query}" if split.query else "")
        raise Asked(
            f"{split.scheme}://{split.netloc}",
            HttpRequest(method, target, (body or "").encode(), headers),
        )

    client.fetch, client.milliseconds = fetch, lambda: NOW_MS
    client.nonce = client.incrementing_nonce = lambda: nonce
    market = {
        "id": fixture_of(peer.of())["symbol"],
        "symbol": peer.symbol,
        "type": "spot" if spot else "swap",
        "spot": spot,
        "swap": not spot,
        "contract": not spot,
        "linear": None if spot else True,
        "settle": None if spot else "USDT",
        "settleId": None if spot else "usdt",
        "base": "BTC",
        "baseId": "0",  # as Hyperliquid's list has it; elsewhere it has no part in a cancel
        "quote": "USDT",
    }
    client.set_markets([client.safe_market_structure(market)])
    return client


def theirs(peer: Peer, call: Call, nonce: object = NOW_MS) -> tuple[str, HttpRequest]:
    with pytest.raises(Asked) as asked:
        call.ask(client_of(peer, nonce), peer.symbol)
    host, request = asked.value.args
    return host, request


def ours(peer: Peer, call: Call) -> tuple[HttpRequest, HttpRequest]:
    """Return our request, unsigned and signed."""
    venue = peer.of()
    unsigned = venue.build(batch_of(venue, call))
    return unsigned, signed(venue, unsigned)


def signed(venue: Venue, request: HttpRequest) -> HttpRequest:
    return venue.sign(request, Credential(**fixture_of(venue)["credential"]), NOW_MS)


def batch_of(venue: Venue, call: Call) -> Batch:
    route = route_of(venue, call.route)
    route = route.by_symbol() if call.by_symbol else route
    symbol = fixture_of(venue)["symbol"]
    refs = [OrderRef(each, kind_of(venue, each), symbol, call.ord_type) for each in call.ids]
    return Batch(route, tuple(refs), cursor=call.cursor)


def route_of(venue: Venue, name: str) -> Route:
    return next(each for each in [*venue.routes, *venue.lists] if each.name == name)


def parts(request: HttpRequest, host: str) -> dict[str, str]:
    """Return what a request says, each part by a name; `place` is where its words stand."""
    path, _, query = request.target.partition("?")
    body = request.body.decode()
    place = "body" if body else "query" if query else ""
    words = parse_qsl(query, keep_blank_values=True)
    words += words_of(json.loads(body)) if body[:1] in ("{", "[") else form_of(body)
    named = [name for name, _ in words]
    return {
        "method": request.method,
        "url": host + path,
        "place": place,
        # Of words that come more than once, all, in their order.
        **{
            f"word {name}": " ".join(value for each, value in words if each == name)
            for name in named
        },
        **{f"header {name.lower()}": value for name, value in request.headers.items()},
    }


def words_of(body: Any, at: str = "") -> list[tuple[str, str]]:
    if isinstance(body, dict | list):
        items = body.items() if isinstance(body, dict) else enumerate(body)
        return [
            each for key, value in items for each in words_of(value, f"{at}.{key}".strip("."))
        ]
    return [(at, str(body))]


def form_of(body: str) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(body, keep_blank_values=True):
        yield from words_of(json.loads(value), name) if value[:1] == "{" else [(name, value)]


def added_by_signing(unsigned: HttpRequest, request: HttpRequest) -> set[str]:
    return parts(request, "").keys() - parts(unsigned, "").keys()


@pytest.mark.parametrize(("peer", "call"), CASES)
def test_a_request_says_what_another_client_says(peer: Peer, call: Call) -> None:
    """Everything but what authenticates it, of which the next test speaks."""
    unsigned, request = ours(peer, call)
    host, asked = theirs(peer, call)
    said, heard = parts(unsigned, peer.of().base_url), parts(asked, host)
    for name in added_by_signing(unsigned, request) | PARTNERS:
        heard.pop(name, None)

    differing = {name for name in said.keys() | heard if said.get(name) != heard.get(name)}
    explained = [*peer.differs.values(), *call.differs.values()]
    explained += peer.bodiless_differ.values() if not unsigned.body else ()
    assert differing == {name for names in explained for name in names}, (said, heard)


@pytest.mark.parametrize(("peer", "call"), CASES)
def test_a_signature_is_that_of_another_client(peer: Peer, call: Call) -> None:
    """What ccxt sends is signed anew; or both signatures fit one rule."""
    venue = peer.of()
    unsigned, request = ours(peer, call)
    _, asked = theirs(peer, call)
    if peer.by_rule:
        client = client_of(peer)
        assert peer.by_rule(client, asked)
        assert peer.by_rule(client, request)
        return
    again = signed(venue, HttpRequest(asked.method, asked.target, asked.body))
    if nonce := re.search(
        "nonce=([0-9a-f]+)", str(dict(again.headers))
    ):  # it is ours to choose
        _, asked = theirs(peer, call, nonce[1])

    said, heard = parts(again, ""), parts(asked, "")
    names = added_by_signing(unsigned, request)
    assert names
    differing = {name for name in names if said[name] != heard.get(name)}
    explained = {name for reason in peer.signing_differs.values() for name in reason}
    assert differing == explained & names, (said, heard)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: called(peer.of()))
def test_every_route_is_held_against_another_client(peer: Peer) -> None:
    venue = peer.of()
    names = {route.name for route in [*venue.routes, *venue.lists]}

    assert names - {call.route for call in peer.calls} == set(peer.missing)


def test_every_venue_that_ccxt_has_is_held_against_it() -> None:
    assert {peer.venue for peer in PEERS} == set(all_venues()) - ELSEWHERE
    assert not ELSEWHERE & set(ccxt.exchanges)
