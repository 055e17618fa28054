"""`cancel-worker explain`: the story of one order id through every job that named it."""

from __future__ import annotations

from typing import Annotated

import typer

from venues.words import CancelStatus, Evidence
from worker.cli.database import Url
from worker.cli.output import AsJson, Output, Problem
from worker.cli.status import recorded, row_json
from worker.contract.outcome import rfc_3339
from worker.record.store import DEFAULT_URL
from worker.record.tables import Recorded

#: What each status lets a reader rely on; docs/contract.md section 4.
_MEANS = {
    CancelStatus.CANCELED: "the venue says that the order is canceled: no further fill",
    CancelStatus.FILLED: "the venue says that it was executed first: the position changed",
    CancelStatus.CLOSED: "it is no longer open; the venue does not tell more: no further fill",
    CancelStatus.NOT_FOUND: "the venue knows no such order: no open order has this id",
    CancelStatus.REJECTED: "it was refused and no cancel was made: the order may be open",
    CancelStatus.FAILED: "it was not canceled in time: the order is, or may be, open",
    CancelStatus.UNCONFIRMED: "a cancel was sent, its result is not known: look at the venue",
}
_PROOF = {
    Evidence.REPLY: "the venue's reply to the cancel named its state",
    Evidence.LOOKUP: "a look-up at the venue showed it",
    Evidence.NONE: "nothing at the venue proves it",
}

OrderId = Annotated[str, typer.Argument(metavar="ID", help="The order's id.")]


def explain(order_id: OrderId, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Tell all that the record holds of an id. Exit 1 if it holds nothing."""
    found = recorded(url, lambda store: store.of_id(order_id))
    if not found:
        raise Problem(
            f"the record holds nothing of id {order_id}: not final yet, or never asked"
        )
    output = Output(as_json=as_json)
    if as_json:
        for row in found:
            output.emit(row_json(row))
        return
    jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
    output.line(f"Order {order_id}: named by {jobs}.", "bold")
    for row in found:
        output.line()
        for line in story(row):
            output.line(line)


def story(row: Recorded) -> list[str]:
    """Return what happened to the id in one job, in sentences."""
    by = f" for {row.requested_by}" if row.requested_by else ""
    by += f", sent by {row.sent_by}," if row.sent_by else ""
    where = f"{row.venue or 'an unknown venue'}, account {row.account or 'unknown'}"
    symbol = f" of {row.symbol}" if row.symbol else ""
    lines = [
        f"{rfc_3339(row.accepted_at)}  job {row.job_id}{by} asked for it at {where}.",
        f"  It was taken for: {_words(row.kind)}, type {_words(row.ord_type)}{symbol}.",
        f"{rfc_3339(row.finished_at)}  {row.status}{_why(row)}, after {_took(row)}.",
        f"  That means: {_MEANS[CancelStatus(row.status)]}.",
        f"  {_proof(row)}.",
    ]
    if row.venue_code or row.text:
        lines.append(
            f"  The venue's last words: {' '.join((row.venue_code, row.text)).strip()}"
        )
    if row.previous_status:
        lines.append(f"  An earlier answer to the same job was {row.previous_status}.")
    if row.became:
        lines.append(f"  It had fired, and became order {row.became}: all of this is of that.")
    if row.found_by:
        lines.append("  The job named no ids: its scope found this one.")
    if row.job_reason:
        lines.append(f"  The job gave as its reason: {row.job_reason}")
    if row.tags:
        lines.append(f"  Tags: {', '.join(f'{k}={v}' for k, v in sorted(row.tags.items()))}.")
    return lines


def _words(word: str) -> str:
    return word.replace("_", " ") or "unknown"


def _why(row: Recorded) -> str:
    return f" ({row.reason})" if row.reason else ""


def _took(row: Recorded) -> str:
    times = "1 cancel request" if row.attempts == 1 else f"{row.attempts} cancel requests"
    return f"{row.latency_ms:g} ms and {times}"


def _proof(row: Recorded) -> str:
    seen = f"; last seen as {row.ord_status}" if row.ord_status else ""
    seen += f", with {row.cum_qty} executed" if row.cum_qty else ""
    proof = _PROOF[Evidence(row.evidence)]
    return f"{proof[0].upper()}{proof[1:]}{seen}"
