"""Jobs with a scope: one lane, a venue with lists, and a book in which orders come and go.

`python -m tests.simulation.scopes --seeds 10000` plays many, `--seed N` one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from tests.simulation.agenda import Agenda
from tests.simulation.laws import LawBroken
from tests.simulation.toys import Boast, Plain, Toy
from venues.base import Answer, Answers, Batch, HttpReply, OpenOrder, Page, Quota, Route
from venues.words import (
    ALL_TYPES,
    CancelOutcome,
    CancelStatus,
    OrdStatus,
    OrdType,
    Purpose,
    Scope,
    Side,
)
from worker.jobs.job_report import result_of
from worker.lane.lane import Lane, Sending
from worker.lane.submission import AskedScope, ScopeEnd, Submission
from worker.orders.judge import hear, hear_list
from worker.orders.scope import is_of
from worker.pacing.pace import NEVER, Pace

START_S, DEADLINE_S = 1000.0, 90.0
#: Rows of a page, and how many of them the next one repeats.
PAGE_ROWS, OVERLAP_ROWS = 4, 1
MOST_EVENTS = 20_000


def _list(
    name: str, types: frozenset[OrdType], stage: int, pages: int, listed: OrdType
) -> Route:
    return Route(
        name,
        Purpose.LIST,
        "GET",
        f"/{name}",
        ord_types=types,
        life_stage=stage,
        max_pages=pages,
        quotas=("lookup", "account"),
        tells_side=True,
        tells_client_id=True,
        listed_as=listed,
    )


RESTING = frozenset({OrdType.LIMIT, OrdType.MARKET})
LISTS = (
    _list("list_waiting", ALL_TYPES - RESTING, 0, 50, OrdType.TRIGGER),
    _list("list_open", RESTING, 1, 1, OrdType.LIMIT),
)


class PlainLister(Plain):
    """Lists what waits for its trigger in pages, and what rests in one piece."""

    name = "plain-lister"
    lists = LISTS


class BoastLister(Boast):
    """The same, where a batch claims what it did not do."""

    name = "boast-lister"
    lists = LISTS


@dataclass(slots=True)
class Rest:
    """An order of the book."""

    id: str
    symbol: str
    side: Side
    born_at: float
    fires_at: float  # it rests from then on, and waits for its trigger before
    ends_at: float  # filled by then, unless canceled
    hidden: tuple[float, float]  # no list shows it meanwhile
    canceled_at: float = NEVER

    def is_open(self, when: float) -> bool:
        return self.born_at <= when < min(self.ends_at, self.canceled_at)

    def status(self, when: float) -> OrdStatus:
        if self.canceled_at <= when:
            return OrdStatus.CANCELED
        return OrdStatus.FILLED if self.ends_at <= when else OrdStatus.NEW

    def row(self, when: float) -> OpenOrder:
        waits = when < self.fires_at
        ord_type = OrdType.TRIGGER if waits else OrdType.LIMIT
        return OpenOrder(self.id, self.symbol, frozenset({ord_type}), self.side, "", "NEW")


@dataclass(frozen=True, slots=True)
class Scene:
    """What one seed plays."""

    venue: Toy
    scope: Scope
    kill: bool
    orders: Sequence[Rest]
    quotas: dict[str, Quota]
    faults: float  # of a request: it is lost, refused, or answered by nobody known
    lies: float  # of a cancel that is not believed: it has no effect
    lag_s: float  # at most, of each read


def draw(seed: int) -> Scene:
    """Return the scene of a seed."""
    rng = Random(seed)
    venue = rng.choice((PlainLister, BoastLister))()
    hold_s = rng.choice((0.0, 2.0, 5.0, 20.0))
    scope = rng.choice(
        (
            Scope(hold_s=hold_s),
            Scope(hold_s=hold_s, symbols=frozenset({"aaa"})),
            Scope(hold_s=hold_s, side=Side.BUY, excepted=frozenset({"o1", "o2"})),
            Scope(hold_s=hold_s, ord_types=frozenset({OrdType.TRIGGER, OrdType.LIMIT})),
        )
    )
    return Scene(
        venue=venue,
        scope=scope,
        kill=rng.random() < 0.7,
        orders=[_order(rng, n, hold_s, venue) for n in range(rng.choice((0, 1, 3, 12, 40)))],
        quotas={
            "cancel_batch": Quota(10, 1.0),
            "cancel_one": Quota(10, 1.0),
            "lookup": Quota(rng.choice((3, 10)), 1.0),
            "account": Quota(rng.choice((5, 20)), 1.0),
        },
        faults=rng.choice((0.0, 0.0, 0.1, 0.3)),
        lies=rng.choice((0.0, 0.3)),
        lag_s=venue.read_lag_s * rng.choice((0.0, 1.0)),
    )


def _order(rng: Random, number: int, hold_s: float, venue: Toy) -> Rest:
    kept_until = START_S + max(hold_s, venue.birth_lag_s)
    births = -NEVER, -NEVER, kept_until - rng.random() / 2, kept_until + rng.uniform(-8, 5)
    # Where it is hard: while the reads go on that are to prove that it is not there.
    hard = kept_until + venue.read_lag_s + rng.uniform(-3.0, 1.0)
    hides_at = rng.choice((NEVER, hard, START_S + rng.uniform(0.0, 40.0)))
    return Rest(
        id=f"o{number}",
        symbol=rng.choice(("AAA", "BBB")),
        side=rng.choice((Side.BUY, Side.SELL)),
        born_at=rng.choice(births),
        fires_at=rng.choice((-NEVER, NEVER, hard + rng.uniform(0.0, 3.5))),
        ends_at=START_S + rng.uniform(0.0, 30.0) if rng.random() < 0.1 else NEVER,
        hidden=(hides_at, hides_at + venue.hidden_s),
    )


@dataclass
class Play:
    """One scene, from the job's arrival to the end of its scope."""

    scene: Scene
    seed: int
    agenda: Agenda = field(default_factory=lambda: Agenda(START_S))
    outcomes: list[tuple[float, CancelOutcome]] = field(default_factory=list)
    end: ScopeEnd | None = None
    ended_at: float = 0.0
    reads: int = 0

    def __post_init__(self) -> None:
        self._rng = Random(self.seed + 1)
        self._book = {order.id: replace(order) for order in self.scene.orders}
        paces = {name: Pace(quota) for name, quota in self.scene.quotas.items()}
        self._lane = Lane(self.scene.venue, paces, self._rng)
        self._wakes_at = NEVER
        self._owner = Submission(
            account="desk",
            job_id="job",
            kill=self.scene.kill,
            deadline=START_S + DEADLINE_S,
            received_at=START_S,
            scope=AskedScope(self.scene.scope, START_S),
        )

    def run(self) -> Play:
        """Let everything happen, and hold the end to the book."""
        self._lane.add_scope(self._owner, START_S)
        self.agenda.at(self._owner.deadline, self._at_deadline)
        self._pump()
        if not self.agenda.run(MOST_EVENTS) or self.end is None:
            raise LawBroken("progress", "the scope does not end", self.agenda.now)
        self._check(self.end)
        return self

    def _at_deadline(self) -> None:
        if self.end is None:
            self._lane.withdraw(self._owner, "deadline", self.agenda.now)
            self._pump()

    # -- the lane ------------------------------------------------------------------------

    def _pump(self) -> None:
        now = self.agenda.now
        while (sending := self._lane.next(now)) is not None:
            self._depart(sending, now)
        for _, result in self._lane.take_results():
            if isinstance(result, CancelOutcome):
                self.outcomes.append((now, result))
        for _, end in self._lane.take_ended():
            if self.end is not None or self._owner.waits:
                raise LawBroken("scope", "it ends twice, or too early", now)
            self.end, self.ended_at = end, now
        wakes_at = self._lane.quiet_until
        if wakes_at not in (NEVER, self._wakes_at):
            self.agenda.at(wakes_at, partial(self._wake, wakes_at))
        self._wakes_at = wakes_at

    def _wake(self, when: float) -> None:
        if self._wakes_at == when:
            self._wakes_at = NEVER
            self._pump()

    def _depart(self, sending: Sending, now: float) -> None:
        self.reads += sending.scope is not None
        up_s, down_s = self._rng.uniform(0.0, 0.1), self._rng.uniform(0.0, 0.1)
        fault = self._rng.random() < self.scene.faults
        kind = self._rng.choice(("not_sent", "lost", "unanswered", "page")) if fault else ""
        if kind == "not_sent":
            self.agenda.at(now + up_s, partial(self._failed, sending, "unreachable"))
        elif kind == "lost":
            self.agenda.at(now + 1.0, partial(self._failed, sending, "timeout"))
        else:
            self.agenda.at(
                now + up_s, partial(self._arrive, sending, kind, now + up_s + down_s)
            )

    def _arrive(self, sending: Sending, kind: str, replies_at: float) -> None:
        answers = self._serve(sending.batch, self.agenda.now)
        reply = HttpReply(200, {}, answers)
        if kind == "page":
            reply = HttpReply(502, {}, None, "<html>")
        if kind == "unanswered":
            self.agenda.at(sending.started + 1.0, partial(self._failed, sending, "timeout"))
        else:
            self.agenda.at(replies_at, partial(self._answered, sending, reply))

    def _failed(self, sending: Sending, why: str) -> None:
        fail = self._lane.not_sent if why == "unreachable" else self._lane.in_doubt
        fail(sending, why, self.agenda.now)
        self._pump()

    def _answered(self, sending: Sending, reply: HttpReply) -> None:
        now, venue = self.agenda.now, self.scene.venue
        if sending.scope is not None:
            self._lane.listed(sending, hear_list(venue, sending.batch, reply), now)
        else:
            said, others = hear(venue, sending.batch, reply)
            self._lane.answered(sending, said, now, others)
        self._pump()

    # -- the venue -----------------------------------------------------------------------

    def _serve(self, batch: Batch, now: float) -> Answers:
        when = now - self.scene.lag_s * self._rng.choice((0.0, 1.0, self._rng.random()))
        if batch.route.purpose is Purpose.LIST:
            return self._listed(batch, when, now)
        if batch.route.purpose is Purpose.LOOKUP:
            found = {ref.id: self._look(ref.id, when, now) for ref in batch.refs}
            if len(batch.refs) == 1:
                return Answers(overall=found[batch.refs[0].id])
            return Answers(by_id=found)
        return Answers(
            by_id={ref.id: self._cancel(batch.route, ref.id, now) for ref in batch.refs}
        )

    def _look(self, order_id: str, when: float, now: float) -> Answer:
        order = self._book[order_id]
        shown = order.born_at <= when and not self._is_hidden(order, when, now)
        return Answer(state=str(order.status(when))) if shown else Answer(code="unknown")

    def _cancel(self, route: Route, order_id: str, now: float) -> Answer:
        order = self._book[order_id]
        was = order.status(now)
        if was is OrdStatus.NEW and (route.trusted or self._rng.random() >= self.scene.lies):
            order.canceled_at = now
        return Answer(state=str(OrdStatus.CANCELED if was is OrdStatus.NEW else was))

    def _listed(self, batch: Batch, when: float, now: float) -> Answers:
        rows = [
            row
            for order in self._book.values()
            if order.is_open(when) and not self._is_hidden(order, when, now)
            if (row := order.row(when)).ord_types <= batch.route.ord_types
        ]
        if batch.route.max_pages == 1:
            return Answers(listed=tuple(rows))
        begin = max(0, batch.read - OVERLAP_ROWS)
        page = rows[begin : begin + PAGE_ROWS]
        ids = tuple(row.id for row in page)
        more = begin + PAGE_ROWS < len(rows)
        told = Page(ids, begin + len(page), None, PAGE_ROWS)
        return Answers(listed=tuple(page), page=told, truncated=more)

    def _is_hidden(self, order: Rest, when: float, now: float) -> bool:
        return order.hidden[0] <= now <= order.hidden[1] and order.is_open(when)

    # -- the law -------------------------------------------------------------------------

    def _check(self, end: ScopeEnd) -> None:
        now, scope = self.ended_at, self.scene.scope
        result = result_of(end)
        rests = {
            order.id
            for order in self._book.values()
            if order.is_open(now) and is_of(scope, order.row(now))
        }
        if result == "empty":
            venue = self.scene.venue
            kept_until = START_S + max(scope.hold_s, venue.birth_lag_s)
            since = min(proof.first for proof in end.proofs) - venue.read_lag_s
            born_by = max(since, kept_until)
            false = {key for key in rests if self._book[key].born_at <= born_by}
            if false:
                raise LawBroken("empty", f"told as empty while these rest: {false}", now)
            if now < START_S + scope.hold_s:
                raise LawBroken("hold", "it ends before its time", now)
        if result != "empty" and not self.scene.faults and now < self._owner.deadline:
            raise LawBroken("result", f"{result} without a fault", now)
        for order_id in {"o1", "o2"} & scope.excepted & self._book.keys():
            if self._book[order_id].canceled_at != NEVER:
                raise LawBroken("except", f"{order_id} was to stay", now)
        for order in self._book.values():
            foreign = order.born_at < START_S and is_of(scope, order.row(START_S)) is False
            if foreign and not scope.ord_types and order.canceled_at != NEVER:
                raise LawBroken("scope", f"{order.id} is not of it", now)
        for when, outcome in self.outcomes:
            order = self._book[outcome.id]
            told_over = outcome.status not in (CancelStatus.UNCONFIRMED, CancelStatus.FAILED)
            if (
                told_over
                and outcome.status is not CancelStatus.REJECTED
                and order.is_open(when)
            ):
                raise LawBroken("truth", f"{outcome.id} is open, told {outcome.status}", when)


def play(seed: int) -> Play:
    """Play one seed.

    Raises:
        LawBroken: with a note that says how to replay it.
    """
    try:
        return Play(draw(seed), seed).run()
    except Exception as error:
        error.add_note(f"replay: python -m tests.simulation.scopes --seed {seed}")
        raise


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.scopes")
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--seeds", type=int, default=1000, help="play so many")
    parser.add_argument("--first", type=int, default=0, help="begin at this seed")
    asked = parser.parse_args()
    if asked.seed is not None:
        played = play(asked.seed)
        print(f"{played.scene.venue.name} {played.scene.scope}")
        print(f"{played.end} after {played.ended_at - START_S:.2f} s, {played.reads} reads")
        return 0
    began, broken, results = time.monotonic(), 0, dict[str, int]()
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            played = play(seed)
            assert played.end is not None
            result = str(result_of(played.end))
            results[result] = results.get(result, 0) + 1
        except Exception as error:  # noqa: BLE001 - a crash of the machine is a finding, too
            broken += 1
            print("; ".join([repr(error), *error.__notes__]), flush=True)
    print(
        f"{asked.seeds} seeds in {time.monotonic() - began:.1f} s, {broken} broken: {results}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
