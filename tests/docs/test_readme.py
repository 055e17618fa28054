"""Every command of the README does what the page says, over both brokers, in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from examples.demo.__main__ import table_of
from examples.demo.scene import desks
from tests.docs.blocks import Block, blocks, json_blocks, missing
from tests.support.rabbitmq import RabbitNode, free_port
from tests.venues.cases import replies_of
from venues import all_venues
from venues.sandbox.server import find_venues
from venues.words import OrdStatus, Purpose
from worker.orders.judge import judge

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCKS = blocks(README)
#: What a command of the background prints when it is ready.
READY = {
    "venues.sandbox": "sandbox_ready",
    "celery -A worker worker": "worker_ready",
    "cancel-worker record": '"recording"',
    "celery -A worker flower": "",
}
#: Not run for real: they would run this test again, or prepare what is prepared.
ONLY_LISTED = {"make test", "make setup", "make check"}
START_S = 30.0
#: Rows of jobs that the page sends, as Flower names them.
FLOWER_ROWS = {"cancel 3 @ ztdx/desk-1", "kill 30 @ coinw/desk-2"}


class Reader:
    """Somebody who does what the page says, in a folder of their own."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        self.folder = folder
        self.rabbitmq = broker_url.startswith("amqp")
        self.flower_port = free_port()
        self._sandbox_port = str(free_port())
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._env = {key: value for key, value in os.environ.items() if key.isupper()}
        for key in ("CELERY_BROKER_URL", "CANCEL_CONFIG", "CANCEL_RECORD_URL"):
            self._env.pop(key, None)
        self._env |= {"CELERY_BROKER_URL": broker_url} if broker_url else {}
        self._env |= {"FLOWER_PORT": str(self.flower_port), "COLUMNS": "130", "CI": ""}
        self._clone()

    def _clone(self) -> None:
        """Make a folder that looks like a clone, and is thrown away."""
        for path in ROOT.iterdir():
            if path.name not in (".run", ".git", ".venv", "examples", "cancel.toml"):
                (self.folder / path.name).symlink_to(path)
        (self.folder / ".venv").symlink_to(sys.prefix)
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        desks = self.folder / "examples/sandbox/desks.toml"
        desks.write_text(self._here(desks.read_text()))

    def _here(self, text: str) -> str:
        return text.replace("8123", self._sandbox_port)

    def run(self, commands: str) -> str:
        """Run commands as a shell does, and return what they print.

        Raises:
            AssertionError: they fail.
        """
        line = commands.strip()
        if line in ONLY_LISTED:
            commands = f"make --dry-run {line.removeprefix('make ')}"
        commands = commands.replace("make demo", f"{sys.executable} -m examples.demo")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(commands)],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, commands: str) -> None:
        """Start what goes on in a terminal of its own, and wait until it is ready."""
        name = next(name for name in READY if name in commands)
        out = self.folder / f"terminal-{len(self._processes)}.txt"
        with out.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", self._here(commands)],
                cwd=self.folder,
                env=self._env,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = (process, out)
        self._await(name, READY[name])
        if name == "celery -A worker flower":
            self._await_flower()
        if self.rabbitmq and name == "celery -A worker worker":
            self._await(name, "lane_owned", times=3)

    def _await(self, name: str, word: str, times: int = 1) -> None:
        process, out = self._processes[name]
        give_up = time.monotonic() + START_S
        while out.read_text().count(word) < times:
            assert process.poll() is None, f"{name} ended:\n{out.read_text()}"
            assert time.monotonic() < give_up, f"{name} is not ready:\n{out.read_text()}"
            time.sleep(0.05)

    def _await_flower(self) -> None:
        """Wait until a worker's sign of life has reached the page: from then on it sees all."""
        give_up = time.monotonic() + START_S
        while not self.flower("workers?json=1"):
            assert time.monotonic() < give_up, "Flower sees no worker"
            time.sleep(0.1)

    def flower(self, page: str) -> list[dict[str, object]]:
        """Return the rows of a page of Flower, none while it does not answer."""
        try:
            url = f"http://127.0.0.1:{self.flower_port}/{page}"
            with urlopen(url, timeout=5) as reply:
                rows: list[dict[str, object]] = json.load(reply)["data"]
        except OSError:
            return []
        return rows

    def log(self) -> list[dict[str, object]]:
        """Return what the worker has logged."""
        _, out = self._processes["celery -A worker worker"]
        lines = [line for line in out.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        """Close every terminal."""
        for process, _ in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process, _ in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(params=["embedded", "rabbitmq"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reader]:
    """A reader over the embedded broker, and one over RabbitMQ."""
    url = ""
    if request.param == "rabbitmq":
        node: RabbitNode = request.getfixturevalue("rabbit")
        url = node.vhost(f"readme-{uuid4()}")
    reader = Reader(tmp_path, url)
    yield reader
    reader.end()


def test_every_command_of_the_readme_does_what_it_says(reader: Reader) -> None:
    for block in BLOCKS:
        _do(reader, block)

    _flower_shows_the_jobs(reader)
    _report_is_as_shown(reader)
    if reader.rabbitmq:
        _outcome_is_as_shown(reader)


def _do(reader: Reader, block: Block) -> None:
    if block.mark == "background":
        reader.start(block.commands)
    elif block.mark != "rabbitmq" or reader.rabbitmq:
        printed = _until_shown(reader, block)
        assert missing(block.shown, printed) == [], f"{block.commands}\n{printed}"


def _until_shown(reader: Reader, block: Block) -> str:
    """Run the commands; the record may be a moment behind an outcome."""
    if "explain" not in block.commands:
        return reader.run(block.commands)
    give_up = time.monotonic() + 5
    while True:
        try:
            return reader.run(block.commands)
        except AssertionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _flower_shows_the_jobs(reader: Reader) -> None:
    """Ask as the page does in a browser."""
    asked = (
        "draw=1&start=0&length=99&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name"
    )
    give_up, names = time.monotonic() + 15, set[object]()
    while not names >= FLOWER_ROWS and time.monotonic() < give_up:
        names = {row["name"] for row in reader.flower(f"tasks/datatable?{asked}")}
        time.sleep(0.1)

    assert names >= FLOWER_ROWS


def _report_is_as_shown(reader: Reader) -> None:
    shown = json.loads(json_blocks(README)[0])
    schema = json.loads((ROOT / "docs/schema/report.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(shown)) == []

    (told,) = (line for line in reader.log() if line["event"] == "job_done" and "scope" in line)

    same = ("venue", "account", "priority", "result", "scope", "hold_s", "resting", "unread")
    assert {key: told[key] for key in same} == {key: shown[key] for key in same}
    assert {"canceled": told["canceled"]} == shown["counts"]
    assert told["reason"] == shown["reason"]


def _outcome_is_as_shown(reader: Reader) -> None:
    _, job, shown = (json.loads(text) for text in json_blocks(README))
    assert job == json.loads((ROOT / "examples/producers/job.json").read_text())
    schema = json.loads((ROOT / "docs/schema/outcome.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(shown)) == []

    told = _told(reader, job["job_id"], shown["id"])

    other = {"accepted_at", "finished_at", "latency_ms", "tags"}
    assert {key: told[key] for key in shown.keys() - other} == {
        key: shown[key] for key in shown.keys() - other
    }


def _told(reader: Reader, job_id: str, order_id: str) -> dict[str, object]:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        for line in reader.log():
            named = (line["event"], line.get("job_id"), line.get("id"))
            if named == ("cancel_outcome", job_id, order_id):
                return line
        time.sleep(0.1)
    raise AssertionError(f"{job_id}/{order_id} has no outcome")


def test_the_tour_counts_its_terminals() -> None:
    """Each command that goes on needs one, and so does the reader."""
    text = README.read_text(encoding="utf-8")
    found = re.search(r"^## A tour in (\w+) terminals$", text, re.MULTILINE)
    words = ["one", "two", "three", "four", "five", "six"]
    needed = sum(block.mark == "background" for block in BLOCKS) + 1

    assert found
    assert words.index(found[1]) + 1 == needed
    assert re.findall(r"^\*\*(\w+): ", text, re.MULTILINE) == [
        w.title() for w in words[:needed]
    ]
    anchor = f"README.md#a-tour-in-{found[1]}-terminals"
    assert anchor in (ROOT / "examples/sandbox/README.md").read_text(encoding="utf-8")


def test_every_venue_has_a_row_with_what_its_canceled_is_worth() -> None:
    """Those that the command lists; "a look-up alone", where no recorded cancel proves one."""
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[?`(\w+)`(?:\]\((.+?)\))? \| (.+) \| (.+) \| (.+) \|$", text, re.M)
    alone = {name for name, _, _, proof, _ in rows if proof.startswith("a look-up alone")}
    pages = {name: page for name, page, *_ in rows}

    assert [name for name, *_ in rows] == sorted(all_venues())
    assert alone == {name for name in all_venues() if not proven_by_cancels(name)}
    assert pages == {name: f"docs/venues/{name}.md" for name in all_venues()}
    assert all((ROOT / page).exists() for page in pages.values())
    assert all(permissions.strip() for *_, permissions in rows)


def proven_by_cancels(name: str) -> bool:
    """Say whether a recorded reply to a cancel names an order canceled."""
    cases = [each for venue in all_venues()[name].variants() for each in replies_of(venue)]
    return any(
        said.ord_status is OrdStatus.CANCELED
        for case in cases
        if case.route.purpose is Purpose.CANCEL
        for said in judge(case.venue, case.batch, case.reply).values()
    )


def test_the_demo_plays_every_venue_of_the_sandbox_as_the_page_says() -> None:
    played = {desk.venue for desk in desks()}
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

    assert played == set(find_venues())
    assert f"sandboxes of {words[len(played) - 1]} venues" in README.read_text("utf-8")


def test_a_false_answer_of_the_demo_has_a_row_of_its_own() -> None:
    desk = desks()[0]
    outcome = {"account": desk.account, "status": "canceled", "reason": "", "evidence": "reply"}
    told = [
        ({**outcome, "id": each}, state) for each, state in [("1", "canceled"), ("2", "open")]
    ]
    console = Console(width=130, record=True, file=StringIO())
    console.print(table_of([desk], told))

    rows = [
        line.split("│")[3:] for line in console.export_text().splitlines() if "usdm-1" in line
    ]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["1", "1", "canceled", "", "reply", "canceled", "ok", ""],
        ["1", "2", "canceled", "", "reply", "open", "FALSE", ""],
    ]


def test_the_page_has_no_command_outside_of_its_shell_blocks() -> None:
    """A command in a block of another kind would be one that nobody runs."""
    kinds = set(re.findall(r"^```(\w*)$", README.read_text(encoding="utf-8"), re.MULTILINE))

    assert kinds <= {"", "sh", "text", "json", "mermaid"}
