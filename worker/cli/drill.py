"""`cancel-worker drill`: the kill of a whole desk, played against sandbox venues.

The accounts are those of the accounts file, with their quotas, options and time-outs; addresses
are replaced by a sandbox's on loopback, and keys by dummies: no venue is touched, no secret is
read. A worker of its own, at an embedded broker, cancels what was put on the sandbox's book.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer
from kombu import Consumer, Queue

from venues import all_venues
from venues.base import Route, Venue
from venues.sandbox.client import SandboxClient, SandboxError, start_sandbox
from venues.words import IdKind, OrderRef, OrdType, Priority, Purpose, Scope
from worker.amqp import topology
from worker.cli.audit import write
from worker.cli.broker import TIMEOUT_S, open_connection, publish
from worker.cli.output import SAFE, AsJson, Output, Problem
from worker.cli.simulate import simulate
from worker.contract.outcome import rfc_3339, utc_now
from worker.contract.report import ReportMessage, Result
from worker.orders.progress import new_cohorts
from worker.orders.scope import NotSeen, plan_of
from worker.record.day import what_it_counts
from worker.record.page import Bar, Table, page
from worker.settings import (
    Account,
    AccountTable,
    ConfigError,
    account_tables,
    environment,
    load,
)

#: The last cancel may leave so much later than the plan has it: the bench's must for many
#: accounts at once, and what a worker takes to begin.
_LATE, _BEGIN_S = 1.3, 0.5
#: What a worker, and then the slowest account beyond its plan, may take (seconds).
_START_S, _PATIENCE_S = 60.0, 60.0
#: A worker begins with its short quotas spent; a desk's has been up for longer (seconds).
_SETTLE_S = 2.5
#: An instrument that every sandbox venue takes.
_SYMBOL = "BTCUSDT"
#: What the worker has of our environment: no secret of the desk.
_KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR")
_LONGEST_S = 3600.0
_COLUMNS = ("account", "venue", "orders", "kill of", "last cancel s", "bound s", "last word s",
            "result", "counts", "open after", "what failed")  # fmt: skip

Orders = Annotated[int, typer.Option("--orders", min=1, max=10_000, help="For each account.")]
RttMs = Annotated[float, typer.Option("--rtt-ms", min=0, help="Round trip to the venues, ms.")]
Out = Annotated[str, typer.Option("--out", metavar="FILE", help="Where the page is written.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An account in the drill: its orders, and how they are killed.

    Its last cancel may leave `bound_s` after the job was accepted.
    """

    account: Account
    ids: tuple[str, ...]
    by_scope: bool
    bound_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of an account; `faults` is empty where all went as it should."""

    part: Part
    report: ReportMessage | None
    still_open: int
    faults: tuple[str, ...]


def drill(
    *,
    orders: Orders = 200,
    rtt_ms: RttMs = 50.0,
    out: Out = "drill.html",
    as_json: AsJson = False,
) -> None:
    """Play the kill of every account of the accounts file; no venue is touched.

    Exit 1 if an account was not proven empty, was late, or could not be played.
    """
    output = Output(as_json=as_json)
    try:
        played, skipped = _play(account_tables(environment()), orders, rtt_ms)
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None
    except SandboxError as error:
        line = str(error).splitlines()[-1]
        line += "; is it there? pip install 'cancel-worker[sandbox]'"
        raise Problem(f"sandbox: {line}", os.EX_UNAVAILABLE) from None
    rows = [_row(each) for each in played]
    if as_json:
        for row in rows:
            output.emit(dict(zip(_COLUMNS, row, strict=True)))
    else:
        output.table(_COLUMNS, rows)
    for line in skipped:
        output.note(line)
    write(_page(played, skipped, orders, rtt_ms), out)
    output.note(f"the page is {out}; no venue was touched")
    if skipped or any(each.faults for each in played):
        raise typer.Exit(1)


def _play(
    tables: Mapping[str, AccountTable], orders: int, rtt_ms: float
) -> tuple[list[Played], list[str]]:
    without = {n for n, table in tables.items() if not _has_sandbox(table.venue)}
    skipped = [
        f"{name}: not played, as there is no sandbox of {tables[name].venue}"
        for name in without
    ]
    if len(without) == len(tables):
        raise ConfigError("there is a sandbox of none of the venues of the accounts file")
    with (
        tempfile.TemporaryDirectory(prefix="cancel-drill-") as folder,
        start_sandbox({"settings": {"rtt_ms": rtt_ms}}) as sandbox,
    ):
        here = {name: table for name, table in tables.items() if name not in without}
        env = _accounts_file(here, sandbox.url, Path(folder))
        try:
            accounts = load(env).accounts
        except ConfigError as error:  # which names our copy of the file
            raise ConfigError(str(error).partition(": ")[2]) from None
        numbers = count(33_308_750_270_880_000)
        parts = [_part(each, orders, rtt_ms / 1000, numbers) for each in accounts.values()]
        for part in parts:
            _seed(sandbox, part)
        reports = _killed(parts, env, Path(folder))
        return [
            _judged(part, reports.get(part.account.name), sandbox) for part in parts
        ], skipped


def _has_sandbox(venue: str) -> bool:
    return venue not in all_venues() or find_spec(f"venues.sandbox.{venue}") is not None


def _accounts_file(
    tables: Mapping[str, AccountTable], url: str, folder: Path
) -> dict[str, str]:
    """Write the accounts as they are played; return the environment of the worker."""
    lines: list[str] = []
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for number, (name, table) in enumerate(tables.items()):
        lines += [f"[accounts.{name}]", f"venue = {json.dumps(table.venue)}"]
        lines += [f"base_url = {json.dumps(url)}", f'verify = "{table.verify}"']
        lines += [f"timeout = {table.timeout}", f"connect_timeout = {table.connect_timeout}"]
        for part in table.parts:
            env[f"DRILL_{number}_{part.upper()}"] = _secret(table.venue, part, number)
            lines.append(f'{part}_env = "DRILL_{number}_{part.upper()}"')
        for group in ("quotas", "options"):
            lines += [
                f"{group}.{json.dumps(key)} = {json.dumps(value)}"
                for key, value in getattr(table, group).items()
            ]
    config = folder / "cancel.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    own = {"CANCEL_CONFIG": str(config), "CANCEL_LOG": "json", "CANCEL_REPORTS": "all"}
    return env | own | {"CELERY_BROKER_URL": f"filesystem://{folder}/broker"}


def _secret(venue: str, part: str, number: int) -> str:
    """Return a dummy for a part of a key, as Base64 where the venue demands a form."""
    word = f"drill-{part}-{number}"
    known = all_venues()[venue].parts if venue in all_venues() else ()
    fits = all(each.shape.fullmatch(word) for each in known if each.name == part)
    return word if fits else base64.b64encode(word.encode()).decode()


def _part(account: Account, orders: int, rtt_s: float, numbers: Iterator[int]) -> Part:
    ids = tuple(_id(account.venue, next(numbers)) for _ in range(orders))
    refs = [OrderRef(each, IdKind.VENUE, _SYMBOL, OrdType.LIMIT) for each in ids]
    planned = simulate(
        account, new_cohorts(refs), kill=True, deadline_s=_LONGEST_S, rtt_s=rtt_s
    )
    cancels = [r.sends_s for r in planned.requests if r.purpose is Purpose.CANCEL]
    try:
        lists = [key.route for key in plan_of(account.venue, Scope()).lists]
    except NotSeen:
        return Part(account=account, ids=ids, by_scope=False, bound_s=max(cancels))
    bound_s = max(cancels) + rtt_s + _listing_s(account, lists, len(cancels))
    return Part(account=account, ids=ids, by_scope=True, bound_s=bound_s)


def _listing_s(account: Account, lists: Sequence[Route], cancels: int) -> float:
    """Return for how long cancels wait as the lists draw from a quota that they fill."""
    canceling = (r.quotas for r in account.venue.routes if r.purpose is Purpose.CANCEL)
    shared = {name for route in lists for name in route.quotas} & set(chain(*canceling))
    full = (account.quotas[name] for name in shared & account.quotas.keys())
    windows_s = (quota.window_s for quota in full if cancels + len(lists) > quota.limit)
    return max(windows_s, default=0.0)


def _id(venue: Venue, number: int) -> str:
    """Return an id of one of the shapes that venues give: a UUID, groups of letters, digits."""
    uuid, last = f"3fa42833-9508-4061-8d80-{number % 10**12:012d}", number % 10**6
    shape = venue.id_shapes[IdKind.VENUE]
    fitting = (word for word in (uuid, f"O12345-ABCDE-{last:06d}") if shape.fullmatch(word))
    return next(fitting, str(number))


def _seed(sandbox: SandboxClient, part: Part) -> None:
    account = part.account
    key, *secrets = account.credential.given.values()
    sandbox.add_account(account.venue.name, key, secrets[0] if secrets else None)
    common = {"venue": account.venue.name, "api_key": key, "symbol": _SYMBOL}
    common |= {"ord_type": "limit", "product": next(iter(account.venue.chosen.values()), "")}
    sandbox.seed([common | {"id": order_id} for order_id in part.ids])


def _killed(
    parts: Sequence[Part], env: Mapping[str, str], folder: Path
) -> dict[str, ReportMessage]:
    """Kill all accounts at once; return the reports that came, by account."""
    found: dict[str, ReportMessage] = {}

    def take(message: Any) -> None:
        report = ReportMessage.model_validate_json(message.body)
        found[report.account] = report

    with _worker(env, folder), open_connection(env["CELERY_BROKER_URL"], TIMEOUT_S) as broker:
        topology.declare(broker, (), embedded=True)
        channel = broker.channel()
        queue = Queue("drill", topology.REPORTS_EXCHANGE, routing_key="#")(channel)
        queue.declare()
        patience_s = _PATIENCE_S + 2 * max(part.bound_s for part in parts)
        deadline = utc_now() + timedelta(seconds=patience_s)
        with Consumer(channel, [queue], no_ack=True, auto_declare=False, on_message=take):
            for part in parts:
                key = topology.routing_key(Priority.KILL, part.account.name)
                publish(broker, key, _job(part, deadline), {}, {}, TIMEOUT_S)
            give_up = time.monotonic() + patience_s
            while len(found) < len(parts) and time.monotonic() < give_up:
                try:
                    broker.drain_events(timeout=0.2)
                except TimeoutError:
                    continue
    return found


def _job(part: Part, deadline: datetime) -> bytes:
    job: dict[str, Any] = {
        "job_id": f"drill-{part.account.name}",
        "account": part.account.name,
        "reason": "drill",
        "deadline": rfc_3339(deadline),
    }
    if part.by_scope:
        job |= {"scope": "all", "hold_s": 0}
    else:
        job |= {"orders": part.ids, "symbol": _SYMBOL, "ord_type": "limit"}
        job["kind"] = IdKind.VENUE
    return json.dumps(job).encode()


@contextmanager
def _worker(env: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Run a worker for the length of a `with` block.

    Raises:
        Problem: it does not start.
    """
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", "drill@%h"]
    log = folder / "worker.log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=dict(env), stdout=file, stderr=subprocess.STDOUT
        )
        try:
            give_up = time.monotonic() + _START_S
            while '"worker_ready"' not in log.read_text(encoding="utf-8", errors="replace"):
                if process.poll() is not None or time.monotonic() > give_up:
                    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
                    raise Problem(f"the worker did not start: {''.join(last)[:300]}", 70)
                time.sleep(0.05)
            time.sleep(_SETTLE_S)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _judged(part: Part, report: ReportMessage | None, sandbox: SandboxClient) -> Played:
    key = next(iter(part.account.credential.given.values()))
    book = sandbox.book(venue=part.account.venue.name, api_key=key)
    still_open = sum(order.state in ("open", "partially_filled") for order in book)
    said = tuple(faults(part, report, still_open))
    return Played(part=part, report=report, still_open=still_open, faults=said)


