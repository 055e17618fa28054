"""One account's lane: who leaves next, with whom, and what comes back to whom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.simulation.toys import Boast, Hasty, Mute, Plain
from tests.support.lane import (
    ABSENT,
    ACCEPTED,
    CANCELED,
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
from venues.base import ENDED_STAGE, Cost, Page, Quota, Venue, Verdict
from venues.coinw import CoinW
from venues.words import (
    CancelOutcome,
    CancelStatus,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
    Purpose,
)
from worker.lane.holds import (
    BUSY_S,
    GATHER_S,
    LAG_TICK_S,
    LATE_S,
    STREAM_GAP_S,
    YIELD_S,
    Load,
)
from worker.lane.lane import KILL_PAUSE_S, Lane, Sending
from worker.lane.list_all import MOST_ROWS, NARROW_S, WholeLists
from worker.lane.submission import Result
from worker.orders.follow import TRIES_A_ROUTE
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, Phase, Search, cohorts, new_cohorts
from worker.orders.retry import LONGEST_SLEEP_S, Returned
from worker.pacing.pace import NEVER


def looking_up(late_at: float, *, kill: bool = False, looking: bool = False) -> Lane:
    """Return a lane with one look-up, in a process where a cancel was late at that moment."""
    load = Load()
    load.note_lateness(2 * LATE_S, late_at)
    lane = lane_of({}, Mute(), load)
    (cohort,) = orders("a")
    progress = cohort.progress._replace(phase=Phase.PRECHECK if looking else Phase.CONFIRM)
    lane.add(Task(kill=kill), [cohort._replace(progress=progress)], 5.0)
    return lane


def parked_reasons(results: Sequence[Result]) -> set[str]:
    return {found.why for found in results if isinstance(found, Returned)}


def test_ids_of_all_tasks_leave_together_oldest_first() -> None:
    lane = lane_of(FAST)
    for number in range(10):
        lane.add(Task(), orders(number), 5.0)

    assert ids(leaves(lane, 5.0)) == list("01234567")


def test_requests_with_nonces_leave_when_the_one_before_has_arrived() -> None:
    """It was answered, or is so old that it is there, or lost: a hang holds no kill up."""
    venue = Plain()
    venue.in_order_s = 1.0
    lane = lane_of({}, venue)
    for symbol in ("AAA", "BBB", "CCC"):
        lane.add(Task(kill=True), orders(symbol, symbol=symbol), 5.0)

    first = leaves(lane, 5.0)
    assert lane.next(5.9) is None
    assert lane.quiet_until == 6.0
    leaves(lane, 6.0)
    answer(lane, first, CANCELED, 6.1)
    assert lane.next(6.2) is None
    assert ids(leaves(lane, 7.0)) == ["CCC"]


def test_one_id_leaves_at_once_and_the_next_are_gathered_while_a_token_is_awaited() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders("a"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]

    lane.add(Task(), orders("b"), 5.02)
    lane.add(Task(), orders("c"), 5.07)

    assert lane.next(5.07) is None
    assert lane.next_at(5.07) == pytest.approx(5.1)
    assert ids(leaves(lane, lane.next_at(5.07))) == ["b", "c"]


def test_what_does_not_fit_together_leaves_apart() -> None:
    lane = lane_of({})
    lane.add(Task(), [*orders("a"), *orders("b", symbol="BBB"), *orders("c")], 5.0)

    assert [ids(leaves(lane, 5.0)) for _ in range(2)] == [["a", "c"], ["b"]]


def test_a_kill_goes_first_and_routine_ids_fill_its_request() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders(*range(20)), 5.0)
    lane.add(Task(kill=True), orders("k"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["k", *"0123456"]


def test_a_kill_does_not_wait_for_ids_of_another_that_go_once_more_alone() -> None:
    lane = lane_of({"account": Quota(1, 1.0)}, Boast())
    (cohort,) = orders("o")
    alone = cohort.progress._replace(attempts=2, sent=True, tried=TRIES_A_ROUTE)
    lane.add(Task(kill=True), [cohort._replace(progress=alone)], 5.0)
    lane.add(Task(kill=True), orders("new"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["new"]


def test_a_look_before_a_cancel_waits_for_no_confirmation_that_left_just_now() -> None:
    lane = lane_of({"lookup": Quota(10, 1.0)}, Mute())
    (cohort,) = orders("proven")
    confirms = cohort.progress._replace(phase=Phase.CONFIRM)
    lane.add(Task(), [cohort._replace(progress=confirms)], 5.0)
    leaves(lane, 5.0)
    for order, at in ("a", 5.02), ("b", 5.12):
        lane.add(
            Task(), new_cohorts([cohort.refs()[0]._replace(id=order)], look_first=True), 5.02
        )
        assert lane.next_at(5.02) == pytest.approx(at)
        leaves(lane, at)


def test_a_kill_does_not_wait_for_the_even_pace() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders(*range(20)), 5.0)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None

    lane.add(Task(kill=True), orders("k"), 5.0)

    assert ids(leaves(lane, 5.0))[0] == "k"


def test_an_id_asked_for_by_both_is_sent_once_as_a_kill_and_answered_to_both() -> None:
    lane, routine, kill = lane_of(FAST), Task(), Task(kill=True)
    lane.add(routine, orders(*range(20)), 5.0)
    lane.add(kill, orders(19), 5.0)
    sending = leaves(lane, 5.0)
    answer(lane, sending, CANCELED, 5.1)
    handed = lane.take_results()

    assert ids(sending)[0] == "19"
    assert [task for task, result in handed if id_of(result) == "19"] == [routine, kill]
    assert lane.waiting() == 12


@pytest.mark.parametrize(("kind", "requests"), [(IdKind.VENUE, 1), (IdKind.CLIENT, 2)])
def test_an_id_in_flight_is_not_sent_again_but_where_it_may_name_a_newer_order(
    kind: IdKind, requests: int
) -> None:
    lane, tasks = lane_of({}), [Task(), Task()]
    lane.add(tasks[0], orders("a", kind=kind), 5.0)
    under_way = [leaves(lane, 5.0)]
    lane.add(tasks[1], orders("a", kind=kind), 5.0)
    under_way += iter(lambda: lane.next(5.0), None)
    assert len(under_way) == requests
    for sending in under_way:
        answer(lane, sending, CANCELED, 5.1)
    while (look := lane.next(20.0)) is not None:  # when a newer order would be there
        answer(lane, look, CANCELED, 20.1)

    handed = [(task, id_of(result)) for task, result in lane.take_results()]
    assert handed == [(task, "a") for task in tasks]


def test_a_kill_whose_deadline_passed_takes_no_routine_id_along_ahead_of_its_time() -> None:
    lane, late = lane_of(FAST), Task(kill=True, deadline=5.05)
    lane.add(Task(), orders(*range(20)), 5.0)
    leaves(lane, 5.0)
    lane.add(late, orders("k"), 5.0)

    assert lane.next(5.06) is None
    assert parked_reasons(results(lane, late)) == {"deadline"}


def test_a_proof_waits_while_cancels_are_late() -> None:
    lane = looking_up(late_at=5.0)

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == pytest.approx(5.0 + BUSY_S)
    assert ids(leaves(lane, 5.0 + BUSY_S)) == ["a"]


def test_a_proof_does_not_wait_for_ever() -> None:
    lane = looking_up(late_at=5.0 + YIELD_S - BUSY_S / 2)

    assert lane.next_at(5.0 + YIELD_S - BUSY_S / 4) == pytest.approx(5.0 + YIELD_S)
    assert ids(leaves(lane, 5.0 + YIELD_S)) == ["a"]


@pytest.mark.parametrize(("kill", "looking"), [(True, False), (False, True)])
def test_a_kill_and_a_look_before_a_cancel_never_wait_for_others(
    kill: bool, looking: bool
) -> None:
    assert ids(leaves(looking_up(late_at=5.0, kill=kill, looking=looking), 5.0)) == ["a"]


def test_a_cancel_that_leaves_in_time_makes_nobody_wait() -> None:
    load = Load()
    load.note_lateness(LATE_S, 5.0)

    assert load.busy_until < 5.0


def test_a_look_up_leaves_the_tokens_to_waiting_cancels() -> None:
    lane = lane_of({"cancel_batch": Quota(2, 1.0), "account": Quota(3, 1.0)}, Boast())
    task = Task(kill=True)
    lane.add(task, orders(*range(20)), 5.0)
    first, _second = leaves(lane, 5.0), leaves(lane, 5.0)
    answer(lane, first, Judgement(Verdict.ACCEPTED), 5.1)
    lane.add(task, orders(*range(20, 60)), 5.1)

    assert lane.next(5.1) is None


@pytest.mark.parametrize("why", ["throttled", "deadline", "stopping"])
def test_a_task_gets_its_waiting_ids_back_at_once_and_those_in_flight_later(why: str) -> None:
    lane, task, other = lane_of(FAST), Task(), Task()
    lane.add(task, orders(*range(10)), 5.0)
    lane.add(other, orders(9), 5.0)
    sending = leaves(lane, 5.0)
    lane.withdraw(task, why, 5.1)

    assert [one.why for one in results(lane, task) if isinstance(one, Returned)] == [why] * 2
    assert lane.waiting() == 1

    answer(lane, sending, Judgement(Verdict.NOT_DONE), 5.2)

    assert len(results(lane, task)) == 8


def test_what_the_other_task_knows_is_not_lost_when_both_ask_for_one_id() -> None:
    """A cancel of the first job may have had its effect: the id cannot end as failed."""
    lane, first, second = lane_of(FAST), Task(), Task(deadline=9.0)
    lane.add(first, orders("a"), 5.0)
    lane.in_doubt(leaves(lane, 5.0), "timeout", 5.5)
    lane.withdraw(first, "throttled", 5.5)
    (left,) = results(lane, first)
    assert isinstance(left, Returned)
    lane.add(second, orders("a"), 6.0)
    lane.add(Task(), cohorts([(left.ref, left.progress)]), 6.5)
    lane.withdraw(second, "deadline", 6.6)
    (result,) = results(lane, second)

    assert isinstance(result, Returned)
    assert result.progress.sent


def test_ids_of_a_request_that_was_not_sent_leave_together_again() -> None:
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders(*range(8)), 5.0)
    lane.not_sent(leaves(lane, 5.0), "unreachable", 5.0)

    again, _ = leaves_after(lane, 5.0)
    assert ids(again) == [str(number) for number in range(8)]


def leaves_after(lane: Lane, now: float) -> tuple[Sending, float]:
    """Return the next request, and when it leaves (seconds)."""
    while (sending := lane.next(now)) is None:
        now = lane.quiet_until
        assert now < NEVER
    return sending, now


@pytest.mark.parametrize(("kill", "longest_s"), [(True, KILL_PAUSE_S), (False, 16.0)])
def test_a_kills_cancel_is_soon_tried_again_however_often_it_was_not_sent(
    kill: bool, longest_s: float
) -> None:
    """A routine one that waits longer than a second does so at the broker."""
    lane, task = lane_of(FAST), Task(kill=kill)
    lane.add(task, orders(1), 5.0)
    failed_at, waits = 5.0, list[float]()
    sending = leaves(lane, failed_at)
    for _ in range(9):
        lane.not_sent(sending, "unreachable", failed_at)
        if back := results(lane, task):
            assert isinstance(back[0], Returned)
            waits.append(back[0].not_before - failed_at)
            break
        sending, left_at = leaves_after(lane, failed_at)
        waits.append(left_at - failed_at)
        failed_at = left_at

    assert max(waits) <= longest_s
    assert (max(waits) > LONGEST_SLEEP_S) is not kill


def test_two_jobs_for_one_client_order_id_do_not_put_it_twice_into_a_request() -> None:
    lane = lane_of({})
    lane.add(Task(), orders("c1", kind=IdKind.CLIENT), 5.0)
    lane.not_sent(leaves(lane, 5.0), "unreachable", 5.0)
    lane.add(Task(), orders("c1", kind=IdKind.CLIENT), 5.1)
    lane.add(Task(), orders("c2", kind=IdKind.CLIENT), 5.1)
    batches = [sorted(ids(leaves(lane, 9.0))), ids(leaves(lane, 9.0))]

    assert batches == [["c1", "c2"], ["c1"]]


def test_nothing_leaves_during_a_pause() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders(*range(20)), 5.0)
    lane.pause(5.0, 3.0)

    assert lane.next(7.99) is None
    assert lane.next_at(5.0) >= 8.0
    assert ids(leaves(lane, lane.next_at(5.0)))


def test_refusals_of_what_had_left_before_a_pause_are_one_refusal() -> None:
    lane = lane_of(FAST)

    assert [lane.pause(5.0 + k / 100, None).attempt for k in range(10)] == [1] * 10
    assert lane.standing.quiet_until < 7.2
    assert lane.pause(20.0, None).attempt == 2


def test_an_answer_to_what_had_left_before_a_pause_does_not_end_the_row() -> None:
    lane = lane_of(FAST)
    lane.add(Task(kill=True), orders(*range(20)), 5.0)
    first = leaves(lane, 5.0)
    lane.pause(5.1, None)
    answer(lane, first, CANCELED, 5.2)

    assert lane.pause(20.0, None).attempt == 2


def test_who_takes_over_sends_nothing_for_a_window() -> None:
    lane = lane_of(FAST)
    lane.add(Task(kill=True), orders("a"), 5.0)
    lane.assume_spent(5.0)

    assert lane.next(5.99) is None
    assert lane.next_at(5.0) == 6.0


def test_the_figures_count_what_waits() -> None:
    lane = lane_of(FAST)

    assert (lane.waiting(), lane.oldest_s(5.0)) == (0, 0.0)

    lane.add(Task(), orders(*range(10)), 5.0)
    leaves(lane, 5.0)
    lane.add(Task(), orders("late"), 6.0)

    assert (lane.waiting(), lane.oldest_s(7.0)) == (3, 2.0)


def test_a_hundred_thousand_ids_cost_no_more_each_than_a_few() -> None:
    """Withdrawing a task, or asking what leaves next, does not look at the ids of others."""
    lane = lane_of({"cancel_batch": Quota(1, 1.0)}, Hasty())
    owners = [Task() for _ in range(100_000)]
    for number, task in enumerate(owners):
        lane.add(task, orders(number), 5.0)
    leaves(lane, 5.0)
    started = time.process_time()
    for task in owners[-1000:]:
        lane.withdraw(task, "throttled", 5.1)
        lane.next(5.1)
        lane.next_at(5.1)
    took_s = time.process_time() - started

    assert took_s < 1.0  # a look at all ids each time takes minutes


CUT = Judgement(Verdict.IN_DOUBT, reason="list_too_long")


def looking(count: int) -> Lane:
    """Return a lane in which so many ids wait for their first look."""
    lane = lane_of({"lookup": Quota(10, 1.0)}, Mute())
    add_looking(lane, 0, count, 5.0)
    return lane


def add_looking(lane: Lane, first: int, count: int, now: float) -> None:
    numbers = range(first, first + count)
    refs = [OrderRef(str(n), IdKind.VENUE, "AAA", OrdType.LIMIT) for n in numbers]
    lane.add(Task(), new_cohorts(refs, look_first=True), now)


def test_a_kill_does_not_wait_for_the_looks_before_a_routine_cancel() -> None:
    lane, kill = looking(21), new_cohorts([OrderRef("3", IdKind.VENUE, "AAA", OrdType.LIMIT)])
    lane.add(Task(kill=True), kill, 5.0)

    cancel = leaves(lane, 5.0)

    assert (cancel.batch.route.purpose, ids(cancel)) == (Purpose.CANCEL, ["3"])
    assert leaves(lane, 5.0).batch.route.purpose is Purpose.LOOKUP, "the others are looked for"


def test_a_kill_waits_for_no_look_but_the_one_in_flight() -> None:
    lane, more = lane_of({}, Mute()), new_cohorts([OrderRef("1", IdKind.VENUE)])
    lane.add(Task(), new_cohorts([OrderRef("1", IdKind.VENUE)], look_first=True), 5.0)
    look = leaves(lane, 5.0)
    lane.add(Task(kill=True), more, 5.05)
    answer(lane, look, ABSENT, 5.1)

    assert leaves(lane, 5.1).batch.route.purpose is Purpose.CANCEL


def test_more_ids_than_can_be_named_are_sought_in_the_whole_list() -> None:
    lane = looking(61)
    first = leaves(lane, 5.0)

    assert (len(first.batch.refs), first.batch.lists_all) == (60, True)
    assert not leaves(lane, 5.1).batch.lists_all


def test_no_more_than_can_be_named_are_named() -> None:
    lane = looking(20)

    assert not leaves(lane, 5.0).batch.lists_all


def test_a_whole_list_that_is_cut_twice_is_asked_for_by_id() -> None:
    """What it showed counts; of the others nothing is known, and no cancel leaves for them."""
    lane = looking(50)
    sending = leaves(lane, 5.0)
    refs = sending.batch.refs
    lane.answered(sending, {ref: OPEN if ref is refs[0] else CUT for ref in refs}, 5.05)

    assert ids(leaves(lane, 5.1)) == ["0"]
    again = leaves(lane, 5.1)
    assert (len(again.batch.refs), again.batch.lists_all) == (49, True)
    answer(lane, again, CUT, 5.15)
    assert [len(leaves(lane, at).batch.refs) for at in (5.2, 5.3, 5.4)] == [20, 20, 9]
    assert lane.next(9.0) is None


def whole_list(lane: Lane, now: float) -> Sending | None:
    """Let thirty more ids wait; return the request for the whole list, if there is one."""
    add_looking(lane, int(now * 100_000), 30, now)
    sending = leaves(lane, now)
    if sending.batch.lists_all:
        return sending
    assert [len(sending.batch.refs), len(leaves(lane, now).batch.refs)] == [20, 10]
    return None


@pytest.mark.parametrize("why", ["body_too_large", "timeout"])
def test_a_whole_list_that_did_not_come_is_left_alone_for_longer_each_time(why: str) -> None:
    lane, now = lane_of({}, Mute()), 5.0
    for pause_s in (NARROW_S, 2 * NARROW_S, 4 * NARROW_S):
        sending = whole_list(lane, now)
        assert sending is not None
        lane.in_doubt(sending, why, now)
        assert [len(leaves(lane, now).batch.refs) for _ in range(2)] == [20, 10]
        assert whole_list(lane, now + pause_s - 0.01) is None
        now += pause_s


def test_a_whole_list_that_came_lets_the_next_failure_count_as_the_first() -> None:
    lane = lane_of({}, Mute())
    for now in (5.0, 5.0 + 3 * NARROW_S):
        sending = whole_list(lane, now)
        assert sending is not None
        lane.in_doubt(sending, "timeout", now)
        came = whole_list(lane, now + NARROW_S)
        assert came is not None
        answer(lane, came, OPEN, now + NARROW_S)
        while lane.next(now + NARROW_S) is not None:
            pass  # what was shown as open is canceled


def canceled_at(*times: float) -> Lane:
    """Return a lane of routine ids whose cancels were accepted at these times."""
    lane, sent = lane_of({}, Mute()), []
    for number, _ in enumerate(times):
        ref = OrderRef(str(number), IdKind.VENUE, "AAA", OrdType.LIMIT)
        lane.add(Task(), new_cohorts([ref]), 5.0)
        sent.append(leaves(lane, 5.0))
    for sending, now in zip(sent, times, strict=True):
        answer(lane, sending, ACCEPTED, now)
    return lane


def test_proofs_whose_lag_ends_within_a_tick_go_together() -> None:
    lane = canceled_at(10.001, 10.012)

    assert lane.next_at(10.012) == pytest.approx(10.0 + Mute.read_lag_s + LAG_TICK_S)
    assert len(leaves(lane, lane.next_at(10.012)).batch.refs) == 2


def test_what_waits_for_a_lag_of_the_venue_stays_in_the_lane() -> None:
    """At the broker it would forget when its cancel was settled."""
    lane = canceled_at(10.0)

    assert Mute.read_lag_s > LONGEST_SLEEP_S
    assert (lane.take_results(), lane.waiting()) == ([], 1)


def test_only_what_was_throttled_just_now_waits_at_the_broker() -> None:
    """There each wait takes a second at least, and other ids would not share its look-ups."""
    lane = canceled_at(10.0)
    throttled = leaves(lane, lane.next_at(10.0))
    now = throttled.started + 0.1
    answer(lane, throttled, Judgement(Verdict.THROTTLED), now)
    ((task, parked),) = lane.take_results()
    assert isinstance(parked, Returned)

    lane.add(task, cohorts([(parked.ref, parked.progress)]), parked.not_before)
    look = leaves(lane, parked.not_before)
    answer(lane, look, ABSENT, look.started + 0.1)

    assert (lane.take_results(), lane.waiting()) == ([], 1)


def test_each_job_for_an_id_is_told_that_it_is_gone_when_it_came_long_enough_ago() -> None:
    """Else an id for which a new job comes every second would never be answered."""
    lane, tasks = lane_of(FAST), [Task() for _ in range(10)]
    told: dict[Task, float] = {}
    now = 5.0
    while len(told) < len(tasks) and now < 60.0:
        for number, task in enumerate(tasks):
            if now == 5.0 + number:
                lane.add(task, orders(1), now)
        while (sending := lane.next(now)) is not None:
            looks = sending.batch.route.purpose is Purpose.LOOKUP
            answer(lane, sending, ABSENT if looks else ACCEPTED, now)
        for owner, result in lane.take_results():
            assert isinstance(owner, Task)
            assert isinstance(result, CancelOutcome)
            assert result.status is CancelStatus.NOT_FOUND
            told[owner] = now
        now += 0.25

    waits_s = [told[task] - 5.0 - number for number, task in enumerate(tasks)]
    soonest_s = lane.venue.birth_lag_s + lane.venue.read_lag_s
    assert min(waits_s) >= soonest_s
    assert max(waits_s) <= soonest_s + lane.venue.hidden_s


def test_ids_of_small_jobs_of_one_moment_share_their_progress() -> None:
    lane = lane_of(FAST)
    for number in range(100):
        lane.add(Task(), orders(number), 5.0 + number / 200)

    assert len({entry.progress for entry in lane.entries()}) == 3


def test_a_list_that_must_be_too_long_is_not_asked_for() -> None:
    assert leaves(looking(MOST_ROWS), 5.0).batch.lists_all
    assert not leaves(looking(MOST_ROWS + 1), 5.0).batch.lists_all


def test_ids_that_were_asked_for_by_id_look_at_the_next_list_from_its_first_page() -> None:
    lane = looking(40)
    for at in (5.0, 5.1):
        answer(lane, leaves(lane, at), CUT, at + 0.05)
    answer(lane, leaves(lane, 5.2), ABSENT, 5.25)

    following = [leaves(lane, at).batch for at in (5.3, 5.4)]
    pages = {batch.route.name: batch.page for batch in following}
    assert pages == {"open_limit": 2, "history": 1}


def test_who_is_not_in_the_whole_list_is_sought_in_the_next() -> None:
    lane = looking(40)
    answer(lane, leaves(lane, 5.0), ABSENT, 5.05)

    following = leaves(lane, 5.1).batch
    assert (following.route.name, len(following.refs)) == ("history", 40)


APART = {"cancel_batch": Quota(10, 1.0), "cancel_one": Quota(10, 1.0)}


def test_a_single_id_takes_its_own_route_and_leaves_the_batch_its_tokens() -> None:
    lane = lane_of(APART)
    lane.add(Task(), orders("a"), 5.0)
    alone = leaves(lane, 5.0)
    lane.add(Task(), orders("b", "c"), 5.01)

    assert (alone.batch.route.name, ids(alone)) == ("cancel_one", ["a"])
    assert lane.next(5.01) is None  # two routes are no reason for twice the requests
    assert leaves(lane, lane.next_at(5.01)).batch.route.name == "cancel_batch"


def test_a_single_id_goes_by_the_batch_while_its_own_route_is_spent() -> None:
    lane = lane_of({"cancel_one": Quota(1, 1.0)})
    sent_by = []
    for order_id in "ab":
        lane.add(Task(), orders(order_id), 5.0)
        sent_by.append(leaves(lane, 5.0).batch.route.name)

    assert sent_by == ["cancel_one", "cancel_batch"]


def test_only_types_that_a_single_route_is_known_to_take_go_there_first() -> None:
    lane = lane_of({}, Hasty())
    refs = [
        OrderRef(str(order_id), IdKind.VENUE, "AAA", ord_type)
        for order_id, ord_type in enumerate((OrdType.LIMIT, OrdType.TRAILING_STOP))
    ]
    lane.add(Task(), new_cohorts(refs), 5.0)

    assert leaves(lane, 5.0).batch.route.name == "cancel_one"
    assert leaves(lane, 5.0).batch.route.name == "cancel_batch"


@pytest.mark.parametrize("urgent", [False, True])
def test_a_whole_list_that_did_not_come_is_tried_again_after_a_growing_pause(
    urgent: bool,
) -> None:
    """Of a stream of kills the first see a list that is too long; the last shall not."""
    lists, route = WholeLists(), next(route for route in Mute().routes if route.list_all_ids)
    lists.did_not_come(route, 100.0)
    tried = [
        lists.most_ids(route, 1, 0, 100.0 + after_s, urgent=urgent)
        for after_s in (NARROW_S - 0.1, NARROW_S)
    ]
    assert tried == [route.max_ids, route.list_all_ids]

    lists.did_not_come(route, 102.0)
    assert lists.most_ids(route, 1, 0, 102.0 + NARROW_S, urgent=urgent) == route.max_ids


def test_a_kill_does_not_try_a_list_that_may_show_what_a_list_shows_that_was_too_long() -> None:
    lists, routes = WholeLists(), {route.name: route for route in CoinW().routes}
    limit, market = routes["open_limit"], routes["open_market"]
    lists.did_not_come(limit, 100.0)

    assert lists.most_ids(market, 1, 0, 100.0) == market.list_all_ids
    assert lists.most_ids(market, 1, 0, 100.0, urgent=True) == market.max_ids
    assert lists.most_ids(routes["open_tp_sl"], 1, 0, 100.0, urgent=True) == market.list_all_ids


def test_a_kill_that_finds_no_token_begins_with_one_id_by_its_own_route() -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0), "cancel_one": Quota(9, 1.0)})
    lane.add(Task(), orders("a", "b"), 5.0)
    answer(lane, leaves(lane, 5.0), Judgement(Verdict.ACCEPTED), 5.0)
    lane.add(Task(), orders("c"), 5.1)
    lane.add(Task(kill=True), orders(*"defg"), 5.1)
    first = leaves(lane, 5.1)

    assert (first.batch.route.name, ids(first)) == ("cancel_one", ["d"])
    assert all(sending.batch.route.purpose is Purpose.LOOKUP
               for sending in iter(lambda: lane.next(5.1), None) if sending)  # fmt: skip
    assert ids(leaves(lane, 6.0)) == ["e", "f", "g", "c"]


@pytest.mark.parametrize(("last", "goes_at"), [(4, 5.0 + STREAM_GAP_S), (5, 6.0)])
def test_the_last_few_of_a_kill_that_finds_no_token_go_alone(last: int, goes_at: float) -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0), "cancel_one": Quota(9, 1.0)})
    full = 8  # of which half are four
    lane.add(Task(kill=True), orders(*range(full + last)), 5.0)
    first = leaves(lane, 5.0)
    answer(lane, first, Judgement(Verdict.ACCEPTED), 5.0)

    assert len(first.batch.refs) == full
    early = list(iter(lambda: lane.next(goes_at - 0.01), None))
    assert {sending.batch.route.purpose for sending in early if sending} <= {Purpose.LOOKUP}
    assert leaves(lane, goes_at).batch.route.purpose is Purpose.CANCEL


@pytest.mark.parametrize(("others", "goes_at"), [(2, 5.0 + STREAM_GAP_S), (3, 6.0)])
def test_few_are_the_last_ids_of_all_kills(others: int, goes_at: float) -> None:
    """Alone they may take the tokens that other kills' requests need."""
    lane = lane_of({"cancel_batch": Quota(1, 1.0), "cancel_one": Quota(9, 1.0)})
    lane.add(Task(kill=True), orders(*range(8 + 2)), 5.0)
    lane.add(Task(kill=True), orders(*range(10, 10 + others), symbol="BBB"), 5.0)
    answer(lane, leaves(lane, 5.0), Judgement(Verdict.ACCEPTED), 5.0)

    early = list(iter(lambda: lane.next(goes_at - 0.01), None))
    assert {sending.batch.route.purpose for sending in early if sending} <= {Purpose.LOOKUP}
    assert leaves(lane, goes_at).batch.route.purpose is Purpose.CANCEL


