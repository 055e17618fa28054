"""Keeps Python's garbage collector from stopping a worker in the middle of a kill."""

from __future__ import annotations

import gc
import threading
import time

#: How often (seconds) it is seen whether there is time to collect.
LOOK_EVERY_S = 1.0
#: A process that used less of its processor than this share is idle.
IDLE_SHARE = 0.2
#: Fewer new objects (lists, dicts, tuples) than this are not worth a look.
WORTH_A_LOOK = 1_000
#: More are looked through at once, idle or not; it takes 20 ms.
MOST_NEW = 100_000
#: After so long (seconds) all objects are looked through, and not only the new ones.
ALL_EVERY_S = 600.0


def collect_when_idle() -> None:
    """Leave alone for good what was made until now, and look through the rest in idle moments.

    What a worker holds at its start stays; to look through it stopped all threads for 50 ms.
    The ids of a burst stay, too, until it is over, and what is in no circle goes without a
    collector (docs/decisions/0017).
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    threading.Thread(target=_run, name="collector", daemon=True).start()


def is_due(new: int, share: float) -> bool:
    """Say whether to collect: of so many `new` objects, with this share of a core in use."""
    return new > MOST_NEW or (new > WORTH_A_LOOK and share < IDLE_SHARE)


def _run() -> None:
    all_at = time.monotonic() + ALL_EVERY_S
    while True:
        began, used_s = time.monotonic(), time.process_time()
        time.sleep(LOOK_EVERY_S)
        now = time.monotonic()
        if not is_due(gc.get_count()[0], (time.process_time() - used_s) / (now - began)):
            continue
        gc.collect(2 if now >= all_at else 0)
        if now >= all_at:
            all_at = now + ALL_EVERY_S
