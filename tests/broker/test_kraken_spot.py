"""Kraken Spot end to end: a bare count for a batch, and a nonce that has to grow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import venues
from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.venues import is_as_told, sandbox_of, secret_of, told, worker_of
from tests.support.worker import WorkerProcess
from venues.sandbox.client import SandboxClient

PAIR = "XBTUSD"
ACCOUNTS = ("coins", "resting", "counted", "nonces", "behind")
GONE = "OZZZZZ-ZZZZZ-ZZZZZZ"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with sandbox_of("kraken_spot", ACCOUNTS) as client:
        yield client


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    accounts: dict[str, list[str]] = {account: [] for account in ACCOUNTS}
    folder = tmp_path_factory.mktemp("kraken_spot")
    with worker_of(rabbit, sandbox, "kraken_spot", accounts, folder) as process:
        yield process


def seed(sandbox: SandboxClient, account: str, number: int, **fields: Any) -> str:
    order_id = f"OABCDE-12345-{number:06d}"
    return venues.seed(sandbox, "kraken_spot", account, order_id, **{"symbol": PAIR} | fields)


def refused_nonces(sandbox: SandboxClient, account: str) -> list[str]:
    mine = [each for each in sandbox.requests() if each.api_key == venues.key_of(account)]
    return [each.path for each in mine if each.outcome == "clock"]


def test_each_id_ends_as_the_book_says_whatever_the_count(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """Both kinds of id, and one that nobody knows; no nonce comes out of order."""
    states = ["open", "partially_filled", "filled", "canceled", "expired"]
    ids = [seed(sandbox, "coins", 100 + n, state=s) for n, s in enumerate(states)]
    stop = seed(sandbox, "coins", 110, ord_type="trigger")
    seed(sandbox, "coins", 111, client_order_id="desk-1")
    seed(sandbox, "coins", 112, client_order_id="12345", state="filled")
    orders = [*ids, stop, GONE, "desk-1", {"id": "12345", "kind": "client_order_id"}]
    job = {"job_id": "count", "account": "coins", "orders": orders}

    send(rabbit.url, [("routine.coins", job)])
    found = told(outcomes.wait(len(orders), timeout_s=90))

    assert [found[each][0] for each in ids] == [
        *["canceled", "canceled", "filled", "canceled", "closed"]
    ]
    assert {found[each][0] for each in (stop, "desk-1")} == {"canceled"}
    assert found["12345"][0] == "filled"
    assert found[GONE][0] == "not_found"
    assert refused_nonces(sandbox, "coins") == []
    assert is_as_told(sandbox, "coins")


def test_no_order_is_told_as_gone_by_a_count_or_a_read_that_misleads(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """A count of all though one was not canceled, a lost answer, reads that are behind.

    One unknown id spoils each look-up of several.
    """
    sandbox.settings(
        {
            "kraken_spot.count": "asked",
            "kraken_spot.query": "refused",
            "kraken_spot.batch_of_one": "refused",
            "kraken_spot.read_lags_s": [0, 1.5],
        }
    )
    ids = [seed(sandbox, "counted", 2100 + n) for n in range(4)]
    sandbox.fault(
        "partial_success", venue="kraken_spot", path_contains="Batch", first=2, show="lie"
    )
    sandbox.fault("reset_after_effect", venue="kraken_spot", path_contains="Batch", after=1)
    job = {"job_id": "misleading", "account": "counted", "orders": [*ids, GONE]}

    send(rabbit.url, [("kill.counted", job)])
    found = told(outcomes.wait(len(ids) + 1, timeout_s=120))
    sandbox.settings(
        {
            "kraken_spot.count": "canceled",
            "kraken_spot.query": "omitted",
            "kraken_spot.batch_of_one": "taken",
            "kraken_spot.read_lags_s": [],
        }
    )

    assert {found[each][0] for each in ids} == {"canceled"}
    assert found[GONE][0] == "not_found"
    assert is_as_told(sandbox, "counted")


def test_a_refused_nonce_is_followed_by_a_new_one(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """Another program of the key was a moment ahead; the clock is left alone."""
    ids = [seed(sandbox, "nonces", 3100 + n) for n in range(3)]
    sandbox.fault("clock", venue="kraken_spot", path_contains="CancelOrderBatch", times=2)
    job = {"job_id": "nonce", "account": "nonces", "orders": ids}

    send(rabbit.url, [("kill.nonces", job)])
    found = told(outcomes.wait(len(ids), timeout_s=60))

    assert {status for status, _ in found.values()} == {"canceled"}
    assert is_as_told(sandbox, "nonces")


def test_a_nonce_never_goes_back_whatever_the_venues_clock_says(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """A key is refused once, with a date that is an hour behind."""
    ids = [seed(sandbox, "behind", 4100 + n) for n in range(3)]
    job = {"account": "behind", "priority": "kill"}
    send(rabbit.url, [("kill.behind", job | {"job_id": "before", "orders": ids[:1]})])
    outcomes.wait(1, timeout_s=30)
    sandbox.settings({"clock_ms": int(time.time() * 1000) - 3_600_000})
    sandbox.fault("auth", venue="kraken_spot", path_contains="CancelOrderBatch")

    send(rabbit.url, [("kill.behind", job | {"job_id": "behind", "orders": ids[1:]})])
    found = told(outcomes.wait(3, timeout_s=60))
    sandbox.settings({"clock_ms": None})

    assert {status for status, _ in found.values()} == {"canceled"}
    assert refused_nonces(sandbox, "behind") == []


def test_all_open_orders_are_found_and_canceled(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    """Stops, too, and more than a batch takes."""
    ids = [seed(sandbox, "resting", 5000 + n) for n in range(110)]
    stops = [seed(sandbox, "resting", 6000 + n, ord_type="trigger") for n in range(3)]
    job = {"job_id": "all", "account": "resting", "scope": "all"}

    send(rabbit.url, [("kill.resting", job)])
    found = told(outcomes.wait(len(ids) + len(stops), timeout_s=90))

    assert {found[each][0] for each in (*ids, *stops)} == {"canceled"}
    assert refused_nonces(sandbox, "resting") == []
    assert is_as_told(sandbox, "resting")


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above."""
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    assert worker.lines()
    assert "planted-" not in everything
    assert not [each for each in ACCOUNTS if secret_of("kraken_spot", each) in everything]
    assert not worker.events("clock_corrected")
