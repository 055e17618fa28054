"""An id of two forms, answer by answer: both are asked, and their words make one."""

from __future__ import annotations

import pytest

from venues import all_venues
from venues.base import Venue, Verdict
from venues.words import CancelStatus, Evidence, IdKind, OrderRef, OrdStatus
from worker.orders.follow import FinalWord, NextStep, ReplyContext, Transition, next_route, sent
from worker.orders.forms import doubted, expire, refuse, step, weighed
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, Phase, came, joined, new_progress

ZTDX, OKX = (all_venues()[name] for name in ("ztdx", "okx"))
EITHER = OrderRef("1234567890", IdKind.VENUE, "BTCUSDT", or_kind=IdKind.CLIENT)
NOT_NAMED = Judgement(Verdict.IN_DOUBT, reason="not_named")
ABSENT = Judgement(Verdict.ABSENT)
REFUSED = Judgement(Verdict.REFUSED, reason="bad_request")
THROTTLED = Judgement(Verdict.THROTTLED)
#: What a venue says that tells no state.
TAKEN = Judgement(Verdict.ACCEPTED)
#: A read that started so late lags behind nothing.
LATE_S = 1000.0


def is_now(status: OrdStatus) -> Judgement:
    return Judgement(Verdict.STATE, ord_status=status, shown=status)


CANCELED, FILLED = is_now(OrdStatus.CANCELED), is_now(OrdStatus.FILLED)
#: What a batch says that is not believed.
CLAIMED = Judgement(Verdict.ACCEPTED, shown=OrdStatus.CANCELED)


def answered(
    progress: OrderProgress,
    said: Judgement,
    at: float = LATE_S,
    *,
    alone: bool = True,
    venue: Venue = ZTDX,
) -> Transition:
    """Send the id by its next route and take the answer in."""
    asked = ReplyContext(venue, next_route(progress, venue), at, at + 0.05, alone=alone)
    return step(sent(progress), said, asked)


def after(
    progress: OrderProgress, *heard: Judgement, alone: bool = True, venue: Venue = ZTDX
) -> OrderProgress:
    """Take answers in, one a minute."""
    for number, said in enumerate(heard):
        at = LATE_S + 60.0 * number
        course = answered(progress, said, at, alone=alone, venue=venue)
        assert isinstance(course, NextStep)
        progress = course.progress
    return progress


def final(course: Transition) -> FinalWord:
    assert isinstance(course, FinalWord)
    return course


def stands(progress: OrderProgress) -> tuple[IdKind, Phase]:
    return progress.kind, progress.phase


def to_the_end(progress: OrderProgress, *, absent_as: IdKind, found: Judgement) -> FinalWord:
    """Answer look-ups: the id is absent as one kind, and found as the other."""
    for number in range(20):
        said = ABSENT if progress.kind is absent_as else found
        course = answered(progress, said, LATE_S + 60.0 * number)
        if isinstance(course, FinalWord):
            return course
        progress = course.progress
    raise AssertionError("no end")


def test_both_forms_count_from_when_the_last_job_for_the_id_came() -> None:
    """Else an older order of the client id would speak for one that comes a moment later."""
    progress = joined(came(new_progress(EITHER), 5.0), came(new_progress(EITHER), 7.0))

    assert progress.other_form is not None
    assert (progress.came_at, progress.other_form.progress.came_at) == (7.0, 7.0)


def test_the_other_forms_cancel_leaves_as_soon_as_the_first_is_answered() -> None:
    first = new_progress(EITHER)
    course = answered(first, NOT_NAMED)

    assert stands(first) == (IdKind.VENUE, Phase.CANCEL)
    assert isinstance(course, NextStep)
    assert (stands(course.progress), course.delay_s) == ((IdKind.CLIENT, Phase.CANCEL), 0.0)
    assert stands(after(course.progress, NOT_NAMED)) == (IdKind.CLIENT, Phase.HASTY)


def test_a_request_that_brought_no_reply_counts_as_asked() -> None:
    course = doubted(sent(new_progress(EITHER)), "timeout", LATE_S, ZTDX)

    assert stands(course.progress) == (IdKind.CLIENT, Phase.CANCEL)
    assert course.progress.other_form
    assert course.progress.other_form.progress.sent


def test_what_was_surely_not_done_is_asked_again_in_the_same_form() -> None:
    assert stands(after(new_progress(EITHER), THROTTLED)) == (IdKind.VENUE, Phase.CANCEL)


