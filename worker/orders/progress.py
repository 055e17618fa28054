"""What is known of an order between two steps, and of many orders at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from functools import cache, lru_cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from venues.words import (
    Became,
    CancelStatus,
    Evidence,
    IdKind,
    OrderRef,
    OrdStatus,
    OrdType,
    Shape,
)

#: Most results that a cached function of an order's progress keeps.
MOST_REMEMBERED = 1024
#: When an id came is rounded up to this (seconds): ids of many small jobs share one progress.
CAME_GRID_S = 0.25


class Phase(StrEnum):
    """What the next request for an order is for, and what its answer leads to.

    | phase    | the request                     | order open | order absent        | in doubt |
    |----------|---------------------------------|------------|---------------------|----------|
    | PRECHECK | looks before the first cancel   | CANCEL     | next list, CANCEL   | CANCEL   |
    | CANCEL   | cancels                         | look-up    | look-up             | look-up  |
    | HASTY    | looks while reads may still lag | CANCEL     | next list, CONFIRM  | HASTY    |
    | CONFIRM  | looks when reads no longer lag  | CANCEL     | next list, then end | CONFIRM  |

    An order that has ended is final in every phase. PRECHECK and HASTY look in likely lists
    only, and absence there proves nothing. A look-up after a cancel is HASTY, but CONFIRM
    after the lag where only absence can prove a cancel (`Venue.forgets_canceled`). What says
    nothing of the order (throttled, not done) leaves it in its phase.
    """

    PRECHECK = "precheck"
    CANCEL = "cancel"
    HASTY = "hasty"
    CONFIRM = "confirm"


class Read(NamedTuple):
    """How far a list was read whose pages overlap."""

    rows: int = 0
    size: int = 0  # rows that the venue gives on a page; 0: not known
    edge: tuple[str, ...] = ()  # ids of its last page: the next one must show one of them
    total: int | None = None  # rows of the whole list then, where the venue told it
    cursor: str = ""  # what asks for the next page, where the venue does not count rows


class Search(NamedTuple):
    """How far the look-ups of a phase have come; empty while a cancel is next."""

    absent_from: tuple[str, ...] = ()  # look-up routes that did not show the order
    page: int = 1
    inconclusive: int = 0  # look-ups in a row that settled nothing,
    since: float = 0.0  # and when the first of them did, monotonic
    read: Read = Read()  # of the list that is read now
    #: It joins others who are reading the list, at a page of these ids. First the rows below
    #: are read, then those above: from the top, `until` one of the ids is shown.
    joins: bool = False
    joined: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    given_up: str = ""  # why the record of what is over is not read to its end

    def after(self, route: str) -> Search:
        """Return the search once this route has not shown the order."""
        return self._replace(absent_from=(*self.absent_from, route)).from_the_top()

    def from_the_top(self) -> Search:
        """Return the search as it reads its list from the first page."""
        return self._replace(page=1, read=Read(), joins=False, joined=(), until=())

    def joining(self, others: Search) -> Search:
        """Return the search as it goes on with others, from their next page on."""
        return self._replace(page=others.page, read=others.read, joins=True)


class Over(NamedTuple):
    """What is said of an order that has ended, unless its client order id names an open one."""

    status: CancelStatus
    reason: str
    evidence: Evidence
    cum_qty: str
    ord_type: OrdType


class Fired(NamedTuple):
    """A conditional order that fired, while it is the order that it became which goes on."""

    became: Became
    kind: IdKind  # of the id that was asked for
    ord_type: OrdType  # what was known of the order that fired
    #: Its client order id may name a newer order in a moment: then that one goes on, too.
    may_be_reused: bool


class OrderProgress(NamedTuple):
    """All that is known of an order but its id, so that many orders can share one value.

    Of an order that fired it is what is known of the order that it became.
    """

    kind: IdKind
    symbol: str = ""  # learned, or as the job said
    ord_type: OrdType = OrdType.ANY  # learned, or as the job said
    type_known: bool = False  # the venue itself told the type
    phase: Phase = Phase.CANCEL
    search: Search = Search()
    attempts: int = 0  # cancel requests that carried this id
    tried: int = 0  # of these, how many were answered and left it open: picks the route
    sent: bool = False  # a cancel may have taken effect; perhaps of a worker that died
    passed_over: bool = False  # the reply to the last cancel did not know or name it
    cancel_in_doubt: bool = False  # no reply says that the last was taken, or met no open order
    sent_as: OrdType = OrdType.ANY  # the type that the last cancel named
    came_at: float = 0.0  # monotonic; when a job that asks for it came, see `came`
    settled_at: float = 0.0  # monotonic; reads that started before may lag behind the cancel
    left_at: float = 0.0  # monotonic; when lists of an earlier stage of life missed it
    missing_since: float = 0.0  # end of the first read since then that should show it, and
    missing_until: float = 0.0  # start of the last one, none of which did
    seen_open: bool = False
    still_open: bool = False  # the last look-up, after the last cancel, showed it open
    misses: int = 0  # attempts in a row that surely did nothing
    ord_status: OrdStatus | None = None
    why: str = ""  # the last thing that stood in the way
    venue_code: str = ""
    text: str = ""
    maybe_rounded: bool = False  # the job's own number may name another order
    searched: bool = False  # no list shows it; the cancel that is next asks the venue itself
    disowned: bool = False  # the venue's own word: it knows no such order (`engine_route`)
    engine_took: bool = False  # the venue took a cancel that named the id alone, done or not
    by_symbol: frozenset[str] = frozenset()  # paths of lists that demand a symbol
    over: Over | None = None  # what an order of this client id came to; is there another?
    other_form: OtherForm | None = None  # the id may be of another kind as well: see `forms`
    fired: Fired | None = None

    @property
    def shape(self) -> Shape:
        """What decides the routes, with what the venue taught us of the order."""
        by_symbol = self.by_symbol if self.symbol else frozenset()
        return Shape(self.kind, self.ord_type, bool(self.symbol), by_symbol)

    @property
    def id_kind(self) -> IdKind:
        """The kind of the id that was asked for."""
        return self.fired.kind if self.fired else self.kind

    def known(self, ref: OrderRef) -> OrderRef:
        """Return an order's reference with what the venue taught us of the order."""
        if self.fired is not None:
            ref = ref._replace(id=self.fired.became.id)
        known = (self.kind, self.symbol, self.ord_type)
        if known == (ref.kind, ref.symbol, ref.ord_type):
            return ref
        return ref._replace(kind=self.kind, symbol=self.symbol, ord_type=self.ord_type)


