"""`cancel-worker status`: what became of each id of a job, or how the accounts are served."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer

from venues.words import CancelStatus
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, broker, is_embedded
from worker.cli.conditions import as_json as account_json
from worker.cli.conditions import ask_workers, told
from worker.cli.database import Url, open_store
from worker.cli.output import AsJson, Output, Problem, why
from worker.contract.outcome import rfc_3339
from worker.contract.report import ReportMessage
from worker.record.day import what_it_asks
from worker.record.store import DEFAULT_URL, DatabaseAway, Store
from worker.record.tables import Recorded
from worker.settings import ConfigError, environment, load_each

T = TypeVar("T")

JobId = Annotated[
    str, typer.Argument(help="The job's id; left out: how the venues serve the accounts.")
]


def status(
    job: JobId = "",
    *,
    url: Url = DEFAULT_URL,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Show who asked for a job and what each of its ids ended as, or how accounts are served.

    Exit 1 if nothing is known.
    """
    if not job:
        _accounts(Output(as_json=as_json), broker_timeout)
        return
    receipts, found, report = recorded(
        url, lambda store: (store.receipts_for(job), store.of_job(job), store.report_on(job))
    )
    if not (receipts or found or report):
        raise Problem(f"the record holds nothing of job {job}: not final yet, or never sent")
    output = Output(as_json=as_json)
    if as_json:
        for row in found:
            output.emit(row_json(row))
        if report:
            output.emit(report.model_dump(mode="json"))
        for receipt in receipts:
            output.emit(receipt_json(receipt))
        return
    for receipt in receipts:
        output.line(f"{rfc_3339(receipt['accepted_at'])}  {_asked(receipt)}")
    if not (found or report):
        output.line(f"job {job}: nothing is told of it yet")
    columns = ("id", "status", "reason", "venue says", "proof", "attempts", "finished", "ms")
    if found:
        output.table(columns, (_row(row) for row in found))
        output.line(f"job {job} at {_place(found)}: {'; '.join(_verdict(found))}")
    if report:
        output.line(f"its report, of {report.finished_at}: {_reported(report)}")


def _accounts(output: Output, broker_timeout: float) -> None:
    """Show how the venues serve the accounts of the accounts file, as the workers tell."""
    try:
        accounts = load_each(environment())
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None
    with broker(broker_timeout) as connection:
        if is_embedded(connection):
            raise Problem("workers at the embedded broker cannot be asked")
        found = ask_workers(connection, accounts)
    if not found:
        raise Problem("no worker answers, or this user may not ask; see cancel-worker check")
    for name, condition in found.items():
        if output.as_json:
            output.emit(account_json(name, condition))
    if not output.as_json:
        rows = ((name, told(condition, time.time())) for name, condition in found.items())
        output.table(("account", "at its venue"), rows)


def _asked(receipt: Mapping[Any, Any]) -> str:
    """Return who asked for what, and whether a worker took it."""
    who = receipt["requested_by"] or "somebody"
    who += f", sent by {receipt['sent_by']}," if receipt["sent_by"] else ""
    what = what_it_asks(receipt) or "nothing that could be read"
    why = f", as: {receipt['reason']}" if receipt["reason"] else ""
    where = receipt["account"] or "no account"
    return f"{receipt['answer']}: {who} asked at {where} for {what}{why}"


def _place(found: Sequence[Recorded]) -> str:
    """Return venue and account; a message that was refused as a whole may name neither."""
    known = (f"{row.venue}/{row.account}" for row in found if row.venue)
    return next(known, "an unknown account")


def _verdict(found: Sequence[Recorded]) -> Iterator[str]:
    """Yield how many ids ended how, then why a message was refused as a whole."""
    ids = Counter(row.status for row in found if row.id)
    if ids:
        yield ", ".join(f"{ids[status]} {status}" for status in CancelStatus if status in ids)
    which = "another message of this job id" if ids else "the whole job"
    for row in (row for row in found if not row.id):
        yield f"{which} was {row.status} ({row.reason})"


def _reported(report: ReportMessage) -> str:
    """Return the result of a report, and what stands against it."""
    said = {
        "rest": report.resting_count,
        "could not be read": len(report.unread),
        "are not listed": len(report.left_out),
    }
    why = ", ".join(f"{count} {what}" for what, count in said.items() if count)
    return f"{report.result} ({why})" if why else str(report.result)


def recorded(url: str, read: Callable[[Store], T]) -> T:
    """Read from the record.

    Raises:
        Problem: there is no record, or the database does not answer.
    """
    store = open_store(url)
    try:
        if not store.is_there():
            text = f"no record at {store.where}; start one with cancel-worker record"
            raise Problem(f"{text}, or set CANCEL_RECORD_URL")
        if not store.is_current():
            text = f"the record at {store.where} is of an older version; restart"
            raise Problem(f"{text} cancel-worker record, which brings it up to date")
        return read(store)
    except DatabaseAway as error:
        text = f"{store.where}: the database does not answer ({error})"
        raise Problem(f"{text}; start it or set CANCEL_RECORD_URL", os.EX_UNAVAILABLE) from None
    finally:
        store.close()


def row_json(row: Recorded) -> dict[str, Any]:
    """Return a row as JSON, with the keys of the outcome message."""
    times = {"accepted_at": rfc_3339(row.accepted_at), "finished_at": rfc_3339(row.finished_at)}
    return asdict(row) | times


def receipt_json(receipt: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a receipt as JSON, with the keys of its message."""
    return {k: rfc_3339(v) if isinstance(v, datetime) else v for k, v in receipt.items()}


def _row(row: Recorded) -> tuple[object, ...]:
    return (
        row.id or "(whole job)",
        row.status,
        why(row.reason, row.became),
        row.ord_status or "-",
        row.evidence,
        row.attempts,
        rfc_3339(row.finished_at),
        row.latency_ms,
    )
