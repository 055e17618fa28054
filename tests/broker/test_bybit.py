"""Bybit end to end: derivatives and spot, by the category that accounts choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import venues
from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.venues import is_as_told, sandbox_of, told, worker_of
from tests.support.worker import WorkerProcess
from venues.sandbox.client import SandboxClient

#: Accounts by their category; their names are no other test's.
CATEGORIES = {"bybit-linear": "linear", "bybit-spot": "spot"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with sandbox_of("bybit", list(CATEGORIES)) as client:
        yield client


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    accounts = {each: [f'options.category = "{of}"'] for each, of in CATEGORIES.items()}
    folder = tmp_path_factory.mktemp("bybit")
    with worker_of(rabbit, sandbox, "bybit", accounts, folder) as process:
        yield process


def seed(sandbox: SandboxClient, category: str, number: int, **fields: Any) -> str:
    spot = category == "spot"
    order_id = str(10**18 + number) if spot else f"c6f055d9-7f21-4079-913d-{number:012x}"
    given = {"symbol": "BTCUSDT", "product": category} | fields
    return venues.seed(sandbox, "bybit", f"bybit-{category}", order_id, **given)


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
    job = {"job_id": "derivatives", "account": "bybit-linear", "symbol": "BTCUSDT"}

    send(rabbit.url, [("routine.bybit-linear", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each][0] for each in plain] == [
        *["canceled", "canceled", "filled", "canceled", "canceled", "closed"]
    ]
    assert {found[each][0] for each in (*others, stop, "desk-1_a")} == {"canceled"}
    assert found[absent][0] == "not_found"
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
    job = {"job_id": "spot", "account": "bybit-spot", "symbol": "BTCUSDT"}

    send(rabbit.url, [("kill.bybit-spot", job | {"orders": orders})])
    found = told(outcomes.wait(len(orders), timeout_s=60))

    assert [found[each][0] for each in plain] == ["canceled", "filled"]
    assert {found[each][0] for each in (tpsl, stop, *untyped)} == {"canceled"}
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
    job = {"job_id": "silent", "account": "bybit-linear", "symbol": "BTCUSDT"}

    send(rabbit.url, [("kill.bybit-linear", job | {"orders": [*named, absent]})])
    found = told(outcomes.wait(9, timeout_s=60))

    assert {found[each][0] for each in ids} == {"canceled"}
    assert found[absent["id"]][0] == "unconfirmed"
    assert is_as_told(sandbox, "linear")


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above."""
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    assert worker.lines()
    assert "planted-" not in everything
