"""Follows the stream of pauses: first all that it holds, then what comes.

Over a connection and in a thread of its own: whatever is wrong with this one queue, no kill may
wait for it (docs/decisions/0044).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from kombu import Connection

from worker.amqp.topology import PAUSES

#: A stream demands a prefetch count.
_PREFETCH = 1000
_ACK_EVERY = 250
#: So often (seconds) somebody who follows looks whether to go on, and sees to heartbeats.
_POLL_S = 1.0
#: A connection that was cut without a word is noticed within two of these (seconds).
_HEARTBEAT_S = 5
#: What a message takes of the stream beside its body, about.
MESSAGE_BYTES = 200
#: A stream that cannot be followed is tried again after so long (seconds).
_AGAIN_S = 1.0


class StreamMessage(NamedTuple):
    """A message of the stream; one without a body is a mark of somebody who reads."""

    end: int  # where it ends: so many bytes of the stream, about, since this reading began
    body: bytes
    message_id: str = ""
    user_id: str = ""  # as the broker checked it
    headers: Mapping[str, Any] = {}


#: Takes messages in their order; `anew`: all words that the stream holds, and a mark.
Take = Callable[[Sequence[StreamMessage], bool], None]


class PauseStream:
    """Follows the stream until it is closed; `take` is called by one thread at a time."""

    def __init__(self, connect: Callable[[], Connection], take: Take) -> None:
        self._connect = connect
        self._take = take
        self._turn = threading.Lock()
        self._newest = 0  # only who began last may say what the stream holds
        self._log = structlog.get_logger()

    def read_anew(self, timeout_s: float) -> bool:
        """Read it from its start over a new connection, and follow it from then on.

        Say whether all that was published before this call is taken within the time-out; if
        not, it will be as soon as it can.
        """
        with self._turn:
            self._newest += 1
            number = self._newest
        was_read = threading.Event()
        threading.Thread(
            target=self._run, args=(number, was_read), name="pauses", daemon=True
        ).start()
        return was_read.wait(timeout_s)

    def close(self) -> None:
        """Follow it no more."""
        with self._turn:
            self._newest += 1

    # -- a thread ------------------------------------------------------------------------

    def _run(self, number: int, was_read: threading.Event) -> None:
        while number == self._newest:
            try:
                self._follow(number, was_read)
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone in a moment
                if number == self._newest:
                    why = type(error).__name__
                    self._log.warning("pauses_not_followed", why=why, detail=str(error)[:200])
                    time.sleep(_AGAIN_S)

    def _follow(self, number: int, was_read: threading.Event) -> None:
        connection = self._connect()
        connection.heartbeat = _HEARTBEAT_S
        with connection:
            reading = _Reading(connection.channel(), str(uuid4()))
            reading.start()
            while number == self._newest:
                try:
                    connection.drain_events(timeout=_POLL_S)
                except TimeoutError:
                    connection.heartbeat_check()
                self._hand_over(number, reading)
                if reading.is_complete:
                    was_read.set()

    def _hand_over(self, number: int, reading: _Reading) -> None:
        if not reading.is_complete or (reading.was_taken and not reading.found):
            return
        found, reading.found = reading.found, []
        anew, reading.was_taken = not reading.was_taken, True
        with self._turn:
            if number == self._newest:
                self._take(found, anew)


class _Reading:
    """One way through the stream: to a mark of its own, and on."""

    def __init__(self, channel: Any, end: str) -> None:
        self.found: list[StreamMessage] = []
        self.is_complete = False
        self.was_taken = False
        self._channel = channel
        self._end = end
        self._bytes = 0

    def start(self) -> None:
        channel = self._channel
        channel.basic_qos(0, _PREFETCH, False)
        arguments = {"x-stream-offset": "first"}
        channel.basic_consume(PAUSES, callback=self._came, arguments=arguments)
        # Behind all words that the broker has by now. It is read in its turn, and is no word.
        mark = channel.prepare_message(b"", properties={"message_id": self._end})
        channel.basic_publish(mark, PAUSES, "")

    def _came(self, message: Any) -> None:
        properties, headers = message.properties, message.headers or {}
        name, user = (str(properties.get(word) or "") for word in ("message_id", "user_id"))
        body = bytes(message.body or b"")  # an empty one is a text
        self._bytes += len(body) + MESSAGE_BYTES
        self.is_complete = self.is_complete or name == self._end
        if body or self.is_complete:
            self.found.append(StreamMessage(self._bytes, body, name, user, headers))
        if self.is_complete or message.delivery_tag % _ACK_EVERY == 0:
            self._channel.basic_ack(message.delivery_tag, multiple=True)
