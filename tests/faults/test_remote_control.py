"""What may be asked of a worker from afar, and what two workers of one name do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Shell
from tests.support.flower import FlowerProcess
from tests.support.rabbitmq import RabbitNode
from tests.support.world import World
from worker.app import make_app

STOPPING: dict[str, dict[str, Any]] = {
    "shutdown": {},
    "cancel_consumer": {"queue": "cancel.afar.kill"},
    "add_consumer": {"queue": "cancel.unrouted"},
    "pool_grow": {"n": 1},
    "pool_shrink": {"n": 2047},
    "pool_restart": {},
    "autoscale": {"max": 1, "min": 1},
    "rate_limit": {"task_name": "tasks.cancel_orders", "rate_limit": "1/h"},
    "time_limit": {"task_name": "tasks.cancel_orders", "hard": 1},
    "election": {"id": "x", "topic": "task"},
}
#: What Flower asks each worker for.
SHOWING = ["stats", "active", "registered", "scheduled", "reserved", "revoked", "conf"]


def control(world: World) -> Any:
    """Return the remote control as any Celery client has it."""
    app = make_app()
    app.conf.broker_url = world.url
    return app.control


def test_nothing_from_afar_stops_cancels(world: World) -> None:
    """Each is refused by name, and a kill is done afterwards."""
    desk = world.desk("afar", "kuna")
    worker = world.worker().start(ready="lane_owned")
    afar = control(world)
    for command, arguments in STOPPING.items():
        ((reply,),) = (
            found.values()
            for found in afar.broadcast(command, arguments, reply=True, timeout=2.0, limit=1)
        )
        assert reply == {"error": f"{command} is refused: nobody stops cancels from afar"}
    world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear_all(10)

    assert [line["command"] for line in worker.events("control_refused")] == list(STOPPING)
    shown = {
        command: getattr(afar.inspect(timeout=2.0, limit=1), command) for command in SHOWING
    }
    assert all(ask() for ask in shown.values())


def test_two_workers_of_one_name(world: World) -> None:
    """A rolling update starts the second one before the first has ended: it is a standby."""
    desk = world.desk("twins", "kuna")
    first = world.worker("w1").start(ready="lane_owned")
    second = world.worker("w1").start(ready="")
    give_up = time.monotonic() + 30
    while len(second.events("worker_ready")) < 2 and time.monotonic() < give_up:
        time.sleep(0.1)
    assert len(second.events("worker_ready")) == 2  # both write the same log
    first.kill()
    world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear_all(10)


def test_every_queue_is_durable_or_exclusive(
    world: World, rabbit: RabbitNode, tmp_path: Path
) -> None:
    """RabbitMQ 4.3.0 refuses others: a worker's, Flower's, a watcher's, or for an answer."""
    pytest.importorskip("flower")
    world.desk("queues", "kuna")
    world.worker().start(ready="lane_owned")
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": world.url})
    watching = shell.start("watch")
    vhost = world.url.rpartition("/")[2]
    try:
        assert watching.stderr is not None
        assert "watching" in watching.stderr.readline()
        with FlowerProcess(world.url, tmp_path / "flower.log"):
            assert control(world).inspect(timeout=2.0, limit=1).ping()
            queues: list[dict[str, Any]] = []
            give_up = time.monotonic() + 20
            while (
                not any("celeryev" in q["name"] for q in queues) and time.monotonic() < give_up
            ):
                queues = rabbit.manage("GET", f"queues/{vhost}")
                time.sleep(0.2)
    finally:
        watching.kill()
        watching.communicate()

    found = {queue["name"]: (queue["durable"], queue["exclusive"]) for queue in queues}
    assert any(name.endswith(".celery.pidbox") for name in found)
    assert any(name.startswith("celeryev") for name in found)
    assert any(name.startswith("amq.gen") for name in found)
    assert {name for name, kinds in found.items() if not any(kinds)} == set()


def test_a_policy_that_lets_tokens_expire(world: World, rabbit: RabbitNode) -> None:
    """The standby is given a new token when its owner is dead."""
    desk = world.desk("aged", "kuna")
    rabbit.policy(world.url.rpartition("/")[2], ".*", **{"message-ttl": 2000})
    first = world.worker("w1").start(ready="lane_owned")
    second = world.worker("w2").start(ready="worker_ready")
    time.sleep(3.0)
    first.kill()
    give_up = time.monotonic() + 25
    while not second.events("lane_owned") and time.monotonic() < give_up:
        time.sleep(0.1)
    world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear_all(10)

    assert [line["after_another"] for line in second.events("lane_owned")] == [True]
