"""A day of the journal, for an auditor: who canceled what, when, why, at whose word, with which
result, and where the record has gaps. Days are UTC; a message belongs to the day it finished.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from venues.words import CancelStatus, Priority
from worker.contract.outcome import rfc_3339
from worker.contract.report import ReportMessage, Result
from worker.record import journal
from worker.record.chain import Check, Link
from worker.record.page import Bar, Table, page
from worker.record.read import Row, read
from worker.record.tables import OUTCOMES, REPORTS

#: What is shown of each message, in tables.
COLUMNS = (
    "number", "what", "finished_at", "account", "venue", "symbol", "id", "result", "reason",
    "job_reason", "requested_by", "sent_by", "job_id", "found_by", "cum_qty", "became",
    "evidence", "attempts", "latency_ms", "text", "sha256",
)  # fmt: skip
_NOT_ON_A_PAGE = ("evidence", "attempts", "latency_ms", "sha256")
#: Outcomes of orders that may be open.
_MAYBE_OPEN = (CancelStatus.REJECTED, CancelStatus.FAILED, CancelStatus.UNCONFIRMED)
#: Results after which nobody has to look.
_PROVEN = (Result.DONE, Result.EMPTY)
#: How messages that were no job are counted.
_REFUSED = "job refused as a whole"
#: Jobs that a gap names.
_MOST_NAMED = 20
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of a day beside its messages; `gaps` has a sentence for each gap."""

    day: date
    check: Check
    gaps: tuple[str, ...]
    reports: tuple[ReportMessage, ...]
    counts: Mapping[str, int]  # outcomes by status


def read_day(connection: Connection, day: date) -> Day:
    """Read what is known of a day, and check the chain of the whole journal."""
    found = journal.checked(connection)
    broken = f"The record does not fit: {found.fault}." if found.fault else ""
    counts: dict[str, int] = {}
    reports, odd = {}, 0
    for link, row in _rows(connection, day):
        if row.table == "reports":
            report = ReportMessage.model_validate_json(link.body)
            reports[report.job_id] = report
        elif row.table == "outcomes":
            status = row.values["status"] if row.values["id"] else _REFUSED
            counts[status] = counts.get(status, 0) + 1
        else:
            odd += 1
    gaps = (
        broken,
        *_missing(connection, day),
        _without_report(connection, day),
        f"{_count(odd, 'message')} can be read by nobody (`unreadable`)." if odd else "",
        _outside(connection, day),
    )
    said = tuple(gap for gap in gaps if gap)
    return Day(day, found, said, tuple(reports.values()), counts)


def entries(connection: Connection, day: date) -> Iterator[dict[str, Any]]:
    """Yield what is shown of each message of a day, by `COLUMNS`, in the journal's order."""
    for link, row in _rows(connection, day):
        values, more = dict(row.values), {}
        if row.table == "outcomes":
            more = {"result": values["status"]}
        elif row.table == "reports":
            more = {"result": values["result"], "job_reason": values["reason"], "reason": ""}
            more["text"] = what_it_counts(ReportMessage.model_validate_json(link.body))
        else:
            more = {"text": f"{values['why']}: {link.body.decode(errors='replace')}"}
        shown = {name: values.get(name) for name in COLUMNS} | more
        what = {"outcomes": "outcome", "reports": "report"}.get(row.table, row.table)
        own = {"what": what, "finished_at": rfc_3339(link.finished_at)}
        yield shown | own | {"number": link.number, "sha256": link.sha256}


def what_it_counts(report: ReportMessage) -> str:
    """Return how many ids ended how, and what stands against it, in words."""
    said = [f"{count} {status}" for status, count in report.counts.items()]
    if report.resting_count:
        said.append(f"{report.resting_count} still open")
    said += [f"{u.list} {u.symbol} not read ({u.reason})" for u in report.unread]
    said += [f"{', '.join(o.ord_types)} not listed ({o.reason})" for o in report.left_out]
    return ", ".join(said) or "no order"


