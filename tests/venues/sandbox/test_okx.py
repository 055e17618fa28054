"""OKX: a code for each item, two doors, and pages that begin after an id."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient
from venues.sandbox.okx import sign

from .callers import SECRET, Answer, digest, send

KEY = "dummyKeyOfOkx"
SWAP = "BTC-USDT-SWAP"


@pytest.fixture(autouse=True)
def account(sandbox: SandboxClient) -> None:
    sandbox.add_account("okx", KEY, SECRET)


def call(
    sandbox: SandboxClient, name: str, body: Any = None, secret: str = SECRET, **more: str
) -> Answer:
    """Call OKX: a read without a body, else JSON; `time` and `passphrase` go into headers."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    time, passphrase = more.pop("time", now), more.pop("passphrase", "dummyPass")
    query = "&".join(f"{key}={value}" for key, value in more.items())
    target = f"/api/v5/trade/{name}" + (f"?{query}" if query else "")
    raw, method = (b"", "GET") if body is None else (json.dumps(body).encode(), "POST")
    mac = base64.b64encode(digest("sha256", f"{time}{method}{target}".encode() + raw, secret))
    headers = {
        "OK-ACCESS-KEY": KEY,
        "OK-ACCESS-SIGN": mac.decode(),
        "OK-ACCESS-TIMESTAMP": time,
        "OK-ACCESS-PASSPHRASE": passphrase,
        "Content-Type": "application/json",
    }
    return send(sandbox, method, target, headers, raw)


def seed(sandbox: SandboxClient, number: int, **fields: Any) -> str:
    order_id = str(680_800_019_749_900_000 + number)
    given = {"venue": "okx", "api_key": KEY, "id": order_id, "symbol": SWAP}
    sandbox.seed([given | fields])
    return order_id


def cancel(
    sandbox: SandboxClient, name: str, *ids: str, of: str = "ordId"
) -> list[tuple[str, str]]:
    """Cancel orders; return the id and the code of each item."""
    said = call(sandbox, name, [{"instId": SWAP, of: each} for each in ids]).json
    return [(row[of], row["sCode"]) for row in said["data"]]


def state(sandbox: SandboxClient, order_id: str) -> str:
    said = call(sandbox, "order", instId=SWAP, ordId=order_id).json
    return str(said["data"][0]["state"]) if said["data"] else str(said["code"])


def test_a_recorded_signature_is_reproduced() -> None:
    """Of nautilus_trader's tests; the venue's own pages show no secret."""
    secret = b"chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"

    assert sign(secret, "2020-12-08T09:08:57.715ZGET/api/v5/account/balance") == (
        "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="
    )


def test_each_item_of_a_batch_has_a_code(sandbox: SandboxClient) -> None:
    live, over = seed(sandbox, 1), seed(sandbox, 2, state="filled")

    said = cancel(sandbox, "cancel-batch-orders", over, live, "7")
    sandbox.settings({"okx.echo": "none"})
    silent = cancel(sandbox, "cancel-batch-orders", over)

    assert said == [(over, "51400"), (live, "0"), ("7", "51400")]
    assert silent == [("", "51400")]
    assert [state(sandbox, each) for each in (live, over, "7")] == [
        *["canceled", "filled", "51603"]
    ]


def test_neither_door_knows_the_orders_of_the_other(sandbox: SandboxClient) -> None:
    order, stop = seed(sandbox, 1), seed(sandbox, 2, ord_type="trigger")

    assert cancel(sandbox, "cancel-batch-orders", stop) == [(stop, "51400")]
    assert cancel(sandbox, "cancel-algos", order, of="algoId") == [(order, "51400")]
    assert cancel(sandbox, "cancel-algos", stop, of="algoId") == [(stop, "0")]
    assert call(sandbox, "order-algo", algoId=stop).json["data"][0]["state"] == "canceled"
    assert call(sandbox, "order-algo", algoId=order).json["code"] == "51603"


def test_trailing_stops_may_be_for_the_other_call(sandbox: SandboxClient) -> None:
    stop = seed(sandbox, 1, ord_type="trailing_stop")
    sandbox.settings({"okx.trailing": "advance"})

    refused = cancel(sandbox, "cancel-algos", stop, of="algoId")
    taken = cancel(sandbox, "cancel-advance-algos", stop, "7", of="algoId")

    assert (refused, taken) == ([(stop, "51413")], [(stop, "0"), ("7", "51293")])


