"""Publishes what holds something of a producer's, so that it can stand in no other's way.

A message may hold what the broker takes from a producer and the connection refuses from us:
with our three headers its own no longer fit a frame, or they are nested too deeply to be
written. So such messages have a connection of their own, and each that is refused costs only
itself: it leaves without its own headers, body byte for byte, and where that is refused, too,
it is left to the broker, which moves it without any connection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import amqp
from amqp.exceptions import AMQPError, RecoverableConnectionError

from worker.amqp.publisher import WINDOW, Publication, Publisher

#: A message over which the connection is closed this often, alone, is refused.
MOST_CLOSES = 3
#: What a frame has beside its payload, what a content header has before its properties, and
#: what kombu adds to these: delivery mode, content type and encoding.
_AROUND_PROPERTIES = 8 + 12 + 64


class TooLarge(Exception):
    """The headers do not fit the frame that must hold them."""


class Forwarder(Publisher):
    """Publishes from a thread and over a connection of its own; none waits for a bad one."""

    name = "forwarder"
    _one_by_one = 0  # so many of those that wait are sent alone
    _closes = 0  # by the message that is sent alone

    def _window(self) -> int:
        return 1 if self._one_by_one else WINDOW

    def _not_confirmed(self, held: list[Publication], error: Exception) -> list[Publication]:
        """After a refusal send each alone: the broker does not say which one it refuses."""
        if not isinstance(error, AMQPError) or isinstance(error, RecoverableConnectionError):
            return held
        self._one_by_one = max(self._one_by_one, len(held))
        if len(held) != 1:
            return held
        self._closes += 1
        if self._closes < MOST_CLOSES:
            return held
        self._refused(held[0], error)
        return []

    def _send(self, producer: Any, publication: Publication, confirms: bool) -> None:
        message = amqp.Message(
            b"", application_headers=dict(publication.headers), **publication.properties
        )
        must_fit(message, producer.connection)
        super()._send(producer, publication, confirms)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        super()._on_ack(tag, multiple)
        self._one_by_one, self._closes = max(0, self._one_by_one - 1), 0

    def _refused(self, publication: Publication, error: Exception) -> None:
        self._closes = 0
        if publication.bare is None:
            self._one_by_one = max(0, self._one_by_one - 1)
            super()._refused(publication, error)
            return
        self._log.warning("headers_left_out", why=type(error).__name__)
        self._waiting.appendleft(replace(publication, headers=publication.bare, bare=None))


def must_fit(message: amqp.Message, connection: Any) -> None:
    """Raise where the connection could not write a message, or would be closed over it."""
    most = getattr(connection.connection, "frame_max", 0)
    if most and len(message._serialize_properties()) + _AROUND_PROPERTIES > most:
        raise TooLarge(f"headers of more than {most} bytes")
