"""A worker that cancels 1,000 ids while Flower watches, and a browser to see Flower with."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.support.flower import Events, FlowerProcess
from tests.support.need import need
from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1600,960",
)
NAME = "worker-1@risk-1"
MANY = 1000
UUID = "7c1b2f60-0d3c-4b7e-9a51-%012d"
#: What no page, event or log may show.
PLANTED = ("planted-flower-key", "planted-flower-secret", "planted-flower-password")
ACCOUNTS = {"desk-1": "coinw", "desk-2": "ztdx", "desk-3": "kuna"}
UNPACED = ["[accounts.desk-1.quotas]"] + [
    f'{name} = "off"'
    for name in ("cancel_batch", "lookup", "history", "account", "escalation", "address")
]


@dataclass(frozen=True, slots=True)
class Watched:
    """A worker with all its work behind it, and the Flower that saw it."""

    worker: WorkerProcess
    flower: FlowerProcess
    outcomes: list[dict[str, Any]]
    events: list[bytes]
    broker_url: str


def _accounts(box: SandboxClient) -> dict[str, dict[str, Any]]:
    secrets = {"key": PLANTED[0], "secret": PLANTED[1], "base_url": box.url}
    made: dict[str, dict[str, Any]] = {
        name: {"venue": venue, **secrets} for name, venue in ACCOUNTS.items()
    }
    made["desk-1"]["extra"] = UNPACED
    return made


def _seed(box: SandboxClient) -> None:
    box.settings({"rtt_ms": 5, "limits": {"coinw": "off"}})
    for venue in ACCOUNTS.values():
        box.add_account(venue, *PLANTED[:2])
    order = {"api_key": PLANTED[0], "symbol": "BTC", "ord_type": "limit", "state": "open"}
    box.seed(order | {"venue": "coinw", "id": str(10**16 + n)} for n in range(MANY))
    states = ["open"] * 12 + ["filled"] * 3 + ["canceled"] * 3
    box.seed(
        order | {"venue": venue, "symbol": "BTCUSDT", "id": UUID % n, "state": state}
        for venue in ("ztdx", "kuna")
        for n, state in enumerate(states)
    )


def _bags() -> list[tuple[str, dict[str, Any]]]:
    """Return jobs of 20 ids: 15 on the book to be canceled, 3 filled, 1 unknown, 1 no id."""
    ids = [UUID % n for n in range(19)] + ["no id"]
    why = {"reason": "max loss reached", "requested_by": "risk-engine-2", "symbol": "BTCUSDT"}
    return [
        ("kill.desk-2", {"job_id": "bag-ztdx", "account": "desk-2", "orders": ids} | why),
        ("routine.desk-3", {"job_id": "bag-kuna", "account": "desk-3", "orders": ids} | why),
    ]


def _turned_on(url: str, events: Events) -> int:
    """Send jobs until one shows that Flower, some seconds after its start, turned events on."""
    for number in range(60):
        job = {"job_id": f"early-{number}", "account": "desk-1", "orders": ["no id"]}
        send(url, [("routine.desk-1", job)])
        time.sleep(0.5)
        if any(b"task-" in event for event in events.take()):
            return number + 1
    raise AssertionError("no task event in 30 s: Flower did not turn them on")


def uuids(events: list[bytes], kind: str) -> set[str]:
    """Return the tasks of which an event tells; Celery sends several events in a message."""
    found: list[Any] = []
    for told in map(json.loads, events):
        found += told if isinstance(told, list) else [told]
    return {event["uuid"] for event in found if event["type"] == kind}


def _until_all_ended(events: Events) -> list[bytes]:
    """Return the events once every task that was received has ended: the last word is late."""
    taken, give_up = events.take(), time.monotonic() + 30
    while uuids(taken, "task-received") - uuids(taken, "task-succeeded"):
        assert time.monotonic() < give_up, "a task has not ended"
        time.sleep(0.1)
        taken += events.take()
    return taken


def _await_ids(outcomes: Outcomes, count: int, timeout_s: float) -> None:
    """Wait for so many ids: an outcome may come twice, where a connection was lost."""

    def all_told() -> bool:
        return len({(o["job_id"], o["id"]) for o in outcomes.found}) >= count

    outcomes.wait(count, timeout_s, until=all_told)


@pytest.fixture(scope="session")
def watched(rabbit: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder, url = tmp_path_factory.mktemp("flower"), rabbit.vhost("flower")
    ones = [
        ("routine.desk-1", {"job_id": f"one-{n}", "account": "desk-1", "symbol": "BTC",
                            "orders": [str(10**16 + n)]})
        for n in range(MANY)
    ]  # fmt: skip
    with start_sandbox() as box:
        _seed(box)
        env = accounts_file(_accounts(box), folder / "cancel.toml")
        outcomes = Outcomes(url)
        with (
            WorkerProcess(url, env, folder / "worker.log", args=("-n", NAME)) as worker,
            FlowerProcess(url, folder / "flower.log") as flower,
        ):
            events = Events(url)
            early = _turned_on(url, events)
            send(url, ones)
            _await_ids(outcomes, early + MANY, 90)
            send(url, _bags())
            _await_ids(outcomes, early + MANY + 40, 30)
            yield Watched(worker, flower, outcomes.found, _until_all_ended(events), url)
            events.close()
        outcomes.close()


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    found = BROWSER.exists() and DRIVER.exists()
    need(found, "Chromium is missing: apt-get install chromium chromium-driver")
    profile = tmp_path_factory.mktemp("chromium")
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = Chrome(options=options, service=Service(str(DRIVER)))
    yield browser
    browser.quit()
    shutil.rmtree(profile, ignore_errors=True)
