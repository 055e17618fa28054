"""Publishes messages with publisher confirms, many in flight at once.

One thread owns one connection. A message that is not confirmed, because the connection broke or
the broker refused it, is published again until it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain, takewhile
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from amqp.exceptions import AMQPError
from kombu import Connection

from worker.amqp.buffered import corked, has_read_ahead

#: Messages in flight to the broker at once.
WINDOW = 1000
#: A broker that is silent for longer than this (seconds) is dead; reconnect.
#: The socket has the limit: to pass it with each read would take four system calls more.
CONFIRM_TIMEOUT_S = 15.0
_POLL_S = 1.0
#: Between what is published and its confirms others have the interpreter for so long (seconds):
#: their messages leave together then, and one confirm stands for several.
ROUND_S = 0.003
#: A worker that was told to stop waits at most this long (seconds) for the broker's confirm.
PATIENCE_S = 10.0
#: Short, so that messages of before a lost connection come before those that follow it.
_LONGEST_PAUSE_S = 0.5
#: At most this many characters of the broker's error are logged: they name what is missing.
_MOST_DETAIL = 200


class Unroutable(Exception):
    """A mandatory message reached no queue."""


class NotConfirmed(Exception):
    """The worker stops, and the broker did not confirm a message in time."""


class Refused(Exception):
    """A message cannot be written, or the broker closes the connection over it each time."""


#: What is thrown where a connection is lost, not where a message cannot be written.
_LOST = (AMQPError, OSError)


@dataclass(slots=True, eq=False)
class Publication:
    """A message to be published; `done` ends when the broker has confirmed it."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Mapping[str, Any]
    headers: Mapping[str, Any] = field(default_factory=dict)
    mandatory: bool = False
    done: Future[None] = field(default_factory=Future)
    #: The headers where the connection refuses those of a message's producer.
    bare: Mapping[str, Any] | None = None
    returned: bool = False
    posted_at: float = field(default_factory=time.monotonic)

    def confirm(self) -> None:
        """End it; a returned message is confirmed, too, and was Unroutable."""
        if self.returned:
            self.done.set_exception(Unroutable(self.routing_key))
        else:
            self.done.set_result(None)


class Unconfirmed:
    """The messages of one channel that the broker has not confirmed, by delivery tag."""

    def __init__(self) -> None:
        self._by_tag: dict[int, Publication] = {}
        self._last_tag = 0

    def __len__(self) -> int:
        return len(self._by_tag)

    def add(self, publication: Publication) -> int:
        """Count a message as published; return its delivery tag."""
        self._last_tag += 1
        self._by_tag[self._last_tag] = publication
        return self._last_tag

    def take(self, tag: int, *, multiple: bool) -> list[Publication]:
        """Return the messages of a tag, and with `multiple` of all tags before it."""
        if not multiple:
            publication = self._by_tag.pop(tag, None)
            return [publication] if publication else []
        known = list(takewhile(lambda known: known <= tag, self._by_tag))
        return [self._by_tag.pop(known) for known in known]

    def mark_returned(self, exchange: str, routing_key: str, message_id: str | None) -> None:
        """Note that a message came back; basic.return names no tag, and its confirm follows."""
        for publication in self._by_tag.values():
            if (publication.exchange, publication.routing_key) == (exchange, routing_key):
                publication.returned |= publication.properties.get("message_id") == message_id

    def oldest(self) -> Publication | None:
        """Return the message that waits longest."""
        return next(iter(self._by_tag.values()), None)

    def take_all(self) -> list[Publication]:
        """Return all messages, oldest first."""
        taken = list(self._by_tag.values())
        self._by_tag.clear()
        return taken


