"""An interrupt ends what talks to the broker without a word, at whatever moment it comes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import typer

from tests.support.rabbitmq import RabbitNode
from worker.cli.broker import broker, listening


@contextmanager
def interrupted_within(name: str) -> Iterator[None]:
    """Interrupt between entering a context manager of this name and its `with` block."""
    ran: set[str] = set()

    def look(frame: FrameType, event: str, what: Any) -> None:
        ran.add(frame.f_code.co_name)
        if event == "c_return" and what is next and name in ran:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch, rabbit: RabbitNode) -> list[str]:
    """Return what Python complains of, where nothing can be raised."""
    heard: list[str] = []
    monkeypatch.setenv("CELERY_BROKER_URL", rabbit.url)
    monkeypatch.setattr(sys, "unraisablehook", lambda what: heard.append(str(what.exc_value)))
    return heard


def test_a_wait_that_is_cut_short_says_nothing(complaints: list[str]) -> None:
    """The library's wait is a generator, and sets the socket's time-out back when it ends."""
    with (
        pytest.raises(KeyboardInterrupt),
        broker() as connection,
        interrupted_within("having_timeout"),
    ):
        connection.drain_events(timeout=5)

    assert complaints == []


@pytest.mark.usefixtures("worker")  # it declares the exchange
def test_who_listens_ends_in_order(complaints: list[str]) -> None:
    """The frame that is being read is read to its end, and the broker is told goodbye."""
    with (
        pytest.raises(typer.Abort),
        broker() as connection,
        listening(connection, ("#",)) as listener,
        interrupted_within("having_timeout"),
    ):
        next(listener.messages(time.monotonic() + 5))

    assert (complaints, connection.connected) == ([], False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
