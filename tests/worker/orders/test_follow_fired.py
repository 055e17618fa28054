"""An order that fired, answer by answer: the order that it became is canceled and proven."""

from __future__ import annotations

import pytest

from venues.base import Venue, Verdict
from venues.binance import Binance
from venues.bitget import Bitget
from venues.gate import Gate
from venues.okx import Okx
from venues.words import (
    Became,
    CancelOutcome,
    CancelStatus,
    Evidence,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
)
from worker.orders.follow import FinalWord, NextStep, ReplyContext, Transition, next_route, sent
from worker.orders.forms import doubted, expire, refuse, step
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, Phase, came, joined, new_progress

BINANCE = Binance({"product": "usdm"})
STOP = OrderRef("1000", IdKind.VENUE, "BTCUSDT", OrdType.TRIGGER)
BY_CLIENT = OrderRef("my-stop", IdKind.CLIENT, "BTCUSDT", OrdType.TRIGGER)
UNKNOWN = Judgement(Verdict.UNKNOWN_ORDER, reason="unknown_order", venue_code="-2011")
ABSENT = Judgement(Verdict.ABSENT)
REFUSED = Judgement(Verdict.REFUSED, reason="bad_request")
IN_DOUBT = Judgement(Verdict.IN_DOUBT, reason="venue_error")
#: What the row of an order says that fired, before it names what it placed, and then.
FIRES = Judgement(Verdict.IN_DOUBT, reason="trigger_fired", symbol="BTCUSDT")
FIRED = FIRES._replace(text="it placed order 77", became=Became("77"))


def is_now(status: OrdStatus, cum_qty: str = "") -> Judgement:
    return Judgement(Verdict.STATE, ord_status=status, shown=status, cum_qty=cum_qty)


CANCELED, OPEN = is_now(OrdStatus.CANCELED, "3"), is_now(OrdStatus.NEW)
FILLED = is_now(OrdStatus.FILLED, "10")


class Course:
    """An id on its way; each answer comes 50 ms after the request, each request when it may."""

    def __init__(self, ref: OrderRef, venue: Venue = BINANCE, now: float = 10.0) -> None:
        self.ref, self.venue, self.now = ref, venue, now
        self.progress = came(new_progress(ref), now)
        self.asked: list[tuple[str, str]] = []
        self.word: CancelOutcome | None = None

    def hears(self, said: Judgement) -> Course:
        """Take the answer to the next request in."""
        route, ref = next_route(self.progress, self.venue), self.progress.known(self.ref)
        self.asked.append((route.name, ref.id))
        context = ReplyContext(self.venue, route, self.now, self.now + 0.05, alone=True)
        self._goes_on(step(sent(self.progress), said, context))
        return self

    def _goes_on(self, course: Transition) -> None:
        self.now += 0.05
        if isinstance(course, FinalWord):
            self.word = course.outcome(self.ref.id)
            return
        assert isinstance(course, NextStep)
        self.progress = course.progress
        self.now += course.delay_s + (1.0 if course.back_off else 0.0)

    def hears_to_the_end(self, said: Judgement, most: int = 60) -> CancelOutcome:
        """Take the same answer in until the final word."""
        while self.word is None and len(self.asked) < most:
            self.hears(said)
        assert self.word is not None, self.asked
        return self.word


def fired(ref: OrderRef = STOP, venue: Venue = BINANCE, now: float = 10.0) -> Course:
    """Return an id whose cancel was refused, and whose row names what it became."""
    course = Course(ref, venue, now).hears(UNKNOWN)
    for _ in range(10):
        if not course.progress.fired:
            route = next_route(course.progress, venue).name
            course.hears(FIRED if "price" in route or "algo" in route else ABSENT)
    assert course.progress.fired, course.asked
    return course


def test_the_order_that_it_became_is_canceled_at_once_by_its_own_id_and_route() -> None:
    course = fired()
    at = course.now

    course.hears(CANCELED)

    assert course.asked[-1] == ("cancel_batch", "77")
    assert course.now - at == pytest.approx(0.05)
    word = course.word
    assert word is not None
    assert (word.status, word.evidence, word.attempts) == (
        CancelStatus.CANCELED,
        Evidence.REPLY,
        2,
    )
    # It is told under the id that was asked for, and as what that one was.
    assert (word.id, word.kind, word.ord_type) == ("1000", IdKind.VENUE, OrdType.TRIGGER)
    assert (word.became, word.cum_qty, word.ord_status) == ("77", "3", OrdStatus.CANCELED)


