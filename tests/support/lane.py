"""A lane by hand: jobs that ask for ids, requests that leave, and answers that come back."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tests.simulation.toys import Plain
from venues.base import Batch, Quota, Route, Venue, Verdict
from venues.words import CancelOutcome, IdKind, OrderRef, OrdStatus, Purpose
from worker.lane.holds import Load
from worker.lane.lane import Lane, Sending
from worker.lane.submission import Result, Submission
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, new_cohorts
from worker.pacing.pace import Pace

ACCEPTED = Judgement(Verdict.ACCEPTED)
ABSENT = Judgement(Verdict.ABSENT)
CANCELED = Judgement(Verdict.STATE, ord_status=OrdStatus.CANCELED)
OPEN = Judgement(Verdict.STATE, ord_status=OrdStatus.NEW)
#: Ten cancels a second, and twenty requests of any kind.
FAST = {"cancel_batch": Quota(10, 1.0), "account": Quota(20, 1.0)}


@dataclass(slots=True, eq=False, kw_only=True)
class Task(Submission):
    """A job at its lane, with plenty of time."""

    account: str = "desk"
    job_id: str = "job"
    kill: bool = False
    deadline: float = 1000.0


def lane_of(
    quotas: Mapping[str, Quota], venue: Venue | None = None, load: Load | None = None
) -> Lane:
    """Return an empty lane with these quotas alone."""
    paces = {name: Pace(quota) for name, quota in quotas.items()}
    return Lane(venue or Plain(), paces, random.Random(1), load=load)


def orders(*ids: object, kind: IdKind = IdKind.VENUE, symbol: str = "AAA") -> list[Cohort]:
    """Return ids of which nothing is known, and whose orders may have any type."""
    return new_cohorts(OrderRef(str(order_id), kind, symbol) for order_id in ids)


def leaves(lane: Lane, now: float) -> Sending:
    """Return the request that leaves now."""
    sending = lane.next(now)
    assert sending is not None
    return sending


def ids(sending: Sending) -> list[str]:
    """Return the ids that a request names."""
    return [ref.id for ref in sending.batch.refs]


def answer(lane: Lane, sending: Sending, said: Judgement, now: float) -> None:
    """Let the venue say the same of all ids of a request."""
    lane.answered(sending, dict.fromkeys(sending.batch.refs, said), now)


def results(lane: Lane, task: Task) -> list[Result]:
    """Take the results out of the lane; return those of one task."""
    return [result for owner, result in lane.take_results() if owner is task]


def id_of(result: Result) -> str:
    """Return the id that a result is about."""
    return result.id if isinstance(result, CancelOutcome) else result.ref.id


def requests(venue: Venue, route: Route, refs: Iterable[OrderRef]) -> list[Batch]:
    """Return the requests in which orders travel by a route that names them, all at once."""
    others = [other for other in venue.routes if other.purpose is not route.purpose]
    alone = copy.copy(venue)
    alone.in_order_s = 0.0
    alone.routes = [*others, replace(route, list_all_ids=0)]
    lane = lane_of({}, alone)
    lane.add(Task(), new_cohorts(refs, look_first=route.purpose is Purpose.LOOKUP), 5.0)
    return [sending.batch for sending in iter(lambda: lane.next(5.0), None) if sending]
