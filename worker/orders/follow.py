"""The course of one id: what follows from each answer, until the final word. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from venues.base import ENDED_STAGE, Route, Venue, Verdict
from venues.words import (
    OPEN_STATES,
    CancelOutcome,
    CancelStatus,
    Evidence,
    IdKind,
    OrdStatus,
    OrdType,
    Shape,
)
from worker.orders.judge import Judgement
from worker.orders.progress import (
    MOST_REMEMBERED,
    OrderProgress,
    Over,
    Phase,
    Read,
    Search,
    gone_back,
    gone_on,
)
from worker.orders.routes import (
    cancel_routes,
    engine_route,
    hangs_on_symbol,
    lookup_routes,
    record_hangs_on_symbol,
)

#: So often an id goes by the same route before it goes by the next one: as a batch once more
#: before it goes alone, as what was lost once was seldom lost because of the batch.
TRIES_A_ROUTE = 2
#: After this many refusals of whole requests an id that can never go alone is refused, too.
MOST_REFUSALS = 3
#: So many ids of one look-up may each be asked for alone: what a venue takes in about a second.
FEW = 10
#: After this many attempts that left the order open, each further one waits longer.
QUICK_TRIES = 3
#: Verdicts that speak of the account, with the reason that its ids carry meanwhile.
ACCOUNT_WIDE = {
    Verdict.THROTTLED: "throttled",
    Verdict.BANNED: "banned",
    Verdict.CLOCK: "clock",
    Verdict.HALT: "halted",
}
#: Reasons of a doubt after which a list is read from its beginning.
_FROM_THE_TOP = frozenset({"list_too_long", "list_changes"})
#: Reasons of a doubt that is of the order itself, and not of the list that shows it.
_OF_THE_ORDER = frozenset({"nothing_executed", "unmapped_state", "trigger_fired"})
#: A record is taken to be unreadable after this many look-ups in a row that settled nothing,
#: and not before they do so for so many seconds: what befalls a few requests soon passes.
_MOST_INCONCLUSIVE, _UNREADABLE_S = 3, 30.0
#: What the producer should look at, where its own word leaves an order unproven.
_ADVICE = {
    "maybe_rounded": "no list shows this number, which may be rounded: send ids as strings",
    "symbol_missing_for_lookup": "not every list could be asked: state the symbol",
    "none_of_symbol": "open under no symbol, nor ended under the one that was stated: "
    "look at the symbol",
    "symbol_unproven": "no list shows it under the symbol that was stated: look at the symbol",
}
#: Verdicts of a cancel that the venue took, done or not.
_TAKEN = frozenset({Verdict.STATE, Verdict.ACCEPTED})
#: Verdicts of a list that speak of each id.
_OF_A_LIST = frozenset({Verdict.STATE, Verdict.ABSENT, Verdict.SYMBOL_DEMANDED})


class NextStep(NamedTuple):
    """The id goes on: its next step may start `delay_s` from now.

    `back_off` says that the delay grows with each time: attempt number and base in seconds.
    """

    progress: OrderProgress
    delay_s: float = 0.0
    back_off: tuple[int, float] | None = None


class FinalWord(NamedTuple):
    """What is said of an order at the end, but for its id: of all of a cohort the same."""

    progress: OrderProgress
    status: CancelStatus
    reason: str
    evidence: Evidence = Evidence.NONE
    cum_qty: str = ""

    def outcome(self, order_id: str) -> CancelOutcome:
        """Return the outcome of the order with this id."""
        progress = self.progress
        fired = progress.fired
        return CancelOutcome(
            id=order_id,
            kind=progress.id_kind,
            symbol=progress.symbol,
            ord_type=fired.ord_type if fired else progress.ord_type,
            status=self.status,
            reason=self.reason,
            ord_status=progress.ord_status,
            cum_qty=self.cum_qty,
            became=fired.became.id if fired else "",
            evidence=self.evidence,
            attempts=progress.attempts,
            venue_code=progress.venue_code,
            text=progress.text,
        )


#: What follows from an answer: the final word, or another step.
Transition = FinalWord | NextStep


@dataclass(frozen=True, slots=True)
class ReplyContext:
    """The request that was answered: by which route, when it started and ended.

    `alone` says that it carried this id only, so that a refusal of the whole request is a
    refusal of this id; `few`, that each of its ids may be asked for by itself. `lists_all` says
    that it asked for a whole list and named no id. `verify` looks up also what a reply has
    named.
    """

    venue: Venue
    route: Route
    started: float
    ended: float
    alone: bool = False
    few: bool = False
    lists_all: bool = False
    verify: bool = False


def next_route(progress: OrderProgress, venue: Venue) -> Route:
    """Return the route of the next step."""
    if progress.phase is not Phase.CANCEL:
        unread = _unread_routes(progress, venue)
        return unread[0] if unread else _last_in_doubt(progress, venue)
    routes = cancel_routes(venue, progress.shape)
    return routes[progress.tried // TRIES_A_ROUTE % len(routes)]


def _by_the_next_route(progress: OrderProgress, why: str) -> OrderProgress:
    passed = progress.tried // TRIES_A_ROUTE + 1
    return progress._replace(tried=passed * TRIES_A_ROUTE, why=why)


def _last_in_doubt(progress: OrderProgress, venue: Venue) -> Route:
    """Return the route to ask again when all that are likely to show the order do not.

    The others that may show it are not asked for its type, and one of them taught us the type
    beside a state that says nothing.
    """
    routes = lookup_routes(venue, progress.shape)
    settled = progress.search.absent_from
    return next((route for route in routes if route.name not in settled), routes[-1])


def _unread_routes(progress: OrderProgress, venue: Venue) -> tuple[Route, ...]:
    hasty = progress.phase is not Phase.CONFIRM
    likely_only = hasty or _type_is_sure(progress)
    return _unread(venue, progress.shape, progress.search.absent_from, likely_only, hasty)


@cache
def _unread(
    venue: Venue, order: Shape, absent_from: tuple[str, ...], likely_only: bool, hasty: bool
) -> tuple[Route, ...]:
    routes = lookup_routes(venue, order)
    likely = [route for route in routes if likely_only and order.ord_type in route.ord_types]
    by_id = [r for r in likely if not r.only_open and r.life_stage < ENDED_STAGE]
    if hasty and by_id:  # a list proves nothing in haste, and some cost as much as 40 look-ups
        likely = [
            r for r in likely if not (r.only_open and any(c.per_request for c in r.costs))
        ]
    unread = [route for route in likely or routes if route.name not in absent_from]
    return tuple(unread if hasty else sorted(unread, key=lambda route: route.life_stage))


def _type_is_sure(progress: OrderProgress) -> bool:
    """A trigger, trailing or TP/SL order may become another one when it fires."""
    return progress.type_known and progress.ord_type in (OrdType.LIMIT, OrdType.MARKET)


@lru_cache(maxsize=MOST_REMEMBERED)
def sent(progress: OrderProgress) -> OrderProgress:
    """Return the progress of an id that leaves in a request now."""
    if progress.phase is not Phase.CANCEL:
        return progress
    attempts = progress.attempts + 1
    leaves = progress._replace(attempts=attempts, sent_as=progress.ord_type)
    return leaves._replace(disowned=False, cancel_in_doubt=True)


def step(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    """Return what follows from a judgement, be it of the order, the list or the account."""
    if said.verdict is Verdict.HALT:  # the account's standing says when it goes again
        return NextStep(progress._replace(why=blame_of(said)))
    if said.verdict in ACCOUNT_WIDE:
        return not_effective(progress, blame_of(said), 1.0)
    if asked.lists_all and said.verdict not in _OF_A_LIST:
        return inconclusive_list(progress)
    return follow(progress, said, asked)


def blame_of(said: Judgement) -> str:
    """Return the reason of a verdict on the account, which its ids carry meanwhile."""
    named = said.verdict is Verdict.HALT and said.reason
    return named or ACCOUNT_WIDE[said.verdict]


def is_served(said: Judgement) -> bool:
    """Say whether the venue itself answered, and refused neither key nor rate."""
    return not said.by_status and said.verdict not in ACCOUNT_WIDE


def follow(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    """Return what follows from a judgement of the order.

    A final word bears the words of the answer that settled it, not those of an earlier one; or
    ours, where a word of the producer leaves it open.
    """
    known = noted(progress, said)
    found = _go_on_as_another(known, said, asked) or _follow(known, said, asked)
    if isinstance(found, NextStep):
        return found
    if found.progress.fired and found.progress.fired.may_be_reused:
        again = gone_back(found.progress._replace(ord_status=None))
        return _when_all_are_there(found._replace(progress=again), asked)
    text = _ADVICE.get(found.reason) or said.text
    words = found.progress._replace(venue_code=said.venue_code, text=text)
    return found._replace(progress=words)


def _go_on_as_another(
    progress: OrderProgress, said: Judgement, asked: ReplyContext
) -> NextStep | None:
    """Go on with the order that this one became; None: it became none that can be followed.

    Its row is proof enough to cancel that one at once. Under a symbol that nobody but the
    producer stated its absence would prove nothing. What it became in turn is not followed: no
    venue's order of the book fires.
    """
    if said.became is None or progress.fired or not said.symbol:
        return None
    may_be_reused = _may_be_another(progress, asked)
    came = progress._replace(
        came_at=asked.ended, still_open=False, ord_status=None, why=said.reason or progress.why
    )
    another = gone_on(came, said.became, may_be_reused=may_be_reused)
    shape = another.shape
    if not cancel_routes(asked.venue, shape) or not lookup_routes(asked.venue, shape):
        return None
    return NextStep(another)


def _follow(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    if said.verdict is Verdict.SYMBOL_DEMANDED:
        return _ask_by_symbol(progress, asked)
    if said.verdict is Verdict.NOT_DONE and progress.phase is not Phase.PRECHECK:
        return not_effective(progress, said.reason or "not_done")
    progress = progress._replace(misses=0)
    if progress.phase is Phase.PRECHECK:
        return _after_precheck(progress, said, asked)
    if progress.phase is Phase.CANCEL:
        return _after_cancel(progress, said, asked)
    return _after_lookup(progress, said, asked)


def noted(progress: OrderProgress, said: Judgement) -> OrderProgress:
    """Return the progress with what a judgement teaches of the order."""
    return progress._replace(
        symbol=said.symbol or progress.symbol,
        ord_type=said.ord_type or progress.ord_type,
        type_known=progress.type_known or said.ord_type is not None,
        ord_status=said.ord_status or progress.ord_status,
        seen_open=progress.seen_open or said.ord_status in OPEN_STATES,
        venue_code=said.venue_code or progress.venue_code,
        text=said.text or progress.text,
    )


@lru_cache(maxsize=MOST_REMEMBERED)
def sighted(
    progress: OrderProgress, symbol: str, ord_type: OrdType | None = None
) -> OrderProgress:
    """Return the progress of an order that a look for others showed open: its symbol and type.

    A type that nobody stated is not learned: that would part it from the others of its batch.
    Lists of another symbol or type than its own prove nothing.
    """
    misplaced = symbol and progress.symbol not in ("", symbol)
    misfiled = ord_type is not None and progress.ord_type not in (OrdType.ANY, ord_type)
    return progress._replace(
        seen_open=True,
        missing_since=0.0,
        over=None,
        symbol=symbol or progress.symbol,
        ord_type=ord_type if ord_type and misfiled else progress.ord_type,
        search=Search() if misplaced or misfiled else progress.search,
    )


@lru_cache(maxsize=MOST_REMEMBERED)
def by_symbol(progress: OrderProgress, route: Route) -> OrderProgress:
    """Return the progress of an order that a list shows only to who names the symbol."""
    return progress._replace(by_symbol=progress.by_symbol | {route.path})


def perhaps_canceled(progress: OrderProgress) -> OrderProgress:
    """Return the progress of an order that a cancel-all may have canceled: it is looked up."""
    looked_for = progress._replace(phase=Phase.HASTY, search=Search())
    return looked_for._replace(sent=True, cancel_in_doubt=True)


def is_current(progress: OrderProgress, venue: Venue, started: float) -> bool:
    """Say whether a read that started then shows what followed the last cancel."""
    return started >= _current_from(progress, venue)


def not_effective(progress: OrderProgress, why: str, base_s: float = 0.5) -> NextStep:
    """Return the same step again, after a growing pause: the request surely did nothing."""
    misses = progress.misses + 1
    return NextStep(progress._replace(misses=misses, why=why), back_off=(misses, base_s))


def doubted(progress: OrderProgress, why: str, now: float, venue: Venue) -> NextStep:
    """Return what follows when a request may or may not have had its effect."""
    if progress.phase is Phase.PRECHECK:
        return NextStep(_to_cancel(progress))
    if progress.phase is Phase.CANCEL:
        may_be_taken = progress._replace(sent=True, passed_over=False, misses=0, why=why)
        return _to_lookup(may_be_taken, now, venue)
    inconclusive = progress.search.inconclusive + 1
    since = progress.search.since or now
    search = progress.search._replace(inconclusive=inconclusive, since=since)
    if why in _FROM_THE_TOP:
        search = search.from_the_top()
    return NextStep(progress._replace(search=search, why=why), back_off=(inconclusive, 0.5))


def inconclusive_list(progress: OrderProgress) -> NextStep:
    """Return what follows when a whole list proved nothing of an id that it does not show.

    A list that is cut stays as long as it is; one that gets shorter, as its orders are
    canceled, is read once more. After that the id is asked for.
    """
    search = progress.search
    if not search.inconclusive:
        return NextStep(progress._replace(search=search._replace(inconclusive=1)))
    search = search._replace(inconclusive=0, page=search.page + 1)
    return NextStep(progress._replace(search=search))


def _to_lookup(progress: OrderProgress, now: float, venue: Venue) -> NextStep:
    """Look for the order: at once, though reads may lag, where that may settle it.

    At a venue that keeps no record, a canceled order can only be proven absent, and that after
    the lag. Only an order whose type nobody stated is looked for sooner: by its type it is
    canceled again.
    """
    progress = progress._replace(
        phase=Phase.HASTY,
        search=Search(),
        searched=False,
        settled_at=now,
        left_at=0.0,
        missing_since=0.0,
        still_open=False,
    )
    if venue.forgets_canceled and progress.ord_type is not OrdType.ANY:
        return _look_later(progress, now, venue)
    return NextStep(progress)


def _look_later(progress: OrderProgress, now: float, venue: Venue) -> NextStep:
    """Look again when absence counts; in haste before that, as soon as reads are current.

    An order that was on its way, or whose cancel was lost, is canceled the sooner.
    """
    confirm = _confirm(progress)
    proves_from = _proves_from(confirm, venue, next_route(confirm, venue))
    current_from = _current_from(progress, venue)
    if progress.phase is Phase.HASTY and now < current_from < proves_from:
        return NextStep(progress._replace(search=Search()), delay_s=current_from - now)
    return NextStep(confirm, delay_s=max(0.0, proves_from - now))


def still_to_come(progress: OrderProgress, now: float, venue: Venue) -> NextStep:
    """Return what follows for a job that came later, where only earlier ones may be told."""
    return _look_later(progress, now, venue)


def _to_cancel(progress: OrderProgress) -> OrderProgress:
    return progress._replace(phase=Phase.CANCEL, search=Search())


def _ask_by_symbol(progress: OrderProgress, asked: ReplyContext) -> Transition:
    """Ask the list again, under the order's symbol; without one it cannot be asked at all."""
    if progress.symbol:
        return NextStep(by_symbol(progress, asked.route))
    if progress.phase is Phase.PRECHECK:
        return NextStep(_to_cancel(progress))
    if progress.phase is Phase.HASTY:  # the lists that can be asked may show it yet
        return _absent_too_early(progress, asked)
    return FinalWord(progress, CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup")


def _after_precheck(
    progress: OrderProgress, said: Judgement, asked: ReplyContext
) -> Transition:
    """Look through the likely places; whatever is not found is canceled all the same."""
    ended = said.verdict is Verdict.STATE and said.ord_status not in OPEN_STATES
    unsure = _may_be_another(progress, asked) or _other_doors(progress, asked)
    if ended and not unsure:
        return _final_state(progress, said, Evidence.LOOKUP)
    if said.verdict is Verdict.ABSENT:
        looked = progress._replace(search=progress.search.after(asked.route.name))
        if _unread_routes(looked, asked.venue):
            return NextStep(looked)
    return NextStep(_to_cancel(progress))


def _after_cancel(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    ended = said.verdict is Verdict.STATE and said.ord_status not in OPEN_STATES
    if ended and not asked.verify:
        if _may_be_another(progress, asked):
            settled = progress._replace(
                sent=True,
                settled_at=asked.ended,
                passed_over=False,
                cancel_in_doubt=False,
            )
            return _when_all_are_there(_final_state(settled, said, Evidence.REPLY), asked)
        return _final_state(progress, said, Evidence.REPLY)
    if ended:  # what the reply has told stands where no look-up shows the order
        progress = _over(_final_state(progress, said, Evidence.REPLY))
    if said.verdict is Verdict.REFUSED and not progress.sent and not progress.fired:
        if asked.alone or progress.tried >= MOST_REFUSALS * TRIES_A_ROUTE:
            return FinalWord(progress, CancelStatus.REJECTED, said.reason or "refused")
        # One bad id may have spoiled the others of its batch: each goes alone.
        return NextStep(_by_the_next_route(progress, said.reason))
    if said.verdict is Verdict.UNKNOWN_ORDER:
        # An order that was on its way when the job came may not have been there yet.
        all_there = asked.started >= progress.came_at + asked.venue.birth_lag_s
        disowned = _is_the_engine(progress, asked) and all_there
        unknown = progress._replace(passed_over=True, disowned=disowned, cancel_in_doubt=False)
        if unknown.searched and disowned:
            return _gone(unknown, asked)
        other = _by_the_next_route(unknown, "unknown_order")
        is_first = progress.tried < TRIES_A_ROUTE
        may_be_missed = is_first and progress.ord_type in asked.route.unproven_for
        if may_be_missed and next_route(other, asked.venue) is not asked.route:
            return NextStep(other)  # nothing is gained by waiting with one that may reach it
        return _to_lookup(unknown, asked.ended, asked.venue)
    if said.verdict in _TAKEN:
        by_engine = _is_the_engine(progress, asked)
        progress = progress._replace(
            cancel_in_doubt=False, engine_took=progress.engine_took or by_engine
        )
    looked_up = doubted(progress, said.reason or "in_doubt", asked.ended, asked.venue)
    if said.reason == "not_named":
        return looked_up._replace(progress=looked_up.progress._replace(passed_over=True))
    return looked_up


def _is_the_engine(progress: OrderProgress, asked: ReplyContext) -> bool:
    return asked.route is engine_route(asked.venue, progress.shape)


def _after_lookup(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    if said.verdict is Verdict.ABSENT:
        return _absent(_missed(progress, said, asked), said, asked)
    if said.verdict is not Verdict.STATE:
        if said.reason == "list_too_long" and asked.route.life_stage >= ENDED_STAGE:
            return _too_long(progress, said, asked)
        if _is_over(progress, said.reason, asked):
            return _give_up(progress, asked, reason="record_unreadable")
        return doubted(progress, said.reason or "lookup_in_doubt", asked.ended, asked.venue)
    if said.ord_status in OPEN_STATES:
        # What another order of its client id came to says nothing of this one.
        seen = _conclusive(progress)._replace(still_open=True, missing_since=0.0, over=None)
        return _open(seen, said, asked)
    if _is_by_another_door(progress, asked):
        return doubted(progress, "id_reused", asked.ended, asked.venue)
    word = _final_state(progress, said, Evidence.LOOKUP)
    if _may_be_another(progress, asked):
        return _when_all_are_there(word, asked)
    doors = _other_doors(progress, asked) if _may_have_met_none(progress) else frozenset()
    return _at_other_doors(word, doors, asked.venue) if doors else word


def _may_have_met_none(progress: OrderProgress) -> bool:
    """Say whether the last cancel, which named no type, may have met no open order."""
    canceled = progress.ord_status is OrdStatus.CANCELED
    answered = progress.sent and not (progress.passed_over or progress.cancel_in_doubt)
    taken = answered and canceled
    return progress.sent_as is OrdType.ANY and not taken


def _is_by_another_door(progress: OrderProgress, asked: ReplyContext) -> bool:
    """Say whether a client order id whose cancel was taken is shown where its type is not.

    What was canceled may be forgotten, and this be an older order.
    """
    taken = progress.kind is IdKind.CLIENT and progress.sent and not progress.passed_over
    return taken and progress.sent_as not in asked.route.ord_types


def _when_all_are_there(word: FinalWord, asked: ReplyContext) -> NextStep:
    """Look again when every order is there that the client order id may name.

    What has ended may be shown no more by then: its word is kept.
    """
    progress = _confirm(_over(word))._replace(still_open=False, why="id_reused")
    there_from = _there_from(progress, asked.venue)
    return NextStep(progress, delay_s=max(0.0, there_from - asked.ended))


def _at_other_doors(word: FinalWord, doors: frozenset[str], venue: Venue) -> NextStep:
    """Look for an open order of the same client order id, of a type that nobody stated."""
    progress = _confirm(_over(word))._replace(ord_type=OrdType.ANY, type_known=False)
    others = tuple(r.name for r in venue.routes if r.name not in doors)
    return NextStep(progress._replace(search=Search(absent_from=others)))


def _over(word: FinalWord) -> OrderProgress:
    """Return the progress of an order that has ended, with what is said of it."""
    over = Over(*word[1:], word.progress.ord_type)
    return word.progress._replace(over=over)


def _other_doors(progress: OrderProgress, asked: ReplyContext) -> frozenset[str]:
    """Return the look-ups by id of types that this one does not show.

    Orders and those that wait for a trigger may have client order ids of their own: one that
    has ended, and another that rests, bear the same.
    """
    if progress.kind is not IdKind.CLIENT:
        return frozenset()
    shown = asked.route.ord_types - {OrdType.ANY}
    looks = lookup_routes(asked.venue, progress.shape)
    return frozenset(r.name for r in looks if not (r.only_open or shown & r.ord_types))


def _may_be_another(progress: OrderProgress, asked: ReplyContext) -> bool:
    """Say whether a client order id whose order has ended may name a newer one in a moment.

    Venues ask that it is unique among active orders only, and look-ups show the latest.
    """
    by_client_id = progress.kind is IdKind.CLIENT
    return by_client_id and asked.started < _there_from(progress, asked.venue)


def _there_from(progress: OrderProgress, venue: Venue) -> float:
    """Return from when on reads show each order that was on its way when the job came."""
    return progress.came_at + venue.birth_lag_s + venue.read_lag_s


def _conclusive(progress: OrderProgress) -> OrderProgress:
    return progress._replace(search=progress.search._replace(inconclusive=0, since=0.0))


def _missed(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> OrderProgress:
    """Note that a read which should show the order, if it is open, did not.

    Each of several may be the one that does: what counts is the oldest of those that count now.
    """
    if asked.started < progress.came_at + asked.venue.read_lag_s:
        return progress  # the read may be of before the order came to be
    is_whole = not said.more and _follows(said, progress.search.read)
    should_show = {route.name for route in _showing_if_open(progress, asked.venue)}
    if not is_whole or asked.route.name not in should_show:
        return progress
    since = progress.missing_since or asked.ended
    is_first = should_show.isdisjoint(progress.search.absent_from)
    until = asked.started if is_first else min(progress.missing_until, asked.started)
    return progress._replace(missing_since=since, missing_until=until)


def _showing_if_open(progress: OrderProgress, venue: Venue) -> list[Route]:
    """Return the look-ups that show an order of this type while it is open."""
    return [
        route
        for route in lookup_routes(venue, progress.shape)
        if route.life_stage < ENDED_STAGE and progress.ord_type in route.ord_types
    ]


def _confirm(progress: OrderProgress) -> OrderProgress:
    """Look through all lists from now on, from the beginning."""
    return progress._replace(phase=Phase.CONFIRM, search=Search())


def _current_from(progress: OrderProgress, venue: Venue) -> float:
    """Return from when on reads show what followed the last cancel."""
    return progress.settled_at + venue.read_lag_s


def _proves_from(progress: OrderProgress, venue: Venue, route: Route) -> float:
    """Return from when on reads by this route prove gone what they do not show.

    Before that an order that nobody has seen may be on its way to the venue (or a newer one
    with the same client order id), the read may be behind what was done, and the record behind
    the list that the order has left.
    """
    is_there = progress.seen_open and progress.kind is IdKind.VENUE
    there_by = progress.came_at + (0.0 if is_there else venue.birth_lag_s)
    lag_s = venue.read_lag_s
    if _shows_what_is_over(progress, venue, route):
        lag_s = max(lag_s, venue.record_lag_s)
    return max(there_by, progress.settled_at, progress.left_at) + lag_s


def _shows_what_is_over(progress: OrderProgress, venue: Venue, route: Route) -> bool:
    """Say whether an order is missing from the route only because it ended a moment ago."""
    keeps_all = not venue.forgets_canceled
    was_there = bool(progress.seen_open or progress.fired)
    return route.life_stage >= ENDED_STAGE or (keeps_all and was_there)


def _open(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> NextStep:
    """Cancel once more, but read again first where the read may lag behind the cancel.

    That read is not for what the venue did not know or name: once such an id goes on at once.
    """
    if said.ord_status is OrdStatus.PENDING_CANCEL:
        return doubted(progress, "pending_cancel", asked.ended, asked.venue)
    named_wrongly = said.ord_type is not None and progress.sent_as not in (
        OrdType.ANY,
        said.ord_type,
    )
    current_from = _current_from(progress, asked.venue)
    never_taken = progress.passed_over and not progress.tried
    if asked.started < current_from and not named_wrongly and not never_taken:
        return NextStep(_confirm(progress), delay_s=max(0.0, current_from - asked.ended))
    if _went_by_another_door(progress, asked.venue):
        again = progress._replace(tried=0, passed_over=False, why="still_open")
    elif progress.passed_over:
        again = _by_the_next_route(progress, why="still_open")
    else:
        again = progress._replace(tried=progress.tried + 1, why="still_open")
    pause = (again.tried - QUICK_TRIES, 0.5) if again.tried > QUICK_TRIES else None
    return NextStep(_to_cancel(again), back_off=pause)


def _went_by_another_door(progress: OrderProgress, venue: Venue) -> bool:
    """Say whether the last cancel took a route that orders of this type do not take."""
    took = cancel_routes(venue, progress.shape._replace(ord_type=progress.sent_as))
    takes = cancel_routes(venue, progress.shape)
    return (
        bool(took and takes) and took[progress.tried // TRIES_A_ROUTE % len(took)] not in takes
    )


def _absent(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    if asked.started < _proves_from(progress, asked.venue, asked.route):
        return _absent_too_early(_conclusive(progress), asked)
    astray = _astray(progress, said, asked)
    if astray is not None:
        return astray
    progress = _come_in(progress, said)
    if not _is_met(progress, said):
        if said.more and not _shows_nothing_new(said, progress.search.read):
            return _turn_the_page(progress, said, asked)
        if progress.search.joined:
            return _read_what_is_above(progress)
    if progress.search.given_up and asked.route.life_stage >= ENDED_STAGE:
        return _give_up(progress, asked, reason=progress.search.given_up)
    progress = _conclusive(progress)
    if progress.phase is Phase.HASTY:
        progress = _confirm(progress)
    progress = progress._replace(search=progress.search.from_the_top())
    if any(
        r.life_stage < asked.route.life_stage for r in _unread_routes(progress, asked.venue)
    ):
        return NextStep(progress)
    progress = progress._replace(search=progress.search.after(asked.route.name))
    unread = _unread_routes(progress, asked.venue)
    if not unread:
        return _missing(progress._replace(still_open=False), asked)
    if unread[0].life_stage > asked.route.life_stage:
        # It may have moved on a moment ago: the next list must not lag behind this one.
        progress = progress._replace(left_at=asked.ended)
    proves_from = _proves_from(progress, asked.venue, unread[0])
    return NextStep(progress, delay_s=max(0.0, proves_from - asked.ended))


def _follows(said: Judgement, read: Read) -> bool:
    """Say whether no row can have been missed between this page and the one before.

    Rows that left the list, or a replica that is behind, have the others stand further ahead:
    then the pages do not overlap any more.
    """
    return said.page is None or not read.edge or not set(read.edge).isdisjoint(said.page.ids)


def _astray(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition | None:
    """Return what follows where a page is not the next one; None where it is.

    New rows, as a cancel may make, move the others down by as many as the list has more.
    """
    search, page = progress.search, said.page
    read = search.read
    if page is None or not read.edge or read.edge[-1] in page.ids:
        return None
    if page.total and read.total and page.total > read.total:
        moved = read._replace(rows=read.rows + page.total - read.total, total=page.total)
        return NextStep(
            progress._replace(search=search._replace(page=search.page + 1, read=moved))
        )
    if _follows(said, read):
        return None
    if _is_over(progress, "list_changes", asked):
        return _give_up(progress, asked, reason="record_unreadable")
    return doubted(progress, "list_changes", asked.ended, asked.venue)


def _shows_nothing_new(said: Judgement, read: Read) -> bool:
    """Say whether a page that may have been cut ends where the list does."""
    page = said.page
    if page is None or not read.edge or page.ids[-1] != read.edge[-1]:
        return False
    return page.total is None or page.total <= page.end


def _is_over(progress: OrderProgress, why: str, asked: ReplyContext) -> bool:
    """Say whether an order is open no longer, though the record cannot be read to its end.

    It was open once, and every list of open orders has proven that it is there no more.
    """
    search = progress.search
    lasts_s = asked.ended - (search.since or asked.ended)
    settles_nothing = search.inconclusive + 1 >= _MOST_INCONCLUSIVE and lasts_s >= _UNREADABLE_S
    is_record = asked.route.life_stage >= ENDED_STAGE
    unread = _unread_routes(progress, asked.venue)
    return (
        progress.phase is Phase.CONFIRM
        and progress.seen_open
        and is_record
        and why not in _OF_THE_ORDER
        and settles_nothing
        and all(route.life_stage >= ENDED_STAGE for route in unread)
        and bool(progress.symbol or not _may_rest_unseen(progress, asked.venue))
    )


def _give_up(progress: OrderProgress, asked: ReplyContext, *, reason: str) -> Transition:
    """Do without the record; one that cannot be read says nothing of the others."""
    search = progress.search._replace(given_up=reason)
    without = progress._replace(still_open=False, search=search)
    if reason == "record_unreadable":
        without = without._replace(search=search.after(asked.route.name))
        if unread := _unread_routes(without, asked.venue):
            proves_from = _proves_from(without, asked.venue, unread[0])
            return NextStep(without, delay_s=max(0.0, proves_from - asked.ended))
    return _missing(without, asked)


def _too_long(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> Transition:
    """Do without what the record has beyond the pages that are read of it.

    What it shows first is the newest, so that another record, which goes back further, begins
    with the same rows.
    """
    if progress.phase is Phase.HASTY:
        return _look_later(progress, asked.ended, asked.venue)
    astray = _astray(progress, said, asked)
    if astray is not None:
        return astray
    progress = _come_in(progress, said)
    if progress.search.joined:
        search = progress.search._replace(given_up="record_too_long")
        return _read_what_is_above(progress._replace(search=search))
    return _give_up(progress, asked, reason="record_too_long")


def _come_in(progress: OrderProgress, said: Judgement) -> OrderProgress:
    """Note the first page that was read where it joined others who were reading the list."""
    search = progress.search
    if said.page is None or not search.joins:
        return progress
    return progress._replace(search=search._replace(joins=False, joined=said.page.ids))


def _is_met(progress: OrderProgress, said: Judgement) -> bool:
    """Say whether the rows below this page are read already."""
    until = progress.search.until
    return said.page is not None and not set(until).isdisjoint(said.page.ids)


def _read_what_is_above(progress: OrderProgress) -> NextStep:
    search = progress.search
    above = search.from_the_top()._replace(until=search.joined)
    return NextStep(progress._replace(search=above))


def _turn_the_page(progress: OrderProgress, said: Judgement, asked: ReplyContext) -> NextStep:
    """Read the next page, which overlaps this one.

    Of a list whose pages do not tell their ids it is read when it cannot show an older list
    than this one. In an older one the newest rows are missing, so that the others stand
    further ahead, and one that moved over the edge would be seen on neither page.
    """
    search = progress.search._replace(page=progress.search.page + 1)
    page = said.page
    if page is not None:
        read = Read(page.end, page.size, page.ids, page.total, page.cursor)
        if progress.why != "list_changes":  # one that changes is read more and more slowly
            search = search._replace(inconclusive=0, since=0.0)
        return NextStep(progress._replace(search=search._replace(read=read)))
    progress = _conclusive(progress._replace(search=search))
    is_long = asked.route.max_pages > 1
    return NextStep(progress, delay_s=asked.venue.read_lag_s if is_long else 0.0)


def _absent_too_early(progress: OrderProgress, asked: ReplyContext) -> NextStep:
    """Look on where it is likely to be; absence proves nothing yet, so no page is turned."""
    if progress.phase is Phase.HASTY:
        looked = progress._replace(search=progress.search.after(asked.route.name))
        if _unread_routes(looked, asked.venue):
            return NextStep(looked)
        return _look_later(progress, asked.ended, asked.venue)
    progress = progress._replace(search=progress.search.from_the_top())
    proves_from = _proves_from(progress, asked.venue, asked.route)
    return NextStep(progress, delay_s=max(0.0, proves_from - asked.ended))


def _missing(progress: OrderProgress, asked: ReplyContext) -> Transition:
    """Read what shows open orders once more where the order may only have been hidden."""
    over = progress.over
    if over is not None and not (asked.verify and over.evidence is Evidence.REPLY):
        return _gone(progress, asked)
    hidden_until = progress.missing_since + asked.venue.hidden_s
    if progress.missing_until >= hidden_until:
        return _gone_unseen(progress, asked, hidden_until)
    search = _through_again(asked.venue, progress.ord_type, record=False)
    again = progress._replace(search=search._replace(given_up=progress.search.given_up))
    if not _unread_routes(again, asked.venue):
        return _gone(progress, asked)
    return NextStep(again, delay_s=max(0.0, hidden_until - asked.ended))


def _gone_unseen(
    progress: OrderProgress, asked: ReplyContext, hidden_until: float
) -> Transition:
    """Read the record once more where the order may have traded while a list hid it.

    By then it was read for what ended before the list first missed the order, as one had whose
    cancel was taken, or met no open order.
    """
    is_read = progress.left_at >= hidden_until
    unreadable = progress.search.given_up == "record_unreadable"
    if not progress.cancel_in_doubt or is_read or unreadable:
        return _gone(progress, asked)
    search = _through_again(asked.venue, progress.ord_type, record=True)
    again = progress._replace(left_at=asked.ended, search=search)
    unread = _unread_routes(again, asked.venue)
    if not unread:
        return _gone(progress, asked)
    proves_from = _proves_from(again, asked.venue, unread[0])
    return NextStep(again, delay_s=max(0.0, proves_from - asked.ended))


def _through_again(venue: Venue, ord_type: OrdType, *, record: bool) -> Search:
    """Return a search of the `record`, or of what shows open orders: as far as of a type."""
    others = (
        route.name
        for route in venue.routes
        if (route.life_stage >= ENDED_STAGE) is not record or ord_type not in route.ord_types
    )
    return Search(tuple(others))


def _gone(progress: OrderProgress, asked: ReplyContext) -> Transition:
    """Return what follows when no list shows the order."""
    venue = asked.venue
    fired_before = progress.fired is not None and progress.why == "trigger_fired"
    if progress.why in _OF_THE_ORDER and not fired_before:
        # A list has shown it, in a state that says nothing; read on, from the beginning.
        return doubted(_confirm(progress), progress.why, asked.ended, venue)
    if progress.maybe_rounded and not progress.seen_open:
        return FinalWord(progress, CancelStatus.UNCONFIRMED, "maybe_rounded")
    if _may_rest_unseen(progress, venue):
        engine = engine_route(venue, progress.shape)
        if engine is not None and asked.few and not progress.disowned:
            return NextStep(_ask_the_engine(progress, engine, venue))
        if not progress.symbol:
            return FinalWord(progress, CancelStatus.UNCONFIRMED, "symbol_missing_for_lookup")
        if engine is None or progress.by_symbol:
            return FinalWord(progress, CancelStatus.UNCONFIRMED, "symbol_unproven")
    elif asked.few and _may_be_misnamed(progress, venue):
        engine = engine_route(venue, progress.shape)
        if engine is not None:
            return NextStep(_ask_the_engine(progress, engine, venue))
    if (over := progress.over) is not None:
        known = progress._replace(ord_type=over.ord_type)
        return FinalWord(known, over.status, over.reason, over.evidence, over.cum_qty)
    given_up = progress.search.given_up
    if progress.seen_open or progress.fired:  # a row has shown it, or has named it
        reason = given_up or "no_record"
        return FinalWord(progress, CancelStatus.CLOSED, reason, Evidence.LOOKUP)
    reason = "unknown_order"
    if progress.sent and venue.forgets_canceled:
        reason = "no_record_after_cancel"
    if record_hangs_on_symbol(venue, progress.shape):
        reason = "none_of_symbol"
    return FinalWord(progress, CancelStatus.NOT_FOUND, given_up or reason, Evidence.LOOKUP)


def _may_rest_unseen(progress: OrderProgress, venue: Venue) -> bool:
    """Say whether it may rest under another symbol than the job stated, if it stated one."""
    told = _is_disowned(progress, venue) or (progress.symbol and progress.type_known)
    unsure = not told and not _type_is_sure(progress)
    return unsure and hangs_on_symbol(venue, progress.shape)


def _may_be_misnamed(progress: OrderProgress, venue: Venue) -> bool:
    """Say whether it may rest where no list was asked: the job's type and symbol may be wrong.

    The venue is asked once more: it takes a cancel by the id alone, or knows no such order.
    """
    if progress.type_known or progress.seen_open or progress.engine_took or progress.disowned:
        return False
    return hangs_on_symbol(venue, progress.shape._replace(ord_type=OrdType.ANY))


def _is_disowned(progress: OrderProgress, venue: Venue) -> bool:
    """Say whether the venue's own word on the id counts: it knows no such order.

    Of a type that the route may not reach it counts only beside the list that shows that type
    under the stated symbol; of one that nobody stated, if a symbol was.
    """
    engine = engine_route(venue, progress.shape)
    if not progress.disowned or engine is None:
        return False
    out_of_reach = progress.ord_type in engine.unproven_for
    if not progress.symbol:
        return not out_of_reach and progress.ord_type is not OrdType.ANY
    return not (out_of_reach and progress.by_symbol)


def _ask_the_engine(progress: OrderProgress, engine: Route, venue: Venue) -> OrderProgress:
    """Cancel once more, by the route whose answer is the venue's own word."""
    place = cancel_routes(venue, progress.shape).index(engine)
    tried = progress.tried
    while tried // TRIES_A_ROUTE % len(cancel_routes(venue, progress.shape)) != place:
        tried += 1
    asking = _to_cancel(progress)._replace(tried=tried, searched=True, why="symbol_unproven")
    return asking._replace(search=Search(given_up=progress.search.given_up))


_FINAL = {
    OrdStatus.CANCELED: (CancelStatus.CANCELED, ""),
    OrdStatus.FILLED: (CancelStatus.FILLED, "too_late"),
    OrdStatus.EXPIRED: (CancelStatus.CLOSED, "expired"),
    OrdStatus.REJECTED: (CancelStatus.CLOSED, "rejected_by_venue"),
}


def _final_state(progress: OrderProgress, said: Judgement, evidence: Evidence) -> FinalWord:
    status, reason = _FINAL[said.ord_status or OrdStatus.REJECTED]
    if said.reason == "partially_filled":
        status, reason = CancelStatus.CLOSED, said.reason
    # A refusal that names the state says that it was so before, unless one was sent already.
    told = said.reason if evidence is Evidence.REPLY and not progress.sent else ""
    return FinalWord(progress, status, told or reason, evidence, said.cum_qty)


def expire(progress: OrderProgress) -> FinalWord:
    """Return the final word at the deadline: what is not known is said to be not known."""
    if progress.still_open:
        return FinalWord(progress, CancelStatus.FAILED, "still_open", Evidence.LOOKUP)
    if progress.sent:
        return FinalWord(progress, CancelStatus.UNCONFIRMED, progress.why or "deadline")
    return FinalWord(progress, CancelStatus.FAILED, progress.why or "deadline")


def refuse(progress: OrderProgress, reason: str) -> FinalWord:
    """Return the final word when the account is halted: no further request can be made."""
    status = CancelStatus.UNCONFIRMED if progress.sent else CancelStatus.REJECTED
    return FinalWord(progress, status, reason)
