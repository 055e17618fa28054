"""The task of this worker: cancel the orders of one job and say what became of each."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject

from worker.amqp.publisher import NotConfirmed
from worker.amqp.topology import lane_queue_name
from worker.consumer.task_message import TASK
from worker.contract.job import SENT_BY_HEADER
from worker.contract.outcome import utc_now
from worker.jobs.run import JobRun, OwnershipLost


@shared_task(
    name=TASK, bind=True, max_retries=None, Request="worker.consumer.request:KeptRequest"
)
def cancel_orders(self: Any, **_: Any) -> dict[str, int]:
    """Cancel what a job names; return how many ids ended in which status.

    The consumer has read the arguments `job` and `progress`; the task finds what it read.
    """
    runtime = self.app.runtime
    run = JobRun(runtime, runtime.deliveries[self.request.cancel_delivery])
    try:
        decision, left = run.run()
    except OwnershipLost:
        raise Ignore from None
    except NotConfirmed as error:
        run.report.kept(type(error).__name__)
        raise Reject(error, requeue=True) from None
    if decision is not None:
        run.report.retry(len(left), decision.countdown_s, run.attempt, decision.why)
        raise self.retry(
            kwargs=run.retry_arguments(left),
            countdown=decision.countdown_s,
            queue=lane_queue_name(run.job.account, run.job.priority),
            headers={**run.job.trace, SENT_BY_HEADER: run.job.sent_by},
            **({"user_id": runtime.user} if runtime.user else {}),
        )
    run.report.done(utc_now())
    return dict(run.report.counts)
