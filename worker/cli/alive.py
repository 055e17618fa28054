"""`cancel-worker alive`: heartbeats of a producer, for an account with a dead man's switch."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from kombu import Connection

from venues.words import Priority
from worker.amqp import topology
from worker.cli.broker import (
    TIMEOUT_S,
    BrokerTimeout,
    broker,
    is_embedded,
    publish,
    queue_size,
)
from worker.cli.job_draft import now
from worker.cli.output import Output, Problem
from worker.contract.heartbeat import PRODUCER, HeartbeatMessage

_USAGE = 2
#: A signal takes effect within this time (seconds).
_POLL_S = 0.1

Account = Annotated[str, typer.Argument(help="Name in the accounts file.")]
Name = Annotated[str, typer.Option(help="The producer's name, the same after a restart.")]
Every = Annotated[float, typer.Option(min=0.1, max=1200, help="Seconds between heartbeats.")]
Bye = Annotated[bool, typer.Option("--bye", help="Only sign off a producer that has ended.")]


def alive(
    account: Account,
    *,
    name: Name,
    every: Every = 5.0,
    bye: Bye = False,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
) -> None:
    """Say that a producer lives, until SIGINT or SIGTERM; then sign off.

    Once a producer has begun, its silence for the account's `dead_man` cancels all its orders.
    """
    output = Output()
    if not re.fullmatch(PRODUCER, name):
        raise Problem(
            f"--name: {name!r} is no name; letters, digits, . _ -, at most 64", _USAGE
        )
    with _signals_noted() as ended, broker(broker_timeout) as connection:
        _check_watched(connection, account, output)
        if not bye:
            output.note(f"{name} is alive for {account}; Ctrl-C signs it off")
        while not bye and not ended.is_set():
            _say(connection, account, HeartbeatMessage(producer=name), broker_timeout)
            _wait(connection, ended, every)
        _say(connection, account, HeartbeatMessage(producer=name, bye=True), broker_timeout)
        output.note(f"{name} has signed off")


def _check_watched(connection: Connection, account: str, output: Output) -> None:
    size = None
    if not is_embedded(connection):
        size = queue_size(connection, topology.heartbeat_stream_name(account))
    if size is None:
        mend = "set it in the accounts file and start a worker"
        raise Problem(f"{account!r} has no dead_man at this broker; {mend}", _USAGE)
    # Of a stream the broker counts no consumers.
    lane = queue_size(connection, topology.lane_queue_name(account, Priority.KILL))
    if lane is None or not lane[1]:
        output.note(f"no worker watches {account} now; the next one knows who had begun")


def _say(
    connection: Connection, account: str, heartbeat: HeartbeatMessage, timeout_s: float
) -> None:
    body = heartbeat.model_dump_json(exclude_defaults=True).encode()
    stated = int(now().timestamp())
    properties = {"content_type": "application/json", "timestamp": stated}
    publish(connection, topology.heartbeat_key(account), body, properties, {}, timeout_s)


def _wait(connection: Connection, ended: threading.Event, for_s: float) -> None:
    until = time.monotonic() + for_s
    while not ended.is_set() and (left_s := until - time.monotonic()) > 0:
        with suppress(TimeoutError):
            connection.drain_events(timeout=min(left_s, _POLL_S))
        connection.heartbeat_check()


@contextmanager
def _signals_noted() -> Iterator[threading.Event]:
    """Only note what ends it: raised at any moment, it would cut a frame in two."""
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN  # as in a script's background job
    }
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
