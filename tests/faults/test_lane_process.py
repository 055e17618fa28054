"""The processes of one worker: any dies or stands still, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.support.world import World

FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'
#: Slow enough that many ids still wait when the broker has noticed a silence.
SLOW = 'quotas = {account = "10/1s", cancel_batch = "1/2s", lookup = "10/1s"}'


def test_a_lane_process_is_killed(world: World) -> None:
    """The worker ends with a line for people, and another one does what is left."""
    desks = [world.desk(f"half-{number}", "kuna", FAST) for number in range(2)]
    for desk in desks * 6:
        world.send(desk, world.seed(desk, 20))
    first = world.worker("w1").start(ready="venue_request")
    second = world.worker("w2").start()
    first.lane_processes()[0].kill()
    code = first.wait(10)
    world.hear_all(60)

    found = world.check()
    assert code == os.EX_SOFTWARE
    line = first.log.with_suffix(".err").read_text()
    assert "cancel-worker: its lane process lanes-" in line, line
    assert "Traceback" not in line
    assert second.events("lane_owned"), "the first worker was through before"
    assert found.clean, found
    assert found.statuses == {"canceled": 240}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_worker(world: World, number: signal.Signals) -> None:
    """However the worker ends, nothing of it sends any more."""
    desks = [world.desk(f"alone-{number.name.lower()}-{n}", "kuna", SLOW) for n in range(2)]
    for desk in desks * 4:
        world.send(desk, world.seed(desk, 20))
    worker = world.worker("w1").start(ready="venue_request")
    children = worker.lane_processes()
    assert children
    assert worker.process is not None
    worker.process.send_signal(number)
    worker.wait()
    time.sleep(1.0)

    # Where process 1 does not wait for orphans, what has ended stays listed as a zombie.
    left = [child for child in children if child.is_running()]
    assert {child.status() for child in left} <= {psutil.STATUS_ZOMBIE}
    sent = len(world.sandbox.requests())
    time.sleep(1.0)
    assert len(world.sandbox.requests()) == sent


def test_a_signal_to_all_processes_is_the_parents(world: World) -> None:
    """A terminal or a supervisor signals all at once: what is in flight is finished."""
    desk = world.desk("all", "kuna", SLOW)
    for _ in range(4):
        world.send(desk, world.seed(desk, 20))
    worker = world.worker("w1").start(ready="venue_request")
    for child in worker.lane_processes():
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGINT)
    code = worker.stop()
    world.worker("w2").start()
    world.hear_all(60)

    found = world.check()
    assert code == 0
    assert found.clean, found
    assert found.duplicates == 0
    assert found.statuses == {"canceled": 80}


def test_a_worker_that_stands_still_gives_way(world: World) -> None:
    """Its lanes cease to send before the broker gives them to another worker."""
    desk = world.desk("frozen", "kuna", SLOW)
    for _ in range(12):
        world.send(desk, world.seed(desk, 20))
    first = world.worker("w1").start(ready="venue_request")
    second = world.worker("w2").start()
    time.sleep(1.0)
    assert first.process is not None
    first.process.send_signal(signal.SIGSTOP)
    time.sleep(7.0)
    before = len(world.sandbox.requests())
    time.sleep(1.5)
    silent = len(world.sandbox.requests()) == before
    owned = bool(second.events("lane_owned"))
    world.hear(lambda: bool(second.events("venue_request")), 40)
    first.process.send_signal(signal.SIGCONT)
    world.hear_all(90)

    found = world.check()
    assert silent or owned
    assert found.clean, found
    assert set(found.statuses) <= {"canceled", "closed"}
    for use in world.sandbox.limits(venue="kuna", api_key=desk.key):
        assert use.throttled == 0, use
