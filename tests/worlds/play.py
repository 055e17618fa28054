"""The worker in simulated time: one lane, its jobs and retries, before a fake venue."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from tests.simulation.agenda import Agenda
from tests.worlds.book import Book
from tests.worlds.fake import Fake, Raw
from tests.worlds.fakes import FAKES
from tests.worlds.plan import Ask, JobPlan, World
from venues import all_venues
from venues.base import HttpReply, HttpRequest, UnknownSymbol, Venue, Verdict
from venues.credential import Credential
from venues.words import CancelJob, CancelOutcome, OrderRef
from worker.contract.job import Envelope
from worker.contract.job import read_json as read_job_json
from worker.contract.outcome import rfc_3339
from worker.http.reply_json import read_json
from worker.http.transport import MOST_BODY_BYTES, InDoubt, NotSent
from worker.jobs.parse import read_job
from worker.jobs.progress_json import read_progress
from worker.jobs.report import Report
from worker.jobs.run import JobRun, _ids
from worker.lane.entry import is_lookup
from worker.lane.lane import Lane, Sending
from worker.lane.submission import Result, Submission
from worker.orders.forms import expire
from worker.orders.judge import Judgement, hear
from worker.orders.progress import Cohort
from worker.orders.retry import Returned, retry_decision
from worker.pacing.pace import NEVER, Pace
from worker.processes.directory import Directory
from worker.processes.driver import Driver
from worker.processes.venue_clock import VenueClock
from worker.settings import Account, Settings

START_S = 1000.0
EPOCH = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=START_S)
ACCOUNT = "desk"
TIMEOUT_S = 5.0
MOST_EVENTS = 40_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a world is played with: the real parts, unless a test spoils one."""

    lane: type[Lane] = Lane
    hear: Any = hear
    venue: Venue | None = None
    fake: type[Fake] | None = None


#: The product as it is.
REAL = Parts()


class Told(NamedTuple):
    """What was told of one id of a job, and when."""

    job: JobPlan
    ask: Ask
    outcome: CancelOutcome
    at: float


class Exchanged(NamedTuple):
    """A request and what came of it."""

    left: float
    back: float
    request: HttpRequest
    status: int
    body: str


@dataclass(slots=True, eq=False, kw_only=True)
class Run(Submission):
    """One delivery of one job."""

    plan: JobPlan
    parsed: CancelJob
    attempt: int
    waiting: int
    repeats: int = 0
    left: list[Returned] = field(default_factory=list)


class _Silence:
    """Logs nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **words: None


class _Ears(Driver):
    """What the driver makes of what a reply says of the account, without its threads."""

    def __init__(self, account: Account, lane: Lane) -> None:
        self.account = account
        self.lane = lane
        self._clock = VenueClock()
        self._log = _Silence()

    def hear(
        self, sending: Sending, reply: HttpReply, said: Mapping[OrderRef, Judgement]
    ) -> None:
        heard = list({id(judgement): judgement for judgement in said.values()}.values())
        self._hear(sending, reply, heard)


class _Retry(JobRun):
    """What a job's run writes into its retry, without the rest of the run."""

    def __init__(self, run: Run) -> None:
        self.job = run.parsed
        self.attempt = run.attempt
        self._report = _NothingTold()
        self._progress = self._sent_here = None  # when cancels left is not told


class _NothingTold(Report):
    """A report that counted nothing."""

    def __init__(self) -> None:
        self.counts = Counter()