@pytest.mark.parametrize("said", [CLAIMED, is_now(OrdStatus.NEW)])
def test_an_order_that_a_cancel_shows_alive_settles_the_kind(said: Judgement) -> None:
    settled = after(new_progress(EITHER), said)

    assert (settled.kind, settled.other_form) == (IdKind.VENUE, None)


def test_an_open_order_that_a_cancel_took_is_looked_at_before_the_other_form_is_asked() -> None:
    half = after(new_progress(EITHER), TAKEN, venue=OKX)
    word = final(answered(half, CANCELED, venue=OKX))

    assert stands(half) == (IdKind.VENUE, Phase.HASTY)
    assert (word.status, word.progress.kind) == (CancelStatus.CANCELED, IdKind.VENUE)
    assert word.progress.attempts == 1
    assert expire(half).status is CancelStatus.UNCONFIRMED
    still = after(half, is_now(OrdStatus.NEW), venue=OKX)
    assert (still.kind, still.other_form) == (IdKind.VENUE, None)


@pytest.mark.parametrize("said", [FILLED, ABSENT])
def test_what_a_cancel_took_and_no_look_up_shows_canceled_settles_nothing(
    said: Judgement,
) -> None:
    """The order meant may rest under the other kind."""
    progress, asked = after(new_progress(EITHER), TAKEN, venue=OKX), 0
    while progress.kind is IdKind.VENUE:
        asked += 1
        course = answered(progress, said, LATE_S + 60.0 * asked, venue=OKX)
        assert isinstance(course, NextStep)
        progress = course.progress

    assert stands(progress) == (IdKind.CLIENT, Phase.CANCEL)
    assert asked <= 10


def test_a_venue_that_accepts_anything_is_asked_for_both_at_once() -> None:
    assert stands(after(new_progress(EITHER), TAKEN)) == (IdKind.CLIENT, Phase.CANCEL)


@pytest.mark.parametrize("reason", ["nothing_executed", "one_answer_for_many", "timeout"])
def test_an_order_alive_does_not_hide_one_that_the_other_form_may_name(reason: str) -> None:
    """A trigger that fired, say: what it placed may rest."""
    both = after(new_progress(EITHER), Judgement(Verdict.IN_DOUBT, reason=reason), CLAIMED)

    assert both.other_form


def test_a_form_that_was_asked_under_the_wrong_symbol_is_asked_under_the_right_one() -> None:
    """The stated symbol misled both: what the id names in the other form may rest, too."""
    both = after(new_progress(EITHER), NOT_NAMED, NOT_NAMED)
    elsewhere = is_now(OrdStatus.NEW)._replace(symbol="ETHUSDT")
    assert both.kind is IdKind.CLIENT
    other = after(both, elsewhere, CANCELED)

    assert (stands(other), other.symbol) == ((IdKind.VENUE, Phase.CANCEL), "ETHUSDT")
    fired = Judgement(Verdict.IN_DOUBT, reason="trigger_fired")
    assert expire(after(other, fired)).status is CancelStatus.UNCONFIRMED
    # Where it is not there either, it is not asked for ever.
    word = to_the_end(after(other, NOT_NAMED), absent_as=IdKind.VENUE, found=CANCELED)
    assert (word.status, word.progress.kind) == (CancelStatus.CANCELED, IdKind.CLIENT)


def test_an_order_that_was_over_before_does_not_settle_the_kind() -> None:
    assert stands(after(new_progress(EITHER), FILLED)) == (IdKind.CLIENT, Phase.CANCEL)


@pytest.mark.parametrize("absent_as", IdKind)
@pytest.mark.parametrize("found", [CANCELED, FILLED])
def test_who_finds_the_order_has_the_word(absent_as: IdKind, found: Judgement) -> None:
    word = to_the_end(new_progress(EITHER), absent_as=absent_as, found=found)

    assert word.progress.kind is not absent_as
    assert word.status == (CancelStatus.CANCELED if found is CANCELED else CancelStatus.FILLED)
    assert word.progress.other_form is None


def test_an_id_is_not_found_when_neither_form_is() -> None:
    word = to_the_end(new_progress(EITHER), absent_as=IdKind.VENUE, found=ABSENT)

    assert (word.status, word.reason) == (CancelStatus.NOT_FOUND, "none_of_symbol")
    assert word.progress.attempts == 2


