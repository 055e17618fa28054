"""`cancel-worker orders`: what rests at the venues now."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from venues.words import Scope
from worker.cli.accounts import each_account
from worker.cli.output import AsJson, Output, Problem, Rows, printable
from worker.cli.resting import Resting, read_resting
from worker.settings import Account, ConfigError

_COLUMNS = ("account", "venue", "list", "symbol", "id", "client_order_id", "ord_type", "side")

Accounts = Annotated[
    list[str] | None, typer.Argument(metavar="[ACCOUNT]...", help="All, if left out.")
]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", help="Only of this instrument; repeatable.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="Seconds for the reading at most.")]


def orders(
    accounts: Accounts = None,
    *,
    symbol: Symbols = None,
    seconds: Seconds = 60.0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the open orders at the venues. Exit 0 only if every list of them could be read."""
    if as_json and as_csv:
        raise Problem("--json or --csv, not both", 2)
    found = each_account(accounts or ())
    if not found:
        raise Problem("the accounts file has no account", 2)
    scope = Scope(symbols=frozenset(symbol or ()))
    resting = read_resting(found, scope, time.monotonic() + seconds)
    rows = list(_rows(found, resting))
    output = Output(as_json=as_json)
    if as_json:
        for row in rows:
            output.emit(row)
        for name, one in resting.items():
            of = {"account": name, "orders": len(one.orders), "unread": list(one.unread)}
            output.emit(of)
    elif as_csv:
        output.raw([_csv(rows)])
    else:
        _show(rows, output)
    _end(resting, output, quiet=as_json or as_csv)


def _rows(
    accounts: Mapping[str, Account | ConfigError], resting: Mapping[str, Resting]
) -> Iterator[dict[str, Any]]:
    for name, one in resting.items():
        account = accounts[name]
        for each in one.orders:
            assert isinstance(account, Account)  # noqa: S101 - it was read
            order = each.order
            values = (
                name,
                account.venue.name,
                each.list,
                order.symbol,
                order.id,
                order.client_id,
                "/".join(sorted(order.ord_types)),
                order.side,
            )
            yield dict(zip(_COLUMNS, values, strict=True))


def _show(rows: list[dict[str, Any]], output: Output) -> None:
    """Print the rows one by one: to lay out a table of thousands takes seconds."""
    widths = {
        name: max([len(name), *(len(str(row[name] or "")) for row in rows)])
        for name in _COLUMNS
    }
    table = Rows(output, widths)
    for row in rows:
        table.add(*row.values())


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: printable(str(value or "")) for name, value in row.items()})
    return text.getvalue()


def _end(resting: Mapping[str, Resting], output: Output, *, quiet: bool) -> None:
    """Say for each account how many orders were seen, and what could not be."""
    for name, one in resting.items():
        if one.unread:
            seen = f"{counted(len(one.orders))} seen, and more" if one.orders else "orders"
            output.note(
                f"{name}: {seen} may rest, as not all was read: {'; '.join(one.unread)}"
            )
        elif not quiet:
            output.line(f"{name}: {counted(len(one.orders))}")
    if any(one.unread for one in resting.values()):
        raise typer.Exit(1)


def counted(orders: int) -> str:
    """Return in words how many open orders the lists show, where all were read."""
    if not orders:
        return "no list shows an open order"
    return "1 open order" if orders == 1 else f"{orders} open orders"
