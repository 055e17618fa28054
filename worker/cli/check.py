"""`cancel-worker check`: is all there that a worker needs, and if not, how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from kombu import Connection

from venues.words import AccountState, Priority
from worker.amqp import topology
from worker.amqp.topology import RECORD, lane_queue_name, owner_queue_name
from worker.cli.accounts import rate
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, broker, is_embedded, queue_size
from worker.cli.conditions import ask_workers, is_troubled, told
from worker.cli.deep import PATIENCE_S, played
from worker.cli.findings import Finding, State
from worker.cli.output import AsJson, Output, Problem
from worker.cli.probe import probed, reached
from worker.cli.rules import rules
from worker.dead_man.kill import check_accounts
from worker.dead_man.timer import check_timers
from worker.settings import (
    Account,
    ConfigError,
    Egress,
    environment,
    load_each,
)
from worker.stats import AccountCondition

#: An account that is not served for longer (seconds) than this is not ok, whatever the reason.
LONG_S = 60.0


Deep = Annotated[
    bool,
    typer.Option("--deep", help="Send a test job through each lane and wait for its outcome."),
]


OfAccount = Annotated[
    str,
    typer.Option(
        "--account",
        "-a",
        metavar="NAME",
        help="Only this one: read its open orders with its key, and change nothing.",
    ),
]


def check(
    *,
    account: OfAccount = "",
    deep: Deep = False,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Check accounts, secrets, broker, queues, venues and clocks. Exit 1 if one is not ok.

    With --account: key, signature, permission, clock and open orders of one account, asked of
    its venue by signed reads. No broker is needed.
    """
    if account and deep:
        raise typer.BadParameter("asks venues of one account, --deep the workers; take one")
    output = Output(as_json=as_json)
    accounts: dict[str, Account] = {}
    if account:
        findings = [*_accounts(accounts, account)]
        findings += [each for one in accounts.values() for each in probed(one)]
    else:
        found = _broker(accounts, broker_timeout, deep=deep)
        findings = [*_accounts(accounts), *found, *_venues(accounts)]
    if as_json:
        for finding in findings:
            what, state, detail = finding.what, finding.state, finding.detail
            output.emit({"what": what, "state": state, "detail": detail})
    else:
        output.table(
            ("what", "state", "detail or mend"), ((f.what, f.state, f.detail) for f in findings)
        )
    if any(finding.state is State.BAD for finding in findings):
        raise typer.Exit(1)


# -- accounts ----------------------------------------------------------------------------


def _accounts(usable: dict[str, Account], only: str = "") -> Iterator[Finding]:
    """Look at the accounts file, or one account of it; put what can be used into `usable`."""
    try:
        found = load_each(environment())
    except ConfigError as error:
        yield Finding("accounts file", State.BAD, str(error))
        return
    yield Finding("accounts file", State.OK, f"{len(found)} accounts")
    if only and only not in found:
        text = f"not in the accounts file, which has {', '.join(found)}"
        yield Finding(f"account {only}", State.BAD, text)
    for name, account in found.items():
        if only not in ("", name):
            continue
        if isinstance(account, ConfigError):
            yield Finding(f"account {name}", State.BAD, str(account))
        else:
            usable[name] = account
            yield _usable(account)


def _usable(account: Account) -> Finding:
    what = f"account {account.name}"
    try:
        check_accounts({account.name: account})
        check_timers({account.name: account})
    except ConfigError as error:
        return Finding(what, State.BAD, str(error))
    return Finding(what, State.OK, _in_force(account))


def _in_force(account: Account) -> str:
    parts = [name.removeprefix("api_") for name in account.credential.given]
    key = " and ".join(parts) if len(parts) > 1 else f"{parts[0]} alone"
    quotas = ", ".join(f"{name} {rate(quota)}" for name, quota in account.quotas.items())
    chosen = [f"{name} {value}" for name, value in account.venue.chosen.items()]
    return f"{', '.join([account.venue.name, *chosen, key])}; {quotas}"


# -- broker ------------------------------------------------------------------------------


def _broker(
    accounts: Mapping[str, Account], timeout_s: float, *, deep: bool
) -> Iterator[Finding]:
    try:
        with broker(timeout_s) as connection:
            yield Finding("broker", State.OK, f"{connection.as_uri()} {_product(connection)}")
            if is_embedded(connection):
                yield Finding("queues", State.NOTE, "embedded broker: for a first look only")
            else:
                yield from _queues(connection, accounts)
                yield from _conditions(connection, accounts)
                yield from _rules(connection, timeout_s)
                if deep:
                    yield from map(_answered, played(connection, accounts, timeout_s))
    except Problem as problem:
        yield Finding("broker", State.BAD, problem.line)


