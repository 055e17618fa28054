"""`cancel-worker audit`: is what was recorded still as it was recorded, and what was it?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.database import Url
from worker.cli.output import AsJson, Output, Problem
from worker.cli.status import recorded
from worker.contract.outcome import rfc_3339, utc_now
from worker.record import day as days
from worker.record import journal
from worker.record.chain import Check
from worker.record.store import DEFAULT_URL, Store

audit = typer.Typer(no_args_is_help=True, help="Check the record, and show a day of it.")

Head = Annotated[
    str, typer.Option("--head", metavar="SHA256", help="A head that was printed earlier.")
]


class Format(StrEnum):
    """How a day is written."""

    CSV = "csv"
    JSONL = "jsonl"
    HTML = "html"


DayOption = Annotated[
    datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="The day, by UTC.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How it is written.")]
Out = Annotated[str, typer.Option("--out", metavar="FILE", help="Left out: standard output.")]


@audit.command("verify")
def verify(*, url: Url = DEFAULT_URL, head: Head = "", as_json: AsJson = False) -> None:
    """Check that no row was changed, taken out or put in. Exit 1 if one was.

    Rows that were cut off at the end, and a record that was written anew as a whole, only show
    against a head that was printed earlier and kept elsewhere.
    """
    found, outside = recorded(url, lambda store: _verified(store, head))
    output = Output(as_json=as_json)
    if as_json:
        began_at, ended_at = (
            rfc_3339(moment) if moment else None for moment in (found.began_at, found.ended_at)
        )
        output.emit(
            {
                "ok": not found.fault,
                "rows": found.rows,
                "began_at": began_at,
                "ended_at": ended_at,
                "head": found.head,
                "fault": found.fault,
                "outside": outside,
            }
        )
    else:
        for line in told(found, outside):
            output.line(line)
    if found.fault:
        raise typer.Exit(1)


def told(found: Check, outside: int) -> list[str]:
    """Return what was found, in sentences."""
    rows = "1 row" if found.rows == 1 else f"{found.rows} rows"
    if found.began_at and found.ended_at:
        rows += f", recorded from {rfc_3339(found.began_at)} to {rfc_3339(found.ended_at)}"
    verdict = "fit, and then: " + found.fault if found.fault else "OK"
    lines = [f"{rows}: {verdict}", f"head: {found.head}"]
    if outside:
        count, them = (
            ("1 outcome was", "it") if outside == 1 else (f"{outside} outcomes were", "them")
        )
        lines.append(f"{count} recorded before the chain began, and nothing proves {them}.")
    lines.append("Keep the head elsewhere: only --head HEAD shows rows cut off at the end.")
    return lines


def _verified(store: Store, head: str) -> tuple[Check, int]:
    with store.reading() as connection:
        return journal.checked(connection, head), journal.outside(connection)


@audit.command("export")
def export(
    *, day: DayOption, form: FormatOption = Format.CSV, out: Out = "", url: Url = DEFAULT_URL
) -> None:
    """Show who canceled what on a day, when, why, at whose word, with which result.

    Gaps of the record are named in what is written and on standard error. Exit 1 if the record
    was tampered with.
    """
    found = recorded(url, lambda store: _exported(store, day, form, out))
    output = Output()
    for gap in found.gaps:
        output.note(gap)
    if found.check.fault:
        raise typer.Exit(1)


def _exported(store: Store, day: datetime, form: Format, out: str) -> days.Day:
    with store.reading() as connection:
        found = days.read_day(connection, day.date())
        if form is Format.JSONL:
            parts = days.json_lines(connection, found)
        elif form is Format.CSV:
            parts = days.csv_lines(found, days.entries(connection, found.day))
        else:
            entries = days.entries(connection, found.day)
            parts = days.html_parts(found, entries, store.where, utc_now())
        write(parts, out)
    return found


def write(parts: Iterator[str], out: str) -> None:
    """Write to a file, or to standard output where `out` is empty.

    Raises:
        Problem: the file cannot be written.
    """
    if not out:
        Output().raw(parts)
        return
    try:
        with Path(out).open("w", encoding="utf-8", newline="") as file:
            file.writelines(parts)
    except OSError as error:
        raise Problem(f"{out}: cannot be written ({type(error).__name__})") from None
