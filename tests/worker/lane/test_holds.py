"""When a request that could leave waits for others, and which of several goes first."""

from __future__ import annotations

import copy
import random

import pytest

from tests.simulation.toys import Hasty, Mute, Plain
from tests.support.lane import (
    ABSENT,
    CANCELED,
    FAST,
    OPEN,
    Task,
    answer,
    ids,
    lane_of,
    leaves,
    orders,
)
from venues.base import Quota, Route, Venue, Verdict
from venues.coinw import CoinW
from venues.words import IdKind, OrderRef, OrdType, Purpose
from worker.lane.entry import Entry, Group
from worker.lane.holds import (
    AGED_S,
    ASK_AGAIN_S,
    BEHIND_S,
    BURST_S,
    BUSY_S,
    FILL_GAP_S,
    FILL_S,
    GATHER_S,
    IN_HAND_S,
    LATE_S,
    SLOW_GATHER_S,
    STREAM_GAP_S,
    STREAM_S,
    YIELD_S,
    Demand,
    Load,
    PriorityKey,
    priority,
)
from worker.lane.lane import Lane, Sending
from worker.orders.judge import Judgement
from worker.orders.progress import (
    Cohort,
    OrderProgress,
    Phase,
    Search,
    cohorts,
    new_cohorts,
    new_progress,
)
from worker.pacing.pace import MOST_BEHIND, NEVER, Pace

NOW_S = 100.0
LOOKUP = next(route for route in Mute().routes if route.purpose is Purpose.LOOKUP)
CANCEL = next(route for route in Mute().routes if route.purpose is Purpose.CANCEL)
COINW = CoinW()
ROUTES = {route.name: route for route in COINW.routes}
#: Ids of some requests; `Plain` takes eight at once.
MANY = range(80)
FULL = 8
GAP_S = 0.1


# -- look-ups ----------------------------------------------------------------------------


def confirmations(*ids: str, absent: tuple[str, ...] = ()) -> list[Cohort]:
    """Return ids that were canceled long ago, and are absent from some lists already."""
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    known = {"phase": Phase.CONFIRM, "attempts": 1, "sent": True, "search": Search(absent)}
    return cohorts((ref, new_progress(ref)._replace(**known)) for ref in refs)  # type: ignore[arg-type]


def fresh(*ids: str, look: bool = False) -> list[Cohort]:
    refs = (OrderRef(order_id, IdKind.VENUE, "AAA", OrdType.LIMIT) for order_id in ids)
    return new_cohorts(refs, look_first=look)


def lane_with(venue: Venue | None = None, **quotas: Quota) -> Lane:
    paces = {name: Pace(quota) for name, quota in quotas.items()}
    return Lane(venue or Mute(), paces, random.Random(1))


def test_a_routine_confirmation_gives_way_while_a_kill_is_there_but_not_for_ever() -> None:
    lane = lane_with(cancel_batch=Quota(1, 1.0), cancel_one=Quota(1, 1.0))
    lane.add(Task(kill=True), fresh("k"), 5.0)
    leaves(lane, 5.0)
    lane.add(Task(), confirmations("a"), 5.0)

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + YIELD_S
    assert ids(leaves(lane, 5.0 + YIELD_S)) == ["a"]


