"""The last step for a kill's order that no cancel by its id removes: its symbol's cancel-all.

Only where the account allows it, as that reaches other orders, too. It leaves once for a
symbol, until no order that asked for it is left. It proves nothing: each goes on as before.
"""

from __future__ import annotations

from venues.base import Venue
from venues.words import Scope
from worker.lane.entry import EntryKey
from worker.orders.follow import TRIES_A_ROUTE
from worker.orders.progress import OrderProgress, Phase
from worker.orders.routes import cancel_routes
from worker.orders.scope import CancelAll, cancel_alls_of


class Escalations:
    """Which symbols of an account are canceled as a whole, and for which orders."""

    def __init__(self, venue: Venue, *, allowed: bool) -> None:
        self._venue = venue
        self.allowed = allowed
        self._asked: dict[str, set[EntryKey]] = {}  # by symbol
        self._to_leave: list[CancelAll] = []

    @property
    def next(self) -> CancelAll | None:
        """The next one that may leave."""
        return self._to_leave[0] if self._to_leave else None

    def leaves(self) -> CancelAll:
        """Return the next one, which leaves now."""
        return self._to_leave.pop(0)

    def cancel_next(self, key: EntryKey, progress: OrderProgress) -> None:
        """Note that a kill's order is canceled once more, as it is."""
        if not self.allowed or not self._is_stuck(progress):
            return
        symbol = progress.symbol
        if symbol not in self._asked:
            asked = Scope(symbols=frozenset({symbol}))
            self._to_leave += cancel_alls_of(self._venue, asked)
        self._asked.setdefault(symbol, set()).add(key)

    def _is_stuck(self, progress: OrderProgress) -> bool:
        """Say whether an order is open after every cancel by its id, and was not for long."""
        if progress.phase is not Phase.CANCEL or not (progress.still_open and progress.symbol):
            return False
        routes = cancel_routes(self._venue, progress.shape)
        return len(routes) <= progress.tried // TRIES_A_ROUTE < len(routes) + 1

    def forget(self, key: EntryKey, symbol: str) -> None:
        """Note that an order is out of the lane."""
        asked = self._asked.get(symbol)
        if asked is not None:
            asked.discard(key)
            if not asked:
                del self._asked[symbol]
                self._to_leave = [each for each in self._to_leave if each.symbol != symbol]
