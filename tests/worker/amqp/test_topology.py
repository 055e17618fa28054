"""What is declared, and what stands there from the version before."""

from __future__ import annotations

import amqp
import pytest
from kombu import Connection, Queue

from tests.support.rabbitmq import RabbitNode
from worker.amqp import topology
from worker.jobs.poison import LONGEST_HOLD_S

NEW = "x-consumer-disconnected-timeout"


def test_queues_of_a_lane_do_not_wait_for_a_dead_node() -> None:
    queues = [*topology.lane_queues("d", False), topology.owner_queue("d")]

    assert {queue.queue_arguments[NEW] for queue in queues} == {1000}
    for queue in queues:
        before = topology.as_before(queue).queue_arguments
        assert queue.queue_arguments == before | {NEW: 1000}


def test_no_worker_depends_on_the_time_that_a_broker_gives_its_consumers() -> None:
    """RabbitMQ 4.3 counts what the consumer says; it names no limit to one that it cancels."""
    queues = [*topology.lane_queues("d", False), topology.owner_queue("d")]
    queues += topology.common_queues(embedded=False)

    for queue in queues:
        assert queue.consumer_arguments["x-consumer-timeout"] > LONGEST_HOLD_S * 1000


def test_queues_of_the_version_before_are_used(rabbit: RabbitNode) -> None:
    """Only RabbitMQ 4.3 compares the new argument; any other that differs is an error."""
    url = rabbit.vhost("topology")
    with Connection(url) as connection:
        for queue in [*topology.lane_queues("old", False), topology.owner_queue("old")]:
            topology.as_before(queue)(connection.channel()).declare()
        compares = rabbit.version >= (4, 3)
        older = topology.declare(connection, ["old", "new"], embedded=False)
        names = {"cancel.old.kill", "cancel.old.routine", "cancel.old.owner"}

        assert set(older) == (names if compares else set())
        other = Queue("cancel.other.owner", exchange="")
        other(connection.channel()).declare()
        with pytest.raises(amqp.PreconditionFailed):
            topology.declare(connection, ["other"], embedded=False)