def test_a_routine_confirmation_goes_when_the_kill_has_left() -> None:
    lane = lane_with()
    kill = Task(kill=True)
    lane.add(kill, fresh("k"), 5.0)
    lane.withdraw(kill, "deadline", 5.0)
    lane.add(Task(), confirmations("a"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]


def prompt(venue: Venue) -> Venue:
    """Return the venue as if somebody had found that it is never far behind."""
    measured = copy.copy(venue)
    measured.read_lag_s, measured.birth_lag_s = 0.3, 0.0
    return measured


def at_a_list() -> tuple[Lane, Sending]:
    """Return a lane with half of its look-ups left, "a" at its first list, "b" on its way."""
    lane = lane_with(prompt(CoinW()), lookup=Quota(4, 1.0))
    for before in "xy":
        lane.add(Task(kill=True), confirmations(before), 5.0)
        leaves(lane, 5.0)
    lane.add(Task(kill=True), [*confirmations("a"), *fresh("b")], 5.0)
    cancel = leaves(lane, 5.0)
    assert ids(cancel) == ["b"]
    assert lane.next(5.0) is None
    return lane, cancel


def test_a_kill_waits_at_its_list_for_others_but_not_for_ever() -> None:
    lane, _ = at_a_list()

    assert lane.next_at(5.0) == 5.0 + GATHER_S

    lane.add(Task(kill=True), confirmations("c"), 5.1)

    assert ids(leaves(lane, 5.0 + GATHER_S)) == ["a", "c"]


def test_a_kill_leaves_for_its_list_when_all_are_there() -> None:
    lane, cancel = at_a_list()
    answer(lane, cancel, Judgement(Verdict.ACCEPTED), 5.05)

    assert lane.next(5.34) is None
    assert lane.next_at(5.34) == 5.35
    assert ids(leaves(lane, 5.35)) == ["a", "b"]


def test_a_kill_waits_for_no_other_that_is_past_its_list() -> None:
    lane, cancel = at_a_list()
    lane.withdraw_all("stopping", 5.0)
    answer(lane, cancel, Judgement(Verdict.ACCEPTED), 5.05)
    lane.add(Task(kill=True), confirmations("late", absent=("open_trailing_stop",)), 5.1)
    lane.add(Task(kill=True), confirmations("c"), 5.1)

    assert sorted([*ids(leaves(lane, 5.1)), *ids(leaves(lane, 5.1))]) == ["c", "late"]


def test_a_full_request_waits_for_nobody() -> None:
    lane = lane_with(CoinW(), lookup=Quota(4, 1.0))
    lane.add(Task(kill=True), confirmations(*(f"{n}" for n in range(40))), 5.0)
    lane.in_doubt(leaves(lane, 5.0), "body_too_large", 5.05)  # from now on by id
    lane.add(Task(kill=True), fresh("late"), 5.05)

    left = [leaves(lane, 5.05) for _ in range(3)]

    assert [len(sending.entries) for sending in left] == [1, 20, 20]


def test_with_many_tokens_a_kill_waits_for_a_burst_only() -> None:
    lane = lane_with(CoinW(), lookup=Quota(4, 1.0))
    lane.add(Task(kill=True), [*confirmations("a"), *fresh("b")], 5.0)
    leaves(lane, 5.0)

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + BURST_S
    assert ids(leaves(lane, 5.0 + BURST_S)) == ["a"]


def test_a_look_before_a_cancel_leaves_tokens_to_the_look_ups_of_kills() -> None:
    lane = lane_with(Hasty(), lookup=Quota(4, 0.4), cancel_batch=Quota(10, 1.0))
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


def test_slow_tokens_are_kept_for_all_kills_while_they_are_few() -> None:
    slow = Quota(4, 2.0)
    seen = ("open_limit", "open_trailing")  # at a record they would wait for each other
    lane = lane_with(lookup=slow)
    early = []
    for number in range(2):
        lane.add(Task(kill=True), confirmations(f"early-{number}", absent=seen), 5.0)
        early.append(leaves(lane, 5.0))
    lane.add(Task(kill=True), fresh("b"), 5.0)
    leaves(lane, 5.0)  # its cancel
    lane.add(Task(kill=True), confirmations("late", absent=seen), 5.1)
    for sending in early:
        answer(lane, sending, ABSENT, 5.3)

    assert [ids(sending) for sending in early] == [["early-0"], ["early-1"]]
    assert lane.next(5.3) is None
    assert lane.next_at(5.3) == 5.1 + SLOW_GATHER_S
    assert ids(leaves(lane, 5.1 + SLOW_GATHER_S)) == ["late"]


@pytest.mark.parametrize("kill", [True, False])
def test_a_list_of_dear_tokens_is_read_for_all_that_are_on_their_way(kill: bool) -> None:
    """More than half of its tokens are free, but none comes back for a minute."""
    lane = lane_with(lookup=Quota(18, 60.0))
    lane.add(Task(kill=kill), fresh("comes later"), 5.0)
    leaves(lane, 5.0)  # its cancel
    lane.add(Task(kill=kill), confirmations("first"), 5.0)
    assert lane.next_at(5.0) == 5.0 + GATHER_S
    lane.add(Task(kill=kill), confirmations("second"), 5.5)

    assert lane.next_at(5.5) == 5.0 + GATHER_S
    assert ids(leaves(lane, 5.0 + GATHER_S)) == ["first", "second"]


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize(("limit", "others"), [(18, 0), (20, 1)])
def test_it_is_read_at_once_for_all_of_a_lane_and_where_there_are_tokens_for_each(
    kill: bool, limit: int, others: int
) -> None:
    lane = lane_with(lookup=Quota(limit, 60.0))
    for number in range(others):
        lane.add(Task(kill=kill), fresh(f"comes later {number}"), 5.0)
        leaves(lane, 5.0)
    lane.add(Task(kill=kill), confirmations("first"), 5.0)

    at = 5.0 + (BURST_S if kill and others else YIELD_S if others else 0)
    assert ids(leaves(lane, at)) == ["first"]


def test_a_kills_look_ups_leave_a_share_of_what_cancels_draw_alone() -> None:
    paces = {name: Pace(Quota(5, 60.0)) for name in ("lookup", "address")}
    Lane(Mute(), paces, random.Random(1))

    assert {name: pace.of_cancels for name, pace in paces.items()} == {
        "lookup": False,
        "address": True,
    }


@pytest.mark.parametrize(
    ("begins_for_a_kill", "goes_at"),
    [(True, 5.1 + SLOW_GATHER_S), (False, 5.4 + SLOW_GATHER_S)],
)
def test_who_waits_for_others_page_of_a_record_waits_no_longer_than_it_would_by_itself(
    begins_for_a_kill: bool, goes_at: float
) -> None:
    """That page waits for more kills from when the first of those came that go with it."""
    seen = ("open_limit", "open_trailing", "open_market")
    lane = lane_with(lookup=Quota(4, 2.0))
    for number in range(2):
        lane.add(Task(kill=True), confirmations(f"early-{number}", absent=seen[1:]), 5.0)
        leaves(lane, 5.0)
    lane.add(Task(kill=True), fresh("on its way"), 5.0)
    leaves(lane, 5.0)
    lane.add(Task(kill=begins_for_a_kill), confirmations("begins", absent=seen), 5.1)
    [above] = confirmations("above", absent=seen)
    search = above.progress.search._replace(until=("row",))
    goes_on = above._replace(progress=above.progress._replace(search=search))
    lane.add(Task(kill=True), [goes_on], 5.4)

    assert lane.next(goes_at - 0.01) is None
    assert set(ids(leaves(lane, goes_at))) == {"above", "begins"}


# -- cancels, while they leave late ------------------------------------------------------


def under_way_and_beginning(load: Load, *, kill: bool = False) -> tuple[Lane, Lane]:
    """Return a lane whose first request left at 5.0, and one whose job came then."""
    under_way, beginning = lane_of(FAST, load=load), lane_of(FAST, load=load)
    under_way.add(Task(kill=kill), orders(*MANY), 5.0)
    leaves(under_way, 5.0)
    beginning.add(Task(), orders(*MANY), 5.0)
    return under_way, beginning


def busy_at(now: float) -> Load:
    load = Load()
    load.note_lateness(2 * LATE_S, now)
    return load


def test_a_lane_that_keeps_its_pace_waits_for_one_that_begins() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))

    assert under_way.next(5.0 + GAP_S) is None
    assert under_way.next_at(5.0 + GAP_S) == pytest.approx(5.0 + GAP_S + ASK_AGAIN_S)
    assert ids(leaves(beginning, 5.0 + GAP_S)) == [str(number) for number in MANY[:8]]


