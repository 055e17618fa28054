"""How the venue serves an account: as it should, not for a while, or not this key.

| state   | since                                 | what leaves               | until      |
|---------|---------------------------------------|---------------------------|------------|
| running | -                                     | all                       | -          |
| paused  | the venue refused us for rate         | nothing                   | it is over |
| barred  | something in the way refused us       | one request, then a pause | an answer  |
| refused | the venue refused the key             | a read, after a second    | an answer  |
| halted  | it did so for the third time in a row | a read, once a minute     | an answer  |

A page of a gateway is no word of the venue, so it never halts. A refusal of the key is asked
again by a signed read: venues refuse good keys now and then. Where reads are answered and
cancels are refused (a key that may only read), the row goes on, and in the end a cancel asks
(docs/decisions/0028). Pure but for its state; times are monotonic seconds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from venues.base import Route
from venues.words import AccountState
from worker.lane.entry import is_lookup
from worker.orders.retry import backoff_s
from worker.pacing.pace import NEVER

# All in seconds.
#: A pause lasts at least this long.
SHORTEST_PAUSE_S = 1.0
#: A refusal of the key is asked again after this long. While the account is halted a kill has
#: it asked no more often than this.
ASK_AGAIN_S = 1.0
#: A halted account is asked this often whether it is served again.
PROBE_S = 60.0
#: So many refusals of the key in a row halt the account.
MOST_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Pause:
    """The account is quiet for `pause_s`; `attempt` counts such answers in a row.

    `cut` says that the venue asked for longer than it is believed.
    """

    pause_s: float
    attempt: int
    cut: bool = False


class Condition(NamedTuple):
    """The state of an account: why, since when, and until when nothing leaves."""

    state: AccountState = AccountState.RUNNING
    why: str = ""
    since: float = -NEVER
    until: float = -NEVER


class Standing:
    """What the venue's replies say of one account. `longest_s` is its longest ban."""

    def __init__(self, longest_s: float, rng: random.Random) -> None:
        self.quiet_until = -NEVER
        self._longest_s = longest_s
        self._rng = rng
        self._pauses = 0  # in a row
        self._why = ""  # of the pause
        self._paused_at = -NEVER  # the first of the row
        #: One request at a time, until one is answered.
        self.careful = False
        self._barred = False
        self._forget_refusals()

    def _forget_refusals(self) -> None:
        self._refusals = 0  # in a row
        self._refused_for = ""
        self._shut = False
        self._shut_at = -NEVER
        self._asked_at = -NEVER  # the last refusal, or the last read that asked
        self._cancel_refused = False
        self._read_served = False

    # -- for the lane --------------------------------------------------------------------

    @property
    def shut(self) -> bool:
        """Whether the key is refused: nothing leaves but what asks again."""
        return self._shut

    @property
    def halted(self) -> bool:
        """Whether it was refused so often that nobody waits for it."""
        return self._shut and self._refusals >= MOST_REFUSALS

    @property
    def takes_reads(self) -> bool:
        """Whether a read proves nothing more: reads were answered, and cancels refused."""
        return self._read_served

    def asks_at(self, *, kill: bool) -> float:
        """Return when a refused account is asked again; a `kill` that waits hurries it."""
        slow = self.halted and not kill
        return max(self.quiet_until, self._asked_at + (PROBE_S if slow else ASK_AGAIN_S))

    def why(self, now: float) -> str:
        """Return why nothing leaves; empty if that is not the account's fault."""
        if self._shut:
            return self._refused_for
        return self._why if now < self.quiet_until or self.careful else ""

    def condition(self, now: float) -> Condition:
        """Return the state of the account as it is told to people."""
        if self._shut:
            state = AccountState.HALTED if self.halted else AccountState.REFUSED
            # Where a read proves nothing, the next job's cancel asks.
            until = -NEVER if self._read_served else self.asks_at(kill=False)
            return Condition(state, self._refused_for, self._shut_at, until)
        if self._barred:
            return Condition(AccountState.BARRED, self._why, self._paused_at, self.quiet_until)
        if now < self.quiet_until:
            return Condition(AccountState.PAUSED, self._why, self._paused_at, self.quiet_until)
        return Condition()

    # -- what replies say ----------------------------------------------------------------

    def pause(
        self, now: float, why: str, asked_s: float = 0.0, *, barred: bool = False
    ) -> Pause:
        """Pause the account, at least as long as the venue asks, if that is within reason.

        What is refused during a pause had left before it: that is one refusal, not many.
        """
        if now >= self.quiet_until:
            self._pauses += 1
            if self._pauses == 1:
                self._paused_at = now
        cut = asked_s > self._longest_s
        grown_s = backoff_s(self._pauses, SHORTEST_PAUSE_S, self._rng)
        pause_s = max(SHORTEST_PAUSE_S, min(asked_s, self._longest_s), grown_s)
        self.quiet_until = max(self.quiet_until, now + pause_s)
        self._why = why
        self._barred = barred
        self.careful = self.careful or barred or cut
        return Pause(pause_s, self._pauses, cut)

    def refused(self, why: str, route: Route, started: float, now: float) -> bool:
        """Count a refusal of the key; say whether it is a new one.

        What had left before the last one came is one refusal with it.
        """
        if started < self._asked_at:
            return False
        if not self._shut:
            self._shut_at = now
        self._shut = True
        self._refusals += 1
        self._refused_for = why
        self._asked_at = now
        if is_lookup(route):
            self._read_served = False
        else:
            self._cancel_refused = True
        return True

    def probed(self, now: float) -> None:
        """Note that a read that asked has come back, whatever it says."""
        self._asked_at = max(self._asked_at, now)

    def served(self, route: Route, started: float) -> None:
        """Note that the venue itself answered, and refused neither key nor rate."""
        if started >= self.quiet_until:
            self._pauses, self._why = 0, ""
            self._barred = self.careful = False
        if not self._refusals or started < self._asked_at:
            return
        if not is_lookup(route) or not self._cancel_refused:
            self._forget_refusals()
        elif not (self.halted and self._read_served):
            self._read_served, self._shut = True, False

    def forget(self) -> None:
        """Forget refusals: another worker owns the lane, and asks for itself."""
        self._forget_refusals()
