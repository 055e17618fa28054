"""From the queue into the database, with a real RabbitMQ: nothing lost, nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.support.cli import Shell
from tests.support.postgres import PostgresServer
from tests.support.producer import connect
from tests.support.rabbitmq import RabbitNode
from tests.worker.record.conftest import eventually, outcome, publish, report
from worker.record import journal
from worker.record.migrate import migrate
from worker.record.read import Message, read
from worker.record.store import Store
from worker.record.tables import OUTCOMES, UNREADABLE

QUEUE = "cancel.record"
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def shell(rabbit: RabbitNode, tmp_path: Path) -> Iterator[Shell]:
    """A shell beside RabbitMQ, with the record's queue empty."""
    delete_queue(rabbit)
    yield Shell(tmp_path, {"CELERY_BROKER_URL": rabbit.url, "CANCEL_LOG": "json"})
    delete_queue(rabbit)


def delete_queue(rabbit: RabbitNode) -> None:
    with connect(rabbit.url) as connection:
        connection.channel().queue_delete(QUEUE)


@pytest.fixture
def start(shell: Shell) -> Iterator[Start]:
    """Starts recorders, which end with the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(url: str) -> subprocess.Popen[str]:
        processes.append(shell.start("record", CANCEL_RECORD_URL=url))
        assert said(processes[-1], "recording")
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return the next line of this event that a recorder logs."""
    assert process.stdout
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"it ended without {event}")


def messages(rabbit: RabbitNode) -> int:
    with connect(rabbit.url) as connection:
        return int(connection.channel().queue_declare(QUEUE, passive=True).message_count)


def rows(url: str) -> int:
    store = Store(url)
    try:
        with store.engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(OUTCOMES)) or 0)
    except Exception:  # noqa: BLE001 - it is away
        return -1
    finally:
        store.close()


def test_every_outcome_becomes_one_row(
    start: Start, rabbit: RabbitNode, empty_url: str
) -> None:
    recorder = start(empty_url)
    sent = [outcome(str(n)) for n in range(1500)]

    publish(rabbit.url, *sent, *sent[:300], b"not an outcome")

    eventually(lambda: rows(empty_url) == 1500 and messages(rabbit) == 0)
    recorder.send_signal(signal.SIGTERM)
    assert said(recorder, "record_stopped")["written"] == 1801
    assert recorder.wait(10) == 0
    store = Store(empty_url)
    with store.engine.connect() as connection:
        assert list(connection.scalars(select(UNREADABLE.c.body))) == [b"not an outcome"]
    store.close()


def test_reports_are_kept_beside_the_outcomes_and_told(
    start: Start, shell: Shell, rabbit: RabbitNode, empty_url: str
) -> None:
    start(empty_url)
    resting = {"id": "9", "kind": "", "symbol": "", "ord_type": "limit", "reason": "failed"}
    rests: dict[str, Any] = {
        "result": "not_empty",
        "proof": [],
        "resting": [resting],
        "resting_count": 1,
    }
    flat = report("job-0", counts={})

    publish(rabbit.url, outcome("1"), report(), flat, report("job-2", **rests))

    shell = Shell(shell.folder, shell.env | {"CANCEL_RECORD_URL": empty_url})
    eventually(lambda: "its report" in shell.run("status", "job-2").out)
    told = {job: shell.run("status", job).out.splitlines() for job in ("job-0", "job-1")}
    assert told["job-0"] == ["its report, of 2026-11-21T09:30:10.431Z: empty"]
    assert [line.split(":")[0] for line in told["job-1"][-2:]] == [
        "job job-1 at kuna/desk-k",
        "its report, of 2026-11-21T09",
    ]
    assert shell.run("status", "job-2").out.rstrip().endswith("not_empty (1 rest)")
    assert shell.run("status", "job-0", "--json").lines == [flat]


def test_outcomes_wait_in_the_queue_while_nobody_records(
    start: Start, shell: Shell, rabbit: RabbitNode
) -> None:
    url = f"sqlite:///{shell.folder}/record.sqlite3"
    first = start(url)
    first.send_signal(signal.SIGTERM)
    first.wait(10)

    publish(rabbit.url, *(outcome(str(n)) for n in range(50)))
    assert messages(rabbit) == 50
    start(url)

    eventually(lambda: rows(url) == 50 and messages(rabbit) == 0)


def test_nothing_is_lost_while_the_database_is_away(
    start: Start, rabbit: RabbitNode, postgres: PostgresServer, postgres_url: str
) -> None:
    recorder = start(postgres_url)
    publish(rabbit.url, *(outcome(str(n)) for n in range(100)))
    eventually(lambda: rows(postgres_url) == 100)

    postgres.stop()
    publish(rabbit.url, *(outcome(str(n)) for n in range(50, 700)))
    assert said(recorder, "database_away")["why"]
    eventually(lambda: messages(rabbit) == 650)
    publish(rabbit.url, *(outcome(str(n)) for n in range(700, 800)))
    postgres.start()

    eventually(lambda: rows(postgres_url) == 800 and messages(rabbit) == 0)


