"""What may stand in a log line, and that each line comes out whole, in order, and soon."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import structlog

from venues.credential import Credential
from worker.log import MOST_LINES_AT_ONCE, MOST_LINES_WAITING, Lines, Scrub, _renderer

KEYS = [
    Credential(api_key="key-of-desk", api_secret='se"cr\\et', api_passphrase="pass phrase"),
    Credential(account_address="schlüssel", private_key="key-of-desk-2"),
]
WORDS = [word for key in KEYS for word in key.given.values()]


def written(**event: Any) -> str:
    return Scrub(KEYS, structlog.processors.JSONRenderer())(None, "info", event)


def text_of(**event: Any) -> str:
    """Return a line as the worker writes it."""
    return Scrub(KEYS, _renderer("json"))(None, "info", event)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "wrap", [str, lambda w: [{"deep": w}], lambda w: ("a", f"<{w}>"), KeyError]
)
def test_no_secret_is_written(word: str, wrap: Any) -> None:
    """Whatever the value is, and however its letters are escaped."""
    line = written(event="odd", value=wrap(word))

    assert word not in line
    assert json.dumps(word)[1:-1] not in line
    assert "[hidden]" in line
    assert json.loads(line)["event"] == "odd"


@pytest.mark.parametrize(
    "word", ["signature", "Sign", "api_key", "API-SECRET", "apikey", "api_passphrase"]
)
def test_no_signature_is_written(word: str) -> None:
    line = written(event="odd", url=f"https://venue/x?a=1&{word}=deadbeef&b=2")

    assert json.loads(line)["url"] == f"https://venue/x?a=1&{word}=[hidden]&b=2"


def test_a_plain_line_is_left_alone() -> None:
    event = {"event": "cancel_outcome", "id": "1=1", "tags": {"desk": "x"}, "attempts": 2}

    assert json.loads(written(**event)) == event


@pytest.mark.parametrize(
    "event",
    [
        {"tags": {f"{n}é" * 80: "é" * 256 for n in range(16)}},
        {"fields": [f"orders.{'x' * 100_000}", "b"]},
        {"exception": "Traceback\n" + "é" * 50_000 + "\nValueError: the end"},
        {"deep": {"x" * 300: ["y" * 300] * 300}},
        {"many": ["z" * 90] * 5000, "counts": dict.fromkeys(map(str, range(5000)), 1)},
        {"odd": {"a": (object(),)}, "long": "a" * 20_000},
    ],
    ids=lambda event: next(iter(event)),
)
def test_a_line_is_never_cut_by_who_collects_it(event: dict[str, Any]) -> None:
    """Docker cuts at 16 KiB; what is too long is shortened, and the line stays JSON."""
    line = text_of(event="odd", job_id="j", **event)

    assert len(line.encode()) < 16 << 10
    assert json.loads(line)["job_id"] == "j"
    assert "exception" not in event or json.loads(line)["exception"].endswith("the end")


def test_text_stands_as_it_is_and_a_line_is_one_line_to_every_reader() -> None:
    line = text_of(event="odd", text="Überschuß 訂單", ends="a\x85b\u2028c\n", half="\ud800")

    assert "Überschuß 訂單" in line
    assert len(line.splitlines()) == 1
    assert line.encode()
    assert json.loads(line)["ends"] == "a\x85b\u2028c\n"


class SlowStream(io.StringIO):
    """Counts the times that something is written, and needs a while for each."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        time.sleep(0.01)
        return super().write(text)


def test_lines_of_many_threads() -> None:
    """All come out, whole and in each thread's order, many at one time."""
    stream = SlowStream()
    lines = Lines(stream)

    def talk(name: int) -> None:
        for number in range(200):
            lines.write(f"{name} {number}\n")

    threads = [threading.Thread(target=talk, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines.close()

    found = [tuple(map(int, line.split())) for line in stream.getvalue().splitlines()]
    assert sorted(found) == [(name, number) for name in range(4) for number in range(200)]
    assert [[n for name, n in found if name == one] for one in range(4)] == [[*range(200)]] * 4
    assert stream.writes < 200


def test_an_event_of_which_no_line_can_be_made() -> None:
    """The log says so, and goes on."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("shown to nobody")

    stream = io.StringIO()
    render = structlog.processors.JSONRenderer()
    lines = Lines(stream, render=lambda event: str(render(None, "", event)))
    lines.put({"event": "odd", "value": Odd()})
    lines.put({"event": "plain"})
    lines.close()

    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert found == [{"event": "unreadable_event", "error": "RuntimeError"}, {"event": "plain"}]


def test_a_stream_that_nobody_reads() -> None:
    """Who logs waits, so that memory does not grow without end; then all goes on."""
    gate = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait(10)
            return super().write(text)

    stream = Stuck()
    lines = Lines(stream)
    count = MOST_LINES_WAITING + 2 * MOST_LINES_AT_ONCE
    writer = threading.Thread(target=lambda: [lines.write("x\n") for _ in range(count)])
    writer.start()
    writer.join(0.5)
    assert writer.is_alive()

    gate.set()
    writer.join(10)
    lines.close()
    assert len(stream.getvalue().splitlines()) == count


def test_a_full_disk() -> None:
    """Lines are lost while it is full, and only those."""

    class Full(io.StringIO):
        full = True

        def flush(self) -> None:
            if self.full:
                self.truncate(0)
                self.seek(0)
                raise OSError(errno.ENOSPC, "No space left on device")

    stream = Full()
    lines = Lines(stream)
    lines.write("lost\n")
    time.sleep(0.1)
    stream.full = False
    lines.write("kept\n")
    lines.close()

    assert stream.getvalue() == "kept\n"


def test_the_last_lines_of_a_process() -> None:
    """A process that ends has written what it logged."""
    code = (
        "import sys, structlog; from worker import log; log.set_up((), 'json', sys.stdout)\n"
        "[structlog.get_logger().info('last', number=n) for n in range(500)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert [json.loads(line)["number"] for line in done.stdout.splitlines()] == [*range(500)]
