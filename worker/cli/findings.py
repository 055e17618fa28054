"""What `check` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one thing is; a note does not stop a worker."""

    OK = "ok"
    NOTE = "note"
    BAD = "not ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer: what was looked at, how it is, and the figure or the mend."""

    what: str
    state: State
    detail: str = ""
