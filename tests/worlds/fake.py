"""What the fakes of all venues share: replicas, gateways, limits, spelling, and what is seen.

A fake takes a request as the adapter built and signed it, and gives the venue's own bytes.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.worlds.book import Book, Order, State, Was
from tests.worlds.market import Market
from tests.worlds.plan import Ask, World
from venues.base import HttpRequest

#: Key and secret by their form.
CREDENTIALS = {
    "long": (
        "demoKeyOfAWorld0123456789abcdefABCDEF",
        "demoSecretOfAWorld9876543210fedcbaFEDCBA",
    ),
    "uuid": ("c0ffee00-1111-4222-8333-444455556666", "deadbeef-7777-4888-9999-aaaabbbbcccc"),
    "short": ("demoKey0123456789abc", "demoSecret9876543210"),
}
NEVER = float("inf")
#: Whoever has read so many pages of a record may say that it is too long.
MANY_PAGES = 15
#: Types of orders that wait for a trigger.
CONDITIONAL = ("trigger", "trailing_stop", "tp_sl")


class Raw(NamedTuple):
    """A reply's bytes before anybody has read them."""

    status: int
    body: str
    headers: dict[str, str] = {}


class Refused(Exception):
    """The venue answers with this at once."""

    def __init__(self, raw: Raw) -> None:
        super().__init__(raw.body)
        self.raw = raw


