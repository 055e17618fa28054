"""Jobs as they were delivered, and their ids on the way to their lane.

Those of a new job go there as soon as its message is read, so that no id waits until Celery has
started a task (docs/decisions/0019). The task waits for what comes of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from venues.words import CancelJob, Priority
from worker.contract.outcome import utc_now
from worker.jobs.parse import ParsedJob
from worker.lane.submission import AskedScope, Submission
from worker.orders.progress import Cohort, new_cohorts
from worker.processes.client import Inbox, LaneClient
from worker.settings import Settings


class HeldMessage(Protocol):
    """A message that the broker keeps for this worker. Any thread may let it go, once."""

    def acknowledge(self) -> None:
        """Have the broker forget it: every id of its job has its outcome."""

    def dead_letter(self) -> None:
        """Have the broker move it to `cancel.dead`, for people to look at."""

    def requeue(self) -> None:
        """Give it back: this worker could not finish its job."""


class CeleryTask(NamedTuple):
    """What Celery knows a job by, if a Celery producer sent it, or a worker for a retry."""

    task_id: str = ""
    root_id: str = ""
    retries: int = 0


#: Of a job that is plain JSON.
NO_TASK = CeleryTask()


@dataclass(slots=True, kw_only=True)
class JobDelivery:
    """A job as it was delivered, and its submission once its ids are in their lane."""

    parsed: ParsedJob
    #: How many orders its message names, some perhaps twice.
    orders: int = 0
    task: CeleryTask = NO_TASK
    #: When Celery shall start it, where the broker knows no delays.
    eta: str | None = None
    message: HeldMessage | None = None
    #: What a retry carries (`worker.jobs.progress_json.read_progress`).
    progress: Any = None
    #: Another worker, or this one, had the message before.
    redelivered: bool = False
    #: It was held apart, as many workers died over it.
    quarantined: bool = False
    submission: Submission | None = None

    @property
    def may_be_started(self) -> bool:
        """Whether a request may have been sent for it, or an outcome published."""
        return self.redelivered or self.quarantined or self.progress is not None


def is_due(delivery: JobDelivery) -> bool:
    """Say whether there is something to do for a job, and its time is now."""
    job = delivery.parsed.job
    return bool(job.refs or job.scope) and utc_now() < job.deadline and not delivery.eta


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


def submission_of(job: CancelJob, received_at: float, *, is_begun: bool = False) -> Submission:
    """Return what a job is at its lane; its message came at a time (monotonic seconds)."""
    deadline = deadline_of(job)
    return Submission(
        account=job.account,
        job_id=job.job_id,
        kill=job.priority is Priority.KILL,
        deadline=deadline,
        scope=_asked(job, deadline, is_begun) if job.scope else None,
        received_at=received_at,
        trace=job.trace.get("traceparent", ""),
    )


def _asked(job: CancelJob, deadline: float, is_begun: bool) -> AskedScope:
    assert job.scope is not None  # noqa: S101 - the caller has asked
    accepted_at = deadline - (job.deadline - job.accepted_at).total_seconds()
    return AskedScope(job.scope, accepted_at, is_begun)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Bundle:
    """Jobs of one lane that came together: one task runs them, and each has its own message.

    What comes of their ids is in `inbox`, by submission, also before the task has started.
    """

    account: str
    priority: Priority
    began_at: float  # when its first job was read (monotonic seconds)
    deliveries: list[JobDelivery] = field(default_factory=list)
    inbox: Inbox = field(init=False)
    #: Submissions that are not handed in yet: one message on the pipe carries several.
    waiting: list[tuple[Submission, Sequence[Cohort]]] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        """Have an inbox."""
        self.inbox = Inbox(self.account)

    def submit(
        self,
        delivery: JobDelivery,
        ids: Sequence[Cohort],
        received_at: float,
        *,
        is_begun: bool = False,
    ) -> int:
        """Have a job's ids go to their lane with the next `hand_in`; return their number.

        `is_begun` says that a cancel has left for it before.
        """
        delivery.submission = submission_of(delivery.parsed.job, received_at, is_begun=is_begun)
        self.waiting.append((delivery.submission, ids))
        return delivery.submission.number

    def hand_in(self, lanes: LaneClient, *, more: bool = False) -> None:
        """Hand in the ids that wait for it; `more`: others of the lane are here, and follow."""
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for submission, _ in waiting:
                submission.followed = more
            lanes.submit(waiting, self.inbox)

    def give_up(self, lanes: LaneClient) -> None:
        """Expect nothing more: its messages are the broker's, as the connection is lost."""
        for delivery in self.deliveries:
            if delivery.submission is not None:
                lanes.forget(delivery.submission.number)
