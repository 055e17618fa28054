"""The broker and the door of a worker: what becomes of messages before ids are in a lane.

Routing, copies, expiry and counts are the broker's, as RabbitMQ does them. What a message is,
and what takes its place where it is not run, say the product's own triage, reading and
settling; outcomes and reports leave by its own `Report`. All that leaves is kept, and held
against what was meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, NamedTuple

from kombu.message import Message

from tests.chaos.draw import REVOKED
from tests.simulation.echo import credential_of, secrets_of
from tests.simulation.laws import LawBroken
from tests.simulation.letters import Letter, wall
from tests.simulation.scenario import Scenario
from tests.support.messages import delivered
from venues.sandbox.engine import SPELLINGS
from venues.words import CancelJob, CancelOutcome, Priority
from worker.amqp import topology
from worker.amqp.publisher import Publication
from worker.consumer.settle import Settler
from worker.consumer.triage import Run, triage, triage_copy, triage_dead, triage_unrouted
from worker.contract.outcome import message_id
from worker.jobs.job_report import Sent
from worker.jobs.poison import EXPIRED
from worker.jobs.report import Report
from worker.jobs.runtime import Runtime
from worker.jobs.submit import JobDelivery
from worker.settings import Account, Settings
from worker.stats import NO_OBSERVER

#: As whom workers log in.
WORKER = "worker"
#: The property that says how long a message may live.
EXPIRATION = "expiration"
#: A deadline is written in milliseconds.
_ROUNDING = timedelta(milliseconds=1)


class Mail(NamedTuple):
    """A message at the broker."""

    key: str
    body: bytes
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    queue: str = ""


class _Runtime(Runtime):
    """What the settler asks of a worker, without its threads and connections."""

    def __init__(self, settings: Settings, door: Door) -> None:
        self.settings = settings
        self.user = WORKER
        self.observer = NO_OBSERVER
        self.publisher = self.forwarder = door  # type: ignore[assignment]

    def earlier_outcomes(self, job: CancelJob) -> Future[list[bytes]]:
        """Find none."""
        nothing: Future[list[bytes]] = Future()
        nothing.set_result([])
        return nothing


class Door:
    """Takes messages in, and keeps all that is told."""

    def __init__(self, scenario: Scenario) -> None:
        accounts = {
            name: Account(
                name=name,
                venue=scenario.venue,
                credential=credential_of(name),
                base_url=scenario.venue.base_url,
            )
            for name in scenario.accounts
        }
        self.settings = Settings(broker_url="", accounts=accounts)
        #: Outcomes as they left, by message id, and why messages were no jobs.
        self.told: dict[str, list[Mapping[str, Any]]] = {}
        self.rejected: list[str] = []
        #: Whatever else anybody may read, of reports and of the log.
        self.published: list[Mapping[str, Any]] = []
        self.expired: set[str] = set()
        self._queues = {
            topology.routing_key(priority, name): topology.lane_queue_name(name, priority)
            for name in scenario.accounts
            for priority in Priority
        }
        self._kept: dict[str, Mail] = {}  # what lies in a lane for each job
        self._waiting: list[Mail] = []
        self._let_go: list[Message] = []
        self._reports: dict[str, Report] = {}
        runtime = _Runtime(self.settings, self)
        self._settler = Settler(runtime, self._let_go.append, self._let_go.append)

    # -- in ------------------------------------------------------------------------------

    def take(self, letter: Letter, now: float, *, again: bool = False) -> JobDelivery | None:
        """Read a message; return the job of it that is to be run, if one is.

        `again`: a worker died that had it.

        Raises:
            LawBroken: it is read as something else than it means.
        """
        rejected = len(self.rejected)
        if again:
            assert letter.job is not None
            found = self._read(self._kept[letter.job.job_id], now, again=True)
        elif letter.dies_at < now:
            found = self._expire(letter, now)
        else:
            self._publish(letter.key, letter.body, letter.headers, letter.properties)
            found = []
            while self._waiting:
                found += self._read(self._waiting.pop(0), now)
        wrong = _misread(letter, found, self.rejected[rejected:], again=again)
        if wrong and letter.name not in self.expired:
            raise LawBroken("reading", f"{letter.body.decode()} {letter.headers}: {wrong}", now)
        return found[0] if found else None

    def _publish(
        self, key: str, body: bytes, headers: Mapping[str, Any], more: Mapping[str, Any]
    ) -> None:
        """Put a message into the queues that its key and its copies' keys name."""
        keys = [key, *headers.get("CC", ()), *headers.get("BCC", ())]
        kept = {name: value for name, value in headers.items() if name != "BCC"}
        queues = dict.fromkeys(self._queues[name] for name in keys if name in self._queues)
        for queue in queues or [topology.UNROUTED]:
            self._waiting.append(Mail(key, body, kept, more, queue))

    def _read(self, mail: Mail, now: float, *, again: bool = False) -> list[JobDelivery]:
        """Decide on a message as the consumer does; settle it where it is not run."""
        # The broker counts its deliveries in place of whoever wrote a count.
        headers = {**mail.headers, "x-delivery-count": 1} if again else mail.headers
        message = _message(mail, headers, again=again)
        accounts, time_of_day = self.settings.accounts, wall(now)
        if mail.queue == topology.UNROUTED:
            decision: Any = triage_unrouted(message, accounts, time_of_day)
        else:
            queues = {queue: queue for queue in self._queues.values()}
            decision = triage_copy(message, accounts, queues) or triage(
                message, accounts, {REVOKED}, now, time_of_day, WORKER
            )
        if isinstance(decision, Run):
            self._begin(mail, decision.delivery, now)
            return [decision.delivery]
        self._settle(message, decision, now)
        return []

    def _begin(self, mail: Mail, delivery: JobDelivery, now: float) -> None:
        """Answer for what names no order, as worker/jobs/run.py does."""
        job = delivery.parsed.job
        self._kept[job.job_id] = mail
        report = self._reports[job.job_id] = Report(self, job, {})  # type: ignore[arg-type]
        for outcome in delivery.parsed.refused:
            report.refused(outcome, wall(now))

    def _settle(self, message: Message, decision: Any, now: float) -> None:
        before = len(self._let_go)
        self._settler.settle(message, decision)
        if self._let_go[before:] != [message]:
            raise LawBroken("reading", f"{message.body!r} is not let go once", now)

    def _expire(self, letter: Letter, now: float) -> list[JobDelivery]:
        """Have the broker give up what no worker has seen in its time."""
        kept = {name: value for name, value in letter.properties.items() if name != EXPIRATION}
        queue = self._queues.get(letter.key, topology.UNROUTED)
        death = {"reason": EXPIRED, "queue": queue, "exchange": topology.JOBS, "count": 1}
        death["original-expiration"] = letter.properties[EXPIRATION]
        headers = {**letter.headers, "x-death": [death]}
        mail = Mail(letter.key, letter.body, headers, kept, topology.DEAD)
        message = _message(mail, headers, exchange=topology.DEAD)
        decision = triage_dead(message, self.settings.accounts, wall(now), WORKER)
        self.expired.add(letter.name)
        self._settle(message, decision, now)
        return []

    # -- out -----------------------------------------------------------------------------

    def outcome(self, job_id: str, outcome: CancelOutcome, now: float) -> None:
        """Publish an outcome of a job that is run."""
        self._reports[job_id].outcome(outcome, wall(now))

    def finish(self, job_id: str, now: float) -> None:
        """Publish the report on a job."""
        report = self._reports[job_id]
        report.finish(Sent(), wall(now))
        report.settle()
        report.done()

    def publish(self, publication: Publication) -> Future[None]:
        """Take a message of the worker's; the broker confirms it at once."""
        match publication.exchange:
            case topology.JOBS:
                self._publish(
                    publication.routing_key,
                    publication.body,
                    publication.headers,
                    publication.properties,
                )
            case topology.OUTCOMES:
                name = publication.properties["message_id"]
                self.told.setdefault(name, []).append(json.loads(publication.body))
            case topology.REPORTS:
                self.published.append(json.loads(publication.body))
            case topology.REJECTED:
                self.rejected.append(str(publication.headers["x-reason"]))
        publication.done.set_result(None)
        return publication.done

    # -- laws ----------------------------------------------------------------------------

    def all_told(self, letters: Iterable[Letter], told_twice: set[str], now: float) -> None:
        """Check that each element of each job, and each broken job, has the word it must."""
        expected: set[str] = set()
        for letter in letters:
            for name, why, where in letter.words():
                expected.add(name)
                told = self.told.get(name, [])
                if not told or (len(told) > 1 and letter.name not in told_twice):
                    raise LawBroken("once", f"{name} is told {len(told)} times", now)
                if why and not all(_is_refused(word, why, where) for word in told):
                    raise LawBroken("bad element", f"{name}: {told}, not {why}", now)
            if letter.name in self.expired:
                self._check_expired(letter, now)
        if unasked := self.told.keys() - expected:
            raise LawBroken("once", f"nobody asked for {sorted(unasked)}", now)

    def _check_expired(self, letter: Letter, now: float) -> None:
        assert letter.job is not None
        for ref in letter.job.refs:
            (word,) = self.told[message_id(letter.name, ref.id)]
            if (word["status"], word["reason"]) != ("failed", EXPIRED):
                raise LawBroken("expired", f"{ref.id} is {word['status']}", now)

    def check_secrets(
        self, lines: Iterable[Mapping[str, Any]], heard: Iterable[str], now: float
    ) -> None:
        """Check that no message, line of the log or word of a venue holds a secret.

        Lines are what was logged, and `heard` is what else may be, of replies.
        """
        outcomes = (word for words in self.told.values() for word in words)
        rows = (*outcomes, *self.published, *lines)
        everything = "\n".join([str(value) for row in rows for value in row.values()])
        everything = "\n".join([everything, *heard])
        for account in self.settings.accounts:
            for secret in secrets_of(account):
                for how, spell in SPELLINGS.items():
                    if spell(secret) in everything:
                        raise LawBroken("secret", f"{secret} is told, spelled {how}", now)


