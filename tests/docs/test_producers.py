"""Each producer example, run as its page says, gets the very bytes of a job into the lane."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from kombu import Connection

from tests.support.need import need
from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode
from worker.amqp import topology

FOLDER = Path(__file__).resolve().parents[2] / "examples/producers"
#: An id beyond 2^53, spaces, a line end: who reads and writes JSON would change them.
JOB = (
    b'{"job_id": "job-1",  "account": "desk-1",\n "orders": [33308750270880237], "tags": {}}\n'
)
Run = Callable[[str, bytes, Mapping[str, str]], subprocess.CompletedProcess[bytes]]


def _run(
    command: Sequence[str], cwd: Path, priority: str, job: bytes, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*command, priority],
        cwd=cwd,
        input=job,
        env={**os.environ, **env},
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node example with its packages, outside the repository."""
    need(
        bool(shutil.which("node") and shutil.which("npm")),
        "Node is missing: install nodejs npm",
    )
    folder = tmp_path_factory.mktemp("npm") / "node"
    shutil.copytree(FOLDER / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(params=["with_kombu.py", "with_pika.py", "with_http.py", "with_amqplib.js"])
def run(request: pytest.FixtureRequest) -> Run:
    """One of the examples."""
    name: str = request.param
    if name.endswith(".js"):
        folder: Path = request.getfixturevalue("node_folder")
        return lambda *given: _run(["node", name], folder, *given)
    return lambda *given: _run([sys.executable, name], FOLDER, *given)


@pytest.fixture
def env(rabbit: RabbitNode) -> dict[str, str]:
    """The environment of a producer, with a virtual host of its own."""
    vhost = f"producer-{uuid4()}"
    return {
        "CELERY_BROKER_URL": rabbit.vhost(vhost),
        "RABBITMQ_API_URL": f"{rabbit.management_url}/api",
        "RABBITMQ_VHOST": vhost,
    }


def _declare(url: str, *accounts: str) -> None:
    with Connection(url) as connection:
        topology.declare(connection, accounts, embedded=False)


def _take(url: str, queue: str) -> Any:
    """Return the one message of a lane queue; such a queue is read by a consumer alone."""
    found: list[Any] = []
    with connect(url) as connection:
        connection.channel().basic_consume(queue, callback=found.append, no_ack=True)
        while not found:
            connection.drain_events(timeout=5)
    return found[0]


def test_a_job_arrives_in_its_lane_unchanged(run: Run, env: Mapping[str, str]) -> None:
    url = env["CELERY_BROKER_URL"]
    _declare(url, "desk-1")

    done = run("kill", JOB, env)

    assert done.returncode == 0, done.stderr
    message = _take(url, "cancel.desk-1.kill")
    body = message.body
    assert (body if isinstance(body, bytes) else body.encode()) == JOB
    assert message.properties["content_type"] == "application/json"
    assert message.properties["message_id"] == "job-1"
    assert message.properties["user_id"] == "guest"
    assert message.properties["delivery_mode"] == 2


def test_a_job_that_no_queue_takes_is_an_error(run: Run, env: Mapping[str, str]) -> None:
    """The exchange is there, and neither a lane nor the queue of the unrouted."""
    with connect(env["CELERY_BROKER_URL"]) as connection:
        connection.channel().exchange_declare(
            "cancel.jobs", "topic", durable=True, auto_delete=False
        )

    done = run("routine", JOB, env)

    assert done.returncode != 0
    assert b"no queue took the job" in done.stderr
    assert b"Traceback" not in done.stderr


def test_producers_reach_the_default_virtual_host_as_celery_writes_it(
    run: Run, rabbit: RabbitNode
) -> None:
    api = {"RABBITMQ_API_URL": f"{rabbit.management_url}/api", "RABBITMQ_VHOST": "/"}
    assert urlsplit(rabbit.url).path == "//"
    _declare(rabbit.url, "desk-slash")
    job = json.dumps({"account": "desk-slash", "orders": ["1"]}).encode()

    done = run("routine", job, {"CELERY_BROKER_URL": rabbit.url, **api})

    assert done.returncode == 0, done.stderr
    message = _take(rabbit.url, "cancel.desk-slash.routine")
    assert len(message.properties["message_id"]) == 36


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_producer_lives_and_signs_off(env: Mapping[str, str], end: signal.Signals) -> None:
    with Connection(env["CELERY_BROKER_URL"]) as connection:
        topology.declare(connection, ["desk-1"], False, ["desk-1"])
    process = subprocess.Popen(
        [sys.executable, "alive_with_pika.py", "desk-1", "mm-1", "0.1"],
        cwd=FOLDER,
        env={**os.environ, **env},
    )
    bodies: list[Any] = []
    with connect(env["CELERY_BROKER_URL"]) as connection:
        channel = connection.channel()
        channel.basic_qos(0, 100, False)
        channel.basic_consume(
            "cancel.desk-1.alive",
            callback=lambda message: bodies.append(message.body),
            arguments={"x-stream-offset": "first"},
        )
        while len(bodies) < 2:
            connection.drain_events(timeout=10)
        process.send_signal(end)
        assert process.wait(10) == 0
        while "bye" not in json.loads(bodies[-1]):
            connection.drain_events(timeout=10)

    beats = [json.loads(body) for body in bodies]
    assert beats[-1] == {"producer": "mm-1", "bye": True}
    assert all(each == {"producer": "mm-1"} for each in beats[:-1])


def test_the_lock_of_the_node_example_names_no_download_address() -> None:
    assert "resolved" not in (FOLDER / "node/package-lock.json").read_text()
