"""How an account is served, in a few words, from what workers tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cli import Shell
from venues.words import AccountState
from worker.cli.check import _how_bad
from worker.cli.conditions import _read, as_json, told
from worker.cli.findings import State
from worker.stats import AccountCondition

NOW = 1795253400.0  # 2026-11-21T09:30:00Z


def condition(state: AccountState, since_s: float, until_s: float) -> AccountCondition:
    return AccountCondition(state, "http_403", NOW + since_s, NOW + until_s)


@pytest.mark.parametrize(
    ("found", "bad", "words"),
    [
        (AccountCondition(), State.OK, "running"),
        (
            AccountCondition(routine_pause={"at": "then", "sent_by": "ops", "reason": "drill"}),
            State.NOTE,
            "running; routine paused since then by ops (drill)",
        ),
        (AccountCondition(routine_pause={}), State.NOTE, "running; routine paused"),
        (
            condition(AccountState.PAUSED, -5, 5),
            State.NOTE,
            "paused since 2026-11-21T09:29:55.000Z (http_403); until 2026-11-21T09:30:05.000Z",
        ),
        (condition(AccountState.PAUSED, -5, 595), State.BAD, "paused since"),
        (condition(AccountState.PAUSED, -600, -5), State.OK, "running"),
        (condition(AccountState.BARRED, -5, -1), State.NOTE, "barred since"),
        (condition(AccountState.BARRED, -90, 5), State.BAD, "tried again at"),
        (condition(AccountState.REFUSED, -1, 0), State.NOTE, "refused since"),
        (condition(AccountState.HALTED, -1, 30), State.BAD, "asked again at"),
    ],
)
def test_what_a_worker_tells_of_an_account(
    found: AccountCondition, bad: State, words: str
) -> None:
    assert _how_bad(found, NOW) is bad
    assert words in told(found, NOW)


def test_of_a_newer_worker_what_is_known_is_read() -> None:
    body = json.dumps({"w": {"desk": {"state": "running", "of_tomorrow": 1}}})
    assert _read(body) == {"desk": AccountCondition()}


def test_an_answer_is_read_as_it_was_sent_and_any_other_is_none() -> None:
    sent = condition(AccountState.HALTED, -1, 30)
    body = json.dumps({"celery@w1": {"desk": sent._asdict(), "other": {"state": "running"}}})

    assert _read(body) == {"desk": sent, "other": AccountCondition()}
    assert as_json("desk", sent)["since"] == "2026-11-21T09:29:59.000Z"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"celery@w1": {"error": "no such command"}}',
        b'{"w": {"a": {"state": "odd"}}}',
    ],
)
def test_a_worker_that_does_not_know_the_question_says_nothing(body: Any) -> None:
    assert _read(body) == {}


@pytest.mark.usefixtures("worker")
def test_workers_are_asked_and_no_venue(shell: Shell) -> None:
    status = shell.run("status", "--json")
    accounts = {line["what"]: line for line in shell.run("check", "--json").lines}

    assert {line["account"]: line["state"] for line in status.lines} == dict.fromkeys(
        ("desk-c", "desk-z", "desk-k"), "running"
    )
    assert accounts["account desk-c at its venue"]["detail"] == "running"
    assert "desk-k   running" in shell.run("status").out


def test_without_a_broker_one_line_says_so(offline: Shell) -> None:
    done = offline.run("status")

    assert done.code == 69
    assert "start it or set CELERY_BROKER_URL" in done.err


def test_without_an_accounts_file_one_line_says_so(offline: Shell) -> None:
    done = offline.run("status", CANCEL_CONFIG="nowhere.toml")

    assert done.code == 78
    assert "nowhere.toml" in done.err
