"""Orders that no job names: which lists show those of a scope, and what proves that none rests.

A scope's lists are read in full, one after the other, round by round. What they show is
canceled like any order that a job names. `empty` is proven by rounds in which no list showed an
order of the scope: the first began when every order that the job has to do with must be shown,
and from there to the last one no list could hide an order all the time. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from venues.base import Batch, OpenOrder, Page, Route, Venue
from venues.words import ALL_TYPES, SYMBOL_SHAPE, IdKind, OrderRef, OrdType, Purpose, Scope
from worker.orders.progress import MOST_REMEMBERED, OrderProgress, Read, new_progress

#: More cancel-alls than these do not go first: of many symbols most have no order, and the
#: lists say which.
MOST_CANCEL_ALLS = 10
#: A round begins so long after the one before (seconds), or a tenth of the time since the job
#: came, as an account may be kept clean for an hour; but at least so often.
ROUND_S, LONGEST_ROUND_S = 2.0, 30.0


class ListKey(NamedTuple):
    """A list of open orders: of all symbols, or of one."""

    route: Route
    symbol: str = ""


class LeftOut(NamedTuple):
    """Types of orders of a scope that no list shows, and why."""

    ord_types: tuple[OrdType, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """The lists that show the orders of a scope, as they are read, and what none shows."""

    lists: tuple[ListKey, ...]
    left_out: tuple[LeftOut, ...] = ()


class CancelAll(NamedTuple):
    """A cancel-all of the venue: of all symbols, or of one."""

    route: Route
    symbol: str = ""


class NotSeen(Exception):
    """Nobody can see what a scope asks for; `reason` is a code, the text a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def plan_of(venue: Venue, scope: Scope) -> ScopePlan:
    """Return how the orders of a scope are found.

    Raises:
        NotSeen: they cannot be, or words of the scope cannot be what they should be.
    """
    wanted = scope.ord_types or _cancelable(venue)
    routes = [route for route in venue.lists if route.ord_types & wanted]
    if not routes:
        raise NotSeen("unsupported_scope", f"{venue.name} has no list of such open orders")
    _check(venue, scope, routes)
    blind = [route for route in routes if route.needs_symbol and not scope.symbols]
    lists: list[ListKey] = []
    for route in sorted(routes, key=lambda route: route.life_stage):
        if route.needs_symbol:
            symbols = scope.symbols or scope.stated
            lists += [ListKey(route, symbol) for symbol in sorted(symbols)]
        else:
            lists.append(ListKey(route))
    whole = (key.route.ord_types for key in lists if key.route not in blind)
    shown = frozenset[OrdType]().union(*whole)
    of_symbols = frozenset[OrdType]().union(*(route.ord_types for route in blind)) & wanted
    left_out = [
        LeftOut(tuple(sorted(types)), reason)
        for types, reason in (
            (of_symbols - shown, "stated_symbols" if scope.stated else "missing_symbol"),
            (wanted - of_symbols - shown, "unsupported_ord_type"),
        )
        if types
    ]
    if not lists:
        raise NotSeen("unsupported_scope", f"{venue.name} lists such orders of a symbol only")
    return ScopePlan(tuple(lists), tuple(left_out))


def cancel_alls_of(venue: Venue, scope: Scope) -> tuple[CancelAll, ...]:
    """Return the cancel-alls that reach the orders of a scope, all of them and no other.

    There are none where the scope says more than symbols: no venue's cancel-all is known to
    leave out just the others.
    """
    if scope.ord_types or scope.side or scope.client_order_id_prefix or scope.excepted:
        return ()
    routes = [r for r in venue.cancel_alls if r.needs_symbol is bool(scope.symbols)]
    reached = frozenset[OrdType]().union(*(route.ord_types for route in routes))
    symbols = sorted(scope.symbols) or [""]
    if not routes or not _cancelable(venue) <= reached:
        return ()
    if len(routes) * len(symbols) > MOST_CANCEL_ALLS:
        return ()
    return tuple([CancelAll(route, symbol) for symbol in symbols for route in routes])


def _cancelable(venue: Venue) -> frozenset[OrdType]:
    cancels = (r.ord_types for r in venue.routes if r.purpose is Purpose.CANCEL)
    return frozenset[OrdType]().union(*cancels) & ALL_TYPES