@pytest.mark.parametrize(("tokens", "alone"), [(5, ["8", "9", "10", "11"]), (4, [])])
def test_the_last_few_go_alone_only_if_all_of_them_can(tokens: int, alone: list[str]) -> None:
    lane = lane_of({"cancel_batch": Quota(1, 1.0), "cancel_one": Quota(tokens, 1.0)})
    lane.add(Task(kill=True), orders("x"), 4.5)
    assert leaves(lane, 4.5).batch.route.name == "cancel_one"
    lane.add(Task(kill=True), orders(*range(8 + 2)), 5.0)
    lane.add(Task(kill=True), orders(10, 11, symbol="BBB"), 5.0)
    assert len(leaves(lane, 5.0).batch.refs) == 8

    left = iter(lambda: lane.next(5.0 + STREAM_GAP_S), None)
    assert [order_id for sending in left if sending for order_id in ids(sending)] == alone


# -- how a record is read for all who wait for it


def record_page(first: int, last: int, total: int = 250) -> Judgement:
    """Return the absence of all that are asked for from some rows of the record."""
    rows = tuple(f"row{number}" for number in range(first, last))
    return ABSENT._replace(page=Page(rows, last, total), more=last < total)


def asks(lane: Lane, order_id: str, *, kill: bool = False) -> Task:
    """Have a job of long ago ask for an order that no list of open orders shows."""
    task = Task(kill=kill, received_at=20.0)
    gone = looked()._replace(missing_since=1.0, missing_until=20.0)
    lane.add(task, [c._replace(progress=gone) for c in orders(order_id)], 20.0)
    return task


