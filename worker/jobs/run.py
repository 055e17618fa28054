"""Runs the jobs of a bundle: ids go in, outcomes come out, each message is let go by itself."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from queue import Empty
from typing import Any

import structlog

from venues.base import Venue
from venues.words import CancelJob, CancelOutcome, OrderRef
from worker.amqp.publisher import NotConfirmed
from worker.contract.job import scope_json
from worker.contract.outcome import rfc_3339, utc_now
from worker.jobs.job_report import Sent, nothing_read, of_scope, wall_time
from worker.jobs.parse import ParsedJob
from worker.jobs.poison import longest_hold_s
from worker.jobs.progress_json import Progress, carried, read_progress, write_progress
from worker.jobs.receipt import receipt_letter, taken_receipt
from worker.jobs.report import Report, log_accepted, log_narrowed
from worker.jobs.runtime import DISOWNED, Runtime
from worker.jobs.submit import (
    Bundle,
    HeldMessage,
    JobDelivery,
    deadline_of,
    fresh_ids,
    looks_first,
)
from worker.lane.submission import STOPPING, Result, ScopeEnd
from worker.orders.forms import expire
from worker.orders.progress import Cohort, cohorts, is_untouched, new_progress
from worker.orders.retry import (
    SHORTEST_COUNTDOWN_S,
    RetryDecision,
    Returned,
    retry_decision,
)
from worker.orders.scope import plan_of
from worker.processes.client import Came, LaneFailed
from worker.settings import Settings

#: Ids whose time is over are asked back at most so often (seconds).
ASK_BACK_EVERY_S = 0.05


class JobRun:
    """One delivery of one job."""

    __slots__ = (
        "_earlier",
        "_found",
        "_progress",
        "_receipt",
        "_report",
        "_runtime",
        "_sent_here",
        "again",
        "attempt",
        "deadline",
        "decision",
        "ended",
        "job",
        "left",
        "message",
        "missing",
        "number",
        "task",
        "until",
    )

    def __init__(self, runtime: Runtime, delivery: JobDelivery) -> None:
        """Prepare.

        Raises:
            ValidationError: what the message carries of earlier tries cannot be read.
        """
        job, submission = delivery.parsed.job, delivery.submission
        progress = read_progress(delivery.progress)
        self._runtime = runtime
        self._progress = progress
        self.message = delivery.message
        self.task = delivery.task
        self.job = _resumed(job, progress) if progress else job
        self.attempt = progress.attempt if progress else 1
        self.number = submission.number if submission else 0  # of its submission; 0: none
        #: So many ids are at their lane; of a scope, which has any number of them, 1.
        self.missing = len(self.job.refs) if self.job.scope is None else 1
        self._sent_here: tuple[float, float] | None = None  # as in `Submission`
        self._found = _Found() if self.job.scope else None
        self.left: Sequence[Returned] = ()
        self.decision: RetryDecision | None = None
        self.again: Future[None] | None = None  # ends when the broker has its retry
        self.ended = False  # its message was let go
        self.deadline = submission.deadline if submission else deadline_of(self.job)
        hold_s = longest_hold_s(
            quarantined=delivery.quarantined,
            attempt=self.attempt,
            most_s=runtime.longest_hold_s,
        )
        #: When its ids are asked back (monotonic seconds), to end or to go back to the broker.
        self.until = min(self.deadline, time.monotonic() + hold_s)
        # Asked for now, as jobs that ask at the same time share one reading.
        self._earlier = runtime.earlier_outcomes(job) if delivery.may_be_started else None
        self._report: Report | None = None
        self._receipt: Future[None] | None = None  # until the broker has it

    @property
    def report(self) -> Report:
        """Where its outcomes go: made with the first one, as thousands of jobs wait."""
        if self._report is None:
            runtime, progress = self._runtime, self._progress
            self._report = Report(
                runtime.publisher,
                self.job,
                progress.counts if progress else {},
                runtime.observer.outcome,
                self._earlier.result if self._earlier else tuple,
                publish_done=runtime.settings.reports_all,
                posted=[receipt] if (receipt := self._receipt) else [],
            )
        return self._report

    def _give_receipt(self, parsed: ParsedJob) -> None:
        """Publish who asked for what; it is not waited for before anything is told."""
        if self.job.scope is None and not self._runtime.settings.receipts_all:
            return
        letter = receipt_letter(taken_receipt(parsed), self.job.trace)
        self._receipt = self._runtime.publisher.publish(letter)
        self._receipt.add_done_callback(self._receipt_confirmed)

    def _receipt_confirmed(self, receipt: Future[None]) -> None:
        if receipt.exception() is None:  # else the job is kept, as its report waits for it
            self._receipt = None

    def begin(self, bundle: Bundle, delivery: JobDelivery) -> None:
        """Say that the job is taken, and have its ids go to their lane if they did not yet."""
        if self._progress is None:
            refused = delivery.parsed.refused
            # A job of no order tests the whole way (`check --deep`).
            if not (self.job.refs or self.job.scope):
                self._runtime.lanes(self.job.account).wait()
            log_accepted(self.job, len(self.job.refs) + len(refused))
            self._give_receipt(delivery.parsed)
            for outcome in refused:
                self.report.refused(outcome, utc_now())
            if self.job.scope:
                log_narrowed(self.job, plan_of(self._venue, self.job.scope).left_out)
        if self.number or not self.missing:
            return
        settings, again = self._runtime.settings, delivery.redelivered
        ids, now = _ids(self.job, self._progress, settings, again), time.monotonic()
        if now >= self.deadline:
            left = [
                Returned(ref, cohort.progress, now, "deadline")
                for cohort in ids
                for ref in cohort.refs()
            ]
            scope = self.job.scope
            end = nothing_read(self._venue, scope, "deadline") if scope else None
            self.take(Came(0, left, end=end))
        else:
            came_at = math.inf if self._progress else delivery.parsed.came_at
            is_begun = bool(self._progress and self._progress.first_sent_at)
            self.number = bundle.submit(delivery, ids, came_at, is_begun=is_begun)

    @property
    def _venue(self) -> Venue:
        return self._runtime.settings.accounts[self.job.account].venue

    def keep_no_ids(self) -> None:
        """Drop the ids, which come back from their lane: thousands of jobs wait meanwhile."""
        if self._earlier is None:
            self.job = replace(self.job, refs=())

    def take(self, came: Came) -> None:
        """Tell what came of some ids; keep those that their lane gives back.

        Raises:
            LaneFailed: the lane did.
        """
        results: LaneFailed | Sequence[Result] = came.what
        if isinstance(results, LaneFailed):
            raise results
        self._sent_here = came.sent or self._sent_here
        if self._found is None:
            self.missing -= len(results)
        elif came.end is not None:
            self.missing, self._found.end = 0, came.end
        left = []
        for result in results:
            if isinstance(result, CancelOutcome):
                self._tell(result)
            else:
                left.append(result)
        if left:
            self.left = [*self.left, *left]

    def _tell(self, outcome: CancelOutcome) -> None:
        """Publish an outcome. An order that a scope found again may have another one now."""
        if self._found is not None:
            before = self._found.told.get(outcome.id)
            self._found.told[outcome.id] = outcome
            if before is not None and before.status is outcome.status:
                return
            if before is not None:
                self.report.counts[before.status] -= 1
        self.report.outcome(outcome, utc_now())

    @property
    def is_untouched(self) -> bool:
        """Say whether this worker stops before anything was asked or told of the job."""
        is_new = self._progress is None and self._found is None and self._report is None
        return is_new and all(
            parked.why == STOPPING and is_untouched(parked.progress) for parked in self.left
        )

    def conclude(self) -> None:
        """Decide on what is left, once all ids are back."""
        now = time.monotonic()
        self.decision = retry_decision(self.left, now, self.deadline)
        end = self._found.end if self._found else None
        if self.decision is None and end and end.goes_on and now < self.deadline:
            self.decision = RetryDecision(SHORTEST_COUNTDOWN_S, end.goes_on)
        if self.decision is None:
            for parked in self.left:
                self._tell(expire(parked.progress).outcome(parked.ref.id))
            self.left = ()
            self._finish()

    def _finish(self) -> None:
        now, monotonic = utc_now(), time.monotonic()
        more = None
        if self._found is not None and self._found.end is not None:
            told = self._found.told.items()
            why = {order_id: outcome.reason or outcome.status for order_id, outcome in told}
            more = of_scope(self.job, self._found.end, why, monotonic, now)
        self.report.finish(self._sent(monotonic, now), now, more)

    def _sent(self, monotonic: float, now: datetime) -> Sent:
        """Return when cancels left, of this try and of earlier ones."""
        known = self._progress
        before = Sent(known.first_sent_at, known.last_sent_at) if known else Sent()
        if self._sent_here is None:
            return before
        return before.joined(Sent(*(wall_time(t, monotonic, now) for t in self._sent_here)))

    def retry_arguments(self, left: Sequence[Returned]) -> dict[str, Any]:
        """Return the arguments of the task that goes on with what is left."""
        sent = self._sent(time.monotonic(), utc_now())
        progress = Progress(
            first_sent_at=sent.first,
            last_sent_at=sent.last,
            accepted_at=self.job.accepted_at,
            deadline=self.job.deadline,
            attempt=self.attempt + 1,
            counts=dict(self.report.counts),
            unknown_fields=self.job.unknown_fields,
            **carried(left),
        )
        return {
            "job": _job_json(self.job, [parked.ref for parked in left]),
            "progress": write_progress(progress),
        }


@dataclass(slots=True)
class _Found:
    """What came of the orders that a scope found, by id, and of the scope itself."""

    told: dict[str, CancelOutcome] = field(default_factory=dict)
    end: ScopeEnd | None = None


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """The broker has the last outcome of a job's try, or the retry that follows it."""

    run: JobRun