def _message(
    mail: Mail,
    headers: Mapping[str, Any],
    *,
    exchange: str = topology.JOBS,
    again: bool = False,
) -> Message:
    return delivered(
        mail.body,
        mail.key,
        headers=headers,
        redelivered=again,
        exchange=exchange,
        consumer_tag=mail.queue,
        **mail.properties,
    )


def _misread(
    letter: Letter, found: list[JobDelivery], rejected: list[str], *, again: bool
) -> str:
    """Return what of a message was read as something else; empty if nothing was."""
    if letter.job is None:
        return "" if not found and rejected == [letter.reason] else f"rejected as {rejected}"
    if len(found) != 1:
        return f"run {len(found)} times, rejected as {rejected}"
    (delivery,) = found
    job, meant = delivery.parsed.job, letter.job
    if abs(job.deadline - wall(meant.deadline)) > _ROUNDING:
        return f"until {job.deadline}"
    read = (
        (job.job_id, job.account, job.priority is Priority.KILL, job.refs),
        (job.sent_by, delivery.eta, delivery.redelivered, delivery.quarantined),
    )
    means = (
        (meant.job_id, meant.account, meant.kill, letter.refs),
        (letter.properties.get("user_id", ""), None, again, False),
    )
    return "" if read == means else f"{read}, not {means}"


def _is_refused(word: Mapping[str, Any], why: str, where: str) -> bool:
    return (word["status"], word["reason"]) == ("rejected", why) and where in word["text"]
