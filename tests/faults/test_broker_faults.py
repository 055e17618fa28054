"""The broker goes away, blocks, refuses or falls silent: nothing is lost, and work goes on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.checker import Asked
from tests.support.producer import connect
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitNode
from tests.support.world import Desk, World
from venues.sandbox.client import SandboxClient
from worker.amqp import topology

#: The sandbox enforces ten a second; Kuna's own table is more careful.
FAST = 'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}'


@pytest.fixture
def shaky(
    broken_rabbit: RabbitNode,
    sandbox: SandboxClient,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """A world on a node that the test may stop and kill."""
    name = re.sub(r"[^a-z0-9_]", "_", request.node.name)
    world = World(broken_rabbit.vhost(name), sandbox, tmp_path)
    world.audit()
    yield world
    world.close()


def load(world: World, name: str, jobs: int = 8) -> Desk:
    desk = world.desk(name, "kuna", FAST)
    for _ in range(jobs):
        world.send(desk, world.seed(desk, 10))
    return desk


@pytest.mark.parametrize("end", [RabbitNode.stop, RabbitNode.kill], ids=["stopped", "killed"])
def test_broker_goes_and_comes_back(
    shaky: World, broken_rabbit: RabbitNode, end: Callable[[RabbitNode], None]
) -> None:
    """The worker stays, owns its lanes again, and every job gets its outcomes."""
    desk = load(shaky, f"back-{end.__name__}")
    worker = shaky.worker().start(ready="venue_request")
    end(broken_rabbit)
    time.sleep(1.0)
    broken_rabbit.start()
    back = time.monotonic()
    shaky.hear_all(60)
    took_s = time.monotonic() - back

    found = shaky.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 80}
    assert took_s < 25
    assert worker.process is not None
    assert worker.process.poll() is None
    # Once for each connection; a broker that is still starting may drop one more.
    owned = len(shaky.lines("lane_owned", account=desk.name))
    lost = sum("Connection to broker lost" in line["event"] for line in worker.lines())
    assert 2 <= owned <= 1 + lost


#: Milliseconds: longer than a token is held, and shorter than it takes to cancel all below.
CONSUMER_TIMEOUT_MS = 20_000


def test_a_consumer_timeout_is_learned_from_the_first_loss(
    shaky: World, broken_rabbit: RabbitNode
) -> None:
    """The broker takes a job back once; from then on it is given back in time.

    RabbitMQ 4.3 counts what the consumer says, and takes none.
    """
    for name, value in (
        ("consumer_timeout", CONSUMER_TIMEOUT_MS),
        ("channel_tick_interval", 1000),
    ):
        broken_rabbit.control("eval", f"application:set_env(rabbit, {name}, {value}).")
    slow = 'quotas = {account = "1/2s", cancel_batch = "1/2s", lookup = "1/2s"}'
    desk = shaky.desk("timed", "kuna", slow)
    worker = shaky.worker().start(ready="lane_owned")
    until = datetime.now(UTC) + timedelta(seconds=50)
    shaky.send(desk, shaky.seed(desk, 60), deadline=until.isoformat())
    shaky.hear_all(80)
    for name, value in (("consumer_timeout", 1_800_000), ("channel_tick_interval", 60_000)):
        broken_rabbit.control("eval", f"application:set_env(rabbit, {name}, {value}).")

    assert shaky.check().clean, shaky.check()
    lost = [line for line in worker.lines() if "Connection to broker lost" in line["event"]]
    if broken_rabbit.version >= (4, 3):
        assert (lost, worker.events("consumer_timeout_too_short")) == ([], [])
        return
    assert len(lost) == 1, lost
    (told,) = worker.events("consumer_timeout_too_short")
    assert told["hold_s"] == pytest.approx(CONSUMER_TIMEOUT_MS / 3000, abs=0.1)
    assert shaky.lines("cancel_retry", why="held_long")


def test_told_to_stop_while_the_broker_is_away(shaky: World, broken_rabbit: RabbitNode) -> None:
    """It waits for the broker no longer than it takes, and the next worker does the rest."""
    load(shaky, "away")
    worker = shaky.worker("w1").start(ready="venue_request")
    broken_rabbit.stop()
    assert worker.stop(60) == 0
    broken_rabbit.start()
    shaky.worker("w2").start()
    shaky.hear_all()

    found = shaky.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 80}


def test_memory_alarm(shaky: World, broken_rabbit: RabbitNode) -> None:
    """Blocked publishes are waited for; what the venue said meanwhile is not lost."""
    load(shaky, "alarm")
    shaky.worker().start(ready="venue_request")
    broken_rabbit.control("set_vm_memory_high_watermark", "0.0001")
    time.sleep(3.0)
    heard = len(shaky.told)
    broken_rabbit.control("set_vm_memory_high_watermark", "0.6")
    shaky.hear_all(60)

    found = shaky.check()
    assert heard < 80
    assert found.clean, found
    assert found.statuses == {"canceled": 80}


def test_told_to_stop_while_it_asks_what_was_told_before(
    shaky: World, broken_rabbit: RabbitNode
) -> None:
    """A worker that does a job anew cannot know what was told: the next one does it."""
    desk = shaky.desk("asks", "kuna", FAST)
    shaky.sandbox.fault("slow", api_key=desk.key, delay_s=3)
    shaky.send(desk, shaky.seed(desk, 4))
    shaky.worker("w1").start(ready="job_accepted").kill()
    broken_rabbit.control("set_vm_memory_high_watermark", "0.0001")
    second = shaky.worker("w2").start(ready="venue_request")
    time.sleep(1.0)
    assert second.stop(60) == 0
    assert second.events("cancel_outcome") == []
    broken_rabbit.control("set_vm_memory_high_watermark", "0.6")
    shaky.worker("w3").start()
    shaky.hear_all()

    found = shaky.check()
    assert found.clean, found
    assert [line["why"] for line in shaky.lines("message_kept")] == ["NotConfirmed"]


def test_told_to_stop_while_a_job_is_given_up(shaky: World, broken_rabbit: RabbitNode) -> None:
    """What was told of it before cannot be read, so the next worker buries it."""
    desk = shaky.desk("buried", "kuna", FAST)
    (order_id,) = shaky.seed(desk, 1)
    job = {"job_id": "in-vain", "account": desk.name, "orders": [order_id]}
    shaky.asked.append(Asked("in-vain", desk.venue, order_id))
    shaky.publish(f"routine.{desk.name}", json.dumps(job).encode(), topology.DEAD)
    broken_rabbit.control("set_vm_memory_high_watermark", "0.0001")
    worker = shaky.worker("w1").start(ready="worker_ready")
    time.sleep(1.0)
    assert worker.stop(60) == 0
    kept = [line["why"] for line in worker.events("message_kept")]
    assert worker.events("cancel_outcome") == []
    broken_rabbit.control("set_vm_memory_high_watermark", "0.6")
    shaky.worker("w2").start()
    shaky.hear_all()

    found = shaky.check()
    assert found.clean, found
    assert found.statuses == {"unconfirmed": 1}
    assert kept == ["NotConfirmed"]


def test_connection_cut_without_a_word(shaky: World, broken_rabbit: RabbitNode) -> None:
    """A silent connection is noticed by its heartbeats, and another worker takes the lane.

    No thread waits on it for ever: the cut worker still ends when it is told to.
    """
    retried = shaky.desk("retried", "kuna", FAST)
    with Proxy(broken_rabbit.port) as proxy:
        shaky.worker_url = shaky.url.replace(str(broken_rabbit.port), str(proxy.port))
        first = shaky.worker("w1").start()
        shaky.sandbox.fault("throttle", api_key=retried.key, retry_after_s=1)
        shaky.hear_job(shaky.send(retried, shaky.seed(retried, 1)))
        load(shaky, "silent")
        shaky.sandbox.fault("throttle", api_key=retried.key, retry_after_s=1)
        shaky.sandbox.fault("slow", api_key=retried.key, delay_s=2)
        shaky.send(retried, shaky.seed(retried, 1))
        give_up = time.monotonic() + 10
        while len(shaky.requests(retried)) < 4 and time.monotonic() < give_up:
            time.sleep(0.05)
        proxy.silence()
        shaky.worker_url = ""
        shaky.worker("w2").start(ready="worker_ready")
        shaky.hear_all(90)
        begin = time.monotonic()
        code = first.stop()
        took_s = time.monotonic() - begin

        found = shaky.check()
        assert found.clean, found
        assert found.statuses == {"canceled": 82}
        assert len(shaky.lines("cancel_retry", account="retried")) >= 2
        assert (code, took_s < 20) == (0, True)


def test_told_to_stop_while_its_connection_is_silent(
    shaky: World, broken_rabbit: RabbitNode
) -> None:
    """It waits for one answer, not for each that it would have asked for."""
    with Proxy(broken_rabbit.port) as proxy:
        shaky.worker_url = shaky.url.replace(str(broken_rabbit.port), str(proxy.port))
        load(shaky, "mute")
        first = shaky.worker("w1").start(ready="venue_request")
        proxy.silence()
        begin = time.monotonic()
        code = first.stop(60)
        took_s = time.monotonic() - begin
        shaky.worker_url = ""
        shaky.worker("w2").start()
        shaky.hear_all(90)

    found = shaky.check()
    assert found.clean, found
    assert found.statuses == {"canceled": 80}
    assert (code, took_s < 30) == (0, True)


@contextmanager
def full_queue(world: World) -> Iterator[None]:
    """Have the broker refuse every outcome but one meanwhile."""
    with connect(world.url) as connection:
        channel = connection.channel()
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare("full", durable=True, auto_delete=False, arguments=full)
        channel.queue_bind("full", "cancel.outcomes", "#")
        yield
        channel.queue_delete("full")


def test_queue_that_takes_no_more(world: World) -> None:
    """A full queue's refusal is an error in the log, and the outcome is published again."""
    desk = world.desk("refused", "kuna")
    with full_queue(world):
        world.send(desk, world.seed(desk, 4))
        world.worker().start(ready="broker_refuses_messages")
        assert world.lines("job_done") == []
    world.hear_all()

    found = world.check()
    assert found.clean, found
    assert {line["level"] for line in world.lines("broker_refuses_messages")} == {"error"}


