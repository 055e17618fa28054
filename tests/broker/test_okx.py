"""OKX end to end: a code for each item, both doors, and lists whose pages begin after an id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import venues
from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.venues import is_as_told, sandbox_of, told, worker_of
from tests.support.worker import WorkerProcess
from venues.sandbox.client import SandboxClient

SWAP = "BTC-USDT-SWAP"
ACCOUNTS = ("swaps", "many", "unsure", "fired")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with sandbox_of("okx", ACCOUNTS) as client:
        yield client


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    lines = ['api_passphrase_env = "OKX_PASSPHRASE"']
    accounts = dict.fromkeys(ACCOUNTS, lines)
    folder, env = tmp_path_factory.mktemp("okx"), {"OKX_PASSPHRASE": "planted-passphrase"}
    with worker_of(rabbit, sandbox, "okx", accounts, folder, env) as process:
        yield process


def order_id(number: int) -> str:
    return str(680_800_019_749_900_000 + number)


def seed(sandbox: SandboxClient, account: str, number: int, **fields: Any) -> str:
    given = {"symbol": SWAP} | fields
    return venues.seed(sandbox, "okx", account, order_id(number), **given)


def as_venue_ids(ids: list[str]) -> list[dict[str, str]]:
    return [{"id": each, "kind": "venue_order_id"} for each in ids]


def test_each_id_ends_as_the_book_says_whatever_its_door(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """Of two instruments and both kinds of id; one stop has fired, one has no type stated."""
    states = ["open", "partially_filled", "filled", "canceled"]
    plain = [seed(sandbox, "swaps", 100 + n, state=s) for n, s in enumerate(states)]
    other = seed(sandbox, "swaps", 110, symbol="ETH-USDT")
    seed(sandbox, "swaps", 120, client_order_id="desk1a")
    stop = seed(sandbox, "swaps", 200, ord_type="trigger")
    untyped = seed(sandbox, "swaps", 201, ord_type="trailing_stop")
    failed = seed(sandbox, "swaps", 202, ord_type="tp_sl", state="rejected")
    nameless = seed(sandbox, "swaps", 203, ord_type="trigger", state="filled", triggered=True)
    absent = "680800019749999999"
    orders = [
        *as_venue_ids([*plain, untyped, absent]),
        {"id": other, "kind": "venue_order_id", "symbol": "ETH-USDT"},
        {"id": "desk1a", "kind": "client_order_id"},
        {"id": stop, "ord_type": "trigger", "kind": "venue_order_id"},
        {"id": failed, "ord_type": "tp_sl", "kind": "venue_order_id"},
        {"id": nameless, "ord_type": "trigger", "kind": "venue_order_id"},
    ]
    # Its row never names what it placed.
    deadline = (datetime.now(UTC) + timedelta(seconds=25)).isoformat()
    job = {"job_id": "doors", "account": "swaps", "symbol": SWAP, "deadline": deadline}

    send(rabbit.url, [("routine.swaps", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each][0] for each in plain] == ["canceled", "canceled", "filled", "canceled"]
    assert {found[each][0] for each in (other, "desk1a", stop, untyped)} == {"canceled"}
    assert found[failed][0] == "closed"
    assert found[nameless][1] == "trigger_fired"
    assert found[absent][0] == "not_found"
    assert is_as_told(sandbox, "swaps")


def test_what_a_fired_order_became_is_canceled_and_told_under_the_id_that_was_asked_for(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """It rests, is filled in part or in whole, is on the book later, or is one of several."""
    children: dict[str, dict[str, Any]] = {
        order_id(3101): {"state": "open"},
        order_id(3102): {"state": "partially_filled", "filled": 4},
        order_id(3103): {"state": "filled", "ord_type": "market"},
        order_id(3104): {"state": "open", "late_s": 3.0},
        order_id(3105): {"state": "open"},
    }
    stops = [
        seed(sandbox, "fired", 3000 + n, ord_type="trigger", quantity=10)
        for n in range(len(children))
    ]
    for stop, (child, fields) in zip(stops, children.items(), strict=True):
        sandbox.fire("okx", stop, child, **fields)
    second = seed(sandbox, "fired", 3106, parent_id=stops[4])
    orders = [{"id": each, "ord_type": "trigger", "kind": "venue_order_id"} for each in stops]
    del orders[0]["ord_type"]
    deadline = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    job = {"job_id": "fired", "account": "fired", "symbol": SWAP, "deadline": deadline}

    send(rabbit.url, [("kill.fired", job | {"orders": orders})])
    told_of = {each["id"]: each for each in outcomes.wait(len(orders), timeout_s=60)}

    found = [(told_of[each]["status"], told_of[each]["became"]) for each in stops]
    assert found == [
        ("canceled", order_id(3101)),
        ("canceled", order_id(3102)),
        ("filled", order_id(3103)),
        ("canceled", order_id(3104)),
        ("failed", ""),  # two orders: none of them is touched, and both are named
    ]
    assert [told_of[each]["cum_qty"] for each in stops] == ["0", "4", "10", "0", ""]
    assert told_of[stops[4]]["text"] == f"it placed order {order_id(3105)}, {second}"
    states = [sandbox.order("okx", each).state for each in (*children, second)]
    assert states == ["canceled", "canceled", "filled", "canceled", "open", "open"]


def test_no_order_is_told_as_gone_while_a_batch_or_a_read_is_silent(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """An answer is lost, refused items name nobody, reads are behind, and a wrong instrument.

    Trailing stops are refused by the first of their two calls.
    """
    sandbox.settings(
        {"okx.echo": "none", "okx.trailing": "advance", "okx.read_lags_s": [0, 1.5]}
    )
    ids = [seed(sandbox, "unsure", 2100 + n) for n in range(8)]
    misplaced = seed(sandbox, "unsure", 2200, symbol="ETH-USDT")
    trailing = seed(sandbox, "unsure", 2300, ord_type="trailing_stop")
    sandbox.fault("reset_after_effect", venue="okx", path_contains="cancel-batch")
    orders = [
        *as_venue_ids([*ids, misplaced]),
        {"id": trailing, "kind": "venue_order_id", "ord_type": "trailing_stop"},
    ]
    job = {"job_id": "silent", "account": "unsure", "symbol": SWAP}

    send(rabbit.url, [("kill.unsure", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))
    sandbox.settings({"okx.echo": "ids", "okx.trailing": "algos", "okx.read_lags_s": []})

    assert {found[each][0] for each in (*ids, misplaced, trailing)} == {"canceled"}
    assert is_as_told(sandbox, "unsure")


def test_more_open_orders_than_a_page_has_are_found_and_canceled(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """All of them, conditional ones, too, that no job names."""
    ids = [seed(sandbox, "many", 5000 + n) for n in range(230)]
    stops = [seed(sandbox, "many", 6000 + n, ord_type="trigger") for n in range(3)]
    job = {"job_id": "all", "account": "many", "scope": "all"}

    send(rabbit.url, [("kill.many", job)])
    found = told(outcomes.wait(len(ids) + len(stops), timeout_s=90))

    assert {found[each][0] for each in (*ids, *stops)} == {"canceled"}
    assert is_as_told(sandbox, "many")


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above."""
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    assert worker.lines()
    assert "planted-" not in everything
