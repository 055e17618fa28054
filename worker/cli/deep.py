"""A test job through each lane: whether a worker takes it, its lane's process answers, and its
outcome comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from uuid import uuid4

from kombu import Connection

from venues.words import Priority
from worker.amqp.topology import lane_queue_name, routing_key
from worker.cli.broker import listening, publish, queue_size

#: An idle worker needs some ms; one that is busy reads a kill before all else.
PATIENCE_S = 5.0


def played(
    connection: Connection, accounts: Iterable[str], timeout_s: float
) -> Iterator[tuple[str, float | None]]:
    """Yield the key of each lane that is served, and after how long its job was answered.

    None: it was not. The job names no order, so no venue hears of it, and it ends as rejected,
    once the process that drives the lane has answered.
    A lane that nobody serves is left out: there the job would wait.
    """
    lanes = {
        routing_key(priority, account): account
        for account in accounts
        for priority in (Priority.KILL, Priority.ROUTINE)
        if (queue_size(connection, lane_queue_name(account, priority)) or (0, 0))[1]
    }
    keys = [f"*.{account}.rejected" for account in dict.fromkeys(lanes.values())]
    with listening(connection, keys) as listener:
        waiting: dict[str, tuple[str, float]] = {}
        for key, account in lanes.items():
            job_id = f"check-{uuid4()}"
            waiting[job_id] = key, time.monotonic()
            publish(connection, key, _job(job_id, account), _properties(job_id), {}, timeout_s)
        for outcome in listener.messages(time.monotonic() + PATIENCE_S if waiting else 0.0):
            if outcome["job_id"] in waiting:
                key, sent_at = waiting.pop(outcome["job_id"])
                yield key, time.monotonic() - sent_at
            if not waiting:
                break
    yield from ((key, None) for key, _ in waiting.values())


def _job(job_id: str, account: str) -> bytes:
    why = {"reason": "a test of the way", "requested_by": "cancel-worker check --deep"}
    return json.dumps({"job_id": job_id, "account": account, "orders": [None], **why}).encode()


def _properties(job_id: str) -> dict[str, str]:
    return {"content_type": "application/json", "message_id": job_id}
