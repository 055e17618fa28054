"""`cancel-worker kill`: cancel all open orders of accounts, and see it proven."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import amqp
import typer
from kombu import Connection

from venues.words import Scope, Side
from worker.cli import job_draft
from worker.cli.accounts import each_account
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, Listener, broker, listening
from worker.cli.job_draft import Asked, Draft, draft
from worker.cli.kill_progress import AccountKill, KillProgress
from worker.cli.output import AsJson, Output, Problem
from worker.cli.sending import cut_short, send
from worker.cli.served import check_served
from worker.contract.job import MOST_HOLD_S
from worker.settings import Account, ConfigError

if TYPE_CHECKING:
    from worker.cli.resting import Resting

#: How long the venues may take (seconds) to tell how many orders are open, before we ask.
COUNT_S = 5.0
_LOOK = "; cancel-worker watch shows what comes of it, cancel-worker orders what rests"
_USAGE = 2

Accounts = Annotated[
    list[str] | None, typer.Argument(metavar="ACCOUNT...", help="Names in the accounts file.")
]
AllAccounts = Annotated[
    bool, typer.Option("--all-accounts", help="Every account of the accounts file.")
]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", help="Only of this instrument; repeatable.")
]
OfSide = Annotated[Side | None, typer.Option("--side", help="Only buy or sell orders.")]
Prefix = Annotated[str, typer.Option(help="Only orders whose client order id begins with it.")]
Hold = Annotated[
    float | None,
    typer.Option(
        min=0, max=MOST_HOLD_S, help="Seconds to keep the accounts clean; 5 if left out."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; no more.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, and do not count first.")]
WaitTimeout = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait at most; 0: until after the deadline."),
]


def kill(
    accounts: Accounts = None,
    *,
    all_accounts: AllAccounts = False,
    symbol: Symbols = None,
    side: OfSide = None,
    prefix: Prefix = "",
    hold: Hold = None,
    deadline: job_draft.Deadline = "",
    reason: job_draft.Reason = "",
    requested_by: job_draft.RequestedBy = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    wait_timeout: WaitTimeout = 0.0,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Cancel all open orders of accounts, also those that appear meanwhile, and see it proven.

    Exit 0 only if every account is proven empty; 1: orders rest; 2: refused; 3: not proven;
    4: no report in time.
    """
    said = {"symbols": symbol, "side": side, "client_order_id_prefix": prefix}
    known = _known(all_accounts=all_accounts)
    jobs = [
        draft(
            Asked(
                scope={word: value for word, value in said.items() if value} or "all",
                hold_s=hold,
                account=name,
                kill=True,
                deadline=deadline,
                reason=reason,
                requested_by=requested_by,
            ),
            job_draft.now(),
        )
        for name in _names(accounts or (), known, all_accounts=all_accounts)
    ]
    output, scope = Output(as_json=as_json), _scope(symbol or (), side, prefix)
    if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise Problem("say --yes to cancel them, as nobody can be asked here", _USAGE)
    resting = (
        {} if yes and not dry_run else _resting([job.account for job in jobs], known, scope)
    )
    if dry_run:
        _show_only(jobs, known, resting, output, broker_timeout)
        return
    if resting:
        _ask(known, resting, output)
    opened = {name: len(one.orders) for name, one in resting.items() if not one.unread}
    progress = KillProgress([AccountKill(job, opened.get(job.account)) for job in jobs], output)
    _run(progress, output, broker_timeout, wait_timeout)
    progress.end()


def _known(*, all_accounts: bool) -> Mapping[str, Account | ConfigError]:
    """Return the accounts of the accounts file; who names accounts need not have one."""
    try:
        return each_account(())
    except Problem:
        if all_accounts:
            raise
        return {}


def _names(
    asked: Sequence[str], known: Collection[str], *, all_accounts: bool
) -> Collection[str]:
    if bool(asked) is all_accounts:
        raise Problem("name the accounts, or say --all-accounts", _USAGE)
    return known if all_accounts else dict.fromkeys(asked)


