"""Bybit: two lists side by side, a limit that counts orders, and kinds of spot."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from venues.sandbox.bybit import sign
from venues.sandbox.client import SandboxClient

from .callers import SECRET, Answer, digest, send

KEY = "dummyKeyOfBybit"


@pytest.fixture(autouse=True)
def account(sandbox: SandboxClient) -> None:
    sandbox.add_account("bybit", KEY, SECRET)


def call(
    sandbox: SandboxClient, method: str, name: str, secret: str = SECRET, **params: Any
) -> Answer:
    """Call Bybit: words in the query, or in a JSON body."""
    time_ms = str(params.pop("time_ms", int(time.time() * 1000)))
    params = {"category": "linear"} | params
    query = "&".join(f"{key}={value}" for key, value in params.items())
    body = json.dumps(params) if method == "POST" else ""
    mac = digest("sha256", f"{time_ms}{KEY}5000{body or query}".encode(), secret).hex()
    headers = {"X-BAPI-API-KEY": KEY, "X-BAPI-TIMESTAMP": time_ms, "X-BAPI-SIGN": mac}
    target = f"/v5/order/{name}" if body else f"/v5/order/{name}?{query}"
    return send(
        sandbox, method, target, headers | {"X-BAPI-RECV-WINDOW": "5000"}, body.encode()
    )


def seed(sandbox: SandboxClient, number: int, **fields: Any) -> str:
    """Seed one order and return its id."""
    spot = fields.get("product") == "spot"
    given = {
        "id": str(10**18 + number) if spot else f"c6f055d9-7f21-4079-913d-{number:012x}",
        "symbol": "BTCUSDT",
        "api_key": KEY,
        "venue": "bybit",
    }
    sandbox.seed([given | fields])
    return given["id"]


def batch(sandbox: SandboxClient, *ids: str, **more: Any) -> list[tuple[str, int]]:
    """Cancel a batch; return each id that is echoed with its code."""
    items = [{"symbol": "BTCUSDT", "orderId": each} for each in ids]
    said = call(sandbox, "POST", "cancel-batch", request=items, **more).json
    named, codes = said["result"]["list"], said["retExtInfo"]["list"]
    return [(n["orderId"], c["code"]) for n, c in zip(named, codes, strict=True)]


def status(sandbox: SandboxClient, name: str, order_id: str, **more: Any) -> str:
    rows = call(sandbox, "GET", name, orderId=order_id, **more).json["result"]["list"]
    return rows[0]["orderStatus"] if rows else ""


def test_recorded_signatures_are_reproduced() -> None:
    """Of nautilus_trader's tests; the venue's own pages hide key and secret."""
    of_query = "1700000000000test_api_key5000category=linear&symbol=BTCUSDT"
    body = '{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "test-order-1"}'

    assert sign(b"test_secret", of_query) == (
        "fd4f31228a46109dc6673062328693696df9a96c7ff04e6491a45e7f63a0fdd7"
    )
    assert sign(b"test_secret", f"1700000000000test_api_key5000{body}") == (
        "2df4a0603d69c08d5dea29ba85b46eb7db64ce9e9ebd34a7802a3d69700cb2a1"
    )


def test_a_batch_is_answered_by_two_lists(sandbox: SandboxClient) -> None:
    live, over, nobody = seed(sandbox, 1), seed(sandbox, 2, state="filled"), "gone"

    said = batch(sandbox, over, live, nobody)
    sandbox.settings({"bybit.batch_echo": "none"})
    silent = batch(sandbox, over)

    assert said == [(over, 110001), (live, 0), (nobody, 110001)]
    assert silent == [("", 110001)]
    assert status(sandbox, "realtime", live) == "Cancelled"


def test_a_batch_draws_for_each_order_and_refuses_the_last(sandbox: SandboxClient) -> None:
    ids = [seed(sandbox, n) for n in range(12)]

    codes = [code for _, code in batch(sandbox, *ids)]

    assert codes == [0] * 10 + [10006] * 2
    assert sandbox.order("bybit", ids[-1]).state == "open"


def test_a_batch_of_options_draws_once(sandbox: SandboxClient) -> None:
    ids = [seed(sandbox, n, product="option") for n in range(20)]

    assert {code for _, code in batch(sandbox, *ids, category="option")} == {0}


def test_spot_reaches_the_kind_that_is_named(sandbox: SandboxClient) -> None:
    spot: dict[str, Any] = {"product": "spot"}
    stop = seed(sandbox, 1, ord_type="trigger", **spot)
    tpsl = seed(sandbox, 2, ord_type="tp_sl", **spot)
    named = {"category": "spot", "symbol": "BTCUSDT"}

    assert [code for _, code in batch(sandbox, stop, category="spot")] == [170213]
    for order_id, word in ((stop, "tpslOrder"), (tpsl, "StopOrder")):
        refused = call(
            sandbox, "POST", "cancel", **named, orderId=order_id, orderFilter=word
        ).json
        assert refused["retCode"] == 170213
    for order_id, word in ((stop, "StopOrder"), (tpsl, "tpslOrder")):
        call(sandbox, "POST", "cancel", **named, orderId=order_id, orderFilter=word)
        assert status(sandbox, "realtime", order_id, category="spot") == "Deactivated"


def test_a_restart_leaves_what_is_over_to_the_record(sandbox: SandboxClient) -> None:
    live, over = seed(sandbox, 1), seed(sandbox, 2, state="filled")

    before = [status(sandbox, "realtime", each) for each in (live, over)]
    sandbox.settings({"bybit.restarted": True})
    after = [status(sandbox, "realtime", each) for each in (live, over)]
    record = [status(sandbox, "history", each) for each in (live, over)]

    assert (before, after, record) == (["New", "Filled"], ["New", ""], ["", "Filled"])


def test_who_asks_too_often_is_shut_out(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"bybit": {"lookup": "1000/1s", "address": "600/5s"}}})

    answers = [call(sandbox, "GET", "realtime", orderId="x") for _ in range(602)]

    assert answers[599].status == 200
    assert (answers[-1].status, answers[-1].body) == (403, b"403, access too frequent")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"secret": "wrong"}, 10004),
        ({"time_ms": 1_700_000_000_000}, 10002),
        ({"category": "futures"}, 10001),
        ({"orderId": ""}, 10001),
    ],
)
def test_what_cannot_be_is_refused(
    sandbox: SandboxClient, params: dict[str, Any], code: int
) -> None:
    given = {"orderId": "x"} | params

    assert call(sandbox, "GET", "realtime", **given).json["retCode"] == code


def test_who_places_an_order_is_recorded(sandbox: SandboxClient) -> None:
    for name in ("create", "amend-batch"):
        call(sandbox, "POST", name)

    assert [each["kind"] for each in sandbox.incidents()] == ["traded"] * 2
