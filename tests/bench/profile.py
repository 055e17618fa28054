"""Where the worker's processor time goes, as py-spy samples it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_RATE = 40
_SHOWN = 40
#: What is on every stack and tells nothing.
_SCAFFOLD = (
    "(threading.py",
    "(click/",
    "(celery/bin/",
    "<frozen runpy>",
    "(celery/__main__.py",
)


@contextmanager
def sampled(pid: int, out: Path) -> Iterator[None]:
    """Have py-spy, where it is installed, sample who holds the interpreter.

    It samples a process and those that it started.
    """
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    options = ["--nonblocking", "--subprocesses", "--gil", "--format", "raw"]
    options += ["--rate", str(_RATE), "--output", str(out)]
    quiet = subprocess.DEVNULL
    try:
        sampler = subprocess.Popen([*command, *options], stdout=quiet, stderr=quiet)
    except FileNotFoundError:
        yield
        return
    time.sleep(1.0)
    yield
    sampler.send_signal(signal.SIGINT)
    sampler.wait(20)


def read_profile(path: Path) -> list[str]:
    """Return where the time went: share of samples with the function anywhere on the stack."""
    if not path.exists():
        return ["no profile: py-spy is not installed, or may not look"]
    whole: Counter[str] = Counter()
    total = 0
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        for frame in set(_frames(stack)):
            whole[frame] += int(count)
    return [f"{count / total:5.0%}  {frame}" for frame, count in whole.most_common(_SHOWN)]


def _frames(stack: str) -> Sequence[str]:
    """Return the functions of a stack from ours on, without their lines."""
    frames = [frame.rpartition(":")[0] for frame in stack.split(";")]
    return [frame for frame in frames if not any(word in frame for word in _SCAFFOLD)]