def _check(venue: Venue, scope: Scope, routes: Sequence[Route]) -> None:
    if scope.side and not all(route.tells_side for route in routes):
        raise NotSeen("unsupported_scope", f"lists of {venue.name} do not tell buy from sell")
    tell_client_ids = all(route.tells_client_id for route in routes)
    if scope.client_order_id_prefix and not tell_client_ids:
        text = f"lists of {venue.name} do not tell client order ids"
        raise NotSeen("unsupported_scope", text)
    odd = next((word for word in scope.symbols if not SYMBOL_SHAPE.fullmatch(word)), None)
    if odd is not None:
        raise NotSeen("bad_scope", f"{odd[:60]!r} cannot be a symbol")
    kinds = (IdKind.VENUE, IdKind.CLIENT) if tell_client_ids else (IdKind.VENUE,)
    shapes = [venue.id_shapes[kind] for kind in kinds if kind in venue.id_shapes]
    for word in sorted(scope.excepted):
        if not any(shape.fullmatch(word) for shape in shapes):
            text = f"{word[:60]!r} of except is no id that lists of {venue.name} tell"
            raise NotSeen("bad_scope", text)


def is_of(scope: Scope, order: OpenOrder) -> bool | None:
    """Say whether an order is of a scope; None: its row does not tell."""
    if order.id.casefold() in _folded(scope.excepted) or order.client_id in scope.excepted:
        return False
    told = (
        _of_symbol(scope, order),
        _of_type(scope, order),
        _of_side(scope, order),
        _of_prefix(scope, order),
    )
    return False if False in told else None if None in told else True


def _of_symbol(scope: Scope, order: OpenOrder) -> bool | None:
    if not scope.symbols:
        return True
    return order.symbol.casefold() in _folded(scope.symbols) if order.symbol else None


def _of_type(scope: Scope, order: OpenOrder) -> bool | None:
    if not scope.ord_types or order.ord_types <= scope.ord_types:
        return True
    return None if order.ord_types & scope.ord_types else False


def _of_side(scope: Scope, order: OpenOrder) -> bool | None:
    if scope.side is None:
        return True
    return None if order.side is None else order.side is scope.side


def _of_prefix(scope: Scope, order: OpenOrder) -> bool | None:
    if not scope.client_order_id_prefix:
        return True
    named = order.client_id
    return None if named is None else named.startswith(scope.client_order_id_prefix)


@lru_cache(maxsize=64)
def _folded(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)


def found(order: OpenOrder, route: Route) -> tuple[OrderRef, OrderProgress]:
    """Return an open order of a list, as it is canceled, and what is known of it."""
    (ord_type, *others) = order.ord_types
    if others:
        ord_type = route.listed_as
    ref = OrderRef(order.id, IdKind.VENUE, order.symbol, ord_type)
    return ref, _seen_open(order.symbol, ord_type)


@lru_cache(maxsize=MOST_REMEMBERED)
def _seen_open(symbol: str, ord_type: OrdType) -> OrderProgress:
    """Return what is known of all orders of a kind: thousands share it."""
    return new_progress(OrderRef("", IdKind.VENUE, symbol, ord_type))._replace(seen_open=True)


#: A list of which nothing was read.
_UNREAD = Read()


# -- reading -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListRead:
    """A whole list as it was read, from its first page on, which began at `began`."""

    began: float
    orders: tuple[OpenOrder, ...] = ()  # of the scope
    others: int = 0
    untold: int = 0  # orders of which their rows do not tell whether they are of the scope


class Unread(NamedTuple):
    """A list that could not be read to its end, or not told from, and why."""

    key: ListKey
    reason: str


