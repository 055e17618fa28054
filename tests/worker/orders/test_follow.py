"""The course of one id, answer by answer, over the simulation's toy venues."""

from __future__ import annotations

import pytest

from tests.simulation.toys import Boast, Hasty, Mute, Plain
from venues.base import Route, Venue, Verdict
from venues.words import (
    CancelStatus,
    Evidence,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
)
from worker.orders.follow import (
    MOST_REFUSALS,
    QUICK_TRIES,
    Again,
    Asked,
    Course,
    FinalWord,
    doubted,
    expire,
    follow,
    missed,
    next_route,
    refuse,
    sent,
    unlisted,
)
from worker.orders.follow import step as any_step
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, Phase, Search, joined, new_progress

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


def asked(venue: Venue, route: Route, started: float = LATE_S, **more: bool) -> Asked:
    return Asked(venue=venue, route=route, started=started, ended=started + 0.05, **more)


def step(
    progress: OrderProgress, venue: Venue, said: Judgement, at: float = LATE_S, **more: bool
) -> Course:
    """Send the id by its next route and take the answer in."""
    return follow(sent(progress), said, asked(venue, next_route(progress, venue), at, **more))


def again(course: Course) -> OrderProgress:
    assert isinstance(course, Again)
    return course.progress


def final(course: Course) -> tuple[CancelStatus, str]:
    assert isinstance(course, FinalWord)
    return course.status, course.reason


def looking_up(venue: Venue, ref: OrderRef = REF, **more: bool) -> OrderProgress:
    """Return the progress of an id whose cancel was accepted long ago."""
    return again(step(new_progress(ref), venue, ACCEPTED, 10.0))._replace(**more)  # type: ignore[arg-type]


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


def test_a_first_refusal_says_that_it_was_canceled_before() -> None:
    said = is_now(OrdStatus.CANCELED, reason="already_canceled")

    assert final(step(new_progress(REF), PLAIN, said)) == (
        CancelStatus.CANCELED,
        "already_canceled",
    )

    ours = new_progress(REF)._replace(sent=True)

    assert final(step(ours, PLAIN, said)) == (CancelStatus.CANCELED, "")


@pytest.mark.parametrize(
    "said", [ACCEPTED, Judgement(Verdict.UNKNOWN_ORDER), Judgement(Verdict.IN_DOUBT)]
)
def test_what_proves_nothing_is_looked_up(said: Judgement) -> None:
    progress = again(step(new_progress(REF), PLAIN, said))

    assert progress.phase is Phase.HASTY
    assert progress.sent is (said.verdict is not Verdict.UNKNOWN_ORDER)


def test_whoever_verifies_looks_up_also_what_the_reply_named() -> None:
    course = step(new_progress(REF), PLAIN, is_now(OrdStatus.CANCELED), verify=True)

    assert again(course).phase is not Phase.CANCEL


def test_a_refusal_is_final_for_one_that_went_alone() -> None:
    said = Judgement(Verdict.REFUSED, reason="bad_request")

    assert final(step(new_progress(REF), PLAIN, said, alone=True)) == (
        CancelStatus.REJECTED,
        "bad_request",
    )


def test_a_refused_batch_goes_again_one_by_one() -> None:
    progress = again(step(new_progress(REF), PLAIN, Judgement(Verdict.REFUSED)))

    assert next_route(progress, PLAIN).name == "cancel_one"


def test_refusals_of_batches_come_to_an_end() -> None:
    progress = new_progress(REF)._replace(tried=MOST_REFUSALS)

    assert final(step(progress, PLAIN, Judgement(Verdict.REFUSED)))[0] is CancelStatus.REJECTED


def test_a_refusal_after_a_cancel_in_doubt_is_looked_up() -> None:
    progress = new_progress(REF)._replace(sent=True)

    assert again(step(progress, PLAIN, Judgement(Verdict.REFUSED), alone=True)).phase is (
        Phase.HASTY
    )


def test_an_order_that_is_still_open_is_canceled_by_the_next_route() -> None:
    progress = again(step(looking_up(BOAST), BOAST, is_now(OrdStatus.NEW)))

    assert (progress.phase, progress.still_open) == (Phase.CANCEL, True)
    assert next_route(progress, BOAST).name == "cancel_one"


def test_a_read_that_may_lag_is_repeated_before_another_cancel() -> None:
    progress = looking_up(BOAST)
    course = step(progress, BOAST, is_now(OrdStatus.NEW), at=progress.settled_at)

    assert again(course).phase is not Phase.CANCEL
    assert isinstance(course, Again)
    assert course.delay_s == pytest.approx(LAG_S - 0.05)


def test_a_wrongly_named_type_is_no_lag() -> None:
    progress = looking_up(MUTE, LIMIT)
    said = is_now(OrdStatus.NEW, ord_type=OrdType.MARKET)
    progress = again(step(progress, MUTE, said, at=progress.settled_at))

    assert (progress.phase, progress.ord_type) == (Phase.CANCEL, OrdType.MARKET)


