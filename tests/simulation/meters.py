"""How a simulated venue counts requests: rolling windows, fixed windows, token buckets."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Protocol

from venues.base import Quota

#: Times are floats: what is this close to a border is on its right side.
EPSILON_S = 1e-9


class Kind(StrEnum):
    ROLLING = "rolling"
    FIXED = "fixed"
    BUCKET = "bucket"


class Meter(Protocol):
    def hit(self, now: float, tokens: int) -> bool:
        """Count a request that takes so many tokens; return whether it is within the limit."""

    def change_owner(self, now: float) -> None:
        """Somebody else sends from now on, who knows nothing of what was sent before."""


class Rolling:
    """At most `limit` requests in any window, wherever it starts."""

    def __init__(self, quota: Quota, short: bool) -> None:
        self._quota = quota
        self._short = short
        self._hits: deque[float] = deque()
        self._owner_since = -float("inf")

    def hit(self, now: float, tokens: int) -> bool:
        start = now - self._quota.window_s + EPSILON_S
        while self._hits and self._hits[0] <= start:
            self._hits.popleft()
        self._hits.extend([now] * tokens)
        return len(self._hits) <= _allowed(self._quota, start, self._owner_since, self._short)

    def change_owner(self, now: float) -> None:
        self._owner_since = now


class Fixed:
    """At most `limit` requests in each window; windows follow each other."""

    def __init__(self, quota: Quota, short: bool) -> None:
        self._quota = quota
        self._short = short
        self._window = -1
        self._hits = 0
        self._owner_since = -float("inf")

    def hit(self, now: float, tokens: int) -> bool:
        window = int(now / self._quota.window_s)
        if window != self._window:
            self._window, self._hits = window, 0
        self._hits += tokens
        start = window * self._quota.window_s
        return self._hits <= _allowed(self._quota, start, self._owner_since, self._short)

    def change_owner(self, now: float) -> None:
        self._owner_since = now


class Bucket:
    """A bucket of `limit` tokens that fills evenly, all of it in one window."""

    def __init__(self, quota: Quota, short: bool) -> None:
        self._quota = quota
        self._short = short
        self._tokens = float(quota.limit)
        self._filled = 0.0

    def hit(self, now: float, tokens: int) -> bool:
        gained = (now - self._filled) * self._quota.limit / self._quota.window_s
        self._tokens = min(self._quota.limit, self._tokens + gained) - tokens
        self._filled = now
        return self._tokens >= -EPSILON_S * self._quota.limit / self._quota.window_s

    def change_owner(self, now: float) -> None:
        if not self._short:
            self._filled, self._tokens = now, float(self._quota.limit)


def _allowed(quota: Quota, start: float, owner_since: float, short: bool) -> int:
    """Return the limit; of a long window two owners may each have used it up.

    A new owner waits a short window out, but not a long one: a kill may not wait so long
    because another worker died.
    """
    return quota.limit if short or start > owner_since else 2 * quota.limit


METERS: dict[Kind, type[Rolling] | type[Fixed] | type[Bucket]] = {
    Kind.ROLLING: Rolling,
    Kind.FIXED: Fixed,
    Kind.BUCKET: Bucket,
}
