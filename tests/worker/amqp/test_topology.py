"""What is declared, and what stands there from the version before."""

from __future__ import annotations

import amqp
import pytest
from kombu import Connection, Queue

from tests.support.rabbitmq import RabbitNode
from worker.amqp import topology

NEW = "x-consumer-disconnected-timeout"


def test_queues_of_a_lane_do_not_wait_for_a_dead_node() -> None:
    queues = [*topology.lane_queues("d", False), topology.owner_queue("d")]

    assert {queue.queue_arguments[NEW] for queue in queues} == {1000}
    for queue in queues:
        before = topology.as_before(queue).queue_arguments
        assert queue.queue_arguments == before | {NEW: 1000}


def test_queues_of_the_version_before_are_used(rabbit: RabbitNode) -> None:
    """Only RabbitMQ 4.3 compares the new argument; any other that differs is an error."""
    url = rabbit.vhost("topology")
    with Connection(url) as connection:
        for queue in [*topology.lane_queues("old", False), topology.owner_queue("old")]:
            topology.as_before(queue)(connection.channel()).declare()
        compares = connection.connection.server_properties["version"] >= "4.3"
        older = topology.declare(connection, ["old", "new"], embedded=False)
        names = {"cancel.old.kill", "cancel.old.routine", "cancel.old.owner"}

        assert set(older) == (names if compares else set())
        other = Queue("cancel.other.owner", exchange="")
        other(connection.channel()).declare()
        with pytest.raises(amqp.PreconditionFailed):
            topology.declare(connection, ["other"], embedded=False)
