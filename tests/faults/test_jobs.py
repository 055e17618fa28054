"""Jobs that come twice, unnamed, by another road or poisoned: each id ends once and alike."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from tests.chaos.checker import Asked
from tests.support.producer import connect, send
from tests.support.rabbitmq import RabbitNode
from tests.support.world import SYMBOLS, Desk, World
from venues.sandbox.client import SandboxClient


@pytest.fixture(scope="module")
def desks(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world with a worker and a desk for each test."""
    world = World(rabbit.vhost("jobs"), sandbox, tmp_path_factory.mktemp("jobs"))
    world.audit()
    for name in (
        "twice",
        "shared",
        "nameless",
        "astray",
        "celery",
        "patient",
        "neighbour",
        "signed",
        "misspelt",
    ):
        world.desk(name, "ztdx")
    world.desk("long", "kuna")
    world.worker().start(ready="worker_ready")
    yield world
    world.close()


def body(desk: Desk, ids: Sequence[Any], **fields: Any) -> bytes:
    job = {"account": desk.name, "orders": ids, "symbol": SYMBOLS[desk.venue], **fields}
    return json.dumps(job).encode()


def raw(message: Any) -> bytes:
    return message.body if isinstance(message.body, bytes) else str(message.body).encode()


def set_aside(times: int) -> dict[str, Any]:
    """Say how a message comes back that was set aside so often: only by this exchange."""
    return {
        "exchange": "celery_delayed_delivery",
        "application_headers": {"x-cancel-spells": times},
    }


def statuses(world: World, job_id: str) -> set[str]:
    return {told.status for told in world.told if told.body["job_id"] == job_id}


def test_same_job_twice(desks: World) -> None:
    """It is answered again: same message ids, same status, though the work is done."""
    desk = desks.desks["twice"]
    ids = [*desks.seed(desk, 2), *desks.seed(desk, 1, state="filled")]
    for _ in range(2):
        desks.send(desk, ids, job_id="twice")
    desks.hear(lambda: len([t for t in desks.told if t.body["job_id"] == "twice"]) == 6)

    found = desks.check()
    assert found.contradictory == []
    assert found.false == []
    assert statuses(desks, "twice") == {"canceled", "filled"}


def test_a_misspelt_field_is_named_to_its_producer(desks: World) -> None:
    """Also after a retry, whose message has nothing of it any more."""
    desk = desks.desks["misspelt"]
    with connect(desks.url) as connection:
        channel = connection.channel()
        channel.queue_declare("audit.misspelt", durable=True, auto_delete=False)
        channel.queue_bind("audit.misspelt", "cancel.reports", "ztdx.misspelt.#")
    (order_id,) = desks.seed(desk, 1)
    desks.asked.append(Asked("misspelt", desk.venue, order_id))
    desks.sandbox.fault("throttle", api_key=desk.key, retry_after_s=1, times=1)
    order = {"id": order_id, "ordtype": "limit"}
    job = body(desk, [order], job_id="misspelt", requestedBy="desk", tag=None)
    desks.publish("kill.misspelt", job)
    desks.hear_job("misspelt")

    named = ["orders.ordtype", "requestedBy"]
    (accepted,) = desks.lines("job_accepted", job_id="misspelt")
    assert accepted["unknown_fields"] == named
    assert desks.lines("cancel_retry", job_id="misspelt")
    desks.await_lines("job_done", job_id="misspelt")
    (report,) = desks.queue("audit.misspelt")
    assert json.loads(raw(report))["unknown_fields"] == named


def test_two_jobs_for_one_id(desks: World) -> None:
    """A kill and a routine job that share an id both get its status."""
    desk = desks.desks["shared"]
    (shared,) = desks.seed(desk, 1)
    desks.send(desk, [shared], job_id="shared-1")
    desks.send(desk, [shared], job_id="shared-2", priority="kill")
    desks.hear_job("shared-1")
    desks.hear_job("shared-2")

    assert statuses(desks, "shared-1") == statuses(desks, "shared-2") == {"canceled"}
    assert desks.order(desk, shared).canceled_times == 1


def test_job_without_any_name(desks: World) -> None:
    """It is given one before anything is done, so that a redelivery keeps it."""
    desk = desks.desks["nameless"]
    (order_id,) = desks.seed(desk, 1)
    desks.publish("routine.nameless", body(desk, [order_id]))
    desks.hear(lambda: any(t.body["id"] == order_id for t in desks.told))

    (told,) = [t for t in desks.told if t.body["id"] == order_id]
    job_id = told.body["job_id"]
    desks.asked.append(Asked(job_id, desk.venue, order_id))
    assert len(job_id) == 36
    assert told.status == "canceled"
    assert len(desks.await_lines("job_accepted", account="nameless")) == 1


