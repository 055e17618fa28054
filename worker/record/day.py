"""A day of the journal, for an auditor: who canceled what, when, why, at whose word, with which
result, and where the record has gaps. Days are UTC; a message belongs to the day it finished, a
receipt to that of its job's acceptance.
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
from worker.contract.receipt import Answer
from worker.contract.report import ReportMessage, Result
from worker.record import journal
from worker.record.chain import Check, Link
from worker.record.page import Bar, Table, page
from worker.record.read import Row, read
from worker.record.tables import OUTCOMES, RECEIPTS, REPORTS

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
#: Jobs that a gap names, and ids that a receipt's words do.
_MOST_NAMED = 20
#: What a message is called, by its table.
_CALLED = {"outcomes": "outcome", "receipts": "job", "reports": "report"}
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Asked:
    """A receipt in short: who asked for what, and what a worker answered."""

    job_id: str
    account: str
    accepted_at: datetime
    what: str
    answer: str
    reason: str
    requested_by: str
    sent_by: str


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of a day beside its messages; `gaps` has a sentence for each gap.

    `asked` has the jobs of the day, and those that the reports are on, as they came.
    """

    day: date
    check: Check
    gaps: tuple[str, ...]
    asked: tuple[Asked, ...]
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
        elif row.table == "unreadable":
            odd += 1
    gaps = (
        broken,
        *_missing(connection, day),
        _without_report(connection, day),
        _without_word(connection, day),
        _without_receipt(connection, day),
        f"{_count(odd, 'message')} can be read by nobody (`unreadable`)." if odd else "",
        _outside(connection, day),
    )
    said = tuple(gap for gap in gaps if gap)
    return Day(
        day, found, said, tuple(_asked(connection, day)), tuple(reports.values()), counts
    )


def entries(connection: Connection, day: date) -> Iterator[dict[str, Any]]:
    """Yield what is shown of each message of a day, by `COLUMNS`, in the journal's order."""
    for link, row in _rows(connection, day):
        values, more = dict(row.values), {}
        if row.table == "outcomes":
            more = {"result": values["status"]}
        elif row.table == "reports":
            more = {"result": values["result"], "job_reason": values["reason"], "reason": ""}
            more["text"] = what_it_counts(ReportMessage.model_validate_json(link.body))
        elif row.table == "receipts":
            more = {"result": values["answer"], "job_reason": values["reason"]}
            more |= {"reason": values["rejected_reason"], "text": what_it_asks(values)}
        else:
            more = {"text": f"{values['why']}: {link.body.decode(errors='replace')}"}
        shown = {name: values.get(name) for name in COLUMNS} | more
        own = {
            "what": _CALLED.get(row.table, row.table),
            "finished_at": rfc_3339(link.finished_at),
        }
        yield shown | own | {"number": link.number, "sha256": link.sha256}


def what_it_asks(receipt: Mapping[Any, Any]) -> str:
    """Return what a job asks for, in words, and why it was rejected."""
    ids, count = receipt["ids"][:_MOST_NAMED], receipt["ids_count"]
    more = f" and {count - len(ids)} more" if count > len(ids) else ""
    asks = f"{_count(count, 'id')}: {', '.join(ids)}{more}"
    if receipt["scope"]:
        scope = receipt["scope"]
        asks = f"scope {scope if isinstance(scope, str) else json.dumps(scope)}"
    said = f"{receipt['priority'] or 'a message'}, {asks}" if count or receipt["scope"] else ""
    why = receipt["rejected_detail"]
    return "; ".join(part for part in (said, f"rejected: {why}" if why else "") if part)


def what_it_counts(report: ReportMessage) -> str:
    """Return how many ids ended how, and what stands against it, in words."""
    said = [f"{count} {status}" for status, count in report.counts.items()]
    if report.resting_count:
        said.append(f"{report.resting_count} still open")
    for each in report.cancel_alls:
        count = "tells no count" if each.claimed is None else f"claims {each.claimed}"
        said.append(
            " ".join(filter(None, (each.request, each.symbol, f"went first ({count})")))
        )
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
        "Times are UTC. A job that no worker has read has no row: hold this against the list "
        "of its producer.",
    ]
    jobs = ("job", "account", "asked", "accepted_at", "first_sent_at", "last_sent_at",
            "finished_at", "result", "counts", "reason", "requested_by", "sent_by")  # fmt: skip
    columns = [name for name in COLUMNS if name not in _NOT_ON_A_PAGE]
    rows = ([entry[name] for name in columns] for entry in found)
    yield from page(
        f"Cancels of {day.day.isoformat()}",
        facts,
        day.gaps,
        ("Seconds from a kill's or a scope's acceptance to its last word", bars),
        [Table("Jobs", jobs, _jobs(day)), Table("All that was told", columns, rows)],
    )


