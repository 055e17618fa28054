"""Bybit end to end: derivatives and spot, by the category that accounts choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox

CATEGORIES = ("linear", "spot")


def key_of(category: str) -> str:
    return f"planted-key-{category}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        client.settings({"rtt_ms": 10})
        for category in CATEGORIES:
            client.add_account("bybit", key_of(category), f"planted-secret-{category}")
        yield client


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("bybit")
    accounts = {
        category: {
            "venue": "bybit",
            "base_url": sandbox.url,
            "key": key_of(category),
            "secret": f"planted-secret-{category}",
            "extra": [f'options.category = "{category}"'],
        }
        for category in CATEGORIES
    }
    env = accounts_file(accounts, folder / "cancel.toml")
    with WorkerProcess(rabbit.url, env, folder / "worker.log", name="bybit") as process:
        yield process


@pytest.fixture
def outcomes(rabbit: RabbitNode, worker: WorkerProcess) -> Iterator[Outcomes]:
    reader = Outcomes(rabbit.url, "*.*.*")
    yield reader
    reader.close()


def seed(sandbox: SandboxClient, category: str, number: int, **fields: Any) -> str:
    spot = category == "spot"
    order_id = str(10**18 + number) if spot else f"c6f055d9-7f21-4079-913d-{number:012x}"
    raw = {"venue": "bybit", "api_key": key_of(category), "id": order_id}
    sandbox.seed([raw | {"symbol": "BTCUSDT", "product": category} | fields])
    return order_id


def told(found: list[Any]) -> dict[str, str]:
    return {each["id"]: each["status"] for each in found}


def is_as_told(sandbox: SandboxClient, category: str) -> bool:
    """Say whether no order is open any more, and nobody traded or was throttled."""
    open_ones = [
        each for each in sandbox.book() if each.state == "open" and each.product == category
    ]
    throttled = [each for each in sandbox.limits() if each.throttled]
    return not open_ones and not sandbox.incidents() and not throttled


def test_each_id_of_derivatives_ends_as_the_book_says(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """More ids than a second may cancel, of two symbols and two kinds; none is throttled."""
    states = ["open", "partially_filled", "filled", "canceled", "expired", "rejected"]
    plain = [seed(sandbox, "linear", 100 + n, state=s) for n, s in enumerate(states)]
    others = [seed(sandbox, "linear", 200 + n, symbol="ETHUSDT") for n in range(14)]
    stop = seed(sandbox, "linear", 300, ord_type="trigger")
    seed(sandbox, "linear", 301, client_order_id="desk-1_a")
    absent = "c6f055d9-7f21-4079-913d-ffffffffffff"
    orders = [
        *plain,
        *({"id": each, "symbol": "ETHUSDT"} for each in others),
        stop,
        {"id": "desk-1_a", "kind": "client_order_id"},
        {"id": absent, "kind": "venue_order_id"},
    ]
    job = {"job_id": "derivatives", "account": "linear", "symbol": "BTCUSDT"}

    send(rabbit.url, [("routine.linear", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each] for each in plain] == [
        *["canceled", "canceled", "filled", "canceled", "canceled", "closed"]
    ]
    assert {found[each] for each in (*others, stop, "desk-1_a")} == {"canceled"}
    assert found[absent] == "not_found"
    assert is_as_told(sandbox, "linear")


def test_each_id_of_spot_ends_as_the_book_says_whatever_its_kind(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """Two waiting orders whose kind no job states are found, and canceled by their kind."""
    plain = [seed(sandbox, "spot", 1100 + n, state=s) for n, s in enumerate(("open", "filled"))]
    tpsl = seed(sandbox, "spot", 1200, ord_type="tp_sl")
    stop = seed(sandbox, "spot", 1201, ord_type="trigger")
    untyped = [
        seed(sandbox, "spot", 1202, ord_type="tp_sl"),
        seed(sandbox, "spot", 1203, ord_type="trigger"),
    ]
    orders = [
        *plain,
        {"id": tpsl, "ord_type": "tp_sl"},
        {"id": stop, "ord_type": "trigger"},
        *untyped,
    ]
    job = {"job_id": "spot", "account": "spot", "symbol": "BTCUSDT"}

    send(rabbit.url, [("kill.spot", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each] for each in plain] == ["canceled", "filled"]
    assert {found[each] for each in (tpsl, stop, *untyped)} == {"canceled"}
    assert is_as_told(sandbox, "spot")


def test_no_order_is_told_as_gone_while_a_batch_or_a_read_is_silent(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """An answer is lost, reads are behind and demand a symbol, and memory was lost.

    What is shown by symbol alone is not told as gone: the symbol may be wrong.
    """
    sandbox.settings(
        {
            "bybit.batch_echo": "none",
            "bybit.lookup_symbol": "demanded",
            "bybit.restarted": True,
            "bybit.read_lags_s": [0, 1.5],
        }
    )
    ids = [seed(sandbox, "linear", 2100 + n) for n in range(8)]
    named = [{"id": each, "kind": "venue_order_id"} for each in ids]
    sandbox.fault("reset_after_effect", venue="bybit", path_contains="cancel-batch")
    absent = {"id": "c6f055d9-7f21-4079-913d-fffffffffffe", "kind": "venue_order_id"}
    job = {"job_id": "silent", "account": "linear", "symbol": "BTCUSDT"}

    send(rabbit.url, [("kill.linear", job | {"orders": [*named, absent]})])
    found = told(outcomes.wait(9, timeout_s=60))

    assert {found[each] for each in ids} == {"canceled"}
    assert found[absent["id"]] == "unconfirmed"
    assert is_as_told(sandbox, "linear")


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above."""
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    assert worker.lines()
    assert "planted-" not in everything
