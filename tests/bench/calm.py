"""Measures a case anew where the host kept its processor from it: that tells of the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from tests.bench.figure import Findings
from tests.bench.stage import Stage, set_stage

Case = Callable[[Stage], Findings]

#: Of the processor time that was wanted, the host may give so much to others.
MOST_STOLEN = 0.01
MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Used:
    """Processor time of this machine since its start, in seconds."""

    wanted_s: float  # that it used (spinning, too), or was kept from
    stolen_s: float  # of it, what its host gave to others; 0 where no host says so

    def stolen_since(self, before: Used) -> float:
        """Return the share that the host gave to others since then."""
        wanted_s = self.wanted_s - before.wanted_s
        return (self.stolen_s - before.stolen_s) / wanted_s if wanted_s else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a case brought home at its last try, and the stolen share at each."""

    case: str
    findings: Findings
    stolen: Sequence[float]


def used() -> Used:
    """Return the processor time that was used by now."""
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    return Used(sum(times) - idle_s, getattr(times, "steal", 0.0))


def measure(name: str, case: Case) -> Measured:
    """Run a case until it was left alone, at most so many times; the last one counts.

    Whether it is run again is decided by the stolen share, never by what it found. Each time
    it has a stage of its own: what another run left there would change what is measured.
    """
    stolen: list[float] = []
    while True:
        with set_stage() as stage:
            before = used()
            findings = case(stage)
            stolen.append(used().stolen_since(before))
        if stolen[-1] <= MOST_STOLEN or len(stolen) == MOST_TRIES:
            return Measured(name, findings, stolen)


def told(measured: Measured) -> str:
    """Say how often a case was measured, and what was stolen."""
    shares = ", ".join(f"{share:.1%}" for share in measured.stolen)
    return f"{measured.case}: {shares}"
