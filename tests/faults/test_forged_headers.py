"""What a producer's message says of its own past is not believed; what the broker says is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.world import Desk, World
from worker.amqp import topology
from worker.jobs.poison import QUARANTINES


def ask(
    world: World, desk: Desk, job_id: str, *more: Any, key: str = "", **properties: Any
) -> None:
    """Publish a kill of one order, and of `more` elements, with these properties."""
    orders = [*world.seed(desk, 1), *more]
    world.ask(desk, job_id, orders)
    job = {"job_id": job_id, "account": desk.name, "orders": orders}
    world.publish(key or f"kill.{desk.name}", json.dumps(job).encode(), **properties)


@pytest.mark.parametrize(
    "headers",
    [{"x-delivery-count": 20}, {QUARANTINES: 3}, {"x-death": [{"reason": "delivery_limit"}]}],
)
def test_a_job_that_claims_to_have_killed_workers_is_done(
    world: World, headers: dict[str, Any]
) -> None:
    """Somebody moved it from another queue, with all headers that it had there."""
    desk = world.desk("moved", "kuna")
    ask(world, desk, "moved", application_headers=headers)
    worker = world.worker().start()
    (outcome,) = world.hear_job("moved").values()

    assert (outcome["status"], outcome["reason"]) == ("canceled", "")
    assert not worker.events("job_set_aside")


@pytest.mark.parametrize("key", ["", "kill"])
def test_a_job_that_expired_unseen_has_failed(world: World, key: str) -> None:
    """No cancel was sent, so nobody need look at the venue for what became of it.

    So it is where its key is the priority alone, and no worker came to move it to its lane.
    """
    desk = world.desk("expired-unseen", "kuna")
    ask(world, desk, "late", None, key=key, expiration="50")
    time.sleep(0.5)
    world.worker().start()
    unreadable, outcome = world.hear_job("late").values()

    assert (unreadable["id"], unreadable["status"]) == ("orders[1]", "rejected")
    assert (outcome["status"], outcome["reason"]) == ("failed", "expired")
    assert outcome["attempts"] == 0
    assert world.requests(desk) == []
    (rejected,) = world.queue(topology.REJECTED)
    assert rejected.headers["x-reason"] == "expired"


def test_a_job_that_expired_unseen_is_told_whatever_deaths_it_claims(world: World) -> None:
    """But that it has died in `cancel.dead`: RabbitMQ 3 drops that one (docs/contract.md)."""
    desk = world.desk("expired-again", "kuna")
    died = {"queue": "cancel.expired-again.kill", "count": 99, "reason": "delivery_limit"}
    forged = {"x-death": [died], "x-delivery-count": 20, QUARANTINES: 3}
    ask(world, desk, "again", expiration="50", application_headers=forged)
    time.sleep(0.5)
    world.worker().start()
    (outcome,) = world.hear_job("again").values()

    assert (outcome["status"], outcome["reason"]) == ("failed", "expired")


def test_a_job_that_may_expire_is_done_in_time(world: World) -> None:
    """It is begun without its expiration, so that it cannot expire after its worker's death."""
    desk = world.desk("in-time", "kuna")
    world.sandbox.fault("slow", api_key=desk.key, delay_s=3, times=1)
    first = world.worker("w1").start(ready="lane_owned")
    ask(world, desk, "in-time", expiration="1000")
    assert world.await_lines("venue_request") or world.await_lines("job_accepted")
    time.sleep(1.0)
    first.kill()
    world.worker("w2").start()
    (outcome,) = world.hear_job("in-time").values()

    assert outcome["status"] == "canceled"


def test_all_that_is_known_of_a_large_job_goes_to_the_next_worker(world: World) -> None:
    """What a retry carries is larger than any job may be."""
    desk = world.desk("large", "coinw")
    ids = world.seed(desk, 4000)
    first = world.worker("w1").start(ready="lane_owned")
    world.send(desk, ids)
    assert world.await_lines("venue_request")
    assert first.stop() == 0
    assert first.events("cancel_retry")
    world.worker("w2").start(ready="venue_request")
    assert world.lines("job_rejected") == []
