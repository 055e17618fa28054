"""A lane's message that the broker keeps for this worker until its job is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.consumer.intake import LaneIntake

#: Acts on the broker, soon; any thread may ask for it.
Soon = Callable[["LaneMessage", Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What all messages of one consumer of a lane share."""

    intake: LaneIntake
    consumer: str  # its tag
    channel: Any
    soon: Soon


@dataclass(slots=True, eq=False)
class LaneMessage:
    """Only what is needed to let it go: 100,000 may be here at once."""

    _source: Source
    _ids: int
    _size: int  # bytes
    _tag: int

    def acknowledge(self) -> None:
        """Have the broker forget it."""
        source = self._source
        source.soon(self, lambda: source.channel.basic_ack(self._tag))

    def dead_letter(self) -> None:
        """Have the broker move it to `cancel.dead`."""
        source = self._source
        source.soon(self, lambda: source.channel.basic_reject(self._tag, requeue=False))

    def requeue(self) -> None:
        """Give it back."""
        source = self._source
        source.soon(self, lambda: source.channel.basic_reject(self._tag, requeue=True))

    def count_in(self) -> None:
        """Count it where its lane's messages are counted."""
        self._source.intake.take(self._source.consumer, self._ids, self._size)

    def count_out(self) -> None:
        """Count it no longer."""
        self._source.intake.let_go(self._source.consumer, self._ids, self._size)
