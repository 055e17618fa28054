"""Deribit's signature, with a nonce of somebody else: a request's own is made of it."""

from __future__ import annotations

import pytest

from venues.deribit import Deribit, signature
from venues.words import IdKind, OrdType, Shape
from worker.orders.routes import record_hangs_on_symbol

#: method, target, body, signature: id dummyKey, secret dummySecret0001, nonce abcd1234, by the
#: rule of https://docs.deribit.com/articles/authentication
SIGNED = [
    (
        "GET",
        "/api/v2/private/get_order_state?order_id=ETH-331562",
        "",
        "b585e556bd0c940e1a0dd5a59862b8c69252be78f84ba1586f490f768b959a77",
    ),
    (
        "POST",
        "/api/v2/private/cancel",
        '{"jsonrpc":"2.0","id":1,"method":"private/cancel","params":{"order_id":"ETH-331562"}}',
        "3d8c72fb6feaefd3b8cc9dddd465fb2429dbe94fa8ae563bef4ff70247d7eb8c",
    ),
]


def test_the_published_vector_is_reproduced() -> None:
    """Of a websocket, with empty data: the only one whose time and nonce are published."""
    mac = signature("ABCD", 1554883365000, "fdbmmz79", "")

    assert mac == "e20c9cd5639d41f8bbc88f4d699c4baf94a4f0ee320e9a116b72743c449eb994"


@pytest.mark.parametrize(("method", "target", "body", "mac"), SIGNED)
def test_a_request_is_signed_over_its_lines(
    method: str, target: str, body: str, mac: str
) -> None:
    data = f"{method}\n{target}\n{body}\n"

    assert signature("dummySecret0001", 1700000000000, "abcd1234", data) == mac


def test_what_is_not_found_may_have_ended_under_another_instrument() -> None:
    """Look-ups by id forget what has ended, and the records are asked by instrument."""
    assert record_hangs_on_symbol(Deribit(), Shape(IdKind.VENUE, OrdType.ANY, True))
