"""A producer falls silent, and a real worker cancels all orders of its account, once."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import amqp
import pytest
import requests

from tests.support.cli import Shell
from tests.support.producer import connect
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitNode, free_port
from tests.support.world import LOST, Desk, World
from tests.worker.metrics.conftest import Scrape
from venues.sandbox.client import SandboxClient
from worker.contract.report import ReportMessage

REPORTS = "audit.reports"
DEAD_S = 3
BEAT_S = 0.5
#: From a kill to its report it takes twelve seconds: `hold_s`, lags and the proof.
REPORT_S = 60.0
SWITCH = (
    'quotas = {account = "10/1s", cancel_batch = "10/1s", lookup = "10/1s"}',
    f'dead_man = "{DEAD_S}s"',
)


class Beating:
    """A producer that lives, and connects again where its connection is lost."""

    def __init__(self, url: str, desk: Desk, name: str = "mm-1") -> None:
        self._url, self._key, self._name = url, f"alive.{desk.name}", name
        self._ends = threading.Event()
        self.silent_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ends.is_set():
            with suppress(*LOST), connect(self._url) as connection:
                channel = connection.channel()
                while not self._ends.wait(BEAT_S):
                    self._say(channel)

    def _say(self, channel: Any, **more: Any) -> None:
        body = json.dumps({"producer": self._name, **more})
        channel.basic_publish(amqp.Message(body), "cancel.jobs", self._key)

    def die(self) -> None:
        """Say nothing more."""
        self._ends.set()
        self._thread.join(10)
        self.silent_at = time.time()

    def bye(self) -> None:
        """End in order."""
        self.die()
        with connect(self._url) as connection:
            self._say(connection.channel(), bye=True)

    def __enter__(self) -> Beating:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(10)


@pytest.fixture
def audited(world: World) -> World:
    """A world whose reports are kept."""
    with connect(world.url) as connection:
        channel = connection.channel()
        channel.exchange_declare("cancel.reports", "topic", durable=True, auto_delete=False)
        channel.queue_declare(REPORTS, durable=True, auto_delete=False)
        channel.queue_bind(REPORTS, "cancel.reports", "#")
    return world


def await_event(world: World, event: str, count: int = 1, timeout_s: float = 30.0) -> Any:
    """Wait for so many log lines of an event; return them."""
    give_up = time.monotonic() + timeout_s
    while len(found := world.lines(event)) < count:
        ends = [worker.errors()[-1500:] for worker in world.workers]
        assert time.monotonic() < give_up, (event, found, *ends)
        time.sleep(0.05)
    return found


def report(world: World) -> ReportMessage:
    """Wait for the one report."""
    give_up = time.monotonic() + REPORT_S
    while not (found := world.queue(REPORTS)):
        assert time.monotonic() < give_up, [w.errors()[-1500:] for w in world.workers]
        time.sleep(0.1)
    (message,) = found
    return ReportMessage.model_validate_json(message.body)


def test_a_silent_producer_has_its_account_emptied_and_others_go_on(audited: World) -> None:
    silent, left, lives = (
        audited.desk(f"dead-{name}", "kuna", *SWITCH) for name in ("silent", "left", "lives")
    )
    orders = {desk: audited.seed(desk, 3) for desk in (silent, left, lives)}
    worker = audited.worker()
    port = free_port()
    worker.set("CANCEL_METRICS", f"127.0.0.1:{port}")
    worker.start(ready="worker_ready")
    with (
        Beating(audited.url, silent) as one,
        Beating(audited.url, left) as two,
        Beating(audited.url, lives),
        Beating(audited.url, silent, "mm-2"),
    ):
        await_event(audited, "producer_begun", 4)
        shell = Shell(audited.folder, {"CELERY_BROKER_URL": audited.url})
        done = shell.run("alive", left.name, "--name", "retired", "--bye")
        assert (done.code, done.err) == (0, "cancel-worker: retired has signed off\n")
        two.bye()
        one.die()
        (fired,) = await_event(audited, "dead_man_fired")
        said = report(audited)
        time.sleep(2 * DEAD_S)

        assert (fired["level"], fired["account"]) == ("error", silent.name)
        (told,) = fired["producers"]
        assert told["producer"] == "mm-1"
        assert (said.account, said.job_id, said.result) == (
            silent.name, fired["job_id"], "empty"
        )  # fmt: skip
        assert said.requested_by == "dead man's switch"
        assert said.sent_by == "guest"
        assert said.reason == f"silent: mm-1 since {told['since']}"
        assert said.counts == {"canceled": 3}
        assert len(audited.lines("dead_man_fired")) == len(audited.queue(REPORTS)) == 1
    scrape = Scrape(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)
    assert scrape.by("cancel_dead_man_fired_total", "account") == {silent.name: 1}
    for desk, state in ((silent, "canceled"), (left, "open"), (lives, "open")):
        assert {audited.order(desk, each).state for each in orders[desk]} == {state}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_next_worker_fires_once_for_who_fell_silent_before_it(
    audited: World, end: str
) -> None:
    """Neither by its own end nor a second time: the last heartbeats outlive each worker."""
    desk = audited.desk(f"dead-{end}", "kuna", *SWITCH)
    first = audited.worker("w1").start(ready="worker_ready")
    with Beating(audited.url, desk) as producer:
        await_event(audited, "producer_begun")
        producer.die()
    getattr(first, end)()
    second = audited.worker("w2").start(ready="dead_man_watches")
    watched_at = time.monotonic()
    await_event(audited, "dead_man_fired")
    took_s = time.monotonic() - watched_at
    said = report(audited)
    second.kill()
    third = audited.worker("w3").start(ready="dead_man_watches")
    time.sleep(2 * DEAD_S)

    assert took_s > DEAD_S - 0.5
    assert second.events("dead_man_watches")[0]["producers"] == ["mm-1"]
    assert third.events("dead_man_watches")[0]["producers"] == []
    assert not first.events("dead_man_fired") and not third.events("dead_man_fired")
    assert len(second.events("dead_man_fired")) == len(audited.queue(REPORTS)) == 1
    assert said.result == "empty"


def test_a_worker_that_is_cut_off_counts_no_silence(audited: World, rabbit: RabbitNode) -> None:
    """Its connections fall silent without a word, while the producer lives all the time."""
    desk = audited.desk("dead-cut", "kuna", *SWITCH)
    with Proxy(rabbit.port) as proxy:
        audited.worker_url = audited.url.replace(f":{rabbit.port}/", f":{proxy.port}/")
        audited.worker().start(ready="worker_ready")
        with Beating(audited.url, desk) as producer:
            await_event(audited, "producer_begun")
            proxy.silence()
            await_event(audited, "dead_man_watches", 2, 60.0)
            proxy.cut()
            await_event(audited, "dead_man_watches", 3, 60.0)
            time.sleep(2 * DEAD_S)
            assert not audited.lines("dead_man_fired")
            assert audited.lines("dead_man_watches")[-1]["producers"] == ["mm-1"]
            producer.die()
        await_event(audited, "dead_man_fired")


def test_a_worker_that_stands_still_counts_no_silence(audited: World) -> None:
    desk = audited.desk("dead-still", "kuna", *SWITCH)
    worker = audited.worker().start(ready="worker_ready")
    assert worker.process is not None
    with Beating(audited.url, desk):
        await_event(audited, "producer_begun")
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(2 * DEAD_S)
        worker.process.send_signal(signal.SIGCONT)
        time.sleep(2 * DEAD_S)
        assert not audited.lines("dead_man_fired")


def test_a_broker_that_takes_nothing_is_no_silence(
    broken_rabbit: RabbitNode, sandbox: SandboxClient, tmp_path: Path
) -> None:
    with closing(World(broken_rabbit.vhost("dead_alarm"), sandbox, tmp_path)) as world:
        desk = world.desk("dead-alarm", "kuna", *SWITCH)
        world.worker().start(ready="worker_ready")
        with Beating(world.url, desk):
            await_event(world, "producer_begun")
            broken_rabbit.control("set_vm_memory_high_watermark", "0.0001")
            time.sleep(2 * DEAD_S)
            broken_rabbit.control("set_vm_memory_high_watermark", "0.6")
            time.sleep(2 * DEAD_S)
            assert not world.lines("dead_man_fired")


def test_an_outage_of_the_broker_is_no_silence(
    broken_rabbit: RabbitNode, sandbox: SandboxClient, tmp_path: Path
) -> None:
    with closing(World(broken_rabbit.vhost("dead_man"), sandbox, tmp_path)) as world:
        desk = world.desk("dead-broker", "kuna", *SWITCH)
        world.worker().start(ready="worker_ready")
        with Beating(world.url, desk) as producer:
            await_event(world, "producer_begun")
            broken_rabbit.kill()
            time.sleep(2 * DEAD_S)
            broken_rabbit.start()
            await_event(world, "dead_man_watches", 2, 60.0)
            time.sleep(2 * DEAD_S)
            assert not world.lines("dead_man_fired")
            producer.die()
        await_event(world, "dead_man_fired")
        assert len(world.lines("dead_man_fired")) == 1


def test_heartbeats_for_an_account_without_the_switch_are_let_go(world: World) -> None:
    desk = world.desk("dead-none", "kuna")
    worker = world.worker().start(ready="worker_ready")
    for _ in range(3):
        world.publish(f"alive.{desk.name}", b'{"producer": "mm-1"}')
    world.publish("kill.nobody", b"{}")  # comes after them, and is told

    assert world.await_lines("job_rejected")
    assert [line["account"] for line in worker.events("heartbeat_unwatched")] == [desk.name]
    assert len(world.queue("cancel.rejected")) == 1
