"""The venue's time for signatures: corrected once where the venue's clock is another one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from venues.base import HttpReply
from worker.pacing.pace import NEVER

#: A clock that is this wrong (ms) may be why a venue refuses a signature.
CLOCK_OFF_MS = 5000


class VenueClock:
    """The time of one account's venue, by this machine's clock and a correction.

    Any thread may call `now_ms`; the lane's lock guards the other methods. `started` and `now`
    are monotonic seconds, `venue_ms` is what `stated_ms` found in a reply.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._stamping = threading.Lock()
        self._last_ms = 0
        self._offset_ms = 0
        self._corrected_at = -NEVER
        self._refusals = 0

    def now_ms(self) -> int:
        """Return the time, never the same twice: some venues take it for a nonce."""
        with self._stamping:
            self._last_ms = max(self._venue_ms(), self._last_ms + 1)
            return self._last_ms

    def explains(self, started: float, venue_ms: int | None) -> bool:
        """Say whether our clock, not the key, explains why a signed request was refused."""
        if self.was_corrected_after(started):
            return True
        return venue_ms is not None and abs(venue_ms - self._venue_ms()) > CLOCK_OFF_MS

    def was_corrected_after(self, started: float) -> bool:
        """Say whether a request that started then was signed by the clock before."""
        return started <= self._corrected_at

    def correct(self, venue_ms: int | None, now: float) -> int | None:
        """Take the venue's time and return its offset (ms).

        Return None where nothing helps: the venue stated no time, or refused the time that it
        had stated itself. If our clock was set meanwhile, that is another time.
        """
        self._refusals += 1
        if venue_ms is None:
            return None
        if self._refusals > 1 and abs(venue_ms - self._venue_ms()) <= CLOCK_OFF_MS:
            return None
        self._offset_ms = venue_ms - int(self._wall() * 1000)
        self._corrected_at = now
        self._last_ms = 0
        return self._offset_ms

    def accepted(self) -> None:
        """Note that the venue accepted our time: its next refusal is a new one."""
        self._refusals = 0

    def _venue_ms(self) -> int:
        return int(self._wall() * 1000) + self._offset_ms


def stated_ms(reply: HttpReply) -> int | None:
    """Return the venue's time by the `Date` header of a reply; None without a valid one."""
    try:
        return int(parsedate_to_datetime(reply.headers.get("date", "")).timestamp() * 1000)
    except (TypeError, ValueError):
        return None
