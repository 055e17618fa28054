"""Thousands of jobs of one id: few tasks, no bound by tasks, and each job stands by itself."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.bench.producers import flood
from tests.support.producer import connect
from tests.support.world import EVENTS, Desk, World
from venues.words import Priority
from worker.amqp.topology import lane_queue_name
from worker.consumer.task_message import TASK

#: The sandbox's own limits: Kuna's table is more careful, and slower.
FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'
#: So slow that ids wait in the worker.
SLOW = 'quotas = {account = "1/60s", cancel_batch = "1/60s", lookup = "1/60s"}'


def send_each(world: World, desk: Desk, count: int, priority: str = "routine") -> list[str]:
    """Send so many jobs of one id each; return their ids."""
    ids = world.seed(desk, count)
    for order_id in ids:
        world.ask(desk, f"job-{order_id}", [order_id])
    posts = [
        (
            f"{priority}.{desk.name}",
            {"job_id": f"job-{one}", "account": desk.name, "orders": [one]},
        )
        for one in ids
    ]
    flood(world.url, posts)
    return ids


def ready(world: World, desk: Desk, priority: Priority = Priority.ROUTINE) -> int:
    """Return how many messages of a lane the broker has handed to nobody."""
    with connect(world.url) as connection:
        name = lane_queue_name(desk.name, priority)
        return int(connection.channel().queue_declare(name, passive=True).message_count)


def waits_until(world: World, desk: Desk, most: int, timeout_s: float = 30.0) -> int:
    """Wait until at most so many messages are ready; return how many are."""
    give_up = time.monotonic() + timeout_s
    while (found := ready(world, desk)) > most and time.monotonic() < give_up:
        time.sleep(0.2)
    return found


def _events(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a message, which holds one or several."""
    found = json.loads(body)
    return found if isinstance(found, list) else [found]


def test_jobs_that_come_together_share_a_task(world: World) -> None:
    desk = world.desk("together", "kuna", FAST)
    world.watch()
    send_each(world, desk, 200)
    world.worker("w1", "-E").start()
    world.hear_all(60)

    found = world.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 200}
    assert len(world.await_lines("job_accepted")) == 200
    events = [event for message in world.queue(EVENTS) for event in _events(message.body)]
    shown = [event["name"] for event in events if event["type"] == "task-received"]
    assert 1 <= len(shown) <= 20
    assert any(" jobs, " in name for name in shown)
    world.workers[0].stop()
    assert ready(world, desk) == 0


def test_each_job_is_let_go_by_itself(world: World) -> None:
    """A worker that dies brings back only the jobs that were not answered."""
    desk = world.desk("alone", "kuna", FAST)
    send_each(world, desk, 400)
    first = world.worker("w1").start(ready="job_done")
    time.sleep(0.5)
    first.kill()
    done = {line["job_id"] for line in first.lines() if line["event"] == "job_done"}
    second = world.worker("w2").start()
    world.hear_all(90)

    found = world.check()
    assert found.clean, found
    again = {line["job_id"] for line in second.lines() if line["event"] == "job_accepted"}
    assert done
    assert len(done & again) <= 25, "one request's jobs, whose messages were being let go"
    assert len(again) < 400


def test_a_worker_knows_more_jobs_than_it_has_threads(world: World) -> None:
    desk = world.desk("many", "kuna", SLOW)
    send_each(world, desk, 3000)
    world.worker("w1", "--concurrency", "4").start()

    assert waits_until(world, desk, 0) == 0


def test_told_to_stop_it_leaves_the_jobs_that_wait_to_the_broker(world: World) -> None:
    """To publish each again takes minutes, in which nobody serves the lane."""
    desk = world.desk("left", "kuna", SLOW)
    send_each(world, desk, 3000)
    worker = world.worker("w1").start()
    assert waits_until(world, desk, 0) == 0
    code = worker.stop()

    begun = len(world.lines("cancel_retry"))
    assert (code, begun < 100) == (0, True)
    assert 3000 - begun <= ready(world, desk) <= 3000