def test_who_comes_while_a_record_is_read_joins_at_its_next_page() -> None:
    lane = lane_of({}, Hasty())
    first = asks(lane, "a")
    answer(lane, leaves(lane, 30.0), record_page(0, 100), 30.1)
    second = asks(lane, "b")

    look = leaves(lane, 30.1)
    assert (ids(look), look.batch.page) == (["a", "b"], 2)
    assert lane.next(30.1) is None, "it is read once for all"
    answer(lane, look, record_page(95, 195), 30.2)
    answer(lane, leaves(lane, 30.2), record_page(190, 250), 30.3)
    assert [id_of(result) for result in results(lane, first)] == ["a"]

    look = leaves(lane, 30.3)
    assert (ids(look), look.batch.page) == (["b"], 1)
    answer(lane, look, record_page(0, 100), 30.4)
    assert [id_of(result) for result in results(lane, second)] == ["b"]


def test_a_page_is_asked_for_by_the_cursor_of_the_one_before() -> None:
    lane = lane_of({}, Hasty())
    asks(lane, "a")
    said = record_page(0, 100)
    assert said.page is not None
    answer(lane, leaves(lane, 30.0), said._replace(page=said.page._replace(cursor="r98")), 30.1)

    look = leaves(lane, 30.1)

    assert (look.batch.page, look.batch.cursor) == (2, "r98")


