"""The course of one id: what follows from each answer, until the final word. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from venues.base import Route, Venue, Verdict
from venues.words import (
    OPEN_STATES,
    CancelOutcome,
    CancelStatus,
    Evidence,
    OrderRef,
    OrdStatus,
    OrdType,
    Purpose,
    Shape,
)
from worker.orders.judge import Judgement
from worker.orders.plan import cancel_routes, lookup_routes, unasked_routes

#: A refusal of whole requests counts for an id after so many, where it can never go alone.
MOST_REFUSALS = 3
#: From so many attempts that left the order open on, each further one waits longer.
QUICK_TRIES = 3
#: Verdicts that speak of the account, with the reason that its ids carry meanwhile.
ACCOUNT_WIDE = {
    Verdict.THROTTLED: "throttled",
    Verdict.BANNED: "banned",
    Verdict.CLOCK: "clock",
    Verdict.HALT: "halted",
}
#: Verdicts of a list that speak of each id.
_OF_A_LIST = frozenset({Verdict.STATE, Verdict.ABSENT})


class Track(NamedTuple):
    """All that is known of one id between two steps; small enough to travel in a retry."""

    ref: OrderRef
    symbol: str = ""  # learned, or as the job said
    ord_type: OrdType = OrdType.ANY  # learned, or as the job said
    type_known: bool = False  # the venue itself told the type
    purpose: Purpose = Purpose.CANCEL  # of the next step
    looking: bool = False  # this look-up comes before the first cancel
    attempts: int = 0  # cancel requests that carried this id
    tried: int = 0  # of these, how many were answered and left it open: picks the route
    sent: bool = False  # a cancel may have taken effect; perhaps of a worker that died
    sent_as: OrdType = OrdType.ANY  # the type that the last cancel named
    settled_at: float = 0.0  # monotonic; reads that started before may lag behind the cancel
    seen_open: bool = False
    still_open: bool = False  # the last look-up, after the last cancel, showed it open
    early: bool = False  # reads may lag: only likely routes are asked, absence proves nothing
    absent: tuple[str, ...] = ()  # look-up routes that did not show it, in this phase
    page: int = 1
    doubts: int = 0  # look-ups in a row that settled nothing
    misses: int = 0  # attempts in a row that surely did nothing
    ord_status: OrdStatus | None = None
    why: str = ""  # the last thing that stood in the way
    venue_code: str = ""
    text: str = ""

    @property
    def shape(self) -> Shape:
        """What decides its routes, with what the venue taught us of it."""
        return Shape(self.ref.kind, self.ord_type, bool(self.symbol))

    @property
    def known(self) -> OrderRef:
        """The reference with what the venue taught us of it."""
        if self.symbol == self.ref.symbol and self.ord_type is self.ref.ord_type:
            return self.ref
        return self.ref._replace(symbol=self.symbol, ord_type=self.ord_type)


def start(ref: OrderRef, *, look_first: bool = False, sent: bool = False) -> Track:
    """Return the track of an id that nothing is known of yet, but perhaps that it was `sent`.

    Where a venue keeps no record of canceled orders, a look before the cancel is the only
    way to know afterwards that there was an order. A kill does not wait for it.
    """
    purpose = Purpose.LOOKUP if look_first else Purpose.CANCEL
    return Track(
        ref=ref,
        symbol=ref.symbol,
        ord_type=ref.ord_type,
        purpose=purpose,
        looking=look_first,
        early=look_first,
        sent=sent,
    )


def joined(track: Track, other: Track) -> Track:
    """Return the track with what another job learned of the same id; its own step stays."""
    learn_type = other.type_known and not track.type_known
    return track._replace(
        symbol=track.symbol or other.symbol,
        ord_type=other.ord_type if learn_type else track.ord_type,
        type_known=track.type_known or other.type_known,
        attempts=max(track.attempts, other.attempts),
        sent=track.sent or other.sent,
        seen_open=track.seen_open or other.seen_open,
        absent=() if learn_type else track.absent,  # the type says which lists are to be read
        page=1 if learn_type else track.page,
        still_open=track.still_open or (other.still_open and not track.sent),
        ord_status=track.ord_status or other.ord_status,
        why=track.why or other.why,
    )


class Again(NamedTuple):
    """The id goes on: its next step may start `delay_s` from now.

    `back_off` says that the delay grows with each time: attempt number and base in seconds.
    """

    track: Track
    delay_s: float = 0.0
    back_off: tuple[int, float] | None = None


#: What follows from an answer: the final word, or another step.
Course = CancelOutcome | Again


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that was answered: by which route, when it started and ended.

    `alone` says that it carried this id only, so that a refusal of the whole request is a
    refusal of this id. `wide` says that it asked for a whole list and named no id. `verify`
    looks up also what a reply has named.
    """

    venue: Venue
    route: Route
    started: float
    ended: float
    alone: bool = False
    wide: bool = False
    verify: bool = False


