"""CoinW: what its answers do not say, and what its lists do not show."""

from __future__ import annotations

import time
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient

from .callers import coinw, order, send

TYPES = ("limit", "market", "trigger", "trailing_stop", "tp_sl")


def seed(sandbox: SandboxClient, **fields: Any) -> str:
    """Seed one order and return its id."""
    number = sandbox.health()["orders"]
    raw = order("coinw", number, **fields)
    sandbox.seed([raw])
    return str(raw["id"])


def seed_types(sandbox: SandboxClient) -> dict[str, str]:
    """Seed one order of every type, and a trigger order that has fired."""
    ids = {kind: seed(sandbox, ord_type=kind) for kind in TYPES}
    return ids | {"fired": seed(sandbox, ord_type="trigger", triggered=True)}


def canceled(sandbox: SandboxClient, ids: dict[str, str]) -> set[str]:
    """Name the types whose order is canceled."""
    states = {o.id: o.state for o in sandbox.book(venue="coinw")}
    return {kind for kind, order_id in ids.items() if states[order_id] == "canceled"}


def batch(sandbox: SandboxClient, ids: list[Any], **fields: Any) -> Any:
    return coinw(sandbox, "DELETE", "batchOrders", {"sourceIds": ids, **fields}).json


def test_a_batch_says_code_zero_whatever_became_of_the_ids(sandbox: SandboxClient) -> None:
    live, filled = seed(sandbox), seed(sandbox, state="filled")

    answer = batch(sandbox, [live, filled, "123456"])

    assert answer == {"code": 0, "msg": ""}
    assert sandbox.order("coinw", live).state == "canceled"
    assert sandbox.order("coinw", filled).state == "filled"


def test_a_batch_takes_numbers_for_ids(sandbox: SandboxClient) -> None:
    live = seed(sandbox)

    assert batch(sandbox, [int(live)])["code"] == 0
    assert sandbox.order("coinw", live).canceled_times == 1


@pytest.mark.parametrize(
    ("pos_type", "reached"),
    [
        ("plan", {"limit", "fired"}),
        ("execute", {"market"}),
        ("moveStop", {"trailing_stop"}),
        ("stopProfitLoss", {"tp_sl"}),
        (None, {"limit", "market", "fired", "trailing_stop", "tp_sl"}),
    ],
)
def test_a_batch_reaches_only_what_fits_its_pos_type(
    sandbox: SandboxClient, pos_type: str | None, reached: set[str]
) -> None:
    ids = seed_types(sandbox)

    answer = batch(sandbox, list(ids.values()), **({"posType": pos_type} if pos_type else {}))

    assert answer["code"] == 0
    assert canceled(sandbox, ids) == reached


def test_a_batch_without_pos_type_may_reach_less(sandbox: SandboxClient) -> None:
    sandbox.settings({"coinw.omitted_pos_type": "plan_only"})
    ids = seed_types(sandbox)

    batch(sandbox, list(ids.values()))

    assert canceled(sandbox, ids) == {"limit", "market", "fired"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"sourceIds": [str(i) for i in range(1, 22)]}, 1),
        ({"sourceIds": ["1"], "posType": "moveStopProfitLoss"}, 1),
        ({"sourceIds": ["1", "not-a-number"]}, 1),
        ({"sourceIds": []}, 402),
        ({"sourceIds": "1"}, 402),
        ({}, 402),
        ([], 402),
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    sandbox: SandboxClient, body: Any, code: int
) -> None:
    assert coinw(sandbox, "DELETE", "batchOrders", body).json["code"] == code


def test_one_bad_id_spoils_its_batch_unless_told_otherwise(sandbox: SandboxClient) -> None:
    live = seed(sandbox)

    batch(sandbox, [live, "bad"])
    spoiled = sandbox.order("coinw", live).state
    sandbox.settings({"coinw.bad_id": "ignored"})
    batch(sandbox, [live, "bad"])

    assert (spoiled, sandbox.order("coinw", live).state) == ("open", "canceled")


def test_the_single_cancel_reaches_every_type_and_knows_no_closed_order(
    sandbox: SandboxClient,
) -> None:
    ids = seed_types(sandbox)

    first = [coinw(sandbox, "DELETE", "order", {"id": i}).json for i in ids.values()]
    again = coinw(sandbox, "DELETE", "order", {"id": ids["limit"]}).json

    assert first == [{"code": 0, "msg": "Success"}] * len(ids)
    assert again == {"code": 9012, "msg": "Position not found."}
    assert canceled(sandbox, ids) == set(ids)


