"""`submit` and the record over the embedded broker: the first look needs no RabbitMQ."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Shell
from tests.support.worker import WorkerProcess, accounts_file
from tests.worker.cli.conftest import KEY, SECRET, accounts, new_ids
from venues.sandbox.client import SandboxClient, start_sandbox


@pytest.fixture(scope="module")
def venue() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        client.add_account("kuna", KEY, SECRET)
        yield client


@pytest.fixture(scope="module")
def folder(venue: SandboxClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell beside a worker that has its broker in a folder."""
    path = tmp_path_factory.mktemp("folder")
    env = accounts_file(accounts(venue.url), path / "cancel.toml")
    url = f"filesystem://{path}/broker"
    shell = Shell(path, env | {"CELERY_BROKER_URL": url})
    with WorkerProcess(url, shell.env, path / "worker.log", name="folder"):
        yield shell


def seed(venue: SandboxClient, ids: list[str]) -> None:
    row = {"venue": "kuna", "api_key": KEY, "symbol": "BTC_USDT", "ord_type": "limit"}
    venue.seed([row | {"id": order_id} for order_id in ids])


def bindings(shell: Shell) -> str:
    return (shell.folder / "broker/control/cancel.outcomes.exchange").read_text()


def test_wait_hears_the_outcomes_and_leaves_no_queue_behind(
    folder: Shell, venue: SandboxClient
) -> None:
    ids = new_ids(25)
    seed(venue, ids)

    done = folder.run("submit", *ids, "-a", "desk-k", "--wait", "--json")

    assert done.code == 0, done
    assert done.lines[-1]["counts"] == {"canceled": 25}
    assert "amq.gen" not in bindings(folder)


def test_an_account_that_nobody_serves_is_told(folder: Shell) -> None:
    done = folder.run("submit", "1", "-a", "nobody")

    assert (done.code, done.err) == (
        2,
        "cancel-worker: no account 'nobody' at the broker; known are desk-c, desk-k, desk-z\n",
    )


def test_the_record_explains_what_came_over_the_folder(
    folder: Shell, venue: SandboxClient
) -> None:
    (order_id,) = new_ids(1)
    seed(venue, [order_id])
    recorder = folder.start("record")
    wait_for(lambda: "cancel.record" in bindings(folder))

    folder.run("submit", order_id, "-a", "desk-k", "--wait", "--job-id", "folder-1")
    wait_for(lambda: "its report" in folder.run("status", "folder-1").out)
    recorder.send_signal(signal.SIGTERM)
    out, err = recorder.communicate(timeout=20)

    assert (recorder.returncode, err) == (0, "")
    assert '"written": 2' in out.splitlines()[-1]
    assert f"Order {order_id}: named by 1 job." in folder.run("explain", order_id).out


def test_check_says_that_the_folder_is_for_a_first_look(folder: Shell) -> None:
    done = folder.run("check", "--json")

    assert done.code == 0, done.out
    states = {line["what"]: line["state"] for line in done.lines}
    assert (states["broker"], states["queues"]) == ("ok", "note")


def wait_for(condition: object, timeout_s: float = 20.0) -> None:
    assert callable(condition)
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_rejected_messages_of_the_folder_can_be_seen(folder: Shell) -> None:
    listed = folder.run("rejected", "list", "--json")

    assert (listed.code, listed.out) == (0, "")
    assert Path(folder.folder / "broker").is_dir()
