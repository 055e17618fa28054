"""Settles messages that are not run: publishes what takes their place, then lets them go."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import structlog

from venues.words import CancelJob
from worker.amqp import topology
from worker.amqp.publisher import Publication, Refused
from worker.consumer.task_message import (
    body_of,
    is_own,
    job_or_none,
    needed_headers,
    properties_of,
    routing_key_of,
    sender_of,
    split_key,
    without_copies,
)
from worker.consumer.triage import (
    Bury,
    Delay,
    Drop,
    LeaveToBroker,
    NoSwitch,
    Reject,
    Republish,
    Settlement,
)
from worker.contract.job import RESENT_HEADER, SENT_BY_HEADER, InvalidJob, job_id_of
from worker.contract.outcome import utc_now
from worker.jobs.job_report import Sent, nothing_read, of_scope
from worker.jobs.poison import delay_route, delayed_headers, past_of
from worker.jobs.receipt import Rejected, receipt_letter, rejected_receipt
from worker.jobs.report import Report, log_rejected, reject, reject_outcome
from worker.jobs.runtime import Runtime
from worker.orders.forms import expire
from worker.orders.progress import new_progress

_DICE = random.Random()  # noqa: S311 - waits, not keys
#: Accounts of heartbeats that nobody watches, each told once, and so much of a name.
_MOST_TOLD, _MOST_NAME = 1000, 64


class Settler:
    """Acts on what was decided; what lets a message go may be called from any thread."""

    def __init__(
        self,
        runtime: Runtime,
        acknowledge: Callable[[Any], object],
        dead_letter: Callable[[Any], object],
    ) -> None:
        """Prepare; `dead_letter` has the broker itself move a message, to `cancel.dead`."""
        self._runtime = runtime
        self._acknowledge = acknowledge
        self._dead_letter = dead_letter
        self._no_switch: set[str] = set()
        self._log = structlog.get_logger()

    def settle(self, message: Any, settlement: Settlement) -> None:
        """Publish what takes the message's place; acknowledge it once the broker has that."""
        match settlement:
            case Republish(routing_key):
                headers = without_copies(message.headers)
                self._republish(message, topology.JOBS, routing_key, headers)
            case Delay():
                self._log.warning("job_set_aside", why="its workers died")
                exchange, key = delay_route(routing_key_of(message), _DICE)
                past = past_of(message.headers, message.delivery_info)
                headers = delayed_headers(without_copies(message.headers), past)
                self._republish(message, exchange, key, headers)
            case Bury():
                self._bury(message, settlement)
            case Reject(error):
                self._reject(message, error)
            case Drop():
                self._log.warning("copy_dropped", routing_key=routing_key_of(message))
                self._acknowledge(message)
            case NoSwitch(account):
                if account not in self._no_switch and len(self._no_switch) < _MOST_TOLD:
                    self._no_switch.add(account)  # told once, not with each heartbeat
                    self._log.warning("heartbeat_unwatched", account=account[:_MOST_NAME])
                self._acknowledge(message)
            case LeaveToBroker(error):
                if message.delivery_info.get("exchange") != topology.DEAD:  # else it was said
                    self._runtime.observer.rejected(error.reason)
                    log_rejected(error)
                self._dead_letter(message)

    def _republish(
        self, message: Any, exchange: str, key: str, headers: Mapping[str, Any]
    ) -> None:
        name, user = message.properties.get("message_id") or str(uuid4()), self._runtime.user
        if user:
            headers = {**headers, SENT_BY_HEADER: sender_of(message, user)}
            if not is_own(message, user):
                headers[RESENT_HEADER] = True
        publication = Publication(
            exchange,
            key,
            body_of(message),
            {**properties_of(message), "message_id": name}
            | ({"user_id": user} if user else {}),
            dict(headers),
            mandatory=True,
            bare=needed_headers(headers),
        )
        self._acknowledge_after(message, [self._runtime.forwarder.publish(publication)])

    def _bury(self, message: Any, bury: Bury) -> None:
        job, error = bury.job, bury.error

        def publish(earlier: Future[list[bytes]]) -> None:
            if earlier.exception() is not None:
                self._log.error("message_kept", why=type(earlier.exception()).__name__)
                return
            publisher, observe = self._runtime.publisher, self._runtime.observer.outcome
            every = self._runtime.settings.reports_all
            report = Report(publisher, job, {}, observe, earlier.result, publish_done=every)
            for outcome in bury.refused:
                report.refused(outcome, utc_now())
            for ref in job.refs:
                word = expire(new_progress(ref, sent=bury.begun)._replace(why=error.reason))
                report.outcome(word.outcome(ref.id), utc_now())
            more = self._unproven(job, error.reason) if job.scope else None
            report.finish(Sent(), utc_now(), more)
            self._reject(message, error, also=report.take_posted())

        self._runtime.earlier_outcomes(job).add_done_callback(publish)

    def _unproven(self, job: CancelJob, why: str) -> Mapping[str, Any]:
        """Return what the report on a scope says that was given up."""
        assert job.scope is not None  # noqa: S101 - the caller has asked
        venue = self._runtime.settings.accounts[job.account].venue
        return of_scope(job, nothing_read(venue, job.scope, why), {}, 0.0, utc_now())

    def _reject(
        self, message: Any, error: InvalidJob, also: Sequence[Future[None]] = ()
    ) -> None:
        publisher, body, now = self._runtime.publisher, body_of(message), utc_now()
        # The message id is the name of a job whose body has none.
        name = message.properties.get("message_id")
        error.job_id = error.job_id or job_id_of({"job_id": name})
        self._runtime.observer.rejected(error.reason)
        properties, key = properties_of(message), routing_key_of(message)
        letter = reject(self._runtime.forwarder, body, properties, message.headers, key, error)
        said = Rejected(
            value=job_or_none(message),
            body=body,
            priority=split_key(key)[0],
            sent_by=sender_of(message, self._runtime.user),
            error=error,
        )
        venue, account = self._names(said.value)
        receipt = receipt_letter(rejected_receipt(said, venue, now), {})
        published = [letter, *also, publisher.publish(receipt)]
        if error.job_id and not also:
            outcome = reject_outcome(publisher, error, venue, account, said.sent_by, now)
            published.append(outcome)
        self._acknowledge_after(message, published)

    def _names(self, value: Any) -> tuple[str, str]:
        """Return venue and account of what may be no job; both empty if not known."""
        named = value.get("account") if isinstance(value, dict) else None
        accounts = self._runtime.settings.accounts
        account = accounts.get(named) if isinstance(named, str) else None
        return (account.venue.name, account.name) if account else ("", "")

    def _acknowledge_after(self, message: Any, published: Sequence[Future[None]]) -> None:
        """Let go of a message when all that replaces it is safe; keep it where it is not."""

        def confirmed(last: Future[None]) -> None:
            if isinstance(last.exception(), Refused) and not acknowledged:
                # The broker moves it without a connection, and so takes what we cannot write.
                acknowledged.append(True)
                self._dead_letter(message)
            elif last.exception() is not None:
                # Not acknowledged, so the broker still has it and gives it to the next worker.
                self._log.error("message_kept", why=type(last.exception()).__name__)
            elif all(future.done() for future in published) and not acknowledged:
                acknowledged.append(True)
                self._acknowledge(message)

        acknowledged: list[bool] = []
        for future in published:
            future.add_done_callback(confirmed)
