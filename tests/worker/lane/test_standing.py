"""How the venue serves an account: pauses, pages in the way, a refused key, and their end."""

from __future__ import annotations

import random

import pytest

from tests.simulation.toys import Plain
from tests.support.lane import (
    CANCELED,
    FAST,
    OPEN,
    Task,
    answer,
    ids,
    lane_of,
    leaves,
    orders,
    results,
)
from venues.base import Quiet, Quota, Verdict
from venues.words import (
    AccountState,
    CancelOutcome,
    CancelStatus,
    IdKind,
    OrdStatus,
    Purpose,
)
from worker.lane.lane import Lane, Sending
from worker.lane.standing import ASK_AGAIN_S, MOST_REFUSALS, PROBE_S, Standing
from worker.lane.submission import Result
from worker.orders.follow import expire
from worker.orders.judge import Judgement
from worker.orders.retry import Returned
from worker.pacing.pace import NEVER

LONGEST_S = 600.0
REFUSED = Judgement(Verdict.HALT, reason="auth")
PAGE = Judgement(Verdict.IN_DOUBT, reason="http_403", by_status=True, barred=True)
LOST = Judgement(Verdict.IN_DOUBT, reason="http_502", by_status=True)
CANCEL, READ = (
    next(route for route in Plain().routes if route.purpose is purpose)
    for purpose in (Purpose.CANCEL, Purpose.LOOKUP)
)


def standing() -> Standing:
    return Standing(LONGEST_S, random.Random(1))


def refuse(lane: Lane, sending: Sending, now: float) -> None:
    """Have the venue refuse the key, as the driver takes it in."""
    lane.refused(sending, "auth", now)
    answer(lane, sending, REFUSED, now)


def bar(lane: Lane, sending: Sending, now: float) -> None:
    """Have a page of a gateway come back."""
    lane.pause(now, None, why="http_403")
    answer(lane, sending, PAGE, now)


def probe(lane: Lane, now: float) -> Sending:
    sending = leaves(lane, now)
    assert sending.is_probe
    assert sending.batch.route.purpose is Purpose.LOOKUP
    return sending


def halt(lane: Lane, now: float) -> float:
    """Have the key refused until the account is halted; return when that was."""
    refuse(lane, leaves(lane, now), now)
    for _ in range(MOST_REFUSALS - 1):
        now += ASK_AGAIN_S
        refuse(lane, probe(lane, now), now)
    assert lane.standing.halted
    return now


def said(found: list[Result], now: float = NEVER) -> set[tuple[CancelStatus, str]]:
    """Return status and reason of each id, at its deadline if it was given back."""
    words = [
        one if isinstance(one, CancelOutcome) else expire(one.progress).outcome(one.ref.id)
        for one in found
    ]
    return {(word.status, word.reason) for word in words}


# -- pauses ------------------------------------------------------------------------------


def test_quiet_time_is_the_venues_within_reason() -> None:
    asked = [standing().pause(5.0, "throttled", asked_s) for asked_s in (7.0, 600.0, 30000.0)]

    assert [pause.pause_s for pause in asked] == [7.0, 600.0, 600.0]
    assert [pause.cut for pause in asked] == [False, False, True]


def test_after_a_pause_that_was_cut_one_request_asks() -> None:
    lane = lane_of(FAST)
    lane.add(Task(kill=True), orders(*range(30)), 5.0)
    lane.pause(5.0, 30000.0)

    assert lane.next(5.0 + LONGEST_S - 0.1) is None
    first = leaves(lane, 5.0 + LONGEST_S)
    assert lane.next(5.0 + LONGEST_S) is None
    answer(lane, first, CANCELED, 606.0)
    assert [len(ids(leaves(lane, 606.0))) for _ in range(2)] == [8, 8]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_who_waits_out_a_pause_is_told_why_at_the_deadline(when: str) -> None:
    lane, task = lane_of(FAST), Task(deadline=9.0)
    if when == "before":
        lane.add(task, orders("a"), 5.0)
    lane.pause(5.0, 30000.0)
    if when == "meanwhile":
        lane.add(task, orders("a"), 5.0)
    lane.withdraw(task, "deadline", 9.0)

    assert said(results(lane, task)) == {(CancelStatus.FAILED, "throttled")}


def test_a_deadline_that_the_lane_sees_first_is_told_the_same() -> None:
    lane, task = lane_of(FAST), Task(deadline=9.0)
    lane.pause(5.0, 30000.0, banned=True)
    lane.add(task, orders("a"), 5.0)
    lane.next(9.0)

    assert said(results(lane, task)) == {(CancelStatus.FAILED, "banned")}


