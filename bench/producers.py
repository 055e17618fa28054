"""Producers of the bench: one that stamps each publish, and many that flood."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import amqp

from tests.support.producer import connect

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


def flood(url: str, posts: Sequence[Post], producers: int = 8) -> None:
    """Publish jobs from so many connections at once; return when the broker has them all."""
    shares = [posts[n::producers] for n in range(producers)]
    threads = [threading.Thread(target=_pour, args=(url, share)) for share in shares if share]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pour(url: str, posts: Sequence[Post]) -> None:
    with connect(url) as connection:
        connection.confirm_publish = False
        channel = connection.channel()
        channel.confirm_select()
        confirmed = _Confirmed(len(posts))
        channel.events["basic_ack"].add(confirmed)
        for key, body in posts:
            channel.basic_publish(_message(body), "cancel.jobs", key)
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
