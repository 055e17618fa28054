"""Keeps the processor awake while something is measured.

`python -m tests.bench.awake N PID` keeps core N awake until process PID ends.

A core that has nothing to do sleeps. To wake it takes a while, and in a virtual machine a long
one, as its host gave the core to others meanwhile. Those who count milliseconds switch that off
(`idle=poll` for Linux). Here processes do it that run only when nobody else wants to.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Between two looks whether the bench still runs; few, as those who stand back get little done.
_TURNS = 10_000


@contextmanager
def awake() -> Iterator[None]:
    """Keep all cores awake for a `with` block, where the system can (Linux)."""
    cores = os.sched_getaffinity(0) if hasattr(os, "SCHED_IDLE") else ()
    words = [[sys.executable, "-m", __name__, f"{core}", f"{os.getpid()}"] for core in cores]
    keepers = [subprocess.Popen(command) for command in words]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.wait()


def keep_awake(core: int, parent: int) -> None:
    """Keep one core from sleeping until the parent process is gone."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while os.getppid() == parent:
        for _ in range(_TURNS):
            pass


if __name__ == "__main__":
    keep_awake(int(sys.argv[1]), int(sys.argv[2]))
