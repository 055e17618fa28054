"""`cancel-worker drill` with real processes: a desk's kill is played, no venue hears of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Shell
from tests.worker.record.conftest import report
from venues import all_venues
from venues.credential import Credential
from worker.cli.drill import Part, faults
from worker.contract.report import ReportMessage
from worker.settings import Account


@contextmanager
def venue_that_hears_nothing() -> Iterator[str]:
    """Listen where the desk's venue is, and demand that nobody came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def desk(folder: Path, url: str, **venues: str) -> Shell:
    """Return a shell beside an accounts file whose secrets are nowhere."""
    lines = []
    for name, more in venues.items():
        lines += [f"[accounts.{name}]", f'base_url = "{url}"', f'proxy = "{url}"']
        lines += ['api_key_env = "NOWHERE"', 'api_secret_file = "/nowhere"', more]
    (folder / "cancel.toml").write_text("\n".join(lines))
    return Shell(folder, {"CANCEL_CONFIG": str(folder / "cancel.toml")})


def test_keys_and_ids_have_the_form_that_a_venue_demands(tmp_path: Path) -> None:
    with venue_that_hears_nothing() as url:
        shell = desk(tmp_path, url, coins='venue = "kraken_spot"')
        done = shell.run("drill", "--orders", "60", "--rtt-ms", "5", "--json", timeout_s=180)

    (coins,) = done.lines
    assert (coins["counts"], coins["open after"]) == ("60 canceled", 0)


def test_a_desk_that_is_proven_empty_in_time_ends_with_0(tmp_path: Path) -> None:
    quotas = 'venue = "kuna"\nquotas.cancel_batch = "1/1s"'
    with venue_that_hears_nothing() as url:
        shell = desk(tmp_path, url, slow=quotas, quick='venue = "kuna"')
        words = ("drill", "--orders", "50", "--rtt-ms", "5", "--out", "it.html", "--json")
        done = shell.run(*words, timeout_s=180, CELERY_BROKER_URL="amqp://nobody@127.0.0.1:9")

    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "no venue was touched" in done.err
    slow, quick = done.lines
    assert (slow["result"], quick["result"]) == ("empty", "empty")
    assert (slow["counts"], slow["open after"]) == ("50 canceled", 0)
    assert slow["bound s"] > quick["bound s"]  # its own quota was played
    page = (tmp_path / "it.html").read_text()
    assert page.count("<rect") == 2
    assert page.count("<line") == 2
    assert "No gaps were found." in page


def test_what_is_not_proven_and_what_cannot_be_played_is_named(tmp_path: Path) -> None:
    with venue_that_hears_nothing() as url:
        shell = desk(tmp_path, url, blind='venue = "coinw"', other='venue = "deribit"')
        done = shell.run("drill", "--orders", "5", "--rtt-ms", "5", timeout_s=180)

    page = (tmp_path / "drill.html").read_text()
    assert done.code == 1
    assert "other: not played, as there is no sandbox of deribit" in done.err
    said = "blind: unproven: 5 closed, trigger not listed (missing_symbol)."
    for gap in (said, "other: not played, as there is no sandbox of deribit"):
        assert f"<li>{gap}</li>" in page


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('venue = "mars"', "accounts.desk.venue: no venue 'mars'"),
        ('venue = "kuna"\nquotas.lookup = "soon"', "accounts.desk.quotas.lookup: "),
        ('venue = "deribit"', "a sandbox of none of the venues of the accounts file"),
        ("= 7", "cancel.toml: not TOML"),
    ],
)
def test_a_file_that_cannot_be_played_is_told_in_one_line(
    tmp_path: Path, more: str, said: str
) -> None:
    done = desk(tmp_path, "http://127.0.0.1:9", desk=more).run("drill")

    assert (done.code, done.out, len(done.err.splitlines())) == (78, "", 1)
    assert said in done.err
    assert "cancel-drill-" not in done.err


AT = "2026-11-21T09:30:02.000Z"
LATER = "2026-11-21T09:30:04.200Z"
RESTS = [{"id": "9", "kind": "", "symbol": "", "ord_type": "limit", "reason": "still_open"}]


@pytest.mark.parametrize(
    ("said", "still_open", "found"),
    [
        ({"last_sent_at": AT}, 0, []),
        ({"last_sent_at": AT, "result": "done", "scope": None}, 0, []),
        (
            {"result": "not_empty", "resting": RESTS, "resting_count": 1},
            1,
            ["not_empty: 1 canceled, 1 still open", "1 still open on the sandbox's book"],
        ),
        (
            {"result": "done", "counts": {"canceled": 1, "unconfirmed": 2, "failed": 0}},
            0,
            ["2 unconfirmed: orders may be open"],
        ),
        ({}, 1, ["1 still open on the sandbox's book"]),
        ({"last_sent_at": LATER}, 0, ["late: the last cancel left after 4.20 s, not 2.00 s"]),
        (None, 3, ["no report came in time", "3 still open on the sandbox's book"]),
    ],
)
def test_what_failed_is_said(
    said: dict[str, Any] | None, still_open: int, found: list[str]
) -> None:
    venue = all_venues()["kuna"]
    account = Account(
        name="desk", venue=venue, credential=Credential(api_key="key"), base_url=venue.base_url
    )
    part = Part(account=account, ids=("9",), by_scope=True, bound_s=2.0)
    told = None if said is None else ReportMessage.model_validate(report(**said))

    assert list(faults(part, told, still_open)) == found
