"""The simulated venue: counts every request, has its faults, and answers from its book."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.simulation.book import NEVER, SimOrder
from tests.simulation.echo import Echo
from tests.simulation.laws import LawBroken
from tests.simulation.meters import METERS, Meter
from tests.simulation.scenario import Fault, Scenario
from tests.simulation.toys import Toy
from tests.simulation.voices import VOICES, Before, View, ok
from venues.base import Answer, Answers, Batch, HttpReply, Route, Venue
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.pacing.pace import EVEN_WINDOW_S


class Exchange:
    """One venue with the orders of all its accounts."""

    def __init__(self, scenario: Scenario, rng: Random) -> None:
        self.voice = VOICES[scenario.venue.name]
        self._scenario = scenario
        self._rng = rng
        self._orders: dict[tuple[IdKind, str], list[SimOrder]] = {}
        for order in sorted(scenario.orders, key=lambda order: order.born_at):
            self._orders.setdefault((order.kind, order.id), []).append(order)
        self._old = [_old(scenario.venue, k) for k in range(scenario.record.old_rows)]
        self._meters: dict[tuple[str, str], Meter] = {}
        self._echo = Echo(scenario.venue, Random(f"echo {scenario.seed}"))
        #: What the venue took of the last request: to be canceled, at once or a little later.
        self.taken: set[OrderRef] = set()
        #: When look-ups showed how an order had ended.
        self.end_shown: dict[OrderRef, list[float]] = {}
        #: Orders of which a page of the record, asked for them, has shown how they ended.
        self.named: set[OrderRef] = set()

    def find(self, ref: OrderRef, when: float) -> SimOrder | None:
        """Return the order that the reference names at that time: the latest, if several."""
        born = [o for o in self._orders.get((ref.kind, ref.id), ()) if o.born_at <= when]
        return born[-1] if born else None

    def change_owner(self, now: float) -> None:
        """Another worker sends from now on."""
        for meter in self._meters.values():
            meter.change_owner(now)

    def serve(self, account: str, batch: Batch, fault: Fault, now: float) -> HttpReply:
        """Take a request in: count it, do it or not, and answer."""
        self._count(account, batch, now)
        self.taken = set()
        reply = _refusal(fault, self._rng) or self._done(batch, fault, now)
        if fault is Fault.ERROR_AFTER:
            reply = HttpReply(502, {}, None, "<html>")
        return self._echo.said(account, reply) if self._scenario.odd else reply

    def _count(self, account: str, batch: Batch, now: float) -> None:
        for name in batch.route.quotas:
            quota = self._scenario.quotas.get(name)
            if quota is None:
                continue
            key = (name, "" if quota.scope == "address" else account)
            if key not in self._meters:
                kind = METERS[self._scenario.kinds[name]]
                self._meters[key] = kind(quota, quota.window_s <= EVEN_WINDOW_S)
            if not self._meters[key].hit(now, batch.route.tokens(name, len(batch.refs))):
                raise LawBroken("limit", f"{name} of {account} is over {quota}", now)

    def _done(self, batch: Batch, fault: Fault, now: float) -> HttpReply:
        if batch.route.purpose is Purpose.LOOKUP:
            return self._look(batch, fault, now)
        if any(ref.id in self._scenario.bad_ids for ref in batch.refs):
            if isinstance(self._scenario.venue, Toy):
                return ok(Answers(overall=Answer(code="bad")))
            return HttpReply(500, {}, None, "a bad id")
        before: dict[str, OrdStatus | None] = {}
        for ref in batch.refs:
            before[ref.id] = self._cancel(batch.route, ref, fault, now)
        return self.voice.canceled(batch, self._left(before, fault))

    def _cancel(
        self, route: Route, ref: OrderRef, fault: Fault, now: float
    ) -> OrdStatus | None:
        order = self.find(ref, now)
        if order is None or not self.voice.reaches(route, order):
            return None
        was = order.status(now)
        believed = self.voice.proves(route) and not self._scenario.verify
        wrong = ref.ord_type not in (OrdType.ANY, order.ord_type)
        typed = "ord_type" in route.group_by and wrong
        if order.is_open(now) and not typed and (believed or fault is not Fault.LIE):
            order.cancel(now, 0.0 if believed else self._scenario.effect_s)
            self.taken.add(ref)
        return was

    def _left(self, before: Before, fault: Fault) -> Before:
        if fault is not Fault.SILENT or len(before) < 2:
            return before
        return {key: was for key, was in before.items() if self._rng.random() < 0.6}

    def _look(self, batch: Batch, fault: Fault, now: float) -> HttpReply:
        """Answer from a replica that is behind, each time by another lag."""
        when = now - self._scenario.read_lag_s * self._rng.random()
        asked = {ref.id: self._shown(batch.route, ref, when, now) for ref in batch.refs}
        if fault is Fault.NONE:
            self._note_ends(batch, asked, when, now)
        latest = (orders[-1] for orders in self._orders.values())
        book = [order for order in latest if order.is_shown(when, now)]
        record = self._record(batch, when, now)
        if fault is Fault.NONE:
            self._note_named(batch, record)
        most = self._scenario.record.page_rows
        return self.voice.shown(batch, View(asked, book, record, when, most))

    def records(self, order: SimOrder) -> bool:
        """Return whether the order can still be looked up once it has ended."""
        keeps_all = self._scenario.record.keeps_all and order.ord_type in RECORDED
        return keeps_all or self.voice.records(order)

    def depth(self, order: SimOrder, now: float) -> int:
        """Return how many rows the record has above the order's."""
        return self._rows(now).index(order)

    def _note_named(self, batch: Batch, record: list[SimOrder]) -> None:
        start, end = self.voice.page(batch, self._scenario.record.page_rows)
        shown = {order.id for order in record[start:end]}
        self.named.update(ref for ref in batch.refs if ref.id in shown)

    def _shown(self, route: Route, ref: OrderRef, when: float, now: float) -> SimOrder | None:
        order = self.find(ref, when)
        if order is None or not self.voice.reaches(route, order):
            return None
        return order if order.is_shown(when, now) else None

    def _note_ends(
        self, batch: Batch, asked: Mapping[str, SimOrder | None], when: float, now: float
    ) -> None:
        if batch.route.max_ids > 1:
            return
        for ref in batch.refs:
            order = asked[ref.id]
            if order is None or not self.voice.records(order):
                continue
            if not order.is_open(when):
                self.end_shown.setdefault(ref, []).append(now)

    def _record(self, batch: Batch, when: float, now: float) -> list[SimOrder]:
        if batch.route.max_pages == 1:
            return []
        return self._rows(min(when, now - self._scenario.record_lag_s))

    def _rows(self, written: float) -> list[SimOrder]:
        every = (order for orders in self._orders.values() for order in orders)
        ended = [o for o in every if o.ended_at() <= written and self.records(o)]
        if not self._scenario.record.by_end:
            return [*self._old, *ended]
        return [*sorted(ended, key=lambda order: -order.ended_at()), *self._old]


