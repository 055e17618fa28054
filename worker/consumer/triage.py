"""Decides what to do with a message, as a value. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from venues.words import CancelJob, CancelOutcome, Priority
from worker.amqp import topology
from worker.consumer.task_message import (
    TaskArguments,
    arguments_of,
    envelope_of,
    is_own,
    routing_key_of,
    split_key,
    usable_id,
)
from worker.contract.job import Envelope, InvalidJob
from worker.jobs.parse import read_job
from worker.jobs.poison import (
    DELIVERED_IN_VAIN,
    Disposition,
    disposition,
    last_death,
    may_be_begun,
    past_of,
)
from worker.jobs.submit import NO_TASK, CeleryTask, JobDelivery
from worker.settings import Account


@dataclass(frozen=True, slots=True)
class Run:
    """Run the job in its lane."""

    delivery: JobDelivery


@dataclass(frozen=True, slots=True)
class Republish:
    """Publish the job once more, by this key, under a message id in any case.

    It leaves what the broker acts upon: an expiration, and copies to other keys.
    """

    routing_key: str


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold the message back for a while, apart from others whose workers died, too."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Publish of each id that its job was given up, and reject the message.

    `begun`: a cancel may have been sent, and nobody knows what became of it. `refused` are the
    outcomes of what the job names and nobody can cancel.
    """

    job: CancelJob
    error: InvalidJob
    begun: bool = True
    refused: tuple[CancelOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """Publish the message, which is no job, for people to look at."""

    error: InvalidJob


@dataclass(frozen=True, slots=True)
class LeaveToBroker:
    """Have the broker move the message, which was not kept here, to `cancel.rejected`."""

    error: InvalidJob


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the message go: it is a copy of one in the lane that its routing key names."""


@dataclass(frozen=True, slots=True)
class NoSwitch:
    """Let a heartbeat go: its account has no dead man's switch here."""

    account: str


#: What settles a message: something takes its place at the broker, or has it already.
Settlement = Republish | Delay | Bury | Reject | LeaveToBroker | Drop | NoSwitch
Accounts = Mapping[str, Account]


def triage(
    message: Any,
    accounts: Accounts,
    revoked: Container[str],
    received_at: float,
    now: datetime,
    own_user: str = "",
) -> Run | Settlement:
    """Decide on a message of a lane that was received at a time (monotonic seconds).

    `revoked` are the ids of tasks that somebody revoked (`celery control revoke`), `own_user`
    is as whom workers publish.
    """
    reader = _Reader(accounts, now, own_user, received_at)
    judged = disposition(past_of(message.headers, message.delivery_info))
    if judged is Disposition.DELAY:
        return Delay()
    if judged is Disposition.BURY:
        return _buried(message, DELIVERED_IN_VAIN, reader)
    try:
        if _is_task(message.headers) and str(message.headers.get("id")) in revoked:
            return _revoked(reader.run(message, arguments_of(message)).delivery)
        arguments = arguments_of(message)
        if message.properties.get("expiration") or _has_no_name(message, arguments.job):
            # Begun as it is, it could expire after its worker's death, as if never begun.
            return Republish(routing_key_of(message))
        return reader.run(message, arguments)
    except InvalidJob as error:
        return Reject(error)


def triage_copy(message: Any, accounts: Accounts, queues: Mapping[str, str]) -> Drop | None:
    """Decide on a message of a lane by the queue that it came from; None if it is no copy.

    The broker copies a message to the keys of its headers CC and BCC, and says of each copy the
    key of the first. `queues` are the names of queues by the tags of their consumers.
    """
    priority, account = split_key(routing_key_of(message))
    names_a_lane = account in accounts and priority in tuple(Priority)
    if message.delivery_info.get("exchange") != topology.JOBS or not names_a_lane:
        return None
    queue = queues.get(str(message.delivery_info.get("consumer_tag")))
    lane = topology.lane_queue_name(account, Priority(priority))
    return Drop() if queue not in (None, lane) else None


def triage_unrouted(message: Any, accounts: Accounts, now: datetime) -> Settlement:
    """Decide on a message that matched no lane: it goes to the lane that its body names."""
    priority, _, account = routing_key_of(message).partition(".")
    if priority == topology.ALIVE:
        return NoSwitch(account)
    # A job without a name will be given one.
    name = envelope_of(message, priority, account).message_id or "new"
    envelope = Envelope(priority=priority, account=account, message_id=name)
    try:
        job = read_job(arguments_of(message).job, envelope, accounts, now).job
    except InvalidJob as error:
        return Reject(error)
    return Republish(topology.routing_key(job.priority, job.account))


def triage_dead(
    message: Any, accounts: Accounts, now: datetime, own_user: str = ""
) -> Settlement:
    """Decide on a message that the broker gave up."""
    headers, reader = message.headers, _Reader(accounts, now, own_user, bare_keys=True)
    return _buried(message, last_death(headers), reader, may_be_begun(headers))


def triage_left_out(message: Any) -> LeaveToBroker | None:
    """Decide on a message by its size alone; None if it is here as a whole."""
    size = getattr(message, "left_out", 0)
    return LeaveToBroker(InvalidJob("too_large", f"{size} bytes; not read")) if size else None


def _has_no_name(message: Any, job: Any) -> bool:
    named = message.properties.get("message_id")
    return isinstance(job, dict) and job.get("job_id") is None and not named


def _is_task(headers: Mapping[str, Any]) -> bool:
    """Say whether Celery wrote a message; in any other one its headers mean nothing."""
    return "task" in headers


def _task_of(headers: Mapping[str, Any]) -> CeleryTask:
    retries = headers.get("retries")
    return CeleryTask(
        usable_id(headers.get("id")),
        usable_id(headers.get("root_id")),
        retries if isinstance(retries, int) and 0 <= retries < 1 << 31 else 0,
    )


class _Reader(NamedTuple):
    """Reads the job of a lane's message."""

    accounts: Accounts
    now: datetime
    own_user: str
    received_at: float = math.inf
    #: A key may say the priority alone, as of a message that matched no lane.
    bare_keys: bool = False

    def run(self, message: Any, arguments: TaskArguments) -> Run:
        """Return the job as it was delivered.

        Raises:
            InvalidJob: it is none.
        """
        key = routing_key_of(message)
        is_bare = self.bare_keys and "." not in key
        words = (key, "") if is_bare else split_key(key)
        envelope = envelope_of(message, *words, self.own_user)
        parsed = read_job(arguments.job, envelope, self.accounts, self.now, self.received_at)
        headers, info = message.headers, message.delivery_info
        delivery = JobDelivery(
            parsed=parsed,
            orders=len(arguments.job.get("orders") or ()),
            task=_task_of(headers) if _is_task(headers) else NO_TASK,
            eta=headers.get("eta") if _is_task(headers) else None,
            progress=arguments.progress if is_own(message, self.own_user) else None,
            redelivered=bool(info.get("redelivered")),
            quarantined=past_of(headers, info).quarantines > 0,
        )
        return Run(delivery)


def _revoked(delivery: JobDelivery) -> Settlement:
    """Answer for a revoked task: Celery would acknowledge it and publish nothing."""
    job, refused = delivery.parsed.job, delivery.parsed.refused
    if delivery.may_be_started:
        return Bury(job, _given_up("revoked", job.job_id), refused=refused)
    return Reject(InvalidJob("revoked", "revoked before anything was sent", job.job_id))


def _buried(message: Any, reason: str, reader: _Reader, begun: bool = True) -> Settlement:
    try:
        parsed = reader.run(message, arguments_of(message)).delivery.parsed
    except InvalidJob as error:
        return Reject(_given_up(reason, error.job_id, begun))
    job = parsed.job
    return Bury(job, _given_up(reason, job.job_id, begun), begun, parsed.refused)


def _given_up(reason: str, job_id: str, begun: bool = True) -> InvalidJob:
    text = f"given up after it was begun ({reason})"
    if not begun:
        text = f"given up before anything was sent ({reason})"
    return InvalidJob(reason, text, job_id)