def test_an_order_that_has_not_fired_became_none() -> None:
    word = Course(STOP).hears(UNKNOWN).hears_to_the_end(CANCELED)

    assert (word.status, word.became) == (CancelStatus.CANCELED, "")


@pytest.mark.parametrize(
    ("said", "status"), [(FILLED, CancelStatus.FILLED), (CANCELED, CancelStatus.CANCELED)]
)
def test_what_ended_before_its_cancel_is_told_as_the_look_up_shows_it(
    said: Judgement, status: CancelStatus
) -> None:
    course = fired().hears(UNKNOWN).hears(said)

    assert course.asked[-2:] == [("cancel_batch", "77"), ("order", "77")]
    assert course.word is not None
    assert (course.word.status, course.word.evidence) == (status, Evidence.LOOKUP)
    assert course.word.cum_qty == said.cum_qty


def test_while_a_row_names_nothing_it_is_asked_again() -> None:
    course = Course(STOP).hears(UNKNOWN).hears(FIRES).hears(FIRES)

    assert not course.progress.fired
    assert course.hears(FIRED).progress.fired
    assert [route for route, _ in course.asked[1:]] == ["algo"] * 3


def test_an_order_that_is_shown_late_is_canceled_then() -> None:
    """The engine does not know it yet, nor does any read: that is no proof of its end."""
    course = fired().hears(UNKNOWN).hears(ABSENT).hears(ABSENT)

    assert course.word is None
    course.hears(OPEN)

    assert course.progress.phase is Phase.CANCEL
    assert course.hears(CANCELED).asked[-1] == ("cancel_one", "77")
    assert course.word is not None


@pytest.mark.parametrize("venue", [BINANCE, Gate({"settle": "usdt"}), Okx()])
def test_absence_alone_ends_as_closed_and_never_as_unknown(venue: Venue) -> None:
    """The row has named it; its absence counts from when the row did, not from the job."""
    course = fired(venue=venue)
    named_at = course.now

    word = course.hears(UNKNOWN).hears_to_the_end(ABSENT)

    assert (word.status, word.reason, word.became) == (CancelStatus.CLOSED, "no_record", "77")
    assert course.now - named_at >= venue.birth_lag_s + venue.read_lag_s
    own = [name for name, order_id in course.asked if order_id == "77"]
    plain = {each.name for each in venue.routes if OrdType.LIMIT in each.ord_types}
    assert set(own) <= plain


@pytest.mark.parametrize(
    "said",
    [
        FIRED._replace(became=None),  # no usable id
        FIRED._replace(symbol=""),  # the symbol is the producer's word alone
        FIRED._replace(became=Became("77", OrdType.TP_SL)),  # Bitget's are not canceled
    ],
)
def test_what_cannot_be_followed_stays_in_doubt(said: Judgement) -> None:
    venue = Bitget({"product_type": "usdt-futures"})
    progress = new_progress(STOP)._replace(sent=True, phase=Phase.CONFIRM)
    route = next(r for r in venue.routes if r.name == "plan_history")
    course = step(progress, said, ReplyContext(venue, route, 50.0, 50.05, alone=True))

    assert isinstance(course, NextStep)
    assert course.progress.fired is None
    word = expire(course.progress).outcome("1000")
    assert (word.status, word.reason, word.became) == (
        CancelStatus.UNCONFIRMED,
        "trigger_fired",
        "",
    )
    assert word.text == "it placed order 77"


def test_what_it_became_is_not_followed_into_yet_another() -> None:
    """No order of a book fires; and a venue's row cannot send a worker in circles."""
    course = fired().hears(IN_DOUBT)

    for became in "1000", "77", "78":
        course.hears(FIRED._replace(became=Became(became)))

    assert {order_id for _, order_id in course.asked[2:]} == {"77"}
    word = expire(course.progress).outcome("1000")
    assert (word.status, word.became) == (CancelStatus.UNCONFIRMED, "77")


