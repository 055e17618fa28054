"""`kill`: accounts are proven empty, or it says what is not, with a real worker."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from kombu import Connection

from tests.support.cli import COMMAND, Shell
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess
from tests.worker.cli.conftest import KEY, new_ids
from venues.sandbox.client import SandboxClient
from worker.amqp import topology

pytestmark = pytest.mark.usefixtures("worker", "quiet_book")
SYMBOLS = {"kuna": "BTC_USDT", "ztdx": "BTCUSDT", "coinw": "BTC"}
#: A worker takes some ten seconds to prove that nothing rests.
PROVEN_S = 60.0


@pytest.fixture
def quiet_book(sandbox: SandboxClient) -> Iterator[None]:
    """An empty book, and nothing that outlives its test."""
    sandbox.clear_book()
    yield
    sandbox.clear_faults()
    sandbox.clear_requests()


def seed(sandbox: SandboxClient, venue: str, ids: list[str], **fields: object) -> list[str]:
    row = {"venue": venue, "api_key": KEY, "symbol": SYMBOLS[venue], "ord_type": "limit"}
    sandbox.seed([row | {"id": order_id} | fields for order_id in ids])
    return ids


def coinw_ids(count: int) -> list[str]:
    return [f"33308750270{name[-6:]}" for name in new_ids(count)]


def are_canceled(sandbox: SandboxClient, venue: str, ids: list[str]) -> bool:
    return all(sandbox.order(venue, one).state == "canceled" for one in ids)


def test_accounts_are_proven_empty_and_one_that_nobody_knows_is_refused(
    shell: Shell, sandbox: SandboxClient
) -> None:
    """The typing error of one name leaves no other account alone, and is told at once."""
    at_kuna = seed(sandbox, "kuna", new_ids(25))
    at_ztdx = seed(sandbox, "ztdx", new_ids(12))
    filled = seed(sandbox, "ztdx", new_ids(1), state="filled")

    done = shell.run("kill", "desk-k", "desk-q", "desk-z", "--yes", "--reason", "a drill")

    assert done.code == 2, done
    assert "no account 'desk-q' at the broker; did you mean desk-z?" in done.err
    assert are_canceled(sandbox, "kuna", at_kuna)
    assert are_canceled(sandbox, "ztdx", at_ztdx)
    assert sandbox.order("ztdx", filled[0]).canceled_at_s is None
    kuna, unknown, ztdx = done.out.splitlines()[-3:]
    assert kuna.startswith("desk-k: empty: 25 canceled; read from 20")
    assert ", no order of the scope in list_active (job " in kuna
    assert unknown.startswith("desk-q: refused, nothing was canceled: no account 'desk-q'")
    assert ztdx.startswith("desk-z: empty: 12 canceled; read from 20")
    ends = [line.split() for line in done.out.splitlines() if " empty " in line]
    assert {tuple(line[:7]) for line in ends} == {
        ("desk-k", "empty", "25", "25", "0", "0", "0"),
        ("desk-z", "empty", "12", "12", "0", "0", "0"),
    }
    assert "\x1b" not in done.out + done.err


def test_all_accounts_with_one_symbol_and_json(shell: Shell, sandbox: SandboxClient) -> None:
    gone = seed(sandbox, "coinw", coinw_ids(3))
    stays = seed(sandbox, "coinw", coinw_ids(1), symbol="ETH")

    done = shell.run("kill", "--all-accounts", "--symbol", "BTC", "--hold", "0", "-y", "--json")

    assert done.code == 0, done
    reports = {one["account"]: one for one in done.lines if "result" in one}
    ends = {one["account"]: one for one in done.lines if "state" in one}
    assert {one["result"] for one in reports.values()} == {"empty"}
    assert {name: one["state"] for name, one in ends.items()} == dict.fromkeys(
        ("desk-c", "desk-k", "desk-z"), "empty"
    )
    assert reports["desk-c"]["scope"] == {"symbols": ["BTC"]}
    assert re.search(r": empty: 3 (canceled|closed);", ends["desk-c"]["text"])
    assert "other orders rest" in ends["desk-c"]["text"]
    assert are_canceled(sandbox, "coinw", gone)
    assert sandbox.order("coinw", stays[0]).state == "open"


def test_what_another_program_places_meanwhile_is_canceled_too(
    shell: Shell, sandbox: SandboxClient
) -> None:
    placed = seed(sandbox, "kuna", new_ids(5))
    process = shell.start("kill", "desk-k", "--yes", "--hold", "6")
    for _ in range(8):
        time.sleep(0.5)
        placed += seed(sandbox, "kuna", new_ids(2))
    out, err = process.communicate(timeout=PROVEN_S)

    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1].startswith("desk-k: empty: 21 canceled; read from ")
    assert are_canceled(sandbox, "kuna", placed)


def test_a_list_that_cannot_be_read_is_told_and_nobody_says_empty(
    shell: Shell, sandbox: SandboxClient
) -> None:
    sandbox.fault("status", venue="kuna", method="GET", status=500, times=None)
    sandbox.fault("status", venue="kuna", path_contains="active", status=500, times=None)

    killed = shell.start("kill", "desk-k", "--yes", "--hold", "0", "--deadline", "4s")
    listed = shell.run("orders", "desk-k")
    out, err = killed.communicate(timeout=PROVEN_S)

    assert (killed.returncode, err) == (3, "")
    last = out.splitlines()[-1]
    assert last.startswith(
        "desk-k: not proven empty: no order was found; not read: list_active"
    )
    assert "look at the venue" in last
    assert (listed.code, listed.out) == (1, "")
    assert listed.err == (
        "cancel-worker: desk-k: orders may rest, as not all was read: list_active (http_500)\n"
    )


def test_an_order_that_the_venue_does_not_cancel_is_named(
    shell: Shell, sandbox: SandboxClient
) -> None:
    (stays,) = seed(sandbox, "kuna", new_ids(1))
    sandbox.fault("lying_success", venue="kuna", order_id=stays, times=None)

    done = shell.run("kill", "desk-k", "--yes", "--hold", "0", "--deadline", "8s")

    assert done.code == 1, done
    last = done.out.splitlines()[-1]
    assert last.startswith("desk-k: NOT EMPTY: 1 ")
    assert f"; 1 still rests: {stays} (" in last


def test_a_scope_that_the_venue_cannot_see_is_refused_or_narrowed_and_told_so(
    shell: Shell,
) -> None:
    """CoinW's rows do not tell client order ids; its triggers are listed by their symbol."""
    blind = shell.run("kill", "desk-c", "--prefix", "risk-", "--yes")
    half = shell.run("kill", "desk-c", "--hold", "0", "--yes")

    assert blind.code == 2
    assert "desk-c: refused, nothing was canceled: unsupported_scope: lists" in blind.out
    assert half.code == 3
    assert "not proven empty" in half.out
    assert "trigger orders are listed for a named symbol alone: once more with" in half.out


