"""`alive`: heartbeats until a signal ends it, and then a goodbye."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest
from kombu import Connection

from tests.support.cli import Shell
from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode
from worker.amqp import topology


@pytest.fixture
def watched(shell: Shell, rabbit: RabbitNode, request: pytest.FixtureRequest) -> Shell:
    """A broker where `desk-h` has a dead man's switch."""
    url = rabbit.vhost(f"alive-{abs(hash(request.node.name))}")
    with Connection(url) as connection:
        topology.declare(connection, ["desk-h"], False, ["desk-h"])
    return Shell(shell.folder, shell.env | {"CELERY_BROKER_URL": url})


def heard(shell: Shell, count: int) -> list[Any]:
    """Return the messages of the stream, once there are so many."""
    found: list[Any] = []
    with connect(shell.env["CELERY_BROKER_URL"]) as connection:
        channel = connection.channel()
        channel.basic_qos(0, 100, False)
        name, first = "cancel.desk-h.alive", {"x-stream-offset": "first"}
        channel.basic_consume(name, callback=found.append, arguments=first)
        give_up = time.monotonic() + 20
        while len(found) < count:
            assert time.monotonic() < give_up, found
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_beats_until_a_signal_and_signs_off(watched: Shell, end: signal.Signals) -> None:
    process = watched.start("alive", "desk-h", "--name", "mm-1", "--every", "0.2")
    heard(watched, 3)
    process.send_signal(end)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "")
    assert "no worker watches desk-h now" in err
    assert err.endswith("mm-1 has signed off\n")
    *beats, last = heard(watched, 4)
    assert {message.delivery_info["routing_key"] for message in beats} == {"alive.desk-h"}
    assert {message.body for message in beats} == {b'{"producer":"mm-1"}'}
    assert json.loads(last.body) == {"producer": "mm-1", "bye": True}
    assert abs(last.properties["timestamp"] - time.time()) < 60


def test_somebody_may_sign_a_producer_off(watched: Shell) -> None:
    done = watched.run("alive", "desk-h", "--name", "mm-1", "--bye")

    assert (done.code, done.out) == (0, "")
    (message,) = heard(watched, 1)
    assert json.loads(message.body) == {"producer": "mm-1", "bye": True}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("desk-x", "--name", "mm-1"), "'desk-x' has no dead_man at this broker; set it in"),
        (("desk-h", "--name", "a b"), "--name: 'a b' is no name; letters, digits"),
    ],
)
def test_it_never_beats_in_vain(watched: Shell, words: tuple[str, ...], said: str) -> None:
    done = watched.run("alive", *words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err and done.err.count("\n") == 1
