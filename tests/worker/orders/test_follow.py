"""The course of one id, answer by answer, over the simulation's toy venues."""

from __future__ import annotations

import pytest

from tests.simulation.toys import Boast, Hasty, Mute, Plain
from venues import all_venues
from venues.base import Page, Route, Venue, Verdict
from venues.coinw import CoinW
from venues.kucoin import KuCoin
from venues.words import (
    CancelStatus,
    Evidence,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
    Purpose,
)
from worker.orders.follow import (
    MOST_REFUSALS,
    TRIES_A_ROUTE,
    FinalWord,
    NextStep,
    ReplyContext,
    Transition,
    doubted,
    expire,
    follow,
    inconclusive_list,
    next_route,
    not_effective,
    perhaps_canceled,
    refuse,
    sent,
    sighted,
)
from worker.orders.follow import step as any_step
from worker.orders.judge import Judgement
from worker.orders.progress import (
    OrderProgress,
    Phase,
    Read,
    Search,
    came,
    joined,
    new_progress,
)

REF = OrderRef("o1", IdKind.VENUE, "AAA")
LIMIT = OrderRef("o1", IdKind.VENUE, "AAA", OrdType.LIMIT)
PLAIN, MUTE, HASTY, BOAST = Plain(), Mute(), Hasty(), Boast()
LAG_S = Plain.read_lag_s
ABSENT = Judgement(Verdict.ABSENT)
ACCEPTED = Judgement(Verdict.ACCEPTED)
#: A read that started so late does not lag behind what was sent before.
LATE_S = 1000.0


def is_now(status: OrdStatus, **more: object) -> Judgement:
    return Judgement(Verdict.STATE, ord_status=status)._replace(**more)  # type: ignore[arg-type]


def asked(venue: Venue, route: Route, started: float = LATE_S, **more: bool) -> ReplyContext:
    return ReplyContext(venue=venue, route=route, started=started, ended=started + 0.05, **more)


def step(
    progress: OrderProgress, venue: Venue, said: Judgement, at: float = LATE_S, **more: bool
) -> Transition:
    """Send the id by its next route and take the answer in."""
    return follow(sent(progress), said, asked(venue, next_route(progress, venue), at, **more))


def again(course: Transition) -> OrderProgress:
    assert isinstance(course, NextStep)
    return course.progress


def final(course: Transition) -> tuple[CancelStatus, str]:
    assert isinstance(course, FinalWord)
    return course.status, course.reason


def looking_up(venue: Venue, ref: OrderRef = REF, **more: bool) -> OrderProgress:
    """Return the progress of an id that was canceled, and missing from a list, long ago."""
    progress = again(step(new_progress(ref), venue, ACCEPTED, 10.0))
    return progress._replace(missing_since=10.1)._replace(**more)  # type: ignore[arg-type]


def at(phase: Phase, **known: object) -> OrderProgress:
    """Return an order in a phase, canceled long ago where that came before."""
    if phase is Phase.PRECHECK:
        progress = new_progress(LIMIT, look_first=True)
    elif phase is Phase.CANCEL:
        progress = new_progress(REF)
    else:
        progress = looking_up(PLAIN)._replace(phase=phase)
    return progress._replace(**known)  # type: ignore[arg-type]


PRECHECK, CANCEL, HASTY_LOOK, CONFIRM = Phase
OPEN, PENDING = is_now(OrdStatus.NEW), is_now(OrdStatus.PENDING_CANCEL)
FILLED = is_now(OrdStatus.FILLED)
IN_DOUBT, REFUSED = Judgement(Verdict.IN_DOUBT), Judgement(Verdict.REFUSED)
UNKNOWN, NOT_DONE = Judgement(Verdict.UNKNOWN_ORDER), Judgement(Verdict.NOT_DONE)
LAST_LIST = Search(("open_limit",))
#: Where an order is, what is said of it, and where it is then; or its final status.
STEPS: list[tuple[OrderProgress, Judgement, Phase | CancelStatus]] = [
    (at(PRECHECK), FILLED, CancelStatus.FILLED),
    (at(PRECHECK), OPEN, CANCEL),
    (at(PRECHECK), ABSENT, PRECHECK),
    (at(PRECHECK, search=LAST_LIST), ABSENT, CANCEL),
    (at(PRECHECK), IN_DOUBT, CANCEL),
    (at(PRECHECK), NOT_DONE, CANCEL),
    (at(CANCEL), FILLED, CancelStatus.FILLED),
    (at(CANCEL), OPEN, HASTY_LOOK),
    (at(CANCEL), ACCEPTED, HASTY_LOOK),
    (at(CANCEL), IN_DOUBT, HASTY_LOOK),
    (at(CANCEL), UNKNOWN, HASTY_LOOK),
    (at(CANCEL), NOT_DONE, CANCEL),
    (at(CANCEL), REFUSED, CANCEL),
    (at(CANCEL, tried=MOST_REFUSALS * TRIES_A_ROUTE), REFUSED, CancelStatus.REJECTED),
    (at(CANCEL, sent=True), REFUSED, HASTY_LOOK),
    *[
        (at(phase), said, following)
        for phase in (HASTY_LOOK, CONFIRM)
        for said, following in (
            (FILLED, CancelStatus.FILLED),
            (OPEN, CANCEL),
            (PENDING, phase),
            (ABSENT, CancelStatus.NOT_FOUND),
            (IN_DOUBT, phase),
            (UNKNOWN, phase),
            (NOT_DONE, phase),
        )
    ],
]


def where(course: Transition) -> Phase | CancelStatus:
    return course.status if isinstance(course, FinalWord) else course.progress.phase


@pytest.mark.parametrize(
    ("progress", "said", "following"),
    STEPS,
    ids=[f"{p.phase}: {s.ord_status or s.verdict} -> {f}" for p, s, f in STEPS],
)
def test_an_answer_leads_from_a_phase_to_a_phase_or_to_the_end(
    progress: OrderProgress, said: Judgement, following: Phase | CancelStatus
) -> None:
    venue = MUTE if progress.phase is PRECHECK else PLAIN

    assert where(step(progress, venue, said)) is following


#: The same for a read that may lag behind the cancel.
LAGGING: list[tuple[Phase, Judgement, Phase | CancelStatus]] = [
    (HASTY_LOOK, OPEN, CONFIRM),
    (HASTY_LOOK, ABSENT, CONFIRM),
    (HASTY_LOOK, FILLED, CancelStatus.FILLED),
    (CONFIRM, OPEN, CONFIRM),
    (CONFIRM, ABSENT, CONFIRM),
    (CONFIRM, FILLED, CancelStatus.FILLED),
]


@pytest.mark.parametrize(("phase", "said", "following"), LAGGING)
def test_neither_absence_nor_an_open_order_counts_before_the_lag_is_over(
    phase: Phase, said: Judgement, following: Phase | CancelStatus
) -> None:
    progress = at(phase)

    assert where(step(progress, PLAIN, said, at=progress.settled_at)) is following


