"""How much of each lane a worker holds, and whether it takes more. Pure.

RabbitMQ hands a consumer at most its prefetch of messages that are not acknowledged. A lane
that shall know more ids than those is consumed anew: the new consumer has a prefetch of its
own, and what the old one was given stays here. So there is never more on its way than one
prefetch, behind which a kill would wait, and once a worker holds as much as it may, the broker
keeps the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A consumer that was handed this share of its prefetch, and keeps it, is replaced.
NEARLY_ALL = 0.75


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a lane process may have waiting, of kills and of routine jobs each.

    One lane may always hold its share, however much the others do.
    """

    ids: int
    size: int  # bytes of messages
    lanes: int


@dataclass(slots=True)
class Load:
    """Ids of jobs, and bytes of their messages."""

    ids: int = 0
    size: int = 0

    def add(self, ids: int, size: int) -> None:
        """Count a job; negative where it ended."""
        self.ids += ids
        self.size += size

    def fits(self, most_ids: float, most_bytes: float) -> bool:
        """Say whether there is room."""
        return self.ids < most_ids and self.size < most_bytes


class LaneIntake:
    """What a worker holds of one lane, beside others of its process."""

    def __init__(self, prefetch: int, bounds: Bounds, of_all: Load) -> None:
        """Prepare; `of_all` counts all lanes of the process that have the same priority."""
        self._prefetch = prefetch
        self._bounds = bounds
        self._of_all = of_all
        self._own = Load()
        self._held: dict[str, int] = {}  # messages that are here, by their consumer
        self._newest = ""

    def take(self, consumer: str, ids: int, size: int) -> None:
        """Count a job that came by a consumer."""
        if consumer not in self._held:
            self._newest = consumer
        self._held[consumer] = self._held.get(consumer, 0) + 1
        self._own.add(ids, size)
        self._of_all.add(ids, size)

    def let_go(self, consumer: str, ids: int, size: int) -> None:
        """Count a job out whose message is let go."""
        self._held[consumer] -= 1
        if not self._held[consumer] and consumer != self._newest:
            del self._held[consumer]
        self._own.add(-ids, -size)
        self._of_all.add(-ids, -size)

    def wants_more(self) -> bool:
        """Say whether the newest consumer is nearly used up, and there is room for more."""
        bounds = self._bounds
        if self._held.get(self._newest, 0) < NEARLY_ALL * self._prefetch:
            return False
        share = bounds.ids / bounds.lanes, bounds.size / bounds.lanes
        return self._of_all.fits(bounds.ids, bounds.size) or self._own.fits(*share)

    def renewed(self) -> None:
        """Note that a new consumer takes the place of the newest one."""
        self._newest = ""
