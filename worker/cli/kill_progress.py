"""How the kills of accounts come on: what is heard of each, and what its report proves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import typer
from rich.console import RenderableType
from rich.live import Live

from venues.words import CancelStatus
from worker.cli.broker import Listener
from worker.cli.job_draft import Draft
from worker.cli.output import SAFE, Output, Rows, table_of

#: Ids that a sentence names.
_MOST_NAMED = 5
#: Off a terminal an account has a line at most so often (seconds), and one at its end.
_LINE_EVERY_S = 2.0
_WIDTHS = {
    "account": 16,
    "state": 10,
    "found": 6,
    "canceled": 8,
    "filled": 6,
    "closed": 6,
    "left": 7,
    "seconds": 8,
}


class State(StrEnum):
    """How far the kill of one account has come; the last four are ends that prove nothing."""

    CANCELING = "canceling"
    EMPTY = "empty"
    NOT_EMPTY = "not_empty"
    REFUSED = "refused"
    NO_REPORT = "no_report"
    UNPROVEN = "unproven"


#: What ends the command; of several accounts the first of these that one has.
EXIT_CODES = {State.NOT_EMPTY: 1, State.REFUSED: 2, State.NO_REPORT: 4, State.UNPROVEN: 3}


@dataclass(slots=True, eq=False)
class AccountKill:
    """The kill of one account; `open_now` is how many orders rested before, if it is known."""

    job: Draft
    open_now: int | None = None
    state: State = State.CANCELING
    statuses: dict[str, str] = field(default_factory=dict)  # of each order, by its id
    report: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""  # it was refused
    begun: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    shown: float = 0.0

    def take(self, message: Mapping[str, Any]) -> None:
        """Take in an outcome or the report of its job."""
        if "result" in message:
            self.report = message
            self.end(State(message["result"]))
        elif not message["id"]:
            self.refuse(f"{message['reason']}: {message['text']}")
        else:
            self.statuses[message["id"]] = message["status"]

    def refuse(self, why: str) -> None:
        """Note that nothing is done, and why."""
        self.why = why
        self.end(State.REFUSED)

    def end(self, state: State) -> None:
        """Note how it ended."""
        self.state, self.ended = state, time.monotonic()

    @property
    def counts(self) -> Mapping[str, int]:
        """Orders by status: what the report counts, or what was heard so far."""
        return self.report.get("counts") or Counter(self.statuses.values())

    def row(self) -> dict[str, object]:
        """Return what the table shows."""
        counts = self.counts
        return {
            "account": self.job.account,
            "state": self.state,
            "found": sum(counts.values()),
            "canceled": counts.get(CancelStatus.CANCELED, 0),
            "filled": counts.get(CancelStatus.FILLED, 0),
            "closed": counts.get(CancelStatus.CLOSED, 0)
            + counts.get(CancelStatus.NOT_FOUND, 0),
            "left": self._left(),
            "seconds": f"{(self.ended or time.monotonic()) - self.begun:.1f}",
        }

    def _left(self) -> object:
        """Return how many orders rest; before the report, of those that did at the start."""
        if self.state is State.EMPTY:
            return 0
        if self.state is State.NOT_EMPTY:
            return self.report["resting_count"]
        if self.state is not State.CANCELING or self.open_now is None:
            return "?"
        return max(0, self.open_now - sum(self.counts.get(status, 0) for status in SAFE))

    def sentence(self) -> str:
        """Return what is known at the end, and no more."""
        return f"{self.job.account}: {'; '.join(self._parts())} (job {self.job.job_id})"

    def _parts(self) -> Iterator[str]:
        if self.state is State.REFUSED:
            yield f"refused, nothing was canceled: {self.why}"
            return
        counts = self.counts
        words = ", ".join(f"{counts[s]} {s}" for s in CancelStatus if counts.get(s))
        if self.state is State.EMPTY:
            yield f"empty: {words or 'no order was found'}"
            yield from self._claims()
            yield from self._proof()
        elif self.state is State.NOT_EMPTY:
            yield f"NOT EMPTY: {words or 'no order was canceled'}"
            yield from self._claims()
            yield self._resting()
            yield from self._not_seen()
        elif self.state is State.UNPROVEN:
            yield f"not proven empty: {words or 'no order was found'}"
            yield from self._claims()
            yield from self._not_seen()
            yield "what was not seen may rest: look at the venue"
        else:
            seconds = (self.ended or time.monotonic()) - self.begun
            yield f"no report within {seconds:.0f} s; the job goes on; is a worker running?"

    def _claims(self) -> Iterator[str]:
        """Say why the counts may lack orders, if a cancel-all may have taken some unseen."""
        claims = [each["claimed"] for each in self.report.get("cancel_alls", ())]
        if claims:
            took = "it does not say how many" if None in claims else f"{sum(claims)}, it says"
            yield f"the venue's cancel-all went first; what it took ({took}) may be in no count"

    def _proof(self) -> Iterator[str]:
        proof = self.report["proof"]
        lists = ", ".join(_list(each) for each in proof)
        first = max(each["first_read_at"] for each in proof)
        last = min(each["last_read_at"] for each in proof)
        yield f"read from {first} to {last}, no order of the scope in {lists}"
        if others := sum(each["others"] for each in proof):
            yield f"{others} other orders rest"

    def _resting(self) -> str:
        named = self.report["resting"][:_MOST_NAMED]
        count = self.report["resting_count"]
        words = ", ".join(f"{each['id']} ({each['reason'] or 'open'})" for each in named)
        more = ", …" if count > len(named) else ""
        return f"{count} still rest{'s' if count == 1 else ''}: {words}{more}"

    def _not_seen(self) -> Iterator[str]:
        if unread := self.report["unread"]:
            lists = ", ".join(f"{_list(each)} ({each['reason']})" for each in unread)
            yield f"not read: {lists}"
        for each in self.report["left_out"]:
            types, why = ", ".join(each["ord_types"]), each["reason"]
            yield _LEFT_OUT.get(why, "not listed by the venue: {} ({})").format(types, why)


#: What to do about orders that no list of all symbols shows, by the reason.
_LEFT_OUT = {
    "missing_symbol": "{} orders are listed for a named symbol alone: once more with --symbol, "
    "for each that the account trades ({})",
    "stated_symbols": "of {} orders only those of the symbols that the accounts file states "
    "were sought and canceled; for a proof: once more with --symbol, for each ({})",
}


def _list(each: Mapping[str, Any]) -> str:
    return f"{each['list']} of {each['symbol']}" if each["symbol"] else str(each["list"])


class KillProgress:
    """The kills of some accounts, as they are shown."""

    def __init__(self, kills: Sequence[AccountKill], output: Output) -> None:
        self.kills = kills
        self._output = output
        self._by_job = {one.job.job_id: one for one in kills}
        self._rows = Rows(output, _WIDTHS)
        self._live = output.console.is_terminal and not output.as_json

    def refuse(self, one: AccountKill, why: str) -> None:
        """Note that a job was not sent, and why."""
        one.refuse(why)
        self._output.note(why)

    def watch(self, listener: Listener, until: float) -> None:
        """Take in what is heard until each account has its report, or the time is over."""
        with self._table() if self._live else nullcontext():
            for message in listener.messages(until) if self._open() else ():
                if one := self._by_job.get(message["job_id"]):
                    one.take(message)
                    self._show(one, message)
                if not self._open():
                    break

    def _open(self) -> list[AccountKill]:
        return [one for one in self.kills if not one.ended]

    def _table(self) -> Live:
        def render() -> RenderableType:
            return table_of(tuple(_WIDTHS), (list(one.row().values()) for one in self.kills))

        return Live(get_renderable=render, console=self._output.console, refresh_per_second=4)

    def _show(self, one: AccountKill, message: Mapping[str, Any]) -> None:
        if self._output.as_json:
            if one.ended:
                self._output.emit(message)
        elif not self._live and (one.ended or time.monotonic() >= one.shown + _LINE_EVERY_S):
            one.shown = time.monotonic()
            self._rows.add(*one.row().values())

    def end(self) -> None:
        """Say how it ended.

        Raises:
            Exit: an account is not proven empty.
        """
        for one in self._open():
            one.end(State.NO_REPORT)
        for one in self.kills:
            if self._output.as_json:
                known = {"account": one.job.account, "job_id": one.job.job_id}
                said = {"state": one.state, "why": one.why, "text": one.sentence()}
                self._output.emit(known | said)
            else:
                style = "green" if one.state is State.EMPTY else "bold red"
                self._output.line(one.sentence(), style)
        found = {one.state for one in self.kills}
        for state, code in EXIT_CODES.items():
            if state in found:
                raise typer.Exit(code)
