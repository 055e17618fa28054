"""The task of this worker: cancel the orders of one job and say what became of each."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject

from worker.amqp.publisher import NotConfirmed
from worker.amqp.topology import lane_queue_name
from worker.consumer.task_message import TASK
from worker.contract.job import Envelope
from worker.contract.outcome import utc_now
from worker.jobs.parse import read_job
from worker.jobs.run import Disowned, Run
from worker.jobs.submit import Reading


@shared_task(
    name=TASK, bind=True, max_retries=None, Request="worker.consumer.request:KeptRequest"
)
def cancel_orders(self: Any, job: Any, progress: Any = None) -> dict[str, int]:
    """Cancel what the job names; return how many ids ended in which status.

    What is run is the job as the consumer read it; `job` is None where its message stays with
    the broker meanwhile.
    """
    runtime = self.app.runtime
    reading = runtime.readings.get(self.request.cancel_reading) or _read(self, job, progress)
    run = Run(runtime, reading)
    try:
        decision, left = run.go()
    except Disowned:
        raise Ignore from None
    except NotConfirmed as error:
        run.report.kept(type(error).__name__)
        raise Reject(error, requeue=True) from None
    if decision is not None:
        run.report.retry(len(left), decision.countdown_s, run.attempt, decision.why)
        raise self.retry(
            kwargs=run.again(left),
            countdown=decision.countdown_s,
            queue=lane_queue_name(run.job.account, run.job.priority),
            headers=dict(run.job.trace),
        )
    run.report.done(utc_now())
    return dict(run.report.counts)


def _read(task: Any, job: Any, progress: Any) -> Reading:
    """Read a job once more: only should Celery keep a message no longer than till here.

    It counts as one that somebody had before.

    Raises:
        InvalidJob: the message does not hold it; the broker has it and buries it.
    """
    request, accounts = task.request, task.app.runtime.settings.accounts
    headers = {key: getattr(request, key, None) for key in ("traceparent", "tracestate")}
    envelope = Envelope(priority=request.cancel_priority, account="", headers=headers)
    intake = read_job(job, envelope, accounts, utc_now())
    return Reading(intake=intake, progress=progress, again=True)