def test_without_a_worker_the_job_waits_and_the_end_says_so(
    shell: Shell, rabbit: RabbitNode
) -> None:
    url = rabbit.vhost("kill-unserved")
    with Connection(url) as connection:
        topology.declare(connection, ["desk-k"], embedded=False)
    words = ("kill", "desk-k", "--yes", "--wait-timeout", "1")

    done = shell.run(*words, CELERY_BROKER_URL=url)

    dry = shell.run("kill", "desk-k", "--dry-run", CELERY_BROKER_URL=url)

    assert done.code == 4
    assert done.err == "cancel-worker: no worker serves desk-k now; the job waits\n"
    assert dry.err == "cancel-worker: no worker serves desk-k now; a job would wait\n"
    assert "desk-k: no report within 1 s; the job goes on; is a worker running?" in done.out


def test_who_may_only_publish_kills_all_the_same_and_hears_nothing(
    shell: Shell, sandbox: SandboxClient, rabbit: RabbitNode, worker: WorkerProcess
) -> None:
    ids = seed(sandbox, "kuna", new_ids(2))
    rabbit.control("add_user", "killer", "pw")
    rabbit.control("set_permissions", "killer", "^$", "^cancel\\.jobs$", "^$")
    url = rabbit.url.replace("guest:guest", "killer:pw")

    done = shell.run("kill", "desk-k", "--yes", "--hold", "0", CELERY_BROKER_URL=url)

    assert done.code == 4
    refused, *more = done.err.splitlines()
    assert "ACCESS_REFUSED" in refused
    assert refused.endswith("; nothing can be heard of the kills, which leave")
    # From 4.2.6 on a queue is not shown to those who have no right to it.
    unseen = "cancel-worker: this user has no right to see whether desk-k is served; sent"
    assert more == ([unseen] if rabbit.version >= (4, 3) else [])
    assert "desk-k: no report within 0 s; the job goes on" in done.out
    (job_id,) = re.findall(r"\(job (\S+)\)", done.out)
    assert worker.await_event("job_done", job_id, PROVEN_S)["result"] == "empty"
    assert are_canceled(sandbox, "kuna", ids)


