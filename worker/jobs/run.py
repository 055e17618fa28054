"""Runs one job through its lane: ids go in, outcomes come out, what is left is returned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from queue import Empty
from typing import Annotated, Any

from pydantic import PlainSerializer, TypeAdapter

from venues.words import CancelJob, CancelOutcome
from worker.contract.outcome import rfc_3339, utc_now
from worker.jobs.poison import hold_s
from worker.jobs.report import Report
from worker.jobs.runtime import DISOWNED, Runtime
from worker.jobs.submit import Reading, begin, deadline_of, fresh_ids, looks_first
from worker.lane.waiting import Result
from worker.orders.follow import Track, expire, start
from worker.orders.retry import Parked, RetryDecision, decide
from worker.processes.client import Errand, LaneFailed
from worker.processes.protocol import Fresh
from worker.settings import Settings


class Disowned(Exception):
    """The connection was lost and with it the job: the broker gives it to the next owner."""


def _by_names(track: Track) -> dict[str, Any]:
    return {**track._asdict(), "ref": track.ref._asdict()}


#: In a message its values have names: the next worker may be of another version.
NamedTrack = Annotated[Track, PlainSerializer(_by_names)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a job that goes back to the broker takes along."""

    accepted_at: datetime
    deadline: datetime
    attempt: int = 1
    counts: dict[str, int] = field(default_factory=dict)
    tracks: tuple[NamedTrack, ...] = ()


_PROGRESS = TypeAdapter(Progress)


def read_progress(value: Any) -> Progress | None:
    """Return the progress in a task message; None if it carries none that can be read."""
    return None if value is None else _PROGRESS.validate_python(value)


class Run:
    """One delivery of one job."""

    def __init__(self, runtime: Runtime, reading: Reading) -> None:
        """Prepare.

        Raises:
            ValidationError: what the message carries of earlier tries cannot be read.
        """
        job, refused = reading.intake.job, reading.intake.refused
        progress = read_progress(reading.progress)
        self.job = _resumed(job, progress) if progress else job
        self.attempt = progress.attempt if progress else 1
        self._came_at = math.inf if progress else reading.intake.came_at
        self._errand = reading.errand
        self._hold_s = hold_s(suspect=reading.suspect, attempt=self.attempt)
        self.report = Report(
            runtime.publisher,
            self.job,
            progress.counts if progress else {},
            runtime.observer.outcome,
            (lambda: runtime.told_before(job).result()) if reading.is_begun else tuple,
        )
        self._lanes = runtime.lanes(job.account)
        self._ids = (
            [] if self._errand else _ids(self.job, progress, runtime.settings, reading.again)
        )
        if progress is None:
            self.report.accepted(len(job.refs) + len(refused))
            for outcome in refused:
                self.report.refused(outcome, utc_now())

    def go(self) -> tuple[RetryDecision | None, list[Parked]]:
        """Cancel, and return when what is left goes again, with what is left.

        Raises:
            Disowned: the broker gives the job to another worker.
            LaneFailed: a fault of ours; the job goes to `cancel.dead`.
            NotConfirmed: the worker stops, and the broker does not take what was told.
        """
        deadline = self._errand.deadline if self._errand else deadline_of(self.job)
        left = self._carry(deadline) if self.job.refs else []
        decision = decide(left, time.monotonic(), deadline)
        if decision is None:
            for parked in left:
                self.report.outcome(expire(parked.track), utc_now())
        self.report.settle()
        return decision, left

    def _carry(self, deadline: float) -> list[Parked]:
        now = time.monotonic()
        if self._errand is None:
            if now >= deadline:
                tracks = self._ids.tracks() if isinstance(self._ids, Fresh) else self._ids
                return [Parked(track, now, "deadline") for track in tracks]
            self._errand = begin(self._lanes, self.job, self._ids, self._came_at)
        return self._collect(self._errand, min(deadline, now + self._hold_s))

    def _collect(self, errand: Errand, until: float) -> list[Parked]:
        left: list[Parked] = []
        missing = len(self.job.refs)
        while missing:
            results = self._next(errand, until)
            missing -= len(results)
            if errand.leaving == DISOWNED:
                # Whoever has the job now tells all of it: two would not know the same.
                raise Disowned
            for result in results:
                if isinstance(result, CancelOutcome):
                    self.report.outcome(result, utc_now())
                else:
                    left.append(result)
        return left

    def _next(self, errand: Errand, until: float) -> Sequence[Result]:
        while True:
            # Once the ids are asked back, those in flight still come: each request ends.
            wait_s = None if errand.leaving else max(0.0, until - time.monotonic())
            try:
                results = errand.inbox.get(timeout=wait_s)
            except Empty:
                why = "deadline" if errand.deadline <= time.monotonic() else "held_long"
                self._lanes.withdraw(errand, why)
            else:
                if isinstance(results, LaneFailed):
                    raise results
                return results

    def again(self, left: Sequence[Parked]) -> dict[str, Any]:
        """Return the arguments of the task that goes on with what is left."""
        # Another process has another clock; by then no read lags behind what was done here.
        tracks = tuple(parked.track._replace(settled_at=0.0) for parked in left)
        progress = Progress(
            accepted_at=self.job.accepted_at,
            deadline=self.job.deadline,
            attempt=self.attempt + 1,
            counts=dict(self.report.counts),
            tracks=tracks,
        )
        return {
            "job": _job_json(self.job, tracks),
            "progress": _PROGRESS.dump_python(progress, mode="json"),
        }


def _resumed(job: CancelJob, progress: Progress) -> CancelJob:
    return replace(job, accepted_at=progress.accepted_at, deadline=progress.deadline)


def _ids(
    job: CancelJob, progress: Progress | None, settings: Settings, again: bool
) -> Fresh | list[Track]:
    if progress is None:
        return fresh_ids(job, settings, again=again)
    known = {track.ref.id: track for track in progress.tracks}
    look = looks_first(job, settings)
    tracks = [known.get(ref.id) or start(ref, look_first=look) for ref in job.refs]
    return [track._replace(sent=track.sent or again) for track in tracks]


def _job_json(job: CancelJob, tracks: Sequence[Track]) -> Mapping[str, Any]:
    return {
        "job_id": job.job_id,
        "account": job.account,
        "orders": [_order_json(track) for track in tracks],
        "deadline": rfc_3339(job.deadline),
        "reason": job.reason,
        "requested_by": job.requested_by,
        "tags": dict(job.tags),
    }


def _order_json(track: Track) -> dict[str, str]:
    ref = track.ref
    return {"id": ref.id, "kind": ref.kind, "ord_type": ref.ord_type, "symbol": ref.symbol}
