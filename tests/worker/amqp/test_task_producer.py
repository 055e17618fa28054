"""A retry leaves as Celery would have written it, and its confirm is awaited later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Exchange, Queue

from tests.support.rabbitmq import RabbitNode
from worker.amqp.publisher import Publisher, Unroutable
from worker.amqp.task_producer import TaskProducer

QUEUE = Queue("tasks", Exchange("tasks", type="topic"), "tasks", durable=True)
OPTIONS: dict[str, Any] = {
    "kwargs": {"job": {"job_id": "j-é"}, "progress": None},
    "task_id": "7c1b2f60",
    "root_id": "7c1b2f60",
    "retries": 3,
    "queue": "tasks",
    "headers": {"traceparent": "00-1", "x-sent-by": "desk"},
    "user_id": "guest",
}


def nothing(**_: Any) -> None:
    """Stand for the task, which nobody runs here."""


@pytest.fixture(scope="module")
def app(rabbit: RabbitNode) -> Celery:
    """An application with one queue and one task."""
    app = Celery("t", broker=rabbit.vhost("task_producer"), set_as_current=False)
    app.conf.update(task_queues=[QUEUE], task_ignore_result=True)
    app.task(nothing, name="cancel")
    with Connection(app.conf.broker_url) as connection:
        QUEUE(connection.channel()).declare()
    return app


@pytest.fixture
def publisher(app: Celery) -> Iterator[Publisher]:
    """A publisher to that broker."""
    publisher = Publisher(lambda: Connection(app.conf.broker_url))
    yield publisher
    publisher.close()


def taken(app: Celery) -> dict[str, Any]:
    """Take the message that waits, with all that it has but its queue's counts."""
    with Connection(app.conf.broker_url) as connection:
        message = connection.channel().basic_get("tasks", no_ack=True)
    key = message.delivery_info["exchange"], message.delivery_info["routing_key"]
    return {"body": message.body, "key": key, **message.properties, "headers": message.headers}


def test_the_message_is_the_one_that_celery_would_have_sent(
    app: Celery, publisher: Publisher
) -> None:
    app.tasks["cancel"].apply_async(**OPTIONS)
    by_celery = taken(app)
    producer = TaskProducer(app.pool.connection, publisher)
    app.tasks["cancel"].apply_async(**OPTIONS, producer=producer)
    producer.published.result(30)

    assert taken(app) == by_celery


def test_a_task_that_no_queue_takes_is_told(app: Celery, publisher: Publisher) -> None:
    producer = TaskProducer(app.pool.connection, publisher)
    options = OPTIONS | {"queue": None, "exchange": "tasks", "routing_key": "nobody"}
    app.tasks["cancel"].apply_async(**options, producer=producer)

    with pytest.raises(Unroutable):
        producer.published.result(30)
