"""An id that may be a venue order id and a client order id as well: both forms are asked. Pure.

Where a job does not say the kind and the id has the shape of both, each form is canceled and
looked up before the final word. The other form's cancel leaves as soon as the first one's is
answered; only the word waits for both. Once the venue has shown, in its answer to a cancel, an
order that the id names in one form, and none in the other, the id is of that kind and the other
form is left out (docs/decisions/0030). Where the answer shows none, and yet says that there was
one, the look-up that follows shows it, and the other form's cancel waits for that.
"""

from __future__ import annotations

from collections.abc import Callable

from venues.base import Venue, Verdict
from venues.words import OPEN_STATES, CancelStatus, Evidence, IdKind, OrdStatus
from worker.orders import follow
from worker.orders.follow import FinalWord, NextStep, ReplyContext, Transition
from worker.orders.judge import Judgement
from worker.orders.progress import OrderProgress, OtherForm, Phase, Search

#: An order in one of these was open when the venue was asked to cancel it, or still is.
_ALIVE = OPEN_STATES | {OrdStatus.CANCELED}
#: What counts where the two forms end differently, the first that fits: what may be open, then
#: what changed a position. Absence and a refusal in one form leave the other form's word.
_ORDER = (
    CancelStatus.FAILED,
    CancelStatus.UNCONFIRMED,
    CancelStatus.FILLED,
    CancelStatus.CANCELED,
    CancelStatus.CLOSED,
    CancelStatus.NOT_FOUND,
    CancelStatus.REJECTED,
)
_FOUND = frozenset({CancelStatus.FILLED, CancelStatus.CANCELED, CancelStatus.CLOSED})


def step(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    """Return what follows from a judgement of an id, with both of its forms in mind."""
    other = progress.other_form
    if other is None:
        return follow.step(progress, said, asked)
    if (
        (progress.phase is Phase.CANCEL or _was_open(progress, other))
        and said.shown in _ALIVE
        and _names_none(other, progress.symbol)
    ):
        attempts = progress.attempts + other.progress.attempts
        settled = progress._replace(other_form=None, attempts=attempts)
        return follow.step(settled, said, asked)
    looks = progress.phase is not Phase.CANCEL and not progress.fired
    if said.verdict is Verdict.REFUSED and looks and asked.alone:
        # The venue takes no such id in this form, so that no order has it.
        known = follow.noted(progress, said)
        return _turned(progress, FinalWord(known, CancelStatus.REJECTED, said.reason), asked)
    return _turned(progress, follow.step(progress, said, asked), asked, said.verdict)


def _was_open(progress: OrderProgress, other: OtherForm) -> bool:
    """Say whether one form named an open order, whose cancel the other form waits for."""
    looks = progress.phase in (Phase.HASTY, Phase.CONFIRM)
    return looks and other.word is None and other.progress.phase is Phase.CANCEL


def _names_none(other: OtherForm, symbol: str) -> bool:
    """Say whether an id names no order of a symbol in the other form, or was not asked yet."""
    passed_over = other.progress.passed_over and other.progress.symbol == symbol
    return other.progress.phase is Phase.CANCEL or passed_over


def doubted(progress: OrderProgress, why: str, now: float, venue: Venue) -> NextStep:
    """Return what follows when a request may or may not have had its effect."""
    course = follow.doubted(progress, why, now, venue)
    other = progress.other_form
    return _swapped(course, other) if other and _cancel_is_due(progress, course) else course


def expire(progress: OrderProgress) -> FinalWord:
    """Return the final word at the deadline: what is not known is said to be not known."""
    return _cut_short(progress, follow.expire)


def refuse(progress: OrderProgress, reason: str) -> FinalWord:
    """Return the final word when the account is halted: no further request can be made."""
    return _cut_short(progress, lambda known: follow.refuse(known, reason))


def _turned(
    before: OrderProgress,
    course: Transition,
    asked: ReplyContext,
    verdict: Verdict | None = None,
) -> Transition:
    """Have the other form go on where it is its turn."""
    other = course.progress.other_form
    if other is None:
        return course
    if isinstance(course, NextStep):
        # What was open is looked at first: an order that is canceled now settles the kind.
        was_open = verdict is Verdict.ACCEPTED and asked.route.accepts_only_open
        refused = verdict is Verdict.REFUSED
        due = not was_open and _cancel_is_due(before, course, refused=refused)
        return _swapped(course, other) if due else course
    mine = course._replace(progress=course.progress._replace(other_form=None))
    other = _of_symbol(other, mine.progress.symbol)
    if other.word is None:
        asked_for = OtherForm(mine.progress, tuple(mine[1:]))
        return NextStep(other.progress._replace(other_form=asked_for))
    return weighed(FinalWord(other.progress, *other.word), mine)


def _of_symbol(other: OtherForm, symbol: str) -> OtherForm:
    """Ask a form anew that found nothing, where the venue showed another symbol than stated."""
    progress, nothing = (
        other.progress,
        not other.word or other.word[0] is CancelStatus.NOT_FOUND,
    )
    if progress.seen_open or progress.symbol == symbol or not nothing:
        return other
    anew = progress._replace(symbol=symbol, phase=Phase.CANCEL, search=Search())
    return OtherForm(anew)


def _cancel_is_due(before: OrderProgress, course: NextStep, *, refused: bool = False) -> bool:
    """Say whether the other form's cancel, which has not been answered yet, is next."""
    other = course.progress.other_form
    answered = before.phase is Phase.CANCEL and (
        refused or course.progress.phase is not Phase.CANCEL
    )
    waits = other is not None and other.word is None and other.progress.phase is Phase.CANCEL
    return answered and waits


def _swapped(course: NextStep, other: OtherForm) -> NextStep:
    mine = OtherForm(course.progress._replace(other_form=None))
    return NextStep(other.progress._replace(other_form=mine))


def _cut_short(progress: OrderProgress, end: Callable[[OrderProgress], FinalWord]) -> FinalWord:
    """Return the word of an id whose forms have not all been asked to the end."""
    other = progress.other_form
    if other is None:
        return end(progress)
    sent = progress.sent or other.progress.sent
    forms = [progress] if other.word else [progress, other.progress]
    words = [end(known._replace(other_form=None, sent=sent)) for known in forms]
    attempts = progress.attempts + other.progress.attempts
    return _with_attempts(min(words, key=_place), attempts)


def weighed(one: FinalWord, other: FinalWord) -> FinalWord:
    """Return the one word on an id from the words on both of its forms."""
    word = min(one, other, key=_place)
    if one.status != other.status and {one.status, other.status} <= _FOUND:
        text = " and ".join(
            f"as {form.progress.id_kind} {form.status}" for form in (one, other)
        )
        word = word._replace(
            progress=word.progress._replace(text=f"the id names two orders: {text}")
        )
    return _with_attempts(word, one.progress.attempts + other.progress.attempts)


def _place(word: FinalWord) -> tuple[int, bool, bool]:
    """Return what sorts words: of the same status a proven one first, then the venue's id."""
    by_client_id = word.progress.id_kind is not IdKind.VENUE
    # A refusal leaves what was seen open as it is.
    left_open = word.status is CancelStatus.REJECTED and word.progress.seen_open
    rank = -1 if left_open else _ORDER.index(word.status)
    return rank, word.evidence is Evidence.NONE, by_client_id


def _with_attempts(word: FinalWord, attempts: int) -> FinalWord:
    return word._replace(progress=word.progress._replace(attempts=attempts))
