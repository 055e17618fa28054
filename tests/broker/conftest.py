"""What the tests of a whole worker share; each module has a worker of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.producer import Outcomes
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess


@pytest.fixture
def outcomes(rabbit: RabbitNode, worker: WorkerProcess) -> Iterator[Outcomes]:
    """Listen to what the module's worker tells."""
    reader = Outcomes(rabbit.url, "*.*.*")
    yield reader
    reader.close()
