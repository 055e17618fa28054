"""The garbage collector waits for idle moments, and what lies in circles goes then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker.processes.idle_gc import FEW_NEW, IDLE_SHARE, MOST_NEW, is_due

#: Makes a circle that only a collector can free, works for a while, and then rests.
PROGRAM = """
import gc, time, weakref
from worker.processes.idle_gc import CHECK_EVERY_S, collect_when_idle

class Knot:
    def __init__(self):
        self.self = self

collect_when_idle()
knots = [Knot() for _ in range(2000)]
seen = weakref.ref(knots[0])
knots.clear()
busy_until = time.monotonic() + 2.5 * CHECK_EVERY_S
while time.monotonic() < busy_until:
    pass
print("after work", seen() is None, gc.isenabled())
give_up = time.monotonic() + 10 * CHECK_EVERY_S
while seen() is not None and time.monotonic() < give_up:
    time.sleep(0.05)
print("after rest", seen() is None)
"""


@pytest.mark.parametrize(
    ("new", "share", "due"),
    [
        (FEW_NEW + 1, 0.0, True),
        (FEW_NEW + 1, IDLE_SHARE, False),
        (FEW_NEW, 0.0, False),
        (MOST_NEW, 1.0, False),
        (MOST_NEW + 1, 1.0, True),
    ],
)
def test_it_looks_when_idle_and_when_there_is_very_much(
    new: int, share: float, due: bool
) -> None:
    assert is_due(new, share) is due


def test_a_circle_stays_while_there_is_work_and_goes_after_it() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )

    assert said.stdout.splitlines() == ["after work False False", "after rest True"]
