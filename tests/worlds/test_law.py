"""The law can fail: each class is found where a part is broken on purpose, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pytest

from tests.worlds.fake import CREDENTIALS
from tests.worlds.hunt import shrunk
from tests.worlds.law import Class, finds
from tests.worlds.plan import (
    QUANTITY,
    Ask,
    Behaviours,
    Change,
    JobPlan,
    OrderPlan,
    Outage,
    World,
)
from tests.worlds.play import START_S, Parts, Play
from venues.base import Batch, HttpRequest
from venues.words import CancelOutcome, CancelStatus, IdKind, OrderRef, Purpose
from worker.lane.lane import Lane, Sending
from worker.lane.submission import Result, Submission
from worker.orders.follow import FinalWord
from worker.orders.progress import Cohort

ID = "3fa42833-9508-4061-8d80-b68563dcd521"
SYMBOL = "BTCUSDT"


def world(
    *orders: OrderPlan, deadline_s: float = 30.0, symbol: str = SYMBOL, **ways: object
) -> World:
    """Return a world at ZTDX with one job that names every order, and `ID`."""
    ids = [order.venue_id for order in orders] or [ID]
    asks = tuple(Ask(order_id, symbol=symbol) for order_id in ids)
    job = JobPlan("j", asks, deadline_s=deadline_s)
    return World(1, "ztdx", orders, (job,), replace(Behaviours(), **ways))  # type: ignore[arg-type]


def order(*changes: Change, **said: object) -> OrderPlan:
    return replace(OrderPlan(ID, SYMBOL, changes=changes), **said)  # type: ignore[arg-type]


def told_as(status: CancelStatus, reason: str = "", text: str = "") -> type[Lane]:
    """Return a lane that tells every id this, as soon as it comes."""

    class Told(Lane):
        def add(self, owner: Submission, cohorts: Iterable[Cohort], now: float) -> None:
            for cohort in cohorts:
                word = FinalWord(cohort.progress._replace(text=text), status, reason)
                for order_id in cohort.ids:
                    self._hand(owner, word.outcome(order_id))

    return Told


class _FirstSaysCanceled(Lane):
    """Tells the first job another thing than the second."""

    def take_results(self) -> list[tuple[Submission, Result]]:
        return [
            (owner, replace(result, status=CancelStatus.FILLED))
            if isinstance(result, CancelOutcome) and owner.job_id == "j2"
            else (owner, result)
            for owner, result in super().take_results()
        ]


class _Forgetful(Lane):
    def take_results(self) -> list[tuple[Submission, Result]]:
        super().take_results()
        return []


class _Broken(Lane):
    def add(self, owner: Submission, cohorts: Iterable[Cohort], now: float) -> None:
        raise ZeroDivisionError


class _Sleepy(Lane):
    """Lets nothing leave for five seconds."""

    def next(self, now: float) -> Sending | None:
        if now < START_S + 5:
            self.quiet_until = START_S + 5
            return None
        return super().next(now)


class _Repeating(Play):
    """Sends each request many times."""

    def _arrive(self, sending: Sending, request: HttpRequest, back_at: float) -> None:
        for _ in range(100):
            self.fake.serve(request, self.agenda.now)
        super()._arrive(sending, request, back_at)


class _OneByOne(Play):
    """Sends the ids of each batch once more, each by itself."""

    def _arrive(self, sending: Sending, request: HttpRequest, back_at: float) -> None:
        super()._arrive(sending, request, back_at)
        if len(sending.batch.refs) == 1:
            return
        alone = next(
            r for r in self.venue.routes if r.purpose is Purpose.CANCEL and r.max_ids == 1
        )
        for ref in sending.batch.refs:
            again = self.venue.build(Batch(alone, (ref,)))
            signed = self.venue.sign(again, self.account.credential, 1)
            self.fake.serve(signed, self.agenda.now)


OPEN = world(order(swallowed=99))
FILLED = world(order(Change(-5, "fill", QUANTITY)))
CANCELED = world(order(Change(-5, "cancel")))
LATE = world(order(placed_s=1.0))
PLAIN = world(order())

CASES = {
    Class.CRASH: (PLAIN, _Broken),
    Class.LOST: (PLAIN, _Forgetful),
    Class.LEAK: (PLAIN, told_as(CancelStatus.CANCELED, text=f"no {CREDENTIALS['long'][0]}")),
    Class.OPEN: (OPEN, told_as(CancelStatus.CANCELED)),
    Class.SOON: (LATE, told_as(CancelStatus.NOT_FOUND)),
    Class.WRONG: (FILLED, told_as(CancelStatus.CANCELED)),
    Class.HIDDEN: (FILLED, told_as(CancelStatus.CLOSED, "no_record")),
    Class.RECORDED: (CANCELED, told_as(CancelStatus.NOT_FOUND)),
    Class.NEEDLESS: (CANCELED, told_as(CancelStatus.UNCONFIRMED, "in_doubt")),
    Class.LEFT_OPEN: (PLAIN, told_as(CancelStatus.REJECTED, "auth")),
    Class.LATE: (PLAIN, _Sleepy),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_broken_lane_is_found(kind: Class) -> None:
    where, lane = CASES[kind]
    assert kind in {find.kind for find in finds(Play(where, Parts(lane=lane)).run())}


@pytest.mark.parametrize("where", [OPEN, FILLED, CANCELED, PLAIN], ids=str)
def test_nothing_is_found_where_nothing_is_broken(where: World) -> None:
    assert finds(Play(where).run()) == []


def test_two_words_on_one_id_are_found() -> None:
    second = replace(PLAIN.jobs[0], job_id="j2", at_s=1.0)
    twice = replace(PLAIN, jobs=(*PLAIN.jobs, second))
    assert finds(Play(twice).run()) == []
    found = finds(Play(twice, Parts(lane=_FirstSaysCanceled)).run())
    assert Class.CONTRADICTORY in {find.kind for find in found}


def test_a_fill_that_is_told_as_a_cancel_and_the_reverse_are_found() -> None:
    for where, lie in (FILLED, CancelStatus.CANCELED), (CANCELED, CancelStatus.FILLED):
        assert [f.kind for f in finds(Play(where, Parts(lane=told_as(lie))).run())] == [
            Class.WRONG
        ]


@pytest.mark.parametrize(("symbol", "is_wrong"), [(SYMBOL, True), ("ETHUSDT", False)])
def test_a_word_of_one_symbol_hides_no_fill_of_another(symbol: str, is_wrong: bool) -> None:
    where = world(order(Change(-5.0, "fill", QUANTITY)), symbol=symbol)
    lane = told_as(CancelStatus.NOT_FOUND, "none_of_symbol")

    found = {find.kind for find in finds(Play(where, Parts(lane=lane)).run())}

    assert (Class.HIDDEN in found) == is_wrong


@pytest.mark.parametrize(("symbol", "is_wrong"), [(SYMBOL, True), ("ETHUSDT", False)])
def test_a_word_of_one_symbol_hides_no_child_of_another(symbol: str, is_wrong: bool) -> None:
    fired = replace(order(Change(-5.0, "fire")), ord_type="trigger", child="rests")
    lane = told_as(CancelStatus.NOT_FOUND, "none_of_symbol")

    found = {f.kind for f in finds(Play(world(fired, symbol=symbol), Parts(lane=lane)).run())}

    assert (Class.OPEN in found) == is_wrong


def test_a_word_of_one_symbol_hides_no_open_order_of_another() -> None:
    where = world(order(swallowed=99), symbol="ETHUSDT")
    lane = told_as(CancelStatus.NOT_FOUND, "none_of_symbol")

    assert Class.OPEN in {f.kind for f in finds(Play(where, Parts(lane=lane)).run())}


def test_an_id_that_is_sent_again_and_again_is_a_flood() -> None:
    found = finds(_Repeating(PLAIN).run())
    assert "id" in {find.key for find in found if find.kind is Class.FLOOD}


def test_more_requests_than_the_venue_allows_are_a_flood() -> None:
    at_coinw = World(
        1,
        "coinw",
        (OrderPlan("33308750270880236", "BTC"),),
        (JobPlan("j", (Ask("33308750270880236", symbol="BTC"),)),),
    )
    found = finds(_Repeating(at_coinw).run())
    assert "quota" in {find.key for find in found if find.kind is Class.FLOOD}


def test_ids_of_a_batch_that_go_again_alone_are_a_flood() -> None:
    ids = [f"{ID[:-2]}{number}" for number in range(10, 40)]
    many = world(*(OrderPlan(order_id, SYMBOL) for order_id in ids), cancel_s=1.0)
    found = finds(_OneByOne(many).run())
    assert "one by one" in {find.key for find in found if find.kind is Class.FLOOD}


#: Doubt is all that can be told here: nobody could know more.
UNKNOWABLE = {
    "wrong symbol": replace(CANCELED, jobs=world(order(), symbol="ETHUSDT").jobs),
    "no time": world(order(Change(-5, "cancel")), deadline_s=5.0),
    "gateway until the end": world(
        order(Change(-5, "cancel")), outages=(Outage(0.0, 26.0, "502"),)
    ),
    "others are shown": world(order(Change(-5, "cancel")), shows_others=True),
    "an odd way to say that it is unknown": world(unknown_text="other_code"),
}


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_doubt_is_not_needless_where_nobody_could_know(name: str) -> None:
    doubts = told_as(CancelStatus.UNCONFIRMED, "in_doubt")
    where = UNKNOWABLE[name]
    if name.startswith("gateway"):
        doubts = told_as(CancelStatus.UNCONFIRMED, "http_502")
        assert finds(_Looking(where, Parts(lane=doubts)).run()) == []
    else:
        assert finds(Play(where, Parts(lane=doubts)).run()) == []


class _Looking(Play):
    """Asks the venue once a second, whatever the lane does."""

    def run(self) -> Play:
        route = next(r for r in self.venue.routes if r.purpose is Purpose.LOOKUP)
        ref = OrderRef(ID, IdKind.VENUE, SYMBOL)
        request = self.venue.sign(
            self.venue.build(Batch(route, (ref,))), self.account.credential, 1
        )
        for second in range(30):
            self.agenda.at(START_S + second, partial(self._ask, request))
        return super().run()

    def _ask(self, request: HttpRequest) -> None:
        self.fake.serve(request, self.agenda.now)


def test_a_find_shrinks_to_what_it_needs() -> None:
    others = [OrderPlan(f"{ID[:-2]}{number}", SYMBOL) for number in range(10, 22)]
    large = world(order(swallowed=99), *others, words="lower", read_lag_s=0.5, cancel_s=1.0)
    lane = Parts(lane=told_as(CancelStatus.CANCELED))
    small = shrunk(large, Class.OPEN, "canceled ", lane)
    assert len(small.orders) == 1
    assert small.ways == Behaviours()