def test_another_accounts_order_is_unknown(sandbox: SandboxClient) -> None:
    sandbox.add_account("coinw", "other", "secret")
    foreign = seed(sandbox, api_key="other")

    answer = coinw(sandbox, "DELETE", "order", {"id": foreign})
    batch(sandbox, [foreign])

    assert answer.json["code"] == 9012
    assert sandbox.order("coinw", foreign).state == "open"


def information(sandbox: SandboxClient, query: str) -> Any:
    return coinw(sandbox, "GET", "order", query=query).json


def test_order_information_shows_open_orders_and_leaks_by_type(sandbox: SandboxClient) -> None:
    ids = seed_types(sandbox)
    closed = seed(sandbox, state="canceled")
    every = ",".join([*ids.values(), closed])

    shown = {
        word: {
            row["id"]
            for row in information(sandbox, f"positionType={word}&sourceIds={every}")["data"]
        }
        for word in ("plan", "execute", "moveStop", "stopProfitLoss")
    }

    plan = {int(ids["limit"]), int(ids["fired"])}
    assert shown["plan"] == plan
    assert shown["execute"] == plan | {int(ids["market"])}
    assert shown["moveStop"] == {int(ids["trailing_stop"])}
    assert shown["stopProfitLoss"] == {int(ids["tp_sl"])}


def test_order_information_needs_a_type_and_takes_twenty_ids(sandbox: SandboxClient) -> None:
    many = ",".join(map(str, range(1, 22)))

    assert information(sandbox, "sourceIds=1")["code"] == 402
    assert information(sandbox, f"positionType=plan&sourceIds={many}")["code"] == 1
    assert information(sandbox, "positionType=limit")["code"] == 1


def test_rows_show_numbers_states_and_the_rows_own_words(sandbox: SandboxClient) -> None:
    limit, trailing = (
        seed(sandbox, state="partially_filled"),
        seed(sandbox, ord_type="trailing_stop"),
    )

    (plan,) = information(sandbox, "positionType=plan&instrument=btc")["data"]
    (move,) = information(sandbox, f"positionType=moveStop&sourceIds={trailing}")["data"]

    assert (plan["id"], plan["orderStatus"], plan["posType"]) == (int(limit), "part", "plan")
    assert (move["orderStatus"], move["posType"]) == ("unFinish", "moveStopProfitLoss")


def test_the_open_list_is_paged_by_instrument_and_type(sandbox: SandboxClient) -> None:
    for _ in range(3):
        seed(sandbox)
    seed(sandbox, symbol="ETH")

    page = coinw(
        sandbox,
        "GET",
        "orders/open",
        query="instrument=BTC&positionType=plan&page=2&pageSize=2",
    ).json["data"]
    lacking = coinw(sandbox, "GET", "orders/open", query="positionType=plan").json

    assert (page["total"], len(page["rows"])) == (3, 1)
    assert lacking["code"] == 402


def test_the_count_is_of_all_open_orders(sandbox: SandboxClient) -> None:
    seed_types(sandbox)
    seed(sandbox, state="filled")

    assert coinw(sandbox, "GET", "orders/openQuantity").json["data"] == {"value": 6}


def test_tpsl_and_trailing_orders_have_lists_of_their_own(sandbox: SandboxClient) -> None:
    ids = seed_types(sandbox)

    (stop,) = coinw(sandbox, "GET", "TPSL", query="stopFrom=2&openId=1").json["data"]
    (move,) = coinw(sandbox, "GET", "moveTPSL").json["data"]

    assert stop["id"] == int(ids["tp_sl"])
    assert move["id"] == ids["trailing_stop"]


def past(sandbox: SandboxClient, query: str = "", path: str = "history") -> Any:
    return coinw(sandbox, "GET", f"orders/{path}", query=query).json["data"]