def test_a_ban_without_a_stated_end_lasts_as_long_as_the_venues_bans() -> None:
    venue = Plain()
    venue.quiet = Quiet(ban_s=600.0)

    assert lane_of(FAST, venue).pause(5.0, None, banned=True).pause_s == 600.0
    assert lane_of(FAST).pause(5.0, None, banned=True).pause_s == Quiet().ban_s
    assert lane_of(FAST, venue).pause(5.0, 40.0, banned=True).pause_s == 40.0


def test_the_state_of_a_paused_account_is_told_until_its_time_is_out() -> None:
    account = standing()
    account.pause(5.0, "throttled", 30.0)

    assert account.condition(34.9) == (AccountState.PAUSED, "throttled", 5.0, 35.0)
    assert account.condition(35.0).state is AccountState.RUNNING


# -- pages in the way --------------------------------------------------------------------


def test_a_page_leaves_a_cancel_in_doubt_and_is_tried_again_by_one_request() -> None:
    lane, task = lane_of(FAST), Task(kill=True)
    lane.add(task, orders(*range(30)), 5.0)
    bar(lane, leaves(lane, 5.0), 5.1)

    assert not lane.standing.shut
    assert lane.next(5.2) is None
    at = lane.next_at(5.2)
    assert at >= 6.1
    again = leaves(lane, at)
    assert lane.next(at) is None
    answer(lane, again, CANCELED, at + 0.1)
    assert lane.next(at + 0.2) is not None
    assert lane.standing.condition(at + 0.2).state is AccountState.RUNNING


def test_pages_in_a_row_are_tried_again_more_and_more_rarely() -> None:
    account, now, pauses = standing(), 5.0, list[float]()
    for _ in range(200):
        pauses.append(account.pause(now, "http_403", barred=True).pause_s)
        now = account.quiet_until
    mean_s = sum(pauses[20:]) / 180

    assert pauses[0] == 1.0
    assert 10.0 < mean_s < 20.0
    assert max(pauses) <= 30.0
    assert account.condition(now + 99.0).state is AccountState.BARRED


def test_what_is_not_the_venues_own_does_not_open_the_way() -> None:
    lane = lane_of(FAST)
    lane.add(Task(kill=True), orders(*range(30)), 5.0)
    bar(lane, leaves(lane, 5.0), 5.1)
    answer(lane, leaves(lane, 40.0), LOST, 40.1)

    assert lane.standing.condition(40.2).state is AccountState.BARRED
    assert leaves(lane, 40.2)
    assert lane.next(40.2) is None


def test_a_canceled_or_doubtful_id_ends_with_the_status_of_the_page() -> None:
    lane, task, other = lane_of(FAST), Task(kill=True, deadline=9.0), Task(deadline=9.0)
    lane.add(task, orders("a"), 5.0)
    bar(lane, leaves(lane, 5.0), 5.1)
    lane.add(other, orders("b"), 5.2)
    for one in task, other:
        lane.withdraw(one, "deadline", 5.3)

    assert said([result for _, result in lane.take_results()]) == {
        (CancelStatus.UNCONFIRMED, "http_403"),
        (CancelStatus.FAILED, "http_403"),
    }


# -- a refused key -----------------------------------------------------------------------


def test_a_refusal_is_asked_again_by_a_read_after_a_second_and_all_wait() -> None:
    lane, task = lane_of(FAST), Task(kill=True)
    lane.add(task, orders("a"), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.1)
    lane.add(task, orders("b"), 5.2)

    assert lane.next(6.0) is None
    assert lane.next_at(5.2) == pytest.approx(6.1)
    asked = probe(lane, 6.1)
    assert ids(asked) == ["a"]
    assert lane.next(6.1) is None
    answer(lane, asked, OPEN, 6.2)
    assert sorted(ids(leaves(lane, 7.3))) == ["a", "b"]
    assert results(lane, task) == []


def test_the_third_refusal_in_a_row_halts_and_gives_every_id_its_final_word() -> None:
    lane, task, kill = lane_of(FAST), Task(), Task(kill=True)
    lane.add(task, orders(*range(10)), 5.0)
    lane.add(kill, orders("k"), 5.0)
    halt(lane, 5.0)
    lane.add(task, orders("new"), 8.0)

    assert said(results(lane, task)) == {(CancelStatus.REJECTED, "auth")}
    assert lane.waiting() == 0
    assert lane.standing.condition(9.0).state is AccountState.HALTED


