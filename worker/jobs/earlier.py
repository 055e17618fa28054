"""Which of the words that were told of a job before still stand. Pure.

The words of one run of a job have one `accepted_at`. A job is acknowledged when all is told, so
a run that told only a part of its ids died, and what it told stands. A run that told all of
them may have been another one: producers send a job again under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from venues.words import CancelOutcome, CancelStatus, Evidence

#: One outcome as it was published.
Word = Mapping[str, Any]

#: An order of which this is told is not open, and with an id of its venue never will be again.
_NOT_OPEN = {
    CancelStatus.CANCELED,
    CancelStatus.FILLED,
    CancelStatus.CLOSED,
    CancelStatus.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a job's ids: by a run that died, and by the last one that did not."""

    cut_short: Mapping[str, Word] = field(default_factory=dict)
    complete: Mapping[str, Word] = field(default_factory=dict)

    @property
    def accepted_at(self) -> str:
        """Return when the run that died took the job; "" if none did."""
        return next((str(word["accepted_at"]) for word in self.cut_short.values()), "")


def sort_out(words: Iterable[Word], ids: frozenset[str]) -> Told:
    """Return what was told of a job with these ids, from its outcomes in their order."""
    runs: dict[str, dict[str, Word]] = {}
    for word in words:
        runs.setdefault(word["accepted_at"], {}).setdefault(word["id"], word)
    cut_short: dict[str, Word] = {}
    complete: dict[str, Word] = {}
    for _, run in sorted(runs.items()):
        if run.keys() >= ids:
            cut_short, complete = {}, run
        else:
            cut_short = run | cut_short
    return Told(cut_short, complete)


def first_word(told: Told, outcome: CancelOutcome) -> Word | None:
    """Return the word that stands instead of an outcome; None if the outcome is news.

    An order that shows as open is always news.
    """
    if outcome.status is CancelStatus.FAILED and outcome.evidence is Evidence.LOOKUP:
        return None
    word = told.cut_short.get(outcome.id)
    if word is None and outcome.status in _NOT_OPEN:
        before = told.complete.get(outcome.id)
        word = before if before and before["status"] in _NOT_OPEN else None
    return word