def next_route(track: Track, venue: Venue) -> Route:
    """Return the route of the next step."""
    if track.purpose is Purpose.LOOKUP:
        return _unread_routes(track, venue)[0]
    routes = cancel_routes(venue, track.shape)
    return routes[track.tried % len(routes)]


def _unread_routes(track: Track, venue: Venue) -> tuple[Route, ...]:
    likely_only = track.early or _type_is_sure(track)
    return _unread(venue, track.shape, track.absent, likely_only, track.early)


@cache
def _unread(
    venue: Venue, order: Shape, absent: tuple[str, ...], likely_only: bool, early: bool
) -> tuple[Route, ...]:
    routes = lookup_routes(venue, order)
    likely = [route for route in routes if likely_only and order.ord_type in route.ord_types]
    unread = [route for route in likely or routes if route.name not in absent]
    return tuple(unread if early else sorted(unread, key=lambda route: route.life_stage))


def _type_is_sure(track: Track) -> bool:
    """A trigger, trailing or TP/SL order may become another one when it fires."""
    return track.type_known and track.ord_type in (OrdType.LIMIT, OrdType.MARKET)


def sent(track: Track) -> Track:
    """Return the track of an id that leaves in a request now."""
    if track.purpose is Purpose.LOOKUP:
        return track
    return track._replace(attempts=track.attempts + 1, sent_as=track.ord_type)


def step(track: Track, said: Judgement, asked: Asked) -> Course:
    """Return what follows from a judgement, be it of the order, the list or the account."""
    if said.verdict in ACCOUNT_WIDE:
        return missed(track, ACCOUNT_WIDE[said.verdict], 1.0)
    if asked.wide and said.verdict not in _OF_A_LIST:
        return unlisted(track)
    return follow(track, said, asked)


def follow(track: Track, said: Judgement, asked: Asked) -> Course:
    """Return what follows from a judgement of the order."""
    track = noted(track, said)
    if track.looking:
        return _after_first_look(track, said, asked)
    if said.verdict is Verdict.NOT_DONE:
        return missed(track, said.reason or "not_done")
    if track.purpose is Purpose.LOOKUP:
        return _after_lookup(track, said, asked)
    return _after_cancel(track, said, asked)


def noted(track: Track, said: Judgement) -> Track:
    """Return the track with what a judgement teaches of the order."""
    return track._replace(
        symbol=said.symbol or track.symbol,
        ord_type=said.ord_type or track.ord_type,
        type_known=track.type_known or said.ord_type is not None,
        ord_status=said.ord_status or track.ord_status,
        seen_open=track.seen_open or said.ord_status in OPEN_STATES,
        venue_code=said.venue_code or track.venue_code,
        text=said.text or track.text,
    )


def missed(track: Track, why: str, base_s: float = 0.5) -> Again:
    """Return the same step again, after a growing pause: the request surely did nothing."""
    misses = track.misses + 1
    return Again(track._replace(misses=misses, why=why), back_off=(misses, base_s))


def doubted(track: Track, why: str, now: float, venue: Venue) -> Again:
    """Return what follows when a request may or may not have had its effect."""
    if track.looking:
        return Again(_to_cancel(track))
    if track.purpose is Purpose.LOOKUP:
        doubts = track.doubts + 1
        page = 1 if why == "list_too_long" else track.page
        again = track._replace(doubts=doubts, page=page, why=why)
        return Again(again, back_off=(doubts, 0.5))
    return _to_lookup(track._replace(sent=True, misses=0, why=why), now, venue)


