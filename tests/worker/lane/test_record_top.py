"""The newest rows of a record are read while kills are canceled, before they sink in it."""

from __future__ import annotations

import pytest

from tests.simulation.toys import Plain
from tests.support.lane import ABSENT, ACCEPTED, CANCELED, Task, answer, id_of, lane_of, results
from venues.base import Quota, Venue, Verdict
from venues.coinw import CoinW
from venues.words import CancelStatus, IdKind, OrderRef, OrdType
from worker.lane.lane import Lane, Sending
from worker.lane.record_top import LULL_S, QUIET_S, STALE_S, WORTH_A_TRIAL, RecordTop
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, new_cohorts

OFF: dict[str, Quota] = {}
FIVE = {"history": Quota(5, 2.0)}
#: When the first burst of cancels leaves, and when a round may begin after it.
LEAVE = 5.0
BEGINS = LEAVE + LULL_S
#: When the second one does.
AGAIN = 6.05


def limit_orders(first: int, last: int, ord_type: OrdType = OrdType.LIMIT) -> list[Cohort]:
    names = map(str, range(first, last + 1))
    return new_cohorts(OrderRef(name, IdKind.VENUE, "AAA", ord_type) for name in names)


def all_out(lane: Lane, now: float) -> list[Sending]:
    """Return all requests that leave now."""
    return list(iter(lambda: lane.next(now), None))


def tops(lane: Lane, now: float) -> list[Sending]:
    return [sending for sending in all_out(lane, now) if sending.reads_top]


def burst(lane: Lane, now: float) -> None:
    """Let all cancels leave that may, and be taken."""
    for sending in all_out(lane, now):
        if not sending.advisory:
            answer(lane, sending, ACCEPTED, now + 0.05)


