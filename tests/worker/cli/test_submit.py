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
from tests.support.producer import Outcomes, connect
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
    assert done.out.splitlines()[-1].endswith(
        "2 canceled, 1 filled; none of these 3 ids was found open"
    )
    assert "\x1b" not in done.out + done.err
    assert all(sandbox.order("kuna", i).state == "canceled" for i in ids[:2])


def test_a_kill_names_the_command_that_lists_what_else_rests(
    shell: Shell, sandbox: SandboxClient
) -> None:
    killed, placed_meanwhile = new_ids(1), new_ids(1)
    seed(sandbox, killed + placed_meanwhile)

    done = shell.run("submit", *killed, "-a", "desk-k", "--wait", "--kill")

    *_, verdict, hint = done.out.splitlines()
    assert verdict.endswith("1 canceled; this id was not found open")
    named = hint.partition("cancel-worker ")[2].partition(" lists")[0]
    assert named == "orders desk-k"
    listed = {row["id"] for row in shell.run(*named.split(), "--json").lines if "id" in row}
    assert placed_meanwhile[0] in listed
    assert killed[0] not in listed


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


def test_a_job_that_is_rejected_as_a_whole_ends_with_1_and_the_reason(
    shell: Shell, rabbit: RabbitNode
) -> None:
    """What is left of an account that was taken away: a queue that nothing is bound to."""
    with connect(rabbit.url) as connection:
        connection.channel().queue_declare("cancel.nobody.routine", auto_delete=False)

    done = shell.run("submit", *new_ids(2), "-a", "nobody", "--wait", "--wait-timeout", "20")

    assert done.code == 1
    noted, told = done.err.splitlines()
    assert noted == "cancel-worker: no worker serves nobody now; the job waits"
    assert "was rejected: unknown_account" in told


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
    lanes = r"^cancel\.(jobs|[^.]+\.(kill|routine))$"
    rabbit.control("set_permissions", "producer", "^$", lanes, "^$")
    url = rabbit.url.replace("guest:guest", "producer:pw")

    sent = shell.run("submit", "x", "-a", "desk-k", CELERY_BROKER_URL=url)
    waits = shell.run("submit", "x", "-a", "desk-k", "--wait", CELERY_BROKER_URL=url)
    unknown = shell.run("submit", "x", "-a", "dsk-k", CELERY_BROKER_URL=url)

    assert (sent.code, sent.err) == (0, "")
    assert unknown.code == 2
    assert waits.code == 69
    assert "ACCESS_REFUSED" in waits.err
    assert "was sent" not in waits.err


def test_a_producer_who_may_not_see_lanes_is_told_so(shell: Shell, rabbit: RabbitNode) -> None:
    """From RabbitMQ 4.2.6 on a queue is not shown to those who have no right to it."""
    rabbit.control("add_user", "blind", "pw")
    rabbit.control("set_permissions", "blind", "^$", "^cancel\\.jobs$", "^$")
    url = rabbit.url.replace("guest:guest", "blind:pw")

    unknown = shell.run("submit", "x", "-a", "dsk-k", CELERY_BROKER_URL=url)

    if rabbit.version >= (4, 3):
        assert unknown.code == 0
        assert "no right to see whether dsk-k is served" in unknown.err
    else:
        assert unknown.code == 2
        assert "no account 'dsk-k' at the broker" in unknown.err


def ready(url: str, queue: str) -> int:
    """Return how many messages wait in a queue."""
    with connect(url) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).message_count)


@pytest.mark.parametrize(
    ("account", "mend"),
    [
        ("dsk-k", "did you mean desk-k?"),
        ("nosuch", "known are desk-c, desk-k, desk-z"),
    ],
)
@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["send", "wait"])
def test_an_account_that_nobody_knows_is_refused_and_nothing_is_sent(
    shell: Shell, rabbit: RabbitNode, account: str, mend: str, wait: tuple[str, ...]
) -> None:
    before = ready(rabbit.url, topology.REJECTED)

    done = shell.run("submit", "x", "-a", account, "--kill", *wait)

    assert (done.code, done.out) == (2, "")
    assert done.err == f"cancel-worker: no account '{account}' at the broker; {mend}\n"
    time.sleep(0.5)
    assert ready(rabbit.url, topology.REJECTED) == before


def test_who_has_no_accounts_file_is_told_of_an_unknown_account_too(
    shell: Shell, rabbit: RabbitNode
) -> None:
    done = shell.run("submit", "x", "-a", "nosuch", CANCEL_CONFIG="nowhere.toml")

    assert done.code == 2
    assert done.err.endswith("; check the name, or start a worker that has it\n")


def test_a_job_that_no_worker_serves_now_is_sent_with_a_note(
    shell: Shell, rabbit: RabbitNode
) -> None:
    url = rabbit.vhost("unserved")
    with Connection(url) as connection:
        topology.declare(connection, ["desk-k"], embedded=False)

    done = shell.run("submit", "x", "-a", "desk-k", "--json", CELERY_BROKER_URL=url)
    new = shell.run("submit", "x", "-a", "desk-c", CELERY_BROKER_URL=url)

    assert (done.code, done.lines[0]["routing_key"]) == (0, "routine.desk-k")
    assert done.err == "cancel-worker: no worker serves desk-k now; the job waits\n"
    assert ready(url, "cancel.desk-k.routine") == 1
    assert (new.code, new.err) == (
        2,
        "cancel-worker: desk-c has no queue at the broker; "
        "start a worker with this accounts file\n",
    )


def test_a_job_is_sent_where_the_broker_does_not_tell_of_its_queue(
    shell: Shell, rabbit: RabbitNode
) -> None:
    """A queue that belongs to another connection; RabbitMQ refuses every question about it."""
    url = rabbit.vhost("untold")
    with Connection(url) as connection, connect(url) as other:
        topology.declare(connection, ["desk-c"], embedded=False)
        channel = other.channel()
        channel.queue_declare("cancel.desk-k.routine", exclusive=True)
        channel.queue_bind("cancel.desk-k.routine", topology.JOBS, "routine.desk-k")

        done = shell.run("submit", "x", "-a", "desk-k", CELERY_BROKER_URL=url)

        assert (done.code, done.err) == (0, "")
        assert channel.basic_get("cancel.desk-k.routine", no_ack=True) is not None


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

    assert (process.returncode, out, len(err.splitlines())) == (69, "", 2)
    assert err.endswith("; job cut-1 was sent and goes on\n")


def test_who_interrupts_the_wait_is_told_that_the_job_goes_on(
    shell: Shell, rabbit: RabbitNode
) -> None:
    process = waiting(shell, rabbit, "cut-2")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == [
        "cancel-worker: no worker serves desk-k now; the job waits",
        "cancel-worker: interrupted; job cut-2 was sent and goes on",
    ]
