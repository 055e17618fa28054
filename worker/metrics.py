"""Keeps a worker's statistics for Prometheus and serves them over HTTP.

Labels hold names from the accounts file and words of ours, and nothing that a producer or a
venue wrote: so their number is bounded, and none is a secret.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from venues.base import Verdict
from venues.words import AccountState, CancelStatus, Priority
from worker.jobs.runtime import Pulse, Runtime
from worker.processes.client import LaneClient
from worker.settings import Account
from worker.stats import LaneStats, Observer, VenueCall

#: Seconds from accepting a job to an id's final word: idle, paced, backed off, deadline.
_TO_FINAL_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
#: Seconds that a request waited for a token; the quotas of venues have windows of 1 to 10 s.
_WAIT_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: Seconds of one venue request, up to twice the default timeout.
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MISSED = {CancelStatus.FAILED, CancelStatus.UNCONFIRMED}
_SHUT_OUT = {Verdict.THROTTLED, Verdict.BANNED}
#: What every venue's file calls the route that sets its timer (tests/venues/test_timers.py).
TIMER = "timer"
#: The form of our reasons; a reason of another form is counted under one name.
_WORD = re.compile(r"[A-Za-z0-9_]{1,40}")
_LANE = ("venue", "account")
_IDLE = LaneStats(waiting=0, oldest_s=0.0)
#: What is told as paused: nothing leaves, and yet the account is not halted.
_QUIET = {AccountState.PAUSED, AccountState.BARRED}


class Metrics(Observer):
    """Counters and histograms; every series that an alert needs exists from the start."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        count = partial(Counter, registry=registry)
        measure = partial(Histogram, registry=registry)
        where = ("venue", "route")
        self._outcomes = count(
            "cancel_outcomes", "Ids with their final word.", (*_LANE, "status")
        )
        self._to_final = measure(
            "cancel_time_to_final_seconds",
            "Seconds from accepting a job to the final word on an id.",
            ("venue", "priority"),
            buckets=_TO_FINAL_S,
        )
        self._misses = count(
            "cancel_deadline_misses",
            "Ids that ended failed or unconfirmed, by reason.",
            (*_LANE, "status", "reason"),
        )
        self._rejected = count(
            "cancel_jobs_rejected", "Messages that were no jobs.", ("reason",)
        )
        self._requests = count(
            "cancel_venue_requests",
            "Venue requests, by what came of them.",
            (*_LANE, "route", "result"),
        )
        self._ids = count("cancel_venue_request_ids", "Ids that venue requests carried.", where)
        self._request_s = measure(
            "cancel_venue_request_seconds",
            "Seconds from the start of a venue request to its end.",
            where,
            buckets=_REQUEST_S,
        )
        self._wait_s = measure(
            "cancel_token_wait_seconds",
            "Seconds that the oldest id of a request waited for the request to leave.",
            where,
            buckets=_WAIT_S,
        )
        self._throttled = count(
            "cancel_throttled", "Venue requests that were rate-limited.", _LANE
        )
        self._fired = count(
            "cancel_dead_man_fired", "Kills that the silence of a producer filed.", _LANE
        )
        self._escalations = count(
            "cancel_escalations",
            "Cancel-alls of a symbol, as a kill's order stayed open.",
            _LANE,
        )
        self._timer_failures = count(
            "cancel_venue_timer_failures",
            "Requests that did not set the venue's own timer.",
            _LANE,
        )
        for account in accounts:
            self._begin(account)

    def _begin(self, account: Account) -> None:
        """Start at zero: a series that appears with its first event shows no increase."""
        lane = (account.venue.name, account.name)
        self._throttled.labels(*lane)
        self._fired.labels(*lane)
        self._escalations.labels(*lane)
        self._timer_failures.labels(*lane)
        for status in CancelStatus:
            self._outcomes.labels(*lane, status)

    def venue_call(self, call: VenueCall) -> None:
        """Count a venue request and the ids that it carried."""
        lane, where = (call.venue, call.account), (call.venue, call.route)
        self._requests.labels(*lane, call.route, _word(call.result)).inc()
        self._ids.labels(*where).inc(call.ids)
        self._request_s.labels(*where).observe(call.elapsed_s)
        self._wait_s.labels(*where).observe(call.waited_s)
        if call.route == TIMER and call.result != Verdict.ACCEPTED:
            self._timer_failures.labels(*lane).inc()
        if call.result in _SHUT_OUT:
            self._throttled.labels(*lane).inc()
        if call.is_escalation:
            self._escalations.labels(*lane).inc()

    def outcome(self, message: Mapping[str, Any], priority: Priority) -> None:
        """Count the final word on an id, and how long it took."""
        lane, status = (message["venue"], message["account"]), message["status"]
        self._outcomes.labels(*lane, status).inc()
        self._to_final.labels(lane[0], priority).observe(message["latency_ms"] / 1000)
        if status in _MISSED:
            self._misses.labels(*lane, status, _word(message["reason"])).inc()

    def rejected(self, reason: str) -> None:
        """Count a message that was no job."""
        self._rejected.labels(_word(reason)).inc()

    def dead_man_fired(self, venue: str, account: str) -> None:
        """Count a kill that a silence filed."""
        self._fired.labels(venue, account).inc()


