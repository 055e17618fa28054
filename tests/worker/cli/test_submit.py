"""`submit`: what reaches the worker, what comes back, and the exit codes, over RabbitMQ."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time

import pytest
from kombu import Connection

from tests.support.cli import COMMAND, Shell
from tests.support.producer import Outcomes
from tests.support.rabbitmq import RabbitNode
from tests.worker.cli.conftest import KEY, SECRET, new_ids
from venues.sandbox.client import SandboxClient
from worker.amqp import topology

pytestmark = pytest.mark.usefixtures("worker")


def seed(sandbox: SandboxClient, ids: list[str], *, state: str = "open") -> None:
    rows = [{"venue": "kuna", "api_key": KEY, "id": i, "symbol": "BTC_USDT"} for i in ids]
    sandbox.seed([row | {"ord_type": "limit", "state": state} for row in rows])


def test_wait_tells_every_id_and_ends_well_if_no_order_is_open(
    shell: Shell, sandbox: SandboxClient
) -> None:
    ids = new_ids(3)
    seed(sandbox, ids[:2])
    seed(sandbox, ids[2:], state="filled")

    done = shell.run("submit", *ids, "-a", "desk-k", "--wait")

    assert done.code == 0, done
    rows = {line.split()[0]: line.split()[1] for line in done.out.splitlines()[1:-1]}
    assert rows == {ids[0]: "canceled", ids[1]: "canceled", ids[2]: "filled"}
    assert done.out.splitlines()[-1].endswith("2 canceled, 1 filled; no order is open")
    assert "\x1b" not in done.out + done.err
    assert all(sandbox.order("kuna", i).state == "canceled" for i in ids[:2])


def test_json_has_one_object_a_line_and_an_end(shell: Shell, sandbox: SandboxClient) -> None:
    ids = new_ids(2)
    seed(sandbox, ids)

    options = ("-a", "desk-k", "-w", "--json", "--job-id", "json-1", "--kill")
    done = shell.run("submit", *ids, *options, "--requested-by", "desk")

    *outcomes, end = done.lines
    assert {o["id"] for o in outcomes} == set(ids)
    assert {(o["job_id"], o["requested_by"]) for o in outcomes} == {("json-1", "desk")}
    assert end == {
        "job_id": "json-1", "counts": {"canceled": 2}, "missing": [], "safe": True,
    }  # fmt: skip


def test_an_order_that_may_be_open_ends_with_1(shell: Shell) -> None:
    done = shell.run("submit", "not an id", *new_ids(1), "-a", "desk-k", "--wait")

    assert done.code == 1
    assert "rejected" in done.out
    assert done.out.splitlines()[-1].endswith("some orders are, or may be, open")


def test_a_job_that_is_rejected_as_a_whole_ends_with_1_and_the_reason(shell: Shell) -> None:
    done = shell.run("submit", *new_ids(2), "-a", "nobody", "--wait", "--wait-timeout", "20")

    assert done.code == 1
    assert "was rejected: unknown_account" in done.err
    assert len(done.err.splitlines()) == 1


def test_ids_come_from_arguments_a_file_and_standard_input_and_count_once(
    shell: Shell, sandbox: SandboxClient
) -> None:
    given, filed, piped = new_ids(3)
    seed(sandbox, [given, filed, piped])
    file = shell.folder / "ids.txt"
    file.write_text(f"# orders of the morning\n\n{filed}\n{given}\n")

    words = ("submit", given, "-", "--file", str(file), "-a", "desk-k", "--wait", "--json")
    done = shell.run(*words, stdin=f"{piped}\n")

    assert done.code == 0
    assert {o["id"] for o in done.lines[:-1]} == {given, filed, piped}


def test_without_wait_the_job_is_in_its_queue_when_the_command_ends(
    shell: Shell, sandbox: SandboxClient, rabbit: RabbitNode
) -> None:
    ids, reader = new_ids(2), Outcomes(rabbit.url, "*.desk-k.*")
    seed(sandbox, ids)

    done = shell.run("submit", *ids, "-a", "desk-k", "--job-id", "quiet-1")

    assert (done.code, done.out) == (0, "job quiet-1: 2 ids sent to routine.desk-k\n")
    found = reader.wait(2)
    reader.close()
    assert {(o["job_id"], o["status"]) for o in found} == {("quiet-1", "canceled")}


def test_what_is_stated_of_the_orders_reaches_the_worker(
    shell: Shell, sandbox: SandboxClient
) -> None:
    client_id = f"risk-{new_ids(1)[0][-6:]}"
    row = {"venue": "ztdx", "api_key": KEY, "id": new_ids(1)[0], "symbol": "BTCUSDT"}
    sandbox.seed([row | {"client_order_id": client_id}])

    stated = ("--kind", "client_order_id", "--ord-type", "limit", "--symbol", "BTCUSDT")
    done = shell.run("submit", client_id, "-a", "desk-z", *stated, "--wait", "--json")

    (outcome, _) = done.lines
    assert (outcome["kind"], outcome["symbol"]) == ("client_order_id", "BTCUSDT")
    assert outcome["status"] == "canceled"


def test_a_terminal_gets_a_bar_and_colour(shell: Shell, sandbox: SandboxClient) -> None:
    ids = new_ids(2)
    seed(sandbox, ids)
    main, side = pty.openpty()

    words = [*COMMAND, "submit", *ids, "-a", "desk-k", "--wait"]
    env = shell.env | {"TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(words, stdout=side, stderr=side, cwd=shell.folder, env=env)
    code = process.wait(60)
    os.close(side)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)

    assert code == 0
    assert "\x1b[32mcanceled" in shown
    assert "2/2" in shown


def test_ids_without_an_outcome_are_told_in_time(shell: Shell, sandbox: SandboxClient) -> None:
    ids = new_ids(2)
    seed(sandbox, ids)
    fault = sandbox.fault("slow", venue="kuna", delay_s=3, times=10)

    words = ("submit", *ids, "-a", "desk-k", "--wait", "--wait-timeout", "0.5")
    done = shell.run(*words, "--job-id", "late-1")

    sandbox.clear_faults()
    assert fault
    assert done.code == 1
    assert "2 of 2 ids have no outcome yet; is a worker running? (job late-1)" in done.err


def test_no_output_holds_a_secret(shell: Shell) -> None:
    words = ("submit", new_ids(1)[0], "-a", "desk-k", "--wait", "--json")

    done = shell.run(*words)

    assert KEY not in done.out + done.err
    assert SECRET not in done.out + done.err


def test_a_producer_may_be_allowed_to_publish_and_nothing_else(
    shell: Shell, rabbit: RabbitNode
) -> None:
    rabbit.control("add_user", "producer", "pw")
    rabbit.control("set_permissions", "producer", "^$", "^cancel\\.jobs$", "^$")
    url = rabbit.url.replace("guest:guest", "producer:pw")

    sent = shell.run("submit", "x", "-a", "desk-k", CELERY_BROKER_URL=url)
    waits = shell.run("submit", "x", "-a", "desk-k", "--wait", CELERY_BROKER_URL=url)

    assert sent.code == 0
    assert waits.code == 69
    assert "ACCESS_REFUSED" in waits.err
    assert "was sent" not in waits.err


def test_a_broker_that_no_worker_has_served_is_told(shell: Shell, rabbit: RabbitNode) -> None:
    rabbit.control("add_vhost", "fresh")
    rabbit.control("set_permissions", "-p", "fresh", "guest", ".*", ".*", ".*")
    url = rabbit.url.removesuffix("/") + "fresh"

    for words in (("submit", "1", "-a", "d"), ("submit", "1", "-a", "d", "-w"), ("watch",)):
        done = shell.run(*words, CELERY_BROKER_URL=url)
        assert done.code == 69
        assert "NOT_FOUND - no exchange" in done.err
        assert done.err.endswith("start a worker, which declares it\n")


def test_a_wrong_password_is_told_without_it(shell: Shell, rabbit: RabbitNode) -> None:
    url = rabbit.url.replace("guest:guest", "guest:hidden")

    done = shell.run("submit", "1", "-a", "d", CELERY_BROKER_URL=url)

    assert (done.code, len(done.err.splitlines())) == (69, 1)
    assert "ACCESS_REFUSED" in done.err
    assert "hidden" not in done.err


def waiting(shell: Shell, rabbit: RabbitNode, job_id: str) -> subprocess.Popen[str]:
    """Submit and wait at a broker where everything is declared, but without a worker."""
    rabbit.control("add_vhost", job_id)
    rabbit.control("set_permissions", "-p", job_id, "guest", ".*", ".*", ".*")
    url = rabbit.url.removesuffix("/") + job_id
    with Connection(url) as connection:
        topology.declare(connection, ["desk-k"], embedded=False)
    process = shell.start(
        "submit", "x", "-a", "desk-k", "-w", "--job-id", job_id, CELERY_BROKER_URL=url
    )
    give_up = time.monotonic() + 20
    queues = ("list_queues", "-q", "-p", job_id, "name", "messages")
    while "cancel.desk-k.routine\t1" not in rabbit.control(*queues):
        assert time.monotonic() < give_up
    return process


def test_a_broker_that_dies_while_we_wait_is_told_with_the_job(
    shell: Shell, rabbit: RabbitNode
) -> None:
    process = waiting(shell, rabbit, "cut-1")

    rabbit.control("close_all_connections", "--vhost", "cut-1", "a test cuts the line")
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out, len(err.splitlines())) == (69, "", 1)
    assert err.endswith("; job cut-1 was sent and goes on\n")


def test_who_interrupts_the_wait_is_told_that_the_job_goes_on(
    shell: Shell, rabbit: RabbitNode
) -> None:
    process = waiting(shell, rabbit, "cut-2")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert err == "cancel-worker: interrupted; job cut-2 was sent and goes on\n"
