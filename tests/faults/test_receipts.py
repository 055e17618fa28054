"""Who asked what is on record, with a real worker and broker: taken, refused, not ended."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.cli import Shell
from tests.support.producer import Outcomes
from tests.support.world import World
from tests.worker.record.conftest import eventually

#: In fields that mean nothing here, or are not what they should be.
PLANTED = {"api_secret": "planted-in-a-job"}


@pytest.fixture
def shell(world: World) -> Iterator[Shell]:
    """A shell beside a record whose queue was declared, and which is down since."""
    url = f"sqlite:///{world.folder}/record.sqlite3"
    shell = Shell(world.folder, {"CELERY_BROKER_URL": world.url, "CANCEL_RECORD_URL": url})
    run_record(shell, lambda: True)
    yield shell


def run_record(shell: Shell, done: Any) -> None:
    """Have a record run until `done`."""
    with shell.start("record", CANCEL_LOG="json") as process:
        assert process.stdout
        next(line for line in process.stdout if '"recording"' in line)
        eventually(done)
        process.terminate()


def exported(shell: Shell) -> tuple[list[dict[str, str]], list[str]]:
    """Return the rows on jobs, and the gaps, of today."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    done = shell.run("audit", "export", "--day", day)
    assert done.code == 0, done.err
    rows = list(csv.DictReader(done.out.splitlines()))
    return [row for row in rows if row["what"] == "job"], done.err.splitlines()


def post(world: World, key: str, **job: Any) -> None:
    world.publish(key, json.dumps(job | PLANTED).encode())


def test_who_asked_is_told_and_recorded_also_of_what_was_refused(
    world: World, shell: Shell
) -> None:
    """The record is down meanwhile, so its queue keeps them."""
    desk = world.desk("asked")
    (order_id,) = world.seed(desk, 1)
    receipts = Outcomes(world.url, exchange="cancel.receipts")
    world.worker().start(ready="worker_ready")

    who = {"requested_by": "ops-1", "reason": "max loss", "account": "asked"}
    post(world, "kill.asked", job_id="flat", scope={"symbols": ["BTC"]}, hold_s=0, **who)
    post(world, "kill.asked", job_id="half", scope={"side": "buy"}, **who)
    post(world, "kill.asked", job_id="odd", orders=[], **who)
    post(world, "routine.nobody", job_id="astray", orders=["7"], **who | {"account": "nobody"})
    post(
        world, "routine.asked", job_id="ids", orders=[{"id": order_id, "symbol": "BTC"}], **who
    )
    world.hear(lambda: bool(world.lines("job_done", job_id="ids")))
    world.hear(lambda: bool(world.lines("job_done", job_id="flat")), 60.0)
    found = {said["job_id"]: said for said in receipts.wait(4)}

    assert found.keys() == {"flat", "half", "odd", "astray"}
    assert {m.delivery_info["routing_key"] for m in receipts.messages} == {
        "coinw.asked.taken",
        "coinw.asked.rejected",
        "_.nobody.rejected",
    }
    assert (found["flat"]["scope"], found["flat"]["hold_s"]) == ({"symbols": ["BTC"]}, 0)
    assert (found["half"]["rejected_reason"], found["half"]["scope"]) == (
        "unsupported_scope",
        {"side": "buy"},
    )
    assert (found["odd"]["rejected_reason"], found["odd"]["ids"]) == ("no_orders", [])
    assert (found["astray"]["rejected_reason"], found["astray"]["ids"]) == (
        "unknown_account",
        ["7"],
    )
    for said in found.values():
        assert (said["requested_by"], said["reason"]) == ("ops-1", "max loss")
        assert "planted" not in json.dumps(said)

    run_record(shell, lambda: len(exported(shell)[0]) == 4)
    rows, gaps = exported(shell)
    assert {(row["job_id"], row["result"], row["requested_by"]) for row in rows} == {
        ("flat", "taken", "ops-1"),
        ("half", "rejected", "ops-1"),
        ("odd", "rejected", "ops-1"),
        ("astray", "rejected", "ops-1"),
    }
    assert gaps == []
    assert ": OK" in shell.run("audit", "verify").out


def test_a_job_whose_worker_died_is_a_gap_until_the_next_one_ends_it(
    world: World, shell: Shell
) -> None:
    desk = world.desk("unended")
    (order_id,) = world.seed(desk, 1)
    first = world.worker("w1")
    first.set("CANCEL_RECEIPTS", "all")
    first.start(ready="worker_ready")
    receipts = Outcomes(world.url, exchange="cancel.receipts")
    world.sandbox.fault("timeout_before_effect", api_key=desk.key, hold_s=30, times=100)

    post(
        world, "kill.unended", job_id="open", account="unended", orders=[order_id], symbol="BTC"
    )
    receipts.wait(1)
    first.kill()

    run_record(shell, lambda: len(exported(shell)[0]) == 1)
    assert exported(shell)[1] == [
        "cancel-worker: 1 job taken, and nothing is told of: open. Not ended yet?"
    ]
    told = shell.run("status", "open")
    assert told.code == 0
    assert f"taken: somebody asked at unended for kill, 1 id: {order_id}" in told.out
    assert "nothing is told of it yet" in told.out

    world.sandbox.clear_faults()
    world.worker("w2").start(ready="worker_ready")
    world.hear(lambda: bool(world.lines("job_done", job_id="open")))
    run_record(shell, lambda: exported(shell)[1] == [])
