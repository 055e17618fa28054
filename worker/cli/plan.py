"""`cancel-worker plan`: the venue requests that a job would make, and when; nothing is sent."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from venues.words import OrdType, Priority, Purpose
from worker.cli import job_draft
from worker.cli.accounts import settings
from worker.cli.job_draft import Asked, Draft, draft, read_ids
from worker.cli.output import AsJson, Output, Problem
from worker.cli.simulate import Plan, PlannedRequest, simulate
from worker.contract.job import Envelope, InvalidJob
from worker.jobs.parse import ParsedJob, read_job
from worker.orders.progress import new_cohorts
from worker.settings import Account

#: Ids of a request that the table names.
_MOST_SHOWN = 3

RttMs = Annotated[
    float, typer.Option("--rtt-ms", min=0, help="Assumed round trip to the venue, ms.")
]


def plan(
    ids: job_draft.Ids = None,
    *,
    account: job_draft.Account,
    file: job_draft.File = "",
    kill: job_draft.Kill = False,
    symbol: job_draft.Symbol = "",
    ord_type: job_draft.OrdTypeOption = OrdType.ANY,
    kind: job_draft.KindOption = None,
    deadline: job_draft.Deadline = "",
    reason: job_draft.Reason = "",
    requested_by: job_draft.RequestedBy = "",
    job_id: job_draft.JobId = "",
    rtt_ms: RttMs = 50.0,
    as_json: AsJson = False,
) -> None:
    """Show the requests that the same `submit` would make at the venue. Sends nothing.

    Exit 1 if each id would be refused.
    """
    asked = Asked(
        ids=read_ids(ids, file),
        account=account,
        kill=kill,
        symbol=symbol,
        ord_type=ord_type,
        kind=kind,
        deadline=deadline,
        reason=reason,
        requested_by=requested_by,
        job_id=job_id,
    )
    found = settings().accounts
    parsed = _intake(draft(asked, job_draft.now()), found)
    planned = _simulated(parsed, found[account], rtt_ms / 1000)
    output = Output(as_json=as_json)
    show = _show_json if as_json else _show
    show(output, parsed, planned)
    if not parsed.job.refs:
        raise typer.Exit(1)


def _intake(job: Draft, accounts: Any) -> ParsedJob:
    envelope = Envelope(priority=job.priority, account=job.account, message_id=job.job_id)
    try:
        return read_job(json.loads(job.body), envelope, accounts, job_draft.now())
    except InvalidJob as error:
        raise Problem(f"the worker would reject the job: {error.detail}", 2) from None


def _simulated(parsed: ParsedJob, account: Account, rtt_s: float) -> Plan:
    job = parsed.job
    kill = job.priority is Priority.KILL
    look_first = account.venue.forgets_canceled and not kill
    cohorts = new_cohorts(job.refs, look_first=look_first)
    deadline_s = (job.deadline - job.accepted_at).total_seconds()
    return simulate(account, cohorts, kill=kill, deadline_s=deadline_s, rtt_s=rtt_s)


def _show(output: Output, parsed: ParsedJob, planned: Plan) -> None:
    columns = ("#", "at s", "for", "method", "target", "n", "ids", "quotas", "answered s")
    if planned.requests:
        rows = (_row(n, request) for n, request in enumerate(planned.requests, 1))
        output.table(columns, rows)
    for refused in parsed.refused:
        output.line(f"refused {refused.id}: {refused.reason}: {refused.text}", "red")
    output.line(_summary(parsed, planned))


def _row(number: int, request: PlannedRequest) -> tuple[object, ...]:
    shown = " ".join(request.ids[:_MOST_SHOWN])
    more = len(request.ids) - _MOST_SHOWN
    return (
        number,
        f"{request.sends_s:.3f}",
        request.purpose,
        request.method,
        request.target.partition("?")[0],
        len(request.ids),
        f"{shown} +{more}" if more > 0 else shown,
        " ".join(request.quotas),
        f"{request.answered_s:.3f}",
    )


def _summary(parsed: ParsedJob, planned: Plan) -> str:
    if not parsed.job.refs:
        return f"{len(parsed.refused)} ids refused; nothing would be sent"
    cancels = sum(r.purpose is Purpose.CANCEL for r in planned.requests)
    looks = len(planned.requests) - cancels
    words = f"{len(parsed.job.refs)} ids: {cancels} cancels and {looks} look-ups"
    times = (
        f"cancels answered after {planned.ends_s(Purpose.CANCEL):.3f} s, "
        f"every id final after {planned.ends_s():.3f} s"
    )
    late = f"; {planned.left} ids do not make the deadline" if planned.left else ""
    return f"{words}; {times}{late}; nothing was sent"


def _show_json(output: Output, parsed: ParsedJob, planned: Plan) -> None:
    for number, request in enumerate(planned.requests, 1):
        output.emit({"n": number, **asdict(request)})
    for refused in parsed.refused:
        output.emit({"refused": refused.id, "reason": refused.reason, "text": refused.text})
    output.emit(
        {
            "ids": len(parsed.job.refs),
            "cancels_answered_s": planned.ends_s(Purpose.CANCEL),
            "final_s": planned.ends_s(),
            "late": planned.left,
        }
    )
