"""Which earlier outcomes of a job still stand. Pure.

All outcomes of one run carry the same `accepted_at`. A job is acknowledged once all outcomes
are published, so a run that published only some of them has crashed, and those stand. A run
that published all may have been another job: producers send a job again under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from venues.words import CancelOutcome, CancelStatus, Evidence

#: One outcome as it was published.
OutcomeJson = Mapping[str, Any]

#: An order with one of these is not open; under a venue order id it never will be again.
_NOT_OPEN = {
    CancelStatus.CANCELED,
    CancelStatus.FILLED,
    CancelStatus.CLOSED,
    CancelStatus.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class EarlierOutcomes:
    """What crashed runs of a job published, and the last run that published all; by id."""

    of_crashed_runs: Mapping[str, OutcomeJson] = field(default_factory=dict)
    of_full_run: Mapping[str, OutcomeJson] = field(default_factory=dict)

    @property
    def accepted_at(self) -> str:
        """Return when the crashed run accepted the job; "" if none crashed."""
        return next((str(word["accepted_at"]) for word in self.of_crashed_runs.values()), "")


def earlier_outcomes(words: Iterable[OutcomeJson], ids: frozenset[str]) -> EarlierOutcomes:
    """Return what stands of a job with these ids, from its outcomes in their order."""
    runs: dict[str, dict[str, OutcomeJson]] = {}
    for word in words:
        runs.setdefault(word["accepted_at"], {}).setdefault(word["id"], word)
    of_crashed_runs: dict[str, OutcomeJson] = {}
    of_full_run: dict[str, OutcomeJson] = {}
    for _, run in sorted(runs.items()):
        if run.keys() >= ids:
            of_crashed_runs, of_full_run = {}, run
        else:
            of_crashed_runs = run | of_crashed_runs
    return EarlierOutcomes(of_crashed_runs, of_full_run)


def standing(earlier: EarlierOutcomes, outcome: CancelOutcome) -> OutcomeJson | None:
    """Return the earlier outcome that stands instead of a new one; None if the new one does.

    An order that shows as open is always new.
    """
    if outcome.status is CancelStatus.FAILED and outcome.evidence is Evidence.LOOKUP:
        return None
    word = earlier.of_crashed_runs.get(outcome.id)
    if word is None and outcome.status in _NOT_OPEN:
        before = earlier.of_full_run.get(outcome.id)
        word = before if before and before["status"] in _NOT_OPEN else None
    return word
