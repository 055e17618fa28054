"""One run: producers, broker, two workers one after the other, and the network to the venue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from structlog.testing import capture_logs

from tests.simulation.agenda import Agenda
from tests.simulation.desk import Desk, Run, make_worker
from tests.simulation.door import Door
from tests.simulation.exchange import Exchange
from tests.simulation.laws import LawBroken
from tests.simulation.letters import Letter, letters
from tests.simulation.scenario import START_S, Ending, Fault, Scenario, SimJob
from tests.simulation.truth import Truth
from venues.base import HttpReply, Verdict
from venues.words import CancelOutcome, Evidence, OrderRef, Purpose
from worker.jobs.submit import fresh_ids
from worker.lane.holds import LATE_S, Load
from worker.lane.lane import Lane, Sending
from worker.lane.standing import MOST_REFUSALS, SHORTEST_PAUSE_S
from worker.lane.submission import Result
from worker.orders.follow import expire, is_served
from worker.orders.judge import hear
from worker.orders.progress import Cohort, cohorts
from worker.orders.quiet import quiet_asked_s
from worker.orders.retry import SHORTEST_COUNTDOWN_S, Returned, retry_decision
from worker.pacing.pace import NEVER, Pace

#: A run that takes more events than this turns in a circle.
MOST_EVENTS = 60_000
#: For so long after an outcome the book may not contradict it, in seconds.
AFTER_S = 10.0
#: How long a worker takes to read an id of a job, in seconds.
READ_S = 0.002


class World:
    """All of one scenario; `run` lets it happen."""

    def __init__(
        self,
        scenario: Scenario,
        pace_kind: type[Pace] = Pace,
        lane_kind: type[Lane] = Lane,
    ) -> None:
        self.scenario = scenario
        self.agenda = Agenda(START_S)
        self.exchange = Exchange(scenario, Random(scenario.seed + 1))
        self.truth = Truth(scenario, self.exchange)
        self.letters = letters(scenario)
        self.door = Door(scenario)
        self._heard: set[str] = set()  # what the log may hold of replies
        self.requests = 0
        #: When each id of a job first left in a cancel.
        self.first_cancels: dict[tuple[str, OrderRef], float] = {}
        self._kinds = (pace_kind, lane_kind)
        self._rng = Random(scenario.seed + 2)
        self._load = Load()
        self._late = _reading_late(scenario)
        self._desks = self._worker()
        self._at_broker: list[Callable[[], None]] = []
        self._retried: set[str] = set()  # jobs whose first message was let go
        self._last_arrival = START_S

    # -- the two workers -----------------------------------------------------------------

    def _worker(self) -> dict[str, Desk]:
        return make_worker(self.scenario, *self._kinds, self._rng, self._load)

    def run(self) -> World:
        """Let everything happen and check what is left at the end."""
        for letter in self.letters:
            self.agenda.at(letter.arrives, partial(self._receive, letter))
        for when in self.scenario.late:
            self.agenda.at(when, partial(self._load.note_lateness, 2 * LATE_S, when))
        for when in self.scenario.probes:
            self.agenda.at(when, self._probe)
        if self.scenario.hand_over:
            self.agenda.at(self.scenario.hand_over[0], self._end_first_worker)
        with capture_logs() as lines:
            if not self.agenda.run(MOST_EVENTS):
                raise LawBroken("progress", "it turns in a circle", self.agenda.now)
        self.truth.all_answered(self.scenario.jobs, self.agenda.now)
        self.door.all_told(self.letters, self.truth.told_twice, self.agenda.now)
        self.door.check_secrets(lines, self._heard, self.agenda.now)
        return self

    def _probe(self) -> None:
        """Look at every lane at a time of nobody's choosing."""
        now = self.agenda.now
        for desk in self._desks.values():
            if desk.runs and not (desk.dead or desk.stopped):
                if desk.lane.next_at(now) < min(desk.wakes_at, now):
                    raise LawBroken("progress", f"asleep until {desk.wakes_at:.6f}", now)
                desk.watch.at_rest(now)

    def _end_first_worker(self) -> None:
        _, starts, ending = self.scenario.hand_over or (0, 0.0, Ending.KILLED)
        now = self.agenda.now
        lost: list[Run] = []
        for desk in self._desks.values():
            lost += self._end_desk(desk, ending, now)
        # A new owner cannot know what the old one's last requests will meet on their way.
        starts = max(starts, self._last_arrival)
        old, self._desks = self._desks, {}
        for run in sorted(lost, key=lambda run: run.job.job_id):
            self.truth.told_twice.add(run.job.job_id)
            self._at_broker.append(partial(self._redeliver, run.job, run.cohorts))
        self.agenda.at(starts, self._start_second_worker)
        for desk in old.values():
            self._settle(desk)

    def _end_desk(self, desk: Desk, ending: Ending, now: float) -> list[Run]:
        """End one lane; return the deliveries that the broker will make once more."""
        desk.stopped = True
        if ending is Ending.STOPPED:
            desk.lane.withdraw_all("stopping", now)
            return []
        if ending is Ending.DISOWNED:
            lost = list(desk.runs)
            desk.lane.withdraw_all("disowned", now)
            return lost
        desk.dead = True
        return list(desk.runs)

    def _start_second_worker(self) -> None:
        now = self.agenda.now
        self.exchange.change_owner(now)
        self._desks = self._worker()
        for desk in self._desks.values():
            desk.lane.assume_spent(now)
            for ledger in desk.watch.ledgers.values():
                ledger.blind_until = now + 2 * ledger.quota.window_s
        waiting, self._at_broker = self._at_broker, []
        for deliver in waiting:
            deliver()

    # -- the broker and the tasks --------------------------------------------------------

    def _receive(self, letter: Letter) -> None:
        """Give a message to the worker that is there."""
        if not self._desks:
            self._at_broker.append(partial(self._receive, letter))
            return
        delivery = self.door.take(letter, self.agenda.now)
        if letter.name in self.door.expired:
            self.truth.expired.add(letter.name)
        if delivery is not None and letter.job is not None:
            ids = fresh_ids(delivery.parsed.job, self.door.settings, redelivered=False)
            self._deliver(letter.job, ids)

    def _redeliver(self, job: SimJob, ids: list[Cohort]) -> None:
        """Give a job to another worker once more; its first message is read anew."""
        if job.job_id not in self._retried:
            letter = next(letter for letter in self.letters if letter.job is job)
            self.door.take(letter, self.agenda.now, again=True)
        self._deliver(job, ids)

    def _deliver(self, job: SimJob, ids: list[Cohort]) -> None:
        """Give a job to the worker that owns its lane."""
        now = self.agenda.now
        if not self._desks:
            self._at_broker.append(partial(self._deliver, job, ids))
            return
        desk = self._desks[job.account]
        refs = [(ref, cohort.progress) for cohort in ids for ref in cohort.refs()]
        late_s, followed = self._read_late()
        run = Run(
            account=job.account,
            job_id=job.job_id,
            kill=job.kill,
            deadline=job.deadline,
            received_at=now - READ_S * len(refs) - late_s,
            followed=followed,
            job=job,
            desk=desk,
            cohorts=ids,
            refs={ref.id: ref for ref, _ in refs},
            waiting=len(refs),
        )
        if now >= job.deadline:
            run.left = [Returned(ref, progress, now, "deadline") for ref, progress in refs]
            self._end_run(run)
            return
        desk.runs[run] = None
        desk.lane.add(run, ids, now)
        self.agenda.at(job.deadline, lambda: self._at_deadline(run))
        self._pump(desk)

    def _read_late(self) -> tuple[float, bool]:
        """Return by how much the worker is late with a job (s), and whether it has others."""
        rng = self._late
        return (rng.choice((0.0, 0.03, 0.3)), rng.random() < 0.5) if rng else (0.0, False)

    def _at_deadline(self, run: Run) -> None:
        if run in run.desk.runs and not run.withdrawn and not run.desk.dead:
            run.desk.lane.withdraw(run, "deadline", self.agenda.now)
            self._pump(run.desk)

    def _take(self, run: Run, result: Result) -> None:
        if isinstance(result, CancelOutcome):
            self._tell(run.job, run.refs[result.id], result)
        else:
            run.left.append(result)
        run.waiting -= 1
        if run.waiting == 0:
            run.desk.runs.pop(run, None)
            self._end_run(run)

    def _tell(self, job: SimJob, ref: OrderRef, outcome: CancelOutcome) -> None:
        """Check an outcome now, and what claims knowledge until some seconds later."""
        self.truth.answered(job, ref, outcome, self.agenda.now)
        self.door.outcome(job.job_id, outcome, self.agenda.now)
        if outcome.evidence is not Evidence.NONE and outcome.reason != "still_open":
            until = self.agenda.now + AFTER_S
            self.agenda.at(until, lambda: self.truth.check(job, ref, outcome, until))

    def _end_run(self, run: Run) -> None:
        now, job = self.agenda.now, run.job
        if any(parked.why == "disowned" for parked in run.left):
            return
        decision = retry_decision(run.left, now, job.deadline)
        if decision is None:
            for parked in run.left:
                word = expire(parked.progress).outcome(parked.ref.id)
                self._tell(job, parked.ref, word)
            self.door.finish(job.job_id, now)
            return
        again_at = now + decision.countdown_s
        earliest = max(parked.not_before for parked in run.left)
        if decision.countdown_s < SHORTEST_COUNTDOWN_S or again_at < min(
            earliest, job.deadline
        ):
            raise LawBroken("retry", f"goes again after {decision.countdown_s} s", now)
        ids = cohorts(
            (parked.ref, parked.progress._replace(settled_at=0.0)) for parked in run.left
        )
        self._retried.add(job.job_id)
        self.agenda.at(again_at, lambda: self._deliver(job, ids))

    # -- the lane and the network --------------------------------------------------------

    def _pump(self, desk: Desk) -> None:
        """Let leave what may, here and where tokens of the address are shared."""
        self._let_leave(desk)
        if any(quota.scope == "address" for quota in self.scenario.quotas.values()):
            for other in self._desks.values():
                if other is not desk:
                    self._let_leave(other)

    def _let_leave(self, desk: Desk) -> None:
        now = self.agenda.now
        while not desk.stopped and self._send_one(desk, now):
            pass
        self._settle(desk)
        if desk.stopped:
            return
        desk.watch.at_rest(now)
        wakes_at = desk.lane.quiet_until
        if wakes_at <= now:
            raise LawBroken("progress", "it wakes again and again", now)
        if not desk.runs:  # an account whose key is refused is asked for ever
            wakes_at = NEVER
        if wakes_at != NEVER and wakes_at != desk.wakes_at:
            self.agenda.at(wakes_at, lambda: self._wake(desk, wakes_at))
        desk.wakes_at = wakes_at

    def _wake(self, desk: Desk, when: float) -> None:
        if desk.wakes_at == when and not desk.stopped:
            desk.wakes_at = NEVER
            self._pump(desk)

    def _send_one(self, desk: Desk, now: float) -> bool:
        sending = desk.lane.next(now)
        if sending is None:
            return False
        desk.watch.before_send(sending, now)
        self._depart(desk, sending, now)
        return True

    def _settle(self, desk: Desk) -> None:
        for run, result in desk.lane.take_results():
            assert isinstance(run, Run)
            if not desk.dead:
                self._take(run, result)

    def _depart(self, desk: Desk, sending: Sending, now: float) -> None:
        self.requests += 1
        fault = self._fault()
        rtt_s = self._rng.uniform(*self.scenario.rtt_s)
        up_s = rtt_s * self._rng.random()
        if sending.batch.route.purpose is Purpose.CANCEL:
            self._note_cancel(sending, fault, now)
        if fault is Fault.NOT_SENT:
            self.agenda.at(
                now + up_s, lambda: self._failed(desk, sending, "unreachable", fault)
            )
        elif fault is Fault.LOST:
            waits_s = self._rng.choice((rtt_s, self.scenario.timeout_s))
            self.agenda.at(now + waits_s, lambda: self._failed(desk, sending, "timeout", fault))
        else:
            self._last_arrival = max(self._last_arrival, now + up_s)
            self.agenda.at(now + up_s, lambda: self._arrive(desk, sending, fault, now + rtt_s))

    def _fault(self) -> Fault:
        point = self._rng.random()
        for fault, share in self.scenario.faults.items():
            point -= share
            if point < 0:
                return fault
        return Fault.NONE

    def _note_cancel(self, sending: Sending, fault: Fault, now: float) -> None:
        for entry in sending.entries:
            self.truth.sent(entry.ref, now)
            for run in entry.owners:
                assert isinstance(run, Run)
                key = (run.job.job_id, entry.ref)
                self.first_cancels.setdefault(key, now)
                if fault is not Fault.NOT_SENT:
                    self.truth.tried.add(entry.ref)

    def _arrive(self, desk: Desk, sending: Sending, fault: Fault, replies_at: float) -> None:
        now = self.agenda.now
        reply = self.exchange.serve(desk.account, sending.batch, fault, now)
        self._note_taken(sending)
        if fault is Fault.UNANSWERED:
            gives_up = sending.started + self.scenario.timeout_s
            self.agenda.at(gives_up, lambda: self._failed(desk, sending, "timeout", fault))
        else:
            self.agenda.at(replies_at, lambda: self._answered(desk, sending, reply))

    def _note_taken(self, sending: Sending) -> None:
        for entry in sending.entries:
            if entry.ref in self.exchange.taken:
                for run in entry.owners:
                    assert isinstance(run, Run)
                    self.truth.took.add((run.job.job_id, entry.ref))

    def _failed(self, desk: Desk, sending: Sending, why: str, fault: Fault) -> None:
        if desk.dead:
            return
        now = self.agenda.now
        desk.watch.landed(sending, now)
        if fault is Fault.NOT_SENT:
            desk.lane.not_sent(sending, why, now)
        else:
            desk.lane.in_doubt(sending, why, now)
        self._pump(desk)

    def _answered(self, desk: Desk, sending: Sending, reply: HttpReply) -> None:
        if desk.dead:
            return
        now = self.agenda.now
        desk.watch.landed(sending, now)
        scrub = self.door.settings.accounts[desk.account].credential.scrub
        said, others = hear(self.scenario.venue, sending.batch, reply, scrub)
        heard = (*said.values(), *others.values())
        self._heard.update(f"{word.venue_code} {word.text} {word.symbol}" for word in heard)
        verdicts = {judgement.verdict for judgement in said.values()}
        if verdicts & {Verdict.THROTTLED, Verdict.BANNED}:
            self._pause(desk, sending, reply, banned=Verdict.BANNED in verdicts)
        elif any(judgement.barred for judgement in said.values()):
            desk.lane.pause(now, None, why=f"http_{reply.status}")
            desk.watch.quiet_until = max(desk.watch.quiet_until, now + SHORTEST_PAUSE_S)
        if Verdict.HALT in verdicts:
            desk.watch.refused(sending, now)
            if desk.watch.refusals >= MOST_REFUSALS:
                self.truth.halted.add(desk.account)
            desk.lane.refused(sending, "permission", now)
        elif any(is_served(judgement) for judgement in said.values()):
            desk.watch.served(sending)
        desk.lane.answered(sending, said, now, others)
        self._pump(desk)

    def _pause(self, desk: Desk, sending: Sending, reply: HttpReply, *, banned: bool) -> None:
        now = self.agenda.now
        asked_s = quiet_asked_s(self.scenario.venue.quiet, reply)
        desk.lane.pause(now, asked_s, banned=banned)
        quiet_s = max(SHORTEST_PAUSE_S, asked_s or 0.0)
        desk.watch.quiet_until = max(desk.watch.quiet_until, now + quiet_s)
        for owner in sending.owners():
            desk.lane.withdraw(owner, "banned" if banned else "throttled", now)


def _reading_late(scenario: Scenario) -> Random | None:
    """Return what draws how late a worker is with its jobs; None: it is never late.

    So it is in each fourth world, but a calm one, whose bound is for one that keeps up.
    """
    rng = Random(f"reading late {scenario.seed}")
    return rng if rng.random() < 0.25 and not scenario.calm else None