def test_its_absence_counts_from_when_its_row_named_it() -> None:
    """It may not be on the book yet, however long ago the job came."""
    course = Course(STOP).hears(UNKNOWN)
    course.now += 90.0

    course.hears(FIRED)

    assert course.progress.came_at == course.now
    assert not course.progress.seen_open


def test_at_the_deadline_it_is_told_as_far_as_it_is_known() -> None:
    named = fired().progress
    rests = fired().hears(UNKNOWN).hears(OPEN).progress
    unsure = fired().hears(IN_DOUBT).progress

    words = [expire(each).outcome("1000") for each in (named, rests, unsure)]

    assert [(word.status, word.reason) for word in words] == [
        (CancelStatus.FAILED, "trigger_fired"),
        (CancelStatus.FAILED, "still_open"),
        (CancelStatus.UNCONFIRMED, "venue_error"),
    ]
    assert {word.became for word in words} == {"77"}
    halted = refuse(unsure, "auth").outcome("1000")
    assert (halted.status, halted.became) == (CancelStatus.UNCONFIRMED, "77")


def test_a_cancel_of_it_that_is_refused_is_looked_up() -> None:
    """That this request was refused says nothing of the id that was asked for."""
    course = fired().hears(REFUSED)

    assert course.word is None
    assert course.hears(CANCELED).asked[-1] == ("order", "77")
    assert course.word is not None


def test_a_client_order_id_is_asked_again_as_it_may_name_a_newer_order() -> None:
    """An older order that bore it fired; the newer one is told, not the older one's fate."""
    course = fired(BY_CLIENT)
    assert course.hears(CANCELED).asked[-1] == ("cancel_batch", "77")

    assert course.word is None
    assert course.progress.known(BY_CLIENT).id == "my-stop"
    # Nothing that was seen of the older one is held against the newer one.
    known = course.progress
    assert (known.ord_status, known.seen_open, known.missing_since) == (None, False, 0.0)
    assert course.now >= 10.0 + BINANCE.birth_lag_s + BINANCE.read_lag_s
    course.hears(OPEN).hears(CANCELED)

    assert course.asked[-2:] == [("algo", "my-stop"), ("cancel_algo", "my-stop")]
    assert course.word is not None
    assert course.word.became == ""


def test_a_client_order_id_that_names_the_same_order_still_is_told_by_it() -> None:
    course = fired(BY_CLIENT).hears(CANCELED)

    course.hears(FIRED).hears(UNKNOWN).hears(CANCELED)

    assert course.word is not None
    assert (course.word.kind, course.word.became) == (IdKind.CLIENT, "77")
    assert (course.word.status, course.word.cum_qty) == (CancelStatus.CANCELED, "3")


def test_another_job_for_the_id_does_not_turn_it_back() -> None:
    progress = fired().progress
    other = new_progress(STOP)._replace(
        attempts=4, sent=True, type_known=True, seen_open=True, symbol="ETHUSDT", came_at=20.0
    )

    here, there = joined(progress, other), joined(other, came(progress, 30.0))

    assert here == progress._replace(attempts=4, sent=True)
    assert there == other  # its own row will say so again


def test_of_an_id_of_two_kinds_a_refusal_of_what_it_became_is_no_absence() -> None:
    """Its other form finds nothing, and yet what this one became may rest."""
    either = STOP._replace(or_kind=IdKind.CLIENT)
    progress: OrderProgress = fired(either).progress
    assert progress.other_form
    at, refused = 100.0, 0
    for _ in range(20):
        cancels, own = progress.phase is Phase.CANCEL, progress.known(either).id == "77"
        said = (IN_DOUBT if own else UNKNOWN) if cancels else (REFUSED if own else ABSENT)
        refused += said is REFUSED
        route = next_route(progress, BINANCE)
        context = ReplyContext(BINANCE, route, at, at + 0.05, alone=True)
        course = step(sent(progress), said, context)
        assert isinstance(course, NextStep)
        progress, at = course.progress, at + 10.0
    assert refused

    word = expire(doubted(progress, "timeout", at, BINANCE).progress).outcome("1000")
    assert word.status is CancelStatus.UNCONFIRMED
