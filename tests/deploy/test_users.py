"""The broker's users of docker-compose.yml on a real node: each can do its work and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp
import pytest
from celery import Celery
from kombu import Connection

from tests.support.cli import COMMAND, Shell
from tests.support.flower import FlowerProcess
from tests.support.need import need
from tests.support.producer import connect, send
from tests.support.rabbitmq import RabbitNode, installed
from tests.support.worker import ROOT, WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox
from worker.amqp import topology

RENDER = ROOT / "deploy/rabbitmq/render.sh"
USERS = ("PRODUCER", "WORKER", "RECORD", "OPERATOR", "MONITOR")
PASSWORDS = {f"{user}_PASSWORD": f"planted-{user}" for user in USERS}
ORDER = "3fa42833-9508-4061-8d80-000000000001"
KEY, SECRET = "planted-key-of-users", "planted-secret-of-users"


def _render(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(RENDER)],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A node with the shipped users, and a way in for each."""

    node: RabbitNode

    def url(self, user: str) -> str:
        password = PASSWORDS[f"{user.upper()}_PASSWORD"]
        return f"amqp://{user}:{password}@127.0.0.1:{self.node.port}/cancel"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    node = RabbitNode()
    definitions = node.folder / "definitions.json"
    definitions.write_text(_render(PASSWORDS).stdout)
    shipped = (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text()
    with (node.folder / "rabbitmq.conf").open("a") as conf:
        conf.write(shipped.replace("/run/definitions.json", str(definitions)))
    with node:
        yield Site(node)


@pytest.fixture
def box() -> Iterator[SandboxClient]:
    with start_sandbox() as box:
        box.add_account("kuna", KEY, SECRET)
        yield box


def _wait(what: str, true: bool, give_up: float) -> None:
    assert true or time.monotonic() < give_up, what
    time.sleep(0.2)


@pytest.fixture
def desk(box: SandboxClient, tmp_path: Path) -> dict[str, str]:
    """The environment of a worker with one account, and an order that rests."""
    box.seed(
        [{"venue": "kuna", "api_key": KEY, "symbol": "BTC_USDT", "ord_type": "limit",
          "id": ORDER, "state": "open"}]
    )  # fmt: skip
    account = {"venue": "kuna", "key": KEY, "secret": SECRET, "base_url": box.url}
    return accounts_file({"desk-9": account}, tmp_path / "cancel.toml")


def test_producer_worker_record_and_monitor_work_together(
    site: Site, desk: dict[str, str], tmp_path: Path
) -> None:
    database = tmp_path / "record.sqlite3"
    kept = {
        "CANCEL_RECORD_URL": f"sqlite:///{database}",
        "CELERY_BROKER_URL": site.url("record"),
    }
    job = {"job_id": "j-users", "account": "desk-9", "orders": [ORDER]}
    with WorkerProcess(site.url("worker"), desk, tmp_path / "worker.log") as worker:
        record = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "record"],
            env={**os.environ, **kept, "CANCEL_LOG": "json"}, cwd=ROOT,
            stdout=(tmp_path / "record.log").open("w"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            with FlowerProcess(site.url("monitor"), tmp_path / "flower.log") as flower:
                _see_it_through(site, worker, flower, job, kept)
        finally:
            record.kill()
            record.wait(10)


def _see_it_through(
    site: Site,
    worker: WorkerProcess,
    flower: FlowerProcess,
    job: Mapping[str, object],
    kept: dict[str, str],
) -> None:
    give_up, told = time.monotonic() + 40, 1
    while told:
        send(site.url("producer"), [("kill.desk-9", job)])
        told = subprocess.run(
            [*COMMAND, "explain", ORDER],
            env={**os.environ, **kept}, cwd=ROOT, capture_output=True, check=False,
        ).returncode  # fmt: skip
        _wait("the record has the id", not told, give_up)
    while not any(task["state"] == "SUCCESS" for task in flower.tasks()):
        send(site.url("producer"), [("kill.desk-9", job)])
        _wait("Flower has a task", False, give_up)
    assert worker.events("job_done")


@pytest.mark.parametrize("user", ["producer", "monitor", "record"])
@pytest.mark.parametrize("queue", ["cancel.desk-9.kill", "cancel.rejected"])
def test_only_the_worker_reads_jobs(site: Site, user: str, queue: str) -> None:
    with (
        connect(site.url(user)) as connection,
        pytest.raises(amqp.exceptions.AccessRefused),
    ):
        connection.channel().basic_get(queue)


@pytest.mark.parametrize(
    ("user", "exchange"),
    [
        ("producer", "cancel.outcomes"),
        ("producer", "cancel.rejected"),
        ("producer", "cancel.pauses"),
        ("monitor", "cancel.pauses"),
        ("record", "cancel.pauses"),
        ("producer", ""),
        ("monitor", "cancel.jobs"),
        ("monitor", ""),
        ("record", "cancel.jobs"),
        ("record", "cancel.outcomes"),
    ],
)
def test_nobody_publishes_what_is_not_theirs(site: Site, user: str, exchange: str) -> None:
    with connect(site.url(user)) as connection:
        channel = connection.channel()
        with pytest.raises(amqp.exceptions.AccessRefused):
            channel.basic_publish(amqp.Message(b"{}"), exchange, "cancel.desk-9.kill")
            channel.queue_declare("", passive=True)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("shutdown", {}),
        ("cancel_consumer", {"queue": "cancel.desk-9.kill"}),
        ("pool_shrink", {"n": 9999}),
        ("time_limit", {"task_name": "tasks.cancel_orders", "hard": 1}),
    ],
)
def test_a_monitor_stops_no_kill(
    site: Site, desk: dict[str, str], tmp_path: Path, command: str, arguments: dict[str, Any]
) -> None:
    """The broker cannot tell these commands from those that Flower needs; the worker does."""
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": site.url("operator")})
    with WorkerProcess(site.url("worker"), desk, tmp_path / "worker.log") as worker:
        control = Celery(broker=site.url("monitor")).control
        [reply] = control.broadcast(command, arguments=arguments, reply=True, limit=1)

        assert "is refused" in next(iter(reply.values()))["error"]
        assert control.ping(limit=1)
        done = shell.run("submit", ORDER, "-a", "desk-9", "--kill", "--wait", "--json")
        assert done.lines[0]["status"] == "canceled", done
        assert [line["command"] for line in worker.events("control_refused")] == [command]


