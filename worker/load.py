"""Says whether this process keeps up: shared by its lanes, so that proofs yield to cancels."""

from __future__ import annotations

from worker.pace import NEVER

#: A cancel that leaves so much later (seconds) than it could: others hold the processor.
LATE_S = 0.01
#: For so long after that, proofs of every lane wait.
BUSY_S = 1.0
#: But no proof longer than this.
MOST_YIELD_S = 3.0


class Load:
    """How late cancels leave. All times are monotonic seconds."""

    def __init__(self) -> None:
        self.busy_until = -NEVER

    def cancel_left(self, late_s: float, now: float) -> None:
        """Note by how much a cancel missed its time."""
        if late_s > LATE_S:
            self.busy_until = now + BUSY_S

    def proof_at(self, since: float) -> float:
        """Return when a look-up may leave that could have left at `since`."""
        return min(self.busy_until, since + MOST_YIELD_S)
