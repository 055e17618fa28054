"""The simulated clock: what happens next, and when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """Events in the order of their times; of two at one time the earlier entered goes first."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Let `action` happen at `when`, or now if that is over."""
        heapq.heappush(self._events, (max(when, self.now), next(self._count), action))

    def run(self, most_events: int) -> bool:
        """Let everything happen; return whether it came to an end within so many events."""
        for _ in range(most_events):
            if not self._events:
                return True
            self.now, _, action = heapq.heappop(self._events)
            action()
        return False