def unlisted(track: Track) -> Again:
    """Return what follows when a whole list proved nothing of an id that it does not show.

    A list that is cut stays as long as it is; one that gets shorter, as its orders are
    canceled, is read once more. After that the id is asked for.
    """
    if not track.doubts:
        return Again(track._replace(doubts=1))
    return Again(track._replace(doubts=0, page=track.page + 1))


def _to_lookup(track: Track, now: float, venue: Venue) -> Again:
    """Look for the order: at once, though reads may lag, where that may settle it.

    At a venue that keeps no record, a canceled order can only be proven absent, and that after
    the lag. Only an order whose type nobody stated is looked for sooner: by its type it is
    canceled again.
    """
    wait = venue.forgets_canceled and track.ord_type is not OrdType.ANY
    track = track._replace(
        purpose=Purpose.LOOKUP,
        settled_at=now,
        early=not wait,
        absent=(),
        page=1,
        doubts=0,
        still_open=False,
    )
    return Again(track, delay_s=venue.read_lag_s if wait else 0.0)


def _to_cancel(track: Track) -> Track:
    return track._replace(purpose=Purpose.CANCEL, looking=False)


def _after_first_look(track: Track, said: Judgement, asked: Asked) -> Course:
    """Look through the likely places; whatever is not found is canceled all the same."""
    if said.verdict is Verdict.STATE and said.ord_status not in OPEN_STATES:
        return _final_state(track, said, Evidence.LOOKUP)
    if said.verdict is Verdict.ABSENT:
        looked = track._replace(absent=(*track.absent, asked.route.name), page=1)
        if _unread_routes(looked, asked.venue):
            return Again(looked)
    return Again(_to_cancel(track))


def _after_cancel(track: Track, said: Judgement, asked: Asked) -> Course:
    ended = said.verdict is Verdict.STATE and said.ord_status not in OPEN_STATES
    if ended and not asked.verify:
        return _final_state(track, said, Evidence.REPLY)
    if said.verdict is Verdict.REFUSED and not track.sent:
        if asked.alone or track.tried >= MOST_REFUSALS:
            return _outcome(track, CancelStatus.REJECTED, said.reason or "refused")
        # One bad id may have spoiled the others of its batch: each goes alone.
        return Again(track._replace(tried=track.tried + 1, why=said.reason))
    if said.verdict is Verdict.UNKNOWN_ORDER:
        return _to_lookup(track._replace(misses=0), asked.ended, asked.venue)
    return doubted(track, said.reason or "in_doubt", asked.ended, asked.venue)


def _after_lookup(track: Track, said: Judgement, asked: Asked) -> Course:
    if said.verdict is Verdict.ABSENT:
        return _absent(track._replace(doubts=0), said, asked)
    if said.verdict is not Verdict.STATE:
        return doubted(track, said.reason or "lookup_in_doubt", asked.ended, asked.venue)
    if said.ord_status in OPEN_STATES:
        return _open(track._replace(doubts=0, still_open=True), said, asked)
    return _final_state(track, said, Evidence.LOOKUP)


def _lag_s(track: Track, asked: Asked) -> float:
    """Return how much longer reads may lag behind the last cancel."""
    return max(0.0, track.settled_at + asked.venue.read_lag_s - asked.ended)


def _read_too_early(track: Track, asked: Asked) -> bool:
    return asked.started < track.settled_at + asked.venue.read_lag_s


def _open(track: Track, said: Judgement, asked: Asked) -> Again:
    """Cancel once more, but read again first where the read may lag behind the cancel."""
    if said.ord_status is OrdStatus.PENDING_CANCEL:
        return doubted(track, "pending_cancel", asked.ended, asked.venue)
    named_wrongly = said.ord_type is not None and track.sent_as not in (
        OrdType.ANY,
        said.ord_type,
    )
    if _read_too_early(track, asked) and not named_wrongly:
        again = track._replace(early=False, absent=(), page=1)
        return Again(again, delay_s=_lag_s(track, asked))
    tried = track.tried + 1
    pause = (tried - QUICK_TRIES, 0.5) if tried > QUICK_TRIES else None
    return Again(_to_cancel(track)._replace(tried=tried, why="still_open"), back_off=pause)


