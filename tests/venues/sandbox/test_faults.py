"""Faults: each kind does what it says, to the requests it was ordered for."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException, IncompleteRead
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient, SandboxError

from .callers import KEY, Answer, coinw, kuna, order, send, ztdx

Cancel = Callable[[SandboxClient, str], Answer]

CANCELS: dict[str, Cancel] = {
    "coinw": lambda sandbox, i: coinw(sandbox, "DELETE", "order", {"id": i}),
    "ztdx": lambda sandbox, i: ztdx(sandbox, "DELETE", "order", symbol="BTCUSDT", orderId=i),
    "kuna": lambda sandbox, i: kuna(sandbox, "POST", "cancel", {"orderId": i}),
}


def seed(sandbox: SandboxClient, venue: str = "coinw", count: int = 1) -> list[str]:
    raw = [order(venue, i) for i in range(count)]
    sandbox.seed(raw)
    return [str(o["id"]) for o in raw]


def states(sandbox: SandboxClient, ids: list[str]) -> list[str]:
    by_id = {o.id: o.state for o in sandbox.book()}
    return [by_id[i] for i in ids]


def cancel_one(sandbox: SandboxClient, order_id: str, timeout: float = 5.0) -> Answer:
    return coinw(sandbox, "DELETE", "order", {"id": order_id}, timeout=timeout)


def batch(sandbox: SandboxClient, ids: list[str]) -> Answer:
    return ztdx(sandbox, "DELETE", "batchOrders", symbol="BTCUSDT", orderIdList=ids)


@pytest.mark.parametrize(
    ("kind", "venue", "status", "part"),
    [
        ("throttle", "coinw", 200, b'"code":29001'),
        ("throttle", "ztdx", 429, b"<center>nginx</center>"),
        ("throttle", "kuna", 429, b"TOO_MANY_REQUESTS"),
        ("ban", "coinw", 403, b'"code":29001'),
        ("ban", "ztdx", 418, b"-1003"),
        ("ban", "kuna", 403, b"FORBIDDEN"),
        ("maintenance", "coinw", 200, b'"code":9111'),
        ("maintenance", "ztdx", 503, b"<center>nginx</center>"),
        ("maintenance", "kuna", 503, b"SERVICE_UNAVAILABLE"),
        ("clock", "coinw", 200, b'"code":6000'),
        ("clock", "ztdx", 400, b"-1021"),
        ("clock", "kuna", 401, b"window"),
        ("auth", "coinw", 200, b'"code":6000'),
        ("auth", "ztdx", 401, b"INVALID_API_KEY"),
        ("auth", "kuna", 401, b"UNAUTHORIZED"),
        ("permission", "coinw", 200, b'"code":6003'),
        ("permission", "ztdx", 401, b"UNAUTHORIZED"),
        ("permission", "kuna", 403, b"FORBIDDEN"),
    ],
)
def test_a_refusal_is_in_the_venues_words_and_has_no_effect(
    sandbox: SandboxClient, kind: str, venue: str, status: int, part: bytes
) -> None:
    (order_id,) = seed(sandbox, venue)
    sandbox.fault(kind, venue=venue)

    answer = CANCELS[venue](sandbox, order_id)

    assert answer.status == status
    assert part in answer.body
    assert states(sandbox, [order_id]) == ["open"]
    assert sandbox.requests()[-1].outcome == f"fault:{kind}"


@pytest.mark.parametrize("venue", CANCELS)
def test_throttle_may_say_when_to_come_again(sandbox: SandboxClient, venue: str) -> None:
    (order_id,) = seed(sandbox, venue)
    sandbox.fault("throttle", retry_after_s=2)

    assert CANCELS[venue](sandbox, order_id).headers["Retry-After"] == "2"


def test_a_ban_lasts(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault("ban", duration_s=0.4)

    statuses = [cancel_one(sandbox, order_id).status for _ in range(2)]
    time.sleep(0.4)

    assert statuses == [403, 403]
    assert cancel_one(sandbox, order_id).json["code"] == 0


@pytest.mark.parametrize(
    ("kind", "state"), [("timeout_after_effect", "canceled"), ("timeout_before_effect", "open")]
)
def test_a_timeout_hides_whether_it_took_effect(
    sandbox: SandboxClient, kind: str, state: str
) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault(kind, hold_s=0.5)

    with pytest.raises(TimeoutError):
        cancel_one(sandbox, order_id, timeout=0.2)

    assert states(sandbox, [order_id]) == [state]


@pytest.mark.parametrize(
    ("kind", "state"), [("reset_after_effect", "canceled"), ("reset_before_effect", "open")]
)
def test_a_reset_hides_whether_it_took_effect(
    sandbox: SandboxClient, kind: str, state: str
) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault(kind)

    with pytest.raises((ConnectionResetError, HTTPException)):
        cancel_one(sandbox, order_id)

    assert states(sandbox, [order_id]) == [state]


def test_half_a_body_comes_after_the_effect(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault("half_body")

    with pytest.raises(IncompleteRead):
        cancel_one(sandbox, order_id)

    assert states(sandbox, [order_id]) == ["canceled"]


@pytest.mark.parametrize(("effect", "state"), [(False, "open"), (True, "canceled")])
def test_any_status_with_any_body(sandbox: SandboxClient, effect: bool, state: str) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault("status", status=504, json={"code": 17}, effect=effect)
    sandbox.fault("status", status=500)

    answers = [cancel_one(sandbox, order_id) for _ in range(2)]

    assert [(a.status, a.body) for a in answers] == [(504, b'{"code":17}'), (500, b"")]
    assert states(sandbox, [order_id]) == [state]


def test_a_gateway_answers_with_a_page(sandbox: SandboxClient) -> None:
    sandbox.fault("html")

    answer = cancel_one(sandbox, "1")

    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html")
    assert b"502 Bad Gateway" in answer.body


def test_slow_waits_before_it_answers_and_leaves_room_for_another(
    sandbox: SandboxClient,
) -> None:
    sandbox.fault("slow", delay_s=0.2)
    sandbox.fault("throttle")

    begun = time.monotonic()
    answer = cancel_one(sandbox, "1")

    assert time.monotonic() - begun >= 0.2
    assert answer.json["code"] == 29001


@pytest.mark.parametrize("venue", CANCELS)
def test_a_lying_success_cancels_nothing(sandbox: SandboxClient, venue: str) -> None:
    (order_id,) = seed(sandbox, venue)
    sandbox.fault("lying_success")

    lie, truth = CANCELS[venue](sandbox, order_id), CANCELS[venue](sandbox, order_id)

    assert lie.json == truth.json or venue == "ztdx"
    assert lie.status == truth.status == 200
    assert sandbox.book(venue=venue)[0].canceled_times == 1


@pytest.mark.parametrize(
    ("params", "expected", "shown"),
    [
        ({"first": 2}, ["canceled", "canceled", "open", "open"], 4),
        ({"every_other": True}, ["canceled", "open", "canceled", "open"], 4),
        ({"first": 1, "show": "honest"}, ["canceled", "open", "open", "open"], 1),
    ],
)
def test_a_partial_success_may_lie_or_show_it(
    sandbox: SandboxClient, params: dict[str, Any], expected: list[str], shown: int
) -> None:
    ids = seed(sandbox, "ztdx", 4)
    sandbox.fault("partial_success", **params)

    rows = batch(sandbox, ids).json

    assert len(rows) == shown
    assert states(sandbox, ids) == expected


def test_an_honest_partial_success_at_kuna_shows_what_failed(sandbox: SandboxClient) -> None:
    ids = seed(sandbox, "kuna", 3)
    sandbox.fault("partial_success", first=2, show="honest")

    rows = kuna(sandbox, "POST", "cancel/multi", {"orderIds": ids}).json["data"]

    assert [row["success"] for row in rows] == [True, True, False]


@pytest.mark.parametrize(("params", "shown"), [({}, 0), ({"first": 1}, 2)])
def test_ids_may_be_missing_though_canceled(
    sandbox: SandboxClient, params: dict[str, Any], shown: int
) -> None:
    ids = seed(sandbox, "ztdx", 3)
    sandbox.fault("missing_ids", **params)

    assert len(batch(sandbox, ids).json) == shown
    assert states(sandbox, ids) == ["canceled"] * 3


def test_named_ids_may_be_missing(sandbox: SandboxClient) -> None:
    ids = seed(sandbox, "ztdx", 3)
    sandbox.fault("missing_ids", ids=[ids[1]])

    assert [row["orderId"] for row in batch(sandbox, ids).json] == [ids[0], ids[2]]


def test_reads_may_lag(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox)
    cancel_one(sandbox, order_id)
    sandbox.fault("read_lag", lag_s=0.3, times=None, method="GET")
    query = f"positionType=plan&sourceIds={order_id}"

    early = coinw(sandbox, "GET", "order", query=query).json["data"]
    time.sleep(0.35)
    late = coinw(sandbox, "GET", "order", query=query).json["data"]

    assert ([row["id"] for row in early], late) == ([int(order_id)], [])


def test_lagging_lists_show_what_was_open(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox)
    (other,) = seed(sandbox, "ztdx")
    cancel_one(sandbox, order_id)
    CANCELS["ztdx"](sandbox, other)
    sandbox.fault("read_lag", lag_s=60, times=None)

    count = coinw(sandbox, "GET", "orders/openQuantity").json["data"]["value"]
    rows = ztdx(sandbox, "GET", "openOrders").json

    assert (count, [row["status"] for row in rows]) == (1, ["NEW"])


def test_json_of_the_wrong_shape_comes_after_the_effect(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox)
    sandbox.fault("wrong_json")

    assert cancel_one(sandbox, order_id).json == ["unexpected", 7]
    assert states(sandbox, [order_id]) == ["canceled"]


def test_a_body_may_be_huge(sandbox: SandboxClient) -> None:
    sandbox.fault("huge_body", bytes=3_000_000)

    answer = cancel_one(sandbox, "1")

    assert len(answer.body) == 3_000_000
    assert answer.json["code"] == 0


def test_a_followed_redirect_is_recorded(sandbox: SandboxClient) -> None:
    sandbox.fault("redirect")

    answer = cancel_one(sandbox, "1")
    before = sandbox.incidents()
    send(sandbox, "GET", answer.headers["Location"], {})

    assert (answer.status, before) == (302, [])
    assert sandbox.incidents()[0]["kind"] == "redirect_followed"


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        ("plain", "{key}"),
        ("url", "%{first:02X}"),
        ("base64", "a2V5O"),
        ("json", "\\u00{first:02x}"),
    ],
)
def test_the_key_may_be_in_the_text_of_an_error(
    sandbox: SandboxClient, spelled: str, shown: str
) -> None:
    sandbox.fault("echo_key", spelled=spelled)

    answer = cancel_one(sandbox, "1")

    key = answer.json["msg"].split()[1]
    assert answer.status == 400
    assert shown.format(key=KEY, first=ord(KEY[0])) in key


def test_a_fault_hits_only_what_it_selects(sandbox: SandboxClient) -> None:
    first, second = seed(sandbox, count=2)
    sandbox.fault("throttle", venue="ztdx")
    sandbox.fault("throttle", api_key="other")
    sandbox.fault("throttle", method="GET")
    sandbox.fault("throttle", path_contains="batchOrders")
    sandbox.fault("throttle", order_id=second)

    codes = [cancel_one(sandbox, i).json["code"] for i in (first, second)]

    assert codes == [0, 29001]
    assert [f["fired"] for f in sandbox.faults()] == [0, 0, 0, 0, 1]


def test_a_fault_fires_so_many_times_after_so_many_matches(sandbox: SandboxClient) -> None:
    sandbox.fault("throttle", times=2, after=1)

    codes = [cancel_one(sandbox, "1").json["code"] for _ in range(5)]

    assert codes == [9012, 29001, 29001, 9012, 9012]


def test_chance_is_seeded(sandbox: SandboxClient) -> None:
    def roll() -> list[int]:
        sandbox.clear_faults()
        sandbox.reset_limits()
        sandbox.settings({"seed": 7})
        sandbox.fault("maintenance", times=None, probability=0.5)
        return [cancel_one(sandbox, "1").json["code"] for _ in range(10)]

    first, second = roll(), roll()

    assert first == second
    assert set(first) == {9012, 9111}


@pytest.mark.parametrize(
    "raw",
    [
        {"kind": "meteor"},
        {"kind": "slow", "hold_s": 1},
        {"kind": "slow", "delay": 1},
        {"kind": "slow", "delay_s": "long"},
        {"kind": "slow", "venue": "nasdaq"},
    ],
)
def test_a_fault_that_does_not_exist_is_refused(
    sandbox: SandboxClient, raw: dict[str, Any]
) -> None:
    with pytest.raises(SandboxError, match=r"must be one of|takes no|is a number"):
        sandbox.fault(**raw)


def test_cleared_faults_fire_no_more(sandbox: SandboxClient) -> None:
    sandbox.fault("throttle", times=None)
    sandbox.clear_faults()

    assert cancel_one(sandbox, "1").json["code"] == 9012
    assert sandbox.faults() == []
    assert sandbox.requests()[-1].api_key == KEY