@pytest.mark.parametrize("key", ["routine", "kill", "routine.elsewhere"])
def test_job_that_no_queue_takes(desks: World, key: str) -> None:
    """A bare key is moved to the account's queue; a key of another account is rejected."""
    desk, job_id = desks.desks["astray"], f"astray-{key}"
    (order_id,) = desks.seed(desk, 1)
    desks.publish(key, body(desk, [order_id], job_id=job_id))
    desks.hear(lambda: bool(statuses(desks, job_id)))

    moved = "." not in key
    desks.asked.append(Asked(job_id, desk.venue, order_id if moved else ""))
    assert statuses(desks, job_id) == ({"canceled"} if moved else {"rejected"})


def test_job_of_a_celery_producer(desks: World) -> None:
    """`send_task` is taken; what Celery could add to it (callbacks, expiry) changes nothing."""
    desk = desks.desks["celery"]
    (order_id,) = desks.seed(desk, 1)
    job = json.loads(body(desk, [order_id], job_id="celery"))
    desks.asked.append(Asked("celery", desk.venue, order_id))
    producer = Celery(broker=desks.url)
    producer.conf.task_default_exchange_type = "topic"
    producer.send_task(
        "tasks.cancel_orders",
        kwargs={"job": job},
        exchange="cancel.jobs",
        routing_key="kill.celery",
        expires=3600,
        link=producer.signature("tasks.other"),
        priority=3,
    )
    producer.close()
    desks.hear_job("celery")

    assert statuses(desks, "celery") == {"canceled"}


def test_celery_headers_of_any_kind(desks: World) -> None:
    """What Celery would use as a key or a number need not be one."""
    desk = desks.desks["celery"]
    (order_id,) = desks.seed(desk, 1)
    desks.asked.append(Asked("odd", desk.venue, order_id))
    job = json.loads(body(desk, [order_id], job_id="odd"))
    odd = {"task": "tasks.cancel_orders", "id": [1], "root_id": {}, "retries": "many"}
    desks.publish(
        "kill.celery", json.dumps([[], {"job": job}, {}]).encode(), application_headers=odd
    )
    desks.hear_job("odd")

    assert statuses(desks, "odd") == {"canceled"}


def test_deadline_while_a_retry_waits(desks: World) -> None:
    """A job whose retry waits at the broker is answered at its deadline, not after the wait."""
    desk = desks.desks["patient"]
    desks.sandbox.fault("throttle", api_key=desk.key, retry_after_s=60)
    deadline = datetime.now(UTC) + timedelta(seconds=2.5)
    begin = time.monotonic()
    job_id = desks.send(desk, desks.seed(desk, 2), deadline=deadline.isoformat())
    outcomes = desks.hear_job(job_id)
    took_s = time.monotonic() - begin

    assert {(o["status"], o["reason"]) for o in outcomes.values()} == {("failed", "throttled")}
    assert 2.4 < took_s < 6


FORGED = {"x-cancel-sent-by": "somebody-else"}


@pytest.mark.parametrize("way", ["as it came", "moved", "named anew", "retried", "refused"])
def test_who_sent_a_job_is_told_as_the_broker_checked_it(
    desks: World, rabbit: RabbitNode, way: str
) -> None:
    """Whatever becomes of its message on the way; a header of the producer's counts nothing."""
    trader = rabbit.user("trader", desks.url)
    desk, key = desks.desks["signed"], "kill" if way == "moved" else "kill.signed"
    (order_id,) = desks.seed(desk, 1)
    job_id = None if way == "named anew" else f"signed-{way}"
    job = body(desk, [] if way == "refused" else [order_id], job_id=job_id)
    if way == "retried":
        desks.sandbox.fault("throttle", api_key=desk.key, retry_after_s=1)

    send(trader, [(key, job)], user_id="trader", application_headers=FORGED)
    name = "" if way == "refused" else order_id
    desks.hear(lambda: any(name == t.body["id"] and in_way(t, way) for t in desks.told))

    (told,) = [t for t in desks.told if name == t.body["id"] and in_way(t, way)]
    desks.asked.append(Asked(told.body["job_id"], desk.venue, name))
    assert told.body["sent_by"] == "trader"
    assert desks.await_lines("cancel_outcome", id=name, sent_by="trader")
    assert way != "retried" or desks.await_lines("cancel_retry", job_id=job_id)


def in_way(told: Any, way: str) -> bool:
    return way == "named anew" or bool(told.body["job_id"] == f"signed-{way}")


def test_a_job_that_nobody_signed_is_told_without_a_sender(desks: World) -> None:
    desk = desks.desks["signed"]
    (order_id,) = desks.seed(desk, 1)
    moved = body(desk, [order_id], job_id="unsigned")

    send(desks.url, [("kill", moved)], application_headers=FORGED)
    desks.hear(lambda: bool(desks.outcomes("unsigned")))

    desks.asked.append(Asked("unsigned", desk.venue, order_id))
    assert desks.outcomes("unsigned")[order_id]["sent_by"] == ""


