"""Logs and publishes each outcome: one line and one confirmed message, with the same keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

import structlog
from pydantic import ValidationError

from venues.words import CancelJob, CancelOutcome, CancelStatus, Priority
from worker.amqp.publisher import Publication, Publisher
from worker.amqp.topology import OUTCOMES, REJECTED, REPORTS
from worker.contract.job import ROUTING_KEY_HEADER, InvalidJob, scope_json
from worker.contract.outcome import OutcomeMessage, json_bytes, message_id, rfc_3339
from worker.contract.report import Result
from worker.jobs.earlier import EarlierOutcomes, OutcomeJson, earlier_outcomes, standing
from worker.jobs.job_report import Sent, job_report
from worker.orders.scope import LeftOut
from worker.stats import NO_OBSERVER

#: Bytes of tags in a log line.
_MOST_TAGS_BYTES = 8 << 10
#: Statuses that somebody should look at.
_LOUD = {CancelStatus.FAILED, CancelStatus.UNCONFIRMED}


#: Results of reports after which nobody has to look.
_PROVEN = {Result.DONE, Result.EMPTY}
#: Of a report, what every line of the job's log has, or `job_accepted`, or is no use there.
_BOUND = {"job_id", "venue", "account", "counts", "schema_version", "message_id", "tags"}

#: Of a rejected message that the connection refuses with all that its producer wrote.
HEADERS_LEFT_OUT = "its own headers were too large, or nested too deeply, and are left out"


class Report:
    """Where a job's outcomes go; counts them on the way."""

    def __init__(
        self,
        publisher: Publisher,
        job: CancelJob,
        counts: Mapping[str, int],
        observe: Callable[[Mapping[str, Any], Priority], None] = NO_OBSERVER.outcome,
        earlier_outcomes: Callable[[], Iterable[bytes]] = tuple,
        *,
        publish_done: bool = True,
        posted: Iterable[Future[None]] = (),
    ) -> None:
        """Prepare; `earlier_outcomes`, which may wait, finds what was published of the job.

        `publish_done`: the report on a job with orders is published, and not only logged.
        `posted` is what is on its way to the broker already.
        """
        self._publisher = publisher
        self._job = job
        self._observe = observe
        self._earlier_outcomes = earlier_outcomes
        self._before: EarlierOutcomes | None = None
        self.counts: Counter[str] = Counter(counts)
        self._accepted_at = job.accepted_at
        self._posted: list[Future[None]] = list(posted)
        self._finished: Mapping[str, Any] = {}
        self._publish_done = publish_done

    @cached_property
    def _log(self) -> Any:
        return _log_of(self._job)

    @cached_property
    def _of_job(self) -> dict[str, Any]:
        job = self._job
        return {
            "job_id": job.job_id,
            "venue": job.venue,
            "account": job.account,
            "requested_by": job.requested_by,
            "sent_by": job.sent_by,
            "job_reason": job.reason,
            "tags": dict(job.tags),
            "accepted_at": rfc_3339(self._accepted_at),
            **({"found_by": "scope"} if job.scope else {}),
        }

    def outcome(self, outcome: CancelOutcome, now: datetime) -> None:
        """Log and publish the outcome of one id, or the earlier one that stands instead."""
        if self._before is None:
            self._before = self._recall()
        self._tell(standing(self._before, outcome) or self._message(outcome, now))

    def _recall(self) -> EarlierOutcomes:
        read = (_read(body) for body in self._earlier_outcomes())
        words = [word for word in read if word and word["job_id"] == self._job.job_id]
        if self._job.scope is not None:  # how many there were in all, nobody knows
            return EarlierOutcomes(of_full_run={word["id"]: word for word in words})
        earlier = earlier_outcomes(words, frozenset(ref.id for ref in self._job.refs))
        if earlier.accepted_at:  # what is published from now on belongs to the crashed run
            self._of_job["accepted_at"] = earlier.accepted_at
            self._accepted_at = datetime.fromisoformat(earlier.accepted_at)
        return earlier

    def refused(self, outcome: CancelOutcome, now: datetime) -> None:
        """Log and publish the final word on an id that cannot be one: it is always the same."""
        self._tell(self._message(outcome, now))

    def _tell(self, message: Mapping[str, Any]) -> None:
        # Tags stand in `job_accepted`; with each id, they are megabytes.
        fields = {name: value for name, value in message.items() if name != "tags"}
        tell = self._log.error if message["status"] in _LOUD else self._log.info
        tell("cancel_outcome", **fields)
        self.counts[message["status"]] += 1
        self._observe(message, self._job.priority)
        self._posted.append(self._publisher.publish(_letter(message, self._job.trace)))

    def _message(self, outcome: CancelOutcome, now: datetime) -> dict[str, Any]:
        latency_ms = round((now - self._accepted_at).total_seconds() * 1000, 1)
        return (
            _of_id(outcome)
            | self._of_job
            | {"finished_at": rfc_3339(now), "latency_ms": latency_ms}
        )

    def retry(self, ids: int, countdown_s: int, attempt: int, why: str) -> None:
        """Log that ids go back to the broker for another attempt."""
        self._log.warning(
            "cancel_retry", ids=ids, countdown_s=countdown_s, attempt=attempt, why=why
        )

    def settle(self) -> None:
        """Wait until the broker has confirmed every outcome.

        Raises:
            NotConfirmed: the worker stops, and the broker takes nothing.
        """
        # The last one first: when that is confirmed, so are mostly the others.
        for posted in reversed(self._posted):
            posted.result()
        self._posted.clear()

    def last_posted(self) -> Future[None] | None:
        """Return what ends when the broker has the newest outcome; None: it has all."""
        return self._posted[-1] if self._posted else None

    def kept(self, why: str) -> None:
        """Log that the broker keeps the job, as it has not taken its outcomes."""
        self._log.error("message_kept", why=why)

    def take_posted(self) -> list[Future[None]]:
        """Return what is on its way to the broker, for somebody else to wait for."""
        taken, self._posted = self._posted, []
        return taken

    def finish(self, sent: Sent, now: datetime, more: Mapping[str, Any] | None = None) -> None:
        """Publish the report on the job, whose ids all have their final words.

        `more` is what the report on a scope has besides.
        """
        report = job_report(self._job, self._accepted_at, self.counts, sent, now)
        self._finished = {**report, **(more or {})}
        if self._job.scope is None and not self._publish_done:
            return
        self._posted.append(
            self._publisher.publish(_report_letter(self._finished, self._job.trace))
        )

    def done(self) -> None:
        """Log that every id of the job has its final word."""
        report = self._finished
        fields = {name: value for name, value in report.items() if name not in _BOUND}
        tell = self._log.info if report["result"] in _PROVEN else self._log.error
        tell("job_done", **report["counts"], **fields)


