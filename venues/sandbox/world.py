"""Everything that one sandbox knows: settings, accounts, book, limits, faults, requests."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from sys import intern
from typing import Any, NamedTuple, Protocol

from .book import Book, Order, OrdType, State
from .faults import Fault, Faults
from .limits import Limits
from .messages import Call
from .options import BEHAVIOR, GENERAL, Option, check_setting

#: how many requests are remembered
MOST_REQUESTS = 500_000

PERMISSIONS = frozenset({"read", "trade"})


@dataclass(frozen=True, slots=True)
class Account:
    """A key that the venue knows; without a secret it can only be used unsigned."""

    venue: str
    api_key: str
    secret: bytes | None
    permissions: frozenset[str] = PERMISSIONS


class Timer(NamedTuple):
    """A dead man's switch that is armed: when it fires (monotonic), and what it reaches."""

    fires_s: float
    reaches: Callable[[Order], bool]


class Request(NamedTuple):
    """One venue request, as it was judged."""

    received_s: float
    at_s: float
    venue: str
    api_key: str
    method: str
    path: str
    route: str
    ids_count: int
    ids: tuple[str, ...]
    outcome: str
    status: int


class Terms(Protocol):
    """What the world must know of a venue."""

    @property
    def name(self) -> str:
        """The venue's name."""

    @property
    def options(self) -> Mapping[str, Option]:
        """The settings that only this venue has."""

    @property
    def limits(self) -> Mapping[str, str]:
        """The limits that hold by default."""

    @property
    def watched(self) -> Set[str]:
        """Names of limits that only measure."""

    @property
    def limit_names(self) -> Set[str]:
        """Names of all limits."""

    def gives(self, order_id: str, /) -> bool:
        """Say whether the venue could have given an id."""


