"""Turns to one message after the other: all are read before the first task is started.

So a job waits for none that came just before it on the wire, if its turn is sooner, and for
no task (docs/decisions/0016, 0019).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from venues.words import Priority
from worker.amqp.buffered import read_on
from worker.amqp.hub import call_soon
from worker.consumer.inbox import Inbox

#: So many messages are read before the next one is turned to, which takes ten times as long.
MOST_READ_AT_ONCE = 8
#: After so long (seconds) the event loop sees to heartbeats, acknowledgements and signals.
MOST_TURN_S = 0.1

Turn = Callable[[], None]


class Turns:
    """What is to be done for the messages of one connection, in the order of their turns."""

    def __init__(self, hub: Any, connection: Any, is_open: Callable[[], bool]) -> None:
        """Prepare; the broker gives what is left to another worker once it `is_open` no more.

        Without an event loop (`hub` is None) whatever is put in is done at once.
        """
        self._hub = hub
        self._connection = connection
        self._is_open = is_open
        self._came: Inbox[Turn] = Inbox()
        self._begun: Inbox[Turn] = Inbox()
        self._turning = False

    def read(self, turn: Turn, priority: str, account: str) -> None:
        """Have a message read that has come."""
        self._put(self._came, turn, priority, account)
        self._take_turns()

    def start(self, turn: Turn, priority: str, account: str) -> None:
        """Have a task started, when no message waits to be read."""
        self._put(self._begun, turn, priority, account)

    def _put(self, inbox: Inbox[Turn], turn: Turn, priority: str, account: str) -> None:
        if self._hub is None:
            turn()
        else:
            inbox.put(turn, account, kill=priority == Priority.KILL)

    def _take_turns(self) -> None:
        if self._turning or not self._is_open():
            return  # it is reading on that called; or nothing is begun any more
        self._turning = True
        give_way_at = time.monotonic() + MOST_TURN_S
        try:
            while (inbox := self._came or self._begun) and time.monotonic() < give_way_at:
                inbox.take()()
                read_on(self._connection, MOST_READ_AT_ONCE)
        finally:
            self._turning = False
        if inbox:
            call_soon(self._hub, self._take_turns)
