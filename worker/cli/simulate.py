"""Plays a job through the worker's own lane on a simulated clock. Pure; sends nothing.

Assumed: nobody else uses the account, each request takes one round trip, every order is open,
every cancel is answered as accepted, and its look-up then shows the order canceled (where
the venue keeps no record of canceled orders: shows nothing).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from venues.base import Route, Venue, Verdict
from venues.words import CancelOutcome, OrderRef, OrdStatus, OrdType, Purpose
from worker.lane.lane import Lane, Sending
from worker.lane.submission import Submission
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, OrderProgress, Phase
from worker.pacing.pace import NEVER, Pace
from worker.settings import Account

#: Times that differ by less are one moment.
_MOMENT_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request as it would leave; times are seconds after the job was accepted."""

    purpose: Purpose
    route: str
    method: str
    target: str
    body: str
    ids: tuple[str, ...]
    quotas: tuple[str, ...]
    sends_s: float
    answered_s: float


@dataclass(slots=True)
class Plan:
    """What a job would make the worker do."""

    requests: list[PlannedRequest] = field(default_factory=list)
    final: int = 0  # ids with their final status before the deadline
    left: int = 0  # ids that the deadline would end

    def ends_s(self, purpose: Purpose | None = None) -> float:
        """Return when the last request (of a purpose) is answered."""
        of_purpose = (r for r in self.requests if purpose in (None, r.purpose))
        return max((r.answered_s for r in of_purpose), default=0.0)


def simulate(
    account: Account, cohorts: Sequence[Cohort], *, kill: bool, deadline_s: float, rtt_s: float
) -> Plan:
    """Return the requests that the lane would send for these ids, and when."""
    paces = {name: Pace(quota) for name, quota in account.quotas.items()}
    lane = Lane(account.venue, paces, random.Random(0), verify=account.verify)  # noqa: S311
    submission = Submission(account=account.name, job_id="plan", kill=kill, deadline=deadline_s)
    return _Simulation(account, lane, rtt_s).run(submission, cohorts)


class _Simulation:
    def __init__(self, account: Account, lane: Lane, rtt_s: float) -> None:
        self._venue, self._account, self._rtt_s = account.venue, account, rtt_s
        self._lane = lane
        self._plan = Plan()
        self._flying: list[tuple[float, int, Sending]] = []
        self._numbers = itertools.count()

    def run(self, submission: Submission, cohorts: Sequence[Cohort]) -> Plan:
        now = 0.0
        self._lane.add(submission, cohorts, now)
        while now < NEVER:
            self._send(now)
            now = self._next_moment(now)
            self._receive(now)
            self._count()
        return self._plan

    def _send(self, now: float) -> None:
        while (sending := self._lane.next(now)) is not None:
            back_at = now + self._rtt_s
            heapq.heappush(self._flying, (back_at, next(self._numbers), sending))
            self._plan.requests.append(_planned(self._venue, self._account, sending, back_at))

    def _next_moment(self, now: float) -> float:
        back_at = self._flying[0][0] if self._flying else NEVER
        return min(back_at, max(self._lane.next_at(now), now + _MOMENT_S))

    def _receive(self, now: float) -> None:
        while self._flying and self._flying[0][0] <= now < NEVER:
            _, _, sending = heapq.heappop(self._flying)
            self._lane.answered(sending, _said(self._venue, sending), now)

    def _count(self) -> None:
        for _, result in self._lane.take_results():
            if isinstance(result, CancelOutcome):
                self._plan.final += 1
            else:
                self._plan.left += 1


def _planned(
    venue: Venue, account: Account, sending: Sending, answered_s: float
) -> PlannedRequest:
    request, route = venue.build(sending.batch), sending.batch.route
    return PlannedRequest(
        purpose=route.purpose,
        route=route.name,
        method=request.method,
        target=request.target,
        body=request.body.decode(),
        ids=tuple(ref.id for ref in sending.batch.refs),
        quotas=tuple(name for name in route.quotas if name in account.quotas),
        sends_s=round(sending.started, 3),
        answered_s=round(answered_s, 3),
    )


def _said(venue: Venue, sending: Sending) -> dict[OrderRef, Judgement]:
    """Return the assumed answer to a request."""
    if sending.batch.route.purpose is Purpose.CANCEL:
        asked = zip(sending.entries, sending.batch.refs, strict=True)
        return {ref: _done(item.progress) for item, ref in asked}
    looks = zip(sending.entries, sending.batch.refs, strict=True)
    return {ref: _seen(venue, sending.batch.route, item.progress) for item, ref in looks}


def _done(progress: OrderProgress) -> Judgement:
    """Return the assumed answer to a cancel: an order that is there, and then gone."""
    if progress.searched:
        return Judgement(Verdict.UNKNOWN_ORDER)
    return Judgement(Verdict.ACCEPTED, shown=OrdStatus.CANCELED)


def _seen(venue: Venue, route: Route, progress: OrderProgress) -> Judgement:
    if progress.phase is Phase.PRECHECK:
        return Judgement(Verdict.STATE, OrdStatus.NEW, ord_type=_shown_type(route))
    if venue.forgets_canceled:
        return Judgement(Verdict.ABSENT)
    return Judgement(Verdict.STATE, OrdStatus.CANCELED)


def _shown_type(route: Route) -> OrdType | None:
    """Return the type of the orders in a list that shows one type only."""
    types = route.ord_types - {OrdType.ANY}
    return next(iter(types)) if len(types) == 1 else None