class Proof(NamedTuple):
    """A list, and when the first and the last of the reads began that showed none."""

    key: ListKey
    first: float
    last: float
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSearch:
    """How far the reading of a scope's lists has come. Times: monotonic seconds."""

    scope: Scope
    plan: ScopePlan
    #: When the job was accepted.
    came_at: float
    #: A round that began sooner proves nothing: orders may be to come, or not be shown yet.
    proves_from: float
    #: So long after the first round of a proof its last one begins.
    stays_s: float
    round_at: float = 0.0  # when the round under way, or the next one, may begin
    rounds: int = 0  # ended
    turn: int = 0  # which list is read now
    page: int = 1
    read: Read = _UNREAD
    reading: ListRead | None = None  # as far as the list was read whose turn it is
    this_round: tuple[ListRead, ...] = ()
    last_round: tuple[ListRead, ...] = ()  # the newest that was read to its end
    first_round: tuple[ListRead, ...] = ()  # of a proof, since which none rests but the stuck
    failures: int = 0  # in a row, of the list whose turn it is
    not_before: float = 0.0
    why: str = ""  # it could not be read last
    given_up: Mapping[ListKey, str] = field(default_factory=dict)  # never to be read, and why

    @property
    def lists(self) -> tuple[ListKey, ...]:
        """The lists that are read."""
        return tuple(key for key in self.plan.lists if key not in self.given_up)

    @property
    def in_turn(self) -> tuple[ListKey, ...]:
        """The lists in the order of this round.

        One that may prove something begins where orders move away from, so that each is seen.
        A first one that is too early for that begins where most rest, as they have moved there.
        """
        if self.rounds or self.round_at >= self.proves_from:
            return self.lists
        return tuple(sorted(self.lists, key=lambda key: -key.route.life_stage))

    @property
    def next_at(self) -> float:
        """When the next read may leave."""
        return max(self.round_at, self.not_before)

    @property
    def is_between_rounds(self) -> bool:
        """Whether no list of a round was read yet."""
        return not self.this_round and self.reading is None

    def sooner(self, when: float) -> ScopeSearch:
        """Return the search with its next round at a time, if that is sooner."""
        return self if when >= self.round_at else replace(self, round_at=when)

    def batch(self) -> Batch:
        """Return the next read; there is a list to be read."""
        key = self.in_turn[self.turn]
        rows, size, _, _, cursor = self.read
        return Batch(key.route, (), self.page, rows, size, cursor, symbol=key.symbol)

    def page_came(
        self,
        orders: Sequence[OpenOrder],
        page: Page | None,
        *,
        more: bool,
        started: float,
        stuck: Collection[str] = (),
        pause_s: float = 0.0,
    ) -> ScopeSearch:
        """Return the search after a page of the list whose turn it is; `more` are to come.

        `stuck` are ids that nothing more is done about. A list whose pages do not make a whole
        is read anew after `pause_s`.
        """
        edge = frozenset(self.read.edge)  # rows that two pages show
        of_scope = [(each, is_of(self.scope, each)) for each in orders if each.id not in edge]
        before = self.reading or ListRead(started)
        reading = ListRead(
            before.began,
            before.orders + tuple([order for order, of in of_scope if of]),
            before.others + sum(of is False for _, of in of_scope),
            before.untold + sum(of is None for _, of in of_scope),
        )
        now_read = replace(self, reading=reading)
        if page is not None and not _follows(self.read, page):
            return now_read.missed("list_changes", started, pause_s)
        route = self.in_turn[self.turn].route
        if more and not _shows_nothing_new(self.read, page):
            if page is None or self.page >= route.max_pages:
                return now_read.missed("list_too_long", started, pause_s)
            size = page.size or self.read.size
            read = Read(page.end, size, page.ids, page.total, page.cursor)
            return replace(now_read, page=self.page + 1, read=read, failures=0)
        return now_read._list_ended(stuck)

    def missed(self, why: str, now: float, pause_s: float = 0.0) -> ScopeSearch:
        """Return the search when the list could not be read: it is read anew after a pause."""
        return replace(
            self,
            page=1,
            read=_UNREAD,
            reading=None,
            failures=self.failures + 1,
            not_before=now + pause_s,
            why=why,
        )

    def gave_up(self, why: str, stuck: Collection[str] = ()) -> ScopeSearch:
        """Return the search without the list whose turn it is: the venue refuses it."""
        given_up = {**self.given_up, self.in_turn[self.turn]: why}
        kept = replace(
            self, given_up=given_up, page=1, read=_UNREAD, reading=None, failures=0, why=""
        )
        # Rounds are compared list by list.
        kept = replace(kept, first_round=(), last_round=())
        return kept._round_ended(stuck) if kept.turn >= len(kept.lists) else kept

    def symbol_demanded(self) -> ScopeSearch:
        """Return the search as it asks for the list whose turn it is symbol by symbol."""
        key = self.in_turn[self.turn]
        if not self.scope.symbols:
            return self.gave_up("missing_symbol")
        keys = [ListKey(key.route.by_symbol(), word) for word in sorted(self.scope.symbols)]
        place = self.plan.lists.index(key)
        lists = (*self.plan.lists[:place], *keys, *self.plan.lists[place + 1 :])
        return replace(
            self, plan=replace(self.plan, lists=lists), first_round=(), last_round=()
        )

    def _list_ended(self, stuck: Collection[str]) -> ScopeSearch:
        assert self.reading is not None  # noqa: S101 - a page has just come
        ended = replace(
            self,
            this_round=(*self.this_round, self.reading),
            turn=self.turn + 1,
            page=1,
            read=_UNREAD,
            reading=None,
            failures=0,
            why="",
        )
        return ended._round_ended(stuck) if ended.turn >= len(ended.lists) else ended

    def _round_ended(self, stuck: Collection[str]) -> ScopeSearch:
        read = dict(zip(self.in_turn, self.this_round, strict=True))
        this = tuple([read[key] for key in self.lists])
        clean = bool(this) and all(
            order.id in stuck for reading in this for order in reading.orders
        )
        in_order = self.in_turn == self.lists
        proves = clean and in_order and this[0].began >= self.proves_from
        first = (self.first_round or this) if proves else ()
        began = this[0].began if this else self.round_at
        return replace(
            self,
            rounds=self.rounds + 1,
            turn=0,
            this_round=(),
            last_round=this,
            first_round=first,
            round_at=self._next_round(began, first),
        )

    def _next_round(self, began: float, first: tuple[ListRead, ...]) -> float:
        usual = began + min(LONGEST_ROUND_S, max(ROUND_S, (began - self.came_at) / 10))
        wanted = self._proven_at(first) if first else self.proves_from
        return min(usual, wanted) if wanted > began else usual

    # -- what is known -------------------------------------------------------------------

    @property
    def is_clean(self) -> bool:
        """Whether no list that can be read shows an order but stuck ones, for long enough."""
        if not self.lists:
            return True
        first, last = self.first_round, self.last_round
        return bool(first) and last[0].began >= self._proven_at(first)

    def _proven_at(self, first: tuple[ListRead, ...]) -> float:
        """Return when a round has to begin that proves what these reads began to prove."""
        return max(reading.began for reading in first) + self.stays_s

    def resting(self) -> list[tuple[ListKey, OpenOrder]]:
        """Return the orders of the scope that the newest whole reading showed, each once."""
        found: dict[str, tuple[ListKey, OpenOrder]] = {}
        for key, reading in zip(self.lists, self.last_round, strict=False):
            for order in reading.orders:
                found.setdefault(order.id, (key, order))
        return list(found.values())

    def proofs(self) -> list[Proof]:
        """Return what proves that none rests, once that is so."""
        rounds = zip(self.lists, self.first_round, self.last_round, strict=True)
        return [Proof(key, a.began, b.began, b.others) for key, a, b in rounds]

    def unread(self) -> list[Unread]:
        """Return the lists that were not read, or do not tell what is of the scope."""
        found = [Unread(key, why) for key, why in self.given_up.items()]
        if self.why:
            found.append(Unread(self.in_turn[self.turn], self.why))
        rows = zip(self.lists, self.last_round, strict=False)
        return found + [Unread(key, "not_told") for key, reading in rows if reading.untold]