class World:
    """The state of one sandbox, shared by its venues and its control API."""

    def __init__(self, venues: Mapping[str, Terms]) -> None:
        self.venues = dict(venues)
        self.options = GENERAL | {
            f"{venue.name}.{name}": option
            for venue in venues.values()
            for name, option in (BEHAVIOR | dict(venue.options)).items()
        }
        self.reset()

    def reset(self) -> None:
        """Start again with nothing but the defaults."""
        self.settings = {name: option.default for name, option in self.options.items()}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.book = Book()
        #: cancels that are still to take effect: when, and of which order
        self.on_their_way: list[tuple[float, Order]] = []
        #: orders that fired ones have placed, and when the book has them
        self.to_come: list[tuple[float, Order]] = []
        #: armed timers by venue, key and symbol, which is "" where it is of the whole account
        self.timers: dict[tuple[str, str, str], Timer] = {}
        self.fired: list[tuple[str, str, str]] = []
        self.limits = Limits({v.name: v.limits for v in self.venues.values()})
        self.limits.watched = {(v.name, n) for v in self.venues.values() for n in v.watched}
        self.faults = Faults()
        self.requests: deque[Request] = deque(maxlen=MOST_REQUESTS)
        self.incidents: list[dict[str, Any]] = []
        self.nonces: dict[tuple[str, str], set[str]] = {}
        self.dice = random.Random(0)  # noqa: S311

    def now_ms(self) -> int:
        """Tell the venues' wall clock, which a setting can stop."""
        stopped = self.settings["clock_ms"]
        return int(time.time() * 1000) if stopped is None else int(stopped)

    def setting(self, venue: str, name: str) -> Any:
        """Tell a venue's setting."""
        return self.settings[f"{venue}.{name}"]

    def configure(self, changes: Any) -> None:
        """Change settings; raise ValueError and change none if one is bad."""
        if not isinstance(changes, dict):
            raise ValueError("settings are a JSON object")  # noqa: TRY004
        for name, value in changes.items():
            check_setting(self.options, name, value)
        wanted = self.settings | changes
        for venue, quotas in wanted["limits"].items():
            self._check_limits(venue, {} if isinstance(quotas, str) else quotas)
        for venue, keys in wanted["key_limits"].items():
            for quotas in keys.values():
                self._check_limits(venue, quotas)
        self.limits.configure(wanted["limits"], wanted["key_limits"])
        self.settings = wanted
        self.limits.count_refused = bool(wanted["count_refused"])
        if "seed" in changes:
            self.dice = random.Random(wanted["seed"])  # noqa: S311
            self.faults.reseed(wanted["seed"])

    def _check_limits(self, venue: str, quotas: Mapping[str, Any]) -> None:
        names = self.venue(venue).limit_names
        if unknown := sorted(set(quotas) - names):
            raise ValueError(
                f"{venue} has no limit {', '.join(unknown)}; there are {sorted(names)}"
            )

    def order_fault(self, raw: Any) -> Fault:
        """Take a fault; raise ValueError where it is not one, or of no venue."""
        if isinstance(raw, dict) and raw.get("venue"):
            self.venue(raw["venue"])
        return self.faults.order(raw)

    def add_account(self, raw: Any) -> Account:
        """Take an account; raise ValueError where it is not one."""
        known = {"venue", "api_key", "api_secret", "permissions"}
        check_fields("account", raw, known, {"venue", "api_key"})
        self.venue(raw["venue"])
        permissions = frozenset(raw.get("permissions") or PERMISSIONS)
        if permissions - PERMISSIONS:
            raise ValueError(f"permissions are among {', '.join(sorted(PERMISSIONS))}")
        secret = raw.get("api_secret")
        account = Account(
            raw["venue"], raw["api_key"], secret.encode() if secret else None, permissions
        )
        self.accounts[account.venue, account.api_key] = account
        return account

    def venue(self, name: Any) -> Terms:
        """Return the venue of that name; raise ValueError where there is none."""
        if name not in self.venues:
            raise ValueError(f"venue must be one of {', '.join(self.venues)}, not {name!r}")
        return self.venues[name]

    def seed(self, raw: Any) -> Order:
        """Put one order on the book; raise ValueError where it is not one."""
        order = read_order(raw, self.now_ms())
        if not self.venue(order.venue).gives(order.id):
            raise ValueError(f"{order.venue} could not have given the id {order.id!r}")
        self.book.add(order)
        return order

    def fire(self, parent: Order, raw: Any, now_s: float) -> Order:
        """Fire a conditional order: the child is another order, on the book after `late_s`.

        Raises:
            ValueError: the parent has ended, or the child is no order.
        """
        known = {"id", "state", "filled", "ord_type", "late_s"}
        check_fields("order that was placed", raw, known, {"id"})
        if not parent.is_live or parent.triggered:
            raise ValueError(f"order {parent.id} waits for no trigger")
        given = {k: v for k, v in raw.items() if k != "late_s"}
        same = ("venue", "api_key", "symbol", "product", "side", "quantity")
        inherited = {name: getattr(parent, name) for name in same}
        child = read_order(inherited | given | {"parent_id": parent.id}, self.now_ms())
        if not self.venue(child.venue).gives(child.id) or self.book.get(child.venue, child.id):
            raise ValueError(f"{child.venue} could not have given the id {child.id!r}")
        parent.placed_id = child.id
        self.book.set_state(
            parent, State.FILLED, now_s=now_s, now_ms=self.now_ms(), filled=0, triggered=True
        )
        self.to_come.append((now_s + float(raw.get("late_s", 0)), child))
        self.settle(now_s)
        return parent

    def cancel(self, call: Call, order: Order) -> bool:
        """Cancel a live order unless a fault bends that; return what the reply may claim."""
        if not order.is_live:
            return False
        if not call.bend.takes_effect():
            return call.bend.lies
        if lag_s := self.setting(order.venue, "cancel_lag_s"):
            self.on_their_way.append((call.at_s + lag_s, order))
        else:
            self.book.cancel(order, now_s=call.at_s, now_ms=call.now_ms)
        return True

    def set_timer(
        self,
        call: Call,
        venue: str,
        after_s: float,
        symbol: str = "",
        reaches: Callable[[Order], bool] = lambda _: True,
    ) -> None:
        """Arm a timer anew, or disarm it where it is to fire after no time."""
        if after_s:
            timer = Timer(call.at_s + after_s, reaches)
            self.timers[venue, call.api_key, symbol] = timer
        else:
            self.timers.pop((venue, call.api_key, symbol), None)

    def settle(self, now_s: float) -> None:
        """Let what is due take effect: orders that come, timers, cancels if not too late."""
        for at_s, child in [one for one in self.to_come if one[0] <= now_s]:
            child.begin(at_s)
            self.book.add(child)
        self.to_come = [one for one in self.to_come if one[0] > now_s]
        self._fire(now_s)
        due = [one for one in self.on_their_way if one[0] <= now_s]
        if not due:
            return
        self.on_their_way = [one for one in self.on_their_way if one[0] > now_s]
        for at_s, order in sorted(due, key=lambda one: one[0]):
            if order.is_live and self.book.get(order.venue, order.id) is order:
                ago_ms = int((now_s - at_s) * 1000)
                self.book.cancel(order, now_s=at_s, now_ms=self.now_ms() - ago_ms)

    def _fire(self, now_s: float) -> None:
        for key, timer in [item for item in self.timers.items() if item[1].fires_s <= now_s]:
            del self.timers[key]
            venue, api_key, symbol = key
            now_ms = self.now_ms() - int((now_s - timer.fires_s) * 1000)
            for order in list(self.book.shelf(venue, api_key).live.values()):
                if symbol in ("", order.symbol) and timer.reaches(order):
                    self.book.cancel(order, now_s=timer.fires_s, now_ms=now_ms, by="timer")
            self.fired.append(key)

    def lag(self, call: Call, venue: str) -> None:
        """Set what the request may see of the book; an ordered fault has the first word."""
        lags_s = self.setting(venue, "read_lags_s")
        if lags_s and call.bend.read_at is None:
            call.bend.read_at = call.at_s - self.dice.choice(lags_s)
        if record_lag_s := self.setting(venue, "record_lag_s"):
            call.bend.record_at = call.at_s - record_lag_s

    def most_rows(self, venue: str, most: int) -> int:
        """Tell how many rows a page of the venue has at most."""
        capped = self.setting(venue, "page_rows")
        return most if capped is None else min(most, max(1, int(capped)))

    def listed(self, call: Call, venue: str, orders: Collection[Order]) -> Collection[Order]:
        """Return those of some orders that a list shows already."""
        hide_s = self.setting(venue, "lists_hide_s")
        if not hide_s:
            return orders
        return [o for o in orders if o.created_ms <= call.now_ms - hide_s * 1000]

    def incident(self, kind: str, venue: str, api_key: str, **detail: Any) -> None:
        """Record what must never happen, or what somebody will want to know of."""
        self.incidents.append(
            {"at_s": time.monotonic(), "kind": kind, "venue": venue, "api_key": api_key}
            | detail
        )

    def requests_since(self, since_s: float) -> list[dict[str, Any]]:
        """List the requests received after a monotonic time."""
        first = next(
            (i for i, r in enumerate(self.requests) if r.received_s > since_s),
            len(self.requests),
        )
        return [r._asdict() for r in islice(self.requests, first, None)]