def test_it_goes_on_when_the_other_has_caught_up() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    now = 5.0 + 2.5 * GAP_S
    for _ in range(3):
        assert under_way.next(now) is None
        leaves(beginning, now)

    assert ids(leaves(under_way, now)) == [str(number) for number in MANY[8:16]]


def test_it_goes_on_when_the_other_has_nothing_left() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    beginning.withdraw_all("stopping", 5.0 + GAP_S)

    assert leaves(under_way, 5.0 + GAP_S)


def test_it_waits_no_longer_than_it_can_make_up_for() -> None:
    under_way, beginning = under_way_and_beginning(busy_at(5.0))
    latest = 5.0 + MOST_BEHIND * FAST["cancel_batch"].window_s

    assert under_way.next(latest - 0.01) is None
    leaves(under_way, latest)
    assert under_way.next(latest) is None

    beginning.withdraw_all("stopping", latest)
    for _ in range(4):  # with the one above, all that were due by now
        leaves(under_way, latest)
    assert under_way.next(latest) is None


def test_a_kill_waits_for_nobody() -> None:
    under_way, _ = under_way_and_beginning(busy_at(5.0), kill=True)

    assert leaves(under_way, 5.0)


def kills(lane: Lane, count: int, now: float, *, per_job: int = 1) -> None:
    """Have so many ids come now, in kills of so many each."""
    first = len(lane.entries())
    for at in range(first, first + count, per_job):
        lane.add(Task(kill=True), orders(*range(at, at + per_job)), now)


