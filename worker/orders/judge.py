"""What a reply of a venue means for each id in it: one judgement per id, for any reply. Pure.

Order state beats code, code beats HTTP status, and whatever is not plain is in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import NamedTuple

from venues.base import Answer, Answers, Batch, HttpReply, OpenOrder, Page, Rule, Venue, Verdict
from venues.words import (
    OPEN_STATES,
    SYMBOL_SHAPE,
    Became,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
    Purpose,
)

#: Characters of a venue's text that are kept, and that are looked through for secrets.
TEXT_LENGTH, _MOST_READ = 200, 2000
#: Characters of a quantity; a longer one is none.
_LONGEST_QUANTITY = 40
#: What could be a key or a signature that the venue echoes; a UUID has dashes, so it stays.
_SECRET_LIKE = re.compile(r"[A-Za-z0-9+/=_%\\]{32,}")
#: What `Venue.parse` may raise for a reply of another shape than documented.
_ODD_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
#: Verdicts that speak of one order, so that they cannot speak for a whole batch.
_OF_ONE = frozenset({Verdict.STATE, Verdict.UNKNOWN_ORDER})
#: What an HTTP status means where the body says nothing that we know. None speaks of the key: a
#: firewall or a proxy on the way says 401 and 403, too.
_BY_STATUS = {
    418: (Verdict.BANNED, "banned"),
    429: (Verdict.THROTTLED, "throttled"),
}
#: With these something refuses us: the venue only where a row of its table knows the words.
_BARRING = frozenset({401, 403, 407, 451})


class Judgement(NamedTuple):
    """What a reply means for one id, and what it taught us of the order."""

    verdict: Verdict
    #: Set when the verdict is STATE, and where a route that is not trusted shows it open.
    ord_status: OrdStatus | None = None
    reason: str = ""
    venue_code: str = ""
    text: str = ""  # shortened, printable, nothing that looks like a signature
    symbol: str = ""  # learned from the answer
    ord_type: OrdType | None = None  # learned from the answer
    cum_qty: str = ""  # executed so far, as the venue wrote it
    unmapped: bool = False  # a code or state that no table row knows
    by_status: bool = False  # no words of the venue that a row knows, nor of its own form
    barred: bool = False  # by its HTTP status something refuses us, perhaps on the way
    more: bool = False  # only with ABSENT: the list goes on, ask for the next page
    shown: OrdStatus | None = None  # the state that the reply names, believed or not
    page: Page | None = None  # the page that does not show the order, where it is absent or
    # the list goes on beyond what is read of it
    became: Became | None = None  # the order that it placed when it fired, by a usable id


class Heard(NamedTuple):
    """What a reply says: one judgement for each id asked about, and of others that it shows."""

    asked: dict[OrderRef, Judgement]
    others: Mapping[tuple[IdKind, str], Judgement] = {}


class ListHeard(NamedTuple):
    """What a reply to a list of open orders, or a cancel-all, says: its orders, or why none."""

    said: Judgement
    orders: tuple[OpenOrder, ...] | None = None
    more: bool = False  # the list goes on, or may have been cut
    page: Page | None = None
    claimed: int | None = None  # so many orders the venue says it took; None: it does not say


def judge(
    venue: Venue, batch: Batch, reply: HttpReply, scrub: Callable[[str], str] = str
) -> dict[OrderRef, Judgement]:
    """Return exactly one judgement for each reference of the batch."""
    return hear(venue, batch, reply, scrub).asked


def hear(
    venue: Venue, batch: Batch, reply: HttpReply, scrub: Callable[[str], str] = str
) -> Heard:
    """Return what a reply means for each reference of the batch, and for any other order.

    `scrub` hides the account's secrets in a text: what a venue says goes out with the outcomes.
    """
    try:
        answers = venue.parse(batch, reply)
    except _ODD_SHAPE:
        return Heard({ref: _by_status(reply, Answer()) for ref in batch.refs})
    asked = _asked(venue, batch, reply, answers, scrub)
    return Heard(asked, _others(venue, batch, answers, scrub))


def hear_list(
    venue: Venue, batch: Batch, reply: HttpReply, scrub: Callable[[str], str] = str
) -> ListHeard:
    """Return what a reply to a list of open orders says, to a cancel-all, or to a timer.

    Of a cancel-all the orders are those that it names. A row that names an end is left out. One
    without a usable id spoils the reply: nobody could say what it hides.
    """
    try:
        answers = venue.parse(batch, reply)
    except _ODD_SHAPE:
        return ListHeard(_told(_by_status(reply, Answer()), scrub))
    if answers.overall is not None:
        said = _for_purpose(batch, _weigh(venue, reply, answers.overall))
        odd = said.verdict in (*_OF_ONE, Verdict.ABSENT)
        return ListHeard(_told(_in_doubt(said, "odd_answer") if odd else said, scrub))
    shape, states = venue.id_shapes[IdKind.VENUE], _states(venue)
    if (
        answers.listed is None
        or not _answered(reply)
        or not all(shape.fullmatch(order.id) for order in answers.listed)
    ):
        return ListHeard(_told(_by_status(reply, Answer()), scrub))
    words = {order.symbol for order in answers.listed}  # a key that is echoed is no symbol
    symbols = {word for word in words if SYMBOL_SHAPE.fullmatch(word) and scrub(word) == word}
    orders = tuple(
        [
            order if order.symbol in symbols else order._replace(symbol="")
            for order in answers.listed
            if states.get(spelled(order.state), OrdStatus.NEW) in OPEN_STATES
        ]
    )
    claimed = len(answers.listed) if answers.claimed is None else answers.claimed
    said = Judgement(Verdict.ACCEPTED)
    return ListHeard(said, orders, answers.truncated, answers.page, claimed)


def _others(
    venue: Venue, batch: Batch, answers: Answers, scrub: Callable[[str], str]
) -> dict[tuple[IdKind, str], Judgement]:
    """Return the states of orders that nobody asked about.

    Of a route that is not believed only what it shows open counts. A client order id may have
    named an older order, too, so it is no proof of an end.
    """
    found: dict[tuple[IdKind, str], Judgement] = {}
    for kind, shown in answers.others.items():
        ends_count = batch.route.trusted and kind is IdKind.VENUE
        telling: dict[int, Judgement] = {}
        for said in _distinct(shown):
            state = _by_state(venue, said)
            if state.ord_status in OPEN_STATES or (ends_count and state.ord_status):
                telling[id(said)] = _told(state, scrub)
        found |= {
            (kind, key): telling[id(said)] for key, said in shown.items() if id(said) in telling
        }
    return found


def _distinct(shown: Mapping[str, Answer]) -> Iterable[Answer]:
    """Return each answer once: of many orders most are the very same."""
    return {id(said): said for said in shown.values()}.values()


def _asked(
    venue: Venue, batch: Batch, reply: HttpReply, answers: Answers, scrub: Callable[[str], str]
) -> dict[OrderRef, Judgement]:
    of_others = _told(_of_others(venue, batch, reply, answers), scrub)
    weighed = {
        id(said): _told(_for_purpose(batch, _weigh(venue, reply, said)), scrub)
        for said in _distinct(answers.by_id)
    }
    named = ((ref, answers.by_id.get(ref.id)) for ref in batch.refs)
    return {ref: weighed[id(said)] if said else of_others for ref, said in named}


def _of_others(venue: Venue, batch: Batch, reply: HttpReply, answers: Answers) -> Judgement:
    """Return what the reply means for each id that it does not name."""
    if answers.overall is None:
        return _unnamed(batch, reply, answers)
    judgement = _weigh(venue, reply, answers.overall)
    if judgement.verdict in _OF_ONE and len(batch.refs) > 1:
        return _in_doubt(judgement, "one_answer_for_many")
    return _for_purpose(batch, judgement)


def _weigh(venue: Venue, reply: HttpReply, answer: Answer) -> Judgement:
    judgement = _by_words(venue, reply, answer)
    became, shape = answer.became, venue.id_shapes[IdKind.VENUE]
    usable = became is not None and shape.fullmatch(became.id)
    return judgement._replace(became=became) if usable else judgement


def _by_words(venue: Venue, reply: HttpReply, answer: Answer) -> Judgement:
    if answer.state:
        return _by_state(venue, answer)
    rule = _rule_for(venue, answer)
    return _by_rule(rule, answer) if rule else _by_status(reply, answer)


def _by_state(venue: Venue, answer: Answer) -> Judgement:
    ord_status = _states(venue).get(spelled(answer.state))
    if ord_status:
        return _by_quantity(answer, ord_status)
    word = answer.state
    unknown = _heard(answer, Verdict.IN_DOUBT, "unmapped_state", unmapped=True)
    text = unknown.text or f"an unknown state: {word}"
    return unknown._replace(venue_code=answer.code or word, text=text)


@cache
def _states(venue: Venue) -> dict[str, OrdStatus]:
    return {spelled(word): ord_status for word, ord_status in venue.states.items()}


def spelled(word: str) -> str:
    """Return a word of a state in one spelling: venues change these without a notice."""
    return re.sub(r"[\s_-]", "", word).casefold().replace("cancelled", "canceled")


def _by_quantity(answer: Answer, ord_status: OrdStatus) -> Judgement:
    """Weigh the word of an end by what was executed, where the venue tells that."""
    state = _heard(answer, Verdict.STATE, ord_status=ord_status)
    done, whole = _quantity(answer.cum_qty), _quantity(answer.order_qty)
    if done is None:
        return state
    if ord_status is OrdStatus.FILLED and not done:
        # A trigger that fired: what it placed is another order, and may rest.
        return _in_doubt(state, "nothing_executed")
    if ord_status is OrdStatus.FILLED and whole and done < whole:
        return state._replace(ord_status=OrdStatus.CANCELED, reason="partially_filled")
    if ord_status in (OrdStatus.CANCELED, OrdStatus.EXPIRED) and whole and done >= whole:
        return state._replace(ord_status=OrdStatus.FILLED)
    return state


def _quantity(written: str) -> Decimal | None:
    """Return a quantity; None where it is none."""
    try:
        quantity = Decimal(written[:_LONGEST_QUANTITY])
    except InvalidOperation:
        return None
    odd = len(written) > _LONGEST_QUANTITY or not quantity.is_finite() or quantity < 0
    return None if odd else quantity


def _rule_for(venue: Venue, answer: Answer) -> Rule | None:
    text = answer.text.casefold()
    fitting = (
        rule
        for rule in venue.rules
        if rule.code == answer.code and rule.contains.casefold() in text
    )
    return next(fitting, None)


def _by_rule(rule: Rule, answer: Answer) -> Judgement:
    verdict = Verdict.STATE if rule.ord_status else rule.verdict
    return _heard(answer, verdict, rule.reason, ord_status=rule.ord_status)


def _by_status(reply: HttpReply, answer: Answer) -> Judgement:
    """Judge by the HTTP status, the last resort."""
    unmapped = bool(answer.code)
    if reply.status in _BY_STATUS:
        verdict, reason = _BY_STATUS[reply.status]
        return _heard(answer, verdict, reason, unmapped=unmapped)
    reason = "unmapped_code" if unmapped else _doubt_at(reply)
    barred = reply.status in _BARRING
    return _heard(answer, Verdict.IN_DOUBT, reason, unmapped=unmapped)._replace(
        by_status=barred or not unmapped, barred=barred
    )


def _doubt_at(reply: HttpReply) -> str:
    return "unreadable_reply" if _answered(reply) else f"http_{reply.status}"


def _answered(reply: HttpReply) -> bool:
    return 200 <= reply.status < 300


def _for_purpose(batch: Batch, judgement: Judgement) -> Judgement:
    """Weigh a verdict by what was asked: a look-up, or a cancel that may be boasting."""
    verdict = judgement.verdict
    if batch.route.purpose in (Purpose.CANCEL_ALL, Purpose.TIMER):
        return judgement
    if batch.route.purpose is not Purpose.CANCEL:
        if judgement.venue_code and judgement.venue_code == batch.route.symbol_demanded:
            return judgement._replace(verdict=Verdict.SYMBOL_DEMANDED)
        if verdict is Verdict.UNKNOWN_ORDER:
            return judgement._replace(verdict=Verdict.ABSENT)
        return _in_doubt(judgement, "odd_answer") if verdict is Verdict.ACCEPTED else judgement
    if verdict is Verdict.STATE and not batch.route.trusted:
        # Its claim of an end is not believed; that the order is there and open, is.
        shown = judgement.ord_status if judgement.ord_status in OPEN_STATES else None
        return judgement._replace(verdict=Verdict.ACCEPTED, ord_status=shown)
    return judgement


def _unnamed(batch: Batch, reply: HttpReply, answers: Answers) -> Judgement:
    if not _answered(reply):
        return _by_status(reply, Answer())
    if batch.route.purpose is not Purpose.LOOKUP:
        return Judgement(Verdict.IN_DOUBT, reason="not_named")
    if answers.truncated and batch.page >= batch.route.max_pages:
        return Judgement(Verdict.IN_DOUBT, reason="list_too_long", page=answers.page)
    return Judgement(Verdict.ABSENT, more=answers.truncated, page=answers.page)


def _in_doubt(judgement: Judgement, reason: str) -> Judgement:
    doubt = judgement._replace(verdict=Verdict.IN_DOUBT, ord_status=None, reason=reason)
    return doubt._replace(shown=None)


def _heard(
    answer: Answer,
    verdict: Verdict,
    reason: str = "",
    *,
    ord_status: OrdStatus | None = None,
    unmapped: bool = False,
) -> Judgement:
    return Judgement(
        verdict,
        ord_status=ord_status,
        reason=reason,
        venue_code=answer.code,
        text=answer.text,
        # A learned symbol goes into later requests, so it must be one that a job may state.
        symbol=answer.symbol if SYMBOL_SHAPE.fullmatch(answer.symbol) else "",
        ord_type=answer.ord_type,
        cum_qty="" if _quantity(answer.cum_qty) is None else answer.cum_qty.strip(),
        unmapped=unmapped,
        shown=ord_status,
    )


def _told(judgement: Judgement, scrub: Callable[[str], str]) -> Judgement:
    """Return the judgement with the venue's words as others may read them.

    Only now, so that a word is judged as the venue said it.
    """
    became = judgement.became
    return judgement._replace(
        became=became if became and scrub(became.id) == became.id else None,
        venue_code=_plain(judgement.venue_code, scrub),
        text=_plain(judgement.text, scrub),
        symbol=judgement.symbol if scrub(judgement.symbol) == judgement.symbol else "",
    )


def _plain(text: str, scrub: Callable[[str], str]) -> str:
    if not text:
        return ""
    # A secret at the end of what is read may have lost its own end, so that is not shown.
    clean = scrub(text[:_MOST_READ])[: _MOST_READ // 2]
    printable = "".join(char if char.isprintable() else " " for char in clean)
    return _SECRET_LIKE.sub("…", printable)[:TEXT_LENGTH].strip()