def test_an_operator_submits_waits_and_looks_after_rejected(
    site: Site, desk: dict[str, str], tmp_path: Path
) -> None:
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": site.url("operator")})
    with WorkerProcess(site.url("worker"), desk, tmp_path / "worker.log"):
        with shell.start("watch", "--json", "--count", "1") as watch:
            assert watch.stderr is not None
            assert "watching" in watch.stderr.readline()  # else it may come too late
            sent = shell.run("submit", ORDER, "-a", "desk-9", "--wait", "--json")
            seen = json.loads(watch.communicate(timeout=60)[0])
        send(site.url("operator"), [("kill.desk-9", {"account": "desk-9", "orders": 1})])
        rejected = _listed(shell)
        replayed = shell.run("rejected", "replay", "1")

    assert sent.lines[0]["status"] == "canceled", sent
    assert seen["id"] == ORDER
    assert "bad_orders" in rejected
    assert replayed.code == 0, replayed


def test_an_operator_pauses_an_account_and_resumes_it(
    site: Site, desk: dict[str, str], tmp_path: Path
) -> None:
    """It may not ask the workers, so the broker's word is all that it is told."""
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": site.url("operator")})
    with WorkerProcess(site.url("worker"), desk, tmp_path / "worker.log") as worker:
        for command, event in ("pause", "routine_paused"), ("resume", "routine_resumed"):
            said = shell.run(command, "desk-9", "--yes")
            assert (said.code, said.out) == (0, f"desk-9: {command}d (kept by the broker)\n")
            give_up = time.monotonic() + 10
            while not worker.events(event):
                _wait(event, False, give_up)
            assert worker.events(event)[0]["sent_by"] == "operator"


