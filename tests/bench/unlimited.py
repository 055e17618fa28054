"""What the worker itself can do: no limit at the venue, and a short way to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from tests.bench.against import fair_tasks, fair_worker
from tests.bench.bounds import LAG_S, RTT_S
from tests.bench.figure import Figure, Findings
from tests.bench.producers import flood, pour
from tests.bench.profile import read_profile, sampled
from tests.bench.stage import UNPACED, Stage, cpu_s, jobs, measured
from tests.support.producer import Outcomes

_PATIENCE_S = 240.0
_RTT_MS = 5
_WHOLE = 100
_PROFILED_IDS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """So many ids that became final, and what that took."""

    case: str
    ids: int
    took_s: float
    used_s: float  # of the processor
    requests: int
    lag_s: float = 0.0  # of `took_s`, what no processor can shorten
    profile: Sequence[str] = ()

    @property
    def per_s(self) -> float:
        """Ids a second, but for the venue's lags."""
        return self.ids / (self.took_s - self.lag_s)

    @property
    def used_ms(self) -> float:
        """Processor time for one id, in milliseconds."""
        return self.used_s / self.ids * 1000

    def figures(self) -> list[Figure]:
        """Return what any of them is measured by."""
        lags = f"; but for the venue's lags: {self.per_s:,.0f} ids/s" if self.lag_s else ""
        return [
            Figure(case=self.case, name="ids to their final status",
                   value=self.ids / self.took_s, unit="ids/s",
                   note=f"{self.requests / self.ids:.2f} venue requests an id{lags}"),
            Figure(case=self.case, name="processor time", value=self.used_ms,
                   unit="ms/id",
                   note=f"{self.used_s / self.took_s:.0%} of one core while it ran"),
        ]  # fmt: skip


def unlimited(stage: Stage, ids: int, peer_ids: int) -> Findings:
    """Jobs of one id, then jobs of a hundred, then a Celery task per id."""
    stage.box.settings({"limits": {"coinw": "off"}, "rtt_ms": _RTT_MS})
    split, whole = _ours(stage, ids, 1), _ours(stage, ids, _WHOLE)
    peer = _peer(stage, peer_ids)
    stage.box.settings({"limits": {}, "rtt_ms": RTT_S * 1000})
    beside = [
        Figure(case=split.case, name="ids/s but for the lags, of those of jobs of 100",
               value=split.per_s / whole.per_s, unit="ratio", least=0.4),
        Figure(case=split.case, name="processor time, of that of jobs of 100",
               value=split.used_ms / whole.used_ms, unit="ratio", must=3.0),
        Figure(case=split.case, name="ids/s but for the lags, of those of a task per id",
               value=split.per_s / peer.per_s, unit="ratio", least=3.0),
    ]  # fmt: skip
    return Findings(
        [*split.figures(), *beside, *whole.figures(), *peer.figures()],
        profile=[split.case, *split.profile, "", whole.case, *whole.profile],
    )


def _ours(stage: Stage, ids: int, per_job: int) -> _Run:
    name = f"free-{per_job}"
    posts = jobs("kill", name, stage.orders(name, ids), per_job)
    with stage.worker([name], UNPACED) as worker, stage.outcomes(name) as outcomes:
        process = measured(worker)
        took_s, used_s = _timed(process, outcomes, ids, lambda: flood(stage.url, posts))
        requests = len(stage.requests(name))
        more = jobs("kill", name, stage.orders(name, _PROFILED_IDS), per_job)
        profile = stage.folder / f"{name}.profile"
        with sampled(process.pid, profile):
            _timed(process, outcomes, _PROFILED_IDS, lambda: flood(stage.url, more))
    return _Run(
        case=f"no limit, jobs of {per_job}",
        ids=ids,
        took_s=took_s,
        used_s=used_s,
        requests=requests,
        lag_s=LAG_S,
        profile=read_profile(profile),
    )


def _peer(stage: Stage, ids: int) -> _Run:
    name = "free-task"
    stage.box.add_account("coinw", f"key-{name}", f"secret-{name}")
    tasks = fair_tasks(stage.orders(name, ids))
    with stage.outcomes(name) as outcomes, fair_worker(stage, name) as pid:
        process = psutil.Process(pid)
        took_s, used_s = _timed(process, outcomes, ids, lambda: pour(stage.url, "", tasks))
        requests = len(stage.requests(name))
    return _Run(
        case="no limit, a task per id", ids=ids, took_s=took_s, used_s=used_s, requests=requests
    )


def _timed(
    process: psutil.Process, outcomes: Outcomes, ids: int, publish: Callable[[], None]
) -> tuple[float, float]:
    """Return how long it took until all were final, and how long a processor was used."""
    known = len(outcomes.found)
    began, used_s = time.monotonic(), cpu_s(process)
    publish()
    outcomes.wait(known + ids, _PATIENCE_S)
    return time.monotonic() - began, cpu_s(process) - used_s