def test_pages_begin_after_an_id(sandbox: SandboxClient) -> None:
    ids = [seed(sandbox, n) for n in range(103)]

    first = [row["ordId"] for row in call(sandbox, "orders-pending").json["data"]]
    rest = call(sandbox, "orders-pending", after=first[-1]).json["data"]

    assert first == ids[:2:-1]
    assert [row["ordId"] for row in rest] == ids[2::-1]


def test_an_algo_order_fires_into_an_order_of_the_book(sandbox: SandboxClient) -> None:
    stop, child = seed(sandbox, 1, ord_type="trigger", quantity=10), seed(sandbox, 2)[:-1] + "9"

    sandbox.fire("okx", stop, child, state="filled")
    row = call(sandbox, "order-algo", algoId=stop).json["data"][0]
    placed = call(sandbox, "order", ordId=child, instId=row["instId"]).json["data"][0]

    assert (row["state"], row["ordIdList"]) == ("effective", [child])
    assert cancel(sandbox, "cancel-algos", stop, of="algoId") == [(stop, "51400")]
    assert (placed["state"], placed["accFillSz"], placed["algoId"]) == ("filled", "10", stop)


def test_algo_orders_are_listed_by_their_kind(sandbox: SandboxClient) -> None:
    stop, profit = (seed(sandbox, n, ord_type=t) for n, t in enumerate(("trigger", "tp_sl")))

    def listed(word: str) -> list[str]:
        rows = call(sandbox, "orders-algo-pending", ordType=word).json["data"]
        return [row["algoId"] for row in rows]

    assert (listed("trigger"), listed("conditional,oco"), listed("chase")) == (
        [stop],
        [profit],
        [],
    )
    assert call(sandbox, "orders-algo-pending").json["code"] == "51000"


def test_a_batch_draws_for_each_order_and_one_order_as_a_single_cancel(
    sandbox: SandboxClient,
) -> None:
    limits = {"cancel_batch": "3/2s", "cancel_one": "1/2s"}
    sandbox.settings({"limits": {"okx": limits}})
    ids = [seed(sandbox, n) for n in range(6)]

    batch = [code for _, code in cancel(sandbox, "cancel-batch-orders", *ids[:4])]
    alone = [cancel(sandbox, "cancel-batch-orders", each)[0][1] for each in ids[4:]]

    assert (batch, alone) == (["0", "0", "0", "50011"], ["0", "50011"])


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"secret": "wrong"}, "50113"),
        ({"time": "2020-12-08T09:08:57.715Z"}, "50102"),
        ({"time": "1700000000000"}, "50112"),
        ({"passphrase": ""}, "50104"),
        ({"instId": ""}, "50014"),
    ],
)
def test_what_cannot_be_is_refused(
    sandbox: SandboxClient, more: dict[str, str], code: str
) -> None:
    given = {"instId": SWAP, "ordId": "7"} | more

    assert call(sandbox, "order", **given).json["code"] == code


def test_who_places_an_order_is_recorded(sandbox: SandboxClient) -> None:
    for name in ("order", "close-position"):
        call(sandbox, name, {"instId": SWAP})

    assert [each["kind"] for each in sandbox.incidents()] == ["traded"] * 2


def test_a_timer_is_armed_for_the_account_and_disarmed(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"okx": {"timer": "off"}}})
    for wrong in ("5", "121", "soon"):
        said = call(sandbox, "cancel-all-after", {"timeOut": wrong})
        assert (said.status, said.json["code"]) == (400, "51000")
    assert sandbox.timers() == {"armed": [], "fired": []}

    (row,) = call(sandbox, "cancel-all-after", {"timeOut": "10"}).json["data"]
    (armed,) = sandbox.timers()["armed"]
    assert int(row["triggerTime"]) > 0
    assert (armed["venue"], armed["api_key"], armed["symbol"]) == ("okx", KEY, "")
    assert 0 < armed["fires_in_s"] <= 10

    (row,) = call(sandbox, "cancel-all-after", {"timeOut": "0"}).json["data"]
    assert row["triggerTime"] == "0"
    assert sandbox.timers() == {"armed": [], "fired": []}