def _product(connection: Connection) -> str:
    return " ".join(_told(connection, key) for key in ("product", "version")).strip()


def _told(connection: Connection, key: str) -> str:
    """Return what the broker says of itself as one connects."""
    told: Mapping[str, Any] = getattr(connection.connection, "server_properties", {})
    return _text(told.get(key, ""))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _answered(lane: tuple[str, float | None]) -> Finding:
    key, took_s = lane
    if took_s is None:
        text = f"no outcome within {PATIENCE_S:g} s; see the worker's log"
        return Finding(f"test job to {key}", State.BAD, text)
    return Finding(f"test job to {key}", State.OK, f"answered in {took_s * 1000:.0f} ms")


def _queues(connection: Connection, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    for name in (topology.UNROUTED, topology.DEAD):
        yield _served(connection, name)
    yield _rejected(connection)
    yield _recorded(connection)
    for account in accounts:
        yield _served(connection, owner_queue_name(account))
        for priority in (Priority.KILL, Priority.ROUTINE):
            yield _served(connection, lane_queue_name(account, priority))


def _rules(connection: Connection, timeout_s: float) -> Iterator[Finding]:
    """Look at what was set for the queues, where the management API is named."""
    env, vhost = environment(), connection.virtual_host or "/"
    url, ca_file = env.get("CANCEL_MANAGEMENT_URL", ""), env.get("CANCEL_BROKER_CA_FILE")
    yield from rules(url, ca_file or None, vhost, timeout_s, _told(connection, "version"))


def _conditions(connection: Connection, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Ask the workers how the venues serve them."""
    found, now = ask_workers(connection, accounts), time.time()
    if found is None:
        yield Finding("accounts at venues", State.NOTE, "this user may not ask the workers")
        return
    for name in accounts:
        what = f"account {name} at its venue"
        if name in found:
            yield Finding(what, _how_bad(found[name], now), told(found[name], now))
        else:
            yield Finding(what, State.NOTE, "no worker answers for it")


def _how_bad(condition: AccountCondition, now: float) -> State:
    """Say what trouble is no small one: a halt, or what lasts, or will last, for long."""
    if not is_troubled(condition, now):
        return State.OK if condition.routine_pause is None else State.NOTE
    lasts = now - (condition.since or now) > LONG_S or (condition.until or now) - now > LONG_S
    return State.BAD if lasts or condition.state is AccountState.HALTED else State.NOTE


def _served(connection: Connection, name: str) -> Finding:
    size = queue_size(connection, name)
    if size is None:
        return Finding(
            f"queue {name}", State.BAD, "not there; start a worker, which declares it"
        )
    messages, consumers = size
    if not consumers:
        mend = "start one with this accounts file"
        return Finding(f"queue {name}", State.BAD, f"{messages} wait, no worker; {mend}")
    return Finding(f"queue {name}", State.OK, f"{messages} wait")


def _rejected(connection: Connection) -> Finding:
    size, what = queue_size(connection, topology.REJECTED), f"queue {topology.REJECTED}"
    if size is None:
        return Finding(what, State.BAD, "not there; start a worker, which declares it")
    if size[0]:
        text = f"{size[0]} messages wait for you: cancel-worker rejected list"
        return Finding(what, State.NOTE, text)
    return Finding(what, State.OK, "empty")


def _recorded(connection: Connection) -> Finding:
    """Look at the record; a worker does not need one, so a missing one is no fault."""
    messages, consumers = queue_size(connection, RECORD) or (0, 0)
    what = f"queue {RECORD}"
    if not consumers:
        return Finding(what, State.NOTE, f"{messages} wait; to keep them: cancel-worker record")
    return Finding(what, State.OK, f"{messages} wait")


# -- venues ------------------------------------------------------------------------------


def _venues(accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Ask each address once, in each way that leads there, without a key."""
    timeouts: dict[tuple[str, Egress], float] = {}
    for account in accounts.values():
        way = account.base_url, account.egress
        timeouts[way] = max(account.timeout_s, timeouts.get(way, 0.0))
    for (base_url, egress), timeout_s in timeouts.items():
        yield from reached(base_url, egress, timeout_s)
