"""Threads that carry requests: one is free for each request, at once, however many there are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

#: A piece of work.
Work = Callable[[], None]


class Senders:
    """Threads made when they are needed and kept.

    `ThreadPoolExecutor` counts a thread as idle that has just taken the next work from its
    queue, so that now and then a request waits until another one is answered.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._idle = 0  # threads that wait, or are about to, less the work put for them
        self._made = 0
        self._work: SimpleQueue[Work] = SimpleQueue()

    def carry(self, work: Work) -> None:
        """Have a thread do this now."""
        with self._lock:
            is_idle = self._idle > 0
            self._idle -= is_idle
            self._made += not is_idle
            name = f"{self._name}-{self._made}"
        if is_idle:
            self._work.put(work)
        else:
            threading.Thread(target=self._serve, args=(work,), name=name, daemon=True).start()

    def _serve(self, work: Work) -> None:
        while True:
            work()
            with self._lock:
                self._idle += 1
            work = self._work.get()