def test_what_had_left_before_a_refusal_came_is_one_refusal_with_it() -> None:
    lane = lane_of(FAST)
    lane.add(Task(kill=True), orders(*range(40)), 5.0)
    under_way = [leaves(lane, 5.0) for _ in range(5)]
    for sending in under_way:
        refuse(lane, sending, 5.1)

    assert lane.standing.shut
    assert not lane.standing.halted


def test_an_id_whose_cancel_may_have_happened_is_unconfirmed_at_the_halt() -> None:
    lane, task = lane_of(FAST), Task(kill=True)
    lane.add(task, orders("a"), 5.0)
    lane.in_doubt(leaves(lane, 5.0), "timeout", 5.0)
    halt(lane, 5.1)

    assert said(results(lane, task)) == {(CancelStatus.UNCONFIRMED, "auth")}


def test_a_halted_account_is_asked_once_a_minute_and_resumes_by_itself() -> None:
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    halted_at = halt(lane, 5.0)

    assert lane.next_at(halted_at) == halted_at + PROBE_S
    refuse(lane, probe(lane, halted_at + PROBE_S), halted_at + PROBE_S)
    assert lane.next_at(halted_at + PROBE_S) == halted_at + 2 * PROBE_S
    answer(lane, probe(lane, halted_at + 2 * PROBE_S), OPEN, halted_at + 2 * PROBE_S)
    assert not lane.standing.shut
    lane.add(task, orders("b"), 200.0)
    assert ids(leaves(lane, 200.0)) == ["b"]


def test_a_kill_asks_at_once_but_not_more_than_once_a_second() -> None:
    lane, kill = lane_of(FAST), Task(kill=True)
    lane.add(Task(), orders("a"), 5.0)
    halted_at = halt(lane, 5.0)
    lane.add(kill, orders("k"), halted_at + 0.2)

    assert lane.next_at(halted_at + 0.2) == halted_at + ASK_AGAIN_S
    refuse(lane, probe(lane, halted_at + ASK_AGAIN_S), halted_at + 1.1)
    assert said(results(lane, kill)) == {(CancelStatus.REJECTED, "auth")}
    lane.add(kill, orders("l"), halted_at + 10.0)
    answer(lane, probe(lane, halted_at + 10.0), OPEN, halted_at + 10.1)
    assert ids(leaves(lane, halted_at + 10.1)) == ["l"]


def test_what_says_nothing_of_the_key_leaves_it_refused_and_a_kill_asks_on() -> None:
    lane, kill = lane_of(FAST), Task(kill=True, deadline=30.0)
    lane.add(Task(), orders("a"), 5.0)
    now = halt(lane, 5.0) + 5.0
    lane.add(kill, orders("k"), now)
    for why in "timeout", "unreachable":
        lane.in_doubt(probe(lane, now), why, now)
        assert lane.next(now + ASK_AGAIN_S / 2) is None
        now += ASK_AGAIN_S
    answer(lane, probe(lane, now), LOST, now)
    assert lane.standing.halted
    lane.withdraw(kill, "deadline", 30.0)
    assert said(results(lane, kill)) == {(CancelStatus.FAILED, "auth")}


def test_jobs_that_come_while_a_refusal_is_asked_again_are_failed_at_their_deadline() -> None:
    lane, task, late = lane_of(FAST), Task(), Task(deadline=6.0)
    lane.add(task, orders("a"), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.1)
    lane.add(late, orders("b"), 5.2)
    lane.withdraw(late, "deadline", 6.0)

    assert said(results(lane, late)) == {(CancelStatus.FAILED, "auth")}


def cancels_refused(lane: Lane, now: float) -> float:
    """Have a key that may only read halt the account; return when that was."""
    while not lane.standing.halted:
        sending = leaves(lane, now)
        if sending.is_probe:
            answer(lane, sending, OPEN, now)
        else:
            refuse(lane, sending, now)
        now = max(now + 0.001, min(lane.next_at(now), now + 5.0))
    return now


def test_a_key_that_may_only_read_halts_all_the_same() -> None:
    lane, task = lane_of(FAST), Task(kill=True)
    lane.add(task, orders("a"), 5.0)
    cancels_refused(lane, 5.0)

    assert said(results(lane, task)) == {(CancelStatus.REJECTED, "auth")}


FILLED = Judgement(Verdict.STATE, ord_status=OrdStatus.FILLED)


@pytest.mark.parametrize("is_in_doubt", [False, True])
def test_what_the_read_shows_that_asks_is_told(is_in_doubt: bool) -> None:
    """It may be the last look-up that is answered in time, and spares a cancel."""
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    if is_in_doubt:
        lane.in_doubt(leaves(lane, 5.0), "timeout", 5.05)
    refuse(lane, leaves(lane, 5.1), 5.1)

    answer(lane, probe(lane, 5.1 + ASK_AGAIN_S), FILLED, 7.0)

    assert said(results(lane, task)) == {(CancelStatus.FILLED, "too_late")}
    assert lane.next(7.0) is None


