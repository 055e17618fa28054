"""The venue's cancel-alls for one scope: each leaves once, beside the first reads of its lists.

None is believed. An order that was shown before their replies waits for the next reading: what
that still shows is canceled by id, and what it does not is looked up, as after any cancel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from venues.words import OrderRef
from worker.orders.progress import OrderProgress
from worker.orders.scope import CancelAll
from worker.pacing.pace import NEVER

#: Orders wait for the reply to a cancel-all for at most so long (seconds): after that those
#: that a new reading shows are canceled by id.
WAIT_S = 1.0

#: An order, and what is known of it.
Shown = tuple[OrderRef, OrderProgress]


class CancelAlls:
    """The cancel-alls of one scope, and the orders that they may have canceled."""

    def __init__(self, requests: Iterable[CancelAll]) -> None:
        self._to_leave = list(requests)
        self._left_at = -NEVER
        self._answered_at = -NEVER
        self._had_effect = False  # or may have had
        self.under_way = 0
        self._shown: dict[str, Shown] = {}

    @property
    def next(self) -> CancelAll | None:
        """The next one that may leave."""
        return self._to_leave[0] if self._to_leave else None

    @property
    def awaited(self) -> Collection[str]:
        """Ids of the orders that wait for the next reading."""
        return self._shown.keys()

    @property
    def settled_at(self) -> float:
        """From when on a reading shows what they have left, as far as reads do not lag."""
        latest = self._left_at + WAIT_S
        return latest if self.under_way else min(self._answered_at, latest)

    def leaves(self, now: float) -> CancelAll:
        """Return the next one, which leaves now."""
        self.under_way += 1
        self._left_at = now
        return self._to_leave.pop(0)

    def too_late(self) -> None:
        """Note that a whole reading is in: what it shows is canceled by id, and the sooner."""
        self._to_leave.clear()

    def came_back(self, now: float, *, had_effect: bool) -> list[Shown]:
        """Count one as over; return the orders that wait, if none surely had an effect."""
        self.under_way -= 1
        self._answered_at = now
        self._had_effect |= had_effect
        return self.take() if not self.may_have_canceled(-NEVER) else []

    def may_have_canceled(self, began: float, lag_s: float = 0.0) -> bool:
        """Say whether they may have canceled what a read shows that began then."""
        is_possible = self._had_effect or self.under_way > 0
        return is_possible and began < self.settled_at + lag_s

    def wait(self, order: Shown) -> None:
        """Have an order wait for the next reading."""
        self._shown.setdefault(order[0].id, order)

    def still_shown(self, order_id: str) -> None:
        """Note that an order is canceled by id."""
        self._shown.pop(order_id, None)

    def take(self) -> list[Shown]:
        """Return the orders that wait, which do so no longer."""
        taken = list(self._shown.values())
        self._shown.clear()
        return taken