#: Types of which a venue that lists canceled orders does so.
RECORDED = frozenset({OrdType.LIMIT, OrdType.MARKET})


def _old(venue: Venue, number: int) -> SimOrder:
    """Return an order that ended long ago."""
    name = f"old{number}" if isinstance(venue, Toy) else str(1_000_000 + number)
    return SimOrder(
        id=name,
        kind=IdKind.VENUE,
        symbol="AAA",
        ord_type=OrdType.LIMIT,
        traded=True,
        ending=OrdStatus.FILLED,
        ends_at=-NEVER,
    )


def _refusal(fault: Fault, rng: Random) -> HttpReply | None:
    """Return the answer of a venue that did nothing; None if it does what it was asked."""
    if fault is Fault.THROTTLED:
        asked = {} if rng.random() < 0.5 else {"retry-after": str(rng.randint(1, 4))}
        return HttpReply(429, asked, None, "slow down")
    if fault is Fault.DOWN:
        return ok(Answers(overall=Answer(code="down")))
    refusals = {
        Fault.BANNED: HttpReply(418, {"retry-after": "6"}, None, "banned"),
        Fault.ERROR: HttpReply(503, {}, None, "<html>down</html>"),
        Fault.PAGE: HttpReply(200, {}, None, "<html>hello</html>"),
        Fault.HALT: ok(Answers(overall=Answer(code="halt"))),
        Fault.BARRED: HttpReply(rng.choice((401, 403)), {}, None, "<html>no</html>"),
    }
    return refusals.get(fault)
