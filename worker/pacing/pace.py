"""How often a venue may be asked: one quota, paced from the responses. Pure but for state."""

from __future__ import annotations

import math
from collections import deque

from venues.base import Quota

#: Quotas with a window up to this are spaced evenly for routine requests; longer ones
#: (ban thresholds) keep a share free for a kill instead, so that one order waits for nothing.
EVEN_WINDOW_S = 2.0
#: The share of a long window's tokens that routine requests leave to a kill, and a kill's
#: look-ups to the cancels of the next one.
KILL_SHARE = 0.2
#: The share of a short window's tokens that one routine request for several ids takes at most,
#: where it may as well be for fewer: a kill waits no longer for a token than that.
STEP_SHARE = 0.1
#: After this long (seconds) without a rest routine requests leave one token of a short window,
#: where a kill's first id has no other route. It costs a long backlog a tenth of its pace, and
#: a shorter one nothing.
LONG_USE_S = 30.0
#: Full requests may make up for a late start by at most this share of the window: a kill that
#: comes just then finds that many tokens less (docs/decisions/0013).
MOST_BEHIND = 0.5
#: A look-up that a cancel waits for keeps no distance from others while at most this share of
#: the tokens is out: a kill finds the rest.
FEW_SHARE = 0.2
#: Tokens that come back this many seconds after each other, or later, are slow.
SLOW_GAP_S = 0.3
NEVER = float("inf")


