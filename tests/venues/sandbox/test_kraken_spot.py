"""Kraken Spot: a count in place of ids, and a nonce that has to grow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient
from venues.sandbox.kraken_spot import sign

from .callers import Answer, fresh_nonce, send

KEY = "dummyKeyOfKraken"
SECRET = base64.b64encode(b"dummySecret0001").decode()
GONE = "OZZZZZ-ZZZZZ-ZZZZZZ"


@pytest.fixture(autouse=True)
def account(sandbox: SandboxClient) -> None:
    sandbox.add_account("kraken_spot", KEY, SECRET)


def call(
    sandbox: SandboxClient, name: str, nonce: str = "", secret: str = SECRET, **fields: Any
) -> Answer:
    path, nonce = f"/0/private/{name}", nonce or fresh_nonce()
    body = json.dumps({"nonce": nonce} | fields).encode()
    inner = hashlib.sha256(nonce.encode() + body).digest()
    mac = hmac.digest(base64.b64decode(secret), path.encode() + inner, "sha512")
    headers = {"API-Key": KEY, "API-Sign": base64.b64encode(mac).decode()}
    return send(sandbox, "POST", path, headers | {"Content-Type": "application/json"}, body)


def said(sandbox: SandboxClient, name: str, **fields: Any) -> tuple[list[str], Any]:
    """Return the errors and the result of a call."""
    body = call(sandbox, name, **fields).json
    return body["error"], body.get("result")


def seed(sandbox: SandboxClient, number: int, **fields: Any) -> str:
    order_id = f"OABCDE-12345-{number:06d}"
    given = {"venue": "kraken_spot", "api_key": KEY, "id": order_id, "symbol": "XBTUSD"}
    sandbox.seed([given | fields])
    return order_id


def state(sandbox: SandboxClient, order_id: str) -> str:
    errors, rows = said(sandbox, "QueryOrders", txid=order_id)
    return errors[0] if errors else str(rows[order_id]["status"])


def test_the_signature_of_the_pages_is_reproduced() -> None:
    """Of the guide spot-rest-auth."""
    secret = (
        b"kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6"
        b"F1huXg=="
    )
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"

    assert sign(secret, "/0/private/AddOrder", "1616492376594", body) == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


def test_a_batch_is_answered_with_a_count(sandbox: SandboxClient) -> None:
    live, over = seed(sandbox, 1), seed(sandbox, 2, state="filled")
    seed(sandbox, 3, client_order_id="desk-1")

    count = said(sandbox, "CancelOrderBatch", orders=[live, over, GONE], cl_ord_ids=["desk-1"])

    assert count == ([], {"count": 2})
    assert [state(sandbox, each) for each in (live, over, GONE)] == [
        *["canceled", "closed", "EOrder:Invalid order"]
    ]


@pytest.mark.parametrize(
    ("settings", "errors", "result", "ends"),
    [
        ({"bad_id": "refused"}, ["EOrder:Unknown order"], None, "open"),
        ({"bad_id": "beside"}, ["EOrder:Unknown order"], {"count": 1}, "canceled"),
        ({"count": "asked"}, [], {"count": 2}, "canceled"),
        ({"pending": "yes"}, [], {"count": 1, "pending": True}, "canceled"),
    ],
)
def test_an_unknown_id_of_a_batch_may_do_this(
    sandbox: SandboxClient, settings: dict[str, str], errors: list[str], result: Any, ends: str
) -> None:
    live = seed(sandbox, 1)
    sandbox.settings({f"kraken_spot.{name}": value for name, value in settings.items()})

    assert said(sandbox, "CancelOrderBatch", orders=[live, GONE]) == (errors, result)
    assert state(sandbox, live) == ends


def test_a_batch_of_one_may_be_refused(sandbox: SandboxClient) -> None:
    sandbox.settings({"kraken_spot.batch_of_one": "refused"})

    errors, _ = said(sandbox, "CancelOrderBatch", orders=[seed(sandbox, 1)])

    assert errors == ["EGeneral:Invalid arguments:orders"]


@pytest.mark.parametrize(
    ("way", "errors", "shown"),
    [("omitted", [], 1), ("beside", ["EOrder:Invalid order"], 1), ("refused", None, 0)],
)
def test_an_unknown_id_of_a_look_up_may_do_this(
    sandbox: SandboxClient, way: str, errors: list[str] | None, shown: int
) -> None:
    live = seed(sandbox, 1)
    sandbox.settings({"kraken_spot.query": way})

    found, rows = said(sandbox, "QueryOrders", txid=f"{live},{GONE}")

    assert found == (["EOrder:Invalid order"] if errors is None else errors)
    assert len(rows or ()) == shown


def test_one_order_is_canceled_by_either_id(sandbox: SandboxClient) -> None:
    order, _ = seed(sandbox, 1), seed(sandbox, 2, client_order_id="desk-2")

    assert said(sandbox, "CancelOrder", txid=order) == ([], {"count": 1})
    assert said(sandbox, "CancelOrder", txid=order)[0] == ["EOrder:Unknown order"]
    assert said(sandbox, "CancelOrder", cl_ord_id="desk-2") == ([], {"count": 1})
    assert said(sandbox, "CancelOrder", txid="desk-2")[0] == ["EOrder:Invalid order"]


def test_lists_show_what_is_open_and_the_newest_of_what_is_over(sandbox: SandboxClient) -> None:
    live = seed(sandbox, 1, client_order_id="desk-3", ord_type="trigger")
    over = [seed(sandbox, 10 + n, state="canceled", updated_ms=n) for n in range(53)]

    _, found = said(sandbox, "OpenOrders")
    _, newest = said(sandbox, "ClosedOrders")
    _, rest = said(sandbox, "ClosedOrders", ofs=50, without_count=True)
    _, none = said(sandbox, "ClosedOrders", cl_ord_id="desk-3")

    assert found["open"][live]["descr"]["ordertype"] == "stop-loss"
    assert found["open"][live]["cl_ord_id"] == "desk-3"
    assert (list(newest["closed"]), newest["count"]) == (over[:2:-1], 53)
    assert rest == {"closed": {each: rest["closed"][each] for each in over[2::-1]}}
    assert none["closed"] == {}


def test_a_nonce_has_to_grow(sandbox: SandboxClient) -> None:
    def answered(nonce: int) -> list[str]:
        errors: list[str] = call(sandbox, "OpenOrders", nonce=str(nonce)).json["error"]
        return errors

    strict = [answered(nonce) for nonce in (1000, 1002, 1001, 1002, 1003)]
    sandbox.settings({"kraken_spot.nonce_window_ms": 10})
    wide = [answered(nonce) for nonce in (1001, 1001, 900)]

    refused = ["EAPI:Invalid nonce"]
    assert strict == [[], [], refused, refused, []]
    assert wide == [[], refused, refused]


def test_a_wrong_signature_is_refused(sandbox: SandboxClient) -> None:
    other = base64.b64encode(b"another secret").decode()

    assert call(sandbox, "OpenOrders", secret=other).json["error"] == ["EAPI:Invalid signature"]


def test_the_counter_of_a_key_runs_full(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"kraken_spot": {"lookup": "1/40s"}}})

    errors = [said(sandbox, "OpenOrders")[0] for _ in range(2)]

    assert errors == [[], ["EAPI:Rate limit exceeded"]]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("AddOrder", {}),
        ("CancelAll", {}),
        ("CancelOrder", {"txid": 1234}),
        ("CancelOrderBatch", {"orders": [GONE, 1234]}),
    ],
)
def test_who_trades_or_cancels_a_group_is_recorded(
    sandbox: SandboxClient, name: str, fields: dict[str, Any]
) -> None:
    call(sandbox, name, **fields)

    assert [each["kind"] for each in sandbox.incidents()] == ["traded"]


def test_a_timer_is_armed_for_the_account_and_disarmed(sandbox: SandboxClient) -> None:
    for wrong in (-1, 86_400, "60"):
        errors, _ = said(sandbox, "CancelAllOrdersAfter", timeout=wrong)
        assert errors == ["EGeneral:Invalid arguments:timeout"]

    _, result = said(sandbox, "CancelAllOrdersAfter", timeout=60)
    (armed,) = sandbox.timers()["armed"]
    assert result["triggerTime"] > result["currentTime"]
    assert (armed["api_key"], armed["symbol"]) == (KEY, "")

    _, result = said(sandbox, "CancelAllOrdersAfter", timeout=0)
    assert result["triggerTime"] == "0"
    assert sandbox.timers() == {"armed": [], "fired": []}
