"""Cases of kills that name no ids: how long until what rests is canceled, and proven gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from tests.bench import against
from tests.bench.bounds import RTT_S, burst_s
from tests.bench.figure import Figure, Findings, throttled
from tests.bench.producers import Post, flood
from tests.bench.stage import COINW, Market, Stage, time_to_cancel_s
from tests.support.producer import Outcomes
from venues import all_venues
from venues.words import Scope
from worker.orders.scope import plan_of, search_of

_PATIENCE_S = 120.0
#: So long a kill keeps the account clean, in seconds: the default.
_HOLD_S = 5.0
#: What a kill may take beside round trips and lags, in seconds.
SLACK_S = 0.2
#: Orders that another program places meanwhile, a second.
_PLACED_PER_S = 20


def kill(stage: Stage, ids: int) -> Findings:
    """A kill of all orders of a symbol, so many of them open, where no cancel-all is used."""
    case = f"scope-{ids}"
    stage.orders(case, ids)
    with stage.worker([case]), stage.reports() as reports:
        told = _killed(stage, reports, [case])
        requests = stage.requests(case)
    return Findings(
        [
            Figure(case=case, name="time to cancel", value=time_to_cancel_s(requests), unit="s",
                   bound=burst_s(ids) + RTT_S, must=1.10,
                   note="bound: the burst's, and the listing's round trip"),
            throttled(case, stage.throttled([case])),
            Figure(case=case, name="until the account is proven empty", unit="s",
                   value=told["at"] - requests[0].received_s,
                   note=f"reported {told['results']}; held for {_HOLD_S:.0f} s"),
            *_truth(case, stage, [case], told["results"]),
        ]
    )  # fmt: skip


def swept(stage: Stage, market: Market, ids: int) -> Findings:
    """A kill of all orders of a symbol where the venue has a cancel-all of just these."""
    case = f"scope-all-{ids}"
    stage.orders(case, ids, market)
    with stage.worker([case], market=market), stage.reports() as reports:
        told = _killed(stage, reports, [case], market, hold_s=0)
        requests = stage.requests(case)
    begins_s = requests[0].received_s
    proven_s = _proven_at_s(reports) + RTT_S - begins_s
    return Findings(
        [
            Figure(case=case, name="time to cancel", value=time_to_cancel_s(requests), unit="s",
                   bound=RTT_S, note=f"bound: one round trip; {len(requests)} requests in all"),
            throttled(case, stage.throttled([case])),
            Figure(case=case, name="until empty is proven", value=proven_s, unit="s",
                   bound=3 * RTT_S + _lags_s(market) + SLACK_S, must=1.0,
                   note="bound: three round trips, the venue's lags, and 0.2 s"),
            Figure(case=case, name="until all orders are told, and the report", unit="s",
                   value=told["at"] - begins_s,
                   note=f"reported {told['results']}; told of {_seen(reports)} orders, the "
                   "others were gone before a list showed them"),
            *_truth(case, stage, [case], told["results"], market),
        ]
    )  # fmt: skip


def _seen(reports: Outcomes) -> int:
    """Return how many orders the reports tell of."""
    return sum(sum(report["counts"].values()) for report in reports.found)


def _lags_s(market: Market) -> float:
    """Return how long it takes at least until whole lists prove that none rests."""
    venue = all_venues()[market.venue].variants()[0]
    search = search_of(venue, Scope(), plan_of(venue, Scope()), 0.0, 0.0)
    return search.proves_from + search.stays_s


def _proven_at_s(reports: Outcomes) -> float:
    """Return when the last read of the last report began, in monotonic seconds."""
    (report,) = reports.found
    last = max(datetime.fromisoformat(each["last_read_at"]) for each in report["proof"])
    return last.timestamp() - time.time() + time.monotonic()


def many(stage: Stage, accounts: int, ids: int) -> Findings:
    """The same of so many accounts at once, through one worker."""
    case = f"scope-{accounts}x{ids}"
    names = [f"scope-{number}" for number in range(accounts)]
    for name in names:
        stage.orders(name, ids)
    with stage.worker(names), stage.reports() as reports:
        told = _killed(stage, reports, names)
        requests = sorted(stage.box.requests(), key=lambda request: request.received_s)
        truth = _truth(case, stage, names, told["results"])
    bare_s = against.bare(stage, names, ids)
    took_s = time_to_cancel_s(requests)
    return Findings(
        [
            Figure(case=case, name="time to cancel, all accounts", unit="s",
                   value=took_s, bound=burst_s(ids) + RTT_S, must=1.3,
                   note="bound: of one account"),
            Figure(case=case, name="the same requests by a bare loop", unit="s",
                   value=bare_s, bound=burst_s(ids) + RTT_S,
                   note="one list and the cancels of each account"),
            Figure(case=case, name="time to cancel, beside the bare loop", unit="s",
                   value=took_s, bound=bare_s),
            throttled(case, stage.throttled(names)),
            Figure(case=case, name="until all are proven empty", unit="s",
                   value=told["at"] - requests[0].received_s,
                   note=f"reported {told['results']}"),
            *truth,
        ]
    )  # fmt: skip


def placed_meanwhile(stage: Stage, ids: int) -> Findings:
    """A kill while another program goes on placing orders, for as long as the kill holds."""
    case = f"scope-placed-{ids}"
    stage.orders(case, ids)
    with stage.worker([case]), stage.reports() as reports, _placing(stage, case) as placed:
        told = _killed(stage, reports, [case])
    return Findings(
        [
            Figure(case=case, name="orders placed meanwhile", value=len(placed), unit="ids",
                   note=f"reported {told['results']}, "
                   f"{told['at'] - told['began']:.2f} s after the job"),
            *_truth(case, stage, [case], told["results"]),
        ]
    )  # fmt: skip


def _killed(
    stage: Stage,
    reports: Outcomes,
    names: Sequence[str],
    market: Market = COINW,
    hold_s: float = _HOLD_S,
) -> dict[str, Any]:
    """Kill what rests at the accounts; return what is reported, and when the last one came."""
    began = time.monotonic()
    flood(stage.url, [_scope_job(name, market, hold_s) for name in names])
    with suppress(AssertionError):  # what is missing is told as a figure
        reports.wait(len(names), _PATIENCE_S)
    results: dict[str, int] = {}
    for report in reports.found:
        results[report["result"]] = results.get(report["result"], 0) + 1
    return {"began": began, "at": time.monotonic(), "results": results}


def _scope_job(account: str, market: Market, hold_s: float) -> Post:
    scope = {"symbols": [market.symbol]}
    job = {"job_id": f"{account}-kill", "account": account, "scope": scope, "hold_s": hold_s}
    return f"kill.{account}", job


def _truth(
    case: str,
    stage: Stage,
    names: Sequence[str],
    results: dict[str, int],
    market: Market = COINW,
) -> list[Figure]:
    """Say how many accounts were not proven empty, and what rests though they were."""
    unproven = len(names) - results.get("empty", 0)
    rests = sum(stage.resting(name, market) for name in names) if not unproven else 0
    return [
        Figure(case=case, name="accounts not proven empty", value=unproven, unit="jobs"),
        Figure(case=case, name="orders that rest where all is said to be empty", value=rests,
               unit="ids", must=0),
    ]  # fmt: skip


@contextmanager
def _placing(stage: Stage, account: str) -> Iterator[list[str]]:
    """Place orders beside the kill until its hold is over."""
    placed: list[str] = []
    over = threading.Event()

    def place() -> None:
        until = time.monotonic() + _HOLD_S
        while time.monotonic() < until and not over.wait(1 / _PLACED_PER_S):
            placed.extend(stage.orders(account, 1))

    thread = threading.Thread(target=place)
    thread.start()
    try:
        yield placed
    finally:
        over.set()
        thread.join()
