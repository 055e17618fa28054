"""A figure of the bench: what was measured, beside its bound and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table.

    `must` is the most that it may be, `least` the least; None where nothing is asked.
    """

    case: str
    name: str
    value: float
    unit: Literal[
        "s", "ms", "ratio", "requests", "answers", "ids/s", "MiB", "KiB", "ids", "jobs", "ms/id"
    ]
    bound: float | None = None
    must: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """What was measured, divided by the bound."""
        return self.value / self.bound if self.bound else None

    @property
    def reached(self) -> bool | None:
        """Whether the figure is as good as it must be; None where nothing is asked of it."""
        if self.least is not None:
            return self.value >= self.least
        if self.must is None:
            return None
        measured = self.ratio if self.ratio is not None and self.unit == "s" else self.value
        return measured <= self.must


def throttled(case: str, answers: int) -> Figure:
    """Return how often the venue refused for rate, which must be never."""
    return Figure(case=case, name="throttled answers", value=answers, unit="answers", must=0)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the picture: who canceled how many ids in how many seconds."""

    who: str
    ids: int
    seconds: float


@dataclass(slots=True)
class Findings:
    """What a case brings home."""

    figures: list[Figure] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    profile: list[str] = field(default_factory=list)
