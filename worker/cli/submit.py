"""`cancel-worker submit`: send a cancel job and, if asked, wait for what became of each id."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from venues.words import CancelStatus, OrdType, Priority
from worker.cli import job_draft
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, Listener, broker, listening
from worker.cli.job_draft import Asked, Draft, draft, read_ids
from worker.cli.output import SAFE, AsJson, Output, Problem, Rows, why
from worker.cli.sending import cut_short, send
from worker.cli.served import check_served

_WIDTHS = {"id": 36, "status": 11, "reason": 20, "venue says": 16, "proof": 7, "ms": 9}

Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the outcome of each id.")]
WaitTimeout = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait at most; 0: until after the deadline."),
]


def submit(
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
    wait: Wait = False,
    wait_timeout: WaitTimeout = 0.0,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Cancel orders: send a job. With --wait, exit 0 only if no order may still be open."""
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
    job = draft(asked, job_draft.now())
    output = Output(as_json=as_json)
    if wait:
        until = time.monotonic() + (wait_timeout or job_draft.longest_s(job))
        _send_and_wait(job, output, broker_timeout, until)
    else:
        _send_only(job, output, broker_timeout)


def _send_only(job: Draft, output: Output, timeout_s: float) -> None:
    with broker(timeout_s) as connection:
        check_served(connection, job, output)
        send(connection, job, timeout_s)
    if output.as_json:
        output.emit({"job_id": job.job_id, "orders": len(job.ids), "routing_key": job.key})
    else:
        output.line(f"job {job.job_id}: {len(job.ids)} ids sent to {job.key}")


def _send_and_wait(job: Draft, output: Output, timeout_s: float, until: float) -> None:
    waiting, sent = Waiting(job, output), list[str]()
    # A job that is refused as a whole may not even name a known account.
    keys = (f"*.{job.account}.*", "_._.rejected")
    with cut_short(output, sent), broker(timeout_s) as connection:
        check_served(connection, job, output)
        with listening(connection, keys) as listener:
            send(connection, job, timeout_s)
            sent.append(f"job {job.job_id}")
            waiting.watch(listener, until)
    waiting.end()


class Waiting:
    """The outcomes of one job as they arrive."""

    def __init__(self, job: Draft, output: Output) -> None:
        self._job = job
        self._output = output
        self._status: dict[str, str] = {}
        self._rows = Rows(output, _WIDTHS)
        self._whole = ""  # why the whole job was refused

    def watch(self, listener: Listener, until: float) -> None:
        """Take outcomes in until each id has one."""
        with self._bar() as bar:
            task = bar.add_task("final", total=len(self._job.ids))
            for outcome in listener.messages(until):
                if outcome.get("job_id") == self._job.job_id:
                    self._take(outcome)
                    bar.update(task, completed=len(self._status))
                if self._whole or not self._missing():
                    return

    def _bar(self) -> Progress:
        shown = self._output.console.is_terminal and not self._output.as_json
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._output.console,
            disable=not shown,
            transient=True,
        )

    def _take(self, outcome: dict[str, Any]) -> None:
        order_id, status = outcome["id"], outcome["status"]
        if not order_id:
            self._whole = f"{outcome['reason']}: {outcome['text']}"
        again = self._status.get(order_id) == status
        self._status[order_id] = status
        if self._output.as_json:
            self._output.emit(outcome)
        elif order_id and not again:
            self._rows.add(*row(outcome))

    def _missing(self) -> list[str]:
        return [id_ for id_ in self._job.ids if id_ not in self._status]

    def end(self) -> None:
        """Say how it ended.

        Raises:
            Problem: the job was refused, or outcomes are missing.
            typer.Exit: with 1 if an order may still be open.
        """
        missing, safe = self._missing(), self._is_safe()
        counts = dict(Counter(self._status.values()))
        if self._output.as_json:
            done = {"job_id": self._job.job_id, "counts": counts, "missing": missing}
            self._output.emit(done | {"safe": safe})
        if self._whole:
            raise Problem(f"job {self._job.job_id} was rejected: {self._whole}")
        if missing:
            text = f"{len(missing)} of {len(self._job.ids)} ids have no outcome yet"
            raise Problem(f"{text}; is a worker running? (job {self._job.job_id})")
        if not self._output.as_json:
            self._say(counts, safe=safe)
        if not safe:
            raise typer.Exit(1)

    def _is_safe(self) -> bool:
        return all(self._status.get(id_) in SAFE for id_ in self._job.ids)

    def _say(self, counts: dict[str, int], *, safe: bool) -> None:
        words = ", ".join(f"{counts[s]} {s}" for s in CancelStatus if s in counts)
        end = _none_open(len(self._job.ids)) if safe else "some orders are, or may be, open"
        self._output.line(f"job {self._job.job_id}: {words}; {end}")
        if self._job.priority is Priority.KILL:
            # The worker does not count them: that would take the tokens of the next kill.
            account = self._job.account
            self._output.line(
                f"others of {account} may rest; cancel-worker orders {account} lists them"
            )


def _none_open(ids: int) -> str:
    """Say what is known: of these ids, and of no order that the job did not name."""
    return (
        f"none of these {ids} ids was found open" if ids > 1 else "this id was not found open"
    )


def row(outcome: dict[str, Any]) -> tuple[object, ...]:
    """Return what the table shows of an outcome."""
    return (
        outcome["id"],
        outcome["status"],
        why(outcome["reason"], outcome.get("became", "")),
        outcome["ord_status"] or "-",
        outcome["evidence"],
        outcome["latency_ms"],
    )