@pytest.mark.parametrize(
    ("said", "more", "sent_before", "following"),
    [
        (REFUSED, {"alone": True}, False, CancelStatus.REJECTED),
        (REFUSED, {"alone": True}, True, HASTY_LOOK),
        (FILLED, {"verify": True}, False, HASTY_LOOK),
    ],
)
def test_what_follows_a_cancel_depends_on_its_company_and_on_who_asks(
    said: Judgement, more: dict[str, bool], sent_before: bool, following: Phase | CancelStatus
) -> None:
    course = step(at(CANCEL, sent=sent_before), PLAIN, said, **more)

    assert where(course) is following


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("lists_all", [True, False])
@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (Verdict.THROTTLED, "throttled"),
        (Verdict.BANNED, "banned"),
        (Verdict.CLOCK, "clock"),
    ],
)
def test_what_is_said_of_the_account_leaves_an_order_in_its_phase(
    phase: Phase, lists_all: bool, verdict: Verdict, why: str
) -> None:
    progress = at(phase)
    told = asked(MUTE, next_route(progress, MUTE), lists_all=lists_all)

    assert any_step(progress, Judgement(verdict), told) == NextStep(
        progress._replace(misses=1, why=why), back_off=(1, 1.0)
    )


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(("reason", "why"), [("auth", "auth"), ("", "halted")])
def test_a_refused_key_leaves_an_order_as_it_is_until_the_account_is_served(
    phase: Phase, reason: str, why: str
) -> None:
    progress = at(phase)
    told = asked(MUTE, next_route(progress, MUTE))

    assert any_step(progress, Judgement(Verdict.HALT, reason=reason), told) == NextStep(
        progress._replace(why=why)
    )


def test_a_reply_that_never_came_ends_the_look_before_the_cancel() -> None:
    assert again(doubted(at(PRECHECK), "timeout", 5.0, PLAIN)).phase is CANCEL


def test_what_a_look_up_shows_is_proven_by_it() -> None:
    for phase in PRECHECK, HASTY_LOOK, CONFIRM:
        word = step(at(phase), MUTE if phase is PRECHECK else PLAIN, FILLED)
        assert isinstance(word, FinalWord)
        assert word.evidence is Evidence.LOOKUP


def test_what_the_look_before_the_cancel_shows_open_was_seen_open() -> None:
    seen = again(step(at(PRECHECK), MUTE, OPEN))

    assert (seen.phase, seen.seen_open) == (CANCEL, True)


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        (OrdStatus.CANCELED, CancelStatus.CANCELED, ""),
        (OrdStatus.FILLED, CancelStatus.FILLED, "too_late"),
        (OrdStatus.EXPIRED, CancelStatus.CLOSED, "expired"),
        (OrdStatus.REJECTED, CancelStatus.CLOSED, "rejected_by_venue"),
    ],
)
def test_a_state_that_ended_is_final_from_a_reply_and_from_a_look_up(
    state: OrdStatus, status: CancelStatus, reason: str
) -> None:
    assert final(step(new_progress(REF), PLAIN, is_now(state))) == (status, reason)
    assert final(step(looking_up(PLAIN), PLAIN, is_now(state))) == (status, reason)


def test_the_quantity_executed_is_told_with_the_state_that_settles_the_order() -> None:
    for progress in new_progress(REF), looking_up(PLAIN):
        word = step(progress, PLAIN, is_now(OrdStatus.CANCELED, cum_qty="4.0"))

        assert isinstance(word, FinalWord)
        assert (word.status, word.outcome("o1").cum_qty) == (CancelStatus.CANCELED, "4.0")


def test_what_was_executed_while_it_rested_is_no_final_quantity() -> None:
    seen = again(step(looking_up(PLAIN), PLAIN, is_now(OrdStatus.NEW, cum_qty="4")))
    missing = again(step(again(step(seen, PLAIN, ACCEPTED, 10.0)), PLAIN, ABSENT, 10.1))
    word = step(missing, PLAIN, ABSENT)

    assert isinstance(word, FinalWord)
    assert (word.status, word.cum_qty) == (CancelStatus.CLOSED, "")


def test_an_order_executed_in_part_is_closed_and_not_filled() -> None:
    part = is_now(OrdStatus.CANCELED, reason="partially_filled", cum_qty="4")
    for progress in new_progress(REF), looking_up(PLAIN):
        course = step(progress, PLAIN, part)

        assert final(course) == (CancelStatus.CLOSED, "partially_filled")


def test_a_refused_batch_goes_again_one_by_one() -> None:
    progress = again(step(new_progress(REF), PLAIN, Judgement(Verdict.REFUSED)))

    assert next_route(progress, PLAIN).name == "cancel_one"


def test_an_order_that_is_still_open_goes_as_a_batch_once_more_and_then_alone() -> None:
    progress, routes = new_progress(REF), []
    for _ in range(4):
        routes.append(next_route(progress, BOAST).name)
        looking = again(step(progress, BOAST, ACCEPTED))
        progress = again(step(looking, BOAST, OPEN, at=LATE_S + 10))
        assert (progress.phase, progress.still_open) == (CANCEL, True)

    assert routes == ["cancel_batch", "cancel_batch", "cancel_one", "cancel_one"]


NOT_TOLD = Judgement(Verdict.IN_DOUBT, reason="not_named")


@pytest.mark.parametrize("said", [UNKNOWN, NOT_TOLD])
def test_an_open_order_that_a_cancel_passed_over_goes_alone_at_once_but_once(
    said: Judgement,
) -> None:
    """It was not taken, so no read can lag behind that; a second time it may be over."""
    progress = at(CANCEL)
    looking = again(step(progress, BOAST, said, at=10.0))
    progress = again(step(looking, BOAST, OPEN, at=10.1))

    assert (progress.phase, next_route(progress, BOAST).name) == (CANCEL, "cancel_one")

    looking = again(step(progress, BOAST, said, at=10.2))

    assert where(step(looking, BOAST, OPEN, at=10.3)) is CONFIRM


def test_what_an_untrusted_reply_shows_open_never_ends_as_not_found() -> None:
    shown = ACCEPTED._replace(ord_status=OrdStatus.NEW)
    looking = again(step(new_progress(REF), BOAST, shown, at=10.0))
    missing = again(step(looking, BOAST, ABSENT, at=10.1))

    assert where(step(missing, BOAST, ABSENT)) is CancelStatus.CLOSED


MINE = OrderRef("c1", IdKind.CLIENT, "AAA")
#: When each order is shown that was on its way when the job came.
ALL_THERE_S = 100.0 + PLAIN.birth_lag_s + PLAIN.read_lag_s


@pytest.mark.parametrize("seen_open", [False, True])
@pytest.mark.parametrize("phase", [CANCEL, HASTY_LOOK, CONFIRM])
def test_the_end_of_an_order_does_not_speak_for_a_newer_one_of_its_client_id(
    phase: Phase, seen_open: bool
) -> None:
    progress = came(new_progress(MINE), 100.0)._replace(phase=phase, seen_open=seen_open)
    course = step(progress, PLAIN, FILLED, at=100.1)

    assert isinstance(course, NextStep)
    assert course.progress.phase is CONFIRM
    assert 100.15 + course.delay_s == pytest.approx(ALL_THERE_S)
    assert where(step(course.progress, PLAIN, OPEN, at=ALL_THERE_S)) is CANCEL
    assert where(step(course.progress, PLAIN, FILLED, at=ALL_THERE_S)) is CancelStatus.FILLED
    assert where(step(course.progress, PLAIN, ABSENT, at=ALL_THERE_S - 0.1)) is CONFIRM


def test_a_venue_order_id_names_one_order_for_ever() -> None:
    progress = came(new_progress(REF), 100.0)

    assert where(step(progress, PLAIN, FILLED, at=100.1)) is CancelStatus.FILLED


def test_a_read_that_may_lag_is_repeated_before_another_cancel() -> None:
    progress = looking_up(BOAST)
    course = step(progress, BOAST, is_now(OrdStatus.NEW), at=progress.settled_at)

    assert again(course).phase is not Phase.CANCEL
    assert isinstance(course, NextStep)
    assert course.delay_s == pytest.approx(LAG_S - 0.05)


def test_a_wrongly_named_type_is_no_lag() -> None:
    progress = looking_up(MUTE, LIMIT)
    said = is_now(OrdStatus.NEW, ord_type=OrdType.MARKET)
    progress = again(step(progress, MUTE, said, at=progress.settled_at))

    assert (progress.phase, progress.ord_type) == (Phase.CANCEL, OrdType.MARKET)


