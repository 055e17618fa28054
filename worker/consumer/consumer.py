"""Takes messages off the queues: a cancel job becomes a task where it stands.

Celery reads the class from `worker_consumer`. A plain JSON job is handed to Celery as a task
with the same delivery tag, so acknowledging the task acknowledges the producer's own message.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from celery.bootsteps import RUN
from celery.worker import state
from celery.worker.consumer import Consumer

from worker.consumer.dispatch import Dispatcher
from worker.consumer.settle import Settler
from worker.consumer.task_message import (
    routing_key_of,
    sender_of,
    split_key,
    to_task_message,
)
from worker.consumer.triage import (
    Run,
    Settlement,
    triage,
    triage_copy,
    triage_dead,
    triage_left_out,
    triage_unrouted,
)
from worker.contract.outcome import utc_now
from worker.jobs.poison import allowed_hold_s
from worker.jobs.runtime import Runtime
from worker.jobs.submit import JobDelivery, begin, fresh_ids, is_due

#: At most this many unacknowledged messages of one queue. A canceled id stays until it is
#: proven, and venues are asked for proof more slowly than for cancels: with 192, a thousand
#: one-id jobs took twice the time and a fifth more requests.
MOST_PREFETCH = 1024
LEAST_PREFETCH = 8

_STEPS = [
    step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
]
if len(_STEPS) != len(Consumer.Blueprint.default_steps) - 1:
    raise ImportError(
        "Celery has no step DelayedDelivery any more: see CancelConsumer.Blueprint"
    )


class CancelConsumer(Consumer):
    """Celery's consumer, which looks at each message before Celery does."""

    class Blueprint(Consumer.Blueprint):
        """What is done at each connection, but for the step that would set up delays.

        It does so at every broker of the URL, and blocks for 18 seconds, longer than heartbeats
        may pause, at one that is down: a worker never came back to a cluster that lost a node.
        """

        default_steps = [*_STEPS, "worker.consumer.ownership:Ownership"]

    ownership: Any  # set by that step
    _dispatcher: Dispatcher
    _start_task: Callable[[Any], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Workers have nothing to tell each other, and a greeting would cost a second.
        super().__init__(*args, **{**kwargs, "without_mingle": True, "without_gossip": True})
        self.runtime: Runtime = self.app.runtime
        self._accounts = self.runtime.settings.accounts
        self.initial_prefetch_count = self._prefetch()
        self._keys = itertools.count()
        self._log = structlog.get_logger()
        self._settler = Settler(self.runtime, self._acknowledge, self._dead_letter)

    def _prefetch(self) -> int:
        """Return how many messages of one queue may be here at once.

        A waiting task holds a thread, so all lanes together must fit into the pool: then no
        busy lane can keep another one waiting for a thread.
        """
        queues = 2 * len(self._accounts)
        return int(max(LEAST_PREFETCH, min(MOST_PREFETCH, self.pool.num_processes // queues)))

    def _acknowledge(self, message: Any) -> None:
        self.call_soon_ack(message.ack_log_error, self._log, self.connection_errors)

    def _dead_letter(self, message: Any) -> None:
        self.call_soon_ack(message.reject_log_error, self._log, self.connection_errors)

    # -- start and connection loss -------------------------------------------------------

    def connect(self) -> Any:
        """Connect, with a new dispatcher: what came over another connection is not ours."""
        connection = super().connect()
        is_open = partial(self._is_open, connection)
        self._dispatcher = Dispatcher(self.hub, connection.connection, is_open)
        return connection

    def _is_open(self, connection: Any) -> bool:
        """Say whether what came over a connection is still this worker's."""
        return self.connection is connection and bool(self.blueprint.state == RUN)

    def ensure_connected(self, conn: Any) -> Any:
        """Dial the broker until it answers, with short pauses: no lane moves meanwhile."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2.0
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Stop sending: the broker gives the lanes to another worker now."""
        self.ownership.lose()
        hold_s = allowed_hold_s(exc, self.runtime.longest_hold_s)
        if hold_s < self.runtime.longest_hold_s:
            self._log.error("consumer_timeout_too_short", hold_s=round(hold_s, 1))
            self.runtime.longest_hold_s = hold_s
        super().on_connection_error_after_connected(exc)

    # -- messages ------------------------------------------------------------------------

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return what takes the messages of lanes; called at every connection."""
        self._start_task = super().create_task_handler(*args, **kwargs)
        return self._on_lane_message

    def _on_lane_message(self, message: Any) -> None:
        received_at, accounts = time.monotonic(), self._accounts
        self._read(
            message,
            lambda: (
                triage_copy(message, accounts, self.task_consumer._active_tags)
                or triage(message, accounts, state.revoked, received_at, utc_now())
            ),
        )

    def on_unrouted(self, message: Any) -> None:
        """Take a message that matched no lane."""
        self._read(message, lambda: triage_unrouted(message, self._accounts, utc_now()))

    def on_dead(self, message: Any) -> None:
        """Take a message that the broker gave up."""
        self._read(message, lambda: triage_dead(message, self._accounts, utc_now()))

    def _read(self, message: Any, decide: Callable[[], Run | Settlement]) -> None:
        """Decide on a message when it is its turn, and act."""
        dispatcher, whose = self._dispatcher, split_key(routing_key_of(message))

        def act() -> None:
            decision = triage_left_out(message) or decide()
            if isinstance(decision, Run):
                task_message = self._accept(message, decision)
                dispatcher.start(partial(self._start_task, task_message), *whose)
            else:
                self._settler.settle(message, decision)

        dispatcher.read(act, *whose)

    def _accept(self, message: Any, run: Run) -> Any:
        """Submit the job's ids, if it is due, and return the message of its task."""
        delivery = run.delivery
        sent_by = sender_of(message, self.runtime.user)
        parsed = replace(delivery.parsed, job=replace(delivery.parsed.job, sent_by=sent_by))
        delivery.parsed = parsed
        if parsed.unknown_fields:
            self._log.warning(
                "unknown_fields", job_id=parsed.job.job_id, fields=list(parsed.unknown_fields)
            )
        if is_due(message, parsed) and not delivery.may_be_started:
            self._submit(delivery)
        # A key of our own: a producer may give two messages one id.
        key, embedded = str(next(self._keys)), self.runtime.embedded
        found = to_task_message(message, parsed.job, run.orders, key=key, embedded=embedded)
        self.runtime.deliveries[key] = found.delivery = delivery  # as long as the message lives
        return found

    def _submit(self, delivery: JobDelivery) -> None:
        job, came_at = delivery.parsed.job, delivery.parsed.came_at
        ids = fresh_ids(job, self.runtime.settings, redelivered=False)
        delivery.pending = begin(self.runtime.lanes(job.account), job, ids, came_at)
