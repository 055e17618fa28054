"""The law of truth: every id of every job answered once, as the simulated book has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.book import SimOrder
from tests.simulation.exchange import Exchange
from tests.simulation.laws import LawBroken
from tests.simulation.scenario import Scenario, SimJob
from tests.simulation.toys import PAGE_SIZE as TOY_PAGE
from tests.simulation.toys import Toy
from venues.coinw import OVERLAP
from venues.words import (
    OPEN_STATES,
    CancelOutcome,
    CancelStatus,
    Evidence,
    IdKind,
    OrderRef,
    OrdStatus,
)

#: Statuses that a second worker must come to again, if the venue keeps a record.
_PROVEN = (CancelStatus.CANCELED, CancelStatus.FILLED, CancelStatus.CLOSED)
#: What a look-up showed for so long is told.
SHOWN_S = 6.0
#: So often an id may leave for each job beside once a read lag, where requests fail.
MOST_SPARE = 6
Asked = tuple[str, OrderRef]


@dataclass(slots=True)
class Truth:
    """What was answered, held against the venue's book."""

    scenario: Scenario
    exchange: Exchange
    #: Of which job's ids the venue took a cancel, and which ids ever left in one.
    took: set[Asked] = field(default_factory=set)
    tried: set[OrderRef] = field(default_factory=set)
    halted: set[str] = field(default_factory=set)
    #: Jobs of which a dead worker may have answered a part.
    told_twice: set[str] = field(default_factory=set)
    #: Jobs that no worker has seen in their time.
    expired: set[str] = field(default_factory=set)
    sent_at: dict[OrderRef, list[float]] = field(default_factory=dict)
    answers: dict[Asked, CancelOutcome] = field(default_factory=dict)

    def answered(self, job: SimJob, ref: OrderRef, outcome: CancelOutcome, now: float) -> None:
        """Take one outcome in and check it."""
        first = self.answers.setdefault((job.job_id, ref), outcome)
        if first is not outcome:
            self._check_same(job, first, outcome, now)
        self.check(job, ref, outcome, now)
        in_doubt = outcome.status is CancelStatus.UNCONFIRMED and ref.kind is IdKind.VENUE
        in_doubt = in_doubt and job.job_id not in self.told_twice  # the first outcome stands
        # What was shown to another job may have come while this one waited at the broker.
        in_doubt = in_doubt and sum(ref in other.refs for other in self.scenario.jobs) == 1
        for shown_at in self.exchange.end_shown.get(ref, ()) if in_doubt else ():
            if job.arrives < shown_at < now - SHOWN_S:
                raise LawBroken("needless", f"{ref.id} was shown at {shown_at:.3f}", now)

    def sent(self, ref: OrderRef, now: float) -> None:
        """Count a cancel that leaves for an id, and check that there are not too many.

        One a read lag, and beside that some: one for each job, once more where a reply passed
        it over, and where faults befall requests.
        """
        times = self.sent_at.setdefault(ref, [])
        times.append(now)
        jobs = sum(ref in job.refs for job in self.scenario.jobs)
        faulty = any(self.scenario.faults.values()) or self.scenario.bad_ids
        spare = MOST_SPARE if faulty else 2
        most = spare * jobs + (now - times[0]) / self.scenario.venue.read_lag_s
        if len(times) > most:
            raise LawBroken("flood", f"{ref.id} leaves for the {len(times)}th time", now)

    def check(self, job: SimJob, ref: OrderRef, outcome: CancelOutcome, now: float) -> None:
        """Hold an outcome against the book: an order that comes later may be another one."""
        by = job.arrives + self.scenario.venue.birth_lag_s
        meant = [self.exchange.find(ref, min(now, by)), self.exchange.find(ref, now)]
        if outcome.status is CancelStatus.NOT_FOUND:
            meant = meant[:1]
        wrong = min(self._fault(job, ref, order, outcome, now) for order in meant)
        if wrong:
            raise LawBroken(
                "truth", f"{ref.id} {outcome.status}/{outcome.reason}: {wrong}", now
            )

    def _check_same(
        self, job: SimJob, first: CancelOutcome, outcome: CancelOutcome, now: float
    ) -> None:
        if job.job_id not in self.told_twice:
            raise LawBroken("once", f"{outcome.id} of {job.job_id} is answered twice", now)
        proven = first.status in _PROVEN and outcome.status in _PROVEN
        recorded = first.status is not CancelStatus.CLOSED
        if proven and recorded and first.status is not outcome.status:
            seen = f"{outcome.id} is {first.status}, then {outcome.status}"
            raise LawBroken("same", seen, now)

    def all_answered(self, jobs: Iterable[SimJob], now: float) -> None:
        """Check that nothing is left without an answer."""
        for job in jobs:
            if job.job_id in self.expired:
                continue
            left = [ref.id for ref in job.refs if (job.job_id, ref) not in self.answers]
            if left:
                raise LawBroken("once", f"{len(left)} ids of {job.job_id} have no answer", now)

    def _fault(
        self,
        job: SimJob,
        ref: OrderRef,
        order: SimOrder | None,
        outcome: CancelOutcome,
        now: float,
    ) -> str:
        """Return what is wrong with an outcome; empty if it is true."""
        is_state = order.status(now) if order else None
        match outcome.status:
            case CancelStatus.CANCELED:
                good = is_state is OrdStatus.CANCELED
            case CancelStatus.FILLED:
                good = is_state is OrdStatus.FILLED
            case CancelStatus.CLOSED:
                good = self._is_closed(order, ref, outcome, now)
            case CancelStatus.NOT_FOUND:
                good = is_state not in OPEN_STATES and ref.id not in self.scenario.rounded
                good = good and not self._hides(order, ref, outcome, now)
            case _:
                return self._unproven(job, ref, outcome, now)
        if outcome.evidence is Evidence.NONE:
            return "no evidence"
        return "" if good else f"the book says {is_state}"

    def _recorded(self, order: SimOrder | None, now: float) -> bool:
        return order is not None and order.ended_at() <= now and self.exchange.records(order)

    def _hides(
        self, order: SimOrder | None, ref: OrderRef, outcome: CancelOutcome, now: float
    ) -> bool:
        """Say whether an outcome says nothing of an end that the record shows.

        It may where no reply that came through showed the end, as faults befell them; and
        where the record has more rows above the order than are read of it. How many
        that are where new rows come on top meanwhile is not known to the row: half is sure.
        """
        if order is None or not self._recorded(order, now):
            return False
        if outcome.reason == "record_unreadable":
            shown = self.exchange.end_shown.get(ref)
            return bool(shown) or not any(self.scenario.faults.values())
        if outcome.reason != "record_too_long" or ref in self.exchange.named:
            return True
        venue, most = self.scenario.venue, self.scenario.record.page_rows
        (record,) = (route for route in venue.routes if route.name == "history")
        rows = TOY_PAGE if isinstance(venue, Toy) else most - max(1, most // OVERLAP)
        return self.exchange.depth(order, now) < record.max_pages * rows / 2

    def _is_closed(
        self, order: SimOrder | None, ref: OrderRef, outcome: CancelOutcome, now: float
    ) -> bool:
        if order is None or order.is_open(now):
            return False
        if outcome.reason == "expired":
            return order.status(now) is OrdStatus.EXPIRED
        return not self._hides(order, ref, outcome, now)

    def _unproven(self, job: SimJob, ref: OrderRef, outcome: CancelOutcome, now: float) -> str:
        """Return why a status that claims no knowledge may not be given."""
        if outcome.status is CancelStatus.REJECTED:
            may = job.account in self.halted or ref.id in self.scenario.bad_ids
            return "" if may else "nobody refused it"
        if self.scenario.calm:
            return "nothing stood in the way"
        if outcome.status is CancelStatus.UNCONFIRMED:
            if outcome.reason == "maybe_rounded":
                return "" if ref.id in self.scenario.rounded else "it came as text"
            over = now >= job.deadline or job.account in self.halted
            over = over or outcome.reason == "symbol_missing_for_lookup"
            if ref not in self.tried:
                return "no cancel was sent"
            return "" if over else "there was time left"
        if now < job.deadline:
            return "there was time left"
        if outcome.reason == "still_open":
            return "" if outcome.ord_status in OPEN_STATES else "no state"
        known = (job.job_id, ref) in self.took and job.job_id not in self.told_twice
        return "a cancel was taken" if known else ""
