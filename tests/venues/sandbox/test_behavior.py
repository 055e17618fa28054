"""Settings of every venue: reads and records that lag, short pages, slow cancels, odd words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient, SandboxError

from .callers import Answer, coinw, kuna, order, ztdx

Read = Callable[[SandboxClient, str], Answer]

#: How one order is looked up by its id, and how the open ones are listed.
LOOK: dict[str, Read] = {
    "coinw": lambda sandbox, i: coinw(
        sandbox, "GET", "order", query=f"positionType=plan&sourceIds={i}"
    ),
    "ztdx": lambda sandbox, i: ztdx(sandbox, "GET", "order", symbol="BTCUSDT", orderId=i),
    "kuna": lambda sandbox, i: kuna(sandbox, "GET", f"details/{i}"),
}
LISTS: dict[str, Callable[[SandboxClient], Answer]] = {
    "coinw": lambda sandbox: coinw(
        sandbox, "GET", "orders/open", query="positionType=plan&instrument=BTC"
    ),
    "ztdx": lambda sandbox: ztdx(sandbox, "GET", "openOrders", symbol="BTCUSDT"),
    "kuna": lambda sandbox: kuna(sandbox, "GET", "active"),
}
CANCELS: dict[str, Read] = {
    "coinw": lambda sandbox, i: coinw(sandbox, "DELETE", "order", {"id": i}),
    "ztdx": lambda sandbox, i: ztdx(sandbox, "DELETE", "order", symbol="BTCUSDT", orderId=i),
    "kuna": lambda sandbox, i: kuna(sandbox, "POST", "cancel", {"orderId": i}),
}
#: How the record of an order that is over is read.
RECORDS: dict[str, Read] = LOOK | {
    "coinw": lambda sandbox, _: coinw(sandbox, "GET", "orders/history")
}
each_venue = pytest.mark.parametrize("venue", list(LISTS))


def seed(sandbox: SandboxClient, venue: str, count: int = 1, **fields: Any) -> list[str]:
    raw = [order(venue, number, **fields) for number in range(count)]
    sandbox.seed(raw)
    return [str(one["id"]) for one in raw]


def history(sandbox: SandboxClient, query: str = "") -> Any:
    return coinw(sandbox, "GET", "orders/history", query=query).json["data"]


@each_venue
def test_reads_lag(sandbox: SandboxClient, venue: str) -> None:
    """A partial fill and a cancel are seen by look-ups and lists when the lag has passed."""
    (order_id,) = seed(sandbox, venue)
    before = LISTS[venue](sandbox).json, LOOK[venue](sandbox, order_id).json
    sandbox.settings({f"{venue}.read_lags_s": [0.4]})

    sandbox.set_state(venue, order_id, "partially_filled", filled=300)
    CANCELS[venue](sandbox, order_id)
    early = LISTS[venue](sandbox).json, LOOK[venue](sandbox, order_id).json
    time.sleep(0.45)

    assert early == before
    assert order_id not in LISTS[venue](sandbox).body.decode()
    assert sandbox.order(venue, order_id).state == "canceled"


def test_a_fired_trigger_lags(sandbox: SandboxClient) -> None:
    """A list that is behind shows the trigger order as one that waits."""
    seed(sandbox, "coinw", ord_type="trigger")
    sandbox.settings({"coinw.read_lags_s": [60]})
    sandbox.set_state("coinw", order("coinw", 0)["id"], "open", triggered=True)

    query = "positionType=planTrigger&instrument=BTC"
    waiting = coinw(sandbox, "GET", "orders/open", query=query).json["data"]["rows"]
    fired = LISTS["coinw"](sandbox).json["data"]["rows"]

    assert ([row["posType"] for row in waiting], fired) == (["planTrigger"], [])


def test_replicas_disagree(sandbox: SandboxClient) -> None:
    """Each read sees one of several ages of the book."""
    (order_id,) = seed(sandbox, "ztdx")
    sandbox.settings({"ztdx.read_lags_s": [0, 60], "seed": 1})
    CANCELS["ztdx"](sandbox, order_id)

    seen = {LOOK["ztdx"](sandbox, order_id).json["status"] for _ in range(9)}

    assert seen == {"NEW", "CANCELED"}


@each_venue
def test_the_record_lags_behind_the_lists(sandbox: SandboxClient, venue: str) -> None:
    """For some time an order that has filled is neither open nor on record."""
    (order_id,) = seed(sandbox, venue)
    sandbox.settings({f"{venue}.record_lag_s": 0.4})

    sandbox.set_state(venue, order_id, "filled")
    early = LISTS[venue](sandbox).body + RECORDS[venue](sandbox, order_id).body
    time.sleep(0.45)

    assert order_id not in early.decode()
    assert order_id in RECORDS[venue](sandbox, order_id).body.decode()


def test_a_record_of_long_ago_is_there(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox, "ztdx", state="filled")
    sandbox.settings({"ztdx.record_lag_s": 60})

    assert LOOK["ztdx"](sandbox, order_id).json["status"] == "FILLED"


@each_venue
def test_lists_hide_new_orders(sandbox: SandboxClient, venue: str) -> None:
    """A look-up by id shows an order that no list shows yet."""
    (order_id,) = seed(sandbox, venue)
    sandbox.settings({f"{venue}.lists_hide_s": 0.6})

    early, asked = LISTS[venue](sandbox).body, LOOK[venue](sandbox, order_id).body
    time.sleep(0.65)

    assert order_id not in early.decode()
    assert order_id in asked.decode()
    assert order_id in LISTS[venue](sandbox).body.decode()


@each_venue
def test_cancels_are_slow(sandbox: SandboxClient, venue: str) -> None:
    """The reply says done at once, the book says so later."""
    (order_id,) = seed(sandbox, venue)
    sandbox.settings({f"{venue}.cancel_lag_s": 0.3})

    answer = CANCELS[venue](sandbox, order_id)
    early = sandbox.order(venue, order_id).state
    time.sleep(0.35)
    late = sandbox.order(venue, order_id)

    assert answer.status == 200
    assert (early, late.state, late.canceled_times) == ("open", "canceled", 1)


def test_a_fill_comes_before_a_slow_cancel(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox, "kuna")
    sandbox.settings({"kuna.cancel_lag_s": 0.1})

    CANCELS["kuna"](sandbox, order_id)
    sandbox.set_state("kuna", order_id, "filled")
    time.sleep(0.15)

    assert sandbox.order("kuna", order_id).state == "filled"


def test_pages_are_shorter_than_asked(sandbox: SandboxClient) -> None:
    """All rows are there, on more pages."""
    ids = seed(sandbox, "coinw", 7, state="filled")
    seed(sandbox, "kuna", 7)
    sandbox.settings({"coinw.page_rows": 3, "kuna.page_rows": 4})

    pages = [history(sandbox, f"page={n}&pageSize=100")["rows"] for n in (1, 2, 3, 4)]

    assert [len(rows) for rows in pages] == [3, 3, 1, 0]
    assert {row["id"] for rows in pages for row in rows} == set(ids)
    assert len(LISTS["kuna"](sandbox).json["data"]) == 4


def test_pages_without_a_total(sandbox: SandboxClient) -> None:
    sandbox.settings({"coinw.left_out": ["total"]})

    assert history(sandbox) == {"nextId": 0, "prevId": 0, "rows": []}


@pytest.mark.parametrize(
    ("setting", "rows", "bare"),
    [
        ("null", {"rows": None}, None),
        ("object", {"rows": {}}, {}),
        ("missing", {}, None),
    ],
)
def test_empty_lists(sandbox: SandboxClient, setting: str, rows: Any, bare: Any) -> None:
    sandbox.settings({f"{venue}.empty_lists": setting for venue in LISTS})

    assert history(sandbox) == {"nextId": 0, "prevId": 0, "total": 0} | rows
    assert LISTS["ztdx"](sandbox).json == bare


def test_words_are_spelled_otherwise(sandbox: SandboxClient) -> None:
    (order_id,) = seed(sandbox, "ztdx")
    sandbox.settings({"ztdx.words": {"NEW": "new", "CANCELED": "Cancelled"}})

    (row,) = LISTS["ztdx"](sandbox).json
    canceled = CANCELS["ztdx"](sandbox, order_id).json

    assert (row["status"], canceled["status"]) == ("new", "Cancelled")


@each_venue
def test_rows_have_more_fields(sandbox: SandboxClient, venue: str) -> None:
    """The fields stand in rows; envelopes and errors stay as they are."""
    (order_id,) = seed(sandbox, venue)
    more = {"code": 0, "error": None}
    sandbox.settings({f"{venue}.row_fields": more})

    value = LISTS[venue](sandbox).json
    rows = {"coinw": lambda: value["data"]["rows"], "kuna": lambda: value["data"]}
    (row,) = rows.get(venue, lambda: value)()

    assert more.items() <= row.items()
    assert str(row.get("id", row.get("orderId"))) == order_id
    assert "error" not in value


@pytest.mark.parametrize(
    "bad", [{"coinw.read_lags_s": 2}, {"kuna.read_lags_s": ["2"]}, {"ztdx.left_out": [1]}]
)
def test_a_bad_setting_is_refused(sandbox: SandboxClient, bad: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="cannot"):
        sandbox.settings(bad)
