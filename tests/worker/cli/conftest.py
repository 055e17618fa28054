"""A desk for the command line: sandbox venues, a worker, RabbitMQ, accounts of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Shell
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox

VENUES = {"desk-c": "coinw", "desk-z": "ztdx", "desk-k": "kuna"}
KEY, SECRET = "planted-key-0123456789", "planted-secret-0123456789"
_numbers = count(1)


def new_ids(how_many: int) -> list[str]:
    """Return ids that no other test has, of a shape that Kuna and ZTDX know."""
    return [f"3fa42833-9508-4061-8d80-{next(_numbers):012d}" for _ in range(how_many)]


def accounts(base_url: str) -> Mapping[str, Mapping[str, Any]]:
    one = {"base_url": base_url, "key": KEY, "secret": SECRET}
    return {name: one | {"venue": venue} for name, venue in VENUES.items()}


@pytest.fixture(scope="package", autouse=True)
def interrupts() -> None:
    """Hear Ctrl-C, in the commands, too: the background job of a script would ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="package")
def sandbox() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        client.settings({"rtt_ms": 10})
        for venue in VENUES.values():
            client.add_account(venue, KEY, SECRET)
        yield client


@pytest.fixture(scope="package")
def shell(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    folder = tmp_path_factory.mktemp("desk")
    env = accounts_file(accounts(sandbox.url), folder / "cancel.toml")
    return Shell(folder, env | {"CELERY_BROKER_URL": rabbit.url})


@pytest.fixture(scope="package")
def worker(shell: Shell, rabbit: RabbitNode) -> Iterator[WorkerProcess]:
    with WorkerProcess(rabbit.url, shell.env, shell.folder / "worker.log", name="desk") as one:
        yield one


@pytest.fixture
def offline(tmp_path: Path) -> Shell:
    """A shell with accounts at a venue and a broker that do not answer."""
    env = accounts_file(accounts("http://127.0.0.1:9"), tmp_path / "cancel.toml")
    return Shell(tmp_path, env | {"CELERY_BROKER_URL": "amqp://guest:hidden@127.0.0.1:9//"})