def test_a_recorder_that_is_killed_loses_nothing(
    start: Start, rabbit: RabbitNode, empty_url: str
) -> None:
    """Killed between commit and acknowledgement: the outcomes come again and change nothing.

    Another one writes beside it: the chain has one end all the same.
    """
    start(empty_url)
    recorder = start(empty_url)
    for first in range(0, 3000, 500):
        publish(rabbit.url, *(outcome(str(n)) for n in range(first, first + 500)))
        recorder.kill()
        recorder.wait(10)
        recorder = start(empty_url)

    eventually(lambda: rows(empty_url) == 3000 and messages(rabbit) == 0)
    store = Store(empty_url)
    with store.reading() as connection:
        found = journal.checked(connection)
    store.close()
    assert (found.rows, found.fault) == (3000, "")


def test_a_lost_connection_is_made_again(
    start: Start, shell: Shell, rabbit: RabbitNode
) -> None:
    url = f"sqlite:///{shell.folder}/record.sqlite3"
    recorder = start(url)
    rabbit.control("close_all_connections", "a test cuts the line")
    assert said(recorder, "broker_away")
    assert said(recorder, "recording")

    publish(rabbit.url, *(outcome(str(n)) for n in range(20)))

    eventually(lambda: rows(url) == 20)


def test_it_waits_for_a_database_that_comes_later(
    shell: Shell, rabbit: RabbitNode, postgres: PostgresServer
) -> None:
    postgres.stop()
    recorder = shell.start("record", CANCEL_RECORD_URL=postgres.url)
    try:
        assert "refused" in said(recorder, "database_away")["why"]
        postgres.start()
        assert said(recorder, "recording")
    finally:
        recorder.kill()
        recorder.communicate()


def test_status_and_explain_tell_the_story(shell: Shell, empty_url: str) -> None:
    shell = Shell(shell.folder, shell.env | {"CANCEL_RECORD_URL": empty_url})
    none = shell.run("explain", "1")
    assert none.code == 1
    assert "no record at" in none.err

    record_some(empty_url)

    told = shell.run("explain", "77")
    assert told.code == 0
    assert told.out.splitlines()[0] == "Order 77: named by 2 jobs."
    assert told.out.index("failed (unreachable)") < told.out.index(
        "canceled (already_canceled)"
    )
    assert "the venue says that the order is canceled: no further fill" in told.out
    assert "A look-up at the venue showed it; last seen as CANCELED." in told.out
    assert "for risk-engine-2 asked for it at kuna, account desk-k" in told.out
    status = shell.run("status", "job-b", "--json")
    assert [(line["id"], line["status"]) for line in status.lines] == [
        ("77", "canceled"),
        ("78", "filled"),
    ]
    assert "1 canceled, 1 filled" in shell.run("status", "job-b").out
    for words in (("explain", "79"), ("status", "job-c")):
        unknown = shell.run(*words)
        assert (unknown.code, unknown.out) == (1, "")
        assert "the record holds nothing of" in unknown.err


def record_some(url: str) -> None:
    failed = outcome("77", "job-a", status="failed", reason="unreachable", evidence="none")
    later = {"finished_at": "2026-11-21T09:40:00.000Z", "reason": "already_canceled"}
    filled = outcome("78", "job-b", status="filled", finished_at="2026-11-21T09:41:00.000Z")
    record_these(url, failed, outcome("77", "job-b", **later), filled)


def record_these(url: str, *found: dict[str, Any]) -> None:
    store = Store(url)
    migrate(store)
    now = datetime.now(UTC)
    store.write([read(Message(json.dumps(each).encode(), "k"), now) for each in found])
    store.close()


def test_status_counts_ids_and_tells_apart_what_was_refused_as_a_whole(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/record.sqlite3"
    nowhere = {"venue": "", "account": "", "status": "rejected", "evidence": "none"}
    record_these(
        url,
        outcome("77", "job-b"),
        outcome("", "job-b", reason="wrong_routing_key", **nowhere),
        outcome("", "job-c", reason="unknown_account", **nowhere),
    )
    shell = Shell(tmp_path, {"CANCEL_RECORD_URL": url})

    both, whole = shell.run("status", "job-b"), shell.run("status", "job-c")

    assert both.out.splitlines()[-1] == (
        "job job-b at kuna/desk-k: 1 canceled; "
        "another message of this job id was rejected (wrong_routing_key)"
    )
    assert whole.out.splitlines()[-1] == (
        "job job-c at an unknown account: the whole job was rejected (unknown_account)"
    )


@pytest.mark.parametrize("words", [("status", "job"), ("explain", "1")], ids=lambda w: w[0])
def test_a_dead_database_is_told_in_one_line_without_its_password(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    env = {"CANCEL_RECORD_URL": "postgresql://record:hidden@127.0.0.1:9/x"}

    done = Shell(tmp_path, env).run(*words)

    assert done.code == 69
    assert len(done.err.splitlines()) == 1
    assert "the database does not answer" in done.err
    assert "hidden" not in done.err


def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    done = Shell(tmp_path, {}).run("record", "--url", "nonsense")

    assert (done.code, len(done.err.splitlines())) == (78, 1)
    assert "not a database URL" in done.err
