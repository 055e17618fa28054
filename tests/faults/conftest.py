"""Worlds for fault tests: each has its own virtual host, all share a node and a sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, installed
from tests.support.world import World
from venues.sandbox.client import SandboxClient, start_sandbox

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxClient]:
    """One sandbox for all fault tests; their accounts and ids differ."""
    with start_sandbox() as client:
        yield client


@pytest.fixture
def world(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    """A world for one test."""
    name = re.sub(r"[^a-z0-9_]", "_", request.node.name)
    world = World(rabbit.vhost(name), sandbox, tmp_path)
    yield from opened(world)


@pytest.fixture(scope="session")
def broken_rabbit() -> Iterator[RabbitNode]:
    """A node that tests may stop and kill."""
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    with RabbitNode() as node:
        yield node


def opened(world: World) -> Iterator[World]:
    """Listen to a world before anything happens in it, and end its workers after it."""
    world.audit()
    yield world
    world.close()