def test_who_begins_goes_with_those_who_read_what_is_above() -> None:
    lane = lane_of({}, Hasty())
    asks(lane, "a")
    answer(lane, leaves(lane, 30.0), record_page(0, 100), 30.1)
    answer(lane, leaves(lane, 30.1), record_page(95, 195), 30.2)
    asks(lane, "b")
    answer(lane, leaves(lane, 30.2), record_page(190, 250), 30.3)
    asks(lane, "c")

    look = leaves(lane, 30.3)

    assert (ids(look), look.batch.page) == (["b", "c"], 1)


def test_a_kill_does_not_join_routine_at_a_record() -> None:
    """Routine gives way to kills, and who goes with it would, too."""
    lane = lane_of({}, Hasty())
    asks(lane, "a")
    answer(lane, leaves(lane, 30.0), record_page(0, 100), 30.1)
    asks(lane, "b", kill=True)

    look = leaves(lane, 30.1)

    assert (ids(look), look.batch.page) == (["b"], 1)


def test_who_comes_while_a_page_is_under_way_does_not_wait_for_long() -> None:
    lane = lane_of({}, Hasty())
    asks(lane, "a")
    answer(lane, leaves(lane, 30.0), record_page(0, 100), 30.1)
    leaves(lane, 30.1)
    asks(lane, "b")
    (late,) = (entry for entry in lane.entries() if entry.ref.id == "b")
    late.since = 30.1

    assert lane.next(30.2) is None
    assert lane.next_at(30.2) == pytest.approx(30.1 + GATHER_S)
    assert ids(leaves(lane, 30.1 + GATHER_S)) == ["b"]