def read_through(
    progress: OrderProgress, venue: Venue
) -> tuple[list[tuple[str, float]], FinalWord]:
    """Let every look-up be answered without the id; return the routes, delays and the end."""
    read: list[tuple[str, float]] = []
    now = LATE_S
    while True:
        route = next_route(progress, venue)
        course = follow(progress, ABSENT, asked(venue, route, now))
        if isinstance(course, FinalWord):
            return [*read, (route.name, 0.0)], course
        read.append((route.name, course.delay_s))
        progress, now = course.progress, now + 0.05 + course.delay_s


def test_lists_are_read_in_the_order_in_which_an_order_moves() -> None:
    """Else one that ends between two reads would be seen neither open nor in the record."""
    read, outcome = read_through(looking_up(HASTY)._replace(phase=Phase.CONFIRM), HASTY)

    assert read == [
        ("open_trailing", pytest.approx(LAG_S)),
        ("open_limit", 0.0),
        ("open_market", pytest.approx(HASTY.record_lag_s)),
        ("history", 0.0),
    ]
    assert outcome.status is CancelStatus.NOT_FOUND


def test_the_record_alone_proves_nothing() -> None:
    read, _ = read_through(looking_up(HASTY, LIMIT), HASTY)
    names = [name for name, _ in read]

    assert names[-1] == "history"
    assert names.index("open_trailing") < len(names) - 1


def test_a_read_too_early_is_no_proof_and_turns_no_page() -> None:
    progress = looking_up(HASTY, LIMIT)._replace(search=Search(("open_limit",)))
    course = step(progress, HASTY, ABSENT._replace(more=True), at=progress.settled_at)
    progress = again(course)

    assert (progress.phase, progress.search) == (Phase.CONFIRM, Search())


def test_the_next_page_of_a_list_is_read_when_it_cannot_be_older_than_this_one() -> None:
    progress = looking_up(HASTY, LIMIT)._replace(search=Search(("open_limit",)))
    read_at = progress.settled_at + HASTY.record_lag_s
    course = step(progress, HASTY, ABSENT._replace(more=True), at=read_at)

    assert isinstance(course, NextStep)
    assert course.progress.search.page == 2
    assert course.delay_s == HASTY.read_lag_s


def long_record(now: float) -> OrderProgress:
    """Return an order that left the open lists just now and is sought in the record."""
    lists = ("open_trailing", "open_limit", "open_market")
    found_missing = looking_up(HASTY, LIMIT)._replace(settled_at=now, missing_until=now)
    return found_missing._replace(phase=Phase.CONFIRM, search=Search(lists))


def test_a_record_is_read_page_after_page_without_beginning_again() -> None:
    progress, now = long_record(20.0), 20.0 + HASTY.record_lag_s
    for page in range(1, 6):
        assert (progress.search.page, next_route(progress, HASTY).name) == (page, "history")
        course = step(progress, HASTY, ABSENT._replace(more=True), at=now)
        assert isinstance(course, NextStep)
        progress, now = course.progress, now + 0.05 + course.delay_s


def test_a_record_counts_only_when_it_has_had_time_to_show_what_ended() -> None:
    early = step(long_record(20.0), HASTY, ABSENT, at=20.0 + HASTY.record_lag_s - 0.01)
    late = step(long_record(20.0), HASTY, ABSENT, at=20.0 + HASTY.record_lag_s)
    word = step(long_record(20.0), HASTY, FILLED, at=20.0)

    assert where(early) is CONFIRM
    assert where(late) is CancelStatus.NOT_FOUND
    assert where(word) is CancelStatus.FILLED


CAME_S = 100.0
#: From when on the absence of an order that nobody saw is believed, after its job came.
THERE_S = CAME_S + PLAIN.birth_lag_s + PLAIN.read_lag_s


@pytest.mark.parametrize(
    ("seen_open", "read_at", "following"),
    [
        (False, THERE_S - 0.01, CONFIRM),
        (False, THERE_S, CancelStatus.NOT_FOUND),
        (True, CAME_S + PLAIN.record_lag_s - 0.01, CONFIRM),
        (True, CAME_S + PLAIN.record_lag_s, CancelStatus.CLOSED),
    ],
)
def test_an_order_that_nobody_saw_may_still_be_on_its_way(
    seen_open: bool, read_at: float, following: Phase | CancelStatus
) -> None:
    progress = at(CONFIRM, came_at=CAME_S, seen_open=seen_open)

    assert where(step(progress, PLAIN, ABSENT, at=read_at)) is following


@pytest.mark.parametrize("venue", [MUTE, PLAIN], ids=lambda venue: venue.name)
def test_an_order_that_comes_late_is_canceled_as_soon_as_reads_are_current(
    venue: Venue,
) -> None:
    """Not only when its absence would count."""
    progress, now = came(new_progress(LIMIT), CAME_S), CAME_S
    course = step(progress, venue, ACCEPTED, now)
    assert isinstance(course, NextStep)
    while now + course.delay_s < CAME_S + venue.read_lag_s:
        now += 0.05 + course.delay_s
        course = step(course.progress, venue, ABSENT, now)
        assert isinstance(course, NextStep)
    now += 0.05 + course.delay_s

    assert now == pytest.approx(CAME_S + venue.read_lag_s, abs=0.11)
    assert again(course).phase is HASTY_LOOK
    assert where(step(again(course), venue, OPEN, now)) is CANCEL


def test_an_order_that_a_list_may_only_have_hidden_is_looked_for_once_more() -> None:
    """The read after the record must come so much later that no list hid it all the time."""
    progress, now = new_progress(LIMIT)._replace(seen_open=True, type_known=True), 20.0
    progress, read = again(step(progress, MUTE, ACCEPTED, now)), []
    while not isinstance(course := step(progress, MUTE, ABSENT, now), FinalWord):
        read.append((next_route(progress, MUTE).name, round(now, 2)))
        progress, now = course.progress, now + 0.05 + course.delay_s
    read.append((next_route(progress, MUTE).name, round(now, 2)))

    open_reads = [when for name, when in read if name == "open_limit"]
    assert open_reads[-1] - open_reads[0] >= MUTE.hidden_s
    assert ("history" in dict(read)) and read[-1][0] == "open_limit"
    assert where(step(progress, MUTE, OPEN, now)) is CANCEL


@pytest.mark.parametrize(
    ("said", "reads_of_the_record"), [(ACCEPTED, 1), (UNKNOWN, 1), (IN_DOUBT, 2), (REFUSED, 2)]
)
def test_the_record_is_read_anew_where_the_order_may_have_traded_while_it_was_hidden(
    said: Judgement, reads_of_the_record: int
) -> None:
    """A cancel that was taken, or met no open order, leaves nothing that may trade."""
    open_once = new_progress(LIMIT)._replace(seen_open=True, type_known=True, sent=True)
    course, read = absent_from(step(open_once, MUTE, said, 20.0), 20.05)

    record = [when for name, when in read if name == "history"]
    last_open_read = max(when for name, when in read if name == "open_limit")
    assert len(record) == reads_of_the_record
    assert (record[-1] >= last_open_read + MUTE.record_lag_s) is (len(record) == 2)
    assert course.status is CancelStatus.CLOSED


def test_after_a_cancel_all_the_record_is_read_anew_as_its_reply_names_no_order() -> None:
    open_once = new_progress(LIMIT)._replace(seen_open=True, type_known=True)

    _, read = absent_from(NextStep(perhaps_canceled(open_once)), 20.05)

    assert [name for name, _ in read].count("history") == 2


def absent_from(course: Transition, now: float) -> tuple[FinalWord, list[tuple[str, float]]]:
    """Return the word on an order that no look-up names, and what was read, when (seconds)."""
    read: list[tuple[str, float]] = []
    while isinstance(course, NextStep):
        now += course.delay_s
        read.append((next_route(course.progress, MUTE).name, now))
        course, now = step(course.progress, MUTE, ABSENT, now), now + 0.05
    assert isinstance(course, FinalWord)
    return course, read


