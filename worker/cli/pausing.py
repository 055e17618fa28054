"""What `pause` and `resume` share: a word on each account, and whether its worker heard it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated
from uuid import uuid4

import amqp
import typer
from kombu import Connection

from venues.words import Priority
from worker.amqp import topology
from worker.cli.accounts import each_account
from worker.cli.broker import broker, is_embedded, publish, queue_size
from worker.cli.conditions import ask_workers, paused_by
from worker.cli.job_draft import now, user_name
from worker.cli.output import Output, Problem
from worker.cli.served import no_account
from worker.contract.outcome import rfc_3339
from worker.contract.pause import PauseMessage
from worker.stats import AccountCondition

#: How long (seconds) a worker that answers is given to have heard the word.
HEARD_S = 5.0
_USAGE = 2
_NOT_HEARD = 3
_DONE = {"pause": "paused", "resume": "resumed"}
_ASKED = {
    "pause": "Let nothing routine leave for {}? Kills leave all the same.",
    "resume": "Let routine cancels leave again for {}?",
}

Accounts = Annotated[
    list[str] | None, typer.Argument(metavar="ACCOUNT...", help="Names in the accounts file.")
]
AllAccounts = Annotated[
    bool, typer.Option("--all-accounts", help="Every account of the accounts file.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def names_of(asked: Sequence[str], *, all_accounts: bool) -> list[str]:
    """Return the accounts that are meant, each once; who names them needs no accounts file.

    Raises:
        Problem: names and `--all-accounts`, or neither.
    """
    if bool(asked) is all_accounts:
        raise Problem("name the accounts, or say --all-accounts", _USAGE)
    return list(each_account(())) if all_accounts else list(dict.fromkeys(asked))


def say(words: Sequence[PauseMessage], output: Output, timeout_s: float, *, yes: bool) -> None:
    """Publish a word on each account, and see whether the workers have heard it.

    Raises:
        Problem: an account that nobody knows, so that nothing was sent; or no broker.
        Exit: with 3, where a worker answers and has not heard it.
    """
    if not yes:
        _ask(words, output)
    by_name = {word.account: word for word in words}
    with broker(timeout_s) as connection:
        _check(connection, by_name)
        for word in words:
            _publish(connection, word, timeout_s)
        found = _heard(connection, by_name)
    told = {name: _told(word, found, output) for name, word in by_name.items()}
    for name, (heard, text) in told.items():
        word = by_name[name]
        if output.as_json:
            output.emit(word.model_dump() | {"heard": heard})
        else:
            output.line(f"{name}: {text}")
    if any(heard is False for heard, _ in told.values()):
        raise typer.Exit(_NOT_HEARD)


def word_on(action: str, account: str, reason: str, requested_by: str) -> PauseMessage:
    """Return the message that pauses or resumes an account.

    Raises:
        Problem: a word is of another form.
    """
    said = {
        "reason": reason,
        "requested_by": requested_by or user_name(),
        "at": rfc_3339(now()),
    }
    try:
        return PauseMessage.model_validate({"action": action, "account": account, **said})
    except ValueError:
        long = max(said, key=lambda name: len(said[name]))
        if len(said[long]) > 256:
            raise Problem(f"--{long.replace('_', '-')}: at most 256 characters", 2) from None
        raise Problem(f"{account!r} is no name of an account", _USAGE) from None


def _ask(words: Sequence[PauseMessage], output: Output) -> None:
    if output.as_json or not sys.stdin.isatty():
        raise Problem("say --yes, as nobody can be asked here", _USAGE)
    names = ", ".join(word.account for word in words)
    if not typer.confirm(_ASKED[words[0].action].format(names)):
        raise Problem("nothing was sent")


def _check(connection: Connection, names: Collection[str]) -> None:
    """Refuse what nobody could obey, before anything is sent."""
    if is_embedded(connection):
        line = "the embedded broker keeps no pauses; set CELERY_BROKER_URL to RabbitMQ"
        raise Problem(line, os.EX_UNAVAILABLE)
    for name in names:
        try:
            size = queue_size(connection, topology.lane_queue_name(name, Priority.ROUTINE))
        except amqp.AccessRefused:  # RabbitMQ 4.3 tells not everybody
            continue
        if size is None:
            raise no_account(name)


def _publish(connection: Connection, word: PauseMessage, timeout_s: float) -> None:
    properties = {
        "content_type": "application/json",
        "message_id": str(uuid4()),
        "user_id": connection.userid or "guest",
    }
    body = word.model_dump_json().encode()
    publish(connection, "", body, properties, {}, timeout_s, exchange=topology.PAUSES)


def _heard(
    connection: Connection, words: Mapping[str, PauseMessage]
) -> Mapping[str, AccountCondition] | None:
    """Return what the workers tell, once they have heard or are given up; None: not told."""
    give_up = time.monotonic() + HEARD_S
    while True:
        found = ask_workers(connection, words)
        well = found is None or all(
            _is_done(words[name], condition) for name, condition in found.items()
        )
        if well or time.monotonic() > give_up:
            return found
        time.sleep(0.1)


def _is_done(word: PauseMessage, condition: AccountCondition) -> bool:
    return (condition.routine_pause is not None) is (word.action == "pause")


def _told(
    word: PauseMessage, found: Mapping[str, AccountCondition] | None, output: Output
) -> tuple[bool | None, str]:
    """Return whether a worker has heard a word, None if none tells, and a sentence."""
    done = _DONE[word.action]
    condition = None if found is None else found.get(word.account)
    if condition is None:
        why = "this user may not ask the workers" if found is None else "no worker answers"
        if not output.as_json:
            output.note(f"{word.account}: {why}; the broker keeps the word, and each obeys it")
        return None, f"{done} (kept by the broker)"
    if not _is_done(word, condition):
        state = paused_by(condition) or "not paused"
        return False, f"the worker says {state} still; see its log: pauses_not_followed"
    return True, f"{done}; its worker has heard it"
