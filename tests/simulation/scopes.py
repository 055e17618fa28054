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
from tests.simulation.toys import RULES, Boast, Plain, Toy
from venues.base import (
    Answer,
    Answers,
    Batch,
    HttpReply,
    OpenOrder,
    Page,
    Quota,
    Route,
    Rule,
    Verdict,
)
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


def _cancel_all(name: str, types: frozenset[OrdType], *, by_symbol: bool) -> Route:
    return Route(
        name,
        Purpose.CANCEL_ALL,
        "DELETE",
        f"/{name}",
        ord_types=types,
        needs_symbol=by_symbol,
        quotas=("cancel_batch", "account"),
    )


#: Of the account in one piece; of a symbol by two doors.
CANCEL_ALLS = (
    _cancel_all("cancel_all", ALL_TYPES, by_symbol=False),
    _cancel_all("cancel_all_waiting", ALL_TYPES - RESTING, by_symbol=True),
    _cancel_all("cancel_all_resting", RESTING, by_symbol=True),
)
REFUSALS = {
    "busy": Rule("busy", Verdict.THROTTLED, "throttled"),
    "none": Rule("none", Verdict.UNKNOWN_ORDER, "unknown_order"),
}


class PlainCanceler(PlainLister):
    """The same as the first, with cancel-alls."""

    name = "plain-canceler"
    cancel_alls = CANCEL_ALLS
    rules = (*RULES, *REFUSALS.values())


class BoastCanceler(BoastLister):
    """The same as the second, with cancel-alls."""

    name = "boast-canceler"
    cancel_alls = CANCEL_ALLS
    rules = (*RULES, *REFUSALS.values())


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a venue's cancel-all really is."""

    reaches: float = 1.0  # of the orders that it says
    others: float = 0.0  # of the orders that it does not
    takes_s: float = 0.0  # at most, from its reply to its effect
    names: str = ""  # in its reply: what it canceled, what it should have, or nothing
    word: str = "0"  # what it says


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
    sweep: Sweep = Sweep()


def draw(seed: int) -> Scene:
    """Return the scene of a seed."""
    rng = Random(seed)
    venue = rng.choice((PlainLister, BoastLister, PlainCanceler, BoastCanceler))()
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
        sweep=Sweep(
            reaches=rng.choice((1.0, 1.0, 0.5, 0.0)),
            others=rng.choice((0.0, 0.0, 0.5)),
            takes_s=rng.choice((0.0, 0.0, 5.0)),
            names=rng.choice(("", "done", "meant")),
            word=rng.choice(("0", "0", "0", "busy", "none", "bad", "halt", "down", "odd")),
        ),
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
    sweeps: int = 0
    shown: set[str] = field(default_factory=set)  # of the scope, to the lane
    results: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed + 1)
        self._book = {order.id: replace(order) for order in self.scene.orders}
        paces = {name: Pace(quota) for name, quota in self.scene.quotas.items()}
        self._lane = Lane(self.scene.venue, paces, self._rng)
        self._wakes_at = NEVER
        self._swept: set[str] = set()  # though a cancel-all said that it does not reach them
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
            named = result.id if isinstance(result, CancelOutcome) else result.ref.id
            self.results.add(named)
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
        if sending.cancels_all:
            self._check_sweep(sending.batch, now)
        else:
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
            heard = hear_list(venue, sending.batch, reply)
            if heard.said.verdict is Verdict.THROTTLED:
                self._lane.pause(now, None)
            if heard.said.verdict is Verdict.HALT:
                self._lane.refused(sending, "permission", now)
            if self.end is None:
                shown = [each for each in heard.orders or () if is_of(self.scene.scope, each)]
                self.shown |= {each.id for each in shown}
            self._lane.listed(sending, heard, now)
        else:
            said, others = hear(venue, sending.batch, reply)
            self._lane.answered(sending, said, now, others)
        self._pump()

    # -- the venue -----------------------------------------------------------------------

    def _serve(self, batch: Batch, now: float) -> Answers:
        when = now - self.scene.lag_s * self._rng.choice((0.0, 1.0, self._rng.random()))
        if batch.route.purpose is Purpose.CANCEL_ALL:
            return self._sweep(batch, now)
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

    def _sweep(self, batch: Batch, now: float) -> Answers:
        """Cancel all that a cancel-all reaches, and say of it what the scene has it say."""
        sweep = self.scene.sweep
        if sweep.word in ("busy", "bad", "halt", "down"):
            return Answers(overall=Answer(code=sweep.word))
        at = now + self._rng.uniform(0.0, sweep.takes_s)
        done: list[OpenOrder] = []
        meant: list[OpenOrder] = []
        for order in self._book.values():
            says = self._says_to_reach(batch, order, at)
            hits = self._rng.random() < (sweep.reaches if says else sweep.others)
            if says:
                meant.append(order.row(at)._replace(state=""))
            if hits and order.is_open(at):
                order.canceled_at = min(order.canceled_at, at)
                done.append(order.row(now)._replace(state=""))
                if not says:
                    self._swept.add(order.id)
        if sweep.names:
            return Answers(listed=tuple(done if sweep.names == "done" else meant))
        return Answers(overall=Answer(code=sweep.word))

    def _says_to_reach(self, batch: Batch, order: Rest, when: float) -> bool:
        of_symbol = batch.symbol.casefold() in ("", order.symbol.casefold())
        of_type = order.row(when).ord_types <= batch.route.ord_types
        return of_symbol and of_type and order.is_open(when)

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

    def _check_sweep(self, batch: Batch, now: float) -> None:
        """Hold a cancel-all to the scope: whatever it says to reach is of it."""
        scope = self.scene.scope
        self.sweeps += 1
        if self.sweeps > len(scope.symbols) * 2 + 1:
            raise LawBroken("cancel-all", "it goes once more", now)
        for order in self.scene.orders:
            born = replace(order, born_at=-NEVER, ends_at=NEVER)
            if self._says_to_reach(batch, born, now) and not is_of(scope, order.row(now)):
                raise LawBroken("cancel-all", f"it reaches {order.id}, which is to stay", now)

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
        halts = self.sweeps and self.scene.sweep.word == "halt"
        at_fault = self.scene.faults or halts
        if result != "empty" and not at_fault and now < self._owner.deadline:
            raise LawBroken("result", f"{result} without a fault", now)
        for order_id in {"o1", "o2"} & scope.excepted & self._book.keys():
            if self._book[order_id].canceled_at != NEVER:
                raise LawBroken("except", f"{order_id} was to stay", now)
        for order in self._book.values():
            foreign = order.born_at < START_S and is_of(scope, order.row(START_S)) is False
            swept = order.id in self._swept
            if foreign and not scope.ord_types and order.canceled_at != NEVER and not swept:
                raise LawBroken("scope", f"{order.id} is not of it", now)
        if untold := self.shown - self.results - {ref.id for ref in end.resting}:
            raise LawBroken("told", f"nothing is told of {untold}", now)
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
        print(f"{played.scene.venue.name} {played.scene.scope} {played.scene.sweep}")
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
