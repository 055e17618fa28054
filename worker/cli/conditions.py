"""How the venues serve the accounts, as the running workers tell: no venue is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import amqp
from kombu import Connection, Consumer, Queue

from venues.words import AccountState
from worker.contract.outcome import rfc_3339
from worker.stats import AccountCondition

#: Where Celery's workers listen to questions, each in a queue of its own.
_QUESTIONS = "celery.pidbox"
#: How long (seconds) workers are given to answer.
_ANSWER_S = 2.0
#: The name of the question, `worker.consumer.remote.accounts`.
_QUESTION = "accounts"


def ask_workers(
    connection: Connection, accounts: Collection[str]
) -> dict[str, AccountCondition] | None:
    """Return how these accounts are served, those that a worker answers for.

    None: this user may not ask, or there never was a worker.
    """
    found: dict[str, AccountCondition] = {}
    try:
        with connection.channel() as channel:
            # By name within the rights that asking takes; the broker deletes it with the
            # connection, and RabbitMQ 4.3.0 allows no other queue that is not durable.
            queue = Queue(
                f"{uuid4()}.reply.{_QUESTIONS}", durable=False, exclusive=True, auto_delete=True
            )(channel)
            queue.queue_declare()
            with Consumer(
                channel, [queue], no_ack=True, auto_declare=False,
                on_message=lambda message: found.update(_read(message.body)),
            ):  # fmt: skip
                _ask(channel, queue.name)
                _await(connection, found, accounts)
    except amqp.ChannelError:
        return None
    return {name: found[name] for name in accounts if name in found}


def _ask(channel: Any, reply_to: str) -> None:
    question = {
        "method": _QUESTION,
        "arguments": {},
        "ticket": str(uuid4()),
        "reply_to": {"exchange": "", "routing_key": reply_to},
    }
    body = json.dumps(question)
    message = channel.prepare_message(body, None, "application/json", "utf-8", {}, {})
    channel.basic_publish(message, _QUESTIONS, "")


def _await(
    connection: Connection, found: Mapping[str, object], accounts: Collection[str]
) -> None:
    until = time.monotonic() + _ANSWER_S
    while not found.keys() >= set(accounts) and (left_s := until - time.monotonic()) > 0:
        with suppress(TimeoutError):
            connection.drain_events(timeout=left_s)


def _read(body: bytes | str) -> dict[str, AccountCondition]:
    """Return what a worker said; nothing if it is one that does not know the question."""
    with suppress(ValueError, TypeError, AttributeError):
        (told,) = json.loads(body).values()
        return {str(name): _condition(said) for name, said in told.items()}
    return {}


def _condition(said: Mapping[str, Any]) -> AccountCondition:
    """Return what a worker said of an account, perhaps one of a newer version."""
    known = {name: said[name] for name in AccountCondition._fields if name in said}
    return AccountCondition(**known)._replace(state=AccountState(said["state"]))


def told(condition: AccountCondition, now: float) -> str:
    """Return in a few words how an account is served; `now` in Unix seconds."""
    pause = paused_by(condition)
    return f"{_at_venue(condition, now)}; {pause}" if pause else _at_venue(condition, now)


def _at_venue(condition: AccountCondition, now: float) -> str:
    if not is_troubled(condition, now):
        return str(AccountState.RUNNING)
    since, until = (_time(when) for when in (condition.since, condition.until))
    again = f"; {_AGAIN[condition.state]} {until}" if until else ""
    return f"{condition.state} since {since} ({condition.why}){again}"


def paused_by(condition: AccountCondition) -> str:
    """Return who had the account paused, when and why; "" if nobody did."""
    pause = condition.routine_pause
    if pause is None:
        return ""
    who = pause.get("requested_by") or pause.get("sent_by") or ""
    at, why = pause.get("at", ""), pause.get("reason", "")
    since, by = at and f" since {at}", who and f" by {who}"
    return f"routine paused{since}{by}" + (why and f" ({why})")


#: What comes at the time that a condition tells.
_AGAIN = {
    AccountState.PAUSED: "until",
    AccountState.BARRED: "tried again at",
    AccountState.REFUSED: "asked again at",
    AccountState.HALTED: "asked again at",
}


def is_troubled(condition: AccountCondition, now: float) -> bool:
    """Say whether something keeps an account from being served; a pause ends by itself."""
    over = condition.state is AccountState.PAUSED and now >= (condition.until or 0.0)
    return condition.state is not AccountState.RUNNING and not over


def as_json(name: str, condition: AccountCondition) -> dict[str, Any]:
    """Return one account's line of JSON."""
    since, until = (_time(when) for when in (condition.since, condition.until))
    told_of: dict[str, Any] = {"account": name, "state": str(condition.state)}
    told_of |= {"why": condition.why, "since": since or None, "until": until or None}
    return told_of | {"routine_pause": condition.routine_pause}


def _time(when: float | None) -> str:
    return "" if when is None else rfc_3339(datetime.fromtimestamp(when, UTC))