def check_fields(what: str, raw: Any, known: set[str], needed: set[str]) -> None:
    """Raise ValueError where an object lacks a field or has one too many."""
    if not isinstance(raw, dict):
        raise ValueError(f"an {what} is a JSON object")  # noqa: TRY004
    if missing := sorted(needed - set(raw)):
        raise ValueError(f"{what} lacks {', '.join(missing)}")
    if unknown := sorted(set(raw) - known):
        raise ValueError(f"{what} has no field {', '.join(unknown)}")


_ORDER_FIELDS = {
    *("venue", "api_key", "id", "symbol", "ord_type", "state", "client_order_id", "parent_id"),
    "product",
    *("side", "triggered", "quantity", "filled", "purged", "created_ms", "updated_ms"),
}


def shared(raw: dict[str, Any]) -> dict[str, Any]:
    """Return an order's fields with one string for all orders of a venue, key or symbol."""
    common = {name: raw[name] for name in ("venue", "api_key", "symbol")}
    return raw | {n: intern(v) for n, v in common.items() if isinstance(v, str)}


def read_order(raw: Any, now_ms: int) -> Order:
    """Check an order's JSON; raise ValueError where it is not one."""
    check_fields("order", raw, _ORDER_FIELDS, {"venue", "api_key", "id", "symbol"})
    values = shared(raw) | {
        "id": str(raw["id"]),
        "ord_type": OrdType(raw.get("ord_type", OrdType.LIMIT)),
        "state": State(raw.get("state", State.OPEN)),
        "created_ms": raw.get("created_ms", now_ms),
        "updated_ms": raw.get("updated_ms", now_ms),
    }
    order = Order(**values)
    if order.state is State.CANCELED:
        order.canceled_by = "seed"
    if "filled" not in raw:
        order.filled = {
            State.FILLED: order.quantity,
            State.PARTIALLY_FILLED: order.quantity // 2,
        }.get(order.state, 0)
    return order