class Pace:
    """The tokens of one quota: each comes back one window after its response.

    The venue stamps a request somewhere between our send and our receipt. Fewer than
    `limit` tokens are out whenever a request starts, so at most `limit` requests can have
    been stamped in any window, whatever the jitter. All times are monotonic seconds.
    """

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        #: Whether a kill has no other way, so that a token is left to it after a long use.
        self.leaves_one = True
        #: Whether cancels draw from it, to which a kill's look-ups leave their share, too.
        self.of_cancels = True
        self._in_flight = 0
        self._back_at: deque[float] = deque()
        self._last_sent = -NEVER
        self._last_cancel = -NEVER
        self._last_awaited = -NEVER  # look-up that a cancel waited for
        self._due = -NEVER  # when the last cancel was due, which may be before it left
        self._used_since = NEVER
        long_window = quota.window_s > EVEN_WINDOW_S
        self._step_s = quota.window_s / quota.limit
        self._gap_s = 0.0 if long_window else self._step_s
        self._kept = int(quota.limit * KILL_SHARE) if long_window else 0

    def free(self, now: float) -> int:
        """Return how many tokens are free at `now`."""
        while self._back_at and self._back_at[0] <= now:
            self._back_at.popleft()
        return self.quota.limit - self._in_flight - len(self._back_at)

    def ready_at(
        self,
        now: float,
        *,
        urgent: bool,
        lookup: bool = False,
        awaited: bool = False,
        spare: int = 0,
        since: float = NEVER,
        tokens: int = 1,
        lane: object = None,  # noqa: ARG002 - as where lanes share: see `SharedPace`
    ) -> float:
        """Return when tokens may be taken (now or later; NEVER: not before a response).

        `urgent` takes any free token, if it is no look-up; otherwise requests are evenly
        spaced, or leave a share. Look-ups keep their distance from cancels, not cancels from
        look-ups; one that is `awaited`, as ids are canceled after it, keeps it from others of
        its kind alone while few tokens are out. `spare` tokens more must stay free (a look-up
        leaves them to waiting cancels). A cancel that gains nothing by waiting, as it is full,
        says `since` when its ids are here: then it only has to keep its distance from when the
        one before was due. Which `lane` asks is of no account where lanes do not share.
        """
        kept = spare + self._kept_from(now, urgent=urgent, lookup=lookup)
        even_at = self._even_at(now, since, lookup=lookup, awaited=awaited)
        even_at = now if urgent else max(now, even_at)
        return max(even_at, self._free_at(now, min(kept + tokens, self.quota.limit)))

    def to_spend(self, now: float, *, urgent: bool, evenly: bool) -> int:
        """Return how many tokens one request may take now; `evenly`: no more than a step."""
        free = self.free(now) - self._kept_from(now, urgent=urgent)
        if urgent or not evenly or not self._gap_s:
            return free
        return min(free, math.ceil(self.quota.limit * STEP_SHARE))

    def _even_at(self, now: float, since: float, *, lookup: bool, awaited: bool) -> float:
        if awaited:
            own_at = max(self._last_awaited, self._last_cancel) + self._gap_s
            most_free_at = self._free_at(now, math.ceil(self.quota.limit * (1 - FEW_SHARE)))
            return min(self._last_sent + self._gap_s, max(own_at, most_free_at))
        if lookup:
            return self._last_sent + self._gap_s
        return min(self._last_cancel + self._gap_s, self._due_at(now, since))

    def _due_at(self, now: float, since: float) -> float:
        """Return when the next cancel is due, if its first id is here since `since`."""
        behind_s = MOST_BEHIND * self.quota.window_s
        return max(self._due + self._gap_s, since, now - behind_s)

    @property
    def due_at(self) -> float:
        """When the next cancel is due."""
        return self._due + self._gap_s

    @property
    def catch_up_limit(self) -> float:
        """Latest start of the next cancel that the cancels after it can still make up for."""
        if not self._gap_s:
            return -NEVER
        return self._due + MOST_BEHIND * self.quota.window_s

    def slow(self, tokens: int = 1) -> bool:
        """Say whether so many of its tokens come back slowly."""
        return self._step_s * tokens >= SLOW_GAP_S

    def dear(self, tokens: int, requests: int, now: float) -> bool:
        """Say whether there are too few tokens for so many requests of so many, for a while."""
        is_long = not self._gap_s
        few = self.free(now) - self._kept < requests * tokens
        return is_long and few and self.slow(tokens)

    def half_free_at(self, now: float) -> float:
        """Return when more than half of the tokens are free."""
        return self._free_at(now, self.quota.limit // 2 + 1)

    def spare_at(self, now: float, requests: int, tokens: int = 1) -> float:
        """Return when there are tokens beside those of `requests`, or every token is free.

        Each request takes `tokens`.
        """
        return self._free_at(now, min((requests + 1) * tokens, self.quota.limit))

    def _kept_from(self, now: float, *, urgent: bool, lookup: bool = False) -> int:
        """Return how many tokens are kept from a request: for kills, or for their cancels."""
        if urgent:
            return self._kept if lookup and self.of_cancels else 0
        return self._kept or int(self.leaves_one and now - self._used_since >= LONG_USE_S)

    def _free_at(self, now: float, wanted: int) -> float:
        missing = wanted - self.free(now)
        if missing <= 0:
            return now
        return self._back_at[missing - 1] if missing <= len(self._back_at) else NEVER

    def asked(self, lane: object, now: float, *, urgent: bool, ready_at: float) -> None:
        """Note what a lane was told by `ready_at`."""

    def take(
        self,
        now: float,
        *,
        lookup: bool = False,
        awaited: bool = False,
        since: float = NEVER,
        tokens: int = 1,
        lane: object = None,  # noqa: ARG002
        urgent: bool = False,  # noqa: ARG002
    ) -> None:
        """Count a request that starts; see `ready_at` for `awaited` and `since`."""
        if self.free(now) == self.quota.limit:
            self._used_since = now
        self._in_flight += tokens
        self._last_sent = now + self._further_s(tokens)
        if awaited:
            self._last_awaited = self._last_sent
        if not lookup:
            self.passed(now, since, tokens)

    def passed(self, now: float, since: float = NEVER, tokens: int = 1) -> None:
        """Count a cancel, maybe by another route: the next one keeps its distance."""
        self._last_cancel = now + self._further_s(tokens)
        self._due = min(now, self._due_at(now, since)) + self._further_s(tokens)

    def _further_s(self, tokens: int) -> float:
        """Return how much further the next request keeps away than from one of one token."""
        return (tokens - 1) * self._gap_s

    def release(self, now: float, tokens: int = 1) -> None:
        """Count a response, or its time-out: its tokens return one window later."""
        self._in_flight -= tokens
        self._back_at.extend([now + self.quota.window_s] * tokens)

    def assume_spent(self, now: float) -> None:
        """Take over from an owner whose last requests nobody knows.

        A short window is waited out whole. Of a long one the tokens return evenly: nobody
        waits ten seconds for a kill because another worker died.
        """
        limit, window_s = self.quota.limit, self.quota.window_s
        short = window_s <= EVEN_WINDOW_S
        spent = [now + (window_s if short else window_s * k / limit) for k in range(limit)]
        self._back_at = deque(sorted([*self._back_at, *spent])[-limit:])
