"""What a job costs while it waits in a worker: the heap of both processes."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NoReturn

from kombu import Connection

from tests.support.lane import lane_of
from tests.support.messages import ACCOUNTS, VENUE, delivered
from venues.words import Priority
from worker.consumer.intake import Bounds, LaneIntake, Load
from worker.consumer.lane_message import LaneMessage, Source
from worker.consumer.triage import Run, triage
from worker.contract.outcome import utc_now
from worker.jobs.run import BundleRun
from worker.jobs.runtime import DISOWNED, Runtime
from worker.jobs.submit import Bundle, JobDelivery, fresh_ids, submission_of
from worker.lane.submission import Submission
from worker.orders.progress import Cohort
from worker.processes.client import Came, LaneClient
from worker.processes.client import start as start_lanes
from worker.processes.protocol import Close, Command, Event, Pipe
from worker.settings import Account, Settings

JOBS = 2000
NUMBERS = range(1000, 1000 + JOBS)  # small ones cost nothing
DESK = "desk-1"
#: Of both processes for each job of one id. The must is 2 KiB (`python -m tests.bench --only
#: memory-1`), of which a part is what allocators keep and what passes by.
MOST_BYTES = 1700

SETTINGS = Settings(broker_url="memory://", accounts=ACCOUNTS)


def swallow(pipe: Pipe[Event, Command], _: Mapping[str, Account]) -> NoReturn:
    """Be a lane process that takes all and answers nothing."""
    while not isinstance(pipe.receive(), Close | None):
        pass
    os._exit(0)


def read(number: int) -> JobDelivery:
    """Return a job of one id as the consumer reads it."""
    order_id = str(33_308_750_270_000_000 + number)
    order = {"id": order_id, "ord_type": "limit"}
    job = {"job_id": f"job-{order_id}", "account": DESK, "symbol": "BTC", "orders": [order]}
    run = triage(delivered(job), ACCOUNTS, (), time.monotonic(), utc_now())
    assert isinstance(run, Run)
    return run.delivery


@contextmanager
def counted(found: list[float]) -> Iterator[None]:
    """Count the bytes that are on the heap afterwards, and were not before, for each job."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0] / JOBS)
    finally:
        tracemalloc.stop()


def read_into(bundle: Bundle, lanes: LaneClient) -> None:
    """Read all jobs, and have their ids go to the lane."""
    intake = LaneIntake(JOBS, Bounds(JOBS, 1 << 30, 1), Load())
    source = Source(intake, "consumer", None, lambda _, act: act())
    for number in NUMBERS:
        delivery = read(number)
        delivery.message = LaneMessage(source, 1, 150, number)
        ids = fresh_ids(delivery.parsed.job, SETTINGS, redelivered=False)
        bundle.submit(delivery, ids, delivery.parsed.came_at)
        bundle.deliveries.append(delivery)
        if number % 16 == 0:
            bundle.hand_in(lanes)


def test_a_job_of_one_id_that_waits_costs_little() -> None:
    lanes = start_lanes(ACCOUNTS, swallow, processes=1)[DESK]
    runtime = Runtime(SETTINGS, lambda: Connection("memory://"), {DESK: lanes})
    bundle = Bundle(DESK, Priority.ROUTINE, 0.0)
    run = BundleRun(runtime, bundle, lambda _: Future())
    task = threading.Thread(target=run.run, daemon=True)
    bytes_each: list[float] = []
    read(0)  # what is worked out once
    with counted(bytes_each):
        read_into(bundle, lanes)
        task.start()
        while bundle.deliveries:
            time.sleep(0.01)
    numbers = list(lanes._pending)
    bundle.inbox.released = DISOWNED
    for number in numbers:
        bundle.inbox.queue.put(Came(number, ()))
    task.join(10)
    lanes.close()
    lane = lane_of({}, VENUE)
    with counted(bytes_each):
        for number in NUMBERS:
            lane.add(*handed_over(number), 1.0)

    assert len(numbers) == JOBS
    assert run.kept == JOBS
    assert sum(bytes_each) <= MOST_BYTES, bytes_each


def handed_over(number: int) -> tuple[Submission, list[Cohort]]:
    """Return a job as its lane process takes it off the pipe."""
    delivery = read(number)
    submission = submission_of(delivery.parsed.job, delivery.parsed.came_at)
    ids = fresh_ids(delivery.parsed.job, SETTINGS, redelivered=False)
    found: tuple[Submission, list[Cohort]] = pickle.loads(pickle.dumps((submission, ids), 5))
    return found
