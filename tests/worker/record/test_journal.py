"""The journal over SQLite and PostgreSQL: one chain, whoever writes; all tampering is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from tests.worker.record.conftest import exchange_of, outcome, receipt, report, write_at_once
from worker.record import journal
from worker.record.chain import Check, check
from worker.record.migrate import config, migrate
from worker.record.read import Message, Row, read
from worker.record.store import Store

NOW = datetime(2026, 11, 28, 9, 30, 0, 123456, tzinfo=UTC)


def row(message: dict[str, Any] | bytes, now: datetime = NOW) -> Row:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read(Message(raw, "k", exchange_of(message)), now)


def verified(store: Store, head: str = "") -> Check:
    with store.reading() as connection:
        return check(journal.links(connection), head)


def misfit(store: Store) -> str:
    with store.reading() as connection:
        return journal.first_misfit(connection)


def run(store: Store, *statements: str) -> None:
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def filled(store: Store) -> Store:
    """A record of ten outcomes, two reports and what is neither, in three transactions."""
    store.write([row(outcome(str(n), tags={"\0": "\u00e4"})) for n in range(5)])
    store.write([row(report()), row(b"neither \xff"), row(report("job-2", scope=None))])
    store.write([row(outcome(str(n), latency_ms=0.1 + 0.2)) for n in range(5, 10)])
    return store


def test_all_that_is_recorded_is_in_one_chain(filled: Store) -> None:
    found = verified(filled)

    assert (found.rows, found.fault, misfit(filled)) == (13, "", "")
    assert (found.began_at, found.ended_at) == (NOW, NOW)
    assert [r.number for r in filled.of_id("0") + filled.of_id("9")] == [1, 13]


def test_a_message_that_comes_twice_is_in_it_once(filled: Store) -> None:
    head = verified(filled).head

    filled.write([row(outcome("5", latency_ms=0.1 + 0.2)), row(report()), row(b"neither \xff")])

    assert verified(filled).head == head


def test_an_answer_that_was_replaced_stays_in_it(filled: Store) -> None:
    later = outcome("0", status="filled", finished_at="2026-11-21T10:00:00.000Z")
    filled.write([row(later), row(later)])

    with filled.reading() as connection:
        bodies = [
            json.loads(link.body) for link in journal.links(connection) if link.number != 7
        ]
    told = [body["status"] for body in bodies if body.get("id") == "0"]
    assert (told, filled.of_id("0")[0].status) == (["canceled", "filled"], "filled")
    assert (verified(filled).fault, misfit(filled)) == ("", "")


TAMPERED = [
    ("UPDATE journal SET finished_at = recorded_at WHERE number = 4", "row 4 was changed"),
    ("UPDATE journal SET routing_key = 'x' WHERE number = 4", "row 4 was changed"),
    ("UPDATE journal SET sha256 = previous_sha256 WHERE number = 4", "row 4 was changed"),
    ("DELETE FROM journal WHERE number = 4", "row 4 is missing"),
    ("DELETE FROM journal WHERE number <= 4", "rows 1 to 4 are missing"),
    ("UPDATE journal SET number = 99 WHERE number = 4", "row 4 is missing"),
    (
        "INSERT INTO journal (number, kind, finished_at, recorded_at, routing_key, body, "
        "body_sha256, previous_sha256, sha256) SELECT 14, kind, finished_at, recorded_at, "
        "routing_key, body, 'x', previous_sha256, sha256 FROM journal WHERE number = 4",
        "row 14 was changed",
    ),
]


@pytest.mark.parametrize(("statement", "said"), TAMPERED, ids=[said for _, said in TAMPERED])
def test_a_row_that_somebody_tampered_with_is_named(
    filled: Store, statement: str, said: str
) -> None:
    run(filled, statement)

    assert verified(filled).fault.startswith(said)


@pytest.mark.parametrize("column", ["finished_at", "recorded_at", "number", "body", "sha256"])
def test_a_value_of_another_kind_is_told_as_well(tmp_path: Path, column: str) -> None:
    """SQLite keeps a text in any column."""
    store = Store(f"sqlite:///{tmp_path}/record.sqlite3")
    migrate(store)
    store.write([row(outcome(str(n))) for n in range(5)])

    run(store, f"UPDATE journal SET {column} = 'nonsense' WHERE number = 4")

    assert verified(store).fault
    run(store, "UPDATE outcomes SET finished_at = 'nonsense' WHERE id = '1'")
    assert misfit(store).startswith("a row of outcomes was changed, and cannot be read")
    store.close()


def test_a_message_that_somebody_changed_is_named(filled: Store) -> None:
    with filled.engine.begin() as connection:
        where = text("SELECT body FROM journal WHERE number = 6")
        body = bytes(connection.scalar(where) or b"")
        assert b"empty" in body
        connection.execute(
            text("UPDATE journal SET body = :body WHERE number = 6"),
            {"body": body.replace(b"empty", b"done")},
        )

    assert verified(filled).fault == "row 6 was changed: its message has another SHA-256"


def test_an_end_that_was_cut_off_needs_a_head_that_was_kept(filled: Store) -> None:
    head = verified(filled).head

    run(
        filled,
        "DELETE FROM outcomes WHERE number > 11",
        "DELETE FROM journal WHERE number > 11",
    )

    assert (verified(filled).fault, misfit(filled)) == ("", "")
    assert verified(filled, head).fault.startswith(f"no row has the SHA-256 {head}")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE outcomes SET status = 'filled' WHERE id = '3'", "job-1 3 in outcomes"),
        ("UPDATE outcomes SET requested_by = 'me' WHERE id = '3'", "job-1 3 in outcomes"),
        ("UPDATE outcomes SET number = 8 WHERE id = '3'", "job-1 3 in outcomes"),
        ("DELETE FROM journal WHERE number = 13", "job-1 9 in outcomes"),
        ("UPDATE reports SET result = 'done' WHERE job_id = 'job-2'", "job-2 in reports"),
        ("UPDATE reports SET scope = '{}' WHERE job_id = 'job-2'", "job-2 in reports"),
    ],
)
def test_what_status_and_explain_tell_is_held_against_the_journal(
    filled: Store, statement: str, said: str
) -> None:
    run(filled, statement)

    assert misfit(filled).startswith(f"the row of {said} was changed: row ")


def test_receipts_are_in_the_chain_and_held_against_it(store: Store) -> None:
    """A job that was taken twice has two; one without a name has its own."""
    again = receipt(accepted_at="2026-11-21T09:31:00.000Z")
    store.write([row(receipt()), row(again), row(receipt()), row(outcome("1")), row(report())])
    store.write([row(receipt("", answer="rejected", rejected_reason="not_json"))])

    assert (verified(store).rows, verified(store).fault, misfit(store)) == (5, "", "")
    run(store, "UPDATE receipts SET requested_by = 'nobody' WHERE number = 2")
    assert (
        misfit(store)
        == "the row of 2 in receipts was changed: row 2 of the journal says otherwise"
    )


def test_a_journal_from_before_receipts_is_read_and_verified(store: Store) -> None:
    store.write([row(outcome("1")), row(report())])
    head = verified(store).head
    with store.engine.begin() as connection:
        command.downgrade(config(connection), "0006")
    assert not store.is_current()

    migrate(store)
    store.write([row(receipt("job-2"))])

    assert store.is_current()
    assert (verified(store, head).rows, verified(store, head).fault, misfit(store)) == (
        3,
        "",
        "",
    )


def test_a_number_that_is_none_does_not_look_like_tampering(store: Store) -> None:
    nan, scope = float("nan"), {"x": float("nan"), "y": [float("inf"), 0.1, -0.0]}
    store.write([row(report("job-1", scope=scope)), row(report("job-2", latency_ms=nan))])
    store.write([row(outcome("1", latency_ms=nan)), row(outcome("2", latency_ms=-0.0))])

    assert (verified(store).rows, verified(store).fault, misfit(store)) == (4, "", "")


def test_writers_at_once_do_not_fork_the_chain(store: Store) -> None:
    rows = [row(outcome(str(n))) for n in range(400)]

    write_at_once(store, rows, 20)

    assert (verified(store).rows, verified(store).fault, misfit(store)) == (400, "", "")


def test_what_was_recorded_before_the_chain_is_counted_and_kept(store: Store) -> None:
    with store.engine.begin() as connection:
        command.downgrade(config(connection), "0005")
        words = (
            "venue",
            "account",
            "symbol",
            "kind",
            "ord_type",
            "reason",
            "venue_code",
            "text",
        )
        moment = "'2026-11-20 10:00:00.000000'"
        more = f"{moment}, {moment}, 1" + ", ''" * (1 + len(words))
        connection.execute(
            text(
                "INSERT INTO outcomes (job_id, id, status, evidence, attempts, tags, "
                f"accepted_at, finished_at, latency_ms, requested_by, {', '.join(words)}) "
                f"VALUES ('old', '1', 'canceled', 'reply', 1, '{{}}', {more})"
            )
        )
    assert not store.is_current()

    migrate(store)
    store.write([row(outcome("1"))])

    assert store.is_current()
    with store.reading() as connection:
        assert journal.outside(connection) == 1
    assert (verified(store).rows, misfit(store)) == (1, "")
    assert [r.number for r in store.of_id("1")] == [None, 1]


def test_what_a_newer_worker_told_is_filled_in_from_the_journal(store: Store) -> None:
    """The record was of the version before while the worker was not."""
    told = [row(outcome("1", became="77", tags={"became": "x"})), row(outcome("2", became=""))]
    store.write([*told, row(outcome("3", tags={"became": "x"}))])
    with store.engine.begin() as connection:
        command.downgrade(config(connection), "0006")
    assert not store.is_current()

    migrate(store)

    assert store.is_current()
    assert [store.of_id(each)[0].became for each in ("1", "2", "3")] == ["77", "", ""]
    assert misfit(store) == ""
