"""Publishes messages with the broker's confirmation, many in flight at once, without end.

One thread owns one connection. What is not confirmed, because the connection broke or the
broker refused, is published again until it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from kombu import Connection

from worker.amqp.buffered import in_one_piece

#: Messages under way to the broker at once.
WINDOW = 1000
#: A broker that says nothing for so long is taken for dead, and dialed again. The connection
#: knows it, as it would take four calls of the system to say it each time.
CONFIRM_TIMEOUT_S = 15.0
_POLL_S = 1.0
#: A worker that was told to stop waits so long for the broker to take a message, no longer.
PATIENCE_S = 10.0
#: Short, so that what was posted before a connection broke comes before what is told after it.
_LONGEST_PAUSE_S = 0.5
#: Characters of the broker's own words that are logged: they name what is missing.
_MOST_DETAIL = 200


class Unroutable(Exception):
    """A message that had to reach a queue reached none."""


class NotConfirmed(Exception):
    """The worker stops, and the broker did not take a message in time."""


@dataclass(slots=True, eq=False)
class Letter:
    """A message on its way out; `done` is set when the broker has it for good."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Mapping[str, Any]
    headers: Mapping[str, Any] = field(default_factory=dict)
    mandatory: bool = False
    done: Future[None] = field(default_factory=Future)
    returned: bool = False
    posted_at: float = field(default_factory=time.monotonic)


class Publisher:
    """The way out. `post` may be called from any thread; `close` waits for what is posted."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._posted: SimpleQueue[Letter | None] = SimpleQueue()
        self._waiting: deque[Letter] = deque()  # posted, or to be published again
        self._unconfirmed: dict[int, Letter] = {}
        self._tag = 0
        self._open = True
        self._stopping = False
        self._heard_at = 0.0  # when the broker confirmed something
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def post(self, letter: Letter) -> Future[None]:
        """Queue a message; the future ends when it is confirmed.

        It raises Unroutable, or NotConfirmed where the worker stops meanwhile.
        """
        self._posted.put(letter)
        return letter.done

    def stop(self) -> None:
        """Go on, but have nobody wait long for a broker that takes nothing."""
        self._stopping = True

    def close(self, timeout_s: float = 10.0) -> None:
        """Publish what is left, for at most `timeout_s` seconds, and end."""
        self._open = False
        self._posted.put(None)
        self._thread.join(timeout_s)

    # -- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = 0.1
        while self._has_work():
            try:
                with self._connect() as connection:
                    self._serve(connection, connection.channel())
                pause_s = 0.1
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be lost
                why, detail = type(error).__name__, str(error)[:_MOST_DETAIL]
                self._log.warning("publisher_reconnects", why=why, detail=detail)
                self._waiting.extendleft(reversed(self._unconfirmed.values()))
                self._unconfirmed.clear()
                self._gather(block=False)
                time.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            if self._takes_nothing():
                self._give_up()

    def _serve(self, connection: Connection, channel: Any) -> None:
        self._tag = 0
        confirms = connection.transport.driver_type == "amqp"
        if confirms:
            channel.confirm_select()
            channel.events["basic_ack"].add(self._on_ack)
            channel.events["basic_nack"].add(self._on_nack)
            channel.events["basic_return"].add(self._on_return)
        producer = connection.Producer(channel, auto_declare=False)
        while not self._takes_nothing() and self._has_work():
            self._gather(block=not self._unconfirmed)
            with in_one_piece(connection):
                while self._waiting and len(self._unconfirmed) < WINDOW:
                    self._publish(producer, self._waiting.popleft(), confirms)
            if self._unconfirmed:
                connection.drain_events()  # for as long as the connection waits for anything

    def _has_work(self) -> bool:
        left = self._waiting or self._unconfirmed or not self._posted.empty()
        return self._open or bool(left)

    def _takes_nothing(self) -> bool:
        """Say whether a worker that stops has waited in vain for the broker."""
        oldest = next(chain(self._unconfirmed.values(), self._waiting), None)
        if not self._stopping or oldest is None:
            return False
        return time.monotonic() - max(oldest.posted_at, self._heard_at) > PATIENCE_S

    def _give_up(self) -> None:
        """Tell all who wait: they keep what the broker gave them, and it has that still."""
        for letter in chain(self._unconfirmed.values(), self._waiting):
            letter.done.set_exception(NotConfirmed())
        self._unconfirmed.clear()
        self._waiting.clear()

    def _gather(self, *, block: bool) -> None:
        block = block and not self._waiting
        try:
            while (letter := self._posted.get(block, _POLL_S)) is not None:
                self._waiting.append(letter)
                block = False
        except Empty:
            pass

    def _publish(self, producer: Any, letter: Letter, confirms: bool) -> None:
        self._tag += 1
        self._unconfirmed[self._tag] = letter
        producer.publish(
            letter.body,
            exchange=letter.exchange,
            routing_key=letter.routing_key,
            headers=dict(letter.headers),
            mandatory=letter.mandatory,
            delivery_mode=2,
            retry=False,
            # Named, or kombu would serialise the bytes once more.
            **({"content_type": "application/octet-stream"} | dict(letter.properties)),
        )
        if not confirms:
            self._on_ack(self._tag, multiple=False)

    def _settled(self, tag: int, multiple: bool) -> list[Letter]:
        """Return the messages that the broker speaks of; a tag may stand for all before."""
        if not multiple:
            letter = self._unconfirmed.pop(tag, None)
            return [letter] if letter else []
        known = [known for known in self._unconfirmed if known <= tag]
        return [self._unconfirmed.pop(known) for known in known]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._heard_at = time.monotonic()
        for letter in self._settled(tag, multiple):
            if letter.returned:
                letter.done.set_exception(Unroutable(letter.routing_key))
            else:
                letter.done.set_result(None)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        refused = self._settled(tag, multiple)
        self._log.error("broker_refuses_messages", messages=len(refused))
        self._waiting.extend(refused)
        time.sleep(_POLL_S)

    def _on_return(self, _error: Any, exchange: str, routing_key: str, message: Any) -> None:
        """A returned message is named by its id; its confirmation follows."""
        message_id = message.properties.get("message_id")
        for letter in self._unconfirmed.values():
            if letter.routing_key == routing_key and letter.exchange == exchange:
                letter.returned |= letter.properties.get("message_id") == message_id
