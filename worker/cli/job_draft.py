"""What commands share that make a cancel job: options, and ids or a scope, become its body."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import ValidationError

from venues.words import IdKind, OrdType, Priority
from worker.amqp.topology import routing_key
from worker.cli.output import Problem
from worker.contract.job import (
    DEFAULT_DEADLINE,
    MOST_BYTES,
    MOST_ID,
    MOST_ORDERS,
    BadElement,
    JobMessage,
    first_fault,
)
from worker.contract.outcome import rfc_3339, utc_now
from worker.settings import NO_ACCOUNT_NAME

#: Ids have their final status soon after the deadline; then waiting is of no use.
GRACE = timedelta(seconds=60)
_USAGE = 2
_SPAN = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smh])")
#: Options that have another name than their field of a scope.
_OPTIONS = {"symbols": "--symbol", "client_order_id_prefix": "--prefix", "hold_s": "--hold"}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}

Ids = Annotated[
    list[str] | None, typer.Argument(help="Order ids; - reads them from standard input.")
]
File = Annotated[
    str, typer.Option("--file", "-f", help="A file with one id a line; - is standard input.")
]
Account = Annotated[str, typer.Option("--account", "-a", help="Name in the accounts file.")]
Kill = Annotated[bool, typer.Option("--kill", help="Go before all routine jobs.")]
Symbol = Annotated[str, typer.Option(help="Instrument, in the venue's spelling.")]
OrdTypeOption = Annotated[OrdType, typer.Option("--ord-type", help="Type of all the orders.")]
KindOption = Annotated[
    IdKind | None, typer.Option("--kind", help="Kind of the ids; worked out if left out.")
]
Deadline = Annotated[
    str, typer.Option(help="No new cancel after it: 30s, 5m, or an RFC 3339 time.")
]
Reason = Annotated[str, typer.Option(help="Why; carried to log lines.")]
RequestedBy = Annotated[str, typer.Option(help="Who asks; your user name if left out.")]
JobId = Annotated[str, typer.Option("--job-id", help="Idempotency key; new if left out.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A job as the command line was asked for it."""

    ids: Sequence[str] = ()
    scope: Any = None  # in place of ids, as a job states it
    hold_s: float | None = None
    account: str
    kill: bool = False
    symbol: str = ""
    ord_type: OrdType = OrdType.ANY
    kind: IdKind | None = None
    deadline: str = ""
    reason: str = ""
    requested_by: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job ready to be sent or planned; `ids` holds each once, none for a job with a scope."""

    job_id: str
    account: str
    priority: Priority
    ids: tuple[str, ...]
    body: bytes

    @property
    def key(self) -> str:
        """The routing key of the job."""
        return routing_key(self.priority, self.account)


def read_ids(words: Sequence[str] | None, file: str) -> list[str]:
    """Return the ids of the arguments, of a file and of standard input.

    Raises:
        Problem: there are none, or the file cannot be read.
    """
    words = list(words or ())
    found = [word for word in words if word != "-"]
    if file and file != "-":
        found += _lines(_text_of(Path(file)))
    if "-" in words or file == "-":
        found += _lines(sys.stdin.read())
    if not found:
        raise Problem("no ids; give them as arguments, with --file, or - to read them", _USAGE)
    return found


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read ({type(error).__name__})", _USAGE) from None


def _lines(text: str) -> list[str]:
    """Return one id a line; empty lines and those that start with # are none."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def draft(asked: Asked, now: datetime) -> Draft:
    """Return the job.

    Raises:
        Problem: the worker would refuse it.
    """
    job_id = asked.job_id or str(uuid4())
    body = _body(asked, job_id, now)
    _check(body, asked, now)
    raw = json.dumps(body).encode()
    if len(raw) > MOST_BYTES:
        raise Problem(f"{len(raw)} bytes; a job has at most {MOST_BYTES}: send two", _USAGE)
    return Draft(
        job_id=job_id,
        account=asked.account,
        priority=Priority.KILL if asked.kill else Priority.ROUTINE,
        ids=tuple(dict.fromkeys(asked.ids)),
        body=raw,
    )


