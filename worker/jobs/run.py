"""Runs one job through its lane: ids go in, outcomes come out, what is left is returned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import Empty
from typing import Any

from venues.words import CancelJob, CancelOutcome, OrderRef
from worker.contract.outcome import rfc_3339, utc_now
from worker.jobs.poison import longest_hold_s
from worker.jobs.progress_json import Progress, carried, read_progress, write_progress
from worker.jobs.report import Report
from worker.jobs.runtime import DISOWNED, Runtime
from worker.jobs.submit import JobDelivery, begin, deadline_of, fresh_ids, looks_first
from worker.lane.submission import Result
from worker.orders.forms import expire
from worker.orders.progress import Cohort, cohorts, new_progress
from worker.orders.retry import RetryDecision, Returned, retry_decision
from worker.processes.client import LaneFailed, Pending
from worker.settings import Settings


class OwnershipLost(Exception):
    """The connection was lost and with it the job: the broker gives it to the next owner."""


class JobRun:
    """One delivery of one job."""

    def __init__(self, runtime: Runtime, delivery: JobDelivery) -> None:
        """Prepare.

        Raises:
            ValidationError: what the message carries of earlier tries cannot be read.
        """
        job, refused = delivery.parsed.job, delivery.parsed.refused
        progress = read_progress(delivery.progress)
        self.job = _resumed(job, progress) if progress else job
        self.attempt = progress.attempt if progress else 1
        self._came_at = math.inf if progress else delivery.parsed.came_at
        self._pending = delivery.pending
        self._hold_s = longest_hold_s(
            quarantined=delivery.quarantined,
            attempt=self.attempt,
            most_s=runtime.longest_hold_s,
        )
        self.report = Report(
            runtime.publisher,
            self.job,
            progress.counts if progress else {},
            runtime.observer.outcome,
            (lambda: runtime.earlier_outcomes(job).result())
            if delivery.may_be_started
            else tuple,
        )
        self._lanes = runtime.lanes(job.account)
        self._ids = (
            []
            if self._pending
            else _ids(self.job, progress, runtime.settings, delivery.redelivered)
        )
        if progress is None:
            if not job.refs:
                self._lanes.wait()  # a job of no order tests the whole way (`check --deep`)
            self.report.accepted(len(job.refs) + len(refused))
            for outcome in refused:
                self.report.refused(outcome, utc_now())

    def run(self) -> tuple[RetryDecision | None, list[Returned]]:
        """Run the job; return the retry decision and the ids that are left.

        Raises:
            Disowned: the broker gives the job to another worker.
            LaneFailed: a fault of ours; the job goes to `cancel.dead`.
            NotConfirmed: the worker stops, and the broker does not take the outcomes.
        """
        deadline = self._pending.submission.deadline if self._pending else deadline_of(self.job)
        left = self._carry(deadline) if self.job.refs else []
        decision = retry_decision(left, time.monotonic(), deadline)
        if decision is None:
            for parked in left:
                self.report.outcome(expire(parked.progress).outcome(parked.ref.id), utc_now())
        self.report.settle()
        return decision, left

    def _carry(self, deadline: float) -> list[Returned]:
        now = time.monotonic()
        if self._pending is None:
            if now >= deadline:
                return [
                    Returned(ref, cohort.progress, now, "deadline")
                    for cohort in self._ids
                    for ref in cohort.refs()
                ]
            self._pending = begin(self._lanes, self.job, self._ids, self._came_at)
        return self._collect(self._pending, min(deadline, now + self._hold_s))

    def _collect(self, pending: Pending, until: float) -> list[Returned]:
        left: list[Returned] = []
        missing = len(self.job.refs)
        while missing:
            results = self._next(pending, until)
            missing -= len(results)
            if pending.submission.withdrawn == DISOWNED:
                # The next owner publishes all outcomes: two workers would not know the same.
                raise OwnershipLost
            for result in results:
                if isinstance(result, CancelOutcome):
                    self.report.outcome(result, utc_now())
                else:
                    left.append(result)
        return left

    def _next(self, pending: Pending, until: float) -> Sequence[Result]:
        while True:
            # Once the ids are asked back, those in flight still come: each request ends.
            wait_s = (
                None if pending.submission.withdrawn else max(0.0, until - time.monotonic())
            )
            try:
                results = pending.inbox.get(timeout=wait_s)
            except Empty:
                why = (
                    "deadline"
                    if pending.submission.deadline <= time.monotonic()
                    else "held_long"
                )
                self._lanes.withdraw(pending.submission, why)
            else:
                if isinstance(results, LaneFailed):
                    raise results
                return results

    def retry_arguments(self, left: Sequence[Returned]) -> dict[str, Any]:
        """Return the arguments of the task that goes on with what is left."""
        progress = Progress(
            accepted_at=self.job.accepted_at,
            deadline=self.job.deadline,
            attempt=self.attempt + 1,
            counts=dict(self.report.counts),
            **carried(left),
        )
        return {
            "job": _job_json(self.job, [parked.ref for parked in left]),
            "progress": write_progress(progress),
        }


def _earlier(runtime: Runtime, job: CancelJob) -> Sequence[bytes]:
    return runtime.earlier_outcomes(job).result()


def _resumed(job: CancelJob, progress: Progress) -> CancelJob:
    return replace(job, accepted_at=progress.accepted_at, deadline=progress.deadline)


def _ids(
    job: CancelJob, progress: Progress | None, settings: Settings, again: bool
) -> list[Cohort]:
    if progress is None:
        return fresh_ids(job, settings, redelivered=again)
    known_orders = progress.orders()
    look = looks_first(job, settings)
    orders = (
        known_orders.get(ref.id) or (ref, new_progress(ref, look_first=look))
        for ref in job.refs
    )
    return cohorts((ref, known._replace(sent=known.sent or again)) for ref, known in orders)


def _job_json(job: CancelJob, refs: Sequence[OrderRef]) -> Mapping[str, Any]:
    return {
        "job_id": job.job_id,
        "account": job.account,
        "orders": [_order_json(ref) for ref in refs],
        "deadline": rfc_3339(job.deadline),
        "reason": job.reason,
        "requested_by": job.requested_by,
        "tags": dict(job.tags),
    }


def _order_json(ref: OrderRef) -> dict[str, str]:
    return {"id": ref.id, "kind": ref.kind, "ord_type": ref.ord_type, "symbol": ref.symbol}