class Call(NamedTuple):
    """A request in the fake's words."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


_PAGES = {
    "403": Raw(403, "<html><head><title>403 Forbidden</title></head></html>"),
    "401": Raw(401, "<html><head><title>401 Unauthorized</title></head></html>"),
    "502": Raw(502, "<html><head><title>502 Bad Gateway</title></head></html>"),
    "403 empty": Raw(403, ""),
    "401 empty": Raw(401, ""),
    "503 empty": Raw(503, ""),
    "200 page": Raw(200, "<html><body>We are back soon.</body></html>"),
}
PAGES = tuple(_PAGES)


class Fake(ABC):
    """A venue that behaves as its world says."""

    #: What its orders are like.
    market: Market
    #: The venue's documented limit for each of its paths: so many requests in so many seconds.
    limit: tuple[int, float] = (1 << 30, 1.0)
    #: Quotas of look-ups whose one answer is for all ids: more ids take no more of them.
    wide_quotas: tuple[str, ...] = ()

    def __init__(self, world: World, book: Book, rng: Random) -> None:
        self.world = world
        self.ways = world.ways
        self.key, self.secret = CREDENTIALS[world.ways.key_form]
        self.chosen = dict(world.chosen)
        self.book = book
        self.start = book.start
        self.rng = rng
        self.view = self.start
        lag, most = self.ways.read_lag_s, self.ways.replicas - 1
        self.lags = [lag * (n / most) for n in range(most + 1)] if most else [lag]
        #: When a request met a gateway, a rate limit, or was lost; and until when.
        self.trouble: list[tuple[float, float]] = []
        self.cancels: dict[str, list[float]] = defaultdict(list)
        #: Ids that were in a batch.
        self.batched: set[str] = set()
        #: How long after its first cancel an id of a batch went alone, first and in seconds.
        self.alone_after_s: dict[str, float] = {}
        self.arrivals: dict[str, list[float]] = defaultdict(list)
        self.faults: list[str] = []

    # -- the way of a request ------------------------------------------------------------

    def serve(self, request: HttpRequest, now: float) -> Raw:
        """Answer a request that arrives now."""
        path, _, query = request.target.partition("?")
        self.arrivals[self.pool(request, path)] += [now] * self.price(request)
        wrong = self.wrong_signature(request, path, query)
        if wrong:
            self.faults.append(wrong)
        page = self._page(now)
        if page is not None:
            return page
        start, end = self.ways.throttled_s
        if start <= now - self.start < end:
            wait_s = max(1, round(end - (now - self.start)))
            self.trouble.append((now, now + wait_s))
            return self._echo(self.too_fast(wait_s), request)
        self.view = self._read(now)
        body = self.read_body(request.body) if request.body.strip() else None
        call = Call(request.method, path, dict(parse_qsl(query, keep_blank_values=True)), body)
        try:
            reply = self.answer(call, now)
        except Refused as refused:
            reply = refused.raw
        return self._echo(reply, request)

    def _page(self, now: float) -> Raw | None:
        for outage in self.ways.outages:
            if outage.start_s <= now - self.start < outage.end_s:
                self.trouble.append((now, self.start + outage.end_s))
                return _PAGES[outage.form]
        return None

    def _echo(self, reply: Raw, request: HttpRequest) -> Raw:
        """Repeat key and signature in an error, as careless servers do."""
        if not self.ways.echoes or (
            '"msg"' not in reply.body and '"message"' not in reply.body
        ):
            return reply
        said = f" key {self.key} secret {self.secret} of {request.target[:200]}".replace(
            '"', "'"
        )
        for name in '"msg":"', '"message":"', '"msg": "', '"message": "':
            reply = reply._replace(body=reply.body.replace(name, f"{name}{said} "))
        return reply

    def path_key(self, path: str) -> str:
        return path

    def pool(self, request: HttpRequest, path: str) -> str:
        """Return the name of what a request takes its tokens from."""
        return f"{request.method} {self.path_key(path)}"

    def limit_of(self, key: str) -> tuple[int, float]:
        """Return the limit of a pool: so many tokens in so many seconds."""
        return self.limit

    def price(self, request: HttpRequest) -> int:
        """Return how many tokens a request takes."""
        return 1

    def requests_of(self, asks: Sequence[Ask]) -> int:
        """Return how many look-ups ids take that are looked up together."""
        return len(asks)

    @property
    def parts(self) -> dict[str, str]:
        """What authenticates, by its name; none of it may be told."""
        return {"api_key": self.key, "api_secret": self.secret}

    def read_body(self, body: bytes) -> Any:
        return json.loads(body)

    @abstractmethod
    def answer(self, call: Call, now: float) -> Raw: ...

    @abstractmethod
    def too_fast(self, wait_s: int) -> Raw: ...

    @abstractmethod
    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str: ...

    # -- what is seen --------------------------------------------------------------------

    def _read(self, now: float) -> float:
        """Return the time whose state the replica shows that happens to answer."""
        return now - (self.lags[0] if len(self.lags) == 1 else self.rng.choice(self.lags))

    def shown(self, order: Order, now: float) -> bool:
        """Say whether lists show the order at all now."""
        start, end = order.plan.hidden_s
        return not start <= now - self.start < end

    def listed(self, now: float) -> list[tuple[Order, Was]]:
        """Return what a list of open orders may show now, the oldest first."""
        seen = ((order, order.at(self.view)) for order in self.book if self.shown(order, now))
        return [(order, was) for order, was in seen if was is not None and was.live]

    def found(self, order_id: str = "", client_id: str = "") -> Order | None:
        """Return the order of an id, of a client id the newest, as this read shows it."""
        view = self.view
        if order_id:
            order = self.book.by_id.get(order_id)
            return order if order is not None and order.at(view) else None
        placed = [o for o in self.book.by_client.get(client_id, ()) if o.at(view)]
        return placed[-1] if placed else None

    def named(
        self,
        when: float,
        *,
        order_id: str = "",
        client_id: str = "",
        symbol: str | None = None,
        waits: bool | None = None,
        keeps: Callable[[Order, Was], bool] = lambda order, was: True,
    ) -> Order | None:
        """Return the order that an id names; of a client id an open one, or the newest.

        An order bears no client id but its own. `waits`: of orders that are, or are not, of
        a kind that waits for a trigger, where the venue keeps those apart. `keeps`: what is
        not forgotten.
        """
        if order_id:
            bearers = [self.book.by_id[order_id]] if order_id in self.book.by_id else []
        else:
            bearers = [o for o in self.book.by_client.get(client_id, ()) if o.plan.client_id]
        placed = [
            (order, was)
            for order in bearers
            if (was := order.at(when))
            and symbol in (None, order.plan.symbol)
            and waits in (None, is_conditional(order))
            and keeps(order, was)
        ]
        live = [order for order, was in placed if was.live]
        return (live or [order for order, _ in placed] or [None])[-1]  # type: ignore[list-item]

    def other(self, order: Order) -> Order:
        """Return the order, or now and then another one that nobody asked for."""
        if not self.ways.shows_others or self.rng.random() >= 0.3:
            return order
        others = [
            o
            for o in self.book
            if o is not order
            and o.at(self.view)
            and is_conditional(o) is is_conditional(order)
            and (not o.plan.client_id or o.plan.client_id != order.plan.client_id)
        ]
        return others[0] if others else order

    def note_cancel(self, order_ids: Sequence[str], now: float) -> None:
        for order_id in order_ids:
            self.cancels[order_id].append(now)
        if len(order_ids) > 1:
            self.batched.update(order_ids)
        elif order_ids[0] in self.batched:
            after_s = now - self.cancels[order_ids[0]][0]
            self.alone_after_s.setdefault(order_ids[0], after_s)

    # -- words ---------------------------------------------------------------------------

    def spelled(self, word: str) -> str:
        """Return a documented word in this world's spelling."""
        style = self.ways.words
        if style == "upper":
            return word.upper()
        if style == "lower":
            return word.lower()
        if style == "british":
            return word.replace("ANCELED", "ANCELLED").replace("anceled", "ancelled")
        return word

    def strange(self, was: Was) -> str:
        """Return the word that no page names, if this is how the venue calls such an end."""
        ends = (State.CANCELED, State.EXPIRED, State.FIRED)
        return self.ways.odd_word if was.state in ends else ""

    def odd(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add fields to a row whose names mean something elsewhere."""
        return {**row, "code": 0, "error": None} if self.ways.odd_fields else row

    def empty(self, rows: list[Any], key: str, others: dict[str, Any]) -> dict[str, Any]:
        """Return an object with rows, or in this world's form without them."""
        if rows or self.ways.empty == "[]":
            return {key: rows, **others}
        if self.ways.empty == "missing":
            return others
        return {key: None if self.ways.empty == "null" else {}, **others}

    # -- what a careful reader could know ------------------------------------------------

    @property
    def lag_s(self) -> float:
        return self.ways.read_lag_s

    def candidates(self, ask: Ask) -> list[Order]:
        """Return every order that the producer may mean."""
        found: list[Order] = []
        if ask.kind != "client_order_id" and ask.id in self.book.by_id:
            found.append(self.book.by_id[ask.id])
        if ask.kind != "venue_order_id":
            found += [o for o in self.book.by_client.get(ask.id, ()) if o not in found]
        return found

    def of_stated_door(self, ask: Ask) -> list[Order]:
        """Return the orders that may be meant; a stated type says behind which door."""
        found = Fake.candidates(self, ask)
        conditional = ask.ord_type in CONDITIONAL
        stated = ask.ord_type not in ("", "any")
        fit = [order for order in found if stated and is_conditional(order) is conditional]
        return fit or found

    def record_is_long(self, order: Order) -> bool:
        """Say whether the order's record has more pages than somebody should have to read."""
        return self.ways.record_rows >= MANY_PAGES * self.ways.page_cap

    @abstractmethod
    def recorded(self, order: Order) -> bool:
        """Say whether the venue has a record of the order, now that it has ended."""

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        """Say whether each cancel of the order, so named, is done."""
        return True

    @abstractmethod
    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        """Return since when every read shows what became of an id; NEVER: none needs to."""

    def shown_by_id_from(self, ask: Ask, orders: list[Order]) -> float:
        """Return since when look-ups by id show what became of an order of its symbol."""
        many = len(Fake.candidates(self, ask)) > 1
        if self.ways.shows_others or many or not ask.symbol:
            return NEVER
        if not orders:
            return NEVER if self.ways.unknown_text == "other_code" else self.start
        (order,) = orders
        hard = order.plan.symbol != ask.symbol or order.now.state is State.FIRED
        return NEVER if hard or self.strange(order.now) else order.ended_at + self.lag_s

    def end_shown_from(self, order: Order) -> float:
        """Return since when every replica shows that an order has ended, lists included."""
        hidden_until = self.start + order.plan.hidden_s[1] if any(order.plan.hidden_s) else 0
        return max(order.ended_at + self.lag_s, hidden_until)


def is_conditional(order: Order) -> bool:
    """Say whether an order is, or was, one that waits for a trigger."""
    return order.plan.ord_type in CONDITIONAL


def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def page_of(rows: Sequence[Any], number: int, size: int) -> list[Any]:
    return list(rows[(number - 1) * size : number * size])


def number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() else otherwise


def ended(pairs: Iterable[tuple[Order, Was | None]]) -> list[tuple[Order, Was]]:
    return [(order, was) for order, was in pairs if was is not None and not was.live]


__all__ = ["CREDENTIALS", "NEVER", "PAGES", "Call", "Fake", "Raw", "Refused", "State"]