def _body(asked: Asked, job_id: str, now: datetime) -> dict[str, Any]:
    body = {
        "job_id": job_id,
        "account": asked.account,
        "symbol": asked.symbol,
        "orders": list(_orders(asked)),
        "scope": asked.scope,
        "hold_s": asked.hold_s,
        "deadline": _deadline(asked.deadline, now),
        "reason": asked.reason,
        "requested_by": asked.requested_by or user_name(),
    }
    return {
        name: value
        for name, value in body.items()
        if value or name == "account" or (name == "hold_s" and value is not None)
    }


def _orders(asked: Asked) -> Iterable[str | dict[str, str]]:
    stated = {"kind": str(asked.kind)} if asked.kind else {}
    if asked.ord_type is not OrdType.ANY:
        stated["ord_type"] = str(asked.ord_type)
    return ({"id": id_, **stated} if stated else id_ for id_ in asked.ids)


def _deadline(word: str, now: datetime) -> str:
    span = _SPAN.fullmatch(word)
    if span is None:
        return word
    return rfc_3339(now + timedelta(**{_UNITS[span["unit"]]: int(span["count"])}))


def user_name() -> str:
    """Return as whom this command runs; "" if that has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""  # a container may run under a number without a name


def _check(body: Mapping[str, Any], asked: Asked, now: datetime) -> None:
    try:
        message = JobMessage.model_validate(body)
    except ValidationError as error:
        raise Problem(_fault(asked, first_fault(error, body)), _USAGE) from None
    for number, order in enumerate(message.orders or ()):
        if isinstance(order, BadElement):  # a worker would refuse it, and do the others
            raise Problem(_id_fault(asked.ids, number), _USAGE)
    if message.deadline is not None and message.deadline <= now:
        line = f'--deadline: "{asked.deadline}" has passed; no cancel would be sent'
        raise Problem(line, _USAGE)


def _fault(asked: Asked, fault: Mapping[str, Any]) -> str:
    """Return what is wrong with the options, in their own words; `fault` is pydantic's."""
    field = fault["loc"][0]
    if field == "orders":
        return f"{len(asked.ids)} ids; a job has at most {MOST_ORDERS}: send two"
    if field == "account":
        named = f'"{asked.account}" {NO_ACCOUNT_NAME}'
        return named if asked.scope else f"--account: {named}"
    if field == "deadline":
        return (
            f'--deadline: "{asked.deadline}" is no time; '
            "write 30s, 5m, 2h or 2026-11-21T09:30:00Z"
        )
    if field == "scope":
        field = fault["loc"][2]
    option = _OPTIONS.get(field) or "--" + str(field).replace("_", "-")
    if field in _OPTIONS:
        return f"{option}: {fault['msg']}"
    if (most := fault.get("ctx", {}).get("max_length")) is not None:
        return f"{option}: {len(getattr(asked, field))} characters; at most {most}"
    return f"{option}: {fault['msg']}"


def _id_fault(ids: Sequence[str], number: int) -> str:
    if not ids[number]:
        return f"id {number + 1} is empty"
    return f"id {number + 1} has {len(ids[number])} characters; an id has at most {MOST_ID}"


def properties(job: Draft, user: str) -> dict[str, str]:
    """Return the AMQP properties of the job's message; the broker checks who sends it."""
    stated = {"user_id": user} if user else {}
    return stated | {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "message_id": job.job_id,
        "app_id": "cancel-worker",
    }


def longest_s(job: Draft) -> float:
    """Return how long (seconds) to wait at most for what is told of a job that is sent now."""
    stated = JobMessage.model_validate_json(job.body)
    span = DEFAULT_DEADLINE + timedelta(seconds=stated.hold_s or 0)
    return ((stated.deadline or now() + span) - now() + GRACE).total_seconds()


def now() -> datetime:
    """Return the wall clock."""
    return utc_now()
