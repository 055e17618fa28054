"""Collects garbage in idle moments, so that no collection stops a worker within a kill."""

from __future__ import annotations

import gc
import threading
import time

#: How often (seconds) the process checks whether to collect.
CHECK_EVERY_S = 1.0
#: A process that used less of its processor than this share is idle.
IDLE_SHARE = 0.2
#: Up to this many new containers (lists, dicts, tuples) are not worth a collection.
FEW_NEW = 1_000
#: More new containers than this are collected even in a busy process; that takes 20 ms.
MOST_NEW = 100_000
#: How often (seconds) a collection covers all containers, not only the new ones.
FULL_EVERY_S = 600.0


def collect_when_idle() -> None:
    """Freeze all objects that exist now; collect the others in idle moments.

    A worker keeps what it holds at its start; to traverse that stopped all threads for 50 ms.
    The ids of a burst stay until it is over. Objects in no cycle are freed without a collector
    (docs/decisions/0017).
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    threading.Thread(target=_run, name="idle-gc", daemon=True).start()


def is_due(new: int, share: float) -> bool:
    """Say whether to collect this many `new` containers while this share of a core is used."""
    return new > MOST_NEW or (new > FEW_NEW and share < IDLE_SHARE)


def _run() -> None:
    full_at = time.monotonic() + FULL_EVERY_S
    while True:
        began, used_s = time.monotonic(), time.process_time()
        time.sleep(CHECK_EVERY_S)
        now = time.monotonic()
        if not is_due(gc.get_count()[0], (time.process_time() - used_s) / (now - began)):
            continue
        gc.collect(2 if now >= full_at else 0)
        if now >= full_at:
            full_at = now + FULL_EVERY_S
