"""The record over SQLite and PostgreSQL: one row for each job and id, whatever comes twice."""

from __future__ import annotations

import json
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, inspect, select, text

from tests.worker.record.conftest import exchange_of, outcome, report, write_at_once
from worker.cli.explain import story
from worker.contract.report import ReportMessage
from worker.record.migrate import config, migrate
from worker.record.read import Message, Row, read
from worker.record.store import DatabaseAway, RecordError, Store
from worker.record.tables import METADATA, OUTCOMES, UNREADABLE

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def row(message: dict[str, Any] | bytes) -> Row:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read(Message(raw, "kuna.desk-k.canceled", exchange_of(message)), NOW)


def unreadable(store: Store) -> list[bytes]:
    with store.engine.connect() as connection:
        return list(connection.scalars(select(UNREADABLE.c.body)))


def test_an_outcome_is_kept_as_it_was_told(store: Store) -> None:
    store.write([row(outcome("1"))])

    (found,) = store.of_id("1")
    assert (found.job_id, found.status, found.tags) == ("job-1", "canceled", {"desk": "7"})
    assert found.finished_at == NOW + timedelta(milliseconds=412)
    assert found.latency_ms == 412.7


def test_the_quantity_executed_is_kept_and_may_be_left_out(store: Store) -> None:
    store.write([row(outcome("1", cum_qty="4.50")), row(outcome("2"))])

    assert [found.cum_qty for found in store.of_id("1") + store.of_id("2")] == ["4.50", ""]


def test_what_an_order_became_is_kept_and_told(store: Store) -> None:
    store.write([row(outcome("1", became="77")), row(outcome("2"))])
    fired, plain = store.of_id("1") + store.of_id("2")

    assert (fired.became, plain.became) == ("77", "")
    assert "  It had fired, and became order 77: all of this is of that." in story(fired)
    assert "became" not in "".join(story(plain))


def test_a_duplicate_changes_nothing(store: Store) -> None:
    """A crash may publish an outcome twice: same status, perhaps another time."""
    store.write([row(outcome("1"))])
    before = store.of_id("1")

    again = outcome("1", finished_at="2026-11-21T09:31:00.000Z", latency_ms=60000.0)
    store.write([row(again), row(again), row(outcome("1"))])

    assert store.of_id("1") == before


def test_a_job_that_is_answered_otherwise_later_keeps_both_answers(store: Store) -> None:
    failed = outcome("1", status="failed", reason="deadline")
    later = outcome("1", finished_at="2026-11-21T10:00:00.000Z")

    store.write([row(failed), row(later), row(failed)])

    (found,) = store.of_id("1")
    assert (found.status, found.previous_status) == ("canceled", "failed")


def test_what_arrives_late_does_not_undo_what_is_newer(store: Store) -> None:
    store.write([row(outcome("1", finished_at="2026-11-21T10:00:00.000Z"))])

    store.write([row(outcome("1", status="failed"))])

    assert store.of_id("1")[0].status == "canceled"


@pytest.mark.parametrize(("status", "reason"), [("rejected", "auth"), ("failed", "deadline")])
def test_a_later_answer_that_asked_nothing_of_the_venue_leaves_what_is_proven(
    store: Store, status: str, reason: str
) -> None:
    store.write([row(outcome("1"))])
    before = store.of_id("1")

    again = outcome("1", status=status, reason=reason, evidence="none")
    store.write([row(again | {"finished_at": "2026-11-21T10:00:00.000Z"})])

    assert store.of_id("1") == before


def test_a_later_sight_or_doubt_stands_in_the_place_of_what_was_proven(store: Store) -> None:
    store.write([row(outcome("1", status="not_found")), row(outcome("2"))])

    later = {"finished_at": "2026-11-21T10:00:00.000Z"}
    seen = outcome("1", status="failed", reason="still_open", evidence="lookup")
    doubt = outcome("2", status="unconfirmed", reason="timeout", evidence="none")
    store.write([row(seen | later), row(doubt | later)])

    told = [(r.status, r.previous_status) for r in store.of_id("1") + store.of_id("2")]
    assert told == [("failed", "not_found"), ("unconfirmed", "canceled")]


def test_the_reason_of_the_job_is_kept_and_may_be_left_out(store: Store) -> None:
    store.write([row(outcome("1", job_reason="max loss")), row(outcome("2"))])

    assert [r.job_reason for r in store.of_id("1") + store.of_id("2")] == ["max loss", ""]


def test_who_found_an_order_is_kept_and_may_be_left_out(store: Store) -> None:
    store.write([row(outcome("1", found_by="scope")), row(outcome("2"))])

    assert [r.found_by for r in store.of_id("1") + store.of_id("2")] == ["scope", None]