# -- what a reply shows of orders that nobody asked about


def confirming(*order_ids: str, page: int = 1) -> tuple[Lane, Task]:
    """Return a lane where orders, canceled long ago, are to be read for in the record."""
    lane, task = lane_of({}, Hasty()), Task()
    for cohort in orders(*order_ids):
        lists = ("open_trailing", "open_limit", "open_market")
        search = cohort.progress.search._replace(absent_from=lists, page=page)
        progress = cohort.progress._replace(
            phase=Phase.CONFIRM, search=search, sent=True, attempts=1
        )
        lane.add(task, [cohort._replace(progress=progress)], 5.0)
    return lane, task


def test_an_order_that_a_look_for_others_shows_open_was_seen_open() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders(*range(10)), 5.0)
    others = {(IdKind.VENUE, "9"): OPEN, (IdKind.VENUE, "never asked"): OPEN}
    said = leaves(lane, 5.0)

    lane.answered(said, dict.fromkeys(said.batch.refs, CANCELED), 5.1, others)

    seen = {entry.ref.id: entry.progress.seen_open for entry in lane.entries()}
    assert seen == {"8": False, "9": True}
    assert ids(leaves(lane, 5.2)) == ["8", "9"], "its batch stays as it is"


def test_an_order_that_another_page_shows_open_meanwhile_is_not_gone() -> None:
    """It moved over the edge between two pages, and another look has seen where it is."""
    lane, task = confirming("a", page=2)
    lane.add(task, [c._replace(progress=looked()) for c in orders("b")], 20.0)
    first, second = leaves(lane, 20.0), leaves(lane, 20.0)
    of_a, of_b = (first, second) if ids(first) == ["a"] else (second, first)
    assert (ids(of_a), of_a.batch.page, ids(of_b), of_b.batch.page) == (["a"], 2, ["b"], 1)

    lane.answered(
        of_b, dict.fromkeys(of_b.batch.refs, CANCELED), 20.1, {(IdKind.VENUE, "a"): OPEN}
    )
    answer(lane, of_a, ABSENT, 20.1)

    assert [id_of(result) for result in results(lane, task)] == ["b"]
    again = leaves(lane, 20.1)
    assert (again.batch.route.purpose, ids(again)) == (Purpose.CANCEL, ["a"])


