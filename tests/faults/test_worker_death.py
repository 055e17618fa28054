"""A worker that dies or is told to stop loses nothing, and says nothing that is not so."""

from __future__ import annotations

import random
import time

import pytest

from tests.support.world import World

#: The sandbox's own limits: Kuna's table is more careful, and slower.
FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'


def test_killed_at_any_moment(world: World) -> None:
    """kill -9 while ids wait, fly and are reported: each still gets its one final status."""
    coinw, kuna = world.desk("killed-coinw"), world.desk("killed-kuna", "kuna", FAST)
    for desk in [coinw] * 6 + [kuna] * 2:
        world.send(desk, world.seed(desk, 20))
    dice = random.Random(4)
    for number in range(3):
        with world.worker(f"w{number}").start(ready="job_accepted"):
            time.sleep(dice.uniform(0.0, 1.0))
    world.worker("last").start()
    world.hear_all(60)

    found = world.check()
    assert found.clean, found
    # CoinW has no record of them: a worker that did not see them open cannot know more.
    assert found.statuses["closed"] + found.statuses["not_found"] == 120
    assert found.statuses["canceled"] == 40


def test_told_to_stop_under_load(world: World) -> None:
    """SIGTERM: what is in flight is finished, the rest goes back, and the exit is quick."""
    desk = world.desk("stopped", "kuna", FAST)
    for _ in range(6):
        world.send(desk, world.seed(desk, 20))
    first = world.worker("w1").start(ready="venue_request")
    time.sleep(0.5)
    begin = time.monotonic()
    code = first.stop()
    took_s = time.monotonic() - begin
    answered = len(world.lines("cancel_outcome"))
    world.worker("w2").start()
    world.hear_all(90)

    found = world.check()
    assert code == 0
    assert took_s < 6
    assert answered < 120, "the worker was through before it was told to stop"
    assert found.clean, found
    assert found.duplicates == 0
    assert found.statuses == {"canceled": 120}


def test_told_to_stop_amid_a_long_request_it_hands_a_job_on_once(world: World) -> None:
    """Two heartbeats pass meanwhile: the worker goes on with them, and lets its message go."""
    desk = world.desk("long", "kuna", FAST, timeout_s=30)
    world.sandbox.fault("slow", api_key=desk.key, path_contains="cancel", delay_s=16, times=1)
    world.send(desk, world.seed(desk, 2))
    first = world.worker("w1").start()
    world.await_fault()
    code = first.stop()
    second = world.worker("w2").start()
    world.hear_all(60)

    found = world.check()
    assert (code, found.statuses) == (0, {"canceled": 2})
    assert found.clean, found
    assert world.lines("cancel_retry", why="stopping")
    assert not second.events("job_accepted"), "the message of the first try came once more"


@pytest.mark.parametrize("moment", ["worker_ready", "lane_owned", "job_accepted"])
def test_told_to_stop_while_it_starts(world: World, moment: str) -> None:
    """SIGTERM while lanes are still being taken: none of them begins to send."""
    for number in range(4):
        desk = world.desk(f"{moment}-{number}".replace("_", "-"), "kuna")
        for _ in range(4):
            world.send(desk, world.seed(desk, 20))
    worker = world.worker("w1").start(ready=moment)
    begin = time.monotonic()
    code = worker.stop()

    assert code == 0
    assert time.monotonic() - begin < 6


def test_the_first_word_stands(world: World) -> None:
    """A worker dies in the middle of a job; the next one does not know what that one saw."""
    desk = world.desk("half-told", "coinw", 'quotas = {cancel_batch = "1/2s"}')
    job_id = world.send(desk, world.seed(desk, 60))
    first = world.worker("w1").start()
    world.hear(lambda: len(world.outcomes(job_id)) >= 20)
    first.kill()
    told = {one.message_id for one in world.told}
    world.worker("w2").start()
    world.hear_all(30)
    world.hear(lambda: bool(world.lines("job_done", job_id=job_id)))

    found = world.check()
    assert found.clean, found
    assert len(told) < 60, "the worker was through before it was killed"
    seen = [outcome for outcome in world.told if outcome.message_id in told]
    assert {outcome.status for outcome in seen} == {"closed"}
    again = [line for line in world.lines("cancel_outcome") if f"{job_id}/{line['id']}" in told]
    assert len(again) >= 2 * len(told), "the second worker did not tell them again"
