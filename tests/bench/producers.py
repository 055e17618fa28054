"""Producers of the bench: one that stamps each publish, and many that flood."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import amqp

from tests.support.producer import connect

#: How long producers wait for each other to be connected, in seconds.
_CONNECT_TIMEOUT_S = 30.0
#: A job on its way: routing key and body.
Post = tuple[str, Mapping[str, Any]]


class Stamper:
    """A producer on an open connection that says when it published."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._channel = self._connection.channel()

    def publish(self, key: str, body: Mapping[str, Any]) -> float:
        """Publish a job, wait for the confirmation, and return the moment just before."""
        message = _message(body)
        began = time.monotonic()
        self._channel.basic_publish(message, "cancel.jobs", key)
        return began

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def flood(url: str, posts: Sequence[Post]) -> None:
    """Publish jobs from eight open connections at once; return when the broker has them."""
    pour(url, "cancel.jobs", [(key, _message(body)) for key, body in posts])


def pour(
    url: str, exchange: str, messages: Sequence[tuple[str, Any]], producers: int = 8
) -> None:
    """Publish messages, each with its routing key, as `flood` does jobs."""
    shares = [share for n in range(producers) if (share := messages[n::producers])]
    connected = threading.Barrier(len(shares))
    threads = [
        threading.Thread(target=_pour, args=(url, exchange, share, connected))
        for share in shares
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pour(
    url: str,
    exchange: str,
    messages: Sequence[tuple[str, Any]],
    connected: threading.Barrier,
) -> None:
    with connect(url) as connection:
        connection.confirm_publish = False
        channel = connection.channel()
        channel.confirm_select()
        confirmed = _Confirmed(len(messages))
        channel.events["basic_ack"].add(confirmed)
        connected.wait(_CONNECT_TIMEOUT_S)
        for key, message in messages:
            channel.basic_publish(message, exchange, key)
        while confirmed.left:
            connection.drain_events(timeout=30)


class _Confirmed:
    """Which of the messages the broker has; one confirmation may stand for all before it."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self._open = bytearray(b"\1" * (messages + 1))
        self._lowest = 1

    def __call__(self, tag: int, multiple: bool) -> None:
        for one in range(self._lowest if multiple else tag, tag + 1):
            self.left -= self._open[one]
            self._open[one] = 0
        if multiple:
            self._lowest = max(self._lowest, tag + 1)


def _message(body: Mapping[str, Any]) -> Any:
    raw = json.dumps(body).encode()
    return amqp.Message(raw, content_type="application/json", delivery_mode=2)