def _jobs(day: Day) -> Iterator[tuple[object, ...]]:
    """Yield each job of a day: who asked for what beside what came of it."""
    what = {asked.job_id: asked.what for asked in day.asked if asked.job_id}
    for r in day.reports:
        yield (
            r.job_id, r.account, what.get(r.job_id, f"{r.priority}, no receipt"), r.accepted_at,
            r.first_sent_at, r.last_sent_at, r.finished_at, r.result, what_it_counts(r),
            r.reason, r.requested_by, r.sent_by,
        )  # fmt: skip
    reported = {report.job_id for report in day.reports}
    for a in day.asked:
        if a.answer == Answer.REJECTED or a.job_id not in reported:
            result = a.answer if a.answer == Answer.REJECTED else "no report on this day"
            yield (
                a.job_id, a.account, a.what, rfc_3339(a.accepted_at), "", "", "", result, "",
                a.reason, a.requested_by, a.sent_by,
            )  # fmt: skip


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
    return (
        f"{_count(len(jobs), 'job')} told of ids and no report on the whole: "
        f"{_named(jobs)}. They have not ended, or their reports are not "
        "published (CANCEL_REPORTS=scopes), or lost."
    )


def _asked(connection: Connection, day: date) -> Iterator[Asked]:
    reported = select(REPORTS.c.job_id).where(_on(REPORTS.c.finished_at, day))
    query = (
        select(RECEIPTS)
        .where(_on(RECEIPTS.c.accepted_at, day) | RECEIPTS.c.job_id.in_(reported))
        .order_by(RECEIPTS.c.number)
    )
    for row in connection.execute(query).mappings():
        names = (
            "job_id",
            "account",
            "accepted_at",
            "answer",
            "reason",
            "requested_by",
            "sent_by",
        )
        yield Asked(what=what_it_asks(row), **{name: row[name] for name in names})


def _without_word(connection: Connection, day: date) -> str:
    """Name jobs that a worker took on a day, and of which nothing is told, on any day."""
    query = (
        select(RECEIPTS.c.job_id)
        .outerjoin(OUTCOMES, RECEIPTS.c.job_id == OUTCOMES.c.job_id)
        .outerjoin(REPORTS, RECEIPTS.c.job_id == REPORTS.c.job_id)
        .where(
            _on(RECEIPTS.c.accepted_at, day),
            RECEIPTS.c.answer == Answer.TAKEN,
            OUTCOMES.c.job_id.is_(None),
            REPORTS.c.job_id.is_(None),
        )
        .distinct()
        .order_by(RECEIPTS.c.job_id)
    )
    jobs = list(connection.scalars(query).all())
    what = "taken, and nothing is told of"
    return f"{_count(len(jobs), 'job')} {what}: {_named(jobs)}. Not ended yet?" if jobs else ""


def _without_receipt(connection: Connection, day: date) -> str:
    """Name reports on scopes of which no receipt is here, since there are receipts."""
    since = select(func.min(RECEIPTS.c.accepted_at)).scalar_subquery()
    query = (
        select(REPORTS.c.job_id)
        .outerjoin(RECEIPTS, RECEIPTS.c.job_id == REPORTS.c.job_id)
        .where(
            _on(REPORTS.c.finished_at, day),
            RECEIPTS.c.job_id.is_(None),
            REPORTS.c.accepted_at > since,
            REPORTS.c.hold_s.is_not(None),  # others have receipts only with CANCEL_RECEIPTS=all
        )
        .order_by(REPORTS.c.job_id)
    )
    jobs = list(connection.scalars(query).all())
    if not jobs:
        return ""
    which = (
        f"{_count(len(jobs), 'report')} on scopes of which no receipt is here: {_named(jobs)}. "
    )
    return f"{which}A worker of an older version took them, or the receipts are lost."


def _outside(connection: Connection, day: date) -> str:
    where = _on(OUTCOMES.c.finished_at, day) & OUTCOMES.c.number.is_(None)
    count = connection.scalar(select(func.count()).select_from(OUTCOMES).where(where))
    what = "recorded before the chain began, and not shown here (`cancel-worker status JOB`)."
    return f"{_count(count, 'outcome')} of this day: {what}" if count else ""


def _named(jobs: list[str]) -> str:
    more = f" and {len(jobs) - _MOST_NAMED} more" if len(jobs) > _MOST_NAMED else ""
    return f"{', '.join(jobs[:_MOST_NAMED])}{more}"


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