def log_accepted(job: CancelJob, ids: int) -> None:
    """Log that a job was taken."""
    _log_of(job).info(
        "job_accepted",
        ids=ids,
        priority=job.priority,
        deadline=rfc_3339(job.deadline),
        reason=job.reason,
        requested_by=job.requested_by,
        sent_by=job.sent_by,
        tags=_fitting(job.tags),
        **({"unknown_fields": list(job.unknown_fields)} if job.unknown_fields else {}),
        **({"scope": scope_json(job.scope), "hold_s": job.scope.hold_s} if job.scope else {}),
    )


def log_narrowed(job: CancelJob, left_out: Iterable[LeftOut]) -> None:
    """Log that a venue does not list all orders of a job's scope: of these types, and why."""
    for ord_types, reason in left_out:
        _log_of(job).warning("scope_narrowed", ord_types=list(ord_types), reason=reason)


def _log_of(job: CancelJob) -> Any:
    return structlog.get_logger().bind(
        job_id=job.job_id, venue=job.venue, account=job.account, **job.trace
    )


def _read(body: bytes) -> OutcomeJson | None:
    """Return an outcome as it was published; None if somebody else published something else."""
    try:
        OutcomeMessage.model_validate_json(body)
    except ValidationError:
        return None
    word: OutcomeJson = json.loads(body)
    return word


#: `asdict` would copy every value once more.
_FIELDS = tuple(field.name for field in fields(CancelOutcome))


def _of_id(outcome: CancelOutcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in _FIELDS}


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that fit into a log line, the first ones first."""
    sizes = accumulate(len(f"{name}{value}".encode()) for name, value in tags.items())
    return {
        name: value
        for (name, value), size in zip(tags.items(), sizes, strict=True)
        if size <= _MOST_TAGS_BYTES
    }


def _letter(message: Mapping[str, Any], trace: Mapping[str, str]) -> Publication:
    names = (message["venue"] or "_", message["account"] or "_", message["status"])
    return Publication(
        exchange=OUTCOMES,
        routing_key=".".join(names),
        body=json_bytes(message),
        properties={
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "message_id": message_id(message["job_id"], message["id"]),
        },
        headers=trace,
    )


def _report_letter(report: Mapping[str, Any], trace: Mapping[str, str]) -> Publication:
    return Publication(
        exchange=REPORTS,
        routing_key=f"{report['venue']}.{report['account']}.{report['result']}",
        body=json_bytes(report),
        properties={
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "message_id": report["message_id"],
        },
        headers=trace,
    )


def log_rejected(error: InvalidJob) -> None:
    """Log that a message is no job."""
    structlog.get_logger().error(
        "job_rejected", job_id=error.job_id, reason=error.reason, detail=error.detail
    )


def reject(
    publisher: Publisher,
    body: bytes,
    properties: Mapping[str, Any],
    headers: Mapping[str, Any],
    key: str,
    error: InvalidJob,
) -> Future[None]:
    """Log a message that is no job and publish it, byte for byte, to `cancel.rejected`.

    Its own headers are left out where the connection does not carry them.
    """
    log_rejected(error)
    detail = error.detail.encode("utf-8", "replace").decode()[:500]
    said = {"x-reason": error.reason, "x-detail": detail, ROUTING_KEY_HEADER: key}
    letter = Publication(
        exchange=REJECTED,
        routing_key="",
        body=body,
        properties=properties,
        headers={**headers, **said},
        mandatory=True,
        bare=said | {"x-detail": f"{detail} ({HEADERS_LEFT_OUT})"},
    )
    return publisher.publish(letter)


def reject_outcome(
    publisher: Publisher,
    error: InvalidJob,
    venue: str,
    account: str,
    sent_by: str,
    now: datetime,
) -> Future[None]:
    """Publish and log the outcome of a job that was refused as a whole."""
    refused = CancelOutcome(
        id="", status=CancelStatus.REJECTED, reason=error.reason, text=error.detail[:200]
    )
    message = _of_id(refused) | {
        "job_id": error.job_id,
        "venue": venue,
        "account": account,
        "requested_by": "",
        "sent_by": sent_by,
        "job_reason": "",
        "tags": {},
        "accepted_at": rfc_3339(now),
        "finished_at": rfc_3339(now),
        "latency_ms": 0.0,
    }
    structlog.get_logger().info("cancel_outcome", **message)
    return publisher.publish(_letter(message, {}))
