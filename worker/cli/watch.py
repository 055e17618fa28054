"""`cancel-worker watch`: outcomes as they come, of all venues or some."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from venues.words import CancelStatus
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, broker, listening
from worker.cli.output import AsJson, Output, Rows

_WIDTHS = {
    "finished": 24,
    "venue": 6,
    "account": 12,
    "job": 36,
    "id": 36,
    "status": 11,
    "reason": 16,
}

Venue = Annotated[str, typer.Option(help="Only of this venue.")]
Account = Annotated[str, typer.Option("--account", "-a", help="Only of this account.")]
Status = Annotated[CancelStatus | None, typer.Option(help="Only with this status.")]
Job = Annotated[str, typer.Option(help="Only of this job.")]
Count = Annotated[int, typer.Option(min=0, help="End after so many; 0 goes on.")]
Seconds = Annotated[float, typer.Option(min=0, help="End after so long; 0 goes on.")]


def watch(
    *,
    venue: Venue = "",
    account: Account = "",
    status: Status = None,
    job: Job = "",
    count: Count = 0,
    seconds: Seconds = 0.0,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Show outcomes live, until interrupted."""
    output = Output(as_json=as_json)
    key = ".".join(word or "*" for word in (venue, account, str(status or "")))
    until = time.monotonic() + (seconds or float("inf"))
    with broker(broker_timeout) as connection, listening(connection, (key,)) as listener:
        output.note(f"watching {key}; Ctrl-C ends it")
        show, left = _shower(output), count
        for outcome in listener.messages(until):
            if job in ("", outcome.get("job_id")):
                show(outcome)
                left -= 1
            if count and left <= 0:
                return


def _shower(output: Output) -> Callable[[dict[str, Any]], None]:
    rows = Rows(output, _WIDTHS)

    def show(outcome: dict[str, Any]) -> None:
        if output.as_json:
            output.emit(outcome)
            return
        words = ("finished_at", "venue", "account", "job_id", "id", "status", "reason")
        rows.add(*(outcome.get(word) or "-" for word in words))

    return show
