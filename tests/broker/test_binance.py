"""Binance end to end: futures with both their doors, and spot, by what accounts choose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.support import venues
from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode, free_port
from tests.support.venues import is_as_told, sandbox_of, told, worker_of
from tests.support.worker import WorkerProcess
from tests.worker.metrics.conftest import Scrape
from venues.sandbox.client import SandboxClient

PRODUCTS = ("usdm", "spot")
#: An account of futures that escalates.
STUCK = "stuck"
#: Accounts of futures whose stops fire.
FIRING = ("fired", "racing")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with sandbox_of("binance", (*PRODUCTS, STUCK, *FIRING)) as client:
        yield client


@pytest.fixture(scope="module")
def figures() -> str:
    """Where the worker shows its figures."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode,
    sandbox: SandboxClient,
    figures: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WorkerProcess]:
    accounts = {each: [f'options.product = "{each}"'] for each in PRODUCTS}
    accounts |= dict.fromkeys(FIRING, accounts["usdm"])
    accounts[STUCK] = [*accounts["usdm"], 'escalate = "symbol"', 'verify = "always"']
    folder, shown = tmp_path_factory.mktemp("binance"), {"CANCEL_METRICS": figures}
    with worker_of(rabbit, sandbox, "binance", accounts, folder, shown) as process:
        yield process


def seed(sandbox: SandboxClient, product: str, number: int, **fields: Any) -> str:
    given = {"symbol": "BTCUSDT"} | fields
    return venues.seed(sandbox, "binance", product, str(number), **given)