def test_what_was_filled_while_a_list_hid_it_is_told_as_filled_though_the_record_is_long() -> (
    None
):
    progress, now = in_the_record(seen_open=True, cancel_in_doubt=True), LATE_S
    progress = again(step(progress, HASTY, TOO_LONG, now))
    while next_route(progress, HASTY).name != "history":
        now += MUTE.hidden_s
        progress = again(step(progress, HASTY, ABSENT, now))

    assert where(step(progress, HASTY, FILLED, now + HASTY.record_lag_s)) is CancelStatus.FILLED


def test_a_record_that_could_not_be_read_is_not_read_anew() -> None:
    unreadable = in_the_record(cancel_in_doubt=True, missing_since=1.0, missing_until=LATE_S)
    search = unreadable.search._replace(given_up="record_unreadable")

    course = step(unreadable._replace(search=search, seen_open=True), HASTY, ABSENT)

    assert final(course) == (CancelStatus.CLOSED, "record_unreadable")


def page(first: int, last: int, total: int | None = None, *, more: bool = False) -> Judgement:
    """Return the absence from a page with the rows from one number to another."""
    ids = tuple(f"o{number}" for number in range(first, last))
    return ABSENT._replace(page=Page(ids, last, total), more=more)


def in_the_record(**known: object) -> OrderProgress:
    """Return an order that every list of open orders has proven gone."""
    lists = tuple(route.name for route in HASTY.routes if route.name.startswith("open_"))
    progress = at(CONFIRM, search=Search(lists))
    missing = progress._replace(symbol="AAA", missing_since=1.0, missing_until=LATE_S)
    return missing._replace(**known)  # type: ignore[arg-type]


def test_the_next_page_is_read_at_once_where_pages_tell_their_rows() -> None:
    course = step(in_the_record(), HASTY, page(0, 100, more=True))

    assert isinstance(course, NextStep)
    assert (course.delay_s, course.back_off) == (0.0, None)
    search = course.progress.search
    assert (search.page, search.read.rows, search.read.edge[-1]) == (2, 100, "o99")


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (page(95, 190), CancelStatus.NOT_FOUND),
        (page(99, 190), CancelStatus.NOT_FOUND),
        (page(100, 190), None),  # nothing that was read before: rows may have been missed
        (page(150, 150), None),
    ],
)
def test_absence_counts_only_where_pages_overlap(
    second: Judgement, status: CancelStatus | None
) -> None:
    turned = again(step(in_the_record(), HASTY, page(0, 100, more=True)))
    course = step(turned, HASTY, second)

    if status:
        assert isinstance(course, FinalWord)
        assert course.status is status
        return
    assert isinstance(course, NextStep)
    assert course.back_off == (1, 0.5)
    assert course.progress.why == "list_changes"
    anew = course.progress.search
    assert (anew.page, anew.read) == (1, Read())
    assert expire(course.progress).reason == "list_changes"


def test_a_list_that_changes_each_time_is_read_more_and_more_slowly() -> None:
    progress = in_the_record()
    for count in 1, 2, 3, 4:
        turned = again(step(progress, HASTY, page(0, 100, more=True)))
        course = step(turned, HASTY, page(300, 400, more=True))
        assert isinstance(course, NextStep)
        assert course.back_off == (count, 0.5)
        progress = course.progress


@pytest.mark.parametrize(
    ("second", "ends"),
    [
        (page(91, 100, more=True), True),
        (page(91, 100, 100, more=True), True),
        (page(91, 100, 150, more=True), False),  # there are more, and they are not shown
        (page(91, 110, more=True), False),
    ],
)
def test_a_list_ends_where_a_page_shows_nothing_new(second: Judgement, ends: bool) -> None:
    turned = again(step(in_the_record(), HASTY, page(0, 100, more=True)))

    assert isinstance(step(turned, HASTY, second), FinalWord) is ends


TOO_LONG = Judgement(Verdict.IN_DOUBT, reason="list_too_long")


def test_the_engines_word_does_not_make_a_long_record_a_short_one() -> None:
    """Whoever the venue itself disowns, too, may have ended beyond what is read of it."""
    unseen = at(
        CONFIRM, ord_type=OrdType.LIMIT, search=in_the_record().search, missing_until=LATE_S
    )._replace(symbol="")
    (record,) = (route for route in CoinW.routes if route.name == "history")
    lists = Search(tuple(r.name for r in CoinW.routes if r.only_open or r.life_stage < 2))
    context = asked(CoinW(), record, few=True)
    asking = again(follow(unseen._replace(search=lists), TOO_LONG, context))
    assert asking.searched

    word = step(asking, CoinW(), UNKNOWN, alone=True)

    assert final(word) == (CancelStatus.NOT_FOUND, "record_too_long")


@pytest.mark.parametrize(
    ("progress", "said", "status"),
    [
        (in_the_record(seen_open=True), TOO_LONG, CancelStatus.CLOSED),
        (in_the_record(), TOO_LONG, CancelStatus.NOT_FOUND),
        (in_the_record(seen_open=True), IN_DOUBT, None),
        (at(CONFIRM, seen_open=True), TOO_LONG, None),
        (at(HASTY_LOOK, seen_open=True, search=in_the_record().search), TOO_LONG, None),
        (in_the_record(maybe_rounded=True), TOO_LONG, CancelStatus.UNCONFIRMED),
    ],
)
def test_what_is_in_no_open_list_ends_though_the_record_goes_on_beyond_what_is_read(
    progress: OrderProgress, said: Judgement, status: CancelStatus | None
) -> None:
    (record,) = (route for route in HASTY.routes if route.name == "history")
    course = follow(progress, said, asked(HASTY, record))

    assert isinstance(course, FinalWord) is bool(status)
    if isinstance(course, FinalWord):
        reason = "maybe_rounded" if progress.maybe_rounded else "record_too_long"
        assert final(course) == (status, reason)


def test_a_record_too_long_in_haste_is_read_once_more_when_its_absence_counts() -> None:
    (record,) = (route for route in HASTY.routes if route.name == "history")
    hasty = at(HASTY_LOOK, search=in_the_record().search)

    assert where(follow(hasty, TOO_LONG, asked(HASTY, record))) is CONFIRM


def last_page(first: int, last: int) -> Judgement:
    """Return what is said of the last page that is read of a record that goes on."""
    return TOO_LONG._replace(page=page(first, last).page)


#: The first page of a list, and one that shows row 190, too.
TOP, MET = page(0, 100, more=True), page(95, 195, more=True)
#: The same with newer rows on top.
NEWER = page(-50, 50, more=True)


def joining(number: int, rows: int) -> OrderProgress:
    """Return an order that is read for with others, who have read so many rows."""
    edge = page(rows - 95, rows + 5).page
    assert edge is not None
    others = Search(page=number, read=Read(rows, 0, edge.ids))
    return in_the_record(seen_open=True, search=in_the_record().search.joining(others))