class OtherForm(NamedTuple):
    """What is known of the same id as one of another kind, and its word once there is one."""

    progress: OrderProgress
    word: tuple[Any, ...] | None = None  # a `follow.FinalWord` but for its progress


def new_progress(
    ref: OrderRef, *, look_first: bool = False, sent: bool = False
) -> OrderProgress:
    """Return the progress of an order of which at most is known that a cancel was `sent`.

    Where a venue keeps no record of canceled orders, a look before the cancel is the only
    way to know afterwards that there was an order. A kill does not wait for it.
    """
    progress = OrderProgress(
        kind=ref.kind,
        symbol=ref.symbol,
        ord_type=ref.ord_type,
        phase=Phase.PRECHECK if look_first else Phase.CANCEL,
        sent=sent,
        maybe_rounded=ref.maybe_rounded,
    )
    if ref.or_kind is None:
        return progress
    other = progress._replace(kind=ref.or_kind, phase=Phase.CANCEL)
    return progress._replace(other_form=OtherForm(other))


def is_untouched(progress: OrderProgress) -> bool:
    """Say whether nothing was asked for an order yet, and no reply showed it."""
    other = progress.other_form
    asked = progress.attempts or progress.search != Search() or progress.missing_since
    learned = progress.seen_open or progress.ord_status or progress.misses or progress.fired
    alone = other is None or (other.word is None and is_untouched(other.progress))
    return not asked and not learned and alone


def came(progress: OrderProgress, now: float) -> OrderProgress:
    """Return the progress of an id that comes into a lane now, be it for the first time.

    An order may be on its way to the venue at that time. Whoever goes on with a job of another
    worker has another clock and counts anew.
    """
    return _asked_for_at(progress, math.ceil(now / CAME_GRID_S) * CAME_GRID_S)


def _came_of_both(progress: OrderProgress, other: OrderProgress) -> float:
    """Return when an id counts as come that two jobs ask for.

    A venue order id counts from the first job, which is told as soon as that proves it, and the
    others later (`Lane`). A client order id is shared only until its cancel leaves.
    """
    by_venue_id = progress.id_kind is IdKind.VENUE and progress.other_form is None
    return (min if by_venue_id else max)(progress.came_at, other.came_at)


@lru_cache(maxsize=MOST_REMEMBERED)
def _asked_for_at(progress: OrderProgress, came_at: float) -> OrderProgress:
    """Return one value for all ids of which the same is known: thousands share it."""
    other = progress.other_form
    if other is not None:
        other = other._replace(progress=other.progress._replace(came_at=came_at))
    return progress._replace(came_at=came_at, other_form=other)


def gone_on(progress: OrderProgress, became: Became, *, may_be_reused: bool) -> OrderProgress:
    """Return the progress of the order that one became which fired: it is canceled next.

    A row has named it, so there is such an order; its absence counts from when it `came`.
    """
    fired = Fired(became, progress.kind, progress.ord_type, may_be_reused)
    anew = _anew(progress, IdKind.VENUE, became.ord_type)
    return anew._replace(type_known=True, fired=fired)