class BundleRun:
    """Runs a bundle in one thread. Each job has its own deadline, retry and message."""

    def __init__(
        self, runtime: Runtime, bundle: Bundle, retry: Callable[[JobRun], Future[None]]
    ) -> None:
        """Prepare; `retry` publishes what goes on with a job that has ids left.

        What it returns ends when the broker has it, so that those of many jobs leave together.
        """
        self._bundle = bundle
        self._inbox = bundle.inbox.queue
        self._lanes = runtime.lanes(bundle.account)
        self._runtime = runtime
        self._retry = retry
        self._open = 0
        self._by_number: dict[int, JobRun] = {}
        self._ask_back_at = math.inf
        self._log = structlog.get_logger()
        self.counts: Counter[str] = Counter()
        #: The last retry of a job, and the first fault of ours, if there was any.
        self.retried: RetryDecision | None = None
        self.failed: Exception | None = None
        #: Jobs that the broker keeps, for this worker or another one.
        self.kept = 0

    def run(self) -> None:
        """Run all jobs to their end."""
        try:
            for delivery in self._bundle.deliveries:
                self._begin(delivery)
            self._bundle.hand_in(self._lanes)
            self._bundle.deliveries.clear()
            while self._open:
                self._step()
        finally:
            self._bundle.ended = True

    def _begin(self, delivery: JobDelivery) -> None:
        try:
            run = JobRun(self._runtime, delivery)
        except Exception as error:  # noqa: BLE001 - it costs the others nothing
            self._fail(delivery.message, error)
            return
        self._open += 1
        self._guarded(run, lambda: self._start(run, delivery))

    def _start(self, run: JobRun, delivery: JobDelivery) -> None:
        run.begin(self._bundle, delivery)
        if run.missing and run.number:
            self._by_number[run.number] = run
            run.keep_no_ids()
            self._ask_back_at = min(self._ask_back_at, run.until)
        else:
            self._conclude(run)

    def _step(self) -> None:
        """Wait for what comes next of any job, or until ids are to be asked back."""
        wait_s = self._ask_back_at - time.monotonic()
        try:
            event = self._inbox.get(timeout=max(0.0, wait_s) if wait_s < math.inf else None)
        except Empty:
            self._ask_back()
            return
        if isinstance(event, _Confirmed):
            self._guarded(event.run, lambda: self._settle(event.run))
        elif (run := self._by_number.get(event.number)) is not None:
            self._guarded(run, lambda: self._take(run, event))

    def _ask_back(self) -> None:
        """Withdraw what is late; ids in flight come once each request has ended."""
        now, next_at = time.monotonic(), math.inf
        for run in self._by_number.values():
            if run.until > now:
                next_at = min(next_at, run.until)
            else:
                run.until = math.inf
                why = "deadline" if run.deadline <= now else "held_long"
                self._lanes.withdraw(run.job.account, run.number, why)
        # Not for each by itself: they are looked through each time.
        self._ask_back_at = max(next_at, now + ASK_BACK_EVERY_S)

    def _take(self, run: JobRun, came: Came) -> None:
        if self._bundle.inbox.released == DISOWNED:
            # The connection was lost, and the broker gives the job to the next owner, which
            # publishes all outcomes: two workers would not know the same.
            self._end(run)
            self.kept += 1
            return
        run.take(came)
        if not run.missing:
            self._conclude(run)

    def _conclude(self, run: JobRun) -> None:
        if run.left and run.is_untouched:
            # It goes back as its connection closes. To publish 50,000 such jobs again would
            # take minutes, in which nobody serves their lane.
            self._end(run)
            self.kept += 1
            return
        run.conclude()
        last = run.report.last_posted()
        if last is None:
            self._settle(run)
        else:
            self._settle_after(last, run)

    def _settle_after(self, published: Future[None], run: JobRun) -> None:
        published.add_done_callback(lambda _: self._inbox.put(_Confirmed(run)))

    def _settle(self, run: JobRun) -> None:
        """Let go of a job's message, once the broker has all that takes its place."""
        run.report.settle()
        if run.decision is None:
            run.report.done()
        elif run.again is None:
            run.report.retry(
                len(run.left), run.decision.countdown_s, run.attempt, run.decision.why
            )
            run.again = self._retry(run)
            self._settle_after(run.again, run)
            return
        else:
            run.again.result()
            self.retried = run.decision
        _held(run).acknowledge()
        self.counts.update(run.report.counts)
        self._end(run)

    def _end(self, run: JobRun) -> None:
        if run.ended:
            return
        run.ended = True
        self._open -= 1
        if run.number:
            self._by_number.pop(run.number, None)
            self._lanes.forget(run.number)

    def _guarded(self, run: JobRun, act: Callable[[], None]) -> None:
        """Do something for a job; a fault of ours costs that job alone."""
        try:
            act()
        except NotConfirmed as error:  # the worker stops
            self._end(run)
            self.kept += 1
            run.report.kept(type(error).__name__)
            _held(run).requeue()
        except Exception as error:  # noqa: BLE001 - the others go on
            self._end(run)
            self._fail(run.message, error)

    def _fail(self, message: HeldMessage | None, error: Exception) -> None:
        self.failed = self.failed or error
        self._log.error("job_failed", exc_info=error)
        if message is not None:
            message.dead_letter()