def test_each_id_of_futures_ends_as_the_book_says_whatever_its_door(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    states = ["open", "partially_filled", "filled", "canceled", "expired", "rejected"]
    plain = [seed(sandbox, "usdm", 100 + n, state=s) for n, s in enumerate(states)]
    stop = seed(sandbox, "usdm", 200, ord_type="trigger")
    untyped = seed(sandbox, "usdm", 201, ord_type="trailing_stop")
    gone = seed(sandbox, "usdm", 202, ord_type="tp_sl", state="canceled")
    nameless = seed(sandbox, "usdm", 203, ord_type="trigger", state="filled", triggered=True)
    seed(sandbox, "usdm", 300, client_order_id="desk/1:a")
    orders = [
        *plain,
        {"id": stop, "ord_type": "trigger"},
        untyped,
        {"id": gone, "ord_type": "tp_sl"},
        {"id": nameless, "ord_type": "trigger"},
        {"id": "desk/1:a", "kind": "client_order_id"},
        "999",
    ]
    # Its row never names what it placed.
    deadline = (datetime.now(UTC) + timedelta(seconds=25)).isoformat()
    job = {"job_id": "doors", "account": "usdm", "symbol": "BTCUSDT", "deadline": deadline}

    send(rabbit.url, [("routine.usdm", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert {each: found[each][0] for each in plain} == dict(
        zip(
            plain,
            ["canceled", "canceled", "filled", "canceled", "closed", "closed"],
            strict=True,
        )
    )
    assert [found[each][0] for each in (stop, untyped, gone)] == ["canceled"] * 3
    assert found[nameless] == ("failed", "trigger_fired")  # its cancel was refused
    assert found["desk/1:a"][0] == "canceled"
    assert found["999"][0] == "not_found"
    assert is_as_told(sandbox, "usdm")


def test_what_a_fired_order_became_is_canceled_and_told_under_the_id_that_was_asked_for(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes, worker: WorkerProcess
) -> None:
    """It rests, is filled in part or in whole, was canceled, or is on the book later."""
    children: dict[str, dict[str, Any]] = {
        "5101": {"state": "open"},
        "5102": {"state": "partially_filled", "filled": 4},
        "5103": {"state": "filled", "ord_type": "market"},
        "5104": {"state": "canceled"},
        "5105": {"state": "open", "late_s": 3.0},
    }
    stops = {str(5000 + n): child for n, child in enumerate(children)}
    for stop, child in stops.items():
        named = {"client_order_id": "stop/5"} if child == "5105" else {}
        seed(sandbox, "fired", int(stop), ord_type="trigger", quantity=10, **named)
        sandbox.fire("binance", stop, child, **children[child])
    both = seed(sandbox, "fired", 5200)  # canceled by its own id, too
    orders: list[Any] = [{"id": stop, "ord_type": "trigger"} for stop in list(stops)[1:4]]
    orders += [next(iter(stops)), both, "5101", {"id": "stop/5", "kind": "client_order_id"}]
    job = {"job_id": "fired", "account": "fired", "symbol": "BTCUSDT", "orders": orders}

    send(rabbit.url, [("kill.fired", job)])
    told_of = {each["id"]: each for each in outcomes.wait(len(orders), timeout_s=90)}

    def said(order_id: str) -> tuple[str, str, str]:
        found = told_of[order_id]
        return found["status"], found["became"], found["cum_qty"]

    assert {each: said(each) for each in told_of} == {
        "5000": ("canceled", "5101", "0"),
        "5001": ("canceled", "5102", "4"),
        "5002": ("filled", "5103", "10"),
        "5003": ("canceled", "5104", "0"),
        "stop/5": ("canceled", "5105", "0"),
        "5101": ("canceled", "", "0"),
        both: ("canceled", "", "0"),
    }
    assert told_of["stop/5"]["kind"] == "client_order_id"
    assert told_of["5001"]["ord_type"] == "trigger"
    states = {each: sandbox.order("binance", each).state for each in children}
    assert states == dict.fromkeys(children, "canceled") | {"5103": "filled"}
    logged = {line["id"]: line["became"] for line in worker.events("cancel_outcome")}
    assert logged["5001"] == "5102"
    assert is_as_told(sandbox, "fired")


def test_what_fires_while_its_kill_is_under_way_is_followed(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """The cancel's answer is lost, the reads are behind, and then the row names an order."""
    sandbox.settings({"binance.read_lags_s": [0, 1.5]})
    stop = seed(sandbox, "racing", 5300, ord_type="trigger")
    sandbox.fault("reset_before_effect", venue="binance", path_contains="algoOrder")
    sandbox.fire("binance", stop, "5301", late_s=0.5)
    orders = [{"id": stop, "ord_type": "trigger"}]
    job = {"job_id": "racing", "account": "racing", "symbol": "BTCUSDT", "orders": orders}

    send(rabbit.url, [("kill.racing", job)])
    (found,) = outcomes.wait(1, timeout_s=60)
    sandbox.settings({"binance.read_lags_s": []})

    assert (found["id"], found["status"], found["became"]) == (stop, "canceled", "5301")
    assert sandbox.order("binance", "5301").state == "canceled"


def test_each_id_of_spot_ends_as_the_book_says(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    states = ["open", "partially_filled", "filled", "canceled", "expired"]
    ids = [seed(sandbox, "spot", 1100 + n, state=s) for n, s in enumerate(states)]
    stop = seed(sandbox, "spot", 1200, ord_type="trigger", client_order_id="mine")
    job = {"job_id": "spot", "account": "spot", "symbol": "BTCUSDT"}
    orders = [*ids, {"id": "mine", "kind": "client_order_id"}, "1999"]

    send(rabbit.url, [("kill.spot", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each][0] for each in ids] == [
        "canceled",
        "canceled",
        "filled",
        "canceled",
        "closed",
    ]
    assert found["mine"][0] == "canceled"
    assert found["1999"][0] == "not_found"
    assert sandbox.order("binance", stop).state == "canceled"
    assert is_as_told(sandbox, "spot")


def test_no_order_is_told_as_gone_while_a_batch_or_a_read_is_silent(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """An answer is lost, one comes in another order, and replicas are behind."""
    sandbox.settings({"binance.batch_errors": "first", "binance.read_lags_s": [0, 1.5]})
    ids = [seed(sandbox, "usdm", 2100 + n) for n in range(12)]
    sandbox.fault("reset_after_effect", venue="binance", path_contains="batchOrders")
    job = {"job_id": "silent", "account": "usdm", "symbol": "BTCUSDT", "orders": [*ids, "2999"]}

    send(rabbit.url, [("kill.usdm", job)])
    found = told(outcomes.wait(13, timeout_s=60))
    sandbox.settings({"binance.batch_errors": "in_place", "binance.read_lags_s": []})

    assert {found[each][0] for each in ids} == {"canceled"}
    assert found["2999"][0] == "not_found"
    assert is_as_told(sandbox, "usdm")


def test_a_scope_of_a_symbol_begins_with_cancel_alls_that_nobody_believes(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """One of them claims what it did not do: those orders are canceled by their ids."""
    plain = [seed(sandbox, "usdm", 3100 + n) for n in range(25)]
    stops = [seed(sandbox, "usdm", 3200 + n, ord_type="trigger") for n in range(3)]
    other = seed(sandbox, "usdm", 3300, symbol="ETHUSDT")
    sandbox.settings({"binance.cancel_lag_s": 0.2})  # so the first lists show what it takes
    sandbox.fault("lying_success", venue="binance", path_contains="allOpenOrders")
    reports = Outcomes(rabbit.url, exchange="cancel.reports")
    scope = {"symbols": ["BTCUSDT"]}
    job = {"job_id": "swept", "account": "usdm", "scope": scope, "hold_s": 0}
    sandbox.clear_requests()

    send(rabbit.url, [("kill.usdm", job)])
    (report,) = reports.wait(1, timeout_s=60)
    reports.close()
    sandbox.settings({"binance.cancel_lag_s": 0})

    paths = [r.path for r in sandbox.requests() if r.method == "DELETE"]
    assert sorted(path for path in paths if "OpenOrders" in path) == [
        "/fapi/v1/algoOpenOrders",
        "/fapi/v1/allOpenOrders",
    ]
    assert any("batchOrders" in path for path in paths)
    assert report["result"] == "empty"
    assert {each["request"]: each["claimed"] for each in report["cancel_alls"]} == {
        "cancel_all": None,
        "cancel_all_algo": None,
    }
    # Stops that were taken before a list showed them have no outcome.
    found = told(outcomes.wait(sum(report["counts"].values()), timeout_s=60))
    assert set(plain) <= found.keys() <= {*plain, *stops}
    assert {status for status, _ in found.values()} == {"canceled"}
    assert {sandbox.order("binance", each).state for each in plain + stops} == {"canceled"}
    assert sandbox.order("binance", other).state == "open"
    send(rabbit.url, [("kill.usdm", {**job, "scope": "all", "job_id": "the-other"})])
    outcomes.wait(0, timeout_s=60, until=lambda: other in told(outcomes.found))
    assert is_as_told(sandbox, "usdm")


def test_an_order_that_stays_open_is_followed_by_its_symbols_cancel_all(
    rabbit: RabbitNode,
    sandbox: SandboxClient,
    outcomes: Outcomes,
    worker: WorkerProcess,
    figures: str,
) -> None:
    stuck, same, other = (
        seed(sandbox, STUCK, 4100),
        seed(sandbox, STUCK, 4101),
        seed(sandbox, STUCK, 4102, symbol="ETHUSDT"),
    )
    for path in "batchOrders", "fapi/v1/order":
        sandbox.fault(
            "lying_success",
            venue="binance",
            api_key=venues.key_of(STUCK),
            method="DELETE",
            path_contains=path,
            times=None,
        )
    sandbox.clear_requests()
    job = {"job_id": "stays", "account": STUCK, "symbol": "BTCUSDT", "orders": [stuck]}

    # The account looks up what a cancel claims, so that its order is seen to be open.
    send(rabbit.url, [(f"kill.{STUCK}", job)])
    found = told(outcomes.wait(1, timeout_s=90))

    assert found[stuck][0] == "canceled"
    paths = [r.path for r in sandbox.requests() if r.method == "DELETE"]
    assert paths.count("/fapi/v1/allOpenOrders") == 1
    assert sandbox.order("binance", same).state == "canceled", "of the same symbol"
    assert sandbox.order("binance", other).state == "open"
    assert [line["symbol"] for line in worker.events("escalated")] == ["BTCUSDT"] * 2
    scrape = Scrape(requests.get(f"http://{figures}/metrics", timeout=5).text)
    assert scrape.by("cancel_escalations_total", "account") == {STUCK: 2}


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above."""
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    assert worker.lines()
    assert "planted-" not in everything