def test_what_only_the_record_can_name_waits_for_it_here() -> None:
    """The broker would not know since when no list of open orders has shown it."""
    lane, task = lane_of({}, Hasty()), Task()
    progress = looked()._replace(left_at=10.0)
    lane.add(task, [c._replace(progress=progress) for c in orders("a")], 20.0)
    now = 20.0
    for _ in range(6):
        now = max(now, lane.next_at(now))
        look = leaves(lane, now)
        assert look.batch.route.name == "history"
        lane.in_doubt(look, "timeout", now + 0.1)

    assert results(lane, task) == []


def looked() -> OrderProgress:
    """Return what is known of an order that was canceled long ago and is in no open list."""
    (entry,) = confirming("b")[0].entries()
    return entry.progress


@pytest.mark.parametrize(
    ("kind", "shown", "status"),
    [
        (IdKind.VENUE, CANCELED, CancelStatus.CANCELED),
        (IdKind.CLIENT, CANCELED, None),
        (IdKind.VENUE, OPEN, None),
    ],
)
def test_a_look_for_others_settles_what_waits_for_its_own(
    kind: IdKind, shown: Judgement, status: CancelStatus | None
) -> None:
    lane, task = confirming("a")
    look = leaves(lane, 20.0)
    lane.add(task, [c._replace(progress=looked()) for c in orders("b")], 20.0)

    said = dict.fromkeys(look.batch.refs, CANCELED)
    lane.answered(look, said, 20.1, {(kind, "b"): shown})

    told = {id_of(r): r.status for r in results(lane, task) if isinstance(r, CancelOutcome)}
    assert told.get("b") == status
    if kind is IdKind.VENUE and status is None:
        assert leaves(lane, 20.1).batch.route.purpose is Purpose.CANCEL


