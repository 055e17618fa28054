"""Takes messages off the queues: a cancel job becomes a task where it stands.

Celery reads the class from `worker_consumer`. A plain JSON job is rewritten in place as a
Celery message, so acknowledging the task acknowledges the producer's own message.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from celery.bootsteps import RUN
from celery.worker.consumer import Consumer

from worker.amqp import topology
from worker.amqp.publisher import Publication
from worker.consumer.dispatch import Dispatcher
from worker.consumer.task_message import (
    arguments_of,
    body_of,
    envelope_of,
    json_or_none,
    properties_of,
    routing_key_of,
    split_key,
    to_task_message,
)
from worker.contract.job import ROUTING_KEY_HEADER, Envelope, InvalidJob
from worker.contract.outcome import utc_now
from worker.jobs.parse import Intake, read_job
from worker.jobs.poison import (
    DELIVERED_IN_VAIN,
    Fate,
    fate,
    headers_aside,
    last_death,
    way_aside,
)
from worker.jobs.report import Report, reject, reject_outcome
from worker.jobs.runtime import Runtime
from worker.jobs.submit import Reading, begin, fresh_ids, is_due, read
from worker.orders.follow import expire
from worker.orders.progress import new_progress

#: A queue's messages here at once. An id that is canceled stays until it is proven, and venues
#: are asked for proof more slowly than for cancels: with 192, a thousand one-id jobs took
#: twice the time and a fifth more requests.
MOST_PREFETCH = 1024
LEAST_PREFETCH = 8
#: The broker closes a consumer that holds a message for 30 minutes; tokens are renewed sooner.
TOKEN_RENEWAL_S = 600.0
#: Who is the first to come has its token sooner (seconds); else somebody else had it.
TOKEN_COMES_S = 5.0
_DICE = random.Random()  # noqa: S311 - waits, not keys


class CancelConsumer(Consumer):
    """Celery's consumer, which looks at each message before Celery does."""

    class Blueprint(Consumer.Blueprint):
        """What is done at each connection, but for the step that would set up delays.

        It does so at every broker of the URL, and blocks for 18 seconds, longer than heartbeats
        may pause, at one that is down: a worker never came back to a cluster that lost a node.
        """

        default_steps = [
            step
            for step in Consumer.Blueprint.default_steps
            if not step.endswith(":DelayedDelivery")
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Workers have nothing to tell each other, and a greeting would cost a second.
        super().__init__(*args, **{**kwargs, "without_mingle": True, "without_gossip": True})
        self.runtime: Runtime = self.app.runtime
        self.initial_prefetch_count = self._prefetch()
        self._tokens: dict[str, Any] = {}
        self._came_after: set[str] = set()
        self._came_at = 0.0
        self._keys = itertools.count()
        self._owner_queues = {
            topology.owner_queue_name(name): name for name in self.runtime.settings.accounts
        }
        self._log = structlog.get_logger()

    def _prefetch(self) -> int:
        """Return how many messages of one queue may be here at once.

        A waiting task holds a thread, so all lanes together must fit into the pool: then no
        busy lane can keep another one waiting for a thread.
        """
        queues = 2 * len(self.runtime.settings.accounts)
        return int(max(LEAST_PREFETCH, min(MOST_PREFETCH, self.pool.num_processes // queues)))

    # -- start and connection loss -------------------------------------------------------

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return what looks at each message; called at every connection to the broker."""
        celery_handler = super().create_task_handler(*args, **kwargs)
        self._tokens.clear()
        self._came_at = time.monotonic()
        self._declare()
        is_open = partial(self._is_open, self.connection)
        dispatcher = Dispatcher(self.hub, self.connection.connection, is_open)
        handlers = {
            topology.UNROUTED: self._on_unrouted,
            topology.DEAD: self._on_dead,
            **dict.fromkeys(self._owner_queues, self._on_token),
        }

        def hand_over(message: Any, whose: Sequence[str], queue: str, came_at: float) -> None:
            try:
                handler = handlers.get(queue)
                if handler is not None:
                    handler(message, queue)
                elif self._is_to_be_tried(message):
                    task_message = self._adopt(message, came_at)
                    if task_message is not None:
                        dispatcher.start(partial(celery_handler, task_message), *whose)
            except InvalidJob as error:
                self._reject(message, error)

        def on_message(message: Any) -> None:
            whose = split_key(routing_key_of(message))
            queue, came_at = self._queue_of(message), time.monotonic()
            dispatcher.read(partial(hand_over, message, whose, queue, came_at), *whose)

        return on_message

    def _is_open(self, connection: Any) -> bool:
        """Say whether what came over a connection is still this worker's."""
        return self.connection is connection and bool(self.blueprint.state == RUN)

    def _declare(self) -> None:
        accounts, embedded = self.runtime.settings.accounts, self.runtime.embedded
        topology.declare(self.connection, accounts, embedded)
        if not embedded:
            topology.declare_delays(self.connection, accounts)
            self._came_after = topology.consumed_accounts(self.connection, accounts)
        for name in accounts:
            if embedded:
                self._serve_lane(name)
            else:
                self.task_consumer.add_queue(topology.owner_queue(name))
                self._post_token(name)
        if self.hub is not None:
            self.timer.call_repeatedly(TOKEN_RENEWAL_S, self._renew_tokens)

    def ensure_connected(self, conn: Any) -> Any:
        """Dial the broker until it answers, with short pauses: no lane moves meanwhile."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2.0
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Stop sending: the broker gives the lanes to another worker now."""
        for name in self._tokens:
            self.runtime.give_up(name)
        self._tokens.clear()
        super().on_connection_error_after_connected(exc)

    def _queue_of(self, message: Any) -> str:
        tag = message.delivery_info.get("consumer_tag")
        tags = self.task_consumer._active_tags
        return next((name for name, known in tags.items() if known == tag), "")

    # -- who owns a lane -----------------------------------------------------------------

    def _on_token(self, token: Any, queue: str) -> None:
        """Own the lane: the broker hands its one token to a single worker at a time."""
        name = self._owner_queues[queue]
        held = self._tokens.get(name)
        self._tokens[name] = token
        if held is not None:
            held.ack()
            return
        # Later, as this may run while somebody waits for the broker's answer on this channel:
        # to wait for another one inside would leave both without an end.
        self.call_soon(self._own, name, token)

    def _own(self, name: str, token: Any) -> None:
        # By now a newer token may stand for this one; none means the connection is lost.
        if name not in self._tokens:
            return
        # A token says so when its owner died; one that was told to stop gives its place away
        # before its token, and the next owner may be given a token that nobody had.
        redelivered = bool(token.delivery_info.get("redelivered"))
        waited = time.monotonic() - self._came_at > TOKEN_COMES_S
        after_another = redelivered or waited or name in self._came_after
        self.runtime.lanes(name).acquire(name, after_another=after_another)
        self._serve_lane(name)
        self._log.info("lane_owned", account=name, after_another=after_another)

    def _serve_lane(self, name: str) -> None:
        for queue in topology.lane_queues(name, self.runtime.embedded):
            self.task_consumer.add_queue(queue)
        self.task_consumer.consume()
        self.runtime.own(name)

    def _post_token(self, name: str) -> None:
        key = topology.owner_queue_name(name)
        self.runtime.publisher.publish(
            Publication("", key, b"", {"content_type": "text/plain"})
        )

    def _renew_tokens(self) -> None:
        for name in self._tokens:
            self._post_token(name)

    # -- jobs ----------------------------------------------------------------------------

    def _is_to_be_tried(self, message: Any) -> bool:
        """Say so; a message whose workers died often is dealt with otherwise."""
        judged = fate(message.headers)
        if judged is Fate.SET_ASIDE:
            self._log.warning("job_set_aside", why="its workers died")
            way = way_aside(message.delivery_info["routing_key"], _DICE)
            message.headers = headers_aside(message.headers)
            self._move(message, *way, message.properties.get("message_id") or str(uuid4()))
        elif judged is Fate.GIVE_UP:
            self._give_up(message, DELIVERED_IN_VAIN)
        elif str(message.headers.get("id")) in self.controller.state.revoked:
            self._revoke(message)
            return False
        return judged is Fate.TRY

    def _revoke(self, message: Any) -> None:
        """Answer for a task that was revoked (`celery control revoke`): Celery tells nobody.

        Raises:
            InvalidJob: nothing was done for it yet, or it is no job.
        """
        intake = self._job_of(message)
        if not read(message, intake, arguments_of(message).progress).is_begun:
            raise InvalidJob("revoked", "revoked before anything was sent", intake.job.job_id)
        self._give_up(message, "revoked")

    def _adopt(self, message: Any, came_at: float) -> Any:
        """Return the Celery message of a job's message; None if it is dealt with otherwise.

        Raises:
            InvalidJob: it is no job.
        """
        priority, account = split_key(routing_key_of(message))
        envelope = envelope_of(message, priority, account)
        arguments = arguments_of(message)
        job = arguments.job
        if isinstance(job, dict) and job.get("job_id") is None and not envelope.message_id:
            key = message.delivery_info["routing_key"]
            self._move(message, topology.JOBS, key, message_id=str(uuid4()))
            return None
        intake = read_job(job, envelope, self.runtime.settings.accounts, utc_now())
        if intake.unknown_fields:
            self._log.warning(
                "unknown_fields", job_id=intake.job.job_id, fields=list(intake.unknown_fields)
            )
        reading = read(message, replace(intake, came_at=came_at), arguments.progress)
        if is_due(message, intake) and not reading.is_begun:
            self._begin(reading)
        # A key of our own: a producer may give two messages one id.
        key = str(next(self._keys))
        found = to_task_message(
            message, intake.job, len(job["orders"]), key=key, embedded=self.runtime.embedded
        )
        self.runtime.readings[key] = found.reading = reading  # as long as the message lives
        return found

    def _begin(self, reading: Reading) -> None:
        job, came_at = reading.intake.job, reading.intake.came_at
        ids = fresh_ids(job, self.runtime.settings, again=False)
        reading.pending = begin(self.runtime.lanes(job.account), job, ids, came_at)

    def _on_unrouted(self, message: Any, _queue: str) -> None:
        """Send a job that matched no lane to the lane that its body names."""
        word = routing_key_of(message).split(".")[0]
        envelope = envelope_of(message, word, "")
        job = arguments_of(message).job
        named = routing_key_of(message).partition(".")[2]
        given = job.get("job_id") if isinstance(job, dict) else None
        fresh = envelope.message_id or str(uuid4())
        whole = Envelope(priority=word, account=named, message_id=given or fresh)
        intake = read_job(job, whole, self.runtime.settings.accounts, utc_now())
        key = topology.routing_key(intake.job.priority, intake.job.account)
        self._move(message, topology.JOBS, key, message_id=fresh)

    def _on_dead(self, message: Any, _queue: str) -> None:
        self._give_up(message, last_death(message.headers))

    def _give_up(self, message: Any, why: str) -> None:
        """Tell of a job that nobody could finish: what became of its ids is not known."""
        given_up = InvalidJob(why, f"given up after it was begun ({why})")
        try:
            job = self._job_of(message).job
        except InvalidJob as error:
            given_up.job_id = error.job_id
            self._reject(message, given_up)
            return
        given_up.job_id = job.job_id

        def bury(told: Future[list[bytes]]) -> None:
            if told.exception() is not None:
                self._log.error("message_kept", why=type(told.exception()).__name__)
                return
            publisher, observe = self.runtime.publisher, self.runtime.observer.outcome
            report = Report(publisher, job, {}, observe, told.result)
            for ref in job.refs:
                word = expire(new_progress(ref, sent=True)._replace(why=why))
                report.outcome(word.outcome(ref.id), utc_now())
            self._reject(message, given_up, also=report.take_posted())

        self.runtime.told_before(job).add_done_callback(bury)

    def _job_of(self, message: Any) -> Intake:
        priority, account = split_key(routing_key_of(message))
        envelope = envelope_of(message, priority, account)
        job = arguments_of(message).job
        return read_job(job, envelope, self.runtime.settings.accounts, utc_now())

    # -- away from here ------------------------------------------------------------------

    def _move(self, message: Any, exchange: str, key: str, message_id: str) -> None:
        letter = Publication(
            exchange,
            key,
            body_of(message),
            {**properties_of(message), "message_id": message_id},
            dict(message.headers),
            mandatory=True,
        )
        self._ack_after(message, [self.runtime.publisher.publish(letter)])

    def _reject(
        self, message: Any, error: InvalidJob, also: Sequence[Future[None]] = ()
    ) -> None:
        publisher, body = self.runtime.publisher, body_of(message)
        self.runtime.observer.rejected(error.reason)
        key = routing_key_of(message)
        headers = {**message.headers, ROUTING_KEY_HEADER: key}
        posted = [reject(publisher, body, properties_of(message), headers, error)]
        posted += also
        if error.job_id and not also:
            venue, account = self._names(body)
            posted.append(reject_outcome(publisher, error, venue, account, utc_now()))
        self._ack_after(message, posted)

    def _names(self, body: bytes) -> tuple[str, str]:
        value = json_or_none(body)
        named = value.get("account") if isinstance(value, dict) else None
        account = self.runtime.settings.accounts.get(named) if isinstance(named, str) else None
        return (account.venue.name, account.name) if account else ("", "")

    def _ack_after(self, message: Any, posted: list[Future[None]]) -> None:
        """Let go of a message when all that replaces it is safe; keep it where it is not."""

        def settled(last: Future[None]) -> None:
            if last.exception() is not None:
                # Not acknowledged, so the broker still has it and gives it to the next worker.
                self._log.error("message_kept", why=type(last.exception()).__name__)
            elif all(future.done() for future in posted) and not acked:
                acked.append(True)
                self.call_soon_ack(message.ack_log_error, self._log, self.connection_errors)

        acked: list[bool] = []
        for future in posted:
            future.add_done_callback(settled)
