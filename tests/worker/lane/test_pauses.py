"""A paused account's lane: nothing routine cancels, kills and proofs go on, nothing is lost."""

from __future__ import annotations

import pytest

from tests.simulation.scopes import PlainCanceler
from tests.simulation.toys import Mute
from tests.support.lane import (
    ACCEPTED,
    FAST,
    OPEN,
    Task,
    answer,
    id_of,
    ids,
    lane_of,
    leaves,
    orders,
    results,
)
from venues.base import Quota
from venues.words import Purpose, Scope
from worker.lane.holds import BUSY_S, LATE_S, Load
from worker.lane.lane import Lane
from worker.lane.submission import AskedScope
from worker.orders.forms import expire
from worker.orders.progress import Phase
from worker.orders.retry import Returned


def paused(quotas: dict[str, Quota] | None = None) -> Lane:
    """Return the lane of an account that was paused before anything came."""
    lane = lane_of(FAST if quotas is None else quotas)
    lane.hold_routine(4.0, held=True)
    return lane


def test_routine_ids_wait_and_leave_once_the_account_is_resumed() -> None:
    lane = paused()
    lane.add(Task(), orders("a", "b"), 5.0)

    assert lane.next(6.0) is None
    assert lane.waiting() == 2

    lane.hold_routine(7.0, held=False)
    assert ids(leaves(lane, 7.0)) == ["a", "b"]


def test_a_pause_holds_ids_that_were_about_to_leave() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders(*range(20)), 5.0)
    leaves(lane, 5.0)

    lane.hold_routine(5.0, held=True)

    assert lane.next(50.0) is None


def test_a_kill_leaves_and_takes_no_routine_id_along() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders("a", "b"), 5.0)
    lane.hold_routine(5.0, held=True)
    lane.add(Task(kill=True), orders("k"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["k"]
    assert lane.next(6.0) is None


def test_a_kill_of_an_id_that_waits_leaves() -> None:
    lane, routine = paused(), Task()
    lane.add(routine, orders("a", "b"), 5.0)
    lane.add(Task(kill=True), orders("a"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]
    assert lane.next(6.0) is None


def test_what_was_canceled_before_is_proven_and_is_not_canceled_once_more() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders("a"), 5.0)
    cancel = leaves(lane, 5.0)
    lane.hold_routine(5.0, held=True)
    answer(lane, cancel, ACCEPTED, 5.1)

    look = leaves(lane, 15.0)
    assert look.batch.route.purpose is Purpose.LOOKUP
    for at in (15.1, 25.1, 35.1):  # it shows the order open, so it would be canceled again
        answer(lane, look, OPEN, at)
        following = lane.next(at + 9.0)
        if following is None:
            break
        assert following.batch.route.purpose is Purpose.LOOKUP
        look = following
    (entry,) = lane.entries()
    assert entry.progress.phase is Phase.CANCEL
    assert entry.progress.attempts == 1

    lane.hold_routine(60.0, held=False)
    assert leaves(lane, 60.0).batch.route.purpose is Purpose.CANCEL


def test_a_look_before_a_cancel_waits_too() -> None:
    lane = lane_of({}, Mute())
    lane.hold_routine(4.0, held=True)
    (cohort,) = orders("a")
    progress = cohort.progress._replace(phase=Phase.PRECHECK)
    lane.add(Task(), [cohort._replace(progress=progress)], 5.0)

    assert lane.next(9.0) is None
    lane.hold_routine(9.0, held=False)
    assert ids(leaves(lane, 9.0)) == ["a"]


@pytest.mark.parametrize("why", ["deadline", "held_long", "stopping"])
def test_ids_that_are_asked_back_say_that_the_account_was_paused(why: str) -> None:
    lane, task = paused(), Task()
    lane.add(task, orders("a"), 5.0)
    lane.withdraw(task, why, 9.0)

    (back,) = results(lane, task)
    assert isinstance(back, Returned)
    assert back.why == why
    word = expire(back.progress)
    assert (word.status, word.reason) == ("failed", "routine_paused")
    assert not lane.entries()


def test_a_kill_that_is_asked_back_meanwhile_says_no_such_thing() -> None:
    lane, task = paused({"cancel_batch": Quota(1, 60.0)}), Task(kill=True)
    for order_id in "ab":
        lane.add(task, orders(order_id), 5.0)
        lane.next(5.0)
    lane.withdraw(task, "deadline", 9.0)

    assert [
        (id_of(b), b.progress.why) for b in results(lane, task) if isinstance(b, Returned)
    ] == [("b", "")]


def test_ids_that_wait_take_no_token_from_a_look_up() -> None:
    """A look-up leaves tokens to the cancels that wait for them, but not to those on hold."""
    lane = lane_of({"account": Quota(2, 10.0)})
    lane.add(Task(), orders("a"), 5.0)
    cancel = leaves(lane, 5.0)
    lane.hold_routine(5.0, held=True)
    lane.add(Task(), orders(*range(20)), 5.0)
    answer(lane, cancel, ACCEPTED, 5.1)

    assert leaves(lane, 9.0).batch.route.purpose is Purpose.LOOKUP


def test_other_lanes_do_not_wait_for_one_that_is_paused_to_catch_up() -> None:
    load = Load()
    lane = lane_of({}, load=load)
    lane.hold_routine(5.0, held=True)
    lane.add(Task(), orders("a"), 5.0)
    load.note_lateness(2 * LATE_S, 5.0)

    assert load.hold_cancel(object(), 5.0 + BUSY_S, 5.0) < 5.0


def test_a_pause_that_is_said_twice_moves_nothing() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders("a", "b"), 5.0)
    lane.hold_routine(6.0, held=False)
    assert ids(leaves(lane, 6.0)) == ["a", "b"]
    lane.hold_routine(6.0, held=True)
    lane.hold_routine(6.0, held=True)
    lane.hold_routine(6.0, held=False)

    assert lane.next(6.0) is None  # both are in flight


@pytest.mark.parametrize("kill", [True, False])
def test_a_cancel_all_leaves_a_paused_account_for_a_kill_alone(kill: bool) -> None:
    lane = lane_of(FAST, PlainCanceler())
    lane.hold_routine(4.0, held=True)
    lane.add_scope(Task(kill=kill, received_at=100.0, scope=AskedScope(Scope(), 100.0)), 100.0)

    left = [sending for sending in iter(lambda: lane.next(100.0), None) if sending]

    assert [sending.cancels_all for sending in left] == ([True, False] if kill else [False])