def csv_lines(day: Day, found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a day as CSV (RFC 4180): a head, gaps, then messages. A text that a spreadsheet
    would take for a formula has an apostrophe before it.
    """
    yield _csv(COLUMNS)
    for gap in day.gaps:
        row = {"what": "gap", "text": gap}
        yield _csv([row.get(name) for name in COLUMNS])
    for entry in found:
        yield _csv([entry[name] for name in COLUMNS])


def json_lines(connection: Connection, day: Day) -> Iterator[str]:
    """Yield a day as JSON: a line on the whole, then one a message, as it was told."""
    yield _json({"day": day.day.isoformat(), "rows": day.check.rows, "head": day.check.head,
                 "fault": day.check.fault, "gaps": day.gaps})  # fmt: skip
    for link, row in _rows(connection, day.day):
        said: Any = link.body.decode(errors="replace")
        if row.table != "unreadable":
            said = json.loads(said)
        yield _json({"number": link.number, "kind": link.kind, "sha256": link.sha256,
                     "recorded_at": rfc_3339(link.recorded_at), "message": said})  # fmt: skip


def html_parts(
    day: Day, found: Iterable[Mapping[str, Any]], where: str, now: datetime
) -> Iterator[str]:
    """Yield the parts of a page for an auditor; the record is at `where`."""
    of_accounts = [r for r in day.reports if r.scope is not None or r.priority is Priority.KILL]
    bars = [
        Bar(f"{r.account} {r.job_id}", r.latency_ms / 1000, r.result, r.result in _PROVEN)
        for r in of_accounts
    ]
    counts = ", ".join(f"{count} {status}" for status, count in sorted(day.counts.items()))
    maybe_open = sum(day.counts.get(status, 0) for status in _MAYBE_OPEN)
    facts = [
        f"Outcomes: {counts or 'none'}. {_count(maybe_open, 'order')} may be open.",
        f"Written at {rfc_3339(now)} of the record at {where}, which has "
        f"{_count(day.check.rows, 'row')}, the last with SHA-256 {day.check.head}.",
        "Times are UTC. A job that no worker has taken has no row: hold this against the list "
        "of its producer.",
    ]
    jobs = ("job", "account", "accepted_at", "first_sent_at", "last_sent_at", "finished_at",
            "result", "counts", "reason", "requested_by", "sent_by")  # fmt: skip
    told = (
        (r.job_id, r.account, r.accepted_at, r.first_sent_at, r.last_sent_at, r.finished_at,
         r.result, what_it_counts(r), r.reason, r.requested_by, r.sent_by)
        for r in day.reports
    )  # fmt: skip
    columns = [name for name in COLUMNS if name not in _NOT_ON_A_PAGE]
    rows = ([entry[name] for name in columns] for entry in found)
    yield from page(
        f"Cancels of {day.day.isoformat()}",
        facts,
        day.gaps,
        ("Seconds from a kill's or a scope's acceptance to its last word", bars),
        [Table("Jobs", jobs, told), Table("All that was told", columns, rows)],
    )


def _rows(connection: Connection, day: date) -> Iterator[tuple[Link, Row]]:
    """Yield the messages of a day, up to the first that can be read no more."""
    try:
        for link in journal.links(connection, *_between(day)):
            yield link, read(journal.message_of(link), link.recorded_at)
    except (TypeError, ValueError):  # the check of the chain tells it
        return


def _between(day: date) -> tuple[datetime, datetime]:
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return since, since + timedelta(days=1)


def _on(column: ColumnElement[Any], day: date) -> ColumnElement[bool]:
    since, until = _between(day)
    return (column >= since) & (column < until)


def _missing(connection: Connection, day: date) -> Iterator[str]:
    """Yield a gap for each report that counts more ids than have outcomes here."""
    query = (
        select(REPORTS.c.job_id, REPORTS.c.counts, func.count(OUTCOMES.c.id))
        .outerjoin(OUTCOMES, (OUTCOMES.c.job_id == REPORTS.c.job_id) & (OUTCOMES.c.id != ""))
        .where(_on(REPORTS.c.finished_at, day))
        .group_by(REPORTS.c.job_id)
    )
    for job_id, counts, here in connection.execute(query):
        if sum(counts.values()) > here:
            asked = _count(sum(counts.values()), "id")
            yield f"Job {job_id}: its report counts {asked}, the record has outcomes of {here}."


def _without_report(connection: Connection, day: date) -> str:
    query = (
        select(OUTCOMES.c.job_id)
        .outerjoin(REPORTS, OUTCOMES.c.job_id == REPORTS.c.job_id)
        .where(
            _on(OUTCOMES.c.finished_at, day), REPORTS.c.job_id.is_(None), OUTCOMES.c.id != ""
        )
        .distinct()
        .order_by(OUTCOMES.c.job_id)
    )
    jobs: list[str] = list(connection.scalars(query).all())
    if not jobs:
        return ""
    more = f" and {len(jobs) - _MOST_NAMED} more" if len(jobs) > _MOST_NAMED else ""
    return (
        f"{_count(len(jobs), 'job')} told of ids and no report on the whole: "
        f"{', '.join(jobs[:_MOST_NAMED])}{more}. They have not ended, or their reports are not "
        "published (CANCEL_REPORTS=scopes), or lost."
    )


def _outside(connection: Connection, day: date) -> str:
    where = _on(OUTCOMES.c.finished_at, day) & OUTCOMES.c.number.is_(None)
    count = connection.scalar(select(func.count()).select_from(OUTCOMES).where(where))
    what = "recorded before the chain began, and not shown here (`cancel-worker status JOB`)."
    return f"{_count(count, 'outcome')} of this day: {what}" if count else ""


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _csv(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value) + "\n"