def _absent(track: Track, said: Judgement, asked: Asked) -> Course:
    if _read_too_early(track, asked):
        return _absent_too_early(track, asked)
    if said.more:
        return _turn_the_page(track, asked)
    track = track._replace(page=1)
    if track.early:
        track = track._replace(early=False, absent=())
    if any(r.life_stage < asked.route.life_stage for r in _unread_routes(track, asked.venue)):
        return Again(track)
    track = track._replace(absent=(*track.absent, asked.route.name))
    unread = _unread_routes(track, asked.venue)
    if not unread:
        return _gone(track._replace(still_open=False), asked.venue)
    if unread[0].life_stage > asked.route.life_stage:
        # It may have moved on a moment ago: the next list must not lag behind this one.
        track = track._replace(settled_at=asked.ended)
    return Again(track, delay_s=_lag_s(track, asked))


def _turn_the_page(track: Track, asked: Asked) -> Again:
    """Read the next page when it cannot show an older list than this one.

    In an older one the newest rows are missing, so that the others stand further ahead, and
    one that moved over the edge would be seen on neither page.
    """
    track = track._replace(page=track.page + 1)
    if asked.route.max_pages == 1:
        return Again(track)
    return Again(track._replace(settled_at=asked.ended), delay_s=asked.venue.read_lag_s)


def _absent_too_early(track: Track, asked: Asked) -> Again:
    """Look on where it is likely to be; absence proves nothing yet, so no page is turned."""
    track = track._replace(page=1)
    if track.early:
        track = track._replace(absent=(*track.absent, asked.route.name))
        if _unread_routes(track, asked.venue):
            return Again(track)
        track = track._replace(early=False, absent=())
    return Again(track, delay_s=_lag_s(track, asked))


def _gone(track: Track, venue: Venue) -> CancelOutcome:
    if unasked_routes(venue, track.shape) and not _type_is_sure(track):
        return _outcome(track, CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup")
    if track.seen_open:
        return _outcome(track, CancelStatus.CLOSED, "no_record", Evidence.LOOKUP)
    reason = (
        "no_record_after_cancel" if track.sent and venue.forgets_canceled else "unknown_order"
    )
    return _outcome(track, CancelStatus.NOT_FOUND, reason, Evidence.LOOKUP)


_FINAL = {
    OrdStatus.CANCELED: (CancelStatus.CANCELED, ""),
    OrdStatus.FILLED: (CancelStatus.FILLED, "too_late"),
    OrdStatus.EXPIRED: (CancelStatus.CLOSED, "expired"),
    OrdStatus.REJECTED: (CancelStatus.CLOSED, "rejected_by_venue"),
}


def _final_state(track: Track, said: Judgement, evidence: Evidence) -> CancelOutcome:
    status, reason = _FINAL[said.ord_status or OrdStatus.REJECTED]
    # A refusal that names the state says that it was so before, unless one was sent already.
    told = said.reason if evidence is Evidence.REPLY and not track.sent else ""
    return _outcome(track, status, told or reason, evidence)


def _outcome(
    track: Track, status: CancelStatus, reason: str, evidence: Evidence = Evidence.NONE
) -> CancelOutcome:
    return CancelOutcome(
        id=track.ref.id,
        kind=track.ref.kind,
        symbol=track.symbol,
        ord_type=track.ord_type,
        status=status,
        reason=reason,
        ord_status=track.ord_status,
        evidence=evidence,
        attempts=track.attempts,
        venue_code=track.venue_code,
        text=track.text,
    )


def expire(track: Track) -> CancelOutcome:
    """Return the final word at the deadline: what is not known is said to be not known."""
    if track.still_open:
        return _outcome(track, CancelStatus.FAILED, "still_open", Evidence.LOOKUP)
    if track.sent:
        return _outcome(track, CancelStatus.UNCONFIRMED, track.why or "deadline")
    return _outcome(track, CancelStatus.FAILED, track.why or "deadline")


def refuse(track: Track, reason: str) -> CancelOutcome:
    """Return the final word when the account is halted: no further request can be made."""
    status = CancelStatus.UNCONFIRMED if track.sent else CancelStatus.REJECTED
    return _outcome(track, status, reason)
