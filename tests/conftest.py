"""What tests share: one RabbitMQ node for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, installed


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitNode]:
    """A node for tests that leave it running; queues outlive a test, so name accounts apart."""
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    with RabbitNode() as node:
        yield node
