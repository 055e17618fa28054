"""The keepers of the cores run only where nobody else wants to, and end with the bench."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from tests.bench.awake import awake

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux can")
_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
_BENCH = """
import time
from tests.bench.awake import awake
with awake():
    print("awake", flush=True)
    time.sleep(60)
"""


def keepers(of: psutil.Process) -> list[psutil.Process]:
    return [child for child in of.children() if "tests.bench.awake" in child.cmdline()]


def all_keepers(of: psutil.Process) -> list[psutil.Process]:
    """Wait until there is one for each core: a new process has no command line yet."""
    await_that(lambda: len(keepers(of)) == len(_CORES))
    return keepers(of)


def runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def await_that(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20.0
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_each_core_has_one_that_stands_back() -> None:
    with awake():
        found = all_keepers(psutil.Process())
        await_that(lambda: all(os.sched_getscheduler(k.pid) == os.SCHED_IDLE for k in found))
        kept = sorted(core for keeper in found for core in keeper.cpu_affinity())

    assert kept == sorted(_CORES)
    assert not any(runs(keeper) for keeper in found)


def test_they_end_with_a_bench_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _BENCH], stdout=subprocess.PIPE) as bench:
        assert bench.stdout
        bench.stdout.readline()
        found = all_keepers(psutil.Process(bench.pid))
        bench.kill()

    await_that(lambda: not any(runs(keeper) for keeper in found))
