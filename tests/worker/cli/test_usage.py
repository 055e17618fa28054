"""What a user gets wrong: one line, the mend, the right exit code, never a traceback."""

from __future__ import annotations

import time

import pytest

from tests.support.cli import Shell
from tests.worker.cli.conftest import new_ids
from venues import all_venues

#: arguments -> what the one line says
MISTAKES = [
    (("bogus",), "No such command 'bogus'"),
    (("submit", "1"), "Missing option '--account'"),
    (("submit", "-a", "d"), "no ids; give them as arguments"),
    (("submit", "-", "-a", "d"), "no ids; give them as arguments"),
    (("submit", "-f", "nowhere", "-a", "d"), "nowhere: cannot be read (FileNotFoundError)"),
    (
        ("submit", "1", "-a", "d", "--deadline", "tomorrow"),
        '--deadline: "tomorrow" is no time; write 30s, 5m, 2h or 2026-',
    ),
    (("plan", "1", "-a", "d", "--deadline", "2026-13-01T00:00:00Z"), "is no time; write 30s,"),
    (("submit", "1", "-a", "d", "--kind", "x"), "'x' is not one of"),
    (("submit", "1", "-a", "bad name!"), '--account: "bad name!" is no account name (letters,'),
    (("plan", "1", "-a", ""), '--account: "" is no account name (letters, digits, _ and -,'),
    (
        ("submit", "1", "-a", "d", "--reason", "x" * 300),
        "--reason: 300 characters; at most 256",
    ),
    (("submit", "x" * 101, "-a", "d"), "id 1 has 101 characters; an id has at most 100"),
    (("submit", "1", "", "-a", "d"), "id 2 is empty"),
    (
        ("submit", *map(str, range(10_001)), "-a", "d"),
        "10001 ids; a job has at most 10000: send two",
    ),
    (("submit", "1", "-a", "d", "-w", "--deadline", "2020-01-01T00:00:00Z"), "has passed; no"),
    (
        ("plan", "1", "-a", "d", "--deadline", "0s"),
        '--deadline: "0s" has passed; no cancel would',
    ),
    (("venues", "mars"), f"no venue 'mars'; known are {', '.join(sorted(all_venues()))}"),
    (("rejected", "drop", "0"), "see cancel-worker rejected drop --help"),
    (("watch", "--status", "gone"), "'gone' is not one of"),
]


@pytest.mark.parametrize(
    ("words", "said"), MISTAKES, ids=[" ".join(w)[:40] for w, _ in MISTAKES]
)
def test_a_mistake_is_answered_in_one_line(
    offline: Shell, words: tuple[str, ...], said: str
) -> None:
    done = offline.run(*words)

    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("cancel-worker: ")
    assert said in done.err


@pytest.mark.parametrize(
    "words", [("submit", "1", "-a", "d"), ("watch",), ("rejected", "list")], ids=lambda w: w[0]
)
def test_a_dead_broker_is_told_at_once_without_its_password(
    offline: Shell, words: tuple[str, ...]
) -> None:
    begun = time.monotonic()

    done = offline.run(*words)

    assert done.code == 69
    assert "amqp://guest:**@127.0.0.1:9//: the broker cannot be used" in done.err
    assert done.err.endswith("start it or set CELERY_BROKER_URL\n")
    assert "hidden" not in done.err
    assert time.monotonic() - begun < 5


def test_a_broker_that_never_answers_is_given_up_in_time(offline: Shell) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//"
        begun = time.monotonic()
        words = ("submit", "1", "-a", "d", "--broker-timeout", "1")
        done = offline.run(*words, CELERY_BROKER_URL=url)

    assert done.code == 69
    assert time.monotonic() - begun < 8


def test_a_reader_that_goes_away_ends_the_command_quietly(offline: Shell) -> None:
    process = offline.start("plan", *new_ids(300), "-a", "desk-k")
    assert process.stdout
    assert process.stderr
    process.stdout.close()

    code = process.wait(30)

    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert code == 1


@pytest.mark.parametrize("name", ["coinw", "ztdx", "kuna"])
def test_venues_tells_routes_and_quotas(offline: Shell, name: str) -> None:
    shown, told = offline.run("venues", name), offline.run("venues", name, "--json")

    (venue,) = told.lines
    assert shown.code == told.code == 0
    assert {"cancel_batch", "cancel_one"} <= {route["route"] for route in venue["routes"]}
    for route in venue["routes"]:
        assert f"{route['method']} {route['path']}" in shown.out
    for quota, figures in venue["quotas"].items():
        assert f"{quota} {figures['rate']} per {figures['scope']}" in shown.out