def test_history_shows_only_orders_that_traded(sandbox: SandboxClient) -> None:
    filled = seed(sandbox, state="filled")
    part = seed(sandbox, state="canceled", filled=300)
    untouched = seed(sandbox, state="canceled")
    seed(sandbox, state="filled", ord_type="trailing_stop")
    seed(sandbox, state="filled", ord_type="tp_sl")
    seed(sandbox, state="filled", purged=True)

    documented = {row["id"]: row["orderStatus"] for row in past(sandbox)["rows"]}
    sandbox.settings({"coinw.history": "all"})
    generous = {row["id"]: row["orderStatus"] for row in past(sandbox)["rows"]}

    assert documented == {filled: "finish", part: "cancel"}
    assert generous == documented | {untouched: "cancel"}


def test_history_is_newest_first_ten_a_page_and_filters(sandbox: SandboxClient) -> None:
    now = int(time.time() * 1000)
    for age in range(12):
        seed(sandbox, state="filled", updated_ms=now - age * 1000)
    eth = seed(sandbox, state="filled", symbol="ETH", ord_type="market")

    everything = past(sandbox)
    last = past(sandbox, "instrument=btc&originType=plan&page=2&pageSize=10")
    other = past(sandbox, "originType=execute", path="archive")

    dates = [row["updatedDate"] for row in everything["rows"]]
    assert (everything["total"], len(dates)) == (13, 10)
    assert dates == sorted(dates, reverse=True)
    assert (last["total"], len(last["rows"])) == (12, 2)
    assert [row["id"] for row in other["rows"]] == [eth]


@pytest.mark.parametrize(
    "target", ["order?positionType=plan", "orders/history?page=1", "orders/archive?page=1"]
)
def test_lists_may_demand_an_instrument(sandbox: SandboxClient, target: str) -> None:
    free = coinw(sandbox, "GET", target).json["code"]
    sandbox.settings({"coinw.instrument": "demanded"})

    codes = [
        coinw(sandbox, "GET", f"{target}{more}").json["code"]
        for more in ("", "&instrument=BTC")
    ]
    assert (free, codes) == (0, [402, 0])


@pytest.mark.parametrize("by", ["end", "making"])
def test_history_is_sorted_by_the_end_or_the_making_of_an_order(
    sandbox: SandboxClient, by: str
) -> None:
    now = int(time.time() * 1000)
    sandbox.settings({"coinw.history_by": by})
    late = seed(sandbox, state="filled", created_ms=now - 100_000, updated_ms=now - 90_000)
    old = seed(sandbox, state="filled", created_ms=now - 200_000, updated_ms=now - 10_000)

    newest_first = [row["id"] for row in past(sandbox)["rows"]]

    assert newest_first == ([old, late] if by == "end" else [late, old])


def test_history_forgets_after_a_week_and_the_archive_after_three_months(
    sandbox: SandboxClient,
) -> None:
    now, day = int(time.time() * 1000), 86_400_000
    week = seed(sandbox, state="filled", updated_ms=now - 8 * day)
    seed(sandbox, state="filled", updated_ms=now - 100 * day)

    assert past(sandbox)["rows"] == []
    assert [row["id"] for row in past(sandbox, path="archive")["rows"]] == [week]


def test_a_body_without_its_content_type_is_not_read(sandbox: SandboxClient) -> None:
    sandbox.settings({"clock_ms": 1_700_000_000_000})
    headers = {
        "api_key": "dummyKey0001",
        "timestamp": "1700000000000",
        "sign": "F+0cIm7Yf81hc3eZ3riXpy1vFDoQKQSHqlB5DvVUDaU=",
    }

    answer = send(sandbox, "DELETE", "/v1/perpum/order", headers, b'{"id":"33308749002645666"}')

    assert answer.json["code"] == 402


@pytest.mark.parametrize("path", ["batchClose", "positions", "allpositions"])
def test_closing_a_position_is_recorded(sandbox: SandboxClient, path: str) -> None:
    coinw(sandbox, "DELETE", path, {"instrument": "BTC"})
    send(sandbox, "DELETE", f"/v1/perpum/{path}", {})

    assert [i["kind"] for i in sandbox.incidents()] == ["traded", "traded"]


def test_a_wrong_path_is_code_500_and_recorded(sandbox: SandboxClient) -> None:
    answer = coinw(sandbox, "DELETE", "cancelEverything", {})

    assert answer.json["code"] == 500
    assert sandbox.incidents()[0]["kind"] == "unknown_route"