def test_who_interrupts_is_told_that_the_kill_goes_on(shell: Shell, rabbit: RabbitNode) -> None:
    url = rabbit.vhost("kill-interrupted")
    with Connection(url) as connection:
        topology.declare(connection, ["desk-k"], embedded=False)
    process = shell.start("kill", "desk-k", "--yes", CELERY_BROKER_URL=url)
    assert process.stderr
    assert "the job waits" in process.stderr.readline()
    time.sleep(0.5)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert re.fullmatch(
        r"cancel-worker: interrupted; job \S+ of desk-k was sent and goes on; "
        r"cancel-worker watch shows what comes of it, cancel-worker orders what rests\n",
        err,
    )


def test_a_dry_run_counts_and_sends_nothing(shell: Shell, sandbox: SandboxClient) -> None:
    ids = seed(sandbox, "kuna", new_ids(7))

    told = shell.run("kill", "desk-k", "--dry-run")
    half = shell.run("kill", "desk-k", "desk-c", "--dry-run", "--json")
    elsewhere = shell.run("kill", "desk-k", "--dry-run", CANCEL_CONFIG="nowhere.toml")

    assert (told.code, told.err) == (0, "")
    head, row, end = told.out.splitlines()
    assert row.split() == ["desk-k", "kuna", "7"]
    assert end == "nothing was sent"
    assert head.startswith("account")
    assert half.code == 1
    assert half.lines[1]["not_seen"] == "trigger orders (missing_symbol)"
    assert elsewhere.code == 1
    assert "not known here" in elsewhere.out
    assert not any(sandbox.order("kuna", one).asked for one in ids)


def on_a_terminal(shell: Shell, *words: str, answer: bytes) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what was shown."""
    main, side = pty.openpty()
    env = shell.env | {"TERM": "xterm-256color", "COLUMNS": "160"}
    process = subprocess.Popen(
        [*COMMAND, *words], stdin=side, stdout=side, stderr=side, cwd=shell.folder, env=env
    )
    os.close(side)
    shown, answered, give_up = b"", False, time.monotonic() + PROVEN_S
    while time.monotonic() < give_up:
        try:
            shown += os.read(main, 1 << 16)
        except OSError:  # the other side is closed
            break
        if not answered and b"[y/N]" in shown:
            os.write(main, answer)
            answered = True
    os.close(main)
    return process.wait(20), shown.decode()


def test_a_terminal_is_asked_once_and_sees_a_live_table(
    shell: Shell, sandbox: SandboxClient
) -> None:
    ids = seed(sandbox, "kuna", new_ids(9))

    refused, question = on_a_terminal(shell, "kill", "desk-k", answer=b"n\n")
    untouched = not any(sandbox.order("kuna", one).asked for one in ids)
    killed, shown = on_a_terminal(shell, "kill", "desk-k", "--hold", "0", answer=b"y\n")

    assert refused == 1
    assert "nothing was sent" in question
    assert re.search(r"desk-k +kuna +9", question)
    assert untouched
    assert killed == 0, shown
    assert shown.count("[y/N]") == 1
    assert re.search(r"desk-k +\S*empty\S* +9 +9 +0 +0 +0 ", shown), shown
    assert "desk-k: empty: 9 canceled; read from" in shown
    assert are_canceled(sandbox, "kuna", ids)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kill",), "name the accounts, or say --all-accounts"),
        (("kill", "desk-k", "--all-accounts", "--yes"), "name the accounts, or say --all"),
        (("kill", "desk-k"), "say --yes to cancel them, as nobody can be asked here"),
        (("kill", "bad name!", "--yes"), '"bad name!" is no account name (letters,'),
        (("kill", "desk-k", "--yes", "--deadline", "soon"), '--deadline: "soon" is no time'),
        (("kill", "desk-k", "--yes", "--prefix", "x" * 101), "--prefix: String should have"),
        (("kill", "desk-k", "--yes", "--hold", "4000"), "'--hold'"),
        (("orders", "desk-q"), "no account 'desk-q' in the accounts file; did you mean"),
        (("orders", "--json", "--csv"), "--json or --csv, not both"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_answered_in_one_line_and_nothing_is_sent(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    done = shell.run(*words)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert said in done.err


def test_a_broker_that_is_away_is_told(offline: Shell) -> None:
    done = offline.run("kill", "desk-k", "--yes")

    assert done.code == 69
    assert "the broker cannot be used" in done.err
