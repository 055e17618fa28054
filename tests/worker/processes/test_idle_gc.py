"""The garbage collector waits for idle moments, and what lies in circles goes then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker.processes.idle_gc import FEW_NEW, IDLE_SHARE, MOST_NEW, is_due

#: Makes a circle that only a collector can free, works for a while, then rests, by a clock of
#: its own: the collector's thread sleeps until the program says what was worked meanwhile.
PROGRAM = """
import gc, threading, weakref
from worker.processes import idle_gc

class Clock:
    def __init__(self):
        self.now = self.used_s = 0.0
        self.asleep, self.awake = threading.Semaphore(0), threading.Semaphore(0)

    def monotonic(self):
        return self.now

    def process_time(self):
        return self.used_s

    def sleep(self, seconds):
        self.asleep.release()
        self.awake.acquire()
        self.now += seconds

    def let_pass(self, worked_s):
        self.used_s += worked_s
        self.awake.release()
        self.asleep.acquire()

class Knot:
    def __init__(self):
        self.self = self

idle_gc.time = clock = Clock()
idle_gc.collect_when_idle()
clock.asleep.acquire()
knots = [Knot() for _ in range(2000)]
seen = weakref.ref(knots[0])
knots.clear()
clock.let_pass(worked_s=0.5 * idle_gc.CHECK_EVERY_S)
clock.let_pass(worked_s=0.5 * idle_gc.CHECK_EVERY_S)
print("after work", seen() is None, gc.isenabled())
clock.let_pass(worked_s=0.0)
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
