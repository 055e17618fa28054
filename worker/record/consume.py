"""Takes receipts, outcomes and reports from their durable queue into the database; loses none
while either is away.

A batch is acknowledged after its transaction is committed. While the database is away the
broker's connection is closed, so that outcomes wait in the queue and not in this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from kombu import Connection, Consumer, Exchange, Queue, binding
from kombu.exceptions import KombuError

from worker.amqp.topology import (
    MANY_DELIVERIES,
    OUTCOMES_EXCHANGE,
    RECEIPTS_EXCHANGE,
    RECORD,
    REPORTS_EXCHANGE,
)
from worker.contract.outcome import utc_now
from worker.record.migrate import migrate
from worker.record.read import Message, Row, read, unreadable
from worker.record.store import DatabaseAway, Store

#: Messages of one transaction.
BATCH = 500
#: Messages here at once: the next batch arrives while one is written.
_PREFETCH = 2 * BATCH
#: A batch that is not full is written after this many seconds without another message.
_LINGER_S = 0.02
_POLL_S = 0.5
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_EXCHANGES = (OUTCOMES_EXCHANGE, RECEIPTS_EXCHANGE, REPORTS_EXCHANGE)


def record_queue(*, embedded: bool) -> Queue:
    """Return the queue in which receipts, outcomes and reports wait for the record."""
    # RabbitMQ 4 drops a message that came back 20 times; a database may be away more often.
    safe = {"x-queue-type": "quorum", "x-delivery-limit": MANY_DELIVERIES}
    bound = [binding(exchange, routing_key="#") for exchange in _EXCHANGES]
    return Queue(RECORD, bindings=bound, queue_arguments={} if embedded else safe)


class Recorder:
    """Writes every receipt, outcome and report into the database until it is stopped."""

    def __init__(
        self, store: Store, connect: Callable[[], Connection], stop: threading.Event
    ) -> None:
        self._store = store
        self._connect = connect
        self._stop = stop
        self._inbox: list[Any] = []
        self._log = structlog.get_logger().bind(record=store.where)
        self.written = 0

    def run(self) -> None:
        """Record until stopped; wait for a broker or a database that is away."""
        pause_s = _SHORTEST_PAUSE_S
        self._store_when_there(lambda: migrate(self._store))
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self._serve(connection)
                pause_s = _SHORTEST_PAUSE_S
            except DatabaseAway as error:
                self._log.warning("database_away", why=str(error))
                self._store_when_there(self._store.answers)
            except (KombuError, OSError, *_library_errors(self._connect)) as error:
                self._log.warning("broker_away", why=_why(error))
                self._stop.wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
            self._inbox.clear()

    def _store_when_there(self, action: Callable[[], None]) -> None:
        pause_s = _SHORTEST_PAUSE_S
        while not self._stop.is_set():
            try:
                action()
            except DatabaseAway as error:
                self._log.warning("database_away", why=str(error), next_try_s=pause_s)
                self._stop.wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
            else:
                self._log.info("database_there")
                return

    def _serve(self, connection: Connection) -> None:
        connection.ensure_connection(max_retries=1, interval_start=0.2)
        channel = connection.channel()
        channel.basic_qos(0, _PREFETCH, False)
        embedded = connection.transport.driver_type != "amqp"
        queue = record_queue(embedded=embedded)(channel)
        for exchange in _EXCHANGES:
            _find(exchange, connection)
        queue.queue_declare()
        for each in queue.bindings:
            each.bind(queue)
        consumer = Consumer(channel, [queue], auto_declare=False, on_message=self._inbox.append)
        consumer.consume()
        self._log.info("recording", queue=RECORD, exchanges=[e.name for e in _EXCHANGES])
        while not self._stop.is_set():
            self._gather(connection)
            self._settle()

    def _gather(self, connection: Connection) -> None:
        """Wait for a message, then for those that are close behind it."""
        wait_s = _POLL_S
        while len(self._inbox) < BATCH:
            try:
                connection.drain_events(timeout=wait_s)
            except TimeoutError:
                return
            finally:
                connection.heartbeat_check()
            wait_s = _LINGER_S

    def _settle(self) -> None:
        batch, self._inbox[:] = self._inbox[:BATCH], self._inbox[BATCH:]
        if not batch:
            return
        messages = [_message(found) for found in batch]
        self._write(messages, [read(message, utc_now()) for message in messages])
        for found in batch:
            found.ack()
        self.written += len(batch)

    def _write(self, messages: Sequence[Message], rows: Sequence[Row]) -> None:
        try:
            self._store.write(rows)
        except ValueError:
            for message, row in zip(messages, rows, strict=True):
                self._write_one(message, row)

    def _write_one(self, message: Message, row: Row) -> None:
        """Write a row; keep a message that the database refuses as it came."""
        try:
            self._store.write([row])
        except ValueError as error:
            self._log.error("outcome_refused", why=str(error), routing_key=message.routing_key)
            self._store.write([unreadable(message, str(error), utc_now())])


def _find(exchange: Exchange, connection: Connection) -> None:
    """Declare an exchange only if it is missing: that needs the right to delete it, too."""
    try:
        with connection.channel() as channel:
            exchange(channel).declare(passive=True)
    except connection.channel_errors:
        with connection.channel() as channel:
            exchange(channel).declare()


def _library_errors(connect: Callable[[], Connection]) -> tuple[type[BaseException], ...]:
    """Return what the transport's own library raises when the broker goes away."""
    connection = connect()
    return (*connection.connection_errors, *connection.channel_errors)


def _message(found: Any) -> Message:
    body = found.body
    raw = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    info = found.delivery_info
    return Message(raw, info.get("routing_key", ""), info.get("exchange", ""))


def _why(error: BaseException) -> str:
    text = str(error)
    return text.splitlines()[0] if text else type(error).__name__
