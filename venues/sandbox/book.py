"""The book: the orders of every sandbox venue, the truth that outcomes are held to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, str]


class State(StrEnum):
    """What an order is."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrdType(StrEnum):
    """What decides a venue's endpoint or word for an order."""

    LIMIT = "limit"
    MARKET = "market"
    TRIGGER = "trigger"
    TRAILING_STOP = "trailing_stop"
    TP_SL = "tp_sl"


LIVE = frozenset({State.OPEN, State.PARTIALLY_FILLED})


class Moment(NamedTuple):
    """What an order was from `at_s` (monotonic) on."""

    at_s: float
    state: State
    purged: bool
    filled: int
    triggered: bool
    updated_ms: int


@dataclass(slots=True, kw_only=True)
class Order:
    """One order; `asked` counts the cancel requests that named it, `canceled_times` effects."""

    venue: str
    api_key: str
    id: str
    symbol: str
    ord_type: OrdType = OrdType.LIMIT
    state: State = State.OPEN
    client_order_id: str = ""
    parent_id: str = ""
    #: what a conditional order placed when it fired; it may not be on the book yet
    placed_id: str = ""
    product: str = ""
    side: str = "buy"
    triggered: bool = False
    quantity: int = 1000
    filled: int = 0
    purged: bool = False
    created_ms: int = 0
    updated_ms: int = 0
    canceled_by: str = ""
    canceled_at_s: float | None = None
    asked: int = 0
    canceled_times: int = 0
    past: list[Moment] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether the order can still trade."""
        return self.state in LIVE and not self.purged

    def seen(self, at_s: float | None) -> State | None:
        """Tell the state as of `at_s` (now if None); None where no record is kept."""
        if at_s is None or not self.past:
            return None if self.purged else self.state
        then = self._moment(at_s)
        return None if then.purged else then.state

    def as_of(self, at_s: float | None) -> Order:
        """Return the order as it was at `at_s`; itself if that is None."""
        if at_s is None or not self.past:
            return self
        return replace(
            self, **{k: v for k, v in self._moment(at_s)._asdict().items() if k != "at_s"}
        )

    def on_record(self, at_s: float | None) -> bool:
        """Whether a record that is as old as `at_s` has the end of the order, which is over."""
        return at_s is None or not self.lives(at_s)

    def _moment(self, at_s: float) -> Moment:
        return next((m for m in reversed(self.past) if m.at_s <= at_s), self.past[0])

    def _remember(self, at_s: float) -> None:
        moment = Moment(
            at_s, self.state, self.purged, self.filled, self.triggered, self.updated_ms
        )
        self.past.append(moment)

    def become(
        self,
        state: State,
        *,
        now_s: float,
        now_ms: int,
        filled: int | None = None,
        purged: bool = False,
        triggered: bool | None = None,
    ) -> None:
        """Be something else from now on, and remember what it was."""
        if not self.past:
            self._remember(0.0)
        self.state, self.purged, self.updated_ms = state, purged, now_ms
        self.filled = implied_fill(self, state) if filled is None else filled
        self.triggered = self.triggered if triggered is None else triggered
        self._remember(now_s)

    def begin(self, at_s: float) -> None:
        """Be on the book from that time on: no read as of an earlier one shows it."""
        self.past = [Moment(0.0, self.state, True, self.filled, self.triggered, 0)]
        self._remember(at_s)

    def lives(self, at_s: float | None) -> bool:
        """Whether the order is shown as open at that time."""
        return self.seen(at_s) in LIVE


@dataclass(slots=True)
class Shelf:
    """One account's orders: the live ones, and the closed ones in the order of closing.

    The live ones by type, too: a short list is not sought among all orders of a long one.
    """

    live: dict[str, Order] = field(default_factory=dict)
    live_of: dict[OrdType, dict[str, Order]] = field(
        default_factory=lambda: {ord_type: {} for ord_type in OrdType}
    )
    closed: dict[str, Order] = field(default_factory=dict)
    by_client: dict[str, list[Order]] = field(default_factory=dict)
    children: dict[str, list[Order]] = field(default_factory=dict)

    def put(self, order: Order) -> None:
        """File an order where its state belongs."""
        self.take(order)
        if order.is_live:
            self.live[order.id] = self.live_of[order.ord_type][order.id] = order
        else:
            self.closed[order.id] = order

    def take(self, order: Order) -> None:
        """Take an order off the shelf."""
        if self.live.pop(order.id, None) is not None:
            del self.live_of[order.ord_type][order.id]
        else:
            self.closed.pop(order.id, None)

    def shown(self, at_s: float | None, types: Collection[OrdType] = ()) -> Collection[Order]:
        """List the orders that are shown as open at that time, now if None.

        Where `types` are named others need not be shown.
        """
        if at_s is not None:
            return [order.as_of(at_s) for order in self if order.lives(at_s)]
        if not types:
            return self.live.values()
        return [order for ord_type in types for order in self.live_of[ord_type].values()]

    def __iter__(self) -> Iterator[Order]:
        yield from self.live.values()
        yield from self.closed.values()


class Book:
    """All orders; the state changes by an effective cancel or by the control API alone."""

    def __init__(self) -> None:
        self._orders: dict[Key, Order] = {}
        self._shelves: dict[Key, Shelf] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def shelf(self, venue: str, api_key: str) -> Shelf:
        """Return the account's shelf, empty if it has none."""
        shelf = self._shelves.get((venue, api_key))
        return self._shelves.setdefault((venue, api_key), Shelf()) if shelf is None else shelf

    def add(self, order: Order) -> None:
        """Put an order on the book, in place of an older one of the same id."""
        self._drop(order.venue, order.id)
        shelf = self.shelf(order.venue, order.api_key)
        self._orders[order.venue, order.id] = order
        shelf.put(order)
        if order.client_order_id:
            shelf.by_client.setdefault(order.client_order_id, []).append(order)
        if order.parent_id:
            shelf.children.setdefault(order.parent_id, []).append(order)

    def _drop(self, venue: str, order_id: str) -> None:
        old = self._orders.pop((venue, order_id), None)
        if old is None:
            return
        shelf = self.shelf(venue, old.api_key)
        shelf.take(old)
        for index, name in (
            (shelf.by_client, old.client_order_id),
            (shelf.children, old.parent_id),
        ):
            index[name] = [o for o in index.get(name, ()) if o is not old]

    def get(self, venue: str, order_id: str) -> Order | None:
        """Return the order of that id, whoever owns it."""
        return self._orders.get((venue, order_id))

    def find(self, venue: str, api_key: str, order_id: str) -> Order | None:
        """Return the account's order of that id; another account's is unknown."""
        order = self._orders.get((venue, order_id))
        return order if order is not None and order.api_key == api_key else None

    def by_client(self, venue: str, api_key: str, client_order_id: str) -> Order | None:
        """Return the account's most recent order of that client id."""
        orders = self.shelf(venue, api_key).by_client.get(client_order_id)
        return orders[-1] if orders else None

    def named(self, venue: str, api_key: str, ref: str) -> Order | None:
        """Return the order that `ref` names, as venue id or as client id."""
        return self.find(venue, api_key, ref) or self.by_client(venue, api_key, ref)

    def set_state(
        self,
        order: Order,
        state: State,
        *,
        now_s: float,
        now_ms: int,
        filled: int | None = None,
        purged: bool = False,
        triggered: bool | None = None,
    ) -> None:
        """Make the order something else, and file it where that belongs."""
        order.become(
            state,
            now_s=now_s,
            now_ms=now_ms,
            filled=filled,
            purged=purged,
            triggered=triggered,
        )
        self.shelf(order.venue, order.api_key).put(order)

    def cancel(self, order: Order, *, now_s: float, now_ms: int, by: str = "request") -> None:
        """Cancel a live order, as a request said so or a timer fired, with what hangs on it."""
        shelf = self.shelf(order.venue, order.api_key)
        order.become(State.CANCELED, now_s=now_s, now_ms=now_ms, filled=order.filled)
        shelf.put(order)
        order.canceled_by, order.canceled_at_s = by, now_s
        order.canceled_times += 1
        for child in shelf.children.get(order.id, ()):
            if child.is_live:
                self.cancel(child, now_s=now_s, now_ms=now_ms, by=by)

    def select(
        self, *, venue: str = "", api_key: str = "", ids: Iterable[str] = ()
    ) -> list[Order]:
        """List the orders that match every given filter, in the order of seeding."""
        wanted = frozenset(ids)
        return [
            order
            for order in self._orders.values()
            if (not venue or order.venue == venue)
            and (not api_key or order.api_key == api_key)
            and (not wanted or order.id in wanted or order.client_order_id in wanted)
        ]

    def clear(self) -> None:
        """Forget every order."""
        self._orders.clear()
        self._shelves.clear()


def implied_fill(order: Order, state: State) -> int:
    """Tell how much of an order must have traded for it to be in that state."""
    if state is State.FILLED:
        return order.quantity
    if state is State.PARTIALLY_FILLED:
        return order.filled or max(1, order.quantity // 2)
    return order.filled
