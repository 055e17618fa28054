"""An order that fired, in its lane: requests name what it became, results what was asked."""

from __future__ import annotations

import pytest

from tests.support.lane import CANCELED, Task, answer, ids, lane_of, leaves, results
from venues.base import Verdict
from venues.binance import Binance
from venues.words import (
    Became,
    CancelOutcome,
    CancelStatus,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
)
from worker.lane.lane import Lane, Sending
from worker.orders.judge import Judgement
from worker.orders.progress import cohorts, new_cohorts
from worker.orders.retry import Returned

BINANCE = Binance({"product": "usdm"})
UNKNOWN = Judgement(Verdict.UNKNOWN_ORDER, reason="unknown_order")
FIRED = Judgement(
    Verdict.IN_DOUBT, reason="trigger_fired", symbol="BTCUSDT", became=Became("77")
)
OPEN = Judgement(Verdict.STATE, ord_status=OrdStatus.NEW, shown=OrdStatus.NEW)


def add(lane: Lane, task: Task, *refs: OrderRef, now: float = 5.0) -> None:
    lane.add(task, new_cohorts(refs), now)


def stop(order_id: str = "1000", kind: IdKind = IdKind.VENUE) -> OrderRef:
    return OrderRef(order_id, kind, "BTCUSDT", OrdType.TRIGGER)


def plain(order_id: str) -> OrderRef:
    return OrderRef(order_id, IdKind.VENUE, "BTCUSDT", OrdType.LIMIT)


def has_fired(lane: Lane) -> None:
    """Have the cancel of the one stop be refused, and its row name what it became."""
    answer(lane, leaves(lane, 5.0), UNKNOWN, 5.1)
    looks = leaves(lane, 5.1)
    assert looks.batch.route.name == "algo"
    answer(lane, looks, FIRED, 5.2)


def told(lane: Lane, task: Task) -> CancelOutcome:
    (result,) = results(lane, task)
    assert isinstance(result, CancelOutcome)
    return result


@pytest.mark.parametrize("kill", [True, False])
def test_a_cancel_of_what_it_became_leaves_at_once(kill: bool) -> None:
    lane, task = lane_of({}, BINANCE), Task(kill=kill)
    add(lane, task, stop())
    has_fired(lane)

    cancels = leaves(lane, 5.2)
    assert (cancels.batch.route.name, ids(cancels)) == ("cancel_batch", ["77"])
    answer(lane, cancels, CANCELED, 5.3)

    outcome = told(lane, task)
    assert (outcome.id, outcome.status, outcome.became) == (
        "1000",
        CancelStatus.CANCELED,
        "77",
    )
    assert not lane.entries()


def test_it_travels_with_others_and_no_request_names_an_order_twice() -> None:
    """A job may name what it became as well; each of the two ids has a word of its own."""
    lane, task = lane_of({}, BINANCE), Task()
    add(lane, task, stop())
    has_fired(lane)
    other = Task(job_id="other")
    add(lane, other, plain("77"), plain("78"), now=5.2)

    first, second = leaves(lane, 5.2), leaves(lane, 5.2)
    assert sorted(ids(first) + ids(second)) == ["77", "77", "78"]
    assert len(set(ids(first))) == len(ids(first))
    answer(lane, first, CANCELED, 5.3)
    answer(lane, second, CANCELED, 5.3)

    taken = lane.take_results()
    words = {each.id: each.became for _, each in taken if isinstance(each, CancelOutcome)}
    assert words == {"1000": "77", "77": "", "78": ""}


def test_what_a_list_still_shows_of_its_own_id_is_not_taken_for_what_it_became() -> None:
    lane, task = lane_of({}, BINANCE), Task()
    add(lane, task, stop())
    has_fired(lane)
    answer(lane, leaves(lane, 5.2), UNKNOWN, 5.3)
    (entry,) = lane.entries()
    before = entry.progress
    look = leaves(lane, 5.3)

    ended = OPEN._replace(ord_status=OrdStatus.FILLED)
    for said in OPEN, ended:
        lane.answered(_probe(look), {}, 5.4, {(IdKind.VENUE, "1000"): said})

    assert entry.progress == before
    assert entry.sight is None
    assert not lane.take_results()


def _probe(look: Sending) -> Sending:
    """Return a read like this one that waits for nobody."""
    return Sending(look.batch, (), 5.3, 0.0, advisory=True)


@pytest.mark.parametrize("kind", list(IdKind))
def test_it_goes_back_to_the_broker_under_the_id_that_was_asked_for(kind: IdKind) -> None:
    lane, task, ref = lane_of({}, BINANCE), Task(), stop(kind=kind)
    add(lane, task, ref)
    has_fired(lane)

    lane.withdraw(task, "stopping", 5.2)
    (back,) = results(lane, task)

    assert isinstance(back, Returned)
    assert back.ref == ref
    # Another lane that takes it in goes on with what it became, and with nothing else.
    other, packed = lane_of({}, BINANCE), cohorts([(back.ref, back.progress)])
    assert packed[0].refs() == [ref]
    other.add(task, packed, 50.0)
    assert ids(leaves(other, 50.0)) == ["77"]
    (entry,) = other.entries()
    assert entry.ref == ref
    # A client order id that was asked for before may name a newer order by now.
    add(other, Task(job_id="new"), ref, now=50.0)
    assert len(other.entries()) == (1 if kind is IdKind.VENUE else 2)
