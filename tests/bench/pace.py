"""Cases of pace: how long N ids take, and how few requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.bench.bounds import burst_s, even_s, requests_for
from tests.bench.figure import Figure, Findings, Point, throttled
from tests.bench.producers import Post, flood
from tests.bench.stage import Stage, cancels, job, time_to_cancel_s
from venues.sandbox.client import VenueRequest

_PATIENCE_S = 120.0
_FEWEST = 1000


def routine(stage: Stage, ids: int) -> Findings:
    """One routine job of so many ids."""
    posts = _one_job("routine")
    found = _Run(stage, f"routine-{ids}", ids, even_s(ids), posts)
    return found.findings(must=_asked(ids, 1.07), who="this worker, routine")


def kill(stage: Stage, ids: int) -> Findings:
    """One kill job of so many ids."""
    found = _Run(stage, f"kill-{ids}", ids, burst_s(ids), _one_job("kill"))
    return found.findings(must=_asked(ids, 1.06), who="this worker, kill")


def merge(stage: Stage, ids: int) -> Findings:
    """As many one-id jobs from eight producers at once."""
    found = _Run(stage, f"merge-{ids}", ids, even_s(ids), _one_id_jobs)
    findings = found.findings(must=_asked(ids, 1.08), who="")
    requests = len(cancels(found.requests))
    least = requests_for(ids)
    findings.figures.append(
        Figure(
            case=found.case, name="cancel requests", value=requests, unit="requests",
            bound=least, must=least + 2,
        )
    )  # fmt: skip
    return findings


def _asked(ids: int, must: float) -> float | None:
    """Return what is asked of so many ids: few are over before the ratio means much."""
    return must if ids >= _FEWEST else None


def _one_job(priority: str) -> Callable[[str, Sequence[str]], list[Post]]:
    def posts(account: str, ids: Sequence[str]) -> list[Post]:
        return [(f"{priority}.{account}", job(account, ids))]

    return posts


def _one_id_jobs(account: str, ids: Sequence[str]) -> list[Post]:
    return [(f"routine.{account}", job(account, [order])) for order in ids]


class _Run:
    """Ids of one account that are canceled, with what the venue saw of it."""

    def __init__(
        self,
        stage: Stage,
        case: str,
        ids: int,
        bound_s: float,
        posts: Callable[[str, Sequence[str]], list[Post]],
    ) -> None:
        self.case, self.ids, self.bound_s = case, ids, bound_s
        orders = stage.orders(case, ids)
        with stage.worker([case]), stage.outcomes(case) as outcomes:
            flood(stage.url, posts(case, orders))
            outcomes.wait(ids, _PATIENCE_S)
            self.final_at = time.monotonic()
            self.requests: list[VenueRequest] = stage.requests(case)
            self.throttled = stage.throttled([case])
            self.wrong = ids - sum(o["status"] == "closed" for o in outcomes.found)

    def findings(self, *, must: float | None, who: str) -> Findings:
        """Return time to cancel against the bound, throttled answers, and time to be final."""
        cancel_s = time_to_cancel_s(self.requests)
        final_s = self.final_at - self.requests[0].received_s
        rows = [
            Figure(case=self.case, name="time to cancel", value=cancel_s, unit="s",
                   bound=self.bound_s, must=must),
            throttled(self.case, self.throttled),
            Figure(case=self.case, name="all answers final", value=final_s, unit="s",
                   note=f"{len(self.requests)} requests with look-ups"),
        ]  # fmt: skip
        points = [Point(who, self.ids, cancel_s)] if who else []
        return Findings(rows, points)
