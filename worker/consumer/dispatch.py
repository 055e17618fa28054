"""Fair order of what is to be done for messages: kills first, then each account in turn.

All messages that have come are read before the first task is started. So a job waits neither
for jobs that came just before it on the connection and are less urgent, nor for a task
(docs/decisions/0016, 0019, 0039).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from venues.words import Priority
from worker.amqp.hub import AFTER_POLL_S, call_soon, drain

#: Messages read at most before the next action, which takes ten times as long.
MOST_READ_AT_ONCE = 8
#: After at most this long (seconds) the event loop sees to heartbeats, acknowledgements and
#: signals.
LONGEST_BURST_S = 0.1

Action = Callable[[], None]
Item = TypeVar("Item")
#: The lowest goes first.
Rank = tuple[bool, ...]


class FairQueue(Generic[Item]):
    """Items by rank. Within one each account has its turn, and its items keep their order."""

    def __init__(self) -> None:
        self._ranks: dict[Rank, dict[str, deque[Item]]] = {}  # accounts in order of their turns

    def __bool__(self) -> bool:
        """Say whether there is an item."""
        return bool(self._ranks)

    def put(self, item: Item, rank: Rank, account: str) -> None:
        """Take an item in."""
        self._ranks.setdefault(rank, {}).setdefault(account, deque()).append(item)

    def has(self, rank: Rank, account: str) -> bool:
        """Say whether an item of an account waits."""
        return account in self._ranks.get(rank, ())

    def take(self) -> Item:
        """Return the next item.

        Raises:
            ValueError: there is none.
        """
        rank = min(self._ranks)
        accounts = self._ranks[rank]
        account, items = next(iter(accounts.items()))
        del accounts[account]
        item = items.popleft()
        if items:
            accounts[account] = items
        elif not accounts:
            del self._ranks[rank]
        return item


def _rank(priority: str) -> Rank:
    return (priority != Priority.KILL,)


class Dispatcher:
    """Runs what is to be done for the messages of one connection, in fair order."""

    def __init__(
        self,
        hub: Any,
        connection: Any,
        is_open: Callable[[], bool],
        follow_up: Callable[[float], float],
    ) -> None:
        """Prepare. Once `is_open` says no, what is left is the broker's, for another worker.

        `follow_up` does what is to be done when the loop has to turn. It is given the time, and
        returns when it is to be called again (monotonic seconds). Without an event loop (`hub`
        is None) each action is run at once.
        """
        self._hub = hub
        self._connection = connection
        self._is_open = is_open
        self._follow_up = follow_up
        self._timer: Any = None
        self._queue: FairQueue[Action] = FairQueue()
        self._asked = False  # the event loop will call

    def read(self, action: Action, priority: str, account: str) -> None:
        """Have a message read that has come."""
        if self._hub is None:
            action()
            self._follow_up(math.inf)
        else:
            self._queue.put(action, _rank(priority), account)
            self._ask()

    def has_more(self, priority: str, account: str) -> bool:
        """Say whether messages of a lane are here that nothing was done for yet."""
        return self._queue.has(_rank(priority), account)

    def _ask(self, after_s: float = 0.0) -> None:
        """Have the event loop call: here somebody may wait for the broker's answer."""
        if self._hub is not None and not self._asked:
            self._asked = True
            call_soon(self._hub, self._run, after_s)

    def _run(self) -> None:
        if not self._is_open():
            return
        pause_at = time.monotonic() + LONGEST_BURST_S
        try:
            while self._queue and time.monotonic() < pause_at:
                self._queue.take()()
                drain(self._connection, MOST_READ_AT_ONCE)
        finally:
            self._asked = False
        self._follow()
        if self._queue:
            self._ask(AFTER_POLL_S)

    def _follow(self) -> None:
        """Follow up, and once more when that is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_open():
            now = time.monotonic()
            next_at = self._follow_up(now)
            if next_at != math.inf:
                self._timer = self._hub.call_later(next_at - now, self._follow)
