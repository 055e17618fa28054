"""Cases of pace: how long N ids take, and how few requests."""

from __future__ import annotations

import time
from contextlib import suppress
from math import ceil

from tests.bench.bounds import Limits, burst_s, even_s, requests_for
from tests.bench.figure import Figure, Findings, Point, throttled
from tests.bench.producers import flood
from tests.bench.proofs import proofs, proven
from tests.bench.stage import COINW, Market, Stage, cancels, jobs, time_to_cancel_s
from venues.sandbox.client import VenueRequest

_PATIENCE_S = 120.0
_FEWEST = 1000
#: So many more cancel requests than the fewest may carry one-id jobs.
_MOST_SPLIT = 1.03


def routine(stage: Stage, ids: int) -> Findings:
    """One routine job of so many ids."""
    found = _Run(stage, f"routine-{ids}", ids, even_s(ids), "routine", ids)
    return found.findings(must=_asked(ids, 1.07), who="this worker, routine")


def kill(stage: Stage, ids: int) -> Findings:
    """One kill job of so many ids."""
    found = _Run(stage, f"kill-{ids}", ids, burst_s(ids), "kill", ids)
    return found.findings(must=_asked(ids, 1.06), who="this worker, kill")


def merge(stage: Stage, ids: int, *, kill: bool = False, old_rows: int = 0) -> Findings:
    """As many one-id jobs from eight producers at once.

    With `old_rows` at a venue whose record has a row of each order that was canceled, and so
    many of them from before.
    """
    parts = ("merge", "kill" if kill else "", str(ids), "record" if old_rows else "")
    case = "-".join(filter(None, parts))
    if old_rows:
        stage.box.settings({"coinw.history": "all"})
    bound_s, must = (burst_s(ids), 1.10) if kill else (even_s(ids), 1.08)
    priority = "kill" if kill else "routine"
    found = _Run(stage, case, ids, bound_s, priority, 1, old_rows)
    findings = found.findings(must=_asked(ids, must), who="")
    findings.figures += found.merged(on_record=ids if old_rows else 0)
    return findings


def elsewhere(stage: Stage, market: Market, limits: Limits, ids: int) -> Findings:
    """One routine job of so many ids at another venue, whose limits are these."""
    name = f"{market.venue}-{ids}"
    found = _Run(stage, name, ids, even_s(ids, limits), "routine", ids, market=market)
    return found.findings(must=_asked(ids, 1.08), who="")


def _asked(ids: int, must: float) -> float | None:
    """Return what is asked of so many ids: few are over before the ratio means much."""
    return must if ids >= _FEWEST else None


class _Run:
    """Ids of one account that are canceled, with what the venue saw of it."""

    def __init__(
        self,
        stage: Stage,
        case: str,
        ids: int,
        bound_s: float,
        priority: str,
        per_job: int,
        old_rows: int = 0,
        market: Market = COINW,
    ) -> None:
        self.case, self.ids, self.bound_s = case, ids, bound_s
        stage.old_orders(case, old_rows)
        orders = stage.orders(case, ids, market)
        with stage.worker([case], market=market) as worker, stage.outcomes(case) as outcomes:
            flood(stage.url, jobs(priority, case, orders, per_job, market))
            with suppress(AssertionError):  # what is missing is told as a figure
                outcomes.wait(ids, _PATIENCE_S)
            self.final_at = time.monotonic()
            self.requests: list[VenueRequest] = stage.requests(case)
            self.throttled = stage.throttled([case])
            self.unproven = ids - proven(outcomes.found)
            self.missing = ids - len(outcomes.found)
            if self.missing > 0:
                worker.kill()  # it would wait for them before it ends
        self.cancel_s = time_to_cancel_s(self.requests)
        self.final_s = self.final_at - self.requests[0].received_s

    def findings(self, *, must: float | None, who: str) -> Findings:
        """Return time to cancel against the bound, throttled answers, and time to be final."""
        note = f"{len(self.requests)} requests with look-ups"
        if self.missing > 0:
            note += f"; {self.missing} ids had no answer when nobody waited any more"
        rows = [
            Figure(case=self.case, name="time to cancel", value=self.cancel_s, unit="s",
                   bound=self.bound_s, must=must),
            throttled(self.case, self.throttled),
            Figure(case=self.case, name="all answers final", value=self.final_s, unit="s",
                   note=note),
        ]  # fmt: skip
        points = [Point(who, self.ids, self.cancel_s)] if who else []
        return Findings(rows, points)

    def merged(self, on_record: int) -> list[Figure]:
        """Return how well ids of many jobs went together, and how soon the last was final."""
        least = requests_for(self.ids)
        return [
            Figure(case=self.case, name="cancel requests", value=len(cancels(self.requests)),
                   unit="requests", bound=least, must=ceil(least * _MOST_SPLIT)),
            *proofs(self.case, self.cancel_s, self.final_s, self.unproven, on_record),
        ]  # fmt: skip
