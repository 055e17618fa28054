"""Accounts that somebody paused, with real workers: what waits, what leaves, what survives."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import amqp
import requests

from tests.faults.conftest import opened
from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode, free_port
from tests.support.world import Desk, World
from venues.sandbox.client import SandboxClient
from venues.words import Priority
from worker.amqp import topology
from worker.jobs.pauses import RENEWED_AFTER

FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'
#: RabbitMQ 3.10 forgets for good a stream that was declared some tenths of a second before it
#: is killed, as its directory of streams is not on the disk yet (seconds).
WRITTEN_S = 1.5
#: So long nothing leaves before we believe that nothing will.
STILL_S = 1.5


def say(world: World, action: str, desk: Desk, **words: Any) -> None:
    """Publish a word on an account, as `cancel-worker pause` does."""
    body = {"action": action, "account": desk.name, "reason": "a test"} | words
    given = {"exchange": topology.PAUSES, "user_id": "guest"}
    world.publish("", json.dumps(body).encode(), **given)


def are_open(world: World, desk: Desk, ids: list[str]) -> bool:
    return not any(world.order(desk, one).canceled_at_s for one in ids)


def test_routine_jobs_wait_over_restarts_and_kills_leave(world: World) -> None:
    """The word is heard by a worker that runs, and by one that starts later."""
    desk = world.desk("paused", "kuna", FAST)
    other = world.desk("not-paused", "kuna", FAST)
    first, port = world.worker("w1"), free_port()
    first.set("CANCEL_METRICS", f"127.0.0.1:{port}")
    first.start()
    say(world, "pause", desk, requested_by="ops-1", at="2026-11-21T09:25:00.000Z")
    (line,) = world.await_lines("routine_paused")

    ids = world.seed(desk, 5)
    waiting = world.send(desk, ids)
    killed = world.send(desk, world.seed(desk, 3), priority="kill")
    flowing = world.send(other, world.seed(other, 3))

    assert {one["status"] for one in world.hear_job(killed).values()} == {"canceled"}
    assert {one["status"] for one in world.hear_job(flowing).values()} == {"canceled"}
    time.sleep(STILL_S)
    assert are_open(world, desk, ids)
    figures = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    for account, paused in (desk.name, "1.0"), (other.name, "0.0"):
        assert f'cancel_routine_paused{{account="{account}",venue="kuna"}} {paused}' in figures
    assert (line["requested_by"], line["sent_by"]) == ("ops-1", "guest")
    assert (line["account"], line["reason"]) == (desk.name, "a test")

    first.stop()
    second = world.worker("w2").start()
    killed = world.send(desk, ids[:1], priority="kill")
    assert {one["status"] for one in world.hear_job(killed).values()} == {"canceled"}
    time.sleep(STILL_S)
    assert are_open(world, desk, ids[1:])
    second.kill()
    world.worker("w3").start()
    time.sleep(STILL_S)
    assert are_open(world, desk, ids[1:])

    say(world, "resume", desk)
    told = world.hear_job(waiting)
    assert {one["status"] for one in told.values()} == {"canceled"}
    assert world.check().clean


def test_at_its_deadline_a_job_is_told_that_its_account_is_paused(world: World) -> None:
    desk = world.desk("told", "kuna", FAST)
    world.worker().start()
    say(world, "pause", desk)
    world.await_lines("routine_paused")
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    ids = world.seed(desk, 2)
    jobs = [world.send(desk, [one], deadline=soon) for one in ids]

    for job_id in jobs:
        (told,) = world.hear_job(job_id).values()
        assert (told["status"], told["reason"]) == ("failed", "routine_paused")
    assert are_open(world, desk, ids)


def test_many_jobs_wait_at_the_broker_and_all_leave_when_it_is_resumed(world: World) -> None:
    """The worker takes few of them in, so that neither threads nor memory run out."""
    desk = world.desk("many", "kuna", FAST)
    say(world, "pause", desk)
    world.worker().start()
    jobs = [world.send(desk, [one]) for one in world.seed(desk, 60)]
    time.sleep(STILL_S)
    with connect(world.url) as connection:
        queue = topology.lane_queue_name(desk.name, Priority.ROUTINE)
        _, waiting, _ = connection.channel().queue_declare(queue, passive=True)
    assert waiting >= 60 - 16

    say(world, "resume", desk)
    for job_id in jobs:
        assert {one["status"] for one in world.hear_job(job_id).values()} == {"canceled"}


def test_what_is_no_word_on_an_account_is_named_and_changes_nothing(world: World) -> None:
    desk = world.desk("said", "kuna", FAST)
    world.worker().start()
    given = {"exchange": topology.PAUSES}
    for body in (b"\xff", b"[]", b'{"action": "stop", "account": "said"}'):
        world.publish("", body, **given)
    say(world, "pause", Desk("elsewhere", "kuna"))
    job = world.send(desk, world.seed(desk, 2))

    assert {one["status"] for one in world.hear_job(job).values()} == {"canceled"}
    world.hear(lambda: len(world.lines("pause_not_read")) == 3)
    said = [line["detail"] for line in world.lines("pause_not_read")]
    assert said == [
        "the body is not UTF-8",
        "message: Input should be a valid dictionary or instance of PauseMessage",
        "action: Input should be 'pause' or 'resume'",
    ]
    assert not world.lines("routine_paused")


def test_a_pause_is_renewed_before_the_stream_drops_it(world: World) -> None:
    """Words on other accounts, and their marks, would push it out one day."""
    desk = world.desk("old", "kuna", FAST)
    say(world, "pause", desk)
    other = {"action": "resume", "account": "elsewhere", "reason": "x" * 250}
    body = json.dumps(other | {"requested_by": "y" * 250, "not_read": "z" * 3000}).encode()
    with connect(world.url) as connection:
        channel = connection.channel()
        for _ in range(RENEWED_AFTER // len(body) + 1):
            channel.basic_publish(amqp.Message(body), topology.PAUSES, "")
        heard, _, _ = channel.queue_declare("", exclusive=True)
        channel.queue_bind(heard, topology.PAUSES)
        world.worker().start(ready="lane_owned")
        world.worker("w2").start()  # its mark wakes the owner
        give_up = time.monotonic() + 10
        while (copy := channel.basic_get(heard)) is None or not copy.body:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        time.sleep(STILL_S)
        assert not any(one.body for one in iter(lambda: channel.basic_get(heard), None))

    assert json.loads(copy.body)["account"] == desk.name
    assert copy.headers["x-cancel-sent-by"] == "guest"
    job = world.send(desk, world.seed(desk, 1))
    say(world, "resume", desk)
    assert {one["status"] for one in world.hear_job(job).values()} == {"canceled"}


def test_the_broker_dies_and_the_account_stays_paused(
    tmp_path: Path, sandbox: SandboxClient
) -> None:
    """What was said is on the broker's disk; a worker that lost it hears it anew."""
    with RabbitNode() as node:
        world = World(node.vhost("pauses"), sandbox, tmp_path)
        for _ in opened(world):
            desk = world.desk("kept", "kuna", FAST)
            worker = world.worker().start()
            say(world, "pause", desk)
            world.await_lines("routine_paused")
            ids = world.seed(desk, 2)
            waits = world.send(desk, ids)
            time.sleep(WRITTEN_S)
            node.kill()
            node.start()
            killed = world.send(desk, world.seed(desk, 2), priority="kill")

            assert {one["status"] for one in world.hear_job(killed, 60).values()} == {
                "canceled"
            }
            time.sleep(STILL_S)
            assert are_open(world, desk, ids)
            assert len(worker.events("routine_paused")) == 1
            say(world, "resume", desk)
            told = world.hear_job(waits)
            assert {one["status"] for one in told.values()} == {"canceled"}
