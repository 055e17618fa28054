"""Says whether this process keeps up: shared by its lanes, so that they yield to each other."""

from __future__ import annotations

from worker.pacing.pace import NEVER

#: A cancel that leaves so much later (seconds) than it could: others hold the processor.
LATE_S = 0.01
#: For so long after that, proofs of every lane wait.
BUSY_S = 1.0
#: But no proof longer than this.
MOST_YIELD_S = 3.0
#: A cancel that waits for lanes that begin asks so often (seconds) whether it still has to.
ASK_AGAIN_S = 0.05


class Load:
    """How late cancels leave, and which lanes begin. All times are monotonic seconds."""

    def __init__(self) -> None:
        self.busy_until = -NEVER
        self._beginning: set[object] = set()

    def begins(self, lane: object) -> None:
        """Note that a lane has ids again."""
        self._beginning.add(lane)

    def has_begun(self, lane: object) -> None:
        """Note that its cancels keep its pace, or that it has none."""
        self._beginning.discard(lane)

    def cancel_at(self, lane: object, latest: float, now: float) -> float:
        """Return when a cancel of routine may leave; `latest`, its lane can make up for it.

        A lane that begins late ends late: while the processor is what all wait for, those that
        keep their pace let it have its turn.
        """
        if now >= self.busy_until or not self._beginning or lane in self._beginning:
            return -NEVER
        return min(now + ASK_AGAIN_S, latest)

    def cancel_left(self, late_s: float, now: float) -> None:
        """Note by how much a cancel missed its time."""
        if late_s > LATE_S:
            self.busy_until = now + BUSY_S

    def proof_at(self, since: float) -> float:
        """Return when a look-up may leave that could have left at `since`."""
        return min(self.busy_until, since + MOST_YIELD_S)