@pytest.mark.parametrize(
    ("below", "above", "reason"),
    [
        # With others to the list's end, then from the top to where it joined them.
        ([page(190, 290, more=True), page(285, 300)], [TOP, MET], "no_record"),
        ([page(190, 250)], [TOP, MET], "no_record"),
        # New rows have moved the others down; or one page holds all.
        ([page(190, 250)], [NEWER, page(45, 145, more=True), MET], "no_record"),
        ([page(190, 250)], [page(0, 250)], "no_record"),
        # Or to the last page that is read of it.
        ([last_page(190, 290)], [TOP, MET], "record_too_long"),
        ([page(190, 290, more=True), last_page(285, 385)], [TOP, MET], "record_too_long"),
        ([page(190, 250)], [TOP, last_page(95, 185)], "record_too_long"),
    ],
)  # fmt: skip
def test_who_joins_others_at_a_record_reads_what_is_below_and_then_what_is_above(
    below: list[Judgement], above: list[Judgement], reason: str
) -> None:
    progress = joining(3, 190)
    for said in below:
        progress = again(step(progress, HASTY, said))
    assert (progress.search.page, progress.search.read) == (1, Read())
    *turned, last = above
    for said in turned:
        progress = again(step(progress, HASTY, said))

    assert final(step(progress, HASTY, last)) == (CancelStatus.CLOSED, reason)


def test_what_a_record_shows_above_where_an_order_joined_others_is_told() -> None:
    progress = again(step(joining(3, 190), HASTY, page(190, 250)))

    assert where(step(progress, HASTY, FILLED)) is CancelStatus.FILLED


def test_rows_missed_above_where_an_order_joined_others_have_the_list_read_anew() -> None:
    progress = again(step(joining(3, 190), HASTY, page(190, 250)))
    progress = again(step(progress, HASTY, page(0, 100, more=True)))

    anew = again(step(progress, HASTY, page(120, 220, more=True)))

    assert anew.why == "list_changes"
    assert anew.search == in_the_record().search._replace(inconclusive=1, since=LATE_S + 0.05)


def test_without_its_record_an_order_is_looked_for_once_more_where_lists_may_hide_it() -> None:
    progress = in_the_record(seen_open=True, missing_since=LATE_S - 1, missing_until=LATE_S - 1)
    progress = again(step(progress, HASTY, TOO_LONG))
    read, word = read_through(progress, HASTY)
    names = [name for name, _ in read]

    assert "open_limit" in names
    assert "history" not in names
    assert final(word) == (CancelStatus.CLOSED, "record_too_long")


def test_a_record_that_settles_nothing_for_a_moment_is_read_on() -> None:
    """What befell some requests says nothing of the record, which may name a fill."""
    progress = in_the_record(seen_open=True)
    for passed_s in range(30):
        progress = again(step(progress, HASTY, IN_DOUBT, LATE_S + passed_s))

    assert where(step(progress, HASTY, FILLED, LATE_S + 30)) is CancelStatus.FILLED
    word = step(progress, HASTY, IN_DOUBT, LATE_S + 30)
    assert final(word) == (CancelStatus.CLOSED, "record_unreadable")


def test_two_doubts_of_a_record_are_not_enough_however_far_apart() -> None:
    progress = again(step(in_the_record(seen_open=True), HASTY, IN_DOUBT))

    assert where(step(progress, HASTY, IN_DOUBT, LATE_S + 100)) is CONFIRM


@pytest.mark.parametrize("why", ["timeout", "list_changes"])
def test_a_page_that_is_read_ends_a_row_of_doubts_but_of_a_list_that_changes(why: str) -> None:
    progress = in_the_record(seen_open=True)
    for passed_s in 0, 20, 40:
        doubt = IN_DOUBT._replace(reason=why)
        progress = again(step(progress, HASTY, doubt, LATE_S + passed_s))
        turned = page(4 * passed_s, 4 * passed_s + 100, more=True)
        progress = again(step(progress, HASTY, turned, LATE_S + passed_s))
        if why == "list_changes" and passed_s == 20:
            break

    word = step(progress, HASTY, IN_DOUBT._replace(reason=why), LATE_S + 60)
    assert isinstance(word, FinalWord) is (why == "list_changes")


KRAKEN = all_venues()["kraken_futures"]


def test_a_record_that_cannot_be_read_leaves_the_others_to_be_read() -> None:
    open_routes = tuple(route.name for route in KRAKEN.routes if not route.life_stage)
    missing = {"missing_since": 1.0, "missing_until": LATE_S}
    progress = at(CONFIRM, search=Search(open_routes), seen_open=True, **missing)
    assert next_route(progress, KRAKEN).name == "trigger_history"
    for passed_s in 0, 20, 40:
        progress = again(step(progress, KRAKEN, IN_DOUBT, LATE_S + passed_s))

    assert next_route(progress, KRAKEN).name == "history"
    assert where(step(progress, KRAKEN, FILLED, LATE_S + 60)) is CancelStatus.FILLED
    word = step(progress, KRAKEN, ABSENT, LATE_S + 60)
    assert final(word) == (CancelStatus.CLOSED, "record_unreadable")


def test_an_order_that_fired_is_not_told_as_over_while_what_it_placed_is_not_known() -> None:
    progress = in_the_record(seen_open=True, why="trigger_fired")

    assert where(step(progress, HASTY, ABSENT, LATE_S + 60)) is CONFIRM


@pytest.mark.parametrize("reason", ["nothing_executed", "unmapped_state", "trigger_fired"])
def test_a_doubt_of_the_order_itself_is_none_of_the_record(reason: str) -> None:
    progress = in_the_record(seen_open=True)
    for passed_s in 0, 20, 40, 60:
        said = IN_DOUBT._replace(reason=reason)
        progress = again(step(progress, HASTY, said, LATE_S + passed_s))

    assert expire(progress).status is CancelStatus.UNCONFIRMED


def test_each_list_that_may_hide_an_order_is_read_after_it_was_hidden_for_so_long() -> None:
    """Nobody knows which one does: the first is read again, though others were read since."""
    hidden_until = LATE_S + MUTE.hidden_s
    progress = looking_up(MUTE)._replace(
        phase=Phase.CONFIRM, seen_open=True, missing_since=LATE_S
    )
    read_last: dict[str, float] = {}

    started = hidden_until - 1.0
    course: Transition = NextStep(progress)
    while isinstance(course, NextStep):
        read_last[next_route(course.progress, MUTE).name] = started
        course, started = step(course.progress, MUTE, ABSENT, started), started + 2.0

    assert final(course) == (CancelStatus.CLOSED, "no_record")
    open_lists = ("open_trailing", "open_limit", "open_market")
    assert min(read_last[name] for name in open_lists) >= hidden_until


def test_a_list_that_shows_an_order_corrects_the_type_that_its_producer_stated() -> None:
    """Else only lists that never show it would have to miss it."""
    stated = at(CONFIRM, ord_type=OrdType.LIMIT, missing_since=LATE_S, search=LAST_LIST)

    seen = sighted(stated, "AAA", OrdType.TRIGGER)

    assert (seen.ord_type, seen.search, seen.missing_since) == (OrdType.TRIGGER, Search(), 0.0)
    assert seen.seen_open


def test_a_type_that_nobody_stated_is_not_learned_from_a_look_for_others() -> None:
    """It would part the order from the others of its batch."""
    seen = sighted(at(CONFIRM, missing_since=LATE_S, search=LAST_LIST), "", OrdType.TRIGGER)

    assert (seen.ord_type, seen.search, seen.missing_since) == (OrdType.ANY, LAST_LIST, 0.0)


def test_only_the_lists_of_its_type_can_miss_an_order() -> None:
    """A list of another type never shows it, hidden or not."""
    known = at(CONFIRM, ord_type=OrdType.TRAILING_STOP, type_known=True, missing_since=0.0)

    missed = again(step(known, HASTY, ABSENT))
    other = again(
        step(missed._replace(search=Search(("open_trailing",))), HASTY, ABSENT, 2000.0)
    )

    assert next_route(known, HASTY).name == "open_trailing"
    assert (missed.missing_since, missed.missing_until) == (LATE_S + 0.05, LATE_S)
    assert other.missing_until == LATE_S