class Publisher:
    """Publishes from a thread of its own; `publish` may be called from any thread."""

    name = "publisher"

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._posted: SimpleQueue[Publication | None] = SimpleQueue()
        self._posted_at: dict[Future[None], float] = {}  # of all that are not done, in order
        self._waiting: deque[Publication] = deque()  # to be published, first or again
        self._unconfirmed = Unconfirmed()
        self._confirmed: list[Publication] = []
        self._open = True
        self._stopping = False
        self._heard_at = 0.0  # when the broker last confirmed a message
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def publish(self, publication: Publication) -> Future[None]:
        """Queue a message; return a future that ends when the broker confirms it.

        The future raises Unroutable, or NotConfirmed where the worker stops meanwhile.
        """
        self._posted_at[publication.done] = publication.posted_at
        publication.done.add_done_callback(self._posted_at.pop)
        self._posted.put(publication)
        return publication.done

    def waited_s(self, now: float) -> float:
        """Return for how long (seconds) the oldest message waits for the broker; 0: none does.

        Any thread may ask.
        """
        # A copy, as other threads add and remove meanwhile.
        return now - next(iter(list(self._posted_at.values())), now)

    def stop(self) -> None:
        """Go on, but wait at most `PATIENCE_S` for a broker that confirms nothing."""
        self._stopping = True

    def close(self, timeout_s: float = 10.0) -> None:
        """Publish what is left, for at most `timeout_s` seconds, and end the thread."""
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
                again = self._not_confirmed(self._unconfirmed.take_all(), error)
                self._waiting.extendleft(reversed(again))
                self._gather(block=False)
                time.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            if self._takes_nothing():
                self._give_up()

    def _serve(self, connection: Connection, channel: Any) -> None:
        self._unconfirmed = Unconfirmed()  # tags count from 1 in each channel
        confirms = connection.transport.driver_type == "amqp"
        if confirms:
            channel.confirm_select()
            channel.events["basic_ack"].add(self._on_ack)
            channel.events["basic_nack"].add(self._on_nack)
            channel.events["basic_return"].add(self._on_return)
        producer = connection.Producer(channel, auto_declare=False)
        while not self._takes_nothing() and self._has_work():
            self._gather(block=not self._unconfirmed)
            with corked(connection):
                while self._waiting and len(self._unconfirmed) < self._window():
                    self._try(producer, self._waiting.popleft(), confirms)
            try:
                if self._unconfirmed:
                    time.sleep(ROUND_S)
                    connection.drain_events()  # at most CONFIRM_TIMEOUT_S, its limit
                while has_read_ahead(connection):
                    connection.drain_events()
            finally:
                self._end_confirmed()

    def _has_work(self) -> bool:
        left = self._waiting or self._unconfirmed or not self._posted.empty()
        return self._open or bool(left)

    def _takes_nothing(self) -> bool:
        """Say whether a worker that stops has waited in vain for the broker."""
        oldest = self._unconfirmed.oldest() or next(iter(self._waiting), None)
        if not self._stopping or oldest is None:
            return False
        return time.monotonic() - max(oldest.posted_at, self._heard_at) > PATIENCE_S

    def _give_up(self) -> None:
        """End all futures: whoever waits keeps its own message, which the broker still has."""
        for publication in chain(self._unconfirmed.take_all(), self._waiting):
            publication.done.set_exception(NotConfirmed())
        self._waiting.clear()

    def _gather(self, *, block: bool) -> None:
        block = block and not self._waiting
        try:
            while (publication := self._posted.get(block, _POLL_S)) is not None:
                self._waiting.append(publication)
                block = False
        except Empty:
            pass

    def _window(self) -> int:
        """Return how many messages may be in flight."""
        return WINDOW

    def _not_confirmed(self, held: list[Publication], _error: Exception) -> list[Publication]:
        """Return what is published again of the messages of a connection that was lost."""
        return held

    def _refused(self, publication: Publication, error: Exception) -> None:
        """Give up a message that stands before all others."""
        why, detail = type(error).__name__, str(error)[:_MOST_DETAIL]
        self._log.error(
            "message_refused", exchange=publication.exchange, why=why, detail=detail
        )
        publication.done.set_exception(Refused(detail or why))

    def _try(self, producer: Any, publication: Publication, confirms: bool) -> None:
        """Send a message; one that cannot be written costs itself: nothing of it has left."""
        try:
            self._send(producer, publication, confirms)
        except _LOST:
            self._waiting.appendleft(publication)
            raise
        except Exception as error:  # noqa: BLE001 - too deep, too long, no such type
            self._refused(publication, error)

    def _send(self, producer: Any, publication: Publication, confirms: bool) -> None:
        producer.publish(
            publication.body,
            exchange=publication.exchange,
            routing_key=publication.routing_key,
            headers=dict(publication.headers),
            mandatory=publication.mandatory,
            delivery_mode=2,
            retry=False,
            # Without a content type kombu would serialize the bytes once more.
            **({"content_type": "application/octet-stream"} | dict(publication.properties)),
        )
        tag = self._unconfirmed.add(publication)
        if not confirms:
            self._on_ack(tag, multiple=False)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._heard_at = time.monotonic()
        self._confirmed += self._unconfirmed.take(tag, multiple=multiple)

    def _end_confirmed(self) -> None:
        """End those that are confirmed, together: each wakes who waits for it."""
        confirmed, self._confirmed = self._confirmed, []
        for publication in confirmed:
            publication.confirm()

    def _on_nack(self, tag: int, multiple: bool) -> None:
        refused = self._unconfirmed.take(tag, multiple=multiple)
        self._log.error("broker_refuses_messages", messages=len(refused))
        self._waiting.extend(refused)
        time.sleep(_POLL_S)

    def _on_return(self, _error: Any, exchange: str, routing_key: str, message: Any) -> None:
        self._unconfirmed.mark_returned(
            exchange, routing_key, message.properties.get("message_id")
        )
