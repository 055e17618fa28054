"""What a worker tells whoever keeps figures: each hook says when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from venues.words import Priority


class Seen(NamedTuple):
    """A finished request: what it carried, what came of it and how long that took."""

    venue: str
    account: str
    route: str
    ids: int
    result: str  # a verdict, "mixed", or the word for why no reply came
    waited_s: float
    elapsed_s: float


class Figures(NamedTuple):
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
