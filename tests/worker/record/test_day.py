"""A day for an auditor, over SQLite and PostgreSQL: what belongs to it, and its gaps."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.worker.record.conftest import exchange_of, outcome, receipt, report
from worker.record import day as days
from worker.record.read import Message, read
from worker.record.store import Store

DAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)


def record(store: Store, *messages: dict[str, Any] | bytes) -> None:
    rows = []
    for each in messages:
        raw = each if isinstance(each, bytes) else json.dumps(each).encode()
        rows.append(read(Message(raw, "k", exchange_of(each)), NOW))
    store.write(rows)


def gaps(store: Store, day: date = DAY) -> tuple[str, ...]:
    with store.reading() as connection:
        return days.read_day(connection, day).gaps


def as_csv(store: Store, day: date = DAY) -> list[dict[str, str]]:
    with store.reading() as connection:
        found = days.read_day(connection, day)
        parts = list(days.csv_lines(found, days.entries(connection, day)))
    return list(csv.DictReader("".join(parts).splitlines(keepends=True)))


def as_json(store: Store, day: date = DAY) -> list[dict[str, Any]]:
    with store.reading() as connection:
        found = days.read_day(connection, day)
        return [json.loads(line) for line in days.json_lines(connection, found)]


def as_html(store: Store, day: date = DAY) -> str:
    with store.reading() as connection:
        found = days.read_day(connection, day)
        entries = days.entries(connection, day)
        return "".join(days.html_parts(found, entries, store.where, NOW))


def test_who_canceled_what_when_why_at_whose_word_with_which_result(store: Store) -> None:
    told = outcome("1", sent_by="risk", job_reason="max loss", cum_qty="4", found_by="scope")
    record(store, told, report(counts={"canceled": 1}))

    first, second = as_csv(store)

    assert (first["what"], first["finished_at"]) == ("outcome", "2026-11-21T09:30:00.412Z")
    assert (first["account"], first["id"], first["result"]) == ("desk-k", "1", "canceled")
    said = [first[name] for name in ("requested_by", "sent_by", "job_reason", "found_by")]
    assert said == ["risk-engine-2", "risk", "max loss", "scope"]
    assert (second["what"], second["result"], second["text"]) == (
        "report",
        "empty",
        "1 canceled",
    )
    assert second["job_reason"] == "max loss reached"
    assert gaps(store) == ()


def test_a_day_has_what_finished_in_it_by_utc(store: Store) -> None:
    ends = ("20T23:59:59.999Z", "21T00:00:00.000Z", "22T00:59:59.999+01:00", "22T00:00:00.000Z")
    record(store, *(outcome(str(n), finished_at=f"2026-11-{t}") for n, t in enumerate(ends)))

    assert [row["id"] for row in as_csv(store) if row["what"] == "outcome"] == ["1", "2"]
    assert as_csv(store, date(2026, 11, 23)) == []


def test_messages_stand_in_json_as_they_were_told(store: Store) -> None:
    told, whole = outcome("1", latency_ms=0.30000000000000004), report()
    record(store, told, whole)

    head, first, second = as_json(store)

    assert (head["day"], head["rows"], head["gaps"]) == ("2026-11-21", 2, [])
    assert head["head"] == second["sha256"]
    assert (first["message"], second["message"]) == (told, whole)
    assert first["recorded_at"] == "2026-11-22T07:00:00.000Z"


def test_gaps_are_named_in_each_format(store: Store) -> None:
    record(store, outcome("1"), report(counts={"canceled": 2, "filled": 1}))

    (gap,) = gaps(store)

    assert gap == "Job job-1: its report counts 3 ids, the record has outcomes of 1."
    assert as_csv(store)[0] | {"what": "gap", "text": gap} == as_csv(store)[0]
    assert as_json(store)[0]["gaps"] == [gap]
    assert f"<li>{gap}</li>" in as_html(store)


def test_jobs_that_did_not_end_are_named(store: Store) -> None:
    record(store, *(outcome("1", f"job-{n:02}") for n in range(25)), outcome("", "refused"))
    record(store, report("job-00"))

    (gap,) = gaps(store)

    assert gap.startswith("24 jobs told of ids and no report on the whole: job-01, job-02, ")
    assert "job-20 and 4 more." in gap
    assert "refused" not in gap


def test_who_asked_stands_beside_what_came_of_it(store: Store) -> None:
    scope = {"symbols": ["BTC"]}
    asked = receipt(ids=[], ids_count=0, scope=scope, hold_s=5.0, requested_by="ops-1")
    why = {
        "answer": "rejected",
        "rejected_reason": "bad_scope",
        "rejected_detail": "says nothing",
    }
    refused = receipt("job-2", **why, ids=[], ids_count=0, requested_by="ops-2")
    record(store, asked, refused, outcome("1"), report(scope=scope))

    rows = {(row["what"], row["job_id"]): row for row in as_csv(store)}
    page = as_html(store)

    assert gaps(store) == ()
    taken, rejected = rows["job", "job-1"], rows["job", "job-2"]
    said = ("result", "reason", "text", "requested_by", "job_reason")
    assert [taken[name] for name in said] == [
        "taken", "", 'kill, scope {"symbols": ["BTC"]}', "ops-1", "max loss reached",
    ]  # fmt: skip
    assert [rejected[name] for name in said[:4]] == [
        "rejected", "bad_scope", "rejected: says nothing", "ops-2",
    ]  # fmt: skip
    assert as_json(store)[1]["message"] == asked
    (beside,) = re.findall(r"<tr><td>job-1</td>.*?</tr>", page)[:1]
    assert "scope {&quot;symbols&quot;: [&quot;BTC&quot;]}" in beside
    assert "<td>empty</td>" in beside
    assert "<td>rejected</td>" in page


def test_a_cancel_all_whose_orders_nobody_saw_is_told_beside_the_counts(store: Store) -> None:
    claims = [
        {"request": "cancel_all", "symbol": "", "claimed": 1000},
        {"request": "cancel_all_algo", "symbol": "BTCUSDT", "claimed": None},
    ]
    record(store, report(counts={}, cancel_alls=claims))

    (row,) = as_csv(store)
    assert row["text"] == (
        "cancel_all went first (claims 1000), "
        "cancel_all_algo BTCUSDT went first (tells no count)"
    )


def test_a_job_of_which_nothing_is_told_is_a_gap(store: Store) -> None:
    record(store, receipt(), outcome("1"), report(), receipt("job-2"), receipt("job-3"))
    record(store, report("job-3", finished_at="2026-11-22T00:00:01.000Z"))

    assert gaps(store) == ("1 job taken, and nothing is told of: job-2. Not ended yet?",)
    assert as_html(store).count("no report on this day") == 2
    assert gaps(store, date(2026, 11, 22)) == (
        "Job job-3: its report counts 1 id, the record has outcomes of 0.",
    )


def test_a_report_without_a_receipt_is_a_gap_once_there_are_receipts(store: Store) -> None:
    record(store, outcome("1"), report())
    assert gaps(store) == ()

    record(store, receipt("job-2"), outcome("1", "job-2"), report("job-2"))
    later = {"accepted_at": "2026-11-21T09:31:00.000Z"}
    record(store, outcome("1", "job-3", **later), report("job-3", **later))
    of_ids: dict[str, Any] = {"scope": None, "hold_s": None, **later}
    record(store, outcome("1", "job-4", **later), report("job-4", **of_ids))

    (gap,) = gaps(store)
    assert gap.startswith(
        "1 report on scopes of which no receipt is here: job-3. A worker of an"
    )
    assert "kill, no receipt" in as_html(store)


def test_gaps_are_those_of_the_day(store: Store) -> None:
    after = {"finished_at": "2026-11-22T00:00:00.000Z"}
    record(store, outcome("1", "job-2", **after), report(counts={"filled": 2}, **after))

    assert gaps(store) == ()
    assert len(gaps(store, date(2026, 11, 22))) == 2


def test_what_nobody_can_read_is_named(store: Store) -> None:
    record(store, b"=nothing \xff")

    assert gaps(store, date(2026, 11, 22)) == (
        "1 message can be read by nobody (`unreadable`).",
    )
    _, odd = as_csv(store, date(2026, 11, 22))
    assert (odd["what"], odd["text"].endswith("=nothing \ufffd")) == ("unreadable", True)
    assert as_json(store, date(2026, 11, 22))[1]["message"] == "=nothing \ufffd"


def test_what_was_recorded_before_the_chain_is_named(store: Store) -> None:
    record(store, outcome("1"), outcome("2"), report(counts={"canceled": 2}))
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE outcomes SET number = NULL WHERE id = '2'"))

    assert gaps(store)[0].startswith("1 outcome of this day: recorded before the chain began")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE journal SET routing_key = 'x' WHERE number = 2", "row 2 was changed"),
        ("DELETE FROM journal WHERE number = 2", "row 2 is missing"),
        (
            "UPDATE outcomes SET status = 'filled' WHERE id = '2'",
            "the row of job-1 2 in outcomes",
        ),
    ],
)
def test_a_record_that_was_tampered_with_says_so_first(
    store: Store, statement: str, said: str
) -> None:
    record(store, outcome("1"), outcome("2"), report(counts={"canceled": 2}))
    with store.engine.begin() as connection:
        connection.execute(text(statement))

    assert gaps(store)[0].startswith(f"The record does not fit: {said}")
    assert "row" in as_html(store)


def test_no_cell_is_a_formula(store: Store) -> None:
    record(store, outcome("-1", text="=cmd|'/c calc'!A0", requested_by="@SUM(1)", reason="+1"))

    row = as_csv(store)[-1]

    said = [row[name] for name in ("id", "text", "requested_by", "reason")]
    assert said == ["'-1", "'=cmd|'/c calc'!A0", "'@SUM(1)", "'+1"]


def test_the_page_has_the_times_to_empty_and_what_may_be_open(store: Store) -> None:
    rests = {"id": "9", "kind": "", "symbol": "", "ord_type": "limit", "reason": "failed"}
    left: dict[str, Any] = {"result": "not_empty", "resting": [rests], "resting_count": 1}
    routine: dict[str, Any] = {"result": "done", "scope": None, "priority": "routine"}
    record(
        store,
        outcome("1"),
        outcome("9", status="failed", text="<b>"),
        report("flat"),
        report("left", **left),
        report("plain", **routine),
    )

    page = as_html(store)

    assert "Outcomes: 1 canceled, 1 failed. 1 order may be open." in page
    assert page.count("<rect") == 2
    assert "10.43 s, empty" in page
    assert "10.43 s, not_empty" in page
    assert "1 canceled, 1 still open" in page
    assert "&lt;b&gt;" in page
