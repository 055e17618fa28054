"""Takes messages off the queues: a cancel job becomes a task where it stands.

Celery reads the class from `worker_consumer`. A plain JSON job is handed to Celery as a task
with the same delivery tag, so acknowledging the task acknowledges the producer's own message.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from celery.bootsteps import RUN
from celery.worker import state
from celery.worker.consumer import Consumer

from venues.words import CancelJob, Priority
from worker.consumer.bundles import Bundles, LaneKey
from worker.consumer.dispatch import Dispatcher
from worker.consumer.intake import Bounds, LaneIntake, Load
from worker.consumer.lane_message import LaneMessage, Source
from worker.consumer.settle import Settler
from worker.consumer.task_message import (
    routing_key_of,
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
from worker.jobs.submit import Bundle, JobDelivery, fresh_ids, is_due

#: Messages of all lanes that may be on their way to here, and of each lane at least: a kill
#: waits behind them (`worker.consumer.intake`).
MOST_ON_THE_WAY = 2048
LEAST_PREFETCH = 256
#: Submissions of a lane that go to it together at most, but for the first one, which waits for
#: no other.
MOST_TOGETHER = 16

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
    _intakes: dict[LaneKey, LaneIntake]
    _sources: dict[LaneKey, Source]  # of the newest consumer of each lane
    _start_task: Callable[[Any], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Workers have nothing to tell each other, and a greeting would cost a second.
        super().__init__(*args, **{**kwargs, "without_mingle": True, "without_gossip": True})
        self.runtime: Runtime = self.app.runtime
        self._accounts = self.runtime.settings.accounts
        self.initial_prefetch_count = self._prefetch()
        self._keys = itertools.count()
        self._log = structlog.get_logger()
        self._ended: deque[tuple[LaneMessage, Callable[[], None]]] = deque()
        self._settles = False  # the event loop will do so
        self._bundles = Bundles(self._start_bundle)
        self._settler = Settler(self.runtime, self._acknowledge, self._dead_letter)

    def _prefetch(self) -> int:
        """Return how many messages of one queue may be handed to one consumer."""
        queues = 2 * len(self._accounts)
        return int(max(LEAST_PREFETCH, MOST_ON_THE_WAY // queues))

    def _acknowledge(self, message: Any) -> None:
        self.call_soon_ack(message.ack_log_error, self._log, self.connection_errors)

    def _dead_letter(self, message: Any) -> None:
        self.call_soon_ack(message.reject_log_error, self._log, self.connection_errors)

    # -- what is here --------------------------------------------------------------------

    def _new_intakes(self) -> dict[LaneKey, LaneIntake]:
        """Return the count of each lane, of which none has a message yet."""
        runtime, settings, found = self.runtime, self.runtime.settings, {}
        for process in runtime.processes():
            accounts = [name for name in self._accounts if runtime.lanes(name) is process]
            for priority in Priority:
                bounds = Bounds(settings.held_ids, settings.held_bytes, len(accounts))
                of_all = Load()
                for name in accounts:
                    intake = LaneIntake(self.initial_prefetch_count, bounds, of_all)
                    found[name, priority] = intake
        return found

    def _hold(self, message: Any, job: CancelJob) -> LaneMessage:
        """Return what is kept of a job's message, and count it."""
        source = self._source_of(message, (job.account, job.priority))
        held = LaneMessage(source, len(job.refs), len(message.body), message.delivery_tag)
        held.count_in()
        self._take_more(job.account, job.priority)
        return held

    def _source_of(self, message: Any, lane: LaneKey) -> Source:
        """Return what the messages of a lane share that come by the same consumer."""
        consumer, source = message.delivery_info.get("consumer_tag"), self._sources.get(lane)
        if source is None or source.consumer != consumer:
            source = Source(self._intakes[lane], consumer, message.channel, self._let_go)
            self._sources[lane] = source
        return source

    def _let_go(self, held: LaneMessage, act: Callable[[], None]) -> None:
        """Settle a message soon: only the event loop writes to its connection."""
        self._ended.append((held, act))
        if not self._settles:
            self._settles = True
            self.call_soon_ack(self._settle_ended)

    def _settle_ended(self) -> None:
        self._settles = False
        while self._ended:
            held, act = self._ended.popleft()
            held.count_out()
            # A message of a connection that is lost is the broker's, for the next owner.
            with suppress(*self.connection_errors):
                act()
        for lane in self._intakes:
            self._take_more(*lane)

    def _take_more(self, account: str, priority: Priority) -> None:
        """Consume a lane anew if its consumer is nearly used up and there is room."""
        intake = self._intakes[account, priority]
        if self.blueprint.state == RUN and intake.wants_more():
            intake.renewed()
            # Later, as this may run while the worker waits for the broker's answer.
            self.call_soon(self.ownership.renew, account, priority)

    def take_otherwise(self, account: str) -> None:
        """Consume the routine jobs of an account anew, as it was paused or resumed."""
        self._intakes[account, Priority.ROUTINE].renewed()
        self.ownership.renew(account, Priority.ROUTINE)

    # -- start and connection loss -------------------------------------------------------

    def connect(self) -> Any:
        """Connect, with a new dispatcher: what came over another connection is not ours."""
        connection = super().connect()
        is_open = partial(self._is_open, connection)
        self._dispatcher = Dispatcher(self.hub, connection.connection, is_open, self._follow_up)
        for bundle in self._bundles.gathering():
            bundle.give_up(self.runtime.lanes(bundle.account))
        self._bundles = Bundles(self._start_bundle)
        self._intakes, self._sources = self._new_intakes(), {}
        return connection

    def _is_open(self, connection: Any) -> bool:
        """Say whether what came over a connection is still this worker's."""
        return self.connection is connection and bool(self.blueprint.state == RUN)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect until the broker answers, with short pauses: no lane moves meanwhile."""
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

    # -- stop ----------------------------------------------------------------------------

    def stop(self) -> None:
        """Take nothing more; turn the event loop until all tasks have ended.

        Celery waits for its pool without it. After two heartbeats the broker would cut the
        connection, and give each job that ends meanwhile to another worker once more.
        """
        super().stop()
        if self.hub is not None and not state.should_terminate:
            ending = threading.Thread(target=self._end_tasks, name="end-tasks")
            ending.start()
            with suppress(*self.connection_errors):  # lost: the broker has all that is held
                self._turn_while(ending.is_alive)
            ending.join()

    def _end_tasks(self) -> None:
        self.pool.stop()
        self.hub.call_soon(int)  # wakes the loop

    def _turn_while(self, goes_on: Callable[[], bool]) -> None:
        loop = self.hub.create_loop()
        while goes_on():
            try:
                next(loop)
            except StopIteration:
                loop = self.hub.create_loop()

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
                triage_copy(message, accounts, self.ownership.queues)
                or triage(
                    message, accounts, state.revoked, received_at, utc_now(), self.runtime.user
                )
            ),
        )

    def on_unrouted(self, message: Any) -> None:
        """Take a message that matched no lane."""
        self._read(message, lambda: triage_unrouted(message, self._accounts, utc_now()))

    def on_dead(self, message: Any) -> None:
        """Take a message that the broker gave up."""
        self._read(
            message, lambda: triage_dead(message, self._accounts, utc_now(), self.runtime.user)
        )

    def _read(self, message: Any, decide: Callable[[], Run | Settlement]) -> None:
        """Decide on a message when it is its turn, and act."""
        priority, account = split_key(routing_key_of(message))

        def act() -> None:
            if priority != Priority.KILL:
                self._hand_in_kills()
            decision = triage_left_out(message) or decide()
            if isinstance(decision, Run):
                self._accept(message, decision.delivery)
            else:
                self._settler.settle(message, decision)

        self._dispatcher.read(act, priority, account)

    def _accept(self, message: Any, delivery: JobDelivery) -> None:
        """Put a job into its lane's bundle, and have its ids go to the lane if it is due."""
        parsed, job = delivery.parsed, delivery.parsed.job
        if job.unknown_fields and not delivery.progress:
            fields = list(job.unknown_fields)
            self._log.warning("unknown_fields", job_id=job.job_id, fields=fields)
        delivery.message = self._hold(message, job)
        bundle = self._bundles.of(job.account, job.priority, time.monotonic())
        bundle.deliveries.append(delivery)
        if is_due(delivery) and not delivery.may_be_started:
            ids = fresh_ids(job, self.runtime.settings, redelivered=False)
            bundle.submit(delivery, ids, parsed.came_at)
            if len(bundle.deliveries) == 1 or len(bundle.waiting) >= MOST_TOGETHER:
                self._hand_in(bundle)

    def _hand_in(self, bundle: Bundle) -> None:
        lanes = self.runtime.lanes(bundle.account)
        bundle.hand_in(lanes, more=self._dispatcher.has_more(bundle.priority, bundle.account))

    def _follow_up(self, now: float) -> float:
        """Hand in what waits, and start the tasks whose time has come."""
        for bundle in self._bundles.gathering():
            self._hand_in(bundle)
        return self._bundles.start_due(now)

    def _hand_in_kills(self) -> None:
        """Hand in the kills that wait for others, before anything else is read."""
        for bundle in self._bundles.gathering():
            if bundle.priority is Priority.KILL:
                self._hand_in(bundle)

    def _start_bundle(self, bundle: Bundle) -> None:
        # A key of our own: a producer may give two messages one id.
        key, embedded = str(next(self._keys)), self.runtime.embedded
        venue = self._accounts[bundle.account].venue.name
        message = to_task_message(bundle, venue, key=key, embedded=embedded)
        self.runtime.bundles[key] = message.bundle = bundle  # as long as the message lives
        self._start_task(message)
