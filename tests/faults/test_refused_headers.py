"""What a producer may write into headers, and no connection carries a second time."""

from __future__ import annotations

import json
import time
from typing import Any

import amqp

from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode
from tests.support.raw import HEADERS, MESSAGE_ID, nested, raw, short
from tests.support.world import World
from worker.amqp import topology

#: Each is taken by the broker; with three headers more they do not fit a frame.
NEARLY_A_FRAME = {"trace": "x" * 130_900}
BAD: dict[str, amqp.Message] = {
    "almost a frame": amqp.Message(b"almost a frame", application_headers=NEARLY_A_FRAME),
    "700 levels": raw(b"700 levels", HEADERS, nested(700)),
    "900 levels": raw(b"900 levels", HEADERS, nested(900)),
    "long id": raw(b"long id", MESSAGE_ID, short(b"\xff" * 200)),
}


def publish(world: World, key: str, *messages: amqp.Message) -> None:
    with connect(world.url) as connection:
        for message in messages:
            connection.channel().basic_publish(message, topology.JOBS, key)


def rejected(world: World, count: int, timeout_s: float = 20.0) -> dict[str, Any]:
    give_up = time.monotonic() + timeout_s
    while len(world.queue(topology.REJECTED)) < count and time.monotonic() < give_up:
        time.sleep(0.1)
    found = world.queue(topology.REJECTED)
    assert len(found) == count
    return {bytes(message.body).decode(): message.headers for message in found}


def test_a_message_that_no_connection_carries_costs_itself(world: World) -> None:
    """It is rejected without its headers, once, and no outcome of another job waits for it."""
    desk = world.desk("refused", "kuna")
    worker = world.worker("w1").start(ready="lane_owned")
    publish(world, f"kill.{desk.name}", *BAD.values())
    for _ in range(10):
        world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear_all(20)

    found = rejected(world, len(BAD))
    assert found.keys() == BAD.keys()
    assert {headers["x-reason"] for headers in found.values()} == {"not_json"}
    for name in ("almost a frame", "700 levels"):
        assert "left out" in found[name]["x-detail"]
        assert found[name]["x-routing-key"] == f"kill.{desk.name}"
    assert not worker.events("publisher_reconnects")
    assert worker.stop() == 0
    again = world.worker("w2").start(ready="lane_owned")
    world.send(desk, world.seed(desk, 1))
    world.hear_all()
    assert not again.events("job_rejected")


def test_a_job_without_a_name_is_done_without_its_headers(world: World) -> None:
    """A name is one property more, so the job no longer fits the frame; it is a kill."""
    desk = world.desk("nameless", "kuna")
    world.worker().start(ready="lane_owned")
    (order,) = world.seed(desk, 1)
    job = json.dumps({"account": desk.name, "orders": [order]}).encode()
    full = {"trace": "x" * 131_026}
    publish(world, f"kill.{desk.name}", amqp.Message(job, application_headers=full))
    world.hear(lambda: bool(world.told))

    assert [told.body["status"] for told in world.told] == ["canceled"]
    assert [line["why"] for line in world.lines("headers_left_out")] == ["TooLarge"]


def test_what_cannot_be_published_at_all_is_left_to_the_broker(
    world: World, rabbit: RabbitNode
) -> None:
    """Somebody deletes `cancel.rejected`: the message is kept, and all others are done."""
    desk = world.desk("no-exit", "kuna")
    worker = world.worker().start(ready="lane_owned")
    with connect(world.url) as connection:
        connection.channel().exchange_delete(topology.REJECTED)
    nameless = [{"account": desk.name, "orders": world.seed(desk, 1)} for _ in range(3)]
    messages = [b"no job", *(json.dumps(job).encode() for job in nameless)]
    publish(world, f"kill.{desk.name}", *map(amqp.Message, messages))
    for _ in range(10):
        world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear(lambda: len({told.message_id for told in world.told}) == 13, 15)
    dead = f"queues/{world.url.rpartition('/')[2]}/{topology.DEAD}"
    give_up = time.monotonic() + 30
    while not rabbit.manage("GET", dead).get("messages_dlx") and time.monotonic() < give_up:
        time.sleep(0.2)

    # Once from its lane and once more from there; the broker moves it when it can.
    assert [line["level"] for line in worker.events("message_refused")] == ["error"] * 2
    assert rabbit.manage("GET", dead)["messages_dlx"] == 1