def test_further_tries_on_an_open_order_wait_longer_each_time() -> None:
    quick = step(looking_up(PLAIN), PLAIN, is_now(OrdStatus.NEW))
    slow = step(looking_up(PLAIN)._replace(tried=QUICK_TRIES), PLAIN, is_now(OrdStatus.NEW))

    assert isinstance(quick, Again)
    assert isinstance(slow, Again)
    assert (quick.back_off, slow.back_off) == (None, (1, 0.5))


def test_a_pending_cancel_is_asked_about_again() -> None:
    course = step(looking_up(PLAIN), PLAIN, is_now(OrdStatus.PENDING_CANCEL))

    assert isinstance(course, Again)
    assert (course.progress.phase, course.back_off) == (Phase.HASTY, (1, 0.5))


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
        ("open_market", pytest.approx(LAG_S)),
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
    read_at = progress.settled_at + HASTY.read_lag_s
    course = step(progress, HASTY, ABSENT._replace(more=True), at=read_at)

    assert isinstance(course, Again)
    assert course.progress.search.page == 2
    assert course.delay_s == HASTY.read_lag_s
    assert course.progress.settled_at >= read_at


def test_what_the_look_before_the_cancel_shows_as_ended_is_proven() -> None:
    outcome = step(new_progress(LIMIT, look_first=True), MUTE, is_now(OrdStatus.FILLED))

    assert isinstance(outcome, FinalWord)
    assert (outcome.status, outcome.evidence) == (CancelStatus.FILLED, Evidence.LOOKUP)


def test_the_look_before_the_cancel_goes_on_in_the_next_list_from_its_first_page() -> None:
    progress = new_progress(LIMIT, look_first=True)._replace(search=Search(page=3))

    course = step(progress, MUTE, ABSENT)

    assert isinstance(course, Again)
    assert (course.progress.phase, course.progress.search.page) == (Phase.PRECHECK, 1)
    assert next_route(course.progress, MUTE).name == "history"


def test_a_list_that_proved_nothing_is_read_once_more_and_then_the_id_is_asked_for() -> None:
    progress = looking_up(MUTE)

    once = unlisted(progress)
    twice = unlisted(once.progress)

    assert once == Again(progress._replace(search=Search(inconclusive=1)))
    assert twice == Again(progress._replace(search=Search(page=2)))


def test_what_only_absence_can_prove_is_not_looked_for_before_the_lag_is_over() -> None:
    course = step(new_progress(LIMIT), MUTE, ACCEPTED, 10.0)

    assert isinstance(course, Again)
    assert course.delay_s == MUTE.read_lag_s
    assert course.progress.phase is Phase.CONFIRM


@pytest.mark.parametrize(("ref", "venue"), [(REF, MUTE), (LIMIT, PLAIN)])
def test_what_may_be_found_is_looked_for_at_once(ref: OrderRef, venue: Venue) -> None:
    """An order of an unknown type, or one at a venue that keeps a record."""
    course = step(new_progress(ref), venue, ACCEPTED, 10.0)

    assert isinstance(course, Again)
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


def test_a_look_before_the_cancel_ends_in_a_cancel_or_in_the_state_that_it_found() -> None:
    progress = new_progress(LIMIT, look_first=True)

    assert final(step(progress, MUTE, is_now(OrdStatus.FILLED)))[0] is CancelStatus.FILLED

    seen = again(step(progress, MUTE, is_now(OrdStatus.NEW)))

    assert (seen.phase, seen.seen_open) == (Phase.CANCEL, True)

    once = again(step(progress, MUTE, ABSENT))
    twice = again(step(once, MUTE, ABSENT))

    assert next_route(once, MUTE).name == "history"
    assert twice.phase is Phase.CANCEL
    assert again(doubted(progress, "timeout", 5.0, PLAIN)).phase is Phase.CANCEL


def test_doubts_and_misses_wait_longer_each_time() -> None:
    progress = looking_up(PLAIN)
    once = doubted(progress, "timeout", 5.0, PLAIN)
    twice = doubted(once.progress, "timeout", 6.0, PLAIN)

    assert (once.back_off, twice.back_off) == ((1, 0.5), (2, 0.5))
    assert missed(missed(new_progress(REF), "http_503").progress, "http_503").back_off == (
        2,
        0.5,
    )


@pytest.mark.parametrize(
    ("verdict", "why"),
    [(Verdict.THROTTLED, "throttled"), (Verdict.BANNED, "banned"), (Verdict.CLOCK, "clock")],
)
@pytest.mark.parametrize("wide", [True, False])
def test_what_is_said_of_the_account_says_nothing_of_the_order(
    verdict: Verdict, why: str, wide: bool
) -> None:
    progress = looking_up(MUTE)
    told = asked(MUTE, next_route(progress, MUTE), wide=wide)

    assert any_step(progress, Judgement(verdict), told) == Again(
        progress._replace(misses=1, why=why), back_off=(1, 1.0)
    )


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