@pytest.mark.parametrize("more", [0, 6])
def test_what_is_left_over_of_small_kills_waits_a_moment_for_more(more: int) -> None:
    lane = lane_of(FAST)
    kills(lane, FULL + 2, 5.0)
    assert len(leaves(lane, 5.0).batch.refs) == FULL

    assert lane.next(5.0) is None
    assert lane.next_at(5.0) == 5.0 + BURST_S
    kills(lane, more, 5.0)
    assert len(leaves(lane, 5.0 if more else 5.0 + BURST_S).batch.refs) == 2 + more


@pytest.mark.parametrize(("followed", "waits_s"), [(False, 0.015 + BURST_S), (True, IN_HAND_S)])
def test_a_stream_is_waited_for_while_kills_come_or_are_in_the_workers_hands(
    followed: bool, waits_s: float
) -> None:
    lane = lane_of(FAST)
    kills(lane, 1, 5.0)
    leaves(lane, 5.0)
    kills(lane, 2, 5.0)
    task = Task(kill=True)
    task.followed = followed
    lane.add(task, orders("later"), 5.015)
    routine = Task()
    routine.followed = not followed  # more jobs of its priority are no kills
    lane.add(routine, orders("other"), 5.015)

    assert lane.next(5.015) is None
    assert lane.next_at(5.015) == pytest.approx(5.0 + waits_s)


def test_no_kill_waits_long_for_those_that_keep_coming() -> None:
    lane = lane_of(FAST)
    kills(lane, 1, 5.0)
    leaves(lane, 5.0)
    for now in 5.0, 5.03, 5.06:
        kills(lane, 2, now)
        assert lane.next(now) is None

    assert lane.next_at(5.06) == pytest.approx(5.0 + STREAM_GAP_S)