def test_told_to_stop_while_a_queue_takes_no_more(world: World) -> None:
    """The worker ends all the same; the next one tells what this one could not."""
    desk = world.desk("refused-stop", "kuna")
    with full_queue(world):
        world.send(desk, world.seed(desk, 4))
        worker = world.worker("w1").start(ready="broker_refuses_messages")
        assert worker.stop(60) == 0
    world.worker("w2").start()
    world.hear_all()

    assert [line["why"] for line in world.lines("message_kept")] == ["NotConfirmed"]
    assert world.check().clean


def test_exchange_that_was_deleted(world: World) -> None:
    """The log names it; what waits for it is told by the next worker, to all who listen."""
    desk = world.desk("deleted", "kuna")
    worker = world.worker("w1").start()
    with connect(world.url) as connection:
        connection.channel().exchange_delete("cancel.outcomes")
    world.send(desk, world.seed(desk, 4))
    give_up = time.monotonic() + 60
    while not world.lines("publisher_reconnects") and time.monotonic() < give_up:
        time.sleep(0.05)
    assert worker.stop(60) == 0
    world.audit()
    world.worker("w2").start()
    world.hear_all()

    (named,) = {line["detail"] for line in world.lines("publisher_reconnects")}
    assert "no exchange 'cancel.outcomes'" in named
    assert [line["why"] for line in world.lines("message_kept")] == ["NotConfirmed"]
    assert "Traceback" not in worker.errors()
    assert world.check().clean
