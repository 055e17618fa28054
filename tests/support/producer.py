"""A producer of cancel jobs and a reader of outcomes, with nothing but an AMQP client."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import amqp
from kombu.utils.url import parse_url

#: A broker that slows its producers down takes nothing for a while; the second (here ms) that
#: the client allows it on Linux is too short for those that flood it.
PATIENT = {socket.TCP_USER_TIMEOUT: 30_000} if hasattr(socket, "TCP_USER_TIMEOUT") else {}


def connect(url: str) -> Any:
    """Return an open AMQP connection."""
    parts = parse_url(url)
    connection = amqp.Connection(
        host=f"{parts['hostname']}:{parts['port']}",
        userid=parts["userid"],
        password=parts["password"],
        virtual_host=parts["virtual_host"] or "/",
        confirm_publish=True,
        connect_timeout=5,
        socket_settings=PATIENT,
    )
    connection.connect()
    return connection


def send(
    url: str,
    jobs: Iterable[tuple[str, Mapping[str, Any] | bytes]],
    **properties: Any,
) -> None:
    """Publish jobs: (routing key, body) each, confirmed."""
    with connect(url) as connection:
        channel = connection.channel()
        for key, body in jobs:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            given = {"content_type": "application/json", "delivery_mode": 2} | properties
            channel.basic_publish(amqp.Message(raw, **given), "cancel.jobs", key)


class Outcomes:
    """A queue bound to `cancel.outcomes`, or to the reports, and all that arrived in it."""

    def __init__(self, url: str, key: str = "#", exchange: str = "cancel.outcomes") -> None:
        self._connection = connect(url)
        self._channel = self._connection.channel()
        self._channel.exchange_declare(exchange, "topic", durable=True, auto_delete=False)
        name, *_ = self._channel.queue_declare(exclusive=True)
        self._channel.queue_bind(name, exchange, key)
        self.messages: list[Any] = []
        self.found: list[dict[str, Any]] = []
        self._channel.basic_consume(name, callback=self._take, no_ack=True)

    def _take(self, message: Any) -> None:
        self.messages.append(message)
        self.found.append(json.loads(message.body))

    def wait(
        self, count: int, timeout_s: float = 30.0, *, until: Callable[[], bool] | None = None
    ) -> list[dict[str, Any]]:
        """Return the outcomes once `count` have come (or `until` holds).

        Raises:
            AssertionError: they did not come in time.
        """
        give_up = time.monotonic() + timeout_s
        while not (until() if until else len(self.found) >= count):
            left = give_up - time.monotonic()
            assert left > 0, f"{len(self.found)} of {count} outcomes came: {self.found[-3:]}"
            try:
                self._connection.drain_events(timeout=min(left, 0.5))
            except TimeoutError:
                continue
        return self.found

    def status(self) -> dict[str, str]:
        """Return the status of each id."""
        return {outcome["id"]: outcome["status"] for outcome in self.found}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
