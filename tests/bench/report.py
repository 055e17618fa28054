"""Writes what was found: a table beside the bounds, the profile, and the picture."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from rich.console import Console
from rich.table import Table

from tests.bench.bounds import burst_s, even_s
from tests.bench.calm import MOST_STOLEN, Measured, Used, told, used
from tests.bench.figure import Figure, Point
from tests.support.rabbitmq import CONTROL

_PACKAGES = ("celery", "kombu", "amqp", "requests", "pydantic", "structlog")
_HEAD = ("case", "figure", "measured", "bound", "ratio", "must reach", "")
_MARKS = {True: "reached", False: "MISSED", None: ""}


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print figures as they come."""
    table = Table(*_HEAD)
    for figure in figures:
        table.add_row(*_cells(figure))
    console.print(table)
    for note in _notes(figures):
        console.print(note)


def _notes(figures: Iterable[Figure]) -> list[str]:
    return [f"- {f.case}, {f.name}: {f.note}" for f in figures if f.note]


def additions_s() -> float:
    """Return how long ten million additions take here and now."""
    began, total = time.monotonic(), 0
    for number in range(10_000_000):
        total += number
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Machine:
    """How the machine was at a moment: others may use it, and its host."""

    at: float  # monotonic seconds
    additions_s: float
    used: Used


def machine() -> Machine:
    """Return how the machine is now."""
    return Machine(time.monotonic(), additions_s(), used())


def write(folder: Path, tried: Sequence[Measured], before: Machine, after: Machine) -> None:
    """Write RESULTS.md and the picture."""
    findings = [measured.findings for measured in tried]
    figures = [figure for found in findings for figure in found.figures]
    notes = _notes(figures)
    profiles = [line for found in findings for line in [*found.profile, ""] if found.profile]
    text = [
        "# Results", "",
        "Written by `python -m tests.bench`; README.md says what each figure means.", "",
        "![time to cancel](time-to-cancel.svg)", "",
        *_table(figures), "",
        *(["Notes", "", *notes, ""] if notes else []),
        *_section("## Where the worker's time goes", profiles),
        "## Taken on", "", *_taken_on(before, after), *_again(tried), "",
    ]  # fmt: skip
    (folder / "RESULTS.md").write_text("\n".join(text), encoding="utf-8")
    draw(folder / "time-to-cancel.svg", [point for found in findings for point in found.points])


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, "", "```", *lines, "```", ""] if lines else []


def _table(figures: Iterable[Figure]) -> list[str]:
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(figure) for figure in figures)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = f"{figure.ratio:.3f}" if figure.ratio is not None else ""
    bound = _number(figure.bound, figure.unit) if figure.bound is not None else ""
    must = f"≤ {figure.must:g}" if figure.must is not None else ""
    must = f"≥ {figure.least:g}" if figure.least is not None else must
    value = _number(figure.value, figure.unit)
    return figure.case, figure.name, value, bound, ratio, must, _MARKS[figure.reached]


def _number(value: float, unit: str) -> str:
    digits = 0 if value == int(value) or value >= 1000 else 1 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


def _taken_on(before: Machine, after: Machine) -> list[str]:
    stolen = after.used.stolen_since(before.used)
    memory_gib = psutil.virtual_memory().total / 2**30
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    return [
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, in {after.at - before.at:.0f} s",
        f"- {os.cpu_count()} cores ({_processor()}), {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, RabbitMQ {_broker()}, {', '.join(versions)}",
        f"- how fast a core was: ten million additions took {before.additions_s:.2f} s before "
        f"and {after.additions_s:.2f} s after",
        f"- processor time that its host gave to others: {stolen:.0%} of what was wanted here",
        "- broker, sandbox, worker and producers on this one machine; load average of the last "
        f"five minutes {os.getloadavg()[1]:.1f}",
    ]


def _again(tried: Sequence[Measured]) -> list[str]:
    """Return what was stolen at each try, where a case may have been measured anew."""
    rows = [f"  - {told(measured)}" for measured in tried if max(measured.stolen) > MOST_STOLEN]
    head = (
        f"- of it, where it was more than {MOST_STOLEN:.0%}, at each try; the last one counts"
    )
    return [head, *rows] if rows else []


def _broker() -> str:
    return subprocess.run(
        [str(CONTROL), "version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def draw(path: Path, points: Sequence[Point]) -> None:
    """Draw time to cancel against the number of ids: bounds, this worker, the alternatives."""
    canvas = Canvas(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    counts = range(20, 5001, 20)
    axes.plot(counts, [even_s(n) for n in counts], "k-", lw=1, label="bound, evenly")
    axes.plot(counts, [burst_s(n) for n in counts], "k:", lw=1, label="bound, in bursts")
    for who in dict.fromkeys(point.who for point in points):
        own = sorted((p.ids, p.seconds) for p in points if p.who == who)
        axes.plot(*zip(*own, strict=True), "o-", label=who)
    axes.set(
        xscale="log", yscale="log", xlabel="ids", ylabel="seconds to the last cancel's reply"
    )
    axes.set_title("Time to cancel N ids: 10 requests of 20 ids in any second, 50 ms away")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    canvas.savefig(path, metadata={"Date": None})
