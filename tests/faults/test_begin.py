"""A new job's ids leave before Celery starts its task, and what is revoked is answered, too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from celery import Celery

from tests.chaos.checker import Asked
from tests.support.world import SYMBOLS, Desk, World
from worker.consumer.task_message import TASK


def celery(world: World) -> Any:
    """Return an application as a producer, or whoever watches the worker, would use it."""
    app = Celery(broker=world.url)
    app.conf.task_default_exchange_type = "topic"
    return app


def send_task(world: World, desk: Desk, ids: Sequence[str], task_id: str) -> None:
    """Send a job as a Celery producer does, which knows the id of its task."""
    job = {"job_id": task_id, "account": desk.name, "orders": ids}
    celery(world).send_task(
        TASK,
        kwargs={"job": job | {"symbol": SYMBOLS[desk.venue]}},
        task_id=task_id,
        exchange="cancel.jobs",
        routing_key=f"routine.{desk.name}",
    )


def seen(world: World, desk: Desk, timeout_s: float) -> bool:
    """Say whether the venue sees a request of the desk in time."""
    give_up = time.monotonic() + timeout_s
    while not (found := world.requests(desk)) and time.monotonic() < give_up:
        time.sleep(0.05)
    return bool(found)


def test_ids_wait_for_no_thread(world: World) -> None:
    """With one thread for tasks, a job leaves while another one's venue keeps it waiting."""
    held, free = world.desk("held", "ztdx"), world.desk("free", "ztdx")
    world.sandbox.fault("slow", api_key=held.key, delay_s=4.0)
    world.worker("w1", "--concurrency", "1").start()
    world.send(held, world.seed(held, 1), job_id="held")
    assert seen(world, held, 5.0)
    world.send(free, world.seed(free, 2), job_id="free")

    assert seen(world, free, 2.0)
    assert world.lines("job_accepted", job_id="free") == []
    world.hear_all()
    assert {told.status for told in world.told} == {"canceled"}


def test_no_rate_limit_holds_a_job(world: World) -> None:
    """Celery's own limit (`celery control rate_limit`) is refused: kills would wait, too."""
    desk = world.desk("limited", "ztdx")
    world.worker().start(ready="lane_owned")
    celery(world).control.rate_limit(TASK, "1/h", reply=True, timeout=1.0)
    for _ in range(3):
        world.send(desk, world.seed(desk, 1))

    world.hear_all(10.0)
    assert {told.status for told in world.told} == {"canceled"}


def test_revoked_before_it_came(world: World) -> None:
    """Nothing is sent for it, and the job is answered as a whole."""
    desk = world.desk("early", "ztdx")
    world.worker().start(ready="lane_owned")
    celery(world).control.revoke("early", reply=True, timeout=1.0)
    (order_id,) = world.seed(desk, 1)
    world.asked.append(Asked("early", desk.venue, ""))
    send_task(world, desk, [order_id], "early")
    world.hear_all()

    (told,) = world.told
    assert (told.status, told.body["id"], told.body["reason"]) == ("rejected", "", "revoked")
    assert world.requests(desk) == []
    assert world.order(desk, order_id).state == "open"


def test_revoked_while_its_retry_waits(world: World) -> None:
    """Each id is answered, and not as canceled: nobody looked what became of it."""
    desk = world.desk("late", "ztdx")
    world.sandbox.fault("throttle", api_key=desk.key, retry_after_s=3)
    world.worker().start(ready="lane_owned")
    ids = world.seed(desk, 2)
    world.asked += [Asked("late", desk.venue, order_id) for order_id in ids]
    send_task(world, desk, ids, "late")
    world.workers[0].await_event("cancel_retry", "late")
    celery(world).control.revoke("late", reply=True, timeout=1.0)
    outcomes = world.hear_job("late")

    said = {(outcome["status"], outcome["reason"]) for outcome in outcomes.values()}
    assert said == {("unconfirmed", "revoked")}
    assert len(world.requests(desk)) == 1