def test_killed_while_it_hands_jobs_on_none_is_lost_or_contradicted(world: World) -> None:
    desk = world.desk("amid", "kuna", FAST)
    send_each(world, desk, 200)
    world.sandbox.fault("slow", api_key=desk.key, path_contains="cancel", delay_s=3, times=None)
    first = world.worker("w1").start()
    world.await_fault()
    assert first.process is not None
    first.process.terminate()
    while not first.events("cancel_retry"):
        assert first.process.poll() is None, "it ended, and had nothing to hand on"
        time.sleep(0.01)
    first.kill()
    world.sandbox.clear_faults()
    world.worker("w2").start()
    world.hear_all(90)

    found = world.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 200}


def test_beyond_its_bound_the_broker_keeps_the_rest_and_a_kill_gets_in(world: World) -> None:
    desk = world.desk("bounded", "kuna", SLOW)
    send_each(world, desk, 4000)
    worker = world.worker()
    worker.set("CANCEL_HELD_IDS", "500")
    worker.start()
    time.sleep(3.0)
    left = ready(world, desk)
    kill = send_each(world, desk, 1, "kill")
    give_up = time.monotonic() + 5.0
    while not world.lines("job_accepted", job_id=f"job-{kill[0]}"):
        assert time.monotonic() < give_up, "the kill does not get in"
        time.sleep(0.05)

    assert left >= 4000 - 500 - 2048
    assert ready(world, desk) == left


def test_a_fault_in_one_job_costs_no_other(world: World) -> None:
    """A retry whose progress nobody can read lies among others of its lane."""
    desk = world.desk("faulty", "kuna", FAST)
    (broken,) = world.seed(desk, 1)
    kwargs = {
        "job": {"job_id": "broken", "account": desk.name, "orders": [broken]},
        "progress": {"no": "progress"},
    }
    body = json.dumps([[], kwargs, {}]).encode()
    headers = {"task": TASK, "id": "broken"}
    world.publish(f"routine.{desk.name}", body, application_headers=headers, user_id="guest")
    send_each(world, desk, 50)
    world.worker().start()
    world.hear_all(60)

    assert world.check().statuses == {"canceled": 50}
    (line,) = world.await_lines("job_rejected", job_id="broken")
    assert line["reason"] == "rejected"
    assert world.lines("job_failed")


@pytest.mark.parametrize("expiration", [None, "60000"], ids=["as sent", "sent on by a worker"])
def test_what_a_producer_says_of_earlier_tries_is_not_believed(
    world: World, expiration: str | None
) -> None:
    """Only workers know what was done: a job that a producer has begun begins anew."""
    name = "told" if expiration is None else "told-on"
    desk = world.desk(name, "kuna", FAST)
    (order,) = world.seed(desk, 1)
    job = {"job_id": name, "account": desk.name, "orders": [order]}
    body = json.dumps([[], {"job": job, "progress": {"no": "progress"}}, {}]).encode()
    properties = {"expiration": expiration} if expiration else {}
    headers = {"task": TASK, "id": name, "x-cancel-sent-by": "guest"}
    world.publish(f"routine.{desk.name}", body, application_headers=headers, **properties)
    world.ask(desk, name, [order])
    world.worker().start()
    world.hear_all(60)

    assert world.check().statuses == {"canceled": 1}


@pytest.mark.parametrize("priority", ["routine", "kill"])
def test_a_refusal_for_rate_has_each_job_go_again_by_itself(
    world: World, priority: str
) -> None:
    desk = world.desk("refused", "kuna", FAST)
    send_each(world, desk, 30, priority)
    world.sandbox.fault("throttle", api_key=desk.key, retry_after_s=2)
    world.worker().start()
    world.hear_all(60)

    found = world.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 30}
    retries = [line["job_id"] for line in world.lines("cancel_retry")]
    assert retries
    assert len(retries) == len(set(retries))
