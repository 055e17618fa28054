"""Cases of the alternatives, over the same sandbox with the same limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import amqp

from tests.bench.bounds import RTT_S, even_s
from tests.bench.figure import Figure, Findings, Point
from tests.bench.peers import fair, loop
from tests.bench.stage import Stage, time_to_cancel_s
from tests.support.worker import ROOT
from venues.sandbox.client import VenueRequest

_PATIENCE_S = 150.0


def per_id(stage: Stage, ids: int) -> Findings:
    """A Celery task per id."""
    case = f"per-id-{ids}"
    orders = _furnish(stage, case, ids)
    # Celery as it comes, with its prefork pool.
    with _peer_worker(stage, case, "per_id", ["-c", "8"]) as (_, env):
        command = "import sys; from tests.bench.peers.per_id import cancel_order as c\n"
        command += "for order in sys.argv[1:]: c.delay(order)"
        subprocess.run([sys.executable, "-c", command, *orders], env=env, cwd=ROOT, check=True)
        _await_canceled(stage, case, ids)
    return _findings(stage, case, "a Celery task per id", ids)


def chunks(stage: Stage, ids: int) -> Findings:
    """A loop over chunks with a sleep."""
    case = f"loop-{ids}"
    orders = _furnish(stage, case, ids)
    loop.cancel_orders(stage.box.url, f"key-{case}", f"secret-{case}", orders)
    return _findings(stage, case, "a loop with a sleep", ids)


def bare(stage: Stage, names: Sequence[str], ids: int) -> float:
    """Return how long the bare requests take that list and cancel so many ids of accounts.

    From the first request to the last cancel's response, as for the worker. By as many
    processes as there are cores, as their interpreter is what a single one would wait for.
    """
    for name in names:
        stage.orders(name, ids)
    parts = min(len(names), os.cpu_count() or 1)
    command = [sys.executable, "-m", "tests.bench.peers.bare", stage.box.url]
    running = [
        subprocess.Popen(
            [*command, *names[part::parts]],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(parts)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    stage.box.clear_requests()
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
    for process in running:
        process.wait(_PATIENCE_S)
    if left := sum(stage.resting(name) for name in names):
        raise RuntimeError(f"the bare loop left {left} orders")
    requests = stage.box.requests()
    return time_to_cancel_s(sorted(requests, key=lambda request: request.received_s))


def _furnish(stage: Stage, case: str, ids: int) -> Sequence[str]:
    stage.box.add_account("coinw", f"key-{case}", f"secret-{case}")
    return stage.orders(case, ids)


@contextmanager
def fair_worker(stage: Stage, account: str) -> Iterator[int]:
    """Run Celery with a pool of threads for `peers.fair`; give its id when it is ready."""
    options = ["-P", "threads", "-c", str(fair.THREADS), "-l", "warning"]
    with _peer_worker(stage, account, "fair", options) as (pid, _):
        log = stage.folder / f"{account}.log"
        give_up = time.monotonic() + _PATIENCE_S
        while b'"ready"' not in log.read_bytes():
            if time.monotonic() > give_up:
                raise RuntimeError(f"the peer did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield pid


def fair_tasks(orders: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the messages of a task for each order, as `delay` would publish them."""
    made = []
    for order in orders:
        task = fair.app.amqp.as_task_v2(str(uuid4()), fair.cancel_order.name, [order])
        message = amqp.Message(
            json.dumps(task.body),
            content_type="application/json",
            content_encoding="utf-8",
            application_headers=task.headers,
            delivery_mode=2,
            **task.properties,
        )
        made.append((fair.app.conf.task_default_queue, message))
    return made


@contextmanager
def _peer_worker(
    stage: Stage, account: str, peer: str, options: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Run Celery for a peer, in an environment of its own."""
    own = {"PEER_BROKER": stage.url, "PEER_URL": stage.box.url, "PEER_ACCOUNT": account}
    own |= {"PEER_KEY": f"key-{account}", "PEER_SECRET": f"secret-{account}"}
    env = {**os.environ, **own}
    command = [sys.executable, "-m", "celery", "-A", f"tests.bench.peers.{peer}", "worker"]
    with (stage.folder / f"{account}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], env=env, cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield process.pid, env
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_canceled(stage: Stage, case: str, ids: int) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while sum(r.outcome == "ok" for r in stage.requests(case)) < ids:
        if time.monotonic() > give_up:
            raise RuntimeError(f"{case}: not canceled within {_PATIENCE_S:g} s")
        time.sleep(0.2)


def _findings(stage: Stage, case: str, who: str, ids: int) -> Findings:
    requests = stage.requests(case)
    took_s = time_to_cancel_s(requests)
    note = f"{len(requests)} requests; no look-up, so no proof of anything"
    return Findings(
        [
            Figure(case=case, name=f"time to cancel by {who}", value=took_s, unit="s",
                   bound=even_s(ids), note=note),
            Figure(case=case, name="throttled answers", value=stage.throttled([case]),
                   unit="answers"),
        ],
        [Point(who, count, _first_s(requests, count)) for count in (ids // 4, ids // 2, ids)],
    )  # fmt: skip


def _first_s(requests: Sequence[VenueRequest], ids: int) -> float:
    """Return when so many ids were canceled, in seconds after the first request."""
    canceled = 0
    for request in requests:
        canceled += request.ids_count if request.outcome == "ok" else 0
        if canceled >= ids:
            return request.at_s + RTT_S / 2 - requests[0].received_s
    raise ValueError(f"fewer than {ids} ids were canceled")
