"""What a worker counts: values, and hooks for whatever keeps them as statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from venues.words import AccountState, Priority


class VenueCall(NamedTuple):
    """A finished venue request: what it carried, its result and its times."""

    venue: str
    account: str
    route: str
    ids: int
    result: str  # a verdict, "mixed", or the reason why no reply came
    waited_s: float
    elapsed_s: float
    is_escalation: bool = False  # the cancel-all of a symbol, as a kill's order stayed open


class LaneStats(NamedTuple):
    """How one lane stands at one moment."""

    waiting: int
    oldest_s: float
    state: AccountState = AccountState.RUNNING


class AccountCondition(NamedTuple):
    """How the venue serves an account: why, since when, and when something leaves again.

    Times are Unix seconds, as others read them in another process; None: there is none.
    `routine_pause` says who had it paused (`cancel-worker pause`), when and why.
    """

    state: AccountState = AccountState.RUNNING
    why: str = ""
    since: float | None = None
    until: float | None = None
    routine_pause: Mapping[str, str] | None = None


class Observer:
    """Hooks that do nothing; a subclass keeps statistics. Many threads call them: be quick."""

    def venue_call(self, call: VenueCall) -> None:
        """Called after each venue request, whatever its result."""

    def outcome(self, message: Mapping[str, Any], priority: Priority) -> None:
        """Called when the outcome of one id is published; `message` has the outcome's keys."""

    def rejected(self, reason: str) -> None:
        """Called when a message is rejected because it is no valid job."""

    def dead_man_fired(self, venue: str, account: str) -> None:
        """Called when the silence of a producer has filed a kill."""


#: For a worker without statistics.
NO_OBSERVER = Observer()