def canceled(
    ids: int = 100,
    quotas: dict[str, Quota] = OFF,
    *,
    venue: Venue | None = None,
    ord_type: OrdType = OrdType.LIMIT,
    kill: bool = True,
    waiting: int = WORTH_A_TRIAL,
) -> tuple[Lane, Task]:
    """Return a lane with a kill of so many orders that were canceled, and of those that wait.

    So many more are canceled in each burst.
    """
    limits = {"cancel_batch": Quota(ids // 20, 1.0), **quotas}
    lane, task = lane_of(limits, venue or CoinW()), Task(kill=kill)
    lane.add(task, limit_orders(1, ids + waiting, ord_type), LEAVE)
    burst(lane, LEAVE)
    return lane, task


def shows(lane: Lane, sending: Sending, first: int, last: int, now: float) -> None:
    """Let a page of the record show that these orders are canceled."""
    rows = {str(n): CANCELED for n in range(first, last + 1)}
    [ref] = sending.batch.refs
    others = {(IdKind.VENUE, name): said for name, said in rows.items() if name != ref.id}
    lane.answered(sending, {ref: rows.get(ref.id, ABSENT)}, now, others)


def told(lane: Lane, task: Task) -> list[int]:
    """Return which ids were told, all of them canceled."""
    found = results(lane, task)
    assert {getattr(word, "status", None) for word in found} <= {CancelStatus.CANCELED}
    return sorted(int(id_of(word)) for word in found)


def test_a_page_of_canceled_ids_is_proven_by_the_newest_rows_for_whoever_waits() -> None:
    lane, task = canceled()
    [top] = tops(lane, BEGINS)
    assert (top.batch.route.name, top.batch.page, top.entries) == ("history", 1, ())
    shows(lane, top, 1, 100, 5.2)

    assert told(lane, task) == list(range(1, 101))


def test_neither_few_ids_nor_the_last_of_a_kill_nor_those_of_routine_begin_it() -> None:
    for few in (
        canceled(80),
        canceled(100, waiting=WORTH_A_TRIAL - 1),
        canceled(100, kill=False),
    ):
        lane, _ = few
        assert tops(lane, BEGINS) == tops(lane, 5.9) == []


def test_the_last_of_a_kill_are_proven_once_rounds_proved_others() -> None:
    lane, task = canceled(300, waiting=WORTH_A_TRIAL)
    [first] = tops(lane, BEGINS)
    shows(lane, first, 201, 300, 5.15)
    for top, last in zip(tops(lane, 5.15), (205, 110, 15), strict=True):
        shows(lane, top, max(1, last - 94), last, 5.2)
    assert told(lane, task) == list(range(1, 301))

    burst(lane, AGAIN)  # and 200 wait
    assert len(tops(lane, AGAIN + LULL_S)) == 4


def test_as_many_pages_are_read_at_once_as_were_canceled_once_a_page_is_known() -> None:
    lane, task = canceled(400)
    [first] = tops(lane, BEGINS)
    shows(lane, first, 301, 400, 5.2)
    others = tops(lane, 5.2)
    assert [(top.batch.page, top.batch.read, top.batch.size) for top in others] == [
        (2, 100, 100), (3, 195, 100), (4, 290, 100), (5, 385, 100),
    ]  # fmt: skip
    for top, last in zip(others, (305, 210, 115, 20), strict=True):
        shows(lane, top, max(1, last - 94), last, 5.3)
    assert told(lane, task) == list(range(1, 401))

    burst(lane, AGAIN)
    assert [top.batch.page for top in tops(lane, AGAIN + LULL_S)] == [1, 2, 3, 4, 5]


def test_pages_of_one_row_are_read_one_row_after_the_other() -> None:
    lane, task = canceled(100)
    [first] = tops(lane, BEGINS)
    shows(lane, first, 100, 100, 5.2)

    found = [(top.batch.page, top.batch.read) for top in tops(lane, 5.2)]
    assert (found[:2], len(found)) == ([(2, 1), (3, 2)], 29)
    assert told(lane, task) == [100]


def test_a_page_that_was_short_at_first_does_not_stay_so() -> None:
    """The record lagged behind, and had few rows then."""
    lane, _ = canceled(200)
    [first] = tops(lane, BEGINS)
    shows(lane, first, 191, 200, 5.2)
    for top in tops(lane, 5.2):
        shows(lane, top, 101, 190, 5.3)
    burst(lane, AGAIN)
    again = tops(lane, AGAIN + LULL_S)
    for top in again:
        shows(lane, top, 301, 400, 6.3)
    burst(lane, 7.1)

    assert {top.batch.size for top in tops(lane, 7.1 + LULL_S)} == {0, 100}


def test_a_round_begins_once_the_burst_of_cancels_is_over_unless_it_has_waited_for_that() -> (
    None
):
    for replies in True, False:
        lane, task = lane_of({"cancel_batch": Quota(5, 1.0)}, CoinW()), Task(kill=True)
        lane.add(task, limit_orders(1, 100 + WORTH_A_TRIAL), LEAVE)
        sent = [sending for sending in all_out(lane, LEAVE) if not sending.advisory]
        assert (len(sent), tops(lane, BEGINS)) == (5, [])
        for sending in sent if replies else ():
            answer(lane, sending, ACCEPTED, 5.15)

        assert len(tops(lane, 5.15)) == replies
        assert len(tops(lane, LEAVE + QUIET_S)) == (not replies)


def test_nor_does_it_begin_where_cancels_are_about_to_leave() -> None:
    lane, _ = canceled()
    head, top = next(iter(lane.entries())), RecordTop(CoinW())
    top.left(head, 100, WORTH_A_TRIAL, LEAVE)
    top.landed()

    assert top.leaves_at(6.0, 6.0, 6.0 + LULL_S) == BEGINS
    assert top.leaves_at(6.0, 6.0, 6.05) == 6.0 + QUIET_S
    assert top.leaves_at(6.0, 7.0, 6.05) == 7.0


def test_two_rounds_in_vain_are_the_last_until_the_lane_is_empty() -> None:
    lane, _ = canceled(waiting=1000)
    for now in LEAVE, AGAIN:
        if now == AGAIN:
            burst(lane, now)
        [top] = tops(lane, now + LULL_S)
        shows(lane, top, 9001, 9100, now + 0.2)  # others
    burst(lane, 7.1)
    assert tops(lane, 7.1 + LULL_S) == []

    for entry in list(lane.entries()):
        entry.in_flight = False  # what looks leave for is of no interest here
    lane.withdraw_all("stopping", 7.5)
    lane.add(Task(kill=True), limit_orders(2001, 2600), 9.0)
    burst(lane, 9.0)
    assert len(tops(lane, 9.0 + LULL_S)) == 1


def test_what_cannot_leave_soon_is_left_out_of_a_round() -> None:
    lane, task = canceled(400, {"history": Quota(3, 2.0)})
    [first] = tops(lane, BEGINS)
    shows(lane, first, 301, 400, 5.2)
    second, third = tops(lane, 5.2)
    shows(lane, second, 206, 305, 5.3)
    shows(lane, third, 111, 210, 5.3)
    assert len(told(lane, task)) == 290

    assert tops(lane, BEGINS + STALE_S) == []
    lane.withdraw(task, "stopping", 6.0)
    assert tops(lane, 7.4) == []  # the tokens are there, and the rows have moved on


def test_a_round_waits_for_the_tokens_of_all_its_pages() -> None:
    lane, _ = canceled(400, FIVE)
    [first] = tops(lane, BEGINS)
    shows(lane, first, 301, 400, 5.2)
    for top, last in zip(tops(lane, 5.2), (305, 210, 115, 20), strict=True):
        shows(lane, top, max(1, last - 94), last, 5.4)
    burst(lane, AGAIN)
    burst(lane, 7.1)

    assert tops(lane, 7.39) == []
    assert [top.batch.page for top in tops(lane, 7.4)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("end", ["not_sent", "in_doubt", "throttled"])
def test_a_read_that_brings_nothing_ends_its_round(end: str) -> None:
    lane, task = canceled(200)
    [top] = tops(lane, BEGINS)
    in_flight = lane.in_flight
    match end:
        case "not_sent":
            lane.not_sent(top, "connection_failed", 5.2)
        case "in_doubt":
            lane.in_doubt(top, "timeout", 5.2)
        case _:
            answer(lane, top, Judgement(Verdict.THROTTLED), 5.2)

    assert (in_flight - lane.in_flight, results(lane, task), tops(lane, 5.2)) == (1, [], [])


def test_the_newest_rows_leave_tokens_to_cancels() -> None:
    """Ten may leave in a second: five cancels have, and five more wait for tokens of theirs."""
    lane, _ = canceled(100, {"account": Quota(10, 1.0)})

    assert tops(lane, BEGINS) == tops(lane, 6.0) == []


def looked_up(lane: Lane, route: str, now: float) -> tuple[list[Sending], float]:
    """Let lists show nothing until a route is asked for ids; return who asks, and when."""
    for _ in range(40):
        sent = [s for s in all_out(lane, now) if s.entries and not s.advisory]
        found = [s for s in sent if s.batch.route.name == route]
        if found:
            return found, now
        for sending in sent:
            answer(lane, sending, ABSENT, now + 0.05)
        now += 0.25
    raise AssertionError(f"nobody asked {route}")


def test_an_id_whose_look_up_is_in_flight_is_proven_as_well() -> None:
    lane, task = canceled(100, {"cancel_batch": Quota(5, 60.0)})
    [top] = tops(lane, BEGINS)
    looks, now = looked_up(lane, "open_limit", 6.0)
    shows(lane, top, 1, 100, now + 0.01)
    assert results(lane, task) == []

    for look in looks:
        answer(lane, look, ABSENT, now + 0.05)
    assert told(lane, task) == list(range(1, 101))


def test_a_venue_without_such_a_record_is_not_asked_for_it() -> None:
    lane, _ = canceled(100, venue=Plain())
    assert tops(lane, BEGINS) == tops(lane, 7.0) == []


def test_nor_is_one_asked_whose_record_does_not_keep_the_type() -> None:
    lane, _ = canceled(100, ord_type=OrdType.TRAILING_STOP)
    assert tops(lane, BEGINS) == tops(lane, 7.0) == []
