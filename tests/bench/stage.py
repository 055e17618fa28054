"""The stage of a case: a broker, a sandbox and a worker of its own, all real."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.bench.bounds import RTT_S
from tests.bench.producers import Post
from tests.support.producer import Outcomes
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, VenueRequest, start_sandbox

#: Between the ends of two old orders, in milliseconds: history goes back seven days.
_OLD_GAP_MS = 60_000
_FIRST_ID = 33_308_750_270_000_000
#: The ban guard allows 5.5 requests a second over all interfaces; README.md says why it is off.
PACED = ('quotas = { escalation = "off", address = "off" }',)
_NAMES = ("cancel_batch", "cancel_one", "lookup", "history", "account", "escalation", "address")
UNPACED = ("quotas = { " + ", ".join(f'{name} = "off"' for name in _NAMES) + " }",)
_READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Market:
    """Where the orders of an account are, and what its table in the accounts file says."""

    venue: str
    symbol: str
    extra: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)  # of an order in the sandbox
    kind: Mapping[str, str] = field(default_factory=dict)  # as jobs state it, where ids need it


COINW = Market("coinw", "BTC", PACED)


@dataclass(slots=True)
class Stage:
    """What a case plays on. Times are monotonic seconds, the same clock everywhere."""

    node: RabbitNode
    box: SandboxClient
    folder: Path
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(_FIRST_ID))
    _runs: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        """The broker's URL."""
        return self.node.url

    @contextmanager
    def worker(
        self, accounts: Sequence[str], extra: Sequence[str] = (), market: Market = COINW
    ) -> Iterator[WorkerProcess]:
        """Run one worker that owns these accounts' lanes."""
        for name in accounts:
            self.box.add_account(market.venue, f"key-{name}", f"secret-{name}")
        run = f"run{next(self._runs)}"
        table = {
            name: {
                "venue": market.venue,
                "base_url": self.box.url,
                "key": f"key-{name}",
                "secret": f"secret-{name}",
                "extra": extra or market.extra,
            }
            for name in accounts
        }
        env = accounts_file(table, self.folder / f"{run}.toml")
        worker = WorkerProcess(self.url, env, self.folder / f"{run}.log", name=run)
        try:
            worker.start(ready="lane_owned")
            _await_lanes(worker, len(accounts))
            self.box.clear_requests()
            yield worker
            worker.stop()
        finally:
            worker.kill()

    def orders(self, account: str, count: int, market: Market = COINW) -> list[str]:
        """Put so many open limit orders on the account's book and return their ids."""
        ids = [str(number) for number in itertools.islice(self._ids, count)]
        common = {"venue": market.venue, "api_key": f"key-{account}", "symbol": market.symbol}
        common |= market.fields
        for at in range(0, count, 20_000):
            self.box.seed({**common, "id": order} for order in ids[at : at + 20_000])
        return ids

    def old_orders(self, account: str, count: int) -> None:
        """Put so many orders on the account's book that were canceled long ago."""
        now_ms = int(time.time() * 1000)
        common = {"venue": "coinw", "api_key": f"key-{account}", "symbol": COINW.symbol}
        ends_ms = [now_ms - number * _OLD_GAP_MS for number in range(count, 0, -1)]
        self.box.seed(
            common
            | {"id": str(next(self._ids)), "state": "canceled"}
            | {"created_ms": end_ms, "updated_ms": end_ms}
            for end_ms in ends_ms
        )

    @contextmanager
    def outcomes(self, account: str = "*") -> Iterator[Outcomes]:
        """Listen to what becomes of the ids."""
        outcomes = Outcomes(self.url, f"*.{account}.*")
        try:
            yield outcomes
        finally:
            outcomes.close()

    @contextmanager
    def reports(self) -> Iterator[Outcomes]:
        """Listen to what is reported of the jobs."""
        reports = Outcomes(self.url, exchange="cancel.reports")
        try:
            yield reports
        finally:
            reports.close()

    def resting(self, account: str, market: Market = COINW) -> int:
        """Return how many orders are open on the account's book."""
        book = self.box.book(venue=market.venue, api_key=f"key-{account}")
        return sum(order.state == "open" for order in book)

    def requests(self, account: str) -> list[VenueRequest]:
        """Return the account's venue requests, in the order of their arrival."""
        key = f"key-{account}"
        found = [r for r in self.box.requests() if r.api_key == key]
        return sorted(found, key=lambda request: request.received_s)

    def unacknowledged(self, queue: str) -> int:
        """Return how many messages of a queue the worker holds, as of some seconds ago."""
        found = self.node.manage("GET", f"queues/%2F/{queue}")
        return int(found.get("messages_unacknowledged", 0))

    def throttled(self, accounts: Sequence[str]) -> int:
        """Return how many requests of these accounts the venue refused for rate."""
        keys = {f"key-{name}" for name in accounts}
        return sum(use.throttled for use in self.box.limits() if use.api_key in keys)


@contextmanager
def set_stage() -> Iterator[Stage]:
    """Start broker and sandbox."""
    with (
        tempfile.TemporaryDirectory(prefix="cancel-bench-") as folder,
        RabbitNode() as node,
        start_sandbox() as box,
    ):
        box.settings({"rtt_ms": RTT_S * 1000, "coinw.escalation": "off"})
        yield Stage(node, box, Path(folder))


def job(
    account: str, ids: Sequence[str], job_id: str = "", market: Market = COINW
) -> dict[str, Any]:
    """Return a job of limit orders; the type is stated, as a risk system would know it."""
    orders = [{"id": order, "ord_type": "limit", **market.kind} for order in ids]
    named = {"job_id": job_id or f"{account}-{ids[0]}"}
    return {**named, "account": account, "symbol": market.symbol, "orders": orders}


def jobs(
    priority: str, account: str, ids: Sequence[str], per_job: int, market: Market = COINW
) -> list[Post]:
    """Return jobs of so many ids each, ready to be published."""
    starts = range(0, len(ids), per_job)
    key = f"{priority}.{account}"
    return [(key, job(account, ids[at : at + per_job], market=market)) for at in starts]


def cancels(requests: Sequence[VenueRequest]) -> list[VenueRequest]:
    """Return the cancel requests among them."""
    return [r for r in requests if r.route.startswith("cancel") or "/cancel" in r.path]


def time_to_cancel_s(requests: Sequence[VenueRequest]) -> float:
    """Return the seconds from the first request to the response of the last cancel."""
    return max(r.at_s for r in cancels(requests)) + RTT_S / 2 - requests[0].received_s


def asked(requests: Sequence[VenueRequest]) -> Mapping[str, float]:
    """Return when the first request that named it came in, for each id."""
    first: dict[str, float] = {}
    for request in requests:
        for order in request.ids:
            first.setdefault(order, request.received_s)
    return first


def measured(worker: WorkerProcess) -> psutil.Process:
    """Return the worker's process, for its processor time and memory."""
    assert worker.process is not None
    return psutil.Process(worker.process.pid)


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and those that it started."""
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that a process and those that it started have used."""
    times = [member.cpu_times() for member in family(process)]
    return float(sum(time.user + time.system for time in times))


def _await_lanes(worker: WorkerProcess, lanes: int) -> None:
    give_up = time.monotonic() + _READY_S
    while worker.log.read_bytes().count(b'"lane_owned"') < lanes:
        if time.monotonic() > give_up:
            raise RuntimeError(f"the worker owns too few lanes:\n{worker.errors()}")
        time.sleep(0.05)
    time.sleep(0.3)  # the lanes' queues are subscribed a moment after