@pytest.mark.parametrize("shown", [Judgement(Verdict.ABSENT), LOST])
def test_what_the_read_does_not_show_that_asks_is_as_unknown_as_before(
    shown: Judgement,
) -> None:
    """Which lists are still to be read is not for it to say."""
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.0)
    [before] = [entry.progress for entry in lane.entries()]

    answer(lane, probe(lane, 5.0 + ASK_AGAIN_S), shown, 7.0)

    assert [entry.progress for entry in lane.entries()] == [before]
    assert results(lane, task) == []


def test_an_open_order_that_the_read_shows_that_asks_is_canceled_as_one_that_was_open() -> None:
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.0)

    answer(lane, probe(lane, 5.0 + ASK_AGAIN_S), OPEN, 7.0)

    assert [entry.progress.seen_open for entry in lane.entries()] == [True]
    assert leaves(lane, 7.0).batch.route.purpose is Purpose.CANCEL


def test_a_client_order_id_that_the_read_shows_that_asks_is_canceled_all_the_same() -> None:
    """It may name a newer order by now."""
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a", kind=IdKind.CLIENT), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.0)

    answer(lane, probe(lane, 5.0 + ASK_AGAIN_S), FILLED, 7.0)

    assert results(lane, task) == []
    assert leaves(lane, 7.0).batch.route.purpose is Purpose.CANCEL


def test_where_only_cancels_are_refused_a_cancel_asks() -> None:
    """A read would prove nothing: it was answered each time."""
    lane, kill = lane_of(FAST), Task(kill=True)
    lane.add(kill, orders("a"), 5.0)
    now = cancels_refused(lane, 5.0) + 300.0
    results(lane, kill)

    assert lane.next_at(now) == NEVER
    assert lane.standing.condition(now)[:2] == (AccountState.HALTED, "auth")
    assert lane.standing.condition(now).until == -NEVER
    lane.add(kill, orders("b"), now)
    refuse(lane, leaves(lane, now), now + 0.1)
    assert said(results(lane, kill)) == {(CancelStatus.REJECTED, "auth")}
    lane.add(kill, orders("c", "d"), now + 5.0)
    answer(lane, leaves(lane, now + 5.0), CANCELED, now + 5.1)
    assert said(results(lane, kill)) == {(CancelStatus.CANCELED, "")}
    assert lane.standing.condition(now).state is AccountState.RUNNING


def test_there_a_routine_job_asks_once_a_minute() -> None:
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    now = cancels_refused(lane, 5.0)
    results(lane, task)
    lane.add(task, orders("b"), now + 1.0)
    assert said(results(lane, task)) == {(CancelStatus.REJECTED, "auth")}

    lane.add(task, orders("c"), now + PROBE_S)
    assert ids(leaves(lane, now + PROBE_S)) == ["c"]


def test_a_read_that_asks_keeps_the_quotas() -> None:
    lane = lane_of({"account": Quota(1, 10.0)})
    lane.add(Task(kill=True), orders("a"), 5.0)
    refuse(lane, leaves(lane, 5.0), 5.0)

    assert lane.next_at(5.0) == 15.0


def test_a_worker_that_lost_the_lane_asks_nothing_more() -> None:
    lane = lane_of(FAST)
    lane.add(Task(), orders("a"), 5.0)
    halt(lane, 5.0)
    lane.withdraw_all("disowned", 8.0)

    assert lane.next_at(99.0) == NEVER
    assert isinstance(lane.standing.condition(99.0).state, AccountState)


def test_what_is_given_back_waits_for_the_end_of_the_pause() -> None:
    lane, task = lane_of(FAST), Task()
    lane.add(task, orders("a"), 5.0)
    lane.pause(5.0, 60.0)
    lane.withdraw(task, "throttled", 5.0)
    (given_back,) = results(lane, task)

    assert isinstance(given_back, Returned)
    assert given_back.not_before == 65.0


def test_reads_that_ask_do_not_end_a_row_of_refused_cancels() -> None:
    account, now = standing(), 5.0
    for _ in range(2):
        account.refused("permission", CANCEL, now, now)
        account.served(READ, now + 1.0)
        now += 2.0
    account.refused("permission", CANCEL, now, now)

    assert account.halted
    account.served(CANCEL, now + 1.0)
    assert not account.halted