def test_nothing_waits_for_a_stream_of_kills_once_their_cancel_has_left() -> None:
    lane = lane_of({})
    kills(lane, 1, 5.0)
    leaves(lane, 5.0)
    first = Task(kill=True)
    first.followed = True
    lane.add(first, orders("a"), 5.01)
    lane.add(Task(), orders("other", symbol="BBB"), 5.01)
    assert lane.next_at(5.01) == pytest.approx(5.01 + IN_HAND_S)
    kills(lane, FULL - 1, 5.05)
    assert len(leaves(lane, 5.05).batch.refs) == FULL

    assert lane.next_at(5.05) == pytest.approx(5.05 + STREAM_S)
    assert ids(leaves(lane, 5.05 + STREAM_S)) == ["other"]


def test_what_is_left_over_of_one_kill_waits_for_nobody() -> None:
    lane = lane_of(FAST)
    kills(lane, FULL + 2, 5.0, per_job=FULL + 2)

    assert [len(leaves(lane, 5.0).batch.refs) for _ in range(2)] == [FULL, 2]


@pytest.mark.parametrize(("after_s", "waits_s"), [(0.05, STREAM_S), (STREAM_GAP_S, 0.0)])
def test_a_kill_that_comes_soon_after_another_waits_a_moment(
    after_s: float, waits_s: float
) -> None:
    lane = lane_of(FAST)
    kills(lane, 1, 5.0)
    leaves(lane, 5.0)
    kills(lane, 1, 5.0 + after_s)

    assert lane.next_at(5.0 + after_s) == pytest.approx(5.0 + after_s + waits_s)


def test_a_request_that_is_not_full_waits_for_nobody() -> None:
    """It could not be made up for: more ids may join it."""
    load = busy_at(5.0)
    under_way, beginning = lane_of(FAST, load=load), lane_of(FAST, load=load)
    under_way.add(Task(), orders(1), 5.0)
    leaves(under_way, 5.0)
    beginning.add(Task(), orders(*MANY), 5.0)
    under_way.add(Task(), orders(2), 5.0 + GAP_S)

    assert ids(leaves(under_way, 5.0 + GAP_S)) == ["2"]


@pytest.mark.parametrize("load", [Load(), busy_at(5.0 + GAP_S - BUSY_S)])
def test_nobody_waits_while_the_process_keeps_up(load: Load) -> None:
    under_way, _ = under_way_and_beginning(load)

    assert leaves(under_way, 5.0 + GAP_S)


# -- routine jobs that were read late -----------------------------------------------------


def read_late(lane: Lane, *numbers: int, now: float, look: bool = False) -> None:
    """Hand a job in that was read late, and that others follow which are in the worker."""
    job = Task(received_at=now - 2 * BEHIND_S, followed=True)
    lane.add(job, fresh(*map(str, numbers), look=look), now)


@pytest.mark.parametrize("look", [False, True])
def test_routine_ids_that_were_read_late_wait_until_a_request_is_full(look: bool) -> None:
    lane, purpose = lane_of({}), Purpose.LOOKUP if look else Purpose.CANCEL
    full = max(route.max_ids for route in Plain().routes if route.purpose is purpose)
    read_late(lane, *range(full - 1), now=5.0, look=look)
    assert lane.next(5.0) is None

    read_late(lane, full, now=5.3, look=look)
    assert len(leaves(lane, 5.3).batch.refs) == full


@pytest.mark.parametrize("look", [False, True])
def test_they_do_not_wait_for_ever(look: bool) -> None:
    lane = lane_of({})
    read_late(lane, 0, now=5.0, look=look)

    assert lane.next_at(5.0) == 5.0 + FILL_S
    assert ids(leaves(lane, 5.0 + FILL_S)) == ["0"]


def test_they_wait_a_moment_after_the_last_one_that_the_worker_has() -> None:
    lane = lane_of({})
    read_late(lane, 0, now=5.0)
    lane.add(Task(received_at=5.0), fresh("1"), 5.1)

    assert lane.next_at(5.1) == 5.1 + FILL_GAP_S
    assert ids(leaves(lane, 5.1 + FILL_GAP_S)) == ["0", "1"]


