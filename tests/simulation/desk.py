"""A simulated worker: the lanes of all accounts, and the deliveries that run at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.simulation.laws import Ledger, Watch
from tests.simulation.scenario import Scenario, SimJob
from venues.words import OrderRef
from worker.lane.holds import Load
from worker.lane.lane import Lane
from worker.lane.submission import Submission
from worker.orders.progress import Cohort
from worker.orders.retry import Returned
from worker.pacing.pace import NEVER, Pace
from worker.pacing.shared import SharedPace


@dataclass(slots=True, eq=False, kw_only=True)
class Run(Submission):
    """One delivery of one job, as worker/jobs/run.py does it, but without a thread."""

    job: SimJob
    desk: Desk
    cohorts: list[Cohort]
    refs: dict[str, OrderRef]
    waiting: int
    left: list[Returned] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Desk:
    """One account's lane in one worker, as worker/processes/driver.py drives it."""

    account: str
    lane: Lane
    watch: Watch
    runs: dict[Run, None] = field(default_factory=dict)  # in the order of their arrival
    wakes_at: float = NEVER
    dead: bool = False
    stopped: bool = False


def make_worker(
    scenario: Scenario,
    pace_kind: type[Pace],
    lane_kind: type[Lane],
    rng: Random,
    load: Load,
) -> dict[str, Desk]:
    """Return the lanes of a worker; quotas of the address are shared by them."""
    shared = {n: q for n, q in scenario.quotas.items() if q.scope == "address"}
    spoils_it = issubclass(pace_kind, SharedPace)
    shared_kind = pace_kind if spoils_it else type("Shared", (SharedPace, pace_kind), {})
    paces: dict[str, Pace] = {name: shared_kind(quota) for name, quota in shared.items()}
    ledgers = {name: Ledger(quota) for name, quota in shared.items()}
    own = {n: q for n, q in scenario.quotas.items() if q.scope == "account"}
    desks: dict[str, Desk] = {}
    for account in scenario.accounts:
        drawn: Mapping[str, Pace] = paces | {n: pace_kind(q) for n, q in own.items()}
        dice, verify = Random(rng.random()), scenario.verify
        lane = lane_kind(scenario.venue, drawn, dice, verify=verify, load=load)
        counted = ledgers | {name: Ledger(quota) for name, quota in own.items()}
        desks[account] = Desk(account, lane, Watch(lane, counted, load))
    return desks
