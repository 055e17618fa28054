"""Which producers of an account had begun, and for how long each has been silent. Pure.

Heartbeats come by a stream, behind all that came before. A *mark* is a message of our own into
the same stream. When it comes out, all heartbeats that the broker had by then have been read,
and the broker took messages meanwhile: only what a mark proves in time counts as silence, never
that a worker or its broker was away (docs/decisions/0045).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

#: So often in the time that kills a mark leaves, and at least once in so long (seconds).
_MARKS, LONGEST_INTERVAL_S = 3, 10.0
#: A mark that took longer than the interval, and than this (seconds), proves nothing: the
#: broker may have kept heartbeats away as well.
SLOW_S = 1.0


class Beat(NamedTuple):
    """The last heartbeat of a producer: its place in the stream, and when it came."""

    offset: int
    read_at: float  # monotonic seconds
    since: str  # the time to tell people
    stated: str = ""  # the time that the message itself states


class Silent(NamedTuple):
    """A producer that was silent for too long, and its last heartbeat."""

    producer: str
    beat: Beat


class Watch:
    """The producers of one account, as one reading of its stream knows them.

    A producer is here from its first heartbeat until it signs off or its silence has killed;
    then its next heartbeat makes it begin anew.
    """

    def __init__(self, dead_man_s: float, most_apart_s: float = math.inf) -> None:
        """Begin; marks leave at least once in `most_apart_s`."""
        self._dead_man_s = dead_man_s
        self._interval_s = min(dead_man_s / _MARKS, LONGEST_INTERVAL_S)
        self._apart_s = min(self._interval_s, most_apart_s)
        self._beats: dict[str, Beat] = {}
        #: From when silence counts (monotonic seconds): nothing is known of what was before.
        self._counts_from = math.inf
        self._sent_at: float | None = None  # of the mark that is under way
        self._next_at = -math.inf
        self._signed_off = False  # the last one that left

    @property
    def producers(self) -> list[str]:
        """The names of those that had begun."""
        return sorted(self._beats)

    @property
    def is_caught_up(self) -> bool:
        """Whether all has been read that was in the stream when the reading began."""
        return self._counts_from != math.inf

    @property
    def is_alive(self) -> bool:
        """Whether a producer was heard since silence counts, so that its life is proven."""
        return any(beat.read_at >= self._counts_from for beat in self._beats.values())

    @property
    def has_ended(self) -> bool:
        """Whether nobody is left, and the last one that left did so in order."""
        return self.is_caught_up and self._signed_off and not self._beats

    def heard(self, producer: str, beat: Beat) -> bool:
        """Note a heartbeat; say whether the producer begins with it."""
        begins = producer not in self._beats
        self._beats[producer] = beat
        return begins

    def signed_off(self, producer: str) -> bool:
        """Note that a producer ends in order; say whether it had begun."""
        had_begun = self._beats.pop(producer, None) is not None
        self._signed_off = self._signed_off or had_begun
        return had_begun

    def has_killed(self, offsets: Mapping[str, int]) -> None:
        """Note of which producers the silence after these heartbeats has killed already."""
        for producer, offset in offsets.items():
            beat = self._beats.get(producer)
            if beat is not None and beat.offset <= offset:
                del self._beats[producer]
                self._signed_off = False

    def next_mark_at(self) -> float:
        """Return when to send the next mark (monotonic seconds); `inf` while one is out."""
        if self._sent_at is not None:
            return math.inf
        return min(
            self._next_at, min(map(self._dead_at, self._beats.values()), default=math.inf)
        )

    def mark_sent(self, now: float) -> None:
        """Note that a mark was sent."""
        self._sent_at, self._next_at = now, now + self._apart_s

    def mark_read(self, now: float) -> list[Silent]:
        """Note that the mark has come; return, once, who is proven silent for too long."""
        sent_at, self._sent_at = self._sent_at, None
        if sent_at is None:
            return []
        if not self.is_caught_up or now - sent_at > max(SLOW_S, self._interval_s):
            self._counts_from = now
            return []
        found = [
            Silent(producer, beat)
            for producer, beat in self._beats.items()
            if self._dead_at(beat) <= sent_at
        ]
        for one in found:
            del self._beats[one.producer]
            self._signed_off = False
        return sorted(found)

    def _dead_at(self, beat: Beat) -> float:
        return max(beat.read_at, self._counts_from) + self._dead_man_s
