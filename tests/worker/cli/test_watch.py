"""`watch`: outcomes live, and only those that were asked for."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.support.cli import Shell
from tests.worker.cli.conftest import new_ids

pytestmark = pytest.mark.usefixtures("worker")


def watching(shell: Shell, *words: str) -> subprocess.Popen[str]:
    process = shell.start("watch", *words)
    assert process.stderr
    assert "watching" in process.stderr.readline()
    return process


def test_it_shows_what_was_asked_for_and_nothing_else(shell: Shell) -> None:
    mine, other = new_ids(2)
    words = ("--account", "desk-k", "--venue", "kuna", "--status", "not_found", "--job", "w-1")
    process = watching(shell, *words, "--count", "1")

    shell.run("submit", other, "-a", "desk-k", "--job-id", "w-0", "--wait")
    shell.run("submit", "bad id", "-a", "desk-k", "--job-id", "w-1", "--wait")
    shell.run("submit", mine, "-a", "desk-k", "--job-id", "w-1", "--wait")
    out, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "")
    head, row = out.splitlines()
    assert head.split()[:3] == ["finished", "venue", "account"]
    assert row.split()[1:6] == ["kuna", "desk-k", "w-1", mine, "not_found"]


def test_an_interrupt_ends_it_quietly(shell: Shell) -> None:
    process = watching(shell, "--json")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (130, "", "")


def test_it_ends_after_its_time(shell: Shell) -> None:
    process = watching(shell, "--seconds", "0.3", "--job", "nobody")

    assert process.wait(20) == 0
    process.communicate()
