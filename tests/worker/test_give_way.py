"""Who leaves tokens to whom: routine to kills, and a kill's first proofs to the others."""

from __future__ import annotations

import random

from tests.simulation.toys import Mute
from tests.worker.test_lane import Task, answer, ids, leaves
from venues.base import Quota, Venue, Verdict
from venues.coinw import CoinW
from worker.follow import Track, start
from worker.give_way import GATHER_S
from worker.judge import Judgement
from worker.lane import Lane
from worker.load import MOST_YIELD_S
from worker.model import IdKind, OrderRef, OrdType, Purpose
from worker.pace import Pace
from worker.waiting import PATIENCE_S

ABSENT = Judgement(Verdict.ABSENT)


def proofs(*ids: str, absent: tuple[str, ...] = ()) -> list[Track]:
    """Return ids that were canceled long ago, and are absent from some lists already."""
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    return [
        start(ref)._replace(purpose=Purpose.LOOKUP, attempts=1, sent=True, absent=absent)
        for ref in refs
    ]


def fresh(*ids: str, look: bool = False) -> list[Track]:
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    return [start(ref, look_first=look) for ref in refs]


def lane_of(venue: Venue | None = None, **quotas: Quota) -> Lane:
    paces = {name: Pace(quota) for name, quota in quotas.items()}
    return Lane(venue or Mute(), paces, random.Random(1))


def test_a_proof_of_routine_gives_way_while_a_kill_is_there_but_not_for_ever() -> None:
    lane = lane_of(cancel_batch=Quota(1, 1.0), cancel_one=Quota(1, 1.0))
    lane.add(Task(kill=True), fresh("k"), 5.0)
    leaves(lane, 5.0)
    lane.add(Task(), proofs("a"), 5.0)

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + MOST_YIELD_S
    assert ids(leaves(lane, 5.0 + MOST_YIELD_S)) == ["a"]


def test_a_proof_of_routine_goes_when_the_kill_has_left() -> None:
    lane = lane_of()
    kill = Task(kill=True)
    lane.add(kill, fresh("k"), 5.0)
    lane.withdraw(kill, "deadline", 5.0)
    lane.add(Task(), proofs("a"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]


def test_no_look_is_taken_for_a_cancel_that_could_not_leave_before_the_kills() -> None:
    lane = lane_of(cancel_batch=Quota(1, 1.0))
    lane.add(Task(kill=True), fresh(*(f"{n}" for n in range(40))), 5.0)
    first, glance = leaves(lane, 5.0), leaves(lane, 5.0)
    lane.add(Task(), fresh("a", look=True), 5.0)

    assert glance.glance
    assert lane.next(5.0) is None

    answer(lane, first, Judgement(Verdict.ACCEPTED), 5.05)
    leaves(lane, 6.05)  # the last of the kill's cancels

    left = iter(lambda: lane.next(6.05), None)
    assert any("a" in ids(sending) for sending in left if sending)


def test_a_kill_goes_to_its_first_list_with_others_that_come_in_a_moment() -> None:
    lane = lane_of(CoinW(), lookup=Quota(4, 1.0))
    for before in "xy":
        lane.add(Task(kill=True), proofs(before), 5.0)
        leaves(lane, 5.0)  # half of the tokens is left
    lane.add(Task(kill=True), [*proofs("a"), *fresh("b")], 5.0)

    assert ids(leaves(lane, 5.0)) == ["b"]
    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + GATHER_S

    lane.add(Task(kill=True), proofs("c"), 5.1)

    assert ids(leaves(lane, 5.0 + GATHER_S)) == ["a", "c"]


def test_slow_tokens_are_kept_for_all_kills_while_they_are_few() -> None:
    slow = Quota(4, 2.0)
    seen = ("open_limit", "open_market", "open_trailing")
    lane = lane_of(lookup=slow)
    early = []
    for number in range(2):
        lane.add(Task(kill=True), proofs(f"early-{number}", absent=seen), 5.0)
        early.append(leaves(lane, 5.0))
    lane.add(Task(kill=True), fresh("b"), 5.0)
    leaves(lane, 5.0)  # its cancel
    lane.add(Task(kill=True), proofs("late", absent=seen), 5.1)
    for sending in early:
        answer(lane, sending, ABSENT, 5.3)

    assert [ids(sending) for sending in early] == [["early-0"], ["early-1"]]
    assert lane.next(5.3) is None
    assert lane.next_at(5.3) == 5.1 + PATIENCE_S
    assert ids(leaves(lane, 5.1 + PATIENCE_S)) == ["late"]
