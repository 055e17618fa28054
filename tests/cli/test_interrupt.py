"""An interrupt ends what talks to the broker without a word, at whatever moment it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from cli.broker import broker
from tests.support.rabbitmq import RabbitNode


@contextmanager
def interrupted_within(name: str) -> Iterator[None]:
    """Interrupt between entering a context manager of this name and its `with` block."""
    ran: set[str] = set()

    def look(frame: FrameType, event: str, what: Any) -> None:
        ran.add(frame.f_code.co_name)
        if event == "c_return" and what is next and name in ran:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_it_says_nothing(rabbit: RabbitNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's wait is a generator, and sets the socket's time-out back when it ends."""
    monkeypatch.setenv("CELERY_BROKER_URL", rabbit.url)
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    with (
        pytest.raises(KeyboardInterrupt),
        broker() as connection,
        interrupted_within("having_timeout"),
    ):
        connection.drain_events(timeout=5)

    assert [str(complaint.exc_value) for complaint in complaints] == []
