"""ZTDX: ids that go missing, and the many forms of an error."""

from __future__ import annotations

from typing import Any

import pytest

from venues.sandbox.client import SandboxClient

from .callers import Answer, order, ztdx

NOBODY = "00000000-0000-0000-0000-000000000000"


def seed(sandbox: SandboxClient, **fields: Any) -> str:
    """Seed one order and return its id."""
    raw = order("ztdx", sandbox.health()["orders"], **fields)
    sandbox.seed([raw])
    return str(raw["id"])


def batch(sandbox: SandboxClient, **params: Any) -> Any:
    answer = ztdx(sandbox, "DELETE", "batchOrders", symbol="BTCUSDT", **params)
    assert answer.status == 200
    return answer.json


def cancel(sandbox: SandboxClient, **params: Any) -> Answer:
    return ztdx(sandbox, "DELETE", "order", **{"symbol": "BTCUSDT"} | params)


def test_a_batch_shows_what_it_canceled_and_leaves_out_the_rest(
    sandbox: SandboxClient,
) -> None:
    live, filled = seed(sandbox), seed(sandbox, state="filled")

    rows = batch(sandbox, orderIdList=[live, filled, NOBODY, "malformed"])

    assert [(r["orderId"], r["status"]) for r in rows] == [(live, "CANCELED")]
    assert sandbox.order("ztdx", live).state == "canceled"


def test_a_batch_may_list_closed_orders_with_their_status(sandbox: SandboxClient) -> None:
    sandbox.settings({"ztdx.terminal_ids": "listed"})
    ids = [seed(sandbox, state=s) for s in ("filled", "canceled", "expired", "rejected")]

    rows = batch(sandbox, orderIdList=ids)

    assert [r["status"] for r in rows] == ["FILLED", "CANCELED", "EXPIRED", "REJECTED"]


@pytest.mark.parametrize("ids", [[2254222045], "[2254222045", "nonsense", {"a": 1}])
def test_a_list_that_is_not_of_strings_answers_nothing(
    sandbox: SandboxClient, ids: Any
) -> None:
    assert batch(sandbox, orderIdList=ids) == []


def test_a_batch_cancels_by_client_id_or_ignores_it(sandbox: SandboxClient) -> None:
    first = seed(sandbox, client_order_id="risk-1")
    second = seed(sandbox, client_order_id="risk-2")

    (row,) = batch(sandbox, origClientOrderIdList=["risk-1"])
    sandbox.settings({"ztdx.client_ids": "ignored"})
    ignored = batch(sandbox, origClientOrderIdList=["risk-2"])

    assert (row["orderId"], row["clientOrderId"]) == (first, first)
    assert ignored == []
    assert sandbox.order("ztdx", second).state == "open"


def test_a_batch_shows_the_own_client_id_if_so_set(sandbox: SandboxClient) -> None:
    sandbox.settings({"ztdx.batch_client_id": "own"})
    live = seed(sandbox, client_order_id="risk-1")

    assert batch(sandbox, orderIdList=[live])[0]["clientOrderId"] == "risk-1"


def test_a_batch_takes_ten_ids_and_a_symbol_and_a_list(sandbox: SandboxClient) -> None:
    ids = [NOBODY] * 11

    many = ztdx(sandbox, "DELETE", "batchOrders", symbol="BTCUSDT", orderIdList=ids)
    no_list = ztdx(sandbox, "DELETE", "batchOrders", symbol="BTCUSDT")
    no_symbol = ztdx(sandbox, "DELETE", "batchOrders", orderIdList=ids)

    assert (many.status, many.json["code"]) == (400, -1130)
    assert (no_list.status, no_list.json["code"]) == (400, -1102)
    assert no_symbol.status == 400
    assert no_symbol.headers["Content-Type"].startswith("text/plain")
    assert b"missing field `symbol`" in no_symbol.body


def test_an_order_of_another_symbol_is_not_reached(sandbox: SandboxClient) -> None:
    eth = seed(sandbox, symbol="ETHUSDT")

    rows, single = batch(sandbox, orderIdList=[eth]), cancel(sandbox, orderId=eth)
    sandbox.settings({"ztdx.wrong_symbol": "canceled"})

    assert (rows, single.status) == ([], 404)
    assert len(batch(sandbox, orderIdList=[eth])) == 1


