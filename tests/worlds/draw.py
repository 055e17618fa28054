"""Which worlds there are: a small one from each integer."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.worlds.fake import PAGES
from tests.worlds.fakes import FAKES
from tests.worlds.market import Ways, between, digits, one_of
from tests.worlds.plan import (
    FIRST,
    QUANTITY,
    Ask,
    Behaviours,
    Change,
    JobPlan,
    OrderPlan,
    Outage,
    World,
)

_TRIGGERED = ("trigger", "trailing_stop", "tp_sl")
_OTHER_ENDS = ("expire", "reject")
_LONG_AGO_S = (-20 * 86400.0, -3 * 86400.0, -3600.0, -600.0)


def draw(seed: int, venue: str = "") -> World:
    """Return the world of a seed, at one of the first three venues or at the one named.

    What a seed alone draws stays what it was when it was found.
    """
    return _Drawing(seed, venue).world()


class _Drawing:
    def __init__(self, seed: int, venue: str) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.venue = venue or self.rng.choice(FIRST)
        self.market = FAKES[self.venue].market
        chosen = self.market.chosen
        self.chosen = (self.rng.choice(chosen),) if chosen else ()
        self.triggers = 0.3
        self.orders: list[OrderPlan] = []
        self.asks: list[Ask] = []

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def world(self) -> World:
        if self.chance(0.02):
            return self._many()
        ways = self._ways()
        count = self._count()
        for _ in range(count):
            self._order(many=count > 30)
        return World(
            seed=self.seed,
            venue=self.venue,
            orders=tuple(self.orders),
            jobs=self._jobs(),
            ways=ways,
            verify=self.chance(0.25),
            chosen=self.chosen,
        )

    def _many(self) -> World:
        """Return a plain world of many resting orders, but for one lag."""
        lag = self.rng.choice(("read_lag_s", "cancel_s", "record_lag_s"))
        said: dict[str, Any] = {lag: round(self.rng.uniform(0.2, 1.5), 2)}
        ways = replace(Behaviours(), **said)
        symbol = self.market.symbols[0]
        self.orders = [OrderPlan(self._id(), symbol) for _ in range(self.rng.randint(20, 150))]
        self.asks = [Ask(order.venue_id, symbol=symbol) for order in self.orders]
        return World(
            self.seed, self.venue, tuple(self.orders), self._jobs(), ways, chosen=self.chosen
        )

    def _count(self) -> int:
        point = self.rng.random()
        if point < 0.7:
            return self.rng.randint(1, 5)
        if point < 0.985:
            return self.rng.randint(6, 30)
        return self.rng.randint(40, 150) if point < 0.997 else self.rng.randint(150, 300)

    # -- how the venue behaves -----------------------------------------------------------

    def _ways(self) -> Behaviours:
        rng = self.rng
        said: dict[str, Any] = {"rtt_s": round(rng.uniform(0.005, 0.3), 3)}
        common = [item for item in _COMMON.items() if item[0] not in self.market.never]
        common += self.market.ways.items()
        for name, value in rng.sample(common, k=min(len(common), rng.randint(0, 5))):
            said[name] = value(rng)
        if said.get("read_lag_s") or self.chance(0.3):
            said["replicas"] = rng.choice((1, 2, 3))
        if "key_form" in said:
            said["echoes"] = True
        if "leaves_every_s" in said:
            said["resting"] = rng.choice((15, 30, 60, 120))
            self.triggers = 0.7
        return replace(Behaviours(), **said)

    # -- orders and how they are named ---------------------------------------------------

    def _id(self) -> str:
        new_id = self.market.new_id
        if ("category", "spot") in self.chosen:
            new_id = digits(19)
        return new_id(self.rng)

    def _order(self, *, many: bool) -> None:
        rng = self.rng
        symbol = self.market.symbols[0 if many or self.chance(0.8) else 1]
        waits = not many and self.chance(self.triggers)
        ord_type = rng.choice(("trigger", *_TRIGGERED)) if waits else "limit"
        plan = OrderPlan(self._id(), symbol, ord_type, placed_s=rng.choice(_LONG_AGO_S))
        kinds = (self._resting, self._dead, self._missing, self._moving, self._young)
        (kind,) = rng.choices(kinds, weights=(40, 15, 8, 22, 15))
        placed = kind(plan)
        if placed is not None and self.market.client_ids and self.chance(0.3):
            placed = replace(placed, client_id=self._client_id())
        if placed is not None and self.chance(0.04):
            start = round(rng.uniform(-1.5, 2.0), 2)
            placed = replace(placed, hidden_s=(start, start + 3))
        if placed is not None and self.chance(0.04):
            placed = replace(placed, swallowed=rng.choice((1, 1, 2, 99)))
        if placed is not None:
            self.orders.append(placed)
        self.asks.append(self._ask(placed or plan))

    def _client_id(self) -> str:
        point = self.rng.random()
        return next(new_id for least, new_id in self.market.client_ids if point < least)(
            self.rng
        )

    def _ask(self, plan: OrderPlan) -> Ask:
        rng = self.rng
        by_client = bool(plan.client_id) and self.chance(0.75)
        ask = Ask(plan.client_id if by_client else plan.venue_id, symbol=plan.symbol)
        if by_client and self.market.reuses and self.chance(0.35):
            self._reuse(plan)
        if self.market.client_ids and not by_client and self.chance(0.05):
            self._borrow(plan)
        if self.chance(0.4):
            ask = replace(ask, kind="client_order_id" if by_client else "venue_order_id")
        if self.chance(0.5):
            ask = replace(ask, ord_type=plan.ord_type)
        elif self.chance(0.05):
            ask = replace(ask, ord_type=rng.choice(("limit", "trigger", "any")))
        if self.chance(0.05):
            others = [s for s in self.market.symbols if s != plan.symbol]
            ask = replace(ask, symbol=rng.choice((*others, "")))
        return ask

    def _reuse(self, plan: OrderPlan) -> None:
        """Have an older order, which has ended, bear the same client order id."""
        ends = self.rng.choice(("cancel", "fill", "expire"))
        change = Change(-1000.0, ends, QUANTITY if ends == "fill" else 0)
        self.orders.append(
            OrderPlan(
                self._id(),
                plan.symbol,
                client_id=plan.client_id,
                placed_s=min(plan.placed_s, 0) - 2000.0,
                changes=(change,),
            )
        )

    def _borrow(self, plan: OrderPlan) -> None:
        """Have another order bear this one's id as its client order id.

        Of two that rest under one id, one may be left (docs/decisions/0030): state the kind. An
        order that was canceled already looks like one that rested.
        """
        if plan.placed_s > -10:
            return
        over = any(
            change.at_s < 0 and (_fills(change) or change.what in _OTHER_ENDS)
            for change in plan.changes
        )
        # A client order id names its newest order.
        other = OrderPlan(
            self._id(),
            plan.symbol,
            client_id=plan.venue_id,
            placed_s=plan.placed_s + 1,
            changes=() if over and self.chance(0.5) else (Change(-5.0, "cancel"),),
        )
        self.orders.append(other)

    def _resting(self, plan: OrderPlan) -> OrderPlan:
        if self.chance(0.2):
            executed = Change(-300.0, "fill", self.rng.randint(1, QUANTITY - 1))
            plan = replace(plan, changes=(executed,))
        return plan

    def _dead(self, plan: OrderPlan) -> OrderPlan:
        """It ended before the job, long ago or a moment ago."""
        when = self.rng.choice((-300.0, -30.0, -1.0, round(self.rng.uniform(-3, 0), 2)))
        if self.chance(0.1):
            when = -8 * 86400.0  # beyond the record of a week
            plan = replace(plan, placed_s=-20 * 86400.0)
        ends = ["fill", "cancel", *self.market.ends]
        what = self.rng.choice(ends)
        part = (Change(when - 60, "fill", 4),) if self.chance(0.3) else ()
        return replace(
            plan,
            ord_type="limit",
            changes=(*part, Change(when, what, QUANTITY if what == "fill" else 0)),
        )

    def _missing(self, plan: OrderPlan) -> None:
        return None

    def _moving(self, plan: OrderPlan) -> OrderPlan:
        """It is filled, in part or in full, expires or fires while the worker is at it."""
        rng = self.rng
        first = round(rng.choice((rng.uniform(-0.5, 0.6), rng.uniform(0, 4))), 3)
        if plan.ord_type == "trigger" or (plan.ord_type != "limit" and self.chance(0.6)):
            changes = [Change(first, "fire")]
            if self.chance(0.4):
                changes.append(Change(round(first + rng.uniform(0, 1), 3), "fill", QUANTITY))
            children = self.market.children
            child = rng.choice(children) if children else ""
            return replace(plan, changes=tuple(changes), child=child)
        executed = rng.choice((QUANTITY, QUANTITY, 4))
        changes = [Change(first, "fill", executed)]
        if executed < QUANTITY and self.chance(0.5):
            end = rng.choice(("fill", "cancel"))
            changes.append(Change(round(first + rng.uniform(0, 1), 3), end, QUANTITY))
        return replace(plan, ord_type="limit", changes=tuple(changes))

    def _young(self, plan: OrderPlan) -> OrderPlan:
        """It is placed a moment before the job, or after it."""
        when = self.rng.choice((self.rng.uniform(-2, 0), self.rng.uniform(0.3, 3)))
        plan = replace(plan, placed_s=round(when, 3))
        if self.chance(0.2):
            fill = Change(round(when + self.rng.uniform(0.01, 1.0), 3), "fill", QUANTITY)
            plan = replace(plan, ord_type="limit", changes=(fill,))
        return plan

    # -- jobs ----------------------------------------------------------------------------

    def _jobs(self) -> tuple[JobPlan, ...]:
        rng = self.rng
        asks = list({ask.id: ask for ask in self.asks}.values())
        deadline_s = float(rng.choice((5, 10, 15, 20, 30, 45, 60)))
        first = JobPlan("j1", tuple(asks), kill=self.chance(0.6), deadline_s=deadline_s)
        if self.chance(0.2):
            first = replace(first, again_s=round(rng.choice((0.1, 2.0, rng.uniform(0, 8))), 2))
        if not self.chance(0.25) or first.again_s:
            return (first,)
        some = rng.sample(asks, k=rng.randint(1, len(asks)))
        at_s = round(rng.choice((rng.uniform(0, 1), rng.uniform(0, 6))), 2)
        second = JobPlan("j2", tuple(some), at_s, self.chance(0.6), deadline_s)
        return first, second


def _fills(change: Change) -> bool:
    return change.what == "fill" and change.executed == QUANTITY


def _read_lag(rng: Random) -> float:
    low, high = rng.choice(((0.1, 0.5), (0.5, 1.0), (1.0, 1.9), (1.0, 1.9), (2.0, 5.0)))
    return round(rng.uniform(low, high), 2)


def _outages(rng: Random) -> tuple[Outage, ...]:
    start = round(rng.choice((0.0, rng.uniform(0, 1), rng.uniform(0, 4))), 2)
    return (Outage(start, round(start + rng.uniform(0.05, 3), 2), rng.choice(PAGES)),)


def _throttled(rng: Random) -> tuple[float, float]:
    start = round(rng.uniform(0, 1.5), 2)
    return start, round(start + rng.uniform(0.2, 3), 2)


#: What each behaviour may be, in worlds that have it.
_COMMON: Ways = {
    "read_lag_s": _read_lag,
    "cancel_s": between(0.1, 1.5),
    "spoils": one_of("nothing_done", "rest_done"),
    "record_lag_s": between(0.3, 2.0),
    "empty": one_of("null", "{}", "missing"),
    "words": one_of("upper", "lower", "british"),
    "odd_fields": one_of(True),
    "unknown_text": one_of("other_text", "other_code"),
    "shows_others": one_of(True),
    "outages": _outages,
    "throttled_s": _throttled,
    "lost": between(0.02, 0.3),
    "unreachable": between(0.02, 0.4),
    "echoes": one_of(True),
    "key_form": one_of("uuid", "short"),
    "page_cap": one_of(10, 20, 50),
    "oldest_first": one_of(True),
}