class Lanes(Collector):
    """Asks every lane how it stands, at each scrape."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """Return one row per account for each gauge."""
        used, accounts = self._runtime.stats(), self._runtime.settings.accounts
        rows = {name: used.get(name, _IDLE) for name in accounts}
        for name, help_text, value in _GAUGES:
            family = GaugeMetricFamily(name, help_text, labels=_LANE)
            for account, stats in rows.items():
                family.add_metric([accounts[account].venue.name, account], value(stats))
            yield family
        state = GaugeMetricFamily(
            "cancel_account_state",
            "1: how the venue serves the account.",
            labels=(*_LANE, "state"),
        )
        for account, stats in rows.items():
            for one in AccountState:
                lane = [accounts[account].venue.name, account, one]
                state.add_metric(lane, stats.state is one)
        yield state
        owned = GaugeMetricFamily(
            "cancel_lane_owned", "1: this worker serves it.", labels=_LANE
        )
        for account in accounts:
            lane = [accounts[account].venue.name, account]
            owned.add_metric(lane, self._runtime.owns(account))
        yield owned
        paused = GaugeMetricFamily(
            "cancel_routine_paused",
            "1: somebody paused the account; nothing routine leaves for it.",
            labels=_LANE,
        )
        for account in accounts:
            lane = [accounts[account].venue.name, account]
            paused.add_metric(lane, self._runtime.routine_paused(account))
        yield paused


class Processes(Collector):
    """Asks the system what each process of the worker uses, at each scrape."""

    def __init__(self, lanes: Iterable[LaneClient]) -> None:
        self._of = {"celery": ProcessCollector(registry=None)}
        for process in lanes:
            self._of[process.name] = ProcessCollector(pid=partial(_pid, process), registry=None)

    def collect(self) -> Iterator[Metric]:
        """Return one row per process for each metric."""
        used = {name: _samples(collector) for name, collector in self._of.items()}
        cpu = CounterMetricFamily(
            "cancel_process_cpu_seconds", "Processor time of a process.", labels=["process"]
        )
        memory = GaugeMetricFamily(
            "cancel_process_memory_bytes", "Resident memory of a process.", labels=["process"]
        )
        for name, samples in used.items():
            cpu.add_metric([name], samples.get("process_cpu_seconds_total", 0.0))
            memory.add_metric([name], samples.get("process_resident_memory_bytes", 0.0))
        yield cpu
        yield memory


def _pid(process: LaneClient) -> int:
    return process.pid


def _samples(collector: ProcessCollector) -> dict[str, float]:
    return {s.name: s.value for metric in collector.collect() for s in metric.samples}


_GAUGES: tuple[tuple[str, str, Callable[[LaneStats], float]], ...] = (
    ("cancel_waiting_ids", "Ids in the lane and not in flight.", lambda f: f.waiting),
    ("cancel_oldest_id_seconds", "Age of the oldest id in the lane.", lambda f: f.oldest_s),
    (
        "cancel_account_halted",
        "1: key, permission or clock was refused three times in a row.",
        lambda f: f.state is AccountState.HALTED,
    ),
    (
        "cancel_account_paused",
        "1: quiet after a throttled answer, a ban or a page in the way.",
        lambda f: f.state in _QUIET,
    ),
)


def serve(runtime: Runtime, address: tuple[str, int]) -> Metrics:
    """Serve the statistics of a worker at `http://address/metrics`; return their keeper.

    `/-/healthy` and `/-/ready` answer 200 or 503, as supervisors ask.

    Raises:
        OSError: the address cannot be listened on.
    """
    metrics = Metrics(runtime.settings.accounts.values())
    Gauge(
        "cancel_oldest_unconfirmed_seconds",
        "Age of the oldest outcome or other message that the broker has not confirmed.",
        registry=metrics.registry,
    ).set_function(lambda: runtime.unconfirmed_s(time.monotonic()))
    metrics.registry.register(Lanes(runtime))
    metrics.registry.register(Processes(runtime.processes()))
    host, port = address
    server, _ = start_http_server(port, host, metrics.registry)
    server.set_app(_with_health(server.get_app(), runtime.pulse))
    return metrics


def _with_health(figures: Any, pulse: Pulse) -> Any:
    asked = {"/-/healthy": pulse.is_healthy, "/-/ready": pulse.is_ready}

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        ask = asked.get(environ["PATH_INFO"])
        if ask is None:
            return figures(environ, start_response)
        good = ask(time.monotonic())
        status = "200 OK" if good else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"yes\n" if good else b"no\n"]

    return answer


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "other"
