"""A lane's message that the broker keeps for this worker until its job is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.consumer.intake import LaneIntake

#: Acts on the broker, soon; any thread may ask for it.
Soon = Callable[["LaneMessage", Callable[[], None]], None]


@dataclass(slots=True, eq=False)
class LaneMessage:
    """Only what is needed to let it go: thousands are here at once."""

    intake: LaneIntake
    ids: int
    size: int  # bytes
    consumer: str  # the tag of the consumer that it came by
    _channel: Any
    _tag: int
    _soon: Soon

    def acknowledge(self) -> None:
        """Have the broker forget it."""
        self._soon(self, lambda: self._channel.basic_ack(self._tag))

    def dead_letter(self) -> None:
        """Have the broker move it to `cancel.dead`."""
        self._soon(self, lambda: self._channel.basic_reject(self._tag, requeue=False))

    def requeue(self) -> None:
        """Give it back."""
        self._soon(self, lambda: self._channel.basic_reject(self._tag, requeue=True))

    def count_in(self) -> None:
        """Count it where its lane's messages are counted."""
        self.intake.take(self.consumer, self.ids, self.size)

    def count_out(self) -> None:
        """Count it no longer."""
        self.intake.let_go(self.consumer, self.ids, self.size)
