"""What was read ahead of its turn is taken in, though the socket no longer shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import amqp
import pytest
from kombu import Connection
from kombu.asynchronous.hub import Hub

from tests.support.producer import connect
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitNode
from worker.amqp.buffered import has_more, read_on
from worker.amqp.transport import Transport

QUEUE = "read.ahead"
#: Many to a reading.
MESSAGES = 60


@pytest.fixture
def publish(rabbit: RabbitNode) -> Iterator[Callable[[int], None]]:
    """Make a queue, and return what puts so many messages into it."""
    with connect(rabbit.url) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, auto_delete=False)

        def publish(messages: int) -> None:
            for number in range(messages):
                channel.basic_publish(amqp.Message(str(number)), "", QUEUE)

        yield publish
        channel.queue_delete(QUEUE)


@pytest.fixture
def bulk(rabbit: RabbitNode) -> Iterator[Connection]:
    """A connection that reads ahead; what comes within 50 ms comes in one piece."""
    url, options = urlsplit(rabbit.url), {"buffered": True}
    with Proxy(url.port or 5672, lag_s=0.05) as proxy:
        near = rabbit.url.replace(f":{url.port}", f":{proxy.port}")
        with Connection(near, transport=Transport, transport_options=options) as connection:
            connection.connect()
            yield connection


def consume(connection: Connection) -> list[str]:
    """Begin to consume; return where the bodies come."""
    found: list[str] = []
    channel: Any = connection.connection.channel()
    channel.basic_consume(
        QUEUE, no_ack=True, callback=lambda m: found.append(bytes(m.body).decode())
    )
    return found


def until(holds: Callable[[], bool], do: Callable[[], object], timeout_s: float) -> None:
    """Do something until something holds, or for so long."""
    give_up = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < give_up:
        do()


def test_messages_that_come_with_an_answer(
    bulk: Connection, publish: Callable[[int], None]
) -> None:
    """The first deliveries often follow the confirmation that somebody consumes."""
    publish(MESSAGES)
    hub = Hub()
    bulk.register_with_event_loop(hub)
    loop = hub.create_loop()
    next(loop)
    found = consume(bulk)
    begin = time.monotonic()
    until(lambda: len(found) == MESSAGES, lambda: next(loop), 5.0)

    assert found == [str(number) for number in range(MESSAGES)]
    assert time.monotonic() - begin < 0.5  # the loop sleeps for a second where nothing comes
    assert not has_more(bulk.connection)


def test_one_reading_takes_in_all_that_came(
    bulk: Connection, publish: Callable[[int], None]
) -> None:
    """It waits for nothing, and leaves nothing behind."""
    found = consume(bulk)
    begin = time.monotonic()
    read_on(bulk.connection, 8)

    assert found == []
    assert time.monotonic() - begin < 0.5
    publish(MESSAGES)
    until(lambda: len(found) == MESSAGES, lambda: read_on(bulk.connection, 1), 5.0)
    assert found == [str(number) for number in range(MESSAGES)]
    assert not has_more(bulk.connection)
