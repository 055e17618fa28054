"""Work with kombu's event loop: call something from it, read what has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: The loop polls the sockets before it makes a call that is due this much later (seconds).
AFTER_POLL_S = 0.001


def call_soon(hub: Any, do: Callable[[], None], after_s: float = 0.0) -> None:
    """Have the loop call something before it next waits at the sockets, or `after_s` later.

    By a timer, not by `Hub.call_soon`: an error there ends the worker, and what such a call
    asks of the loop waits until the loop has polled, for up to a second.
    """

    def do_and_wake() -> None:
        do()
        # Has the loop see at once to what `do` asked of it by `Hub.call_soon`.
        hub.call_later(AFTER_POLL_S, int)

    hub.call_later(after_s, do_and_wake)


def drain(connection: Any, messages: int) -> None:
    """Handle at most this many messages of a connection, if they have come; do not wait."""
    with suppress(TimeoutError, BlockingIOError, InterruptedError):
        for _ in range(messages):
            connection.drain_events(timeout=0)
