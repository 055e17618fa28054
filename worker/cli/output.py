"""What a command prints: tables for people, JSON for programs, and errors in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from venues.words import CancelStatus

#: Ids in one of these statuses can trade no more; docs/contract.md section 4.
SAFE = frozenset(
    {
        CancelStatus.CANCELED,
        CancelStatus.FILLED,
        CancelStatus.CLOSED,
        CancelStatus.NOT_FOUND,
    }
)
#: Off a terminal nothing is wrapped: a program may read the lines.
_WIDE = 2000
_STYLES = {
    "canceled": "green",
    "filled": "cyan",
    "closed": "green",
    "not_found": "yellow",
    "rejected": "red",
    "failed": "bold red",
    "unconfirmed": "bold red",
    "empty": "green",
    "not_empty": "bold red",
    "unproven": "bold red",
    "refused": "bold red",
    "no_report": "bold red",
    "ok": "green",
    "not ok": "bold red",
    "note": "yellow",
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


class Problem(Exception):
    """What stands in the way and how to mend it, in one line; `code` ends the command."""

    def __init__(self, line: str, code: int = 1) -> None:
        super().__init__(line)
        self.line = line
        self.code = code


class Output:
    """Where the answer of a command goes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = _console(sys.stdout)
        self.aside = _console(sys.stderr)

    def emit(self, value: Mapping[str, Any]) -> None:
        """Print one JSON object on a line of its own."""
        _written(lambda: print(json.dumps(value), flush=True))  # noqa: T201

    def raw(self, parts: Iterable[str]) -> None:
        """Print text as it is, for a program or a file: in UTF-8, whatever the locale."""
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        _written(lambda: sys.stdout.writelines(parts))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; a word with a style of its own is shown in it."""
        _written(lambda: self.console.print(table_of(columns, rows)))

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line for people."""
        _written(lambda: self.console.print(Text(printable(text), style)))

    def note(self, text: str) -> None:
        """Print a line on standard error, apart from the answer."""
        self.aside.print(Text(f"cancel-worker: {printable(text)}"))


class Rows:
    """A table that grows: each row is printed as soon as it is known."""

    def __init__(self, output: Output, widths: Mapping[str, int]) -> None:
        self._output = output
        self._widths = tuple(widths.values())
        self._head = tuple(widths)
        self._begun = False

    def add(self, *values: object) -> None:
        """Print one row, below the head if it is the first."""
        if not self._begun:
            self._print([Text(name, "bold") for name in self._head])
            self._begun = True
        self._print([cell(value) for value in values])

    def _print(self, cells: Sequence[Text]) -> None:
        line = Text()
        for text, width in zip(cells, self._widths, strict=True):
            text.pad_right(max(0, width - text.cell_len))
            line.append_text(text).append("  ")
        line.rstrip()
        console = self._output.console
        _written(lambda: console.print(line, soft_wrap=True))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def _console(stream: Any) -> Console:
    on_terminal = stream.isatty()
    return Console(
        file=stream,
        width=None if on_terminal else _WIDE,
        highlight=False,
        color_system="auto" if on_terminal else None,
    )


def why(reason: str, became: str) -> str:
    """Return the reason of an outcome, and the order that one became which had fired."""
    return ", ".join(filter(None, (reason, became and f"became {became}"))) or "-"


def cell(value: object) -> Text:
    """Return a value as it is shown in a table."""
    text = printable("" if value is None else str(value))
    return Text(text, _STYLES.get(text, ""))


def printable(text: str) -> str:
    """Return a text that cannot command a terminal: venues and producers wrote parts of it."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _written(write: Callable[[], None]) -> None:
    """Write, and end quietly where the reader has gone (`cancel-worker … | head`)."""
    try:
        write()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
