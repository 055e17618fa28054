"""One worker with figures, watched while it serves good, slow, refused and hopeless jobs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode, free_port
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, VenueRequest, start_sandbox

PLANTED_KEY, PLANTED_SECRET = "planted-key-in-metrics", "planted-secret-in-metrics"
WRONG_SECRET = "wrong-secret-in-metrics"
LONG_IDS = 200
#: Jobs that are refused and answered once, without an id.
REFUSED_JOBS = 1
UUID = "3fa42833-9508-4061-8d80-%012d"


class Scrape:
    """What one look at the figures showed."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in families for sample in family.samples]
        self.names = {sample.name for sample in self.samples}

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's rows that carry these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return a metric summed for each value of a label, without what is zero."""
        sums: defaultdict[str, float] = defaultdict(float)
        for sample in self.samples:
            if sample.name == name:
                sums[sample.labels[label]] += sample.value
        return {value: total for value, total in sums.items() if total}


@dataclass(frozen=True, slots=True)
class Run:
    """What a run showed before, while and after it worked, and the truth to compare with."""

    before: Scrape
    busy: Scrape
    after: Scrape
    outcomes: list[dict[str, Any]]
    requests: list[VenueRequest]


def wait_for(url: str, true: Callable[[Scrape], bool], timeout_s: float = 20.0) -> Scrape:
    """Look at the figures until they show what is waited for."""
    give_up = time.monotonic() + timeout_s
    while True:
        scrape = Scrape(requests.get(url, timeout=5).text)
        if true(scrape):
            return scrape
        assert time.monotonic() < give_up, scrape.text
        time.sleep(0.02)


def _seed(box: SandboxClient) -> dict[str, dict[str, Any]]:
    coinw, ztdx = "coinw", "ztdx"
    keys = {
        name: f"{PLANTED_KEY}-{name}" for name in ("m-long", "m-slowed", "m-halt", "m-hang")
    }
    venues = {"m-long": coinw, "m-slowed": ztdx, "m-halt": coinw, "m-hang": ztdx}
    for name, key in keys.items():
        box.add_account(venues[name], key, PLANTED_SECRET)
    order = {"symbol": "BTCUSDT", "ord_type": "limit", "state": "open"}
    box.seed(
        order
        | {"venue": coinw, "api_key": keys["m-long"], "id": str(10**16 + n), "symbol": "BTC"}
        for n in range(LONG_IDS)
    )
    box.seed(
        order
        | {"venue": ztdx, "api_key": keys[name], "id": UUID % (n + 100 * (name == "m-hang"))}
        for name in ("m-slowed", "m-hang")
        for n in range(5)
    )
    box.fault("throttle", venue=ztdx, api_key=keys["m-slowed"], times=1)
    box.fault("timeout_after_effect", venue=ztdx, api_key=keys["m-hang"], hold_s=2, times=1000)
    secrets = dict.fromkeys(keys, PLANTED_SECRET) | {"m-halt": WRONG_SECRET}
    return {
        name: {"venue": venues[name], "key": key, "secret": secrets[name], "base_url": box.url}
        | ({"extra": ["timeout = 0.4"]} if name == "m-hang" else {})
        for name, key in keys.items()
    }


def _jobs() -> list[tuple[str, dict[str, Any] | bytes]]:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    past = "2020-01-01T00:00:00Z"
    long = [str(10**16 + n) for n in range(LONG_IDS)] + ["no-id"]
    slowed, hang = [UUID % n for n in range(5)], [UUID % (100 + n) for n in range(5)]
    hung = {"account": "m-hang", "symbol": "BTCUSDT", "orders": hang, "deadline": soon}
    return [
        ("routine.m-long", {"account": "m-long", "symbol": "BTC", "orders": long}),
        ("kill.m-slowed", {"account": "m-slowed", "symbol": "BTCUSDT", "orders": slowed}),
        ("routine.m-halt", {"account": "m-halt", "symbol": "BTC", "orders": ["1", "2", "3"]}),
        ("kill.m-hang", hung),
        ("kill.m-long", {"account": "m-long", "orders": ["8", "9"], "deadline": past}),
        ("routine.m-long", b"{"),
        ("routine.m-long", {"account": "m-long", "orders": []}),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def run(rabbit: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("metrics")
    broker_url = rabbit.vhost("metrics")
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}/metrics"
    with start_sandbox() as box:
        env = accounts_file(_seed(box), folder / "cancel.toml") | {"CANCEL_METRICS": address}
        outcomes = Outcomes(broker_url)
        with WorkerProcess(broker_url, env, folder / "worker.log"):
            before = wait_for(url, lambda seen: seen.sum("cancel_lane_owned") == 4)
            send(broker_url, _jobs())
            busy = wait_for(url, lambda seen: seen.sum("cancel_waiting_ids") > LONG_IDS / 2)
            outcomes.wait(LONG_IDS + 1 + 5 + 3 + 5 + 2 + REFUSED_JOBS, 60)
            after = wait_for(url, lambda seen: seen.sum("cancel_waiting_ids") == 0)
            yield Run(before, busy, after, outcomes.found, box.requests())
        outcomes.close()