def test_they_wait_until_it_is_clear_that_the_worker_keeps_up() -> None:
    lane = lane_of({})
    read_late(lane, *range(FULL), now=5.0)
    leaves(lane, 5.0)
    begun_s = 5.0 + BUSY_S - FILL_S / 2
    lane.add(Task(received_at=begun_s, followed=True), fresh("x"), begun_s)

    assert lane.next_at(begun_s) == pytest.approx(5.0 + BUSY_S)


def test_they_wait_no_longer_once_the_worker_keeps_up() -> None:
    lane = lane_of({})
    read_late(lane, *range(FULL), now=5.0)
    assert len(leaves(lane, 5.0).batch.refs) == FULL
    lane.add(Task(received_at=5.0 + BUSY_S), fresh("x"), 5.0 + BUSY_S)

    assert ids(leaves(lane, 5.0 + BUSY_S)) == ["x"]


def test_they_wait_as_well_where_another_lane_was_read_late() -> None:
    load = Load()
    late, lane = lane_of({}, load=load), lane_of({}, load=load)
    read_late(late, 0, now=4.9)
    for number in range(2):
        lane.add(Task(received_at=5.0), fresh(str(number)), 5.0)

    assert lane.next_at(5.0) == 5.0 + FILL_GAP_S


def test_a_lane_to_which_no_other_job_came_waits_for_none() -> None:
    load = Load()
    late, lane = lane_of({}, load=load), lane_of({}, load=load)
    read_late(late, 0, now=5.0)
    lane.add(Task(received_at=5.0), [*fresh("a"), *fresh("b", look=True)], 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]


def test_a_cancel_that_is_not_full_waits_for_those_that_are_looked_for() -> None:
    lane = lane_of({})
    read_late(lane, 0, now=5.0)
    lane.add(Task(received_at=5.0), fresh("1", look=True), 5.0)
    look = leaves(lane, 5.0 + FILL_GAP_S)
    assert ids(look) == ["1"]
    assert lane.next(5.0 + FILL_GAP_S) is None  # one that waits for it, and for no others

    answer(lane, look, OPEN, 5.3)

    assert ids(leaves(lane, 5.3)) == ["0", "1"]


@pytest.mark.parametrize(
    "job",
    [
        Task(received_at=5.0 - 2 * BEHIND_S),  # late, but nothing follows
        Task(received_at=5.0, followed=True),  # of a burst that the worker keeps up with
        Task(received_at=5.0 - 2 * BEHIND_S, followed=True, kill=True),
    ],
    ids=["alone", "in time", "kill"],
)
def test_no_other_job_waits(job: Task) -> None:
    lane = lane_of({})
    lane.add(job, fresh("a"), 5.0)

    assert ids(leaves(lane, 5.0)) == ["a"]


# -- which list the kills need next ------------------------------------------------------


def item_of(number: int, *, type_known: bool = False) -> Entry:
    ref = OrderRef(str(number), IdKind.VENUE, "BTC", OrdType.LIMIT)
    progress = new_progress(ref)._replace(type_known=type_known)
    return Entry(ref.id, ref.id, ref[1:4], progress, (), number, True, 5.0)


def group_at(route: Route, entry: Entry) -> Group:
    return Group(route, 1, kills=[(entry.seq, entry.version, entry)], size=1, kills_here=1)


def moved(entry: Entry, **changes: object) -> OrderProgress:
    return entry.progress._replace(**changes)  # type: ignore[arg-type]


def test_a_kill_is_counted_at_the_next_list_of_its_look_up() -> None:
    demand, entry = Demand(COINW), item_of(1)
    first, later = (
        group_at(ROUTES[f"open_{word}"], entry) for word in ("trailing_stop", "tp_sl")
    )

    demand.update(entry)

    assert (demand.due_at(first), demand.due_at(later), len(demand)) == (1, 0, 1)

    entry.progress = moved(entry, phase=Phase.CONFIRM, search=Search(("open_trailing_stop",)))
    demand.update(entry)

    assert (demand.due_at(first), demand.due_at(later), len(demand)) == (0, 1, 1)


