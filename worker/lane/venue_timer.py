"""The venue's own timer of an account: what it is to be, what it is, and what that takes.

It is armed, and renewed, only when the lane is asked to (`keep`), as somebody has just proven
that a producer lives; so it fires when nobody does. Where the lane is another worker's, or the
worker stops, it stays as it is. Pure but for its state; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from venues.base import Batch, Timer

#: It is renewed once this share of its time is over: a proof of life comes within a twelfth of
#: its time, so that no third of it goes by without a renewal.
RENEWED_AT = 1 / 4
#: What could not leave for this share of its time is late: the third is over.
LATE_AFTER = 1 / 12


class Set(NamedTuple):
    """How a timer was set last, as the venue has confirmed: when that request left."""

    after_s: int
    left: float


class VenueTimer:
    """One account's timer, or that of each of its `symbols`: armed, it fires `after_s`."""

    def __init__(self, timer: Timer, after_s: int, symbols: Sequence[str] = ("",)) -> None:
        self._route = timer.route
        self._after_s = after_s
        self._symbols = symbols
        self._due: dict[str, int] = {}  # by symbol: for how long to set it
        self._out: set[str] = set()
        self._set: dict[str, Set] = {}
        self._asked: dict[str, float] = {}  # since when it should have been set

    def keep(self, now: float) -> None:
        """A producer lives: have each renewed that is not fresh."""
        self._ask(self._after_s, now)

    def end(self, now: float) -> None:
        """All producers have signed off: have each disarmed, unless it is."""
        self._ask(0, now)

    def _ask(self, after_s: int, now: float) -> None:
        self._due = {
            symbol: after_s
            for symbol in self._symbols
            if symbol not in self._out and not self._is(symbol, after_s, now)
        }
        for symbol in self._due:
            self._asked.setdefault(symbol, now)

    def _is(self, symbol: str, after_s: int, now: float) -> bool:
        was = self._set.get(symbol)
        return (
            was is not None
            and was.after_s == after_s
            and (not after_s or now - was.left < RENEWED_AT * after_s)
        )

    def forget(self) -> None:
        """Another worker sets it from now on, and nobody here knows how."""
        self._due.clear()
        self._out.clear()
        self._set.clear()
        self._asked.clear()

    @property
    def next(self) -> Batch | None:
        """The next request that is due."""
        symbol = next(iter(self._due), None)
        return None if symbol is None else self._batch(symbol, self._due[symbol])

    def hand_over(self) -> list[Batch]:
        """Return what leaves it to the next owner: a renewal of each that is armed.

        So that one has the whole time. What was to be disarmed is.
        """
        armed = (s for s, was in self._set.items() if was.after_s and s not in self._out)
        return [self._batch(symbol, self._due.get(symbol, self._after_s)) for symbol in armed]

    def _batch(self, symbol: str, after_s: int) -> Batch:
        return Batch(self._route, (), symbol=symbol, after_s=after_s)

    def leaves(self, batch: Batch) -> None:
        """Note that a request leaves now."""
        self._due.pop(batch.symbol, None)
        self._out.add(batch.symbol)

    def came(self, batch: Batch, left: float, *, done: bool) -> bool:
        """Note what became of a request; say whether the timer is now what it was not."""
        if batch.symbol not in self._out:  # it left for an owner before
            return False
        self._out.remove(batch.symbol)
        if not done:
            return False
        was, self._set[batch.symbol] = self._set.get(batch.symbol), Set(batch.after_s, left)
        self._asked.pop(batch.symbol, None)
        return was is None or was.after_s != batch.after_s

    def left_s(self, symbol: str, now: float) -> float | None:
        """Return how long (seconds) until it fires, as far as is known; None: it is not."""
        was = self._set.get(symbol)
        return was.left + was.after_s - now if was is not None and was.after_s else None

    def late(self, now: float) -> list[str]:
        """Return the symbols whose request should have left long ago."""
        patience_s = LATE_AFTER * self._after_s
        return [symbol for symbol in self._due if now - self._asked[symbol] > patience_s]