def test_a_batch_that_is_refused_goes_in_the_other_form_before_each_goes_alone() -> None:
    refused = after(new_progress(EITHER), REFUSED, alone=False)
    both_refused = after(refused, REFUSED, alone=False)

    assert stands(refused) == (IdKind.CLIENT, Phase.CANCEL)
    assert stands(both_refused) == (IdKind.VENUE, Phase.CANCEL)
    assert next_route(both_refused, ZTDX).name == "cancel_one"


@pytest.mark.parametrize("place", [0, 1])
def test_a_refusal_is_of_the_form_and_not_of_the_order(place: int) -> None:
    heard = [NOT_NAMED, REFUSED] if place else [REFUSED, NOT_NAMED]
    word = to_the_end(
        after(new_progress(EITHER), *heard),
        absent_as=IdKind.VENUE if not place else IdKind.CLIENT,
        found=CANCELED,
    )

    assert word.status is CancelStatus.CANCELED


def test_a_look_up_that_refuses_the_form_ends_it() -> None:
    progress = after(new_progress(EITHER), NOT_NAMED, NOT_NAMED)
    word = to_the_end(progress, absent_as=IdKind.CLIENT, found=REFUSED)

    assert word.status is CancelStatus.NOT_FOUND


def test_what_both_forms_refuse_is_refused() -> None:
    course = answered(after(new_progress(EITHER), REFUSED), REFUSED)

    assert (final(course).status, final(course).reason) == ("rejected", "bad_request")


def test_an_id_that_is_canceled_in_one_form_only_ends_unknown_at_the_deadline() -> None:
    half = after(new_progress(EITHER), NOT_NAMED)

    assert expire(half).status is CancelStatus.UNCONFIRMED
    assert refuse(half, "auth").status is CancelStatus.UNCONFIRMED
    assert expire(half).progress.attempts == 1


def test_an_id_of_which_nothing_left_has_failed_at_the_deadline() -> None:
    assert expire(new_progress(EITHER)).status is CancelStatus.FAILED
    assert refuse(new_progress(EITHER), "auth").status is CancelStatus.REJECTED


def test_a_form_that_still_shows_open_is_told_first_at_the_deadline() -> None:
    half = after(new_progress(EITHER), NOT_NAMED, NOT_NAMED)
    open_still = half._replace(still_open=True)

    assert (expire(open_still).status, expire(open_still).reason) == ("failed", "still_open")


def word_of(status: str, kind: IdKind, evidence: Evidence = Evidence.LOOKUP) -> FinalWord:
    progress = new_progress(EITHER)._replace(kind=kind, attempts=1, other_form=None)
    return FinalWord(progress, CancelStatus(status), "why", evidence)


@pytest.mark.parametrize(
    ("as_venue", "as_client", "told", "kind", "text"),
    [
        ("not_found", "canceled", "canceled", "client_order_id", ""),
        ("filled", "not_found", "filled", "venue_order_id", ""),
        ("not_found", "not_found", "not_found", "venue_order_id", ""),
        ("rejected", "not_found", "not_found", "client_order_id", ""),
        ("canceled", "canceled", "canceled", "venue_order_id", ""),
        ("canceled", "unconfirmed", "unconfirmed", "client_order_id", ""),
        ("failed", "filled", "failed", "venue_order_id", ""),
        (
            "canceled",
            "filled",
            "filled",
            "client_order_id",
            "the id names two orders: as venue_order_id canceled and as client_order_id filled",
        ),
    ],
)
def test_two_words_make_one(
    as_venue: str, as_client: str, told: str, kind: str, text: str
) -> None:
    word = weighed(word_of(as_venue, IdKind.VENUE), word_of(as_client, IdKind.CLIENT))

    assert (word.status, word.progress.kind, word.progress.text) == (told, kind, text)
    assert word.progress.attempts == 2


def test_a_refusal_of_what_was_seen_open_is_no_absence() -> None:
    """Else an order that rests, and whose cancel is refused, would be told as not found."""
    open_one = new_progress(EITHER)._replace(seen_open=True)
    refused = FinalWord(open_one, CancelStatus.REJECTED, "bad_request")
    nowhere = FinalWord(new_progress(EITHER), CancelStatus.NOT_FOUND, "", Evidence.LOOKUP)

    assert weighed(nowhere, refused).status is CancelStatus.REJECTED
    assert weighed(refused, nowhere).status is CancelStatus.REJECTED