def _listed(shell: Shell) -> str:
    give_up = time.monotonic() + 10
    while (
        not (listed := shell.run("rejected", "list").out).strip() or "bad_orders" not in listed
    ):
        _wait("the bad job is rejected", False, give_up)
    return listed


def test_a_record_cannot_delete_what_outcomes_go_through(site: Site) -> None:
    with (
        connect(site.url("record")) as connection,
        pytest.raises(amqp.exceptions.AccessRefused),
    ):
        connection.channel().exchange_delete("cancel.outcomes")


def test_a_producer_declares_nothing(site: Site) -> None:
    with connect(site.url("producer")) as connection:
        channel = connection.channel()
        with pytest.raises(amqp.exceptions.AccessRefused):
            channel.queue_declare("cancel.mine", durable=True, auto_delete=False)


@pytest.mark.parametrize("user", ["producer", "operator"])
def test_who_submits_is_told_of_an_account_that_does_not_exist(
    site: Site, user: str, tmp_path: Path
) -> None:
    with Connection(site.url("worker")) as connection:
        topology.declare(connection, ["desk-8"], embedded=False)
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": site.url(user)})

    sent, unknown = (shell.run("submit", "x", "-a", name) for name in ("desk-8", "desk-7"))

    assert (sent.code, unknown.code) == (0, 2)
    assert sent.err == "cancel-worker: no worker serves desk-8 now; the job waits\n"
    assert "no account 'desk-7' at the broker" in unknown.err


@pytest.mark.parametrize("user", ["producer", "operator"])
def test_who_beats_is_told_of_an_account_without_a_dead_man(
    site: Site, user: str, tmp_path: Path
) -> None:
    with Connection(site.url("worker")) as connection:
        topology.declare(connection, ["desk-6"], False, ["desk-6"])
    shell = Shell(tmp_path, {"CELERY_BROKER_URL": site.url(user)})

    ended, unknown = (
        shell.run("alive", name, "--name", "mm-1", "--bye") for name in ("desk-6", "desk-7")
    )

    assert (ended.code, unknown.code) == (0, 2)
    assert "'desk-7' has no dead_man at this broker" in unknown.err


@pytest.mark.parametrize("method", ["bind", "purge", "delete", "get"])
def test_a_producer_touches_no_lane(site: Site, method: str) -> None:
    """Its right to see a lane lets it do nothing with it."""
    queue = "cancel.desk-9.kill"
    with connect(site.url("producer")) as connection:
        channel = connection.channel()
        do = {
            "bind": lambda: channel.queue_bind(queue, "cancel.jobs", "#"),
            "purge": lambda: channel.queue_purge(queue),
            "delete": lambda: channel.queue_delete(queue),
            "get": lambda: channel.basic_get(queue),
        }
        with pytest.raises(amqp.exceptions.AccessRefused):
            do[method]()


def test_guest_does_not_exist(site: Site) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{site.node.port}/cancel"

    with pytest.raises((amqp.exceptions.AccessRefused, amqp.exceptions.NotAllowed)):
        connect(url)


@pytest.mark.parametrize("password", ["", "a b", 'a"b', "a/b", "a@b", "a\\b"])
def test_a_password_that_would_break_a_url_is_refused(password: str) -> None:
    done = _render(PASSWORDS | {"WORKER_PASSWORD": password})

    assert done.returncode == os.EX_CONFIG
    assert done.stdout == ""
    assert "WORKER_PASSWORD must be set" in done.stderr
    assert len(done.stderr.splitlines()) == 1
