"""Who leaves tokens to whom: routine to kills, and a kill's first proofs to the others."""

from __future__ import annotations

import random

from tests.simulation.toys import Hasty, Mute
from tests.support.lane import ABSENT, CANCELED, Task, answer, ids, leaves
from venues.base import Quota, Venue, Verdict
from venues.coinw import CoinW
from venues.words import IdKind, OrderRef, OrdType
from worker.lane.give_way import GATHER_S, TOGETHER_S
from worker.lane.lane import Lane, Sending
from worker.lane.load import MOST_YIELD_S
from worker.lane.waiting import PATIENCE_S
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, Phase, Search, cohorts, new_cohorts, new_progress
from worker.pacing.pace import NEVER, Pace


def proofs(*ids: str, absent: tuple[str, ...] = ()) -> list[Cohort]:
    """Return ids that were canceled long ago, and are absent from some lists already."""
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    known = {"phase": Phase.CONFIRM, "attempts": 1, "sent": True, "search": Search(absent)}
    return cohorts((ref, new_progress(ref)._replace(**known)) for ref in refs)  # type: ignore[arg-type]


def fresh(*ids: str, look: bool = False) -> list[Cohort]:
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    return new_cohorts(refs, look_first=look)


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


def at_first_list() -> tuple[Lane, Sending]:
    """Return a lane with half of its look-ups left, "a" at its first list, "b" on its way."""
    lane = lane_of(CoinW(), lookup=Quota(4, 1.0))
    for before in "xy":
        lane.add(Task(kill=True), proofs(before), 5.0)
        leaves(lane, 5.0)
    lane.add(Task(kill=True), [*proofs("a"), *fresh("b")], 5.0)
    cancel = leaves(lane, 5.0)
    assert ids(cancel) == ["b"]
    assert lane.next(5.0) is None
    return lane, cancel


def test_a_kill_waits_at_its_first_list_for_others_but_not_for_ever() -> None:
    lane, _ = at_first_list()

    assert lane.next_at(5.0) == 5.0 + GATHER_S

    lane.add(Task(kill=True), proofs("c"), 5.1)

    assert ids(leaves(lane, 5.0 + GATHER_S)) == ["a", "c"]


def test_a_kill_leaves_for_its_first_list_when_all_are_there() -> None:
    lane, cancel = at_first_list()
    answer(lane, cancel, Judgement(Verdict.ACCEPTED), 5.05)

    assert lane.next(5.34) is None
    assert lane.next_at(5.34) == 5.35
    assert ids(leaves(lane, 5.35)) == ["a", "b"]


def test_a_kill_waits_for_no_other_that_is_past_its_first_list() -> None:
    lane, cancel = at_first_list()
    lane.withdraw_all("stopping", 5.0)
    answer(lane, cancel, Judgement(Verdict.ACCEPTED), 5.05)
    lane.add(Task(kill=True), proofs("late", absent=("open_trailing_stop",)), 5.1)
    lane.add(Task(kill=True), proofs("c"), 5.1)

    assert sorted([*ids(leaves(lane, 5.1)), *ids(leaves(lane, 5.1))]) == ["c", "late"]


def test_a_full_request_waits_for_nobody() -> None:
    lane = lane_of(CoinW(), lookup=Quota(4, 1.0))
    lane.add(Task(kill=True), proofs(*(f"{n}" for n in range(40))), 5.0)
    lane.in_doubt(leaves(lane, 5.0), "body_too_large", 5.05)  # from now on by id
    lane.add(Task(kill=True), fresh("late"), 5.05)

    left = [leaves(lane, 5.05) for _ in range(3)]

    assert [len(sending.items) for sending in left] == [1, 20, 20]


def test_with_many_tokens_a_kill_waits_for_a_burst_only() -> None:
    lane = lane_of(CoinW(), lookup=Quota(4, 1.0))
    lane.add(Task(kill=True), [*proofs("a"), *fresh("b")], 5.0)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + TOGETHER_S
    assert ids(leaves(lane, 5.0 + TOGETHER_S)) == ["a"]


def test_a_look_before_a_cancel_leaves_tokens_to_the_proofs_of_kills() -> None:
    lane = lane_of(Hasty(), lookup=Quota(4, 0.4), cancel_batch=Quota(10, 1.0))
    lane.add(Task(kill=True), fresh(*(f"{n}" for n in range(40))), 5.0)
    cancels = leaves(lane, 5.0), leaves(lane, 5.0)
    lane.add(Task(), fresh("a", look=True), 5.0)
    look = leaves(lane, 5.0)  # four tokens are free, the kill needs two
    lane.add(Task(), fresh("b", look=True), 5.1)
    spared = leaves(lane, 5.1)
    lane.add(Task(), fresh("c", look=True), 5.2)

    assert [ids(look), ids(spared)] == [["a"], ["b"]]
    assert lane.next(5.2) is None
    assert lane.next_at(5.2) == NEVER  # until a look is answered

    for sending in cancels:
        answer(lane, sending, CANCELED, 5.25)

    assert ids(leaves(lane, 5.25)) == ["c"]


def test_of_kills_in_a_request_only_they_count() -> None:
    lane = lane_of(Mute(), lookup=Quota(1, 1.0))
    lane.add(Task(kill=True), proofs("alone", absent=("open_trailing",)), 5.0)
    lane.add(Task(), proofs(*(f"{n}" for n in range(19)), absent=("open_trailing",)), 5.0)
    lane.add(Task(kill=True), proofs("one", "two"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["one", "two"]


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
