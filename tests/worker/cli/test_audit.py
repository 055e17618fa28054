"""`cancel-worker audit`, as an auditor runs it: a record that fits, and one that does not."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Shell
from tests.worker.record.conftest import exchange_of, outcome, report
from worker.record.migrate import migrate
from worker.record.read import Message, read
from worker.record.store import Store

NOW = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)


def record(path: Path, *messages: dict[str, Any] | bytes) -> Shell:
    """Return a shell beside a record of these messages."""
    url = f"sqlite:///{path}/record.sqlite3"
    store = Store(url)
    migrate(store)
    for each in messages:
        raw = each if isinstance(each, bytes) else json.dumps(each).encode()
        store.write([read(Message(raw, "k", exchange_of(each)), NOW)])
    store.close()
    return Shell(path, {"CANCEL_RECORD_URL": url})


def run(shell: Shell, statement: str) -> None:
    connection = sqlite3.connect(shell.folder / "record.sqlite3")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_record_that_fits_says_so_and_its_head(tmp_path: Path) -> None:
    shell = record(tmp_path, outcome("1"), outcome("2"), report())
    run(shell, "UPDATE outcomes SET number = NULL WHERE id = '2'")

    done, (line,) = shell.run("audit", "verify"), shell.run("audit", "verify", "--json").lines

    moment = "2026-11-29T07:00:00.000Z"
    first, head, outside, keep = done.out.splitlines()
    assert done.code == 0
    assert first == f"3 rows, recorded from {moment} to {moment}: OK"
    assert head == f"head: {line['head']}"
    assert outside == "1 outcome was recorded before the chain began, and nothing proves it."
    assert keep.startswith("Keep the head elsewhere")
    assert (line["ok"], line["rows"], line["fault"], line["outside"]) == (True, 3, "", 1)


@pytest.mark.parametrize(
    ("statement", "rows", "said"),
    [
        ("UPDATE journal SET body = 'x' WHERE number = 2", 1, "row 2 was changed"),
        ("DELETE FROM journal WHERE number = 2", 1, "row 2 is missing"),
        (
            "UPDATE outcomes SET status = 'filled' WHERE id = '1'",
            3,
            "the row of job-1 1 in outc",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_ends_with_1(
    tmp_path: Path, statement: str, rows: int, said: str
) -> None:
    shell = record(tmp_path, outcome("1"), outcome("2"), report())
    run(shell, statement)

    done, (line,) = shell.run("audit", "verify"), shell.run("audit", "verify", "--json").lines

    assert done.code == 1
    assert said in done.out.splitlines()[0]
    assert (line["ok"], line["rows"]) == (False, rows)
    assert line["fault"].startswith(said)


def test_an_end_that_was_cut_off_is_seen_with_the_head_of_before(tmp_path: Path) -> None:
    shell = record(tmp_path, outcome("1"), outcome("2"), report())
    head = shell.run("audit", "verify", "--json").lines[0]["head"]
    run(shell, "DELETE FROM reports")
    run(shell, "DELETE FROM journal WHERE number = 3")

    assert shell.run("audit", "verify").code == 0
    done = shell.run("audit", "verify", "--head", head)

    assert done.code == 1
    assert f"no row has the SHA-256 {head}" in done.out


def test_a_record_of_an_older_version_is_told_in_one_line(tmp_path: Path) -> None:
    shell = record(tmp_path)
    run(shell, "DROP TABLE receipts")

    for words in (("audit", "verify"), ("status", "job-1"), ("explain", "1")):
        done = shell.run(*words)
        assert (done.code, len(done.err.splitlines())) == (1, 1)
        assert "is of an older version; restart cancel-worker record" in done.err


def test_a_day_is_written_to_a_file_or_to_standard_output(tmp_path: Path) -> None:
    shell = record(tmp_path, outcome("1", text="\u00e4 <b>\u4e2d"), report())

    for form in ("csv", "jsonl", "html"):
        words = ("audit", "export", "--day", "2026-11-21", "--format", form)
        out = tmp_path / f"day.{form}"
        filed, shown = shell.run(*words, "--out", str(out)), shell.run(*words, LC_ALL="C")

        assert (filed.code, filed.out, filed.err, shown.code) == (0, "", "", 0)
        cut = shown.out.replace("\r\n", "\n").split("Written at")[0]
        assert out.read_text().replace("\r\n", "\n").startswith(cut)
        assert "desk-k" in shown.out


def test_gaps_are_said_beside_the_export_and_tampering_ends_with_1(tmp_path: Path) -> None:
    shell = record(tmp_path, outcome("1"))
    words = ("audit", "export", "--day", "2026-11-21")
    gap = shell.run(*words)
    run(shell, "DELETE FROM journal")

    broken = shell.run(*words)

    assert (gap.code, broken.code) == (0, 1)
    assert "1 job told of ids and no report on the whole: job-1." in gap.err
    assert "does not fit: the row of job-1 1 in outcomes was changed" in broken.err


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    shell = record(tmp_path, *(outcome(str(n), text="x" * 190) for n in range(800)))
    process = shell.start("audit", "export", "--day", "2026-11-21", "--format", "html")
    assert process.stdout
    assert process.stderr
    process.stdout.read(10)
    process.stdout.close()

    assert process.wait(30) == 1
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("export", "--day", "yesterday"), 2, "'yesterday' does not match"),
        (("export",), 2, "Missing option '--day'"),
        (("export", "--day", "2026-11-21", "--format", "pdf"), 2, "'pdf' is not one of"),
        (
            ("export", "--day", "2026-11-21", "--out", "no/where"),
            1,
            "no/where: cannot be written",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = record(tmp_path).run("audit", *words)

    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert said in done.err