def test_the_look_before_the_cancel_goes_on_in_the_next_list_from_its_first_page() -> None:
    progress = new_progress(LIMIT, look_first=True)._replace(search=Search(page=3))

    course = step(progress, MUTE, ABSENT)

    assert isinstance(course, NextStep)
    assert (course.progress.phase, course.progress.search.page) == (Phase.PRECHECK, 1)
    assert next_route(course.progress, MUTE).name == "history"


def test_a_list_that_proved_nothing_is_read_once_more_and_then_the_id_is_asked_for() -> None:
    progress = looking_up(MUTE)

    once = inconclusive_list(progress)
    twice = inconclusive_list(once.progress)

    assert once == NextStep(progress._replace(search=Search(inconclusive=1)))
    assert twice == NextStep(progress._replace(search=Search(page=2)))


def test_what_only_absence_can_prove_is_not_looked_for_before_the_lag_is_over() -> None:
    course = step(new_progress(LIMIT), MUTE, ACCEPTED, 10.0)

    assert isinstance(course, NextStep)
    assert course.delay_s == MUTE.read_lag_s
    assert course.progress.phase is Phase.CONFIRM


@pytest.mark.parametrize(("ref", "venue"), [(REF, MUTE), (LIMIT, PLAIN)])
def test_what_may_be_found_is_looked_for_at_once(ref: OrderRef, venue: Venue) -> None:
    """An order of an unknown type, or one at a venue that keeps a record."""
    course = step(new_progress(ref), venue, ACCEPTED, 10.0)

    assert isinstance(course, NextStep)
    assert (course.delay_s, course.progress.phase) == (0.0, Phase.HASTY)


def test_a_list_that_goes_on_is_read_on() -> None:
    progress = looking_up(HASTY)._replace(
        phase=Phase.CONFIRM, search=Search(("open_trailing", "open_limit", "open_market"))
    )
    progress = again(step(progress, HASTY, ABSENT._replace(more=True)))

    assert (progress.search.page, next_route(progress, HASTY).name) == (2, "history")


@pytest.mark.parametrize(
    ("seen_open", "status", "reason"),
    [
        (False, CancelStatus.NOT_FOUND, "unknown_order"),
        (True, CancelStatus.CLOSED, "no_record"),
    ],
)
def test_what_is_nowhere_is_gone(seen_open: bool, status: CancelStatus, reason: str) -> None:
    progress = looking_up(PLAIN, seen_open=seen_open)

    assert final(step(progress, PLAIN, ABSENT)) == (status, reason)


def test_what_a_venue_without_a_record_does_not_show_may_have_been_canceled_by_us() -> None:
    _, outcome = read_through(looking_up(MUTE), MUTE)

    assert final(outcome) == (CancelStatus.NOT_FOUND, "no_record_after_cancel")


def test_doubts_and_misses_wait_longer_each_time() -> None:
    progress = looking_up(PLAIN)
    once = doubted(progress, "timeout", 5.0, PLAIN)
    twice = doubted(once.progress, "timeout", 6.0, PLAIN)

    assert (once.back_off, twice.back_off) == ((1, 0.5), (2, 0.5))
    progress = not_effective(new_progress(REF), "http_503").progress
    assert not_effective(progress, "http_503").back_off == (2, 0.5)


def test_what_another_job_learned_is_kept_and_the_step_stays() -> None:
    other = looking_up(MUTE)._replace(
        seen_open=True,
        still_open=True,
        ord_type=OrdType.MARKET,
        type_known=True,
    )
    progress = joined(new_progress(OrderRef("o1", IdKind.VENUE)), other)

    assert (progress.phase, progress.sent, progress.seen_open) == (Phase.CANCEL, True, True)
    assert (progress.attempts, progress.symbol, progress.ord_type) == (1, "AAA", OrdType.MARKET)
    assert expire(progress).reason == "still_open"


def test_a_learned_type_says_anew_which_lists_are_to_be_read() -> None:
    """The lists of the learned type may all be read already, and then none would be next."""
    progress = looking_up(HASTY)._replace(
        phase=Phase.CONFIRM, search=Search(("open_limit", "history"))
    )
    other = new_progress(REF)._replace(ord_type=OrdType.LIMIT, type_known=True)

    assert next_route(joined(progress, other), HASTY).name == "open_limit"


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({}, CancelStatus.FAILED, "deadline"),
        ({"why": "throttled"}, CancelStatus.FAILED, "throttled"),
        ({"sent": True}, CancelStatus.UNCONFIRMED, "deadline"),
        ({"sent": True, "still_open": True}, CancelStatus.FAILED, "still_open"),
    ],
)
def test_at_the_deadline_what_is_not_known_is_said_to_be_not_known(
    facts: dict[str, bool], status: CancelStatus, reason: str
) -> None:
    outcome = expire(new_progress(REF)._replace(**facts))  # type: ignore[arg-type]

    assert (outcome.status, outcome.reason) == (status, reason)


@pytest.mark.parametrize(
    ("was_sent", "status"), [(False, CancelStatus.REJECTED), (True, CancelStatus.UNCONFIRMED)]
)
def test_a_halted_account_refuses_what_was_not_sent(
    was_sent: bool, status: CancelStatus
) -> None:
    assert refuse(new_progress(REF)._replace(sent=was_sent), "auth").status is status


def test_an_id_that_a_worker_that_died_may_have_sent_starts_so() -> None:
    assert [new_progress(REF, sent=known).sent for known in (True, False)] == [True, False]


@pytest.mark.parametrize("ord_type", [OrdType.LIMIT, OrdType.MARKET])
def test_a_list_that_teaches_the_type_beside_an_unknown_state_is_asked_again(
    ord_type: OrdType,
) -> None:
    """All lists of that type had not shown the order, so that none of them would be next."""
    venue = CoinW()
    lists = [route.name for route in venue.routes if route.purpose is Purpose.LOOKUP]
    progress = new_progress(OrderRef("1", IdKind.VENUE, "BTC"))._replace(
        phase=Phase.CONFIRM, search=Search(tuple(set(lists) - {"archive"}))
    )
    odd = Judgement(Verdict.IN_DOUBT, ord_type=ord_type, reason="unmapped_state")

    assert next_route(again(step(progress, venue, odd)), venue).name == "archive"


def test_an_order_that_a_list_showed_in_an_unknown_state_is_never_told_as_gone() -> None:
    """It was there, whatever it was, so that what other lists do not show proves nothing."""
    lists = [route.name for route in MUTE.routes if route.purpose is Purpose.LOOKUP]
    last = lists.pop()
    progress = new_progress(REF)._replace(
        phase=Phase.CONFIRM, search=Search(tuple(lists)), sent=True, why="unmapped_state"
    )
    progress = progress._replace(missing_since=1.0, missing_until=LATE_S)
    (route,) = (route for route in MUTE.routes if route.name == last)
    course = follow(progress, ABSENT, asked(MUTE, route))

    assert again(course).why == "unmapped_state"


@pytest.mark.parametrize(("after_s", "counts"), [(0.1, False), (CoinW.birth_lag_s, True)])
def test_the_engine_disowns_no_order_that_may_be_on_its_way(
    after_s: float, counts: bool
) -> None:
    venue, trigger = CoinW(), OrderRef("1", IdKind.VENUE, "BTC", OrdType.TRIGGER)
    canceling = came(new_progress(trigger), 100.0)
    unknown = Judgement(Verdict.UNKNOWN_ORDER)
    (route,) = (route for route in venue.routes if route.name == "cancel_one")
    course = follow(sent(canceling), unknown, asked(venue, route, 100.0 + after_s))

    assert again(course).disowned is counts


def test_a_trigger_order_that_the_single_cancel_does_not_know_goes_in_a_batch_at_once() -> None:
    venue, trigger = CoinW(), OrderRef("1", IdKind.VENUE, "BTC", OrdType.TRIGGER)
    unknown = step(new_progress(trigger), venue, Judgement(Verdict.UNKNOWN_ORDER))
    untyped = again(unknown)

    assert unknown == NextStep(untyped)
    assert (untyped.phase, next_route(untyped, venue).name) == (Phase.CANCEL, "cancel_untyped")
    assert again(step(untyped, venue, ACCEPTED)).phase is not Phase.CANCEL


