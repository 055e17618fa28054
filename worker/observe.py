"""What a worker tells whoever keeps figures: each hook says when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.lane import Sending
from worker.model import Priority
from worker.settings import Account


@dataclass(frozen=True, slots=True)
class Seen:
    """A finished request: what it carried, what came of it and how long that took."""

    account: Account
    sending: Sending
    result: str  # a verdict, "mixed", or the word for why no reply came
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A lane at one moment."""

    waiting: int
    oldest_s: float
    halted: bool
    paused: bool


class Observer:
    """Keeps no figures; subclass it to keep some. Called from many threads, so be quick."""

    def request(self, seen: Seen) -> None:
        """Called after each venue request, whatever came of it."""

    def outcome(self, message: Mapping[str, Any], priority: Priority) -> None:
        """Called when the final word on one id is told, with the keys of the outcome."""

    def rejected(self, reason: str) -> None:
        """Called when a message is refused because it is no job."""


#: For a worker whose figures nobody keeps.
NOBODY = Observer()