def test_a_kill_of_which_the_venue_told_the_type_has_one_list_before_it() -> None:
    demand, entry = Demand(COINW), item_of(1, type_known=True)

    demand.update(entry)

    assert demand.due_at(group_at(ROUTES["open_limit"], entry)) == 1
    assert demand.due_at(group_at(ROUTES["open_trailing_stop"], entry)) == 0


def test_a_kill_that_was_looked_for_before_has_all_lists_before_it_once_canceled() -> None:
    demand, entry = Demand(COINW), item_of(1)
    entry.progress = moved(entry, phase=Phase.PRECHECK, search=Search(("open_limit",)))
    demand.update(entry)
    entry.progress = moved(entry, phase=Phase.CANCEL, search=Search())

    demand.update(entry)

    assert demand.due_at(group_at(ROUTES["open_trailing_stop"], entry)) == 1


def test_a_kill_that_is_being_looked_for_or_turns_pages_is_not_waited_for() -> None:
    demand, entry = Demand(COINW), item_of(1)
    group = group_at(ROUTES["open_trailing_stop"], entry)
    entry.progress = moved(entry, phase=Phase.CONFIRM)

    for in_flight, page, expected in ((False, 1, 1), (True, 1, 0), (False, 2, 0)):
        entry.in_flight, entry.progress = in_flight, moved(entry, search=Search(page=page))
        demand.update(entry)

        assert (demand.due_at(group), demand.due_from(group.route)) == (expected, expected)
        assert len(demand) == 1


def test_kills_are_counted_by_the_quotas_that_their_next_list_draws() -> None:
    demand, entries = Demand(COINW), [item_of(1), item_of(2, type_known=True)]
    for entry in entries:
        demand.update(entry)

    assert demand.due_from(ROUTES["open_limit"]) == 2
    assert demand.due_from(ROUTES["history"]) == 0

    for entry in entries:
        demand.forget(entry)
        demand.forget(entry)  # once more, as one that was never noted

    assert (demand.due_from(ROUTES["open_limit"]), len(demand)) == (0, 0)


# -- who goes first ----------------------------------------------------------------------


def place(
    route: Route,
    seq: int,
    *,
    size: int = 1,
    kill: bool = False,
    looking: bool = False,
    waited_s: float = 0.0,
) -> PriorityKey:
    """Return the place of a group whose head came as the seq-th."""
    ref = OrderRef(str(seq), IdKind.VENUE)
    progress = new_progress(ref)._replace(phase=Phase.PRECHECK if looking else Phase.CONFIRM)
    head = Entry(
        ref.id, ref.id, ref[1:4], progress, (), seq, kill, NOW_S, since=NOW_S - waited_s
    )
    return priority(Group(route, 1, size=size), head, NOW_S)


def test_kills_then_cancels_then_looks_then_confirmations() -> None:
    ordered = [
        place(CANCEL, 9, kill=True),
        place(LOOKUP, 8, kill=True),
        place(CANCEL, 7),
        place(LOOKUP, 6, looking=True),
        place(LOOKUP, 5),
    ]

    assert sorted(ordered) == ordered


def test_of_cancels_and_looks_the_oldest_goes_first() -> None:
    for route, looking in ((CANCEL, False), (LOOKUP, True)):
        assert place(route, 1, looking=looking) < place(route, 2, size=50, looking=looking)


def test_of_confirmations_the_most_go_first_but_none_waits_for_long() -> None:
    many = place(LOOKUP, 2, size=50)

    assert many < place(LOOKUP, 1)
    assert place(LOOKUP, 1, waited_s=AGED_S) < many
    assert place(LOOKUP, 1, waited_s=AGED_S) < place(LOOKUP, 2, size=50, waited_s=AGED_S)