def test_a_look_that_began_before_the_cancel_cancels_nothing_again() -> None:
    lane, task = confirming("a")
    look = leaves(lane, 20.0)
    late = looked()._replace(settled_at=20.05, search=Search())
    lane.add(task, [c._replace(progress=late) for c in orders("b")], 20.06)

    said = dict.fromkeys(look.batch.refs, CANCELED)
    lane.answered(look, said, 20.1, {(IdKind.VENUE, "b"): OPEN})

    (entry,) = lane.entries()
    assert (entry.progress.phase, entry.progress.seen_open) == (Phase.CONFIRM, True)


def triggers(phase: Phase, settled_at: float) -> tuple[Lane, Sending, Sending]:
    """Return a lane that reads CoinW's triggers of two symbols, one of them stated wrongly."""
    lane, sent = lane_of({}, CoinW()), []
    for order_id, symbol in ("1", "ETH"), ("2", "BTC"):
        (cohort,) = orders(order_id, symbol=symbol)
        lists = tuple(
            route.name
            for route in CoinW.routes
            if route.life_stage < ENDED_STAGE and "symbol" not in route.group_by
        )
        progress = cohort.progress._replace(
            phase=phase, search=Search(lists), settled_at=settled_at, sent=True
        )
        lane.add(Task(), [cohort._replace(progress=progress)], 5.0)
        sent.append(leaves(lane, 20.0))
    return lane, sent[0], sent[1]


@pytest.mark.parametrize("first", ["its own look", "the other look"])
def test_an_order_that_was_seen_under_another_symbol_is_sought_under_that(first: str) -> None:
    lane, its_own, other = triggers(Phase.HASTY, settled_at=19.0)
    shown = OPEN._replace(symbol="BTC", ord_type=OrdType.TRIGGER)
    sight = {(IdKind.VENUE, "1"): shown}
    if first == "its own look":
        answer(lane, its_own, ABSENT, 20.1)
        lane.answered(other, dict.fromkeys(other.batch.refs, ABSENT), 20.2, sight)
    else:
        lane.answered(other, dict.fromkeys(other.batch.refs, ABSENT), 20.1, sight)
        answer(lane, its_own, ABSENT, 20.2)

    (entry,) = (entry for entry in lane.entries() if entry.ref.id == "1")
    assert (entry.progress.symbol, entry.progress.search.absent_from) == ("BTC", ())


def test_a_look_that_began_before_an_order_was_missed_elsewhere_shows_it_open() -> None:
    """What it shows followed the last cancel all the same, so that it is canceled again."""
    lane, its_own, other = triggers(Phase.CONFIRM, settled_at=10.0)
    answer(lane, its_own, ABSENT, 20.1)
    sight = {(IdKind.VENUE, "1"): OPEN._replace(ord_type=OrdType.TRIGGER)}
    lane.answered(other, dict.fromkeys(other.batch.refs, ABSENT), 20.2, sight)

    again = leaves(lane, 20.2)
    assert (again.batch.route.purpose, ids(again)) == (Purpose.CANCEL, ["1"])