def gone_back(progress: OrderProgress) -> OrderProgress:
    """Return the progress of an order as it was asked for: as though it had not fired."""
    fired = progress.fired
    return _anew(progress, fired.kind, fired.ord_type) if fired else progress


def _anew(progress: OrderProgress, kind: IdKind, ord_type: OrdType) -> OrderProgress:
    """Return the progress of an order that nobody has looked for, after another of the id."""
    return OrderProgress(
        kind=kind,
        symbol=progress.symbol,
        ord_type=ord_type,
        attempts=progress.attempts,
        sent=progress.sent,
        came_at=progress.came_at,
        settled_at=progress.settled_at,
        still_open=progress.still_open,
        ord_status=progress.ord_status,
        why=progress.why,
        venue_code=progress.venue_code,
        text=progress.text,
        by_symbol=progress.by_symbol,
        other_form=progress.other_form,
    )


def hurried(progress: OrderProgress) -> OrderProgress:
    """Return the progress of a kill's id, which is canceled without a look before."""
    if progress.phase is not Phase.PRECHECK:
        return progress
    return progress._replace(phase=Phase.CANCEL, search=Search())


@lru_cache(maxsize=MOST_REMEMBERED)
def joined(progress: OrderProgress, other: OrderProgress) -> OrderProgress:
    """Return the progress with what another job learned of the same id; its own step stays."""
    learn_type = other.type_known and not progress.type_known
    if not progress.fired:
        progress = _asked_for_at(progress, _came_of_both(progress, other))
    if progress.fired or other.fired:  # they may speak of two orders
        attempts = max(progress.attempts, other.attempts)
        return progress._replace(attempts=attempts, sent=progress.sent or other.sent)
    return progress._replace(
        # The symbol under which it was seen counts for more than one that a job stated.
        symbol=(other.symbol if learn_type else "") or progress.symbol or other.symbol,
        ord_type=other.ord_type if learn_type else progress.ord_type,
        type_known=progress.type_known or other.type_known,
        attempts=max(progress.attempts, other.attempts),
        sent=progress.sent or other.sent,
        cancel_in_doubt=progress.cancel_in_doubt or other.cancel_in_doubt,
        seen_open=progress.seen_open or other.seen_open,
        # The type says which lists are to be read.
        search=progress.search._replace(absent_from=()).from_the_top()
        if learn_type
        else progress.search,
        still_open=progress.still_open or (other.still_open and not progress.sent),
        ord_status=progress.ord_status or other.ord_status,
        why=progress.why or other.why,
        maybe_rounded=progress.maybe_rounded or other.maybe_rounded,
        by_symbol=progress.by_symbol | other.by_symbol,
    )


@lru_cache(maxsize=MOST_REMEMBERED)
def joining(progress: OrderProgress, others: OrderProgress) -> OrderProgress:
    """Return the progress of an order that is read for with others, from their next page on.

    At the first page there is nothing that it has missed.
    """
    if others.search.page == progress.search.page:
        return progress
    return progress._replace(search=progress.search.joining(others.search))


class Cohort(NamedTuple):
    """Orders that a job stated in the same words and of which the same is known."""

    progress: OrderProgress
    symbol: str  # as the job stated it
    ord_type: OrdType  # as the job stated it
    ids: tuple[str, ...]

    def refs(self) -> list[OrderRef]:
        """Return the reference of each order."""
        kind, symbol, ord_type = self.progress.id_kind, self.symbol, self.ord_type
        return [OrderRef(order_id, kind, symbol, ord_type) for order_id in self.ids]


def new_cohorts(
    refs: Iterable[OrderRef], *, look_first: bool = False, sent: bool = False
) -> list[Cohort]:
    """Return orders, in their order, of which at most is known that cancels were `sent`."""
    begin = cache(partial(new_progress, look_first=look_first, sent=sent))
    found: list[Cohort] = []
    for words, same in groupby(refs, key=itemgetter(slice(1, None))):
        progress = begin(OrderRef("", *words))
        ids = tuple([ref.id for ref in same])
        found.append(Cohort(progress, progress.symbol, progress.ord_type, ids))
    return found


def cohorts(orders: Iterable[tuple[OrderRef, OrderProgress]]) -> list[Cohort]:
    """Return orders in their order; neighbors that share all but the id are one cohort."""
    found: list[Cohort] = []
    neighbors = groupby(
        orders, key=lambda order: (order[0].symbol, order[0].ord_type, order[1])
    )
    for (symbol, ord_type, progress), same in neighbors:
        found.append(Cohort(progress, symbol, ord_type, tuple([ref.id for ref, _ in same])))
    return found
