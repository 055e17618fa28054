"""Every word of what follows an answer: whole tracks and outcomes, not only their status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from venues import all_venues
from venues.base import Route, Venue, Verdict
from venues.words import (
    CancelOutcome,
    CancelStatus,
    Evidence,
    IdKind,
    OrdStatus,
    OrdType,
)
from worker.orders.follow import FinalWord, NextStep, ReplyContext, Transition, expire, follow
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, Phase, Search, joined

KUNA, COINW = all_venues()["kuna"], all_venues()["coinw"]
#: A progress in which every counter and word is set, so that one that is dropped is missed.
CANCELING = OrderProgress(
    kind=IdKind.VENUE,
    symbol="S",
    ord_type=OrdType.LIMIT,
    attempts=2,
    tried=1,
    misses=4,
    ord_status=OrdStatus.NEW,
    why="before",
    venue_code="c",
    text="t",
)
LOOKING = CANCELING._replace(
    phase=Phase.CONFIRM, search=Search(("elsewhere",), 3, 5), sent=True, settled_at=100.0
)
LATE_S, ENDED_S = 200.0, 200.5
#: Missing from its list for a while already.
MISSING = LOOKING._replace(missing_since=150.0)


def route(venue: Venue, name: str) -> Route:
    return next(route for route in venue.routes if route.name == name)


def after(
    progress: OrderProgress, said: Judgement, venue: Venue = KUNA, **more: object
) -> NextStep | CancelOutcome:
    name = "cancel_batch" if progress.phase is Phase.CANCEL else "details"
    asked = ReplyContext(venue=venue, route=route(venue, name), started=LATE_S, ended=ENDED_S)
    return whole(follow(progress, said, replace(asked, **more)))  # type: ignore[arg-type]


def whole(course: Transition) -> NextStep | CancelOutcome:
    return course.outcome("o1") if isinstance(course, FinalWord) else course


def to_lookup(progress: OrderProgress, **more: object) -> OrderProgress:
    fresh = progress._replace(
        phase=Phase.HASTY,
        settled_at=ENDED_S,
    )
    return fresh._replace(**more)  # type: ignore[arg-type]


def ends(
    progress: OrderProgress, status: CancelStatus, reason: str, evidence: Evidence
) -> CancelOutcome:
    return CancelOutcome(
        id="o1",
        kind=IdKind.VENUE,
        symbol=progress.symbol,
        ord_type=progress.ord_type,
        status=status,
        reason=reason,
        ord_status=progress.ord_status,
        evidence=evidence,
        attempts=2,
        # Those of the answer that settled it, and these have none.
        venue_code="",
        text="",
    )


def is_now(status: OrdStatus, reason: str = "") -> Judgement:
    return Judgement(Verdict.STATE, ord_status=status, reason=reason)


CANCELED = CANCELING._replace(ord_status=OrdStatus.CANCELED)
#: An answer ends the row of attempts that surely did nothing.
ANSWERED = LOOKING._replace(misses=0)
OPEN_AGAIN = ANSWERED._replace(seen_open=True, still_open=True)
CANCELED_AGAIN = OPEN_AGAIN._replace(phase=Phase.CANCEL, search=Search())
COURSES: list[tuple[str, OrderProgress, Judgement, NextStep | CancelOutcome]] = [
    (
        "not done: the same again, more slowly each time",
        CANCELING,
        Judgement(Verdict.NOT_DONE, reason="maintenance"),
        NextStep(CANCELING._replace(misses=5, why="maintenance"), back_off=(5, 0.5)),
    ),
    (
        "not done, no reason given",
        CANCELING,
        Judgement(Verdict.NOT_DONE),
        NextStep(CANCELING._replace(misses=5, why="not_done"), back_off=(5, 0.5)),
    ),
    (
        "accepted: looked up from the beginning",
        CANCELING,
        Judgement(Verdict.ACCEPTED),
        NextStep(to_lookup(CANCELING, sent=True, misses=0, why="in_doubt")),
    ),
    (
        "in doubt: looked up, with the reason kept",
        CANCELING,
        Judgement(Verdict.IN_DOUBT, reason="http_500"),
        NextStep(to_lookup(CANCELING, sent=True, misses=0, why="http_500")),
    ),
    (
        "unknown order: looked up, though nothing was sent",
        CANCELING,
        Judgement(Verdict.UNKNOWN_ORDER, reason="unknown_order"),
        NextStep(to_lookup(CANCELING, misses=0, passed_over=True)),
    ),
    (
        "refused in company: the next route",
        CANCELING,
        Judgement(Verdict.REFUSED, reason="bad_request"),
        NextStep(CANCELING._replace(misses=0, tried=2, why="bad_request")),
    ),
    (
        "named by the reply: final, with the reply's reason",
        CANCELING,
        is_now(OrdStatus.CANCELED, "already_canceled"),
        ends(CANCELED, CancelStatus.CANCELED, "already_canceled", Evidence.REPLY),
    ),
    (
        "named by the reply after one in doubt: by us or before, nobody knows",
        CANCELING._replace(sent=True),
        is_now(OrdStatus.CANCELED, "already_canceled"),
        ends(CANCELED, CancelStatus.CANCELED, "", Evidence.REPLY),
    ),
    (
        "look-up in doubt: again, more slowly each time",
        LOOKING,
        Judgement(Verdict.IN_DOUBT, reason="http_502"),
        NextStep(
            ANSWERED._replace(search=Search(("elsewhere",), 3, 6, 200.5), why="http_502"),
            back_off=(6, 0.5),
        ),
    ),
    (
        "look-up in doubt, no reason given",
        LOOKING,
        Judgement(Verdict.IN_DOUBT),
        NextStep(
            ANSWERED._replace(
                search=Search(("elsewhere",), 3, 6, 200.5), why="lookup_in_doubt"
            ),
            back_off=(6, 0.5),
        ),
    ),
    (
        "too long a list: read from the first page",
        LOOKING,
        Judgement(Verdict.IN_DOUBT, reason="list_too_long"),
        NextStep(
            ANSWERED._replace(search=Search(("elsewhere",), 1, 6, 200.5), why="list_too_long"),
            back_off=(6, 0.5),
        ),
    ),
    (
        "being canceled: asked again",
        LOOKING,
        is_now(OrdStatus.PENDING_CANCEL),
        NextStep(
            OPEN_AGAIN._replace(
                ord_status=OrdStatus.PENDING_CANCEL,
                search=Search(("elsewhere",), 3, 1, 200.5),
                why="pending_cancel",
            ),
            back_off=(1, 0.5),
        ),
    ),
    (
        "still open: canceled again",
        LOOKING,
        is_now(OrdStatus.NEW),
        NextStep(CANCELED_AGAIN._replace(tried=2, why="still_open")),
    ),
    (
        "still open for the fourth time: more slowly from now on",
        LOOKING._replace(tried=3),
        is_now(OrdStatus.NEW),
        NextStep(
            CANCELED_AGAIN._replace(tried=4, why="still_open"),
            back_off=(1, 0.5),
        ),
    ),
    (
        "filled, says the look-up",
        LOOKING,
        is_now(OrdStatus.FILLED, "of no matter"),
        ends(
            CANCELING._replace(ord_status=OrdStatus.FILLED),
            CancelStatus.FILLED,
            "too_late",
            Evidence.LOOKUP,
        ),
    ),
    (
        "nowhere, never seen open",
        MISSING._replace(search=Search()),
        Judgement(Verdict.ABSENT),
        ends(CANCELING, CancelStatus.NOT_FOUND, "unknown_order", Evidence.LOOKUP),
    ),
    (
        "nowhere, once seen open",
        MISSING._replace(search=Search(), seen_open=True),
        Judgement(Verdict.ABSENT),
        ends(CANCELING, CancelStatus.CLOSED, "no_record", Evidence.LOOKUP),
    ),
]


@pytest.mark.parametrize(
    ("progress", "said", "course"), [case[1:] for case in COURSES], ids=[c[0] for c in COURSES]
)
def test_whole_course(
    progress: OrderProgress, said: Judgement, course: NextStep | CancelOutcome
) -> None:
    assert after(progress, said) == course


def test_a_final_word_bears_the_words_of_the_answer_that_settled_it() -> None:
    said = is_now(OrdStatus.CANCELED)._replace(venue_code="0", text="done")

    for progress, answer, words in (
        (CANCELING, said, ("0", "done")),
        (LOOKING, is_now(OrdStatus.FILLED), ("", "")),
        (MISSING, Judgement(Verdict.ABSENT, venue_code="404", text="no"), ("404", "no")),
    ):
        course = after(progress, answer)
        assert isinstance(course, CancelOutcome)
        assert (course.venue_code, course.text) == words
    assert expire(LOOKING).outcome("o1").text == "t"


def test_read_too_early_starts_over() -> None:
    """An order that a read shows open just after the cancel is read again, from the start."""
    progress = LOOKING._replace(phase=Phase.HASTY, settled_at=LATE_S + 1)
    course = after(progress, is_now(OrdStatus.NEW), started=LATE_S, ended=LATE_S + 1)

    again = OPEN_AGAIN._replace(settled_at=LATE_S + 1, search=Search())
    assert isinstance(course, NextStep)
    assert course.progress == again
    assert course.delay_s == pytest.approx(KUNA.read_lag_s)


def test_refused_alone_is_rejected() -> None:
    for said, reason in (("", "refused"), ("bad_request", "bad_request")):
        course = after(CANCELING, Judgement(Verdict.REFUSED, reason=said), alone=True)

        assert course == ends(CANCELING, CancelStatus.REJECTED, reason, Evidence.NONE)


def test_gone_but_for_a_list_that_needs_the_symbol() -> None:
    """Where a list cannot be asked, absence in the others proves nothing."""
    lists = [route.name for route in COINW.routes if not route.needs_symbol]
    progress = LOOKING._replace(
        symbol="",
        ord_type=OrdType.ANY,
        search=Search(tuple(lists[:-1])),
        missing_since=150.0,
        missing_until=160.0,
    )
    last = route(COINW, lists[-1])
    asked = ReplyContext(venue=COINW, route=last, started=LATE_S, ended=ENDED_S)

    course = whole(follow(progress, Judgement(Verdict.ABSENT), asked))

    wanted = replace(
        ends(progress, CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup", Evidence.NONE),
        text="not every list could be asked: state the symbol",
    )
    assert course == wanted


def test_what_an_answer_teaches() -> None:
    """The newest word counts; what is not said again stays."""
    said = Judgement(
        Verdict.NOT_DONE,
        reason="x",
        venue_code="new",
        text="words",
        symbol="T",
        ord_type=OrdType.MARKET,
        ord_status=OrdStatus.PARTIALLY_FILLED,
    )
    course = after(CANCELING, said)

    assert isinstance(course, NextStep)
    learned = (course.progress.venue_code, course.progress.text, course.progress.symbol)
    assert learned == ("new", "words", "T")
    assert (course.progress.ord_type, course.progress.type_known) == (OrdType.MARKET, True)
    assert course.progress.ord_status is OrdStatus.PARTIALLY_FILLED
    assert course.progress.seen_open


@pytest.mark.parametrize("sent", [True, False])
def test_two_jobs_join(sent: bool) -> None:
    """What either of two jobs knows of an id, both know; the first one's step goes on."""
    bare = OrderProgress(kind=IdKind.VENUE, search=Search(("a",), 2, 1), sent=sent)
    other = LOOKING._replace(type_known=True, still_open=True, seen_open=True)
    both = joined(bare, other)

    assert both == bare._replace(
        symbol="S",
        ord_type=OrdType.LIMIT,
        type_known=True,
        attempts=2,
        sent=True,
        seen_open=True,
        search=Search((), 1, 1),
        still_open=not sent,
        ord_status=OrdStatus.NEW,
        why="before",
    )
    assert joined(both, OrderProgress(kind=IdKind.VENUE)) == both


def test_nothing_is_learned_of_a_type_that_nobody_knows() -> None:
    bare = OrderProgress(kind=IdKind.VENUE, search=Search(("a",), 2, 1))
    both = joined(bare, CANCELING._replace(type_known=False))

    assert (both.ord_type, both.search) == (OrdType.ANY, Search(("a",), 2, 1))


def test_deadline_tells_what_stood_in_the_way() -> None:
    nothing_said = CANCELING._replace(why="")

    assert expire(CANCELING).reason == "before"
    assert expire(nothing_said).reason == "deadline"
    assert expire(nothing_said._replace(sent=True)).reason == "deadline"
    assert expire(LOOKING._replace(still_open=True)).evidence is Evidence.LOOKUP
