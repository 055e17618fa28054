"""A job is sent, and whoever stops waiting for it hears that it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from kombu import Connection

from worker.cli.broker import is_embedded, publish
from worker.cli.job_draft import Draft, properties
from worker.cli.output import Output, Problem


def send(connection: Connection, job: Draft, timeout_s: float) -> None:
    """Publish a job; return when the broker has it in a queue.

    Raises:
        Problem: no queue takes it.
    """
    user = "" if is_embedded(connection) else connection.userid or "guest"
    publish(connection, job.key, job.body, properties(job, user), {}, timeout_s)


@contextmanager
def cut_short(output: Output, sent: Sequence[str], look: str = "") -> Iterator[None]:
    """Where a wait ends early, say that what was `sent` goes on, and how to `look`."""
    try:
        yield
    except Problem as problem:
        raise Problem(problem.line + _goes_on("; ", sent, look), problem.code) from None
    except typer.Abort:
        if sent:
            output.note(_goes_on("interrupted; ", sent, look))
        raise


def _goes_on(before: str, sent: Sequence[str], look: str) -> str:
    if not sent:
        return ""
    verbs = "was sent and goes on" if len(sent) == 1 else "were sent and go on"
    return f"{before}{', '.join(sent)} {verbs}{look}"