def test_a_sight_of_an_order_that_is_being_canceled_does_not_outlast_its_absence() -> None:
    lane, task = confirming("a", page=2)
    lane.add(task, [c._replace(progress=looked()) for c in orders("b")], 20.0)
    first, second = leaves(lane, 20.0), leaves(lane, 20.0)
    of_a, of_b = (first, second) if ids(first) == ["a"] else (second, first)
    pending = OPEN._replace(ord_status=OrdStatus.PENDING_CANCEL)

    lane.answered(
        of_b, dict.fromkeys(of_b.batch.refs, CANCELED), 20.1, {(IdKind.VENUE, "a"): pending}
    )
    answer(lane, of_a, ABSENT, 20.1)
    now = 20.1
    while lane.waiting() and now < 40.0:  # it must be missing for a while
        now = max(now + 0.05, lane.next_at(now))
        answer(lane, leaves(lane, now), ABSENT, now + 0.05)

    told = {id_of(r): r.status for r in results(lane, task) if isinstance(r, CancelOutcome)}
    assert told == {"a": CancelStatus.CLOSED, "b": CancelStatus.CANCELED}


def priced(*costs: Cost, most: int = 20) -> Venue:
    """Return a venue whose one cancel takes this of its quotas."""
    venue: Venue = Plain()
    batch, look_up = venue.routes[0], venue.routes[2]
    venue.routes = (replace(batch, costs=costs, max_ids=most, group_by=()), look_up)
    return venue


def cancels(lane: Lane, count: int, rtt_s: float, *, kill: bool) -> list[tuple[float, int]]:
    """Have so many ids canceled; return when each request left, and for how many ids."""
    lane.add(Task(kill=kill), orders(*range(count)), 5.0)
    left: list[tuple[float, int]] = []
    under_way: list[tuple[float, Sending]] = []
    now = 5.0
    while lane.waiting() or under_way:
        while sending := lane.next(now):
            left.append((now - 5.0, len(sending.batch.refs)))
            under_way.append((now + rtt_s, sending))
        now = min([lane.quiet_until, *(until for until, _ in under_way)])
        while under_way and under_way[0][0] <= now:
            answer(lane, under_way.pop(0)[1], CANCELED, now)
    return left


#: Costs of a request, its quota, ids, and how soon the limit lets the last of them go.
PRICES = [
    # Ids cost: ten a second (Bybit), 300 in two seconds (OKX).
    ((Cost("cancel_batch", per_id=1),), Quota(10, 1.0), 200, 19.0, 19.9),
    ((Cost("cancel_batch", per_id=1),), Quota(300, 2.0), 1500, 8.0, 9.9),
    # Both do: 9 + n of 500 in ten seconds, so at most 17 full requests (Kraken Futures).
    ((Cost("cancel_batch", per_request=9, per_id=1),), Quota(500, 10.0), 680, 10.0, 20.0),
    # Requests cost: 20 of 2000 in 30 seconds (KuCoin); routine leaves a fifth to a kill.
    ((Cost("cancel_batch", per_request=20),), Quota(2000, 30.0), 4000, 30.0, 60.0),
]


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize(("costs", "quota", "count", "kill_s", "routine_s"), PRICES)
def test_ids_leave_as_soon_as_their_tokens_allow(
    costs: tuple[Cost, ...],
    quota: Quota,
    count: int,
    kill_s: float,
    routine_s: float,
    *,
    kill: bool,
) -> None:
    left = cancels(lane_of({"cancel_batch": quota}, priced(*costs)), count, 0.05, kill=kill)

    assert sum(ids for _, ids in left) == count
    assert left[-1][0] <= 1.08 * (kill_s if kill else routine_s)


def test_a_request_is_for_as_many_ids_as_there_are_tokens_for() -> None:
    lane = lane_of({"cancel_batch": Quota(10, 1.0)}, priced(Cost("cancel_batch", per_id=1)))
    lane.add(Task(kill=True), orders(*range(4)), 5.0)
    first = leaves(lane, 5.0)
    lane.add(Task(kill=True), orders(*range(10, 30)), 5.0)

    second = leaves(lane, 5.0)
    assert [len(ids(sending)) for sending in (first, second)] == [4, 6]
    assert lane.next(5.0) is None

    answer(lane, first, CANCELED, 5.2)
    assert lane.next(6.1) is None
    assert len(ids(leaves(lane, 6.2))) == 4


def test_a_kill_waits_for_no_more_of_routines_ids_than_a_tenth_of_the_window() -> None:
    lane = lane_of(
        {"cancel_batch": Quota(300, 2.0)}, priced(Cost("cancel_batch", per_id=1), most=99)
    )
    lane.add(Task(), orders(*range(1000)), 5.0)

    assert len(ids(leaves(lane, 5.0))) == 30
    assert lane.next(5.19) is None
    assert len(ids(leaves(lane, 5.21))) == 30

    lane.add(Task(kill=True), orders("k"), 5.21)
    assert "k" in ids(leaves(lane, 5.21))


def test_where_a_request_itself_costs_it_waits_to_be_full() -> None:
    """Ten tokens for one id would be half of what is needed for ten."""
    lane = lane_of(
        {"cancel_batch": Quota(30, 10.0)},
        priced(Cost("cancel_batch", per_request=9, per_id=1), most=10),
    )
    lane.add(Task(kill=True), orders(*range(20)), 5.0)

    first = leaves(lane, 5.0)
    assert len(ids(first)) == 10
    assert lane.next(5.0) is None  # eleven are left

    answer(lane, first, CANCELED, 5.1)
    assert len(ids(leaves(lane, 15.1))) == 10
