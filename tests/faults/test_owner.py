"""Several workers share the lanes: one dies, or a broker node does, and no limit is broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.conftest import opened
from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, free_port, installed
from tests.support.world import World
from venues.sandbox.client import SandboxClient
from worker.amqp import topology

#: As much as the sandbox lets through, so that one request more would be counted.
FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'


def owner_of(world: World, account: str) -> str:
    """Return the name of the worker that said last that it owns the lane."""
    said = [
        (line["timestamp"], worker.log.stem)
        for worker in world.workers
        for line in worker.events("lane_owned")
        if line["account"] == account
    ]
    return max(said)[1]


def test_first_owner_begins_at_once(world: World) -> None:
    """What waits is taken as it comes: given back, it would look like another worker's."""
    desks = [world.desk(f"fresh-{number}", "kuna", FAST) for number in range(3)]
    for desk in desks:
        for _ in range(4):
            world.send(desk, world.seed(desk, 1))
    worker = world.worker().start()
    world.hear_all()

    owned = {line["account"]: line["after_another"] for line in worker.events("lane_owned")}
    assert owned == {desk.name: False for desk in desks}
    assert not [line for line in worker.lines() if "no callbacks" in line["event"]]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_owner_ends_among_three_workers(world: World, end: str) -> None:
    """Its lanes move within about a second, and the venue counts no request too many."""
    desks = [world.desk(f"lane-{number}", "kuna", FAST) for number in range(3)]
    workers = [world.worker(f"w{n}").start(ready="worker_ready") for n in range(3)]
    world.sandbox.settings({"rtt_ms": 20})
    for desk in desks:
        for _ in range(8):
            world.send(desk, world.seed(desk, 10))
    world.hear(lambda: sum(told.body["account"] == "lane-0" for told in world.told) >= 10)
    owner = owner_of(world, "lane-0")
    before = time.time()
    getattr(next(w for w in workers if w.log.stem == owner), end)()
    world.hear_all(90)
    world.sandbox.settings({"rtt_ms": 0})

    found = world.check()
    assert found.clean, found
    assert owner_of(world, "lane-0") != owner
    moved = [
        datetime.fromisoformat(line["timestamp"]).timestamp() - before
        for line in world.lines("lane_owned", after_another=True)
    ]
    assert max(moved) < 2.0
    for desk in desks:
        for use in world.sandbox.limits(venue="kuna", api_key=desk.key):
            assert use.throttled == 0, use


def test_owner_told_to_stop_while_another_worker_starts(world: World) -> None:
    """The one that starts brings a new token, and the next owner is given that one first."""
    desk = world.desk("handed-over", "kuna", FAST)
    for name in ("w1", "w2"):
        world.worker(name).start(ready="worker_ready")
    for _ in range(8):
        world.send(desk, world.seed(desk, 10))
    world.hear(lambda: len(world.told) >= 20)
    owner = owner_of(world, desk.name)
    world.sandbox.fault("slow", api_key=desk.key, delay_s=0.8, times=2)
    time.sleep(0.3)
    with ThreadPoolExecutor() as pool:
        stopping = pool.submit(next(w for w in world.workers if w.log.stem == owner).stop)
        time.sleep(0.1)
        world.publish(topology.owner_queue_name(desk.name), b"", exchange="")
        world.hear_all(60)
        assert stopping.result() == 0

    assert owner_of(world, desk.name) != owner
    assert [line["after_another"] for line in world.lines("lane_owned")] == [False, True]
    for use in world.sandbox.limits(venue="kuna", api_key=desk.key):
        assert use.throttled == 0, use


@pytest.fixture
def cluster() -> Iterator[list[RabbitNode]]:
    """Three nodes of one cluster."""
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    epmd_port = free_port()
    nodes = [RabbitNode(epmd_port=epmd_port) for _ in range(3)]
    try:
        nodes[0].start()
        for node in nodes[1:]:
            node.join(nodes[0])
        with ThreadPoolExecutor() as pool:
            list(pool.map(RabbitNode.start, nodes[1:]))
        for node in nodes:
            node.wait_for_nodes(3)
        yield nodes
    finally:
        for node in nodes:
            node.kill()  # all before the port mapper, which waits for them
        for node in nodes:
            node.remove()


@pytest.fixture
def clustered(
    cluster: list[RabbitNode], sandbox: SandboxClient, tmp_path: Path
) -> Iterator[World]:
    """A world at the first node."""
    yield from opened(World(cluster[0].vhost("cluster"), sandbox, tmp_path))


def test_leader_of_the_lane_queues_killed(clustered: World, cluster: list[RabbitNode]) -> None:
    """A standby at another node goes on at once; the owner comes back by the broker URL."""
    first, second, _ = cluster
    world = clustered
    desk = world.desk("cluster", "kuna", FAST)
    world.worker_url = ";".join(
        world.url.replace(str(first.port), str(node.port)) for node in cluster
    )
    w1 = world.worker("w1").start(ready="lane_owned")
    world.url = world.url.replace(str(first.port), str(second.port))
    world.worker_url = world.url
    w2 = world.worker("w2").start(ready="worker_ready")
    for _ in range(16):
        world.send(desk, world.seed(desk, 10))
    leader = second.manage("GET", "queues/cluster/cancel.cluster.routine")["leader"]
    killed = next(node for node in cluster if node.name == leader)
    killed_at = time.time()
    killed.kill()
    world.hear_all(90)
    (owned,) = w2.events("lane_owned")
    give_up = time.monotonic() + 30
    while len(w1.events("worker_ready")) < 2 and time.monotonic() < give_up:
        time.sleep(0.1)
    w2.stop()
    world.send(desk, world.seed(desk, 1))
    world.hear_all(30)

    found = world.check()
    assert killed is first
    assert datetime.fromisoformat(owned["timestamp"]).timestamp() - killed_at < 10.0
    assert owned["after_another"]
    assert found.clean, found
    assert found.statuses == {"canceled": 161}
