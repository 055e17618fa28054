"""Keeps Python's garbage collector from stopping a worker in the middle of a kill."""

from __future__ import annotations

import gc


def look_rarely() -> None:
    """Leave alone what was made until now, and look through the rest ten times as rarely.

    What a worker holds at its start stays for good; looking through it each time, the collector
    stopped all threads for 50 ms. With a backlog in memory it took 60 ms, every few seconds.
    """
    gc.collect()
    gc.freeze()
    young, middle, old = gc.get_threshold()
    gc.set_threshold(10 * young, middle, old)
