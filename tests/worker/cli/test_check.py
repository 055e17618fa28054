"""`check`: ok or the mend, line by line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu import Connection

from tests.support.cli import Done, Shell
from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess
from tests.worker.cli.conftest import KEY, SECRET
from venues.sandbox.client import SandboxClient
from worker.amqp import topology


def found(done: Done) -> dict[str, dict[str, Any]]:
    return {line["what"]: line for line in done.lines}


@pytest.mark.usefixtures("worker")
def test_all_is_well_beside_a_worker(shell: Shell) -> None:
    done = shell.run("check", "--json")

    findings = found(done)
    assert done.code == 0, done.out
    assert "RabbitMQ" in findings["broker"]["detail"]
    assert "cancel_batch 10/1s" in findings["account desk-c"]["detail"]
    assert {
        f["state"] for what, f in findings.items() if what.startswith("queue cancel.desk")
    } == {"ok"}
    assert any(what.startswith("clock of http://127.0.0.1") for what in findings)
    assert KEY not in done.out
    assert SECRET not in done.out


@pytest.mark.usefixtures("worker")
def test_a_test_job_goes_through_each_lane_and_no_venue_hears_of_it(
    shell: Shell, sandbox: SandboxClient
) -> None:
    before = len(sandbox.requests())

    done = shell.run("check", "--deep", "--json")

    lanes = {what: f for what, f in found(done).items() if what.startswith("test job to ")}
    assert done.code == 0, done.out
    assert set(lanes) == {
        f"test job to {priority}.{account}"
        for priority in ("kill", "routine")
        for account in ("desk-c", "desk-k", "desk-z")
    }
    assert all(f["detail"].startswith("answered in ") for f in lanes.values())
    # Jobs of other tests may still be on their way: they name what `new_ids` gave them.
    named = {one for request in sandbox.requests()[before:] for one in request.ids}
    assert not {one for one in named if not one.startswith(("3fa42833-", "33308750270"))}


def test_a_lane_whose_worker_stands_still_is_not_ok(shell: Shell, rabbit: RabbitNode) -> None:
    """It has a consumer, so that all of its queues look served."""
    url = rabbit.vhost("stands-still")
    with Connection(url) as connection, connect(url) as other:
        topology.declare(connection, ["desk-c", "desk-k", "desk-z"], embedded=False)
        channel = other.channel()
        channel.basic_consume("cancel.desk-k.kill", callback=lambda _: None)

        done = shell.run("check", "--deep", "--json", CELERY_BROKER_URL=url)

    assert done.code == 1
    assert found(done)["test job to kill.desk-k"] == {
        "what": "test job to kill.desk-k",
        "state": "not ok",
        "detail": "no outcome within 5 s; see the worker's log",
    }
    assert "test job to kill.desk-c" not in found(done)


def test_a_lane_whose_process_stands_still_is_not_ok(
    shell: Shell, worker: WorkerProcess
) -> None:
    """Its worker takes messages, answers questions and looks well."""
    still = worker.lane_processes()[0]
    still.suspend()
    try:
        done = shell.run("check", "--deep", "--json")
    finally:
        still.resume()

    lanes = {f["state"] for what, f in found(done).items() if what.startswith("test job to ")}
    assert done.code == 1
    assert "not ok" in lanes
    assert {
        f["state"] for what, f in found(done).items() if what.startswith("queue cancel.desk")
    } == {"ok"}


def test_each_fault_is_told_with_its_mend(offline: Shell) -> None:
    """A missing secret of one account hides neither the other accounts nor the rest."""
    done = offline.run("check", "--json", DESK_Z_SECRET="")

    findings = found(done)
    assert done.code == 1
    assert findings["account desk-c"]["state"] == "ok"
    assert findings["account desk-z"]["state"] == "not ok"
    assert "DESK_Z_SECRET is empty or not set" in findings["account desk-z"]["detail"]
    assert "start it or set CELERY_BROKER_URL" in findings["broker"]["detail"]
    assert "hidden" not in done.out
    assert "cannot be reached" in findings["http://127.0.0.1:9"]["detail"]


def test_a_proxy_that_is_not_used_is_said_where_a_venue_cannot_be_reached(
    offline: Shell,
) -> None:
    done = offline.run("check", "--json", HTTPS_PROXY="http://127.0.0.1:9")

    detail = found(done)["http://127.0.0.1:9"]["detail"]
    assert "HTTPS_PROXY of the environment is not used; set proxy" in detail


def test_queues_that_nobody_serves_are_not_ok(shell: Shell, worker: object) -> None:
    (shell.folder / "other.toml").write_text(
        '[accounts.unserved]\nvenue = "kuna"\napi_key_env = "DESK_K_KEY"\n'
        'base_url = "http://127.0.0.1:9"\n'
    )

    done = shell.run("check", "--json", CANCEL_CONFIG="other.toml")

    assert done.code == 1
    assert found(done)["queue cancel.unserved.kill"] == {
        "what": "queue cancel.unserved.kill",
        "state": "not ok",
        "detail": "not there; start a worker, which declares it",
    }


def test_a_key_under_two_names_is_not_ok(shell: Shell) -> None:
    file = shell.folder / "cancel.toml"
    twice = file.read_text().split("[accounts.")
    same = next(table for table in twice if table.startswith("desk-k]"))
    (shell.folder / "twice.toml").write_text(
        file.read_text() + "\n[accounts." + same.replace("desk-k]", "desk-k2]")
    )

    done = shell.run("check", "--json", CANCEL_CONFIG="twice.toml")

    findings = found(done)
    assert done.code == 1
    assert findings["account desk-k"]["state"] == "ok"
    assert "the same key as accounts.desk-k" in findings["account desk-k2"]["detail"]
    assert KEY not in done.out


@contextmanager
def venue_of(date: str) -> Iterator[str]:
    """A venue whose clock shows `date`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                head = (
                    f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 2\r\n\r\n{{}}"
                )
                peer.sendall(head.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_clock_that_is_off_is_told(offline: Shell) -> None:
    with venue_of("Wed, 21 Oct 2015 07:28:00 GMT") as url:
        file = offline.folder / "cancel.toml"
        file.write_text(file.read_text().replace("http://127.0.0.1:9", url))
        done = offline.run("check", "--json")

        finding = found(done)[f"clock of {url}"]
        assert (finding["state"], "ahead; synchronise it" in finding["detail"]) == (
            "not ok",
            True,
        )
        assert found(done)[url]["state"] == "ok"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('api_key = "0123456789"', "accounts.desk-1.api_key: a key does not belong in this"),
        ('secret = "0123456789"', "accounts.desk-1.secret: a secret does not belong in"),
        ("timeot = 3.0", "accounts.desk-1.timeot: no such key; did you mean timeout?"),
        ('[account.desk-2]\nvenue = "ztdx"', "account: no such key; did you mean accounts?"),
        ('[accounts."two words"]\nvenue = "ztdx"', 'accounts: "two words" is no account'),
        ("timeout = 99.0", "accounts.desk-1.timeout: input should be less than or equal to 60"),
    ],
)  # fmt: skip
def test_a_fault_of_the_accounts_file_is_told_without_its_value(
    offline: Shell, lines: str, said: str
) -> None:
    (offline.folder / "cancel.toml").write_text(f'[accounts.desk-1]\nvenue = "ztdx"\n{lines}\n')

    done = offline.run("check", "--json")

    assert f"cancel.toml: {said}" in done.lines[0]["detail"]
    assert "0123456789" not in done.out + done.err


def test_a_folder_in_place_of_the_accounts_file_is_told_with_its_cause(offline: Shell) -> None:
    (offline.folder / "folder.toml").mkdir()

    done = offline.run("check", "--json", CANCEL_CONFIG="folder.toml")

    assert done.code == 1
    assert done.lines[0]["detail"] == (
        "folder.toml: a folder, which Docker makes where the file to mount is missing;"
        " delete it and put the accounts file in its place"
    )


def test_without_an_accounts_file_the_first_line_says_so(offline: Shell) -> None:
    done = offline.run("check", CANCEL_CONFIG="nowhere.toml")

    assert done.code == 1
    assert "nowhere.toml: no such file; copy cancel.toml.example there" in done.out
