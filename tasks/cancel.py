"""The task of this worker: cancel the orders of some jobs and say what became of each."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Retry

from worker.amqp.task_producer import TaskProducer
from worker.amqp.topology import lane_queue_name
from worker.consumer.task_message import TASK
from worker.contract.job import SENT_BY_HEADER
from worker.jobs.run import BundleRun, JobRun


@shared_task(
    name=TASK, bind=True, max_retries=None, Request="worker.consumer.request:KeptRequest"
)
def cancel_orders(self: Any, **_: Any) -> dict[str, int]:
    """Cancel what the jobs of a bundle name; return how many ids ended in which status.

    The consumer has read the arguments `job` and `progress` of each; the task finds what it
    read. What Celery does at the end is for who watches: each job's message was let go by then.
    """
    runtime = self.app.runtime
    bundle = runtime.bundles[self.request.cancel_bundle]
    jobs = len(bundle.deliveries)
    run = BundleRun(
        runtime, bundle, partial(_retry, self, self.request.id if jobs == 1 else None)
    )
    run.run()
    if run.failed is not None:
        raise run.failed
    if run.kept == jobs:
        raise Ignore
    if run.retried is not None and jobs == 1:
        raise Retry(when=run.retried.countdown_s)
    return dict(run.counts)


def _retry(task: Any, alone_as: str | None, run: JobRun) -> Future[None]:
    """Publish the task that goes on with what is left of a job, under the id it is known by."""
    runtime, job, known = task.app.runtime, run.job, run.task
    assert run.decision is not None  # noqa: S101 - that is why it is called
    producer = TaskProducer(task.app.pool.connection, runtime.forwarder)
    task.apply_async(
        kwargs=run.retry_arguments(run.left),
        task_id=known.task_id or alone_as,
        root_id=known.root_id or known.task_id or alone_as,
        retries=known.retries + 1,
        countdown=run.decision.countdown_s,
        queue=lane_queue_name(job.account, job.priority),
        headers={**job.trace, SENT_BY_HEADER: job.sent_by},
        **({"user_id": runtime.user} if runtime.user else {}),
        producer=producer,
    )
    return producer.published
