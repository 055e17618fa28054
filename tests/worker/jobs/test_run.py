"""A bundle's run: when it lets go of a job's message."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from kombu import Connection

from tests.worker.jobs.test_waiting import DESK, SETTINGS, read, swallow
from venues.words import Priority
from worker.jobs.run import BundleRun, JobRun
from worker.jobs.runtime import Runtime
from worker.jobs.submit import Bundle, fresh_ids
from worker.orders.retry import Returned
from worker.processes.client import Came
from worker.processes.client import start as start_lanes


class Message:
    """A message of the broker's, which notes how it was let go."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def acknowledge(self) -> None:
        self.said.append("acknowledge")

    def dead_letter(self) -> None:
        self.said.append("dead_letter")

    def requeue(self) -> None:
        self.said.append("requeue")


def test_a_message_is_let_go_only_when_the_broker_has_the_retry_in_its_place() -> None:
    """A worker may be killed in between; what lies nowhere then is lost."""
    lanes = start_lanes(SETTINGS.accounts, swallow, processes=1)[DESK]
    runtime = Runtime(SETTINGS, lambda: Connection("memory://"), {DESK: lanes})
    bundle, message = Bundle(DESK, Priority.ROUTINE, 0.0), Message()
    delivery = read(0)
    delivery.message = message
    (cohort,) = fresh_ids(delivery.parsed.job, SETTINGS, redelivered=False)
    number = bundle.submit(delivery, [cohort], delivery.parsed.came_at)
    bundle.deliveries.append(delivery)
    bundle.hand_in(lanes)
    published: list[JobRun] = []
    confirm: Future[None] = Future()

    def publish(run: JobRun) -> Future[None]:
        published.append(run)
        return confirm

    task = threading.Thread(target=BundleRun(runtime, bundle, publish).run, daemon=True)
    task.start()
    begun = cohort.progress._replace(attempts=1, sent=True)
    (ref,) = cohort.refs()
    bundle.inbox.queue.put(Came(number, (Returned(ref, begun, 0.0, "stopping"),)))
    give_up = time.monotonic() + 10
    while not published:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    task.join(0.2)
    assert task.is_alive()
    assert message.said == []

    confirm.set_result(None)
    task.join(10)
    assert message.said == ["acknowledge"]
    lanes.close()
