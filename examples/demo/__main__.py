"""Plays the demo: `python -m examples.demo`, which exits with 0 if every status is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Queue
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from examples.demo.scene import Desk, desks
from examples.demo.truth import is_true
from venues.sandbox.client import BookOrder, SandboxClient, start_sandbox
from venues.words import Priority
from worker.amqp import embedded as folders
from worker.amqp.topology import JOBS, OUTCOMES, is_embedded, routing_key

#: Everything must be answered by then, in seconds.
PATIENCE_S = 18.0
_WORKER_START_S = 10.0
#: Columns where there is no terminal to ask.
WIDTH = 140
_COLORS = {"canceled": "green", "filled": "yellow", "rejected": "magenta"}
Outcome = Mapping[str, Any]


def main() -> int:
    """Play the demo and return its exit code."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with (
        tempfile.TemporaryDirectory(prefix="cancel-demo-") as folder,
        start_sandbox() as sandbox,
    ):
        broker_url = os.environ.get("CELERY_BROKER_URL") or f"filesystem://{folder}/broker"
        kind = "the embedded broker" if is_embedded(broker_url) else "RabbitMQ"
        scene = desks()
        _furnish(sandbox, scene)
        log = Path(folder) / "worker.log"
        with _worker(_environment(sandbox, scene, Path(folder), broker_url), log):
            console.print(f"Sandbox venues at {sandbox.url}, a worker over {kind}.")
            outcomes = _play(broker_url, scene, console)
        return _judge(console, scene, outcomes, sandbox.book(), log)


def _furnish(sandbox: SandboxClient, scene: Sequence[Desk]) -> None:
    sandbox.settings({"rtt_ms": 30, "jitter_ms": 10})
    for desk in scene:
        sandbox.add_account(desk.venue, desk.api_key, desk.api_secret)
        sandbox.seed(desk.orders)
        if desk.fault:
            sandbox.fault(api_key=desk.api_key, venue=desk.venue, **desk.fault)


def _environment(
    sandbox: SandboxClient, scene: Sequence[Desk], folder: Path, broker_url: str
) -> dict[str, str]:
    lines: list[str] = []
    secrets: dict[str, str] = {}
    for number, desk in enumerate(scene):
        parts = {"api_key": desk.api_key, "api_secret": desk.api_secret, **desk.parts}
        names = {part: f"DEMO_{part.upper()}_{number}" for part in parts}
        secrets |= {names[part]: value for part, value in parts.items()}
        lines += [
            f"[accounts.{desk.account}]",
            f'venue = "{desk.venue}"',
            f'base_url = "{sandbox.url}"',
            *(f'{part}_env = "{name}"' for part, name in names.items()),
            *(f'options.{name} = "{value}"' for name, value in desk.options.items()),
        ]
    path = folder / "cancel.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    own = {"CANCEL_CONFIG": str(path), "CANCEL_LOG": "json", "CELERY_BROKER_URL": broker_url}
    return {**os.environ, **secrets, **own}


@contextmanager
def _worker(environment: Mapping[str, str], log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", "demo@%h"]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT
        )
        try:
            _await_start(process, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_start(process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _WORKER_START_S
    while '"worker_started"' not in log.read_text(encoding="utf-8"):
        if process.poll() is not None or time.monotonic() > give_up:
            sys.exit(f"the worker did not start:\n{log.read_text(encoding='utf-8')[-1000:]}")
        time.sleep(0.02)


def _play(broker_url: str, scene: Sequence[Desk], console: Console) -> list[Outcome]:
    """Send the jobs and collect the outcomes as they come."""
    options = folders.options(broker_url) if folders.is_folder(broker_url) else {}
    outcomes: list[Outcome] = []
    with Connection(broker_url, transport_options=options, connect_timeout=5) as connection:
        channel = connection.channel()
        inbox = Queue(
            f"demo-{os.getpid()}", Exchange(OUTCOMES, type="topic"), "#", auto_delete=True
        )
        bound = inbox(channel)
        bound.declare()
        consumer = connection.Consumer([bound], channel=channel, no_ack=True, accept=["json"])
        consumer.register_callback(lambda body, _message: outcomes.append(body))
        consumer.consume()
        _send(connection, scene)
        _collect(connection, outcomes, _ids(scene), console)
    return outcomes


def _send(connection: Connection, scene: Sequence[Desk]) -> None:
    producer = connection.Producer()
    for desk in scene:
        for priority, job in desk.jobs:
            producer.publish(
                json.dumps(job),
                exchange=JOBS,
                routing_key=routing_key(Priority(priority), desk.account),
                content_type="application/json",
                content_encoding="utf-8",
            )


def _ids(scene: Sequence[Desk]) -> int:
    return sum(len(job["orders"]) for desk in scene for _, job in desk.jobs)


def _collect(
    connection: Connection, outcomes: list[Outcome], expected: int, console: Console
) -> None:
    give_up = time.monotonic() + PATIENCE_S
    columns = ("Canceling", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("ids", total=expected)
        while len(outcomes) < expected and time.monotonic() < give_up:
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue
            finally:
                progress.update(bar, completed=len(outcomes))


def _judge(
    console: Console,
    scene: Sequence[Desk],
    outcomes: Sequence[Outcome],
    book: Sequence[BookOrder],
    log: Path,
) -> int:
    states: dict[tuple[str, str], str] = {}
    accounts = {desk.api_key: desk.account for desk in scene}
    for order in book:
        states[accounts[order.api_key], order.id] = order.state
        if order.client_order_id:
            states[accounts[order.api_key], order.client_order_id] = order.state
    told = [(o, states.get((o["account"], o["id"]))) for o in outcomes]
    console.print(table_of(scene, told))
    false = sum(not is_true(o["status"], state) for o, state in told)
    missing = _ids(scene) - len({(o["job_id"], o["id"]) for o in outcomes})
    requests, throttled = _counts(log)
    console.print(
        f"{len(told)} ids at {len({desk.venue for desk in scene})} venues, {requests} venue "
        f"requests, {throttled} throttled answer(s): {false} false, {missing} missing."
    )
    return 0 if false == missing == 0 else 1


def _counts(log: Path) -> tuple[int, int]:
    text = log.read_text(encoding="utf-8")
    return text.count('"event": "venue_request"'), text.count('"event": "venue_throttled"')


def table_of(scene: Sequence[Desk], told: Sequence[tuple[Outcome, str | None]]) -> Table:
    """Return a row for all ids of an account that ended alike."""
    alike: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome, state in told:
        status = outcome["status"]
        said = (status, outcome["reason"], outcome["evidence"], state or "-")
        key = (outcome["account"], *said, "ok" if is_true(status, state) else "[red]FALSE[/]")
        alike.setdefault(key, []).append(outcome)
    table = Table()
    for name in (
        "venue",
        "account",
        "ids",
        "the first",
        "status",
        "reason",
        "proof",
        "book",
        "",
    ):
        # On a narrow terminal ids are cut, and nothing else.
        table.add_column(name, no_wrap=name != "the first", overflow="ellipsis")
    for desk in scene:
        rows = sorted((key, same) for key, same in alike.items() if key[0] == desk.account)
        for (account, status, *more), same in rows:
            first, color = min(outcome["id"] for outcome in same), _COLORS.get(status, "cyan")
            head = (desk.venue, account, str(len(same)), first, f"[{color}]{status}[/]")
            table.add_row(*head, *more)
    return table


if __name__ == "__main__":
    sys.exit(main())