def test_what_the_only_cancel_does_not_know_is_looked_for_and_not_canceled_again() -> None:
    venue, stop = KuCoin(), OrderRef("stop-1", IdKind.CLIENT, "XBTUSDTM", OrdType.TRIGGER)
    unknown = again(step(new_progress(stop), venue, Judgement(Verdict.UNKNOWN_ORDER)))

    assert stop.ord_type in next_route(new_progress(stop), venue).unproven_for
    assert next_route(unknown, venue).purpose is Purpose.LOOKUP


DEMANDED = Judgement(Verdict.SYMBOL_DEMANDED, reason="bad_request")
#: Of CoinW, whose lists may demand a symbol.
COINW_LIMIT = OrderRef("1", IdKind.VENUE, "BTC", OrdType.LIMIT)


def asked_at_coinw(progress: OrderProgress, said: Judgement, **more: bool) -> Transition:
    return step(progress, CoinW(), said, **more)


@pytest.mark.parametrize("phase", [Phase.PRECHECK, Phase.HASTY, Phase.CONFIRM])
@pytest.mark.parametrize("lists_all", [False, True])
def test_a_list_that_demands_a_symbol_is_asked_again_with_the_orders_own(
    phase: Phase, lists_all: bool
) -> None:
    looking = new_progress(COINW_LIMIT)._replace(phase=phase)
    route = next_route(looking, CoinW())
    demanding = again(any_step(looking, DEMANDED, asked(CoinW(), route, lists_all=lists_all)))
    anew = next_route(demanding, CoinW())

    assert (demanding.phase, demanding.search) == (phase, looking.search)
    assert (anew.name, anew.needs_symbol, anew.group_by) == (route.name, True, ("symbol",))
    assert not next_route(demanding, CoinW()).symbol_demanded  # it is not asked for ever


def test_lists_of_one_path_demand_alike_and_others_are_asked_first() -> None:
    looking = new_progress(COINW_LIMIT)._replace(phase=Phase.CONFIRM)
    demanding = again(asked_at_coinw(looking, DEMANDED))
    trailing = demanding._replace(ord_type=OrdType.TRAILING_STOP, phase=Phase.HASTY)
    record = demanding._replace(search=Search(("open_limit",)), phase=Phase.HASTY)

    assert next_route(trailing, CoinW()).needs_symbol
    assert next_route(record, CoinW()).name == "history"
    assert not next_route(record, CoinW()).needs_symbol


def test_a_list_that_demands_a_symbol_which_nobody_stated_settles_nothing() -> None:
    looking = new_progress(COINW_LIMIT._replace(symbol=""))._replace(sent=True)
    precheck = looking._replace(phase=Phase.PRECHECK)
    hasty = looking._replace(phase=Phase.HASTY)
    word = asked_at_coinw(looking._replace(phase=Phase.CONFIRM), DEMANDED)

    assert again(asked_at_coinw(precheck, DEMANDED)).phase is Phase.CANCEL
    # What the other lists show is canceled again before that is told.
    assert again(asked_at_coinw(hasty, DEMANDED)).search.absent_from == ("open_limit",)
    assert final(word) == (CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup")
    assert isinstance(word, FinalWord)
    assert word.outcome("1").text == "not every list could be asked: state the symbol"


#: Paths of all lists of CoinW that do without a symbol.
DEMANDING = frozenset(route.path for route in CoinW.routes if route.symbol_demanded)


def nowhere(**known: object) -> OrderProgress:
    """Return an order of CoinW that every list but the last one has not shown."""
    lists = [
        r.name for r in CoinW.routes if r.purpose is Purpose.LOOKUP and r.name != "archive"
    ]
    progress = new_progress(COINW_LIMIT)._replace(
        phase=Phase.CONFIRM,
        search=Search(tuple(lists)),
        sent=True,
        missing_since=10.0,
        missing_until=100.0,
        by_symbol=DEMANDING,
    )
    return progress._replace(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "word"),
    [
        # Whether it rests under another symbol only the engine knows, which few are asked of.
        ({}, (CancelStatus.UNCONFIRMED, "symbol_unproven")),
        ({"disowned": True}, (CancelStatus.NOT_FOUND, "none_of_symbol")),
        # That the engine would know a trigger order by this route is not documented.
        (
            {"disowned": True, "ord_type": OrdType.TRIGGER},
            (CancelStatus.UNCONFIRMED, "symbol_unproven"),
        ),
        # A row of the venue told symbol and type.
        (
            {"seen_open": True, "type_known": True, "ord_type": OrdType.TRIGGER},
            (CancelStatus.CLOSED, "no_record"),
        ),
        # Open lists that show all symbols prove it, whatever the record demands.
        (
            {"by_symbol": DEMANDING - {"/v1/perpum/order"}},
            (CancelStatus.NOT_FOUND, "none_of_symbol"),
        ),
        ({"by_symbol": frozenset()}, (CancelStatus.NOT_FOUND, "no_record_after_cancel")),
    ],
)
def test_absence_under_a_symbol_that_was_stated_is_no_absence(
    known: dict[str, object], word: tuple[CancelStatus, str]
) -> None:
    assert final(asked_at_coinw(nowhere(**known), ABSENT)) == word


def test_the_engine_is_asked_for_few_orders_that_lists_show_by_symbol_only() -> None:
    asking = again(asked_at_coinw(nowhere(), ABSENT, few=True))

    assert (asking.phase, asking.searched) == (Phase.CANCEL, True)
    assert next_route(asking, CoinW()).name == "cancel_one"


def test_the_engine_is_asked_once_where_type_and_symbol_may_both_be_wrong() -> None:
    """It takes a cancel by the id alone, or says that it knows no such order."""
    missing = nowhere(by_symbol=frozenset())
    gone = (CancelStatus.NOT_FOUND, "no_record_after_cancel")

    asking = again(asked_at_coinw(missing, ABSENT, few=True))
    assert next_route(asking, CoinW()).name == "cancel_one"
    assert final(asked_at_coinw(asking, UNKNOWN, few=True)) == gone

    taken = again(asked_at_coinw(asking, ACCEPTED, few=True))
    assert taken.phase is not Phase.CANCEL
    looked_again = missing._replace(engine_took=taken.engine_took)
    assert final(asked_at_coinw(looked_again, ABSENT, few=True)) == gone


@pytest.mark.parametrize("sure", [{"type_known": True}, {"seen_open": True}, {}])
def test_the_engine_is_not_asked_of_what_was_shown_nor_of_many(sure: dict[str, object]) -> None:
    missing = nowhere(by_symbol=frozenset(), **sure)

    assert isinstance(asked_at_coinw(missing, ABSENT, few=bool(sure)), FinalWord)