class Play:
    """All of one world; `run` lets it happen."""

    def __init__(self, world: World, parts: Parts = REAL) -> None:
        self.world = world
        self.agenda = Agenda(START_S)
        self.rng = Random(world.seed)
        self.venue = parts.venue or venue_of(world)
        self.book = Book(world, START_S, self.agenda.at)
        kind = parts.fake or FAKES[world.venue]
        self.fake = kind(world, self.book, Random(world.seed + 1))
        self.account = Account(
            name=ACCOUNT,
            venue=self.venue,
            credential=Credential(**self._parts()),
            base_url="",
            verify=world.verify,
            quotas=self.venue.quotas,
        )
        self.settings = Settings(broker_url="", accounts={ACCOUNT: self.account})
        paces = {name: Pace(quota) for name, quota in self.venue.quotas.items()}
        self.lane = parts.lane(self.venue, paces, Random(world.seed + 2), verify=world.verify)
        self.ears = _Ears(self.account, self.lane)
        self.hear = parts.hear
        self.told: list[Told] = []
        self.exchanged: list[Exchanged] = []
        self.first_cancel: dict[str, float] = {}
        self.crash = ""
        self._wakes_at = NEVER
        self._stamp = 0
        self._directory = Directory(self.venue, self._ask_numbers, lambda: self.agenda.now)
        #: Until when the numbers of the venue's symbols are on their way.
        self._numbers_at = -NEVER

    def _parts(self) -> dict[str, str]:
        """Return the parts of the key; one that the account does not need is empty."""
        return {part.name: "" for part in self.venue.parts} | self.fake.parts

    def run(self) -> Play:
        """Let everything happen; what the worker raises is kept as `crash`."""
        for job in self.world.jobs:
            self.agenda.at(START_S + job.at_s, lambda job=job: self._publish(job, 0))  # type: ignore[misc]
        try:
            if not self.agenda.run(MOST_EVENTS):
                self.crash = "it turns in a circle"
        except Exception:  # noqa: BLE001 - a crash of the core is a find
            self.crash = traceback.format_exc(limit=-6)
        return self

    # -- the broker ----------------------------------------------------------------------

    def _publish(self, plan: JobPlan, repeats: int) -> None:
        now = self.agenda.now
        message = {
            "job_id": plan.job_id,
            "account": ACCOUNT,
            "deadline": rfc_3339(_wall(now + plan.deadline_s)),
            "orders": [order_json(ask) for ask in plan.asks],
        }
        self._deliver(plan, message, None, repeats)

    def _deliver(
        self, plan: JobPlan, message: dict[str, Any], progress: Any, repeats: int
    ) -> None:
        """Read a message as the consumer does, and hand its ids to the lane."""
        now = self.agenda.now
        value = read_job_json(json.dumps(message).encode())
        envelope = Envelope(priority="kill" if plan.kill else "routine", account=ACCOUNT)
        parsed = read_job(value, envelope, {ACCOUNT: self.account}, _wall(now))
        carried = read_progress(progress)
        job = parsed.job
        if carried:
            job = replace(job, accepted_at=carried.accepted_at, deadline=carried.deadline)
        else:
            asks = {ask.id: ask for ask in plan.asks}
            for outcome in parsed.refused:
                self.told.append(Told(plan, asks[outcome.id], outcome, now))
        ids = _ids(job, carried, self.settings, False)
        run = Run(
            account=ACCOUNT,
            job_id=plan.job_id,
            kill=plan.kill,
            deadline=(job.deadline - EPOCH).total_seconds(),
            received_at=NEVER if carried else now,
            plan=plan,
            parsed=job,
            attempt=carried.attempt if carried else 1,
            waiting=len(job.refs),
            repeats=repeats,
        )
        if not job.refs:
            return
        if now >= run.deadline:
            run.left = [
                Returned(ref, cohort.progress, now, "deadline")
                for cohort in ids
                for ref in cohort.refs()
            ]
            self._end(run)
            return
        self._submit(run, ids)

    def _submit(self, run: Run, ids: list[Cohort]) -> None:
        self.lane.add(run, ids, self.agenda.now)
        self.agenda.at(run.deadline, lambda: self._at_deadline(run))
        self._pump()

    def _at_deadline(self, run: Run) -> None:
        if run.waiting and not run.withdrawn:
            self.lane.withdraw(run, "deadline", self.agenda.now)
            self._pump()

    def _take(self, run: Run, result: Result) -> None:
        if isinstance(result, CancelOutcome):
            self._tell(run, result)
        else:
            run.left.append(result)
        run.waiting -= 1
        if not run.waiting:
            self._end(run)

    def _tell(self, run: Run, outcome: CancelOutcome) -> None:
        ask = next(ask for ask in run.plan.asks if ask.id == outcome.id)
        self.told.append(Told(run.plan, ask, outcome, self.agenda.now))

    def _end(self, run: Run) -> None:
        now = self.agenda.now
        decision = retry_decision(run.left, now, run.deadline)
        if decision is None:
            for parked in run.left:
                self._tell(run, expire(parked.progress).outcome(parked.ref.id))
            if run.plan.again_s and not run.repeats:
                again = now + run.plan.again_s
                self.agenda.at(again, lambda: self._publish(run.plan, 1))
            return
        arguments = json.dumps(_Retry(run).retry_arguments(run.left))
        if any(part in arguments for part in self.fake.parts.values()):
            self.fake.faults.append("leak: a retry carries a secret")
        self.agenda.at(now + decision.countdown_s, lambda: self._again(run, arguments))

    def _again(self, run: Run, arguments: str) -> None:
        message = json.loads(arguments)
        self._deliver(run.plan, message["job"], message["progress"], run.repeats)

    # -- the lane, as worker/processes/driver.py drives it -------------------------------

    def _pump(self) -> None:
        now = self.agenda.now
        while (sending := self.lane.next(now)) is not None:
            self._send(sending, now)
        for run, result in self.lane.take_results():
            assert isinstance(run, Run)
            self._take(run, result)
        wakes_at = self.lane.quiet_until
        if not self.lane.entries():  # a refused key is asked about for ever
            wakes_at = NEVER
        if wakes_at != NEVER and wakes_at != self._wakes_at:
            self.agenda.at(wakes_at, lambda: self._wake(wakes_at))
        self._wakes_at = wakes_at

    def _wake(self, when: float) -> None:
        if self._wakes_at == when:
            self._wakes_at = NEVER
            self._pump()

    def _send(self, sending: Sending, now: float) -> None:
        self._stamp = max(self._stamp + 1, int(_wall(now).timestamp() * 1000))
        try:
            built = self._directory.build(sending.batch)
        except UnknownSymbol as error:
            text = str(error)
            self.agenda.at(self._numbers_at, lambda: self._misnamed(sending, text))
            return
        except NotSent as error:
            why = str(error)
            self.agenda.at(self._numbers_at, lambda: self._not_sent(sending, why))
            return
        request = self.venue.sign(built, self.account.credential, self._stamp)
        now = max(now, self._numbers_at)
        if not is_lookup(sending.batch.route):
            self._note_cancel(sending, now)
        rtt_s = self.world.ways.rtt_s * self.rng.uniform(0.6, 1.4)
        if self.rng.random() < self.world.ways.unreachable:
            self.fake.trouble.append((now, now + rtt_s))
            self.agenda.at(now + rtt_s / 2, lambda: self._not_sent(sending))
            return
        self.agenda.at(now + rtt_s / 2, lambda: self._arrive(sending, request, now + rtt_s))

    def _ask_numbers(self, request: HttpRequest) -> HttpReply:
        """Answer a directory at once; what waits for it leaves when the reply would be here."""
        now, ways = self.agenda.now, self.world.ways
        self._numbers_at = now + ways.rtt_s
        if self.rng.random() < ways.unreachable:
            self.fake.trouble.append((now, self._numbers_at))
            raise NotSent("unreachable")
        if self.rng.random() < ways.lost:
            self._numbers_at = now + TIMEOUT_S
            self.fake.trouble.append((now, self._numbers_at))
            raise InDoubt("timeout")
        raw = self.fake.serve(request, now)
        self.exchanged.append(Exchanged(now, self._numbers_at, request, raw.status, raw.body))
        return self._reply(request, raw)

    def _misnamed(self, sending: Sending, text: str) -> None:
        said = Judgement(Verdict.REFUSED, reason="bad_symbol", text=text, by_status=True)
        each = dict.fromkeys(sending.batch.refs, said)
        self.lane.answered(sending, each, self.agenda.now, of_each=True)
        self._pump()

    def _note_cancel(self, sending: Sending, now: float) -> None:
        for entry in sending.entries:
            self.first_cancel.setdefault(entry.ref.id, now)

    def _not_sent(self, sending: Sending, why: str = "unreachable") -> None:
        self.lane.not_sent(sending, why, self.agenda.now)
        self._pump()

    def _arrive(self, sending: Sending, request: HttpRequest, back_at: float) -> None:
        now = self.agenda.now
        lost = self.rng.random() < self.world.ways.lost
        if lost and self.rng.random() < 0.5:
            raw = Raw(0, "(it never arrived)")
        else:
            raw = self.fake.serve(request, now)
        if lost:
            gives_up = sending.started + TIMEOUT_S
            self.fake.trouble.append((now, gives_up))
            self.exchanged.append(Exchanged(sending.started, gives_up, request, 0, raw.body))
            self.agenda.at(gives_up, lambda: self._in_doubt(sending, "timeout"))
            return
        self.exchanged.append(
            Exchanged(sending.started, back_at, request, raw.status, raw.body)
        )
        if len(raw.body) > MOST_BODY_BYTES:
            self.agenda.at(back_at, lambda: self._in_doubt(sending, "body_too_large"))
        else:
            self.agenda.at(back_at, lambda: self._answered(sending, request, raw))

    def _in_doubt(self, sending: Sending, why: str) -> None:
        self.lane.in_doubt(sending, why, self.agenda.now)
        self._pump()

    def _answered(self, sending: Sending, request: HttpRequest, raw: Raw) -> None:
        now, reply = self.agenda.now, self._reply(request, raw)
        scrub = self.account.credential.scrub
        said, others = self.hear(self.venue, sending.batch, reply, scrub)
        self.ears.hear(sending, reply, said)
        self.lane.answered(sending, said, now, others)
        self._pump()

    def _reply(self, request: HttpRequest, raw: Raw) -> HttpReply:
        return HttpReply(
            status=raw.status,
            headers=raw.headers,
            json=read_json(raw.body, request.projection),
            text=raw.body[:2000],
            received_at=self.agenda.now,
        )


def _wall(now: float) -> datetime:
    return EPOCH + timedelta(seconds=now)


def venue_of(world: World) -> Venue:
    """Return the product's venue, with what the world's account chooses."""
    plain = all_venues()[world.venue]
    return type(plain)(dict(world.chosen)) if world.chosen else plain


def order_json(ask: Ask) -> dict[str, str]:
    said = {"kind": ask.kind, "ord_type": ask.ord_type, "symbol": ask.symbol}
    return {"id": ask.id, **{name: word for name, word in said.items() if word}}


__all__ = ["ACCOUNT", "START_S", "Exchanged", "OrderRef", "Parts", "Play", "Told"]