def _scope(symbols: Sequence[str], side: Side | None, prefix: str) -> Scope:
    return Scope(symbols=frozenset(symbols), side=side, client_order_id_prefix=prefix)


# -- before anything is sent -------------------------------------------------------------


def _resting(
    names: Sequence[str], known: Mapping[str, Account | ConfigError], scope: Scope
) -> dict[str, Resting]:
    # Here, as what speaks to venues takes half a second to load, and --yes does not need it.
    from worker.cli.resting import Resting, read_resting

    here = {name: known[name] for name in names if name in known}
    found = read_resting(here, scope, time.monotonic() + COUNT_S)
    elsewhere = Resting(unread=("not in the accounts file here",))
    return {name: found.get(name, elsewhere) for name in names}


def _show(
    known: Mapping[str, Account | ConfigError], resting: Mapping[str, Resting], output: Output
) -> None:
    rows = []
    for name, one in resting.items():
        account = known.get(name)
        venue = account.venue.name if isinstance(account, Account) else "-"
        shown = str(len(one.orders)) if one.orders or not one.unread else "not known here"
        rows.append((name, venue, shown, "; ".join(one.unread)))
    if output.as_json:
        for name, venue, shown, unread in rows:
            row = {"account": name, "venue": venue, "open_orders": shown, "not_seen": unread}
            output.emit(row)
    else:
        output.table(("account", "venue", "open orders now", "not seen"), rows)


def _ask(
    known: Mapping[str, Account | ConfigError], resting: Mapping[str, Resting], output: Output
) -> None:
    _show(known, resting, output)
    which = "this account" if len(resting) == 1 else f"these {len(resting)} accounts"
    if not typer.confirm(f"Cancel all orders of the scope at {which}?"):
        raise Problem("nothing was sent")


def _show_only(
    jobs: Sequence[Draft],
    known: Mapping[str, Account | ConfigError],
    resting: Mapping[str, Resting],
    output: Output,
    timeout_s: float,
) -> None:
    """Show what a kill would find.

    Raises:
        Exit: with 1 where not all of it is known, or an account would be refused.
    """
    _show(known, resting, output)
    well = not any(one.unread for one in resting.values())
    with broker(timeout_s) as connection:
        for job in jobs:
            try:
                check_served(connection, job, output, dry_run=True)
            except Problem as problem:
                output.note(f"{job.account} would be refused: {problem.line}")
                well = False
    if not output.as_json:
        output.line("nothing was sent")
    if not well:
        raise typer.Exit(1)


# -- the kill ----------------------------------------------------------------------------


def _run(
    progress: KillProgress, output: Output, timeout_s: float, wait_timeout_s: float
) -> None:
    """Send the jobs and wait for their reports; an account that is refused stops no other."""
    sent: list[str] = []
    with (
        cut_short(output, sent, _LOOK),
        broker(timeout_s) as connection,
        ExitStack() as stack,
    ):
        listener = _listener(stack, connection, progress.kills, output)
        for one in progress.kills:
            try:
                check_served(connection, one.job, output)
                send(connection, one.job, timeout_s)
            except Problem as problem:
                progress.refuse(one, problem.line)
            else:
                sent.append(f"job {one.job.job_id} of {one.job.account}")
        longest_s = max(job_draft.longest_s(one.job) for one in progress.kills)
        if listener is not None:
            progress.watch(listener, time.monotonic() + (wait_timeout_s or longest_s))


def _listener(
    stack: ExitStack, connection: Connection, kills: Sequence[AccountKill], output: Output
) -> Listener | None:
    """Listen for what becomes of the kills; who may not listen may kill all the same."""
    keys = [f"*.{one.job.account}.*" for one in kills]
    try:
        # A job that is refused as a whole may not even name a known account.
        heard = listening(connection, (*keys, "_._.rejected"), keys)
        return stack.enter_context(heard)
    except amqp.AccessRefused as error:
        output.note(f"{error.reply_text}; nothing can be heard of the kills, which leave")
        return None