def test_job_that_kills_its_worker(world: World, rabbit: RabbitNode) -> None:
    """It kills no more workers than the limit allows; then its ids are told."""
    desk = world.desk("poison", "ztdx")
    name = world.url.rpartition("/")[2]
    rabbit.policy(name, r"^cancel\.poison\.", **{"delivery-limit": 2})
    world.sandbox.fault("slow", api_key=desk.key, delay_s=30, times=None)
    ids = world.seed(desk, 2)
    job_id = world.send(desk, ids)
    for number in range(3):
        with world.worker(f"w{number}").start(ready="job_accepted"):
            pass
    world.worker("last").start(ready="worker_ready")
    outcomes = world.hear_job(job_id)

    (poison,) = world.queue("cancel.rejected")
    assert json.loads(poison.body)["job_id"] == job_id
    assert poison.headers["x-reason"] == "delivery_limit"
    assert {o["status"] for o in outcomes.values()} == {"unconfirmed"}
    assert world.check().clean


def die(world: World, queue: str) -> None:
    """Take a message of a queue and lose the connection, as a worker that dies."""
    connection, taken = connect(world.url), list[Any]()
    connection.channel().basic_consume(queue, callback=taken.append)
    while not taken:
        connection.drain_events(timeout=10)
    connection.collect()


def test_neighbour_of_a_poisonous_job(world: World) -> None:
    """A job that saw seven workers die waits a while by itself, and is done.

    It waited before, in the very queues that it waits in now.
    """
    desk = world.desk("neighbour", "ztdx")
    (order_id,) = world.seed(desk, 1)
    world.asked.append(Asked("neighbour", desk.venue, order_id))
    waited = [
        {"queue": f"celery_delayed_{n}", "reason": "expired", "count": 1} for n in range(6)
    ]
    job = body(desk, [order_id], job_id="neighbour")
    world.publish("kill.neighbour", job, application_headers={"x-death": waited})
    for _ in range(7):
        die(world, "cancel.neighbour.kill")
    world.worker().start()
    world.hear_job("neighbour", 40)

    assert statuses(world, "neighbour") == {"canceled"}
    assert len(world.await_lines("job_set_aside")) == 1


def test_a_long_job_that_its_worker_survives(desks: World) -> None:
    """Fourteen died over it; one that lives with it puts it back, and all that is forgotten."""
    desk = desks.desks["long"]
    desks.sandbox.fault("lying_success", api_key=desk.key, path_contains="cancel", times=2)
    desks.sandbox.fault("slow", api_key=desk.key, delay_s=0.7, times=None)
    (order_id,) = desks.seed(desk, 1)
    desks.asked.append(Asked("long", desk.venue, order_id))
    desks.publish("kill.long", body(desk, [order_id], job_id="long"), **set_aside(2))
    desks.hear_job("long", 60)

    assert statuses(desks, "long") == {"canceled"}
    whys = [line["why"] for line in desks.lines("cancel_retry", job_id="long")]
    assert whys.count("held_long") == 1


def test_job_that_saw_twenty_workers_die(desks: World) -> None:
    """It is given up before the next one: told as unconfirmed, and shown to people."""
    desk = desks.desks["neighbour"]
    (order_id,) = desks.seed(desk, 1)
    desks.asked.append(Asked("twenty", desk.venue, order_id))
    desks.publish("kill.neighbour", body(desk, [order_id], job_id="twenty"), **set_aside(3))
    desks.hear_job("twenty")

    assert statuses(desks, "twenty") == {"unconfirmed"}
    assert desks.requests(desk)[-1].ids != [order_id]
    assert [
        m.headers["x-reason"] for m in desks.queue("cancel.rejected") if b"twenty" in raw(m)
    ]


def test_given_up_after_a_part_was_told(desks: World) -> None:
    """What a worker told before it died stands; only the rest is unconfirmed."""
    desk = desks.desks["neighbour"]
    ids = desks.seed(desk, 2)
    desks.asked += [Asked("part", desk.venue, order_id) for order_id in ids]
    told = desks.outcomes("twenty").popitem()[1] | {"job_id": "part", "id": ids[0]}
    told |= {"status": "failed", "reason": "still_open"}
    desks.publish(
        f"{desk.venue}.{desk.name}.failed",
        json.dumps(told).encode(),
        exchange="cancel.outcomes",
        message_id=f"part/{ids[0]}",
    )
    desks.publish("kill.neighbour", body(desk, ids, job_id="part"), **set_aside(3))
    desks.hear_job("part")

    assert {i: o["status"] for i, o in desks.outcomes("part").items()} == {
        ids[0]: "failed",
        ids[1]: "unconfirmed",
    }
    (line,) = desks.await_lines("cancel_outcome", job_id="part", id=ids[0])
    assert line["reason"] == "still_open"


def test_every_name_is_true(desks: World) -> None:
    """Over all jobs of this file nothing is lost, contradictory or false."""
    found = desks.check()

    assert found.clean, found
