"""The job that a producer's silence files, and which venues cannot do it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from venues.words import Priority, Scope
from worker.amqp.publisher import Publication
from worker.amqp.topology import JOBS, heartbeat_stream_name, routing_key
from worker.dead_man.watch import Silent
from worker.orders.scope import NotSeen, plan_of
from worker.settings import Account, ConfigError

REQUESTED_BY = "dead man's switch"
#: What a job's reason may have, in characters.
_MOST_REASON = 256
#: The AMQP type of the message that keeps a silence from killing twice.
KILLED = "killed"


def job_id_of(account: str, silent: Sequence[Silent]) -> str:
    """Return the job's name: the same from each worker that finds this silence."""
    producer, beat = max(silent, key=lambda one: one.beat.offset)
    words = json.dumps([account, producer, beat.offset, beat.stated])
    return "dead-man-" + hashlib.sha256(words.encode()).hexdigest()[:32]


def kill_of(account: str, silent: Sequence[Silent], user: str) -> Publication:
    """Return the kill of all orders of an account; `user` is as whom the worker publishes."""
    job_id = job_id_of(account, silent)
    job = {
        "job_id": job_id,
        "account": account,
        "scope": "all",
        "reason": reason_of(silent),
        "requested_by": REQUESTED_BY,
    }
    properties = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "message_id": job_id,
        "app_id": "cancel-worker",
    } | ({"user_id": user} if user else {})
    key = routing_key(Priority.KILL, account)
    return Publication(JOBS, key, json.dumps(job).encode(), properties)


def killed_of(account: str, silent: Sequence[Silent]) -> Publication:
    """Return what is kept in the stream once the kill is with the broker."""
    offsets = {producer: beat.offset for producer, beat in silent}
    properties = {"content_type": "application/json", "type": KILLED}
    key = heartbeat_stream_name(account)
    return Publication("", key, json.dumps(offsets).encode(), properties)


def reason_of(silent: Sequence[Silent]) -> str:
    """Return who was silent since when, and how many more if not all have room."""
    told = [f"{producer} since {beat.since}" for producer, beat in silent]
    for count in range(len(told), 0, -1):
        more = f" and {len(told) - count} more" if count < len(told) else ""
        reason = f"silent: {', '.join(told[:count])}{more}"
        if len(reason) <= _MOST_REASON:
            break
    return reason


def check_accounts(accounts: Mapping[str, Account]) -> None:
    """Refuse a dead man's switch at a venue whose open orders cannot be seen.

    Raises:
        ConfigError: there is one.
    """
    for account in _switched(accounts.values()):
        try:
            plan_of(account.venue, Scope())
        except NotSeen as error:
            where = f"accounts.{account.name}.dead_man"
            mend = "a kill of all its orders would be refused; take dead_man out"
            raise ConfigError(f"{where}: {error}; {mend}") from None


def narrowed(accounts: Mapping[str, Account]) -> Iterator[str]:
    """Say of which accounts the kill does not reach every order."""
    for account in _switched(accounts.values()):
        for types, reason in plan_of(account.venue, Scope(stated=account.symbols)).left_out:
            words = ", ".join(types)
            yield (
                f"accounts.{account.name}.dead_man: its kill does not reach orders of these "
                f"types: {words} ({reason})"
            )


def _switched(accounts: Iterable[Account]) -> Iterator[Account]:
    return (account for account in accounts if account.dead_man_s)
