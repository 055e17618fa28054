"""Binance: two doors, errors that name nobody, requests that weigh, and a signed query."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from venues.sandbox.binance import sign
from venues.sandbox.client import SandboxClient, SandboxError

from .callers import SECRET, Answer, digest, order, send

#: Known to Binance alone: its paths are ZTDX's, too.
KEY = "dummyKeyOfBinance"
FUTURES, SPOT = "/fapi/v1/", "/api/v3/"
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}


@pytest.fixture(autouse=True)
def account(sandbox: SandboxClient) -> None:
    sandbox.add_account("binance", KEY, SECRET)


def call(
    sandbox: SandboxClient, method: str, path: str, secret: str = SECRET, **params: Any
) -> Answer:
    """Call Binance; lists become JSON, everything is percent-encoded."""
    texts = {
        k: json.dumps(v, separators=(",", ":")) if isinstance(v, list) else str(v)
        for k, v in {**params, "timestamp": params.get("timestamp", now_ms())}.items()
    }
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in texts.items())
    signature = digest("sha256", query.encode(), secret).hex()
    target = f"{path}?{query}&signature={signature}"
    return send(sandbox, method, target, {"X-MBX-APIKEY": KEY})


def now_ms() -> int:
    return int(time.time() * 1000)


def seed(sandbox: SandboxClient, **fields: Any) -> int:
    """Seed one order and return its id."""
    number = 974828356187 + sandbox.health()["orders"]
    given = {"id": str(number), "symbol": "BTCUSDT", "api_key": KEY, "venue": "binance"}
    sandbox.seed([given | fields])
    return int((given | fields)["id"])


@pytest.mark.parametrize(
    ("secret", "payload", "signature"),
    [
        (
            "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
            "&recvWindow=5000&timestamp=1591702613943",
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
        ),
        (
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
            "&recvWindow=5000&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "timestamp=1578963600000",
            "d84e6641b1e328e7b418fff030caed655c266299c9355e36ce801ed14631eed4",
        ),
    ],
)
def test_published_signatures_are_reproduced(secret: str, payload: str, signature: str) -> None:
    """The examples of general-info, of rest-api.md and of binance-signature-examples."""
    assert sign(secret.encode(), payload) == signature


def test_a_batch_answers_each_id_and_names_no_error(sandbox: SandboxClient) -> None:
    live, filled, other = seed(sandbox), seed(sandbox, state="filled"), seed(sandbox)
    ids = [filled, live, 1, other]

    answer = call(sandbox, "DELETE", FUTURES + "batchOrders", symbol="BTCUSDT", orderIdList=ids)

    assert [(row.get("orderId"), row.get("code")) for row in answer.json] == [
        (None, -2011),
        (live, None),
        (None, -2011),
        (other, None),
    ]
    assert sandbox.order("binance", str(live)).state == "canceled"


def test_a_batch_may_put_its_errors_first(sandbox: SandboxClient) -> None:
    sandbox.settings({"binance.batch_errors": "first"})
    ids = [seed(sandbox), 1]

    rows = call(
        sandbox, "DELETE", FUTURES + "batchOrders", symbol="BTCUSDT", orderIdList=ids
    ).json

    assert [row.get("orderId") for row in rows] == [None, ids[0]]


def test_a_batch_takes_client_order_ids_and_no_more_than_ten_of_one_kind(
    sandbox: SandboxClient,
) -> None:
    seed(sandbox, client_order_id="my/id:1")
    named: dict[str, Any] = {"symbol": "BTCUSDT"}
    path = FUTURES + "batchOrders"

    (row,) = call(sandbox, "DELETE", path, **named, origClientOrderIdList=["my/id:1"]).json
    both = call(sandbox, "DELETE", path, **named, orderIdList=[1], origClientOrderIdList=["a"])
    many = call(sandbox, "DELETE", path, **named, orderIdList=[*range(1, 12)])
    quoted = call(sandbox, "DELETE", path, **named, orderIdList=["1"])

    assert row["status"] == "CANCELED"
    assert [each.json["code"] for each in (both, many, quoted)] == [-1128, -4032, -1102]


def test_an_order_is_known_at_its_own_door_and_under_its_symbol_alone(
    sandbox: SandboxClient,
) -> None:
    plain, stop = seed(sandbox), seed(sandbox, ord_type="trigger")
    spot = seed(sandbox, product="spot")
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "order": (FUTURES + "order", "orderId", {"symbol": "BTCUSDT"}),
        "other symbol": (FUTURES + "order", "orderId", {"symbol": "ETHUSDT"}),
        "algo": (FUTURES + "algoOrder", "algoId", {}),
        "spot": (SPOT + "order", "orderId", {"symbol": "BTCUSDT"}),
    }

    knows = {
        name: {
            each
            for each in (plain, stop, spot)
            if call(sandbox, "GET", path, **dict[str, Any]({word: each}) | more).status == 200
        }
        for name, (path, word, more) in calls.items()
    }
    refused = call(sandbox, "DELETE", FUTURES + "order", symbol="BTCUSDT", orderId=stop)

    assert knows == {"order": {plain}, "other symbol": set(), "algo": {stop}, "spot": {spot}}
    assert (refused.status, refused.json) == (400, UNKNOWN)
    assert sandbox.order("binance", str(stop)).state == "open"


def test_an_algo_order_is_canceled_in_one_of_two_answers(sandbox: SandboxClient) -> None:
    one, other = (seed(sandbox, ord_type="tp_sl", client_order_id=f"s-{n}") for n in (1, 2))

    by_code = call(sandbox, "DELETE", FUTURES + "algoOrder", algoId=one).json
    sandbox.settings({"binance.algo_cancel": "order"})
    by_order = call(sandbox, "DELETE", FUTURES + "algoOrder", clientAlgoId="s-2").json

    assert (by_code["algoId"], by_code["code"]) == (one, "200")
    assert (by_order["algoId"], by_order["algoStatus"]) == (other, "CANCELED")


def test_an_algo_order_that_fired_names_what_it_placed(sandbox: SandboxClient) -> None:
    stop = seed(sandbox, ord_type="trigger", triggered=True, state="filled")
    child = seed(sandbox, parent_id=str(stop))

    rests = call(sandbox, "GET", FUTURES + "algoOrder", algoId=stop).json
    refused = call(sandbox, "DELETE", FUTURES + "algoOrder", algoId=stop)
    call(sandbox, "DELETE", FUTURES + "order", symbol="BTCUSDT", orderId=child)
    over = call(sandbox, "GET", FUTURES + "algoOrder", algoId=stop).json

    assert (rests["algoStatus"], rests["actualOrderId"]) == ("TRIGGERED", str(child))
    assert refused.json == UNKNOWN
    assert over["algoStatus"] == "FINISHED"


def test_an_algo_order_fires_into_an_order_that_the_book_has_later(
    sandbox: SandboxClient,
) -> None:
    stop, child = seed(sandbox, ord_type="trigger", quantity=10), "974828399999"

    sandbox.fire("binance", str(stop), child, state="partially_filled", filled=4, late_s=0.3)
    early = call(sandbox, "GET", FUTURES + "algoOrder", algoId=stop).json
    unknown = call(sandbox, "DELETE", FUTURES + "order", symbol="BTCUSDT", orderId=child)
    while not sandbox.book(ids=[child]):
        time.sleep(0.02)
    there = call(sandbox, "GET", FUTURES + "order", symbol="BTCUSDT", orderId=child).json
    named = call(sandbox, "GET", FUTURES + "algoOrder", algoId=stop).json

    assert (early["algoStatus"], early["actualOrderId"]) == ("TRIGGERING", child)
    assert unknown.json == UNKNOWN
    assert (there["status"], there["executedQty"], there["origQty"]) == (
        "PARTIALLY_FILLED",
        "4",
        "10",
    )
    assert (named["algoStatus"], named["actualOrderId"]) == ("TRIGGERED", child)


def test_a_read_that_is_behind_shows_neither_the_firing_nor_what_was_placed(
    sandbox: SandboxClient,
) -> None:
    stop, child = seed(sandbox, ord_type="trigger"), "974828399998"
    sandbox.fire("binance", str(stop), child)
    sandbox.settings({"binance.read_lags_s": [60]})

    then = call(sandbox, "GET", FUTURES + "algoOrder", algoId=stop).json
    none = call(sandbox, "GET", FUTURES + "order", symbol="BTCUSDT", orderId=child)

    assert (then["algoStatus"], then["actualOrderId"]) == ("NEW", "")
    assert none.json["code"] == -2013


def test_only_an_order_that_waits_fires_and_into_a_new_id(sandbox: SandboxClient) -> None:
    stop, over = seed(sandbox, ord_type="trigger"), seed(sandbox, state="canceled")

    for order_id, child in (over, "974828399997"), (stop, str(over)), (stop, "no-number"):
        with pytest.raises(SandboxError):
            sandbox.fire("binance", str(order_id), child)
    assert sandbox.order("binance", str(stop)).state == "open"


def test_a_cancel_all_reaches_a_symbol_behind_its_door(sandbox: SandboxClient) -> None:
    seed(sandbox)
    other = seed(sandbox, symbol="ETHUSDT")
    stop, spot = seed(sandbox, ord_type="trigger"), seed(sandbox, product="spot")

    def live() -> set[int]:
        book = sandbox.book(venue="binance", api_key=KEY)
        return {int(each.id) for each in book if each.state == "open"}

    said = call(sandbox, "DELETE", FUTURES + "allOpenOrders", symbol="BTCUSDT")
    assert (said.status, said.json["code"]) == (200, 200)
    assert live() == {other, stop, spot}
    assert call(sandbox, "DELETE", FUTURES + "algoOpenOrders", symbol="BTCUSDT").status == 200
    assert live() == {other, spot}
    (row,) = call(sandbox, "DELETE", SPOT + "openOrders", symbol="BTCUSDT").json
    assert (row["orderId"], row["status"], live()) == (spot, "CANCELED", {other})
    none = call(sandbox, "DELETE", SPOT + "openOrders", symbol="BTCUSDT")
    assert none.json == UNKNOWN and not none.json.get("orderId")
    assert call(sandbox, "DELETE", FUTURES + "allOpenOrders").json["code"] == -1102


def test_lists_show_what_is_open_behind_their_door(sandbox: SandboxClient) -> None:
    plain, stop = seed(sandbox, symbol="ETHUSDT"), seed(sandbox, ord_type="trailing_stop")
    spot = seed(sandbox, product="spot")
    seed(sandbox, state="filled")

    lists = {
        name: [row.get("orderId", row.get("algoId")) for row in call(sandbox, "GET", name).json]
        for name in (FUTURES + "openOrders", FUTURES + "openAlgoOrders", SPOT + "openOrders")
    }

    assert list(lists.values()) == [[plain], [stop], [spot]]


def test_a_cancel_of_spot_has_a_client_id_of_its_own(sandbox: SandboxClient) -> None:
    seed(sandbox, product="spot", client_order_id="mine", ord_type="trigger")

    row = call(
        sandbox, "DELETE", SPOT + "order", symbol="BTCUSDT", origClientOrderId="mine"
    ).json

    assert (row["origClientOrderId"], row["status"]) == ("mine", "CANCELED")
    assert row["clientOrderId"] != "mine"


def test_requests_weigh(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"binance": {"weight": "100/60s"}}})

    lists = [call(sandbox, "GET", FUTURES + "openOrders").status for _ in range(3)]
    looks = [
        call(sandbox, "GET", FUTURES + "order", symbol="BTCUSDT", orderId=1).status
        for _ in range(21)
    ]

    assert lists == [200, 200, 429]
    assert looks == [400] * 20 + [429]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"secret": "wrong"}, -1022),
        ({"timestamp": 1_700_000_000_000}, -1021),
        ({"timestamp": now_ms() + 60_000}, -1021),
        ({"orderId": "a"}, -1100),
        ({"symbol": "BTCUSDT"}, -1102),
    ],
)
def test_what_cannot_be_is_refused(
    sandbox: SandboxClient, params: dict[str, Any], code: int
) -> None:
    given = {"symbol": "BTCUSDT"} | params

    assert call(sandbox, "GET", FUTURES + "order", **given).json["code"] == code


def test_who_places_an_order_is_recorded(sandbox: SandboxClient) -> None:
    for method, path in (("POST", "batchOrders"), ("PUT", "order"), ("POST", "algoOrder")):
        call(sandbox, method, FUTURES + path)

    assert [each["kind"] for each in sandbox.incidents()] == ["traded"] * 3


def test_a_key_tells_whose_a_shared_path_is(sandbox: SandboxClient) -> None:
    sandbox.seed([order("ztdx", 1)])

    assert call(sandbox, "GET", FUTURES + "openOrders").json == []
    assert sandbox.requests()[-1].venue == "binance"


def test_a_timer_fires_once_for_its_symbol_and_its_door(sandbox: SandboxClient) -> None:
    hit = seed(sandbox)
    missed = [
        seed(sandbox, symbol="ETHUSDT"),
        seed(sandbox, ord_type="trigger"),
        seed(sandbox, product="spot"),
    ]
    path = f"{FUTURES}countdownCancelAll"

    said = call(sandbox, "POST", path, symbol="BTCUSDT", countdownTime=1).json
    assert said == {"symbol": "BTCUSDT", "countdownTime": "1"}
    while not (fired := sandbox.timers()["fired"]):
        time.sleep(0.001)

    assert fired == [{"venue": "binance", "api_key": KEY, "symbol": "BTCUSDT"}]
    assert sandbox.timers()["armed"] == []
    after = sandbox.order("binance", str(hit))
    assert (after.state, after.canceled_by) == ("canceled", "timer")
    for each in missed:
        assert sandbox.order("binance", str(each)).state == "open"


def test_a_timer_is_armed_anew_and_disarmed(sandbox: SandboxClient) -> None:
    path, mine = f"{FUTURES}countdownCancelAll", {"symbol": "BTCUSDT"}
    for ms in 5_000, 90_000:
        call(sandbox, "POST", path, **mine, countdownTime=ms)
    (armed,) = sandbox.timers()["armed"]
    assert armed["fires_in_s"] > 60

    call(sandbox, "POST", path, **mine, countdownTime=0)

    assert sandbox.timers() == {"armed": [], "fired": []}
    assert call(sandbox, "POST", path, countdownTime=0).json["code"] == -1102