def _held(run: JobRun) -> HeldMessage:
    assert run.message is not None  # noqa: S101 - the consumer gave it
    return run.message


def _resumed(job: CancelJob, progress: Progress) -> CancelJob:
    return replace(
        job,
        accepted_at=progress.accepted_at,
        deadline=progress.deadline,
        unknown_fields=progress.unknown_fields,
    )


def _ids(
    job: CancelJob, progress: Progress | None, settings: Settings, again: bool
) -> list[Cohort]:
    if progress is None:
        return fresh_ids(job, settings, redelivered=again)
    known_orders = progress.orders()
    look = looks_first(job, settings)
    if job.scope is not None:  # its lane finds what else there is
        found = known_orders.values()
        return cohorts((ref, known._replace(sent=known.sent or again)) for ref, known in found)
    orders = (
        known_orders.get(ref.id) or (ref, new_progress(ref, look_first=look))
        for ref in job.refs
    )
    return cohorts((ref, known._replace(sent=known.sent or again)) for ref, known in orders)


def _job_json(job: CancelJob, refs: Sequence[OrderRef]) -> Mapping[str, Any]:
    what: dict[str, Any] = {"orders": [_order_json(ref) for ref in refs]}
    if job.scope is not None:
        what = {"scope": scope_json(job.scope), "hold_s": job.scope.hold_s}
    return {
        "job_id": job.job_id,
        "account": job.account,
        **what,
        "deadline": rfc_3339(job.deadline),
        "reason": job.reason,
        "requested_by": job.requested_by,
        "tags": dict(job.tags),
    }


def _order_json(ref: OrderRef) -> dict[str, str]:
    return {"id": ref.id, "kind": ref.kind, "ord_type": ref.ord_type, "symbol": ref.symbol}