@pytest.mark.parametrize(
    ("symbol", "known", "word"),
    [
        ("", {}, (CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup")),
        ("BTC", {"sent": False}, (CancelStatus.NOT_FOUND, "unknown_order")),
        (
            "",
            {"ord_type": OrdType.ANY},
            (CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup"),
        ),
        ("", {"ord_type": OrdType.LIMIT}, (CancelStatus.NOT_FOUND, "no_record_after_cancel")),
    ],
)
def test_the_engines_word_on_what_may_be_a_trigger_order_counts_beside_its_list(
    symbol: str, known: dict[str, object], word: tuple[CancelStatus, str]
) -> None:
    missing = nowhere(symbol=symbol, by_symbol=frozenset(), ord_type=OrdType.TRIGGER)
    asking = again(asked_at_coinw(missing._replace(**known), ABSENT, few=True))  # type: ignore[arg-type]

    assert asking.searched
    assert final(asked_at_coinw(asking, UNKNOWN, few=True)) == word


def test_what_one_job_learned_of_the_lists_another_need_not() -> None:
    looking = new_progress(COINW_LIMIT)

    assert joined(looking, looking._replace(by_symbol=DEMANDING)).by_symbol == DEMANDING


def test_a_cancel_that_is_in_doubt_in_one_job_is_so_for_both() -> None:
    fresh = new_progress(LIMIT)
    doubtful = sent(fresh)

    assert [doubtful.cancel_in_doubt, fresh.cancel_in_doubt] == [True, False]
    assert joined(fresh, doubtful).cancel_in_doubt
    assert joined(doubtful, fresh).cancel_in_doubt


def test_a_read_that_may_be_of_before_an_order_came_to_be_does_not_miss_it() -> None:
    progress = again(step(new_progress(LIMIT), PLAIN, ACCEPTED, 10.0))
    newborn = progress._replace(came_at=10.0, seen_open=True)

    early = again(step(newborn, PLAIN, ABSENT, 10.5))
    later = again(step(newborn, PLAIN, ABSENT, 10.0 + LAG_S))

    assert early.missing_since == 0.0
    assert later.missing_since > 0.0


OKX, BINANCE = all_venues()["okx"], all_venues()["binance"]
BY_CLIENT = OrderRef("risk1", IdKind.CLIENT, "BTC-USDT-SWAP")
ALGO_OPEN = is_now(OrdStatus.NEW, ord_type=OrdType.TRIGGER)
IN_THE_BOOK = is_now(OrdStatus.FILLED, ord_type=OrdType.LIMIT, cum_qty="10")


def met_in_the_book() -> OrderProgress:
    """Return a client order id whose cancel met none, and which an order that ended bears."""
    unknown = again(step(new_progress(BY_CLIENT), OKX, UNKNOWN))
    return again(step(unknown, OKX, IN_THE_BOOK, LATE_S + 60))


def test_an_order_that_ended_does_not_hide_one_of_its_client_id_behind_another_door() -> None:
    at_the_door = met_in_the_book()
    assert next_route(at_the_door, OKX).name == "algo"
    rests = again(step(at_the_door, OKX, ALGO_OPEN, LATE_S + 120))
    assert next_route(rests, OKX).name == "cancel_algos"


def test_where_no_other_door_shows_it_the_word_on_the_order_that_ended_stands() -> None:
    word = step(met_in_the_book(), OKX, ABSENT, LATE_S + 120)
    assert final(word) == (CancelStatus.FILLED, "too_late")
    assert (word.progress.ord_type, word.cum_qty) == (OrdType.LIMIT, "10")  # type: ignore[union-attr]


def test_an_order_that_was_canceled_now_is_looked_for_behind_no_other_door() -> None:
    taken = again(step(new_progress(BY_CLIENT), OKX, ACCEPTED))
    said = is_now(OrdStatus.CANCELED, ord_type=OrdType.LIMIT)
    assert final(step(taken, OKX, said, LATE_S + 60)) == (CancelStatus.CANCELED, "")


def test_a_canceled_order_after_a_cancel_in_doubt_may_be_an_older_one() -> None:
    doubtful = again(step(new_progress(BY_CLIENT), OKX, IN_DOUBT))
    said = is_now(OrdStatus.CANCELED, ord_type=OrdType.LIMIT)
    at_the_door = again(step(doubtful, OKX, said, LATE_S + 60))
    assert next_route(at_the_door, OKX).name == "algo"
    rests = again(step(at_the_door, OKX, ALGO_OPEN, LATE_S + 120))
    assert next_route(rests, OKX).name == "cancel_algos"


@pytest.mark.parametrize("later", [ABSENT, OPEN, FILLED])
def test_where_replies_are_verified_a_canceled_order_that_no_look_up_shows_stays_canceled(
    later: Judgement,
) -> None:
    """What a look-up does show counts for more than the reply."""
    ref = OrderRef("12", IdKind.VENUE, "BTCUSDT", OrdType.LIMIT)
    course = step(new_progress(ref), BINANCE, is_now(OrdStatus.CANCELED), verify=True)
    at, lists = LATE_S, list[str]()
    while isinstance(course, NextStep) and course.progress.phase is not Phase.CANCEL:
        at += course.delay_s + 0.1
        route = next_route(course.progress, BINANCE)
        lists += [route.name] if route.only_open else []
        course = step(course.progress, BINANCE, later, at, verify=True)

    expected = {ABSENT: CancelStatus.CANCELED, OPEN: CANCEL, FILLED: CancelStatus.FILLED}
    assert where(course) is expected[later]
    assert lists.count("open_orders") == (2 if later is ABSENT else 0)  # it may be hidden once


def test_an_answer_ends_a_row_of_attempts_that_surely_did_nothing() -> None:
    looking = looking_up(MUTE)._replace(misses=6)
    assert again(step(looking, MUTE, ABSENT)).misses == 0
    assert again(step(looking, MUTE, NOT_DONE)).misses == 7


def test_an_older_order_does_not_speak_for_one_that_was_canceled_behind_another_door() -> None:
    typed = new_progress(BY_CLIENT._replace(ord_type=OrdType.TRIGGER))
    looked = again(step(again(step(typed, OKX, ACCEPTED)), OKX, ABSENT, LATE_S + 60))
    assert next_route(looked, OKX).name == "order"
    assert again(step(looked, OKX, IN_THE_BOOK, LATE_S + 120)).why == "id_reused"


def test_a_canceled_order_that_look_ups_forget_stays_canceled() -> None:
    """Binance forgets what never traded and was placed more than three days ago."""
    by_client = came(new_progress(BY_CLIENT._replace(symbol="BTCUSDT")), LATE_S)
    course = step(by_client, BINANCE, is_now(OrdStatus.CANCELED), LATE_S)
    for number in range(20):
        if isinstance(course, FinalWord):
            break
        course = step(course.progress, BINANCE, ABSENT, LATE_S + 60.0 * number + 60)
    assert final(course) == (CancelStatus.CANCELED, "")


def test_what_an_older_order_came_to_is_not_told_of_one_that_is_open_now() -> None:
    by_client = came(new_progress(BY_CLIENT._replace(symbol="BTCUSDT")), LATE_S)
    kept = again(step(by_client, BINANCE, is_now(OrdStatus.CANCELED), LATE_S))
    assert kept.over

    assert again(step(kept, BINANCE, OPEN, LATE_S + 60)).over is None
    assert sighted(kept, "BTCUSDT").over is None


def test_in_haste_no_list_of_all_open_orders_is_read_for_what_a_look_up_by_id_may_show() -> (
    None
):
    course = step(new_progress(REF._replace(id="12", symbol="BTCUSDT")), BINANCE, UNKNOWN, 0.0)
    asked_in_haste: set[str] = set()
    while again(course).phase is Phase.HASTY and len(asked_in_haste) < 9:
        asked_in_haste.add(next_route(again(course), BINANCE).name)
        course = step(again(course), BINANCE, ABSENT, 0.1 + len(asked_in_haste))
    assert asked_in_haste == {"order", "algo"}


def test_a_record_by_symbol_beside_one_without_says_which_symbol_it_speaks_of() -> None:
    """OKX looks algo orders up without an instrument, and orders not."""
    course = step(new_progress(REF._replace(id="1" * 18, symbol="BTC-USDT-SWAP")), OKX, UNKNOWN)
    for number in range(20):
        if isinstance(course, FinalWord):
            break
        course = step(course.progress, OKX, ABSENT, LATE_S + 60.0 * number + 60)
    assert final(course) == (CancelStatus.NOT_FOUND, "none_of_symbol")
