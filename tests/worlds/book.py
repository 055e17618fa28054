"""What the orders of a world really do: the venue's engine, whatever its reads may show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from tests.worlds.plan import QUANTITY, Change, OrderPlan, World


class State(StrEnum):
    """What an order is; a resting one may be filled in part."""

    WAITING = "waiting"  # for its trigger
    RESTING = "resting"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FIRED = "fired"  # it has become another order


LIVE = frozenset({State.WAITING, State.RESTING})
_ENDS = {"cancel": State.CANCELED, "expire": State.EXPIRED, "reject": State.REJECTED}

#: Lets something happen at a time.
At = Callable[[float, Callable[[], None]], None]


class Was(NamedTuple):
    """What an order was from a time on."""

    since: float
    state: State
    executed: int

    @property
    def live(self) -> bool:
        return self.state in LIVE


class Order:
    """One order with its whole life."""

    def __init__(self, plan: OrderPlan, start: float) -> None:
        waits = plan.ord_type in ("trigger", "trailing_stop", "tp_sl")
        self.plan = plan
        self.placed = start + plan.placed_s
        self.life = [Was(self.placed, State.WAITING if waits else State.RESTING, 0)]
        self._times = [self.placed]
        self.swallowed = plan.swallowed
        self.child: Order | None = None

    @property
    def now(self) -> Was:
        return self.life[-1]

    def at(self, when: float) -> Was | None:
        """Return what it was at a time; None: it was not placed yet."""
        place = bisect_right(self._times, when)
        return self.life[place - 1] if place else None

    def turn(self, when: float, state: State, executed: int) -> None:
        self.life.append(Was(when, state, executed))
        self._times.append(when)

    @property
    def ended_at(self) -> float:
        """When it ended; infinite: it has not."""
        return float("inf") if self.now.live else self.now.since


class Book:
    """All orders of a world, in the order of their placing."""

    def __init__(self, world: World, start: float, at: At) -> None:
        self._at = at
        self.start = start
        self.cancel_s = world.ways.cancel_s
        self.by_id: dict[str, Order] = {}
        self.by_client: dict[str, list[Order]] = {}
        self.entered = 0
        for plan in sorted(world.orders, key=lambda plan: plan.placed_s):
            self._enter(Order(plan, start))

    def _enter(self, order: Order) -> None:
        self.entered += 1
        self.by_id[order.plan.venue_id] = order
        # An order without a client order id bears its own id as one.
        bears = order.plan.client_id or order.plan.venue_id
        self.by_client.setdefault(bears, []).append(order)
        for change in order.plan.changes:
            when = self.start + change.at_s
            if change.at_s < 0:
                self._change(order, change, when)
            else:
                self._at(when, partial(self._change, order, change, when))

    def __iter__(self) -> Iterator[Order]:
        return iter(list(self.by_id.values()))

    def _change(self, order: Order, change: Change, when: float) -> None:
        was = order.now
        if not was.live or when < order.placed:
            return
        if change.what == "fire":
            if was.state is State.WAITING:
                self._fire(order, when)
        elif change.what == "fill":
            if was.state is State.RESTING and change.executed > was.executed:
                full = change.executed >= QUANTITY
                order.turn(when, State.FILLED if full else State.RESTING, change.executed)
        else:
            order.turn(when, _ENDS[change.what], was.executed)

    def _fire(self, order: Order, when: float) -> None:
        if not order.plan.child:
            order.turn(when, State.RESTING, 0)
            return
        order.turn(when, State.FIRED, 0)
        plan = OrderPlan(
            _child_id(order.plan.venue_id), order.plan.symbol, placed_s=when - self.start
        )
        order.child = child = Order(plan, self.start)
        self.by_id[plan.venue_id] = child
        if order.plan.child == "fills":
            child.turn(when, State.FILLED, QUANTITY)
        elif order.plan.child == "refused":
            child.turn(when, State.REJECTED, 0)

    def cancel(self, order: Order, now: float) -> bool:
        """Take a cancel in; return whether it was accepted, as the order was open."""
        was = order.at(now)
        if was is None or not order.now.live:
            return False
        if order.swallowed:
            order.swallowed -= 1
        elif self.cancel_s:
            self._at(now + self.cancel_s, lambda: self._canceled(order, now + self.cancel_s))
        else:
            self._canceled(order, now)
        return True

    def _canceled(self, order: Order, when: float) -> None:
        if order.now.live:
            order.turn(when, State.CANCELED, order.now.executed)


def _child_id(venue_id: str) -> str:
    """Return the id of a fired order's child: another one of the same shape."""
    return venue_id[:-2] + ("07" if venue_id[-2:] != "07" else "08")