def faults(part: Part, report: ReportMessage | None, still_open: int) -> Iterator[str]:
    """Yield what went wrong with an account of which so many orders are still open."""
    if report is None:
        yield "no report came in time"
    elif report.result not in (Result.EMPTY, Result.DONE):
        yield f"{report.result}: {what_it_counts(report)}"
    elif bad := [
        f"{n} {status}" for status, n in report.counts.items() if n and status not in SAFE
    ]:
        yield f"{', '.join(bad)}: orders may be open"
    if still_open:
        yield f"{still_open} still open on the sandbox's book"
    sent_s = _last_sent_s(report)
    if sent_s is not None and sent_s > part.bound_s * _LATE + _BEGIN_S:
        yield f"late: the last cancel left after {sent_s:.2f} s, not {part.bound_s:.2f} s"


def _last_sent_s(report: ReportMessage | None) -> float | None:
    if report is None or report.last_sent_at is None:
        return None
    accepted_at = datetime.fromisoformat(report.accepted_at)
    return (datetime.fromisoformat(report.last_sent_at) - accepted_at).total_seconds()


def _row(played: Played) -> tuple[object, ...]:
    part, report = played.part, played.report
    sent_s = _last_sent_s(report)
    return (
        part.account.name,
        part.account.venue.name,
        len(part.ids),
        "all" if part.by_scope else "its ids",
        None if sent_s is None else round(sent_s, 2),
        round(part.bound_s, 2),
        round(report.latency_ms / 1000, 2) if report else None,
        str(report.result) if report else "-",
        what_it_counts(report) if report else "",
        played.still_open,
        "; ".join(played.faults),
    )


def _page(
    played: Sequence[Played], skipped: Sequence[str], orders: int, rtt_ms: float
) -> Iterator[str]:
    gaps = [f"{p.part.account.name}: {fault}." for p in played for fault in p.faults]
    facts = [
        f"Played at {rfc_3339(utc_now())} against sandbox venues on this machine, with dummy "
        "keys: no venue was touched.",
        f"{orders} limit orders at each of {len(played)} accounts, all killed at once; a round "
        f"trip of {rtt_ms:g} ms; the venues' limits as they publish them.",
        "The bar ends when the last cancel left, the line is its bound: what the account's "
        "quotas need while no other account shares them. The last word comes when the proof is "
        "complete. An account whose venue lists no open orders is killed by ids.",
    ]
    bars = [
        Bar(
            p.part.account.name,
            _last_sent_s(p.report) or 0.0,
            str(p.report.result) if p.report else "no report",
            not p.faults,
            p.part.bound_s,
        )
        for p in played
    ]
    title = "Seconds to the last cancel, and its bound"
    tables = [Table("Accounts", _COLUMNS, (_row(each) for each in played))]
    yield from page(
        "Drill: the kill of a whole desk", facts, [*gaps, *skipped], (title, bars), tables
    )
