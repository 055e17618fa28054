"""Says which worker owns a lane, by an owner token for each account (docs/decisions/0003).

The step declares the queues and consumes those that every worker serves, on a channel of its
own. Celery's task consumer serves the two queues of a lane once the lane's token has come.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import structlog
from celery.bootsteps import RUN, ConsumerStep
from kombu import Consumer
from kombu.common import ignore_errors

from venues.words import Priority
from worker.amqp import topology
from worker.amqp.publisher import Publication
from worker.jobs.runtime import Runtime

#: Every worker posts tokens of all lanes this often (seconds), and the owner lets its old one
#: go. So no token is held for longer than a quarter of the shortest `consumer_timeout` that
#: RabbitMQ advises (a minute; half an hour by default), and the next owner is soon given one
#: where a policy has let the dead one's expire: nobody is told that it is the active consumer.
TOKEN_RENEWAL_S = 15.0
#: A worker that is given a token later than this (seconds) assumes that another one had it.
FIRST_TOKEN_S = 5.0
PULSE_S = 1.0
#: So long (seconds) the start of a connection waits to hear who is paused. After that kills are
#: served, and routine jobs wait until it is known (docs/decisions/0044).
PAUSES_TIMEOUT_S = 3.0
#: Routine messages of a paused account that may be here: they wait at the broker, but for some,
#: which are told at their deadlines. Each may take a thread (docs/decisions/0044).
PAUSED_PREFETCH = 16


class Ownership(ConsumerStep):
    """Holds the owner tokens of one connection to the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        c.ownership = self
        self._consumer = c
        self._runtime: Runtime = c.app.runtime
        self._tokens: dict[str, Any] = {}
        self._consumed_before: set[str] = set()
        self._started_at = 0.0
        #: The lane queue of each consumer of this connection, by its tag.
        self.queues: dict[str, str] = {}
        self._paused: set[str] = set()  # owned accounts whose routine jobs wait at the broker
        self._timers: list[Any] = []
        self._log = structlog.get_logger()

    def start(self, c: Any) -> None:
        """Declare everything and consume what every worker serves."""
        accounts, embedded = self._runtime.settings.accounts, self._runtime.embedded
        self._tokens.clear()
        self.queues.clear()
        self._paused.clear()
        self._started_at = time.monotonic()
        topology.declare(c.connection, accounts, embedded)
        if embedded:
            for name in accounts:
                self._serve(name)
        else:
            topology.declare_delays(c.connection, accounts)
            if not self._runtime.read_pauses(PAUSES_TIMEOUT_S):
                self._log.error("pauses_unread", after_s=PAUSES_TIMEOUT_S)
            self._runtime.on_pauses = lambda: c.call_soon(self._follow_pauses)
            self._consumed_before = topology.consumed_accounts(c.connection, accounts)
            self._post_tokens(accounts)
        pulse = self._runtime.pulse
        if c.hub is not None:
            self._timers = [
                c.timer.call_repeatedly(TOKEN_RENEWAL_S, self._post_tokens, (list(accounts),)),
                c.timer.call_repeatedly(PULSE_S, lambda: pulse.turn(time.monotonic())),
            ]
        super().start(c)
        pulse.turn(math.inf if c.hub is None else time.monotonic())

    def get_consumers(self, channel: Any) -> list[Consumer]:
        """Return the consumers of this step, each with what takes its messages."""
        c, embedded = self._consumer, self._runtime.embedded
        channel.basic_qos(0, c.initial_prefetch_count, False)
        takers = [(topology.unrouted_queue(embedded), c.on_unrouted)]
        if not embedded:
            takers += [(topology.dead_queue(), c.on_dead)]
            takers += [
                (topology.owner_queue(name), partial(self._on_token, name))
                for name in self._runtime.settings.accounts
            ]
        return [
            Consumer(
                channel,
                [queue],
                auto_declare=False,
                on_message=take,
                on_decode_error=c.on_decode_error,
            )
            for queue, take in takers
        ]

    def stop(self, c: Any) -> None:
        """Take nothing more. Tokens go back as the channel closes, when all requests ended."""
        self._end_pulse()
        for consumer in self.consumers or ():
            ignore_errors(c, consumer.cancel)

    def lose(self) -> None:
        """Stop sending: the connection is lost, and the broker gives the lanes away."""
        self._end_pulse()
        for name in self._tokens:
            self._runtime.give_up(name)
        self._tokens.clear()

    def _end_pulse(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._runtime.pulse.end()

    def _on_token(self, name: str, token: Any) -> None:
        """Own the lane: the broker hands its one token to a single worker at a time."""
        held = self._tokens.get(name)
        self._tokens[name] = token
        if held is not None:
            held.ack()
            return
        # Later, as this may run while the worker waits for the broker's answer to a question:
        # to ask another one meanwhile would leave both without an end.
        self._consumer.call_soon(self._own, name, token)

    def _own(self, name: str, token: Any) -> None:
        # By now a newer token may stand for this one; none means the connection is lost.
        if name not in self._tokens:
            return
        # A token says so when its owner died; one that was told to stop gives its place away
        # before its token, and the next owner may be given a token that nobody had.
        redelivered = bool(token.delivery_info.get("redelivered"))
        waited = time.monotonic() - self._started_at > FIRST_TOKEN_S
        after_another = redelivered or waited or name in self._consumed_before
        self._runtime.lanes(name).acquire(name, after_another=after_another)
        self._serve(name)
        self._log.info("lane_owned", account=name, after_another=after_another)

    def _serve(self, name: str) -> None:
        task_consumer, embedded = self._consumer.task_consumer, self._runtime.embedded
        paused = self._runtime.routine_paused(name)
        for queue in topology.lane_queues(name, embedded, declared=True)[: 1 if paused else 2]:
            task_consumer.add_queue(queue)
        self._consume(task_consumer)
        if paused:
            self.renew(name, Priority.ROUTINE)
        self._runtime.own(name)

    def _follow_pauses(self) -> None:
        """Consume the routine jobs of accounts anew that were paused or resumed."""
        for name in list(self._tokens):
            paused = self._runtime.routine_paused(name)
            if self._runtime.owns(name) and paused is not (name in self._paused):
                self._consumer.take_otherwise(name)

    def _consume(self, task_consumer: Any) -> None:
        task_consumer.consume()
        self.queues |= {tag: name for name, tag in task_consumer._active_tags.items()}

    def renew(self, account: str, priority: Priority) -> None:
        """Consume a lane's queue by a new consumer; what the old one was handed stays here."""
        embedded = self._runtime.embedded
        runs = self._consumer.blueprint.state == RUN
        if runs and not embedded and account in self._tokens:
            task_consumer = self._consumer.task_consumer
            queue = topology.lane_queue(account, priority, embedded, declared=True)
            task_consumer.cancel_by_queue(queue)
            task_consumer.add_queue(queue)
            if priority is Priority.ROUTINE and self._runtime.routine_paused(account):
                self._paused.add(account)
                # It holds for consumers that begin from then on.
                task_consumer.channel.basic_qos(0, PAUSED_PREFETCH, False)
                self._consume(task_consumer)
                most = self._consumer.initial_prefetch_count
                task_consumer.channel.basic_qos(0, most, False)
                return
            if priority is Priority.ROUTINE:
                self._paused.discard(account)
            self._consume(task_consumer)

    def _post_tokens(self, accounts: Iterable[str]) -> None:
        for name in accounts:
            key = topology.owner_queue_name(name)
            token = Publication("", key, b"", {"content_type": "text/plain"})
            self._runtime.publisher.publish(token)
