"""`cancel-worker audit`: is what was recorded still as it was recorded, and what was it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from worker.cli.database import Url
from worker.cli.output import AsJson, Output
from worker.cli.status import recorded
from worker.contract.outcome import rfc_3339
from worker.record import journal
from worker.record.chain import Check, check
from worker.record.store import DEFAULT_URL, Store

audit = typer.Typer(no_args_is_help=True, help="Check the record, and show a day of it.")

Head = Annotated[
    str, typer.Option("--head", metavar="SHA256", help="A head that was printed earlier.")
]


@audit.command("verify")
def verify(*, url: Url = DEFAULT_URL, head: Head = "", as_json: AsJson = False) -> None:
    """Check that no row was changed, taken out or put in. Exit 1 if one was.

    Rows that were cut off at the end, and a record that was written anew as a whole, only show
    against a head that was printed earlier and kept elsewhere.
    """
    found, outside = recorded(url, lambda store: _checked(store, head))
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


def _checked(store: Store, head: str) -> tuple[Check, int]:
    with store.reading() as connection:
        found = check(journal.links(connection), head)
        if not found.fault and (misfit := journal.first_misfit(connection)):
            found = replace(found, fault=misfit)
        return found, journal.outside(connection)