def search_of(
    venue: Venue, scope: Scope, plan: ScopePlan, came_at: float, now: float
) -> ScopeSearch:
    """Return the search for the orders of a scope, of a job that was accepted at a time.

    An order may be on its way to the venue when the job comes, and the job keeps others away
    for a while. A list lags, and may hide an order; one that is hidden in a list may move on,
    and the next list may not show it yet.
    """
    kept_until = came_at + max(scope.hold_s, venue.birth_lag_s)
    moves = len({key.route.life_stage for key in plan.lists}) > 1
    stays_s = max(venue.hidden_s, venue.read_lag_s) + (venue.read_lag_s if moves else 0.0)
    return ScopeSearch(
        scope=scope,
        plan=plan,
        came_at=came_at,
        proves_from=kept_until + venue.read_lag_s,
        stays_s=stays_s,
        round_at=now,
    )


def _follows(read: Read, page: Page) -> bool:
    """Say whether a page overlaps the one before, so that no row was missed between them."""
    return not read.edge or not set(read.edge).isdisjoint(page.ids)


def _shows_nothing_new(read: Read, page: Page | None) -> bool:
    """Say whether a page that may have been cut ends where the list does."""
    if page is None or not read.edge or not page.ids or page.ids[-1] != read.edge[-1]:
        return False
    return page.total is None or page.total <= page.end
