"""Hands a job's ids to its lane; those of a new job as soon as its message is read.

So no id waits until Celery has started its task (docs/decisions/0019). The task waits for what
comes of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from venues.words import CancelJob, Priority
from worker.contract.outcome import utc_now
from worker.jobs.parse import ParsedJob
from worker.jobs.poison import past_of
from worker.lane.submission import Submission
from worker.orders.progress import Cohort, new_cohorts
from worker.processes.client import LaneClient, Pending
from worker.settings import Settings


@dataclass(slots=True, weakref_slot=True, kw_only=True)
class JobDelivery:
    """A job as it was delivered, and its submission once its ids are in their lane."""

    parsed: ParsedJob
    #: What a retry carries (`worker.jobs.progress_json.read_progress`).
    progress: Any = None
    #: Another worker, or this one, had the message before.
    redelivered: bool = False
    #: It was held apart, as many workers died over it.
    quarantined: bool = False
    pending: Pending | None = None

    @property
    def may_be_started(self) -> bool:
        """Whether a request may have been sent for it, or an outcome published."""
        return self.redelivered or self.quarantined or self.progress is not None


def read(message: Any, parsed: ParsedJob, progress: Any) -> JobDelivery:
    """Return what is known of a job and its message."""
    return JobDelivery(
        parsed=parsed,
        progress=progress,
        redelivered=bool(message.delivery_info.get("redelivered")),
        quarantined=past_of(message.headers, message.delivery_info).quarantines > 0,
    )


def is_due(message: Any, parsed: ParsedJob) -> bool:
    """Say whether there is something to do for a job, and its time is now."""
    late = utc_now() >= parsed.job.deadline
    return bool(parsed.job.refs) and not late and not message.headers.get("eta")


def fresh_ids(job: CancelJob, settings: Settings, *, redelivered: bool) -> list[Cohort]:
    """Return a new job's cohorts; `redelivered`: cancels may have been sent."""
    return new_cohorts(job.refs, look_first=looks_first(job, settings), sent=redelivered)


def looks_first(job: CancelJob, settings: Settings) -> bool:
    """Say whether its orders are looked for before they are canceled."""
    venue = settings.accounts[job.account].venue
    return venue.forgets_canceled and job.priority is Priority.ROUTINE


def deadline_of(job: CancelJob) -> float:
    """Return its deadline by this process's own clock (monotonic seconds)."""
    return time.monotonic() + (job.deadline - utc_now()).total_seconds()


def begin(
    lanes: LaneClient, job: CancelJob, ids: Sequence[Cohort], received_at: float
) -> Pending:
    """Hand in the ids of a job whose message came at a time (monotonic seconds)."""
    submission = Submission(
        account=job.account,
        job_id=job.job_id,
        kill=job.priority is Priority.KILL,
        deadline=deadline_of(job),
        received_at=received_at,
        trace=job.trace.get("traceparent", ""),
    )
    return lanes.submit(submission, ids)