def test_the_single_cancel_answers_with_the_order(sandbox: SandboxClient) -> None:
    live = seed(sandbox, client_order_id="risk-1", ord_type="trailing_stop")

    row = cancel(sandbox, origClientOrderId="risk-1").json

    assert (row["orderId"], row["status"]) == (live, "CANCELED")
    assert (row["clientOrderId"], row["type"]) == ("risk-1", "TRAILING_STOP_MARKET")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "filled"}, "Unknown order. Status: filled"),
        ({"state": "canceled"}, "Unknown order. Status: cancelled"),
        ({"state": "rejected"}, "Unknown order. Status: rejected"),
        ({"state": "filled", "ord_type": "trigger"}, "Trigger order already executed"),
        ({"state": "canceled", "ord_type": "tp_sl"}, "Trigger order already cancelled"),
        ({"state": "expired", "ord_type": "trigger"}, "Trigger order already expired"),
    ],
)
def test_a_closed_order_is_refused_with_its_state(
    sandbox: SandboxClient, fields: dict[str, Any], text: str
) -> None:
    answer = cancel(sandbox, orderId=seed(sandbox, **fields))

    assert (answer.status, answer.json) == (400, {"code": -2011, "msg": text})


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"orderId": "17"}, 400, -1100),
        ({}, 400, -1102),
        ({"orderId": NOBODY}, 404, -2013),
        ({"origClientOrderId": "nobody"}, 404, -2013),
    ],
)
def test_a_single_cancel_that_cannot_be_is_refused(
    sandbox: SandboxClient, params: dict[str, str], status: int, code: int
) -> None:
    answer = cancel(sandbox, **params)

    assert (answer.status, answer.json["code"]) == (status, code)


def test_a_client_id_names_the_most_recent_order(sandbox: SandboxClient) -> None:
    older = seed(sandbox, client_order_id="again")
    newer = seed(sandbox, client_order_id="again")

    assert cancel(sandbox, origClientOrderId="again").json["orderId"] == newer
    assert sandbox.order("ztdx", older).state == "open"


def test_attached_orders_are_canceled_with_their_parent(sandbox: SandboxClient) -> None:
    parent = seed(sandbox)
    child = seed(sandbox, ord_type="tp_sl", parent_id=parent)

    cancel(sandbox, orderId=parent)

    assert sandbox.order("ztdx", child).state == "canceled"


def test_all_open_orders_of_a_symbol_are_canceled(sandbox: SandboxClient) -> None:
    btc, eth = seed(sandbox), seed(sandbox, symbol="ETHUSDT")

    answer = ztdx(sandbox, "DELETE", "allOpenOrders", symbol="BTCUSDT").json

    assert answer["code"] == 200
    assert sandbox.order("ztdx", btc).state == "canceled"
    assert sandbox.order("ztdx", eth).state == "open"


def test_lookups_know_any_state_or_only_open_ones(sandbox: SandboxClient) -> None:
    live, filled = seed(sandbox, state="partially_filled"), seed(sandbox, state="filled")
    gone = seed(sandbox, state="filled", purged=True)

    def ask(path: str, order_id: str) -> int | str:
        answer = ztdx(sandbox, "GET", path, symbol="BTCUSDT", orderId=order_id)
        return str(answer.json["status"]) if answer.status == 200 else answer.status

    assert [ask("order", i) for i in (live, filled, gone)] == [
        "PARTIALLY_FILLED",
        "FILLED",
        404,
    ]
    assert [ask("openOrder", i) for i in (live, filled)] == ["PARTIALLY_FILLED", 404]


def test_the_open_list_is_of_one_symbol_or_all(sandbox: SandboxClient) -> None:
    live, eth = seed(sandbox), seed(sandbox, symbol="ETHUSDT")
    seed(sandbox, state="filled")

    def ids(**params: Any) -> set[str]:
        return {r["orderId"] for r in ztdx(sandbox, "GET", "openOrders", **params).json}

    assert ids() == {live, eth}
    assert ids(symbol="BTCUSDT") == {live}


def test_an_unknown_key_gets_the_auth_layers_envelope(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"ztdx": "off"}})
    sandbox.reset()

    answer = ztdx(sandbox, "GET", "openOrders")

    assert answer.status == 401
    assert answer.json["success"] is False
    assert answer.json["error"]["code"] == "INVALID_API_KEY"
