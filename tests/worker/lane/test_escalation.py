"""The cancel-all of a symbol, for a kill's order that no cancel by its id removes."""

from __future__ import annotations

import random

import pytest

from tests.simulation.scopes import BoastCanceler, PlainCanceler
from tests.support.lane import OPEN, Task, answer, orders
from venues.base import Venue, Verdict
from venues.words import OrdStatus, OrdType, Purpose
from worker.lane.escalation import Escalations
from worker.lane.lane import Lane, Sending
from worker.orders.follow import TRIES_A_ROUTE
from worker.orders.judge import Judgement, ListHeard
from worker.orders.progress import OrderProgress, Phase

OF_AAA = OPEN._replace(symbol="AAA", ord_type=OrdType.LIMIT)
ACCEPTED = Judgement(Verdict.ACCEPTED)
ROUTES = 2  # by which a plain order is canceled


def play(venue: Venue, *, escalate: bool, kill: bool, until_s: float = 60.0) -> list[Sending]:
    """Play orders that stay open whatever leaves; return all requests that change orders."""
    lane = Lane(venue, {}, random.Random(1), escalate=escalate)
    lane.add(Task(kill=kill), orders("o1", "o2", "o3"), 0.0)
    found: list[Sending] = []
    now = 0.0
    while now < until_s:
        while (sending := lane.next(now)) is not None:
            if sending.cancels_all:
                lane.listed(sending, ListHeard(ACCEPTED), now)
            else:
                canceled = sending.batch.route.purpose is Purpose.CANCEL
                answer(lane, sending, ACCEPTED if canceled else OF_AAA, now)
            if sending.batch.route.purpose is not Purpose.LOOKUP:
                found.append(sending)
        now += 0.1
    return found


@pytest.mark.parametrize("venue", [PlainCanceler(), BoastCanceler()])
def test_after_every_cancel_by_id_those_of_its_symbol_leave_once(venue: Venue) -> None:
    sent = play(venue, escalate=True, kill=True)

    places = [place for place, sending in enumerate(sent) if sending.is_escalation]
    alls = [sent[place].batch for place in places]
    assert [(b.route.name, b.symbol) for b in alls] == [
        ("cancel_all_waiting", "AAA"),
        ("cancel_all_resting", "AAA"),
    ]
    before = {sending.batch.route.name for sending in sent[: places[0]]}
    assert before == {route.name for route in venue.routes if route.purpose is Purpose.CANCEL}
    assert len(sent) > places[-1] + 1, "they are canceled by id as before"


def test_never_without_the_setting_nor_for_a_routine_job() -> None:
    for escalate, kill in (False, True), (True, False):
        sent = play(PlainCanceler(), escalate=escalate, kill=kill)

        assert len(sent) > ROUTES * TRIES_A_ROUTE
        assert not any(sending.cancels_all for sending in sent)


def test_a_cancel_all_that_fails_leaves_the_order_as_it_is() -> None:
    lane = Lane(PlainCanceler(), {}, random.Random(1), escalate=True)
    lane.add(Task(kill=True), orders("o1"), 0.0)
    now, failed = 0.0, 0
    while not failed:
        now += 0.1
        while (sending := lane.next(now)) is not None:
            if sending.cancels_all:
                failed += 1
                (lane.in_doubt if failed == 1 else lane.not_sent)(sending, "timeout", now)
                continue
            canceled = sending.batch.route.purpose is Purpose.CANCEL
            answer(lane, sending, ACCEPTED if canceled else OF_AAA, now)

    assert failed == len(PlainCanceler.cancel_alls) - 1
    assert lane.in_flight == 0
    assert lane.waiting() == 1


STUCK = OrderProgress(
    next(iter(PlainCanceler.id_shapes)),
    symbol="AAA",
    phase=Phase.CANCEL,
    tried=ROUTES * TRIES_A_ROUTE,
    still_open=True,
    ord_status=OrdStatus.NEW,
)


@pytest.mark.parametrize(
    "progress",
    [
        STUCK._replace(symbol=""),
        STUCK._replace(still_open=False),
        STUCK._replace(tried=ROUTES * TRIES_A_ROUTE - 1),
        STUCK._replace(tried=(ROUTES + 1) * TRIES_A_ROUTE),
        STUCK._replace(phase=Phase.CONFIRM),
    ],
)
def test_what_is_not_stuck_asks_for_none(progress: OrderProgress) -> None:
    escalations = Escalations(PlainCanceler(), allowed=True)

    escalations.cancel_next("o1", progress)

    assert escalations.next is None


def test_it_leaves_again_only_once_nobody_is_left_who_asked() -> None:
    escalations = Escalations(PlainCanceler(), allowed=True)
    escalations.cancel_next("o1", STUCK)
    escalations.cancel_next("o2", STUCK)
    assert [escalations.leaves().symbol, escalations.leaves().symbol] == ["AAA", "AAA"]

    escalations.forget("o1", "AAA")
    escalations.cancel_next("o3", STUCK)
    assert escalations.next is None

    for key in "o2", "o3":
        escalations.forget(key, "AAA")
    escalations.cancel_next("o4", STUCK)
    assert escalations.next is not None
    escalations.forget("o4", "AAA")
    assert escalations.next is None, "its order is gone before it left"
