"""The command line's connection to the broker: short, confirmed, and with clear errors."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import amqp
import typer
from kombu import Connection, Consumer, Queue
from kombu.exceptions import KombuError
from pydantic import BaseModel, ValidationError

from worker.amqp import embedded as folder
from worker.amqp import topology
from worker.amqp.advice import advice
from worker.amqp.connection import HardenedConnection
from worker.amqp.forwarder import TooLarge, must_fit
from worker.cli.output import Problem
from worker.contract.outcome import OutcomeMessage
from worker.contract.report import ReportMessage
from worker.settings import ConfigError, broker_tls, broker_url, environment

#: How long the broker may take to answer, in seconds.
TIMEOUT_S = 5.0
#: A lost connection is noticed within two of these (seconds).
_HEARTBEAT_S = 30
#: An interrupt takes effect within this time (seconds).
_POLL_S = 0.1

BrokerTimeout = Annotated[
    float, typer.Option("--broker-timeout", min=0.1, help="Seconds to wait for the broker.")
]


class Unwritable(Exception):
    """Headers are too large for a frame, or nested too deeply."""


@contextmanager
def broker(timeout_s: float = TIMEOUT_S) -> Iterator[Connection]:
    """Connect to the broker of the environment for the length of a `with` block.

    Raises:
        Problem: it cannot be reached, refuses, or goes away meanwhile.
    """
    connection = open_connection(broker_address(), timeout_s)
    try:
        with _told_to_people(connection):
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=timeout_s)
            yield connection
    except KeyboardInterrupt:
        raise  # it may have cut a frame in two, of which a goodbye would wait for the rest
    except BaseException:
        _release(connection)
        raise
    _release(connection)


@contextmanager
def _told_to_people(connection: Connection) -> Iterator[None]:
    try:
        yield
    except amqp.NotFound as error:
        raise Problem(f"{_why(error)}; start a worker, which declares it", 69) from None
    except amqp.AccessRefused as error:
        raise Problem(
            f"{_where(connection)}: {_why(error)}; grant it or change the user", 69
        ) from None
    except (KombuError, amqp.AMQPError, OSError) as error:
        why = _why(error)
        line = f"{_where(connection)}: the broker cannot be used ({why}); {advice(why)}"
        raise Problem(line, os.EX_UNAVAILABLE) from None


def broker_address() -> str:
    """Return the broker's address of the environment.

    Raises:
        Problem: the environment says something of the broker that cannot be.
    """
    try:
        broker_tls(environment())
        return broker_url(environment())
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None


def open_connection(url: str, timeout_s: float) -> Connection:
    """Return a connection that confirms each message; it connects when it is used."""
    embedded = folder.is_folder(url)
    options = folder.options(url) if embedded else {"confirm_publish": True}
    return HardenedConnection(
        url, connect_timeout=timeout_s, heartbeat=_HEARTBEAT_S, transport_options=options
    )


def _release(connection: Connection) -> None:
    with suppress(KombuError, amqp.AMQPError, OSError):  # it may be gone already
        connection.release()


def _where(connection: Connection) -> str:
    return str(connection.as_uri())


def _why(error: BaseException) -> str:
    text = str(getattr(error, "reply_text", "") or error)
    return text.splitlines()[0] if text else type(error).__name__


def is_embedded(connection: Connection) -> bool:
    """Say whether the connection is to the embedded broker."""
    return bool(connection.transport.driver_type != "amqp")


def publish(
    connection: Connection,
    key: str,
    body: bytes,
    properties: Mapping[str, Any],
    headers: Mapping[str, Any],
    timeout_s: float,
    exchange: str = topology.JOBS,
) -> None:
    """Publish a message; return when the broker has it in a queue.

    Raises:
        Problem: no queue takes the message.
        Unwritable: the connection cannot carry its headers; nothing has left.
    """
    returned: list[Any] = []
    with connection.channel() as channel:
        if is_embedded(connection):
            if not routed(connection, key):
                raise _no_queue(key)
        else:
            channel.events["basic_return"].add(lambda *what: returned.append(what))
        # By hand: a producer of kombu would add a content encoding that was not there.
        kept = dict(properties) | {"delivery_mode": 2}
        kind, encoding = kept.pop("content_type", None), kept.pop("content_encoding", None)
        message = channel.prepare_message(body, None, kind, encoding, dict(headers), kept)
        limits = {} if is_embedded(connection) else {"confirm_timeout": timeout_s}
        if not is_embedded(connection):
            _must_be_writable(message, connection)
        channel.basic_publish(message, exchange, key, mandatory=True, **limits)
    if returned:
        raise _no_queue(key or exchange)


def _must_be_writable(message: Any, connection: Connection) -> None:
    try:
        must_fit(message, connection)
    except (TooLarge, RecursionError):  # nested more deeply than can be written
        raise Unwritable from None


def routed(connection: Connection, key: str) -> bool:
    """Say whether a queue of the embedded broker takes a key; else it drops the message."""
    topology.declare(connection, (), embedded=True)
    with connection.channel() as channel:
        table = channel.get_table(topology.JOBS)
        return bool(channel.typeof(topology.JOBS).lookup(table, topology.JOBS, key, None))


def queue_size(connection: Connection, name: str) -> tuple[int, int] | None:
    """Return messages and consumers of a queue; None if there is no such queue.

    RabbitMQ tells them to every user; from 4.2.6 on only to one who has a right to the queue,
    whichever it is.
    """
    with connection.channel() as channel:
        try:
            _, messages, consumers = channel.queue_declare(name, passive=True)
        except amqp.NotFound as error:
            if "no queue" not in str(error.reply_text):
                raise  # it is there, but its node is not
            return None
    return messages, consumers


def _no_queue(key: str) -> Problem:
    return Problem(f"no queue takes {key!r}; check the account's name and start a worker", 69)


#: What comes from each exchange, by its contract; whatever it is else is left out.
_MESSAGES: Mapping[str, type[BaseModel]] = {
    topology.OUTCOMES: OutcomeMessage,
    topology.REPORTS: ReportMessage,
}


class Listener:
    """A queue of this command's own on one or more exchanges, from the moment it is made."""

    def __init__(
        self,
        connection: Connection,
        keys: Mapping[str, Sequence[str]],
        interrupted: threading.Event,
    ) -> None:
        self._connection = connection
        self._interrupted = interrupted
        if is_embedded(connection):
            topology.declare(connection, (), embedded=True)
        self._channel = connection.channel()
        # Bound, not declared: a user who may only read need not be allowed to configure it.
        queue = Queue("", durable=False, exclusive=True, auto_delete=True)(self._channel)
        queue.queue_declare()  # the broker names it
        self._name = queue.name
        for exchange, key in ((name, key) for name, each in keys.items() for key in each):
            queue.bind_to(exchange, routing_key=key)
        self._inbox: deque[dict[str, Any]] = deque()
        self._consumer = Consumer(
            self._channel, [queue], no_ack=True, auto_declare=False, on_message=self._take
        )
        self._consumer.consume()

    def _take(self, message: Any) -> None:
        with suppress(ValidationError, KeyError):
            model = _MESSAGES[message.delivery_info["exchange"]]
            model.model_validate_json(message.body)
            self._inbox.append(json.loads(message.body))

    def messages(self, until: float) -> Iterator[dict[str, Any]]:
        """Yield outcomes and reports as they come, until the monotonic time `until`.

        A report has a `result`, an outcome a `status`.

        Raises:
            Abort: somebody interrupts.
        """
        while not self._interrupted.is_set():
            while self._inbox:
                yield self._inbox.popleft()
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            self._drain(min(left_s, _POLL_S))
        raise typer.Abort

    def _drain(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=timeout_s)
        self._connection.heartbeat_check()

    def close(self) -> None:
        """Delete the queue; RabbitMQ does so by itself, the embedded broker does not."""
        self._channel.queue_delete(self._name)


@contextmanager
def listening(
    connection: Connection, keys: Sequence[str], reports: Sequence[str] = ()
) -> Iterator[Listener]:
    """Listen on `cancel.outcomes`, and for `reports`, for the length of a `with` block."""
    with _interrupt_noted() as interrupted:
        bound = {topology.OUTCOMES: keys, topology.REPORTS: reports}
        listener = Listener(connection, bound, interrupted)
        try:
            yield listener
        finally:
            if is_embedded(connection):
                listener.close()


@contextmanager
def _interrupt_noted() -> Iterator[threading.Event]:
    """Only note the first interrupt: raised at any moment, it would cut a frame in two.

    A second one is raised as usual; where interrupts are ignored, as in a script's background
    job, they stay ignored.
    """
    noted = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
