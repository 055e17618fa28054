"""`pause` and `resume`: an account is paused, its worker says so, and bad input is one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cli import Done, Shell
from tests.support.rabbitmq import RabbitNode
from tests.worker.cli.conftest import KEY, new_ids
from venues.sandbox.client import SandboxClient


def told(done: Done) -> list[dict[str, Any]]:
    """Return the outcomes that a command showed; a report has no status."""
    return [line for line in done.lines if "status" in line]


@pytest.fixture
def resumed(shell: Shell) -> Iterator[None]:
    """No account stays paused for other tests."""
    yield
    assert shell.run("resume", *("desk-k", "desk-z"), "--yes").code == 0


@pytest.mark.usefixtures("worker", "resumed")
def test_a_paused_account_is_told_by_every_command_and_its_kills_leave(
    shell: Shell, sandbox: SandboxClient
) -> None:
    ids = new_ids(2)
    row = {"venue": "kuna", "api_key": KEY, "symbol": "BTC_USDT", "ord_type": "limit"}
    sandbox.seed([row | {"id": one} for one in ids])

    said = shell.run(
        "pause", "desk-k", "--yes", "--reason", "a drill", "--requested-by", "ops-1"
    )
    assert (said.code, said.out) == (0, "desk-k: paused; its worker has heard it\n"), said
    (status,) = [
        line for line in shell.run("status", "--json").lines if line["account"] == "desk-k"
    ]
    assert status["state"] == "running"
    pause = status["routine_pause"]
    assert (pause["requested_by"], pause["sent_by"]) == ("ops-1", "guest")
    shown = shell.run("status").out
    assert f"running; routine paused since {pause['at']} by ops-1 (a drill)" in shown
    (found,) = [
        line
        for line in shell.run("check", "--json").lines
        if line["what"] == "account desk-k at its venue"
    ]
    assert found["state"] == "note", found

    waits = shell.run("submit", ids[0], "-a", "desk-k", "--deadline", "2s", "--wait", "--json")
    assert [(one["status"], one["reason"]) for one in told(waits)] == [
        ("failed", "routine_paused")
    ]
    killed = shell.run("submit", ids[1], "-a", "desk-k", "--kill", "--wait", "--json")
    assert [one["status"] for one in told(killed)] == ["canceled"]

    done = shell.run("resume", "desk-k", "--yes", "--json")
    assert done.code == 0, done
    (word,) = done.lines
    assert (word["action"], word["account"], word["heard"]) == ("resume", "desk-k", True)
    left = shell.run("submit", ids[0], "-a", "desk-k", "--wait", "--json")
    assert [one["status"] for one in told(left)] == ["canceled"]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_bad_input_is_one_line_and_nothing_is_sent(shell: Shell, command: str) -> None:
    for words, code, line in (
        (["desk-k", "desk-q"], 2, "no account 'desk-q' at the broker; did you mean desk-z?"),
        ([], 2, "name the accounts, or say --all-accounts"),
        (["desk-k", "--all-accounts"], 2, "name the accounts, or say --all-accounts"),
        (["desk k"], 2, "'desk k' is no name of an account"),
        (["desk-k", "--reason", "x" * 257], 2, "--reason: at most 256 characters"),
    ):
        said = shell.run(command, *words, "--yes")
        assert (said.code, said.err) == (code, f"cancel-worker: {line}\n"), said
        assert not said.out
    said = shell.run(command, "desk-k")
    assert (said.code, said.err) == (
        2,
        "cancel-worker: say --yes, as nobody can be asked here\n",
    )
    known = {line["account"]: line for line in shell.run("status", "--json").lines}
    assert known["desk-k"]["routine_pause"] is None


def test_a_broker_that_does_not_answer_is_one_line(offline: Shell) -> None:
    said = offline.run("pause", "desk-k", "--yes", "--broker-timeout", "1")

    assert said.code == 69, said
    assert said.err.count("\n") == 1
    assert "the broker cannot be used" in said.err
    assert "hidden" not in said.err


def test_the_embedded_broker_keeps_no_pauses(offline: Shell) -> None:
    url = f"filesystem://{offline.folder}/broker"
    said = offline.run("pause", "desk-k", "--yes", CELERY_BROKER_URL=url)

    line = "the embedded broker keeps no pauses; set CELERY_BROKER_URL to RabbitMQ"
    assert (said.code, said.err) == (69, f"cancel-worker: {line}\n"), said


def test_without_a_worker_the_broker_keeps_the_word(shell: Shell, rabbit: RabbitNode) -> None:
    """Nobody answers, so nothing is claimed of a worker; the next one obeys."""
    url = rabbit.vhost("pauses-alone")
    never = shell.run("pause", "desk-k", "--yes", CELERY_BROKER_URL=url)
    assert never.code == 2, never
    assert "desk-k has no queue at the broker; start a worker" in never.err