def test_a_report_is_kept_as_it_was_told_and_the_newest_stands(store: Store) -> None:
    later: dict[str, Any] = {
        "finished_at": "2026-11-21T09:31:00.000Z", "result": "unproven", "proof": []
    }  # fmt: skip
    odd = report("job-2", scope=None, hold_s=None, reason="a\0b", resting_count=10**30)
    scope = report("job-3", scope={"symbols": ["BTC\0"], "side": "buy"})

    store.write([row(report(**later)), row(report()), row(odd), row(scope)])

    assert store.report_on("job-1") == ReportMessage.model_validate(report(**later))
    found, other = store.report_on("job-2"), store.report_on("job-3")
    assert found is not None
    assert other is not None
    assert (found.scope, found.reason, found.resting_count) == (None, "a\ufffdb", 2**31 - 1)
    assert other.scope == {"symbols": ["BTC\ufffd"], "side": "buy"}
    assert store.report_on("job-4") is None


def test_an_id_is_told_through_all_its_jobs_oldest_first(store: Store) -> None:
    times = [f"2026-11-21T09:3{n}:00.000Z" for n in range(3)]
    jobs = [outcome("1", f"job-{n}", finished_at=t) for n, t in enumerate(times)]
    random.Random(7).shuffle(jobs)

    store.write([row(job) for job in jobs] + [row(outcome("2"))])

    assert [r.job_id for r in store.of_id("1")] == ["job-0", "job-1", "job-2"]
    assert [r.id for r in store.of_job("job-1")] == ["2", "1"]
    assert store.of_id("3") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b'{"job_id": "1"}',
        json.dumps(outcome("1", finished_at="yesterday")).encode(),
        json.dumps(outcome("1", finished_at="2026-11-21T09:30:00")).encode(),
        json.dumps(outcome("1", status="maybe")).encode(),
        json.dumps(outcome("1", latency_ms=float("nan"))).encode(),
        json.dumps(outcome("1", finished_at="0001-01-01T00:00:00+14:00")).encode(),
        json.dumps(outcome("1", text="half a character: \ud800")).encode(),
    ],
)
def test_what_is_no_outcome_is_kept_as_it_came(store: Store, body: bytes) -> None:
    store.write([row(body), row(body), row(outcome("2"))])

    assert unreadable(store) == [body]
    assert len(store.of_id("2")) == 1


def test_characters_that_a_database_refuses_cost_nothing_but_themselves(store: Store) -> None:
    odd = outcome("1", text="a\0b", tags={"\0": "\0"}, attempts=10**30)

    store.write([row(odd)])

    (found,) = store.of_id("1")
    assert (found.text, found.tags) == ("a\ufffdb", {"\ufffd": "\ufffd"})
    assert found.attempts == 2**31 - 1


@settings(max_examples=60, deadline=None)
@given(body=st.one_of(st.binary(max_size=200), st.dictionaries(st.text(), st.text())))
def test_any_bytes_become_a_row(body: bytes | dict[str, str]) -> None:
    assert row(body).table == "unreadable"


def test_the_migrations_make_what_the_code_expects(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []


def test_the_migrations_go_back_and_forth_and_twice(store: Store) -> None:
    migrate(store)

    with store.engine.begin() as connection:
        command.downgrade(config(connection), "base")
    assert not inspect(store.engine).has_table("outcomes")

    migrate(store)
    assert inspect(store.engine).has_table("outcomes")


def test_two_that_start_at_once_migrate_once(empty_url: str) -> None:
    stores = [Store(empty_url) for _ in range(2)]
    errors: list[BaseException] = []

    def begin(store: Store) -> None:
        try:
            migrate(store)
        except BaseException as error:  # noqa: BLE001 - the test tells it
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert stores[0].is_there()
    for store in stores:
        store.close()


def test_two_writers_of_the_same_rows_do_not_lock_each_other_out(store: Store) -> None:
    rows = [row(outcome(str(n))) for n in range(200)]

    write_at_once(store, rows, 200)

    with store.engine.connect() as connection:
        count = connection.scalar(select(func.count()).select_from(OUTCOMES))
    assert count == 200


def test_explain_and_status_read_through_an_index(store: Store) -> None:
    """What makes `explain` quick over a million rows, without a million rows."""
    store.write([row(outcome(str(n), f"job-{n % 40}")) for n in range(5000)])
    postgresql = store.engine.dialect.name == "postgresql"
    with store.engine.begin() as connection:
        connection.execute(text("ANALYZE outcomes"))
        explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
        plans = [
            " ".join(map(str, connection.execute(text(f"{explain}{query}")).all()))
            for query in (
                "SELECT * FROM outcomes WHERE id = '77' ORDER BY finished_at, id",
                "SELECT * FROM outcomes WHERE job_id = 'job-7' ORDER BY finished_at, id",
            )
        ]

    assert "ix_outcomes_id" in plans[0]
    assert ("outcomes_pkey" if postgresql else "sqlite_autoindex_outcomes_1") in plans[1]


def test_an_address_of_a_database_that_cannot_be_used_is_told() -> None:
    for url, said in (("nonsense", "not a database URL"), ("mysql://x", "neither sqlite nor")):
        with pytest.raises(RecordError, match=said):
            Store(url)


def test_a_database_that_is_away_is_told_as_such() -> None:
    store = Store("postgresql://record:hidden@127.0.0.1:9/x")

    with pytest.raises(DatabaseAway, match="refused") as caught:
        store.answers()
    assert "hidden" not in str(caught.value) + store.where
