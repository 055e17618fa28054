"""A Kraken Futures of its own: v3 as the venue's pages and its clients describe it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.worlds.book import Book, Order, State, Was
from tests.worlds.fake import NEVER, Call, Fake, Raw, Refused, as_json, number
from tests.worlds.market import CHILDREN, Market, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask, World
from venues.base import HttpRequest

_API, _HISTORY = "/derivatives/api/v3", "/api/history/v3"
_STATUS = {
    State.WAITING: "TRIGGER_PLACED",
    State.RESTING: "ENTERED_BOOK",
    State.FILLED: "FULLY_EXECUTED",
    State.CANCELED: "CANCELLED",
    State.EXPIRED: "CANCELLED",
    State.REJECTED: "REJECTED",
    State.FIRED: "TRIGGER_ACTIVATION_FAILURE",
}
#: Why, as look-ups have it; the log has the same words in small letters, as the feed does.
_REASONS = {
    State.CANCELED: "CANCELLED_BY_USER",
    State.EXPIRED: "CONTRACT_EXPIRED",
    State.FIRED: "STOP_ORDER_TRIGGERED",
    State.FILLED: "FULL_FILL",
}
_TAKEN_OUT = frozenset({State.CANCELED, State.EXPIRED})
#: Tokens of 500 in ten seconds, by the path's end; a batch takes one more for each item.
_TOKENS = {"batchorder": 9, "cancelorder": 10, "status": 1, "openorders": 2}
_FORM = "application/x-www-form-urlencoded"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: For so long a look-up by id still shows what has ended (page Get Specific Orders' Status).
_SHOWN_S = 5.0
_TIME = "2026-07-22T13:25:56.366Z"

_MARKET = Market(
    ("PF_XBTUSD", "PF_ETHUSD"),
    new_uuid,
    ((0.5, risk_id), (1.0, new_uuid)),
    # "Globally unique" by the page Send Order.
    reuses=False,
    # Whether what a trigger places has another id is not documented.
    children=("", *CHILDREN),
    # Items of a batch are judged each by itself; the order of rows is a parameter of its own.
    never=("spoils", "empty", "oldest_first"),
    ways={
        # As the single cancel does (JKorf/Kraken.Net's recorded replies).
        "names_refused": one_of(False),
        # `filled` is documented of the single cancel alone; a batch may say it as well.
        "tells_ended": one_of(True),
        # JKorf/Kraken.Net#162: a closed order was found no more.
        "forgets_ended": one_of(True),
        # Clients take `orderEvents` for optional; what a cancel did is then not told.
        "tells_events": one_of(False),
        # `closed=true` is what was "closed/cancelled/rejected": what fired may be none.
        "closed_has_fired": one_of(False),
        # "The system removed the stop order", says the feed of the same engine; the look-up's
        # page has this reason, and no state of its own for it.
        "fired_is_canceled": one_of(True),
        # The parameter is optional; who does not heed it shows placings and fills as well.
        "leaky": one_of(True),
        "odd_word": one_of("CANCELLED_BY_SYSTEM", "SETTLED"),
        "record_rows": one_of(30, 150, 700),
    },
)


class KrakenFutures(Fake):
    """Its engine answers cancels; what ended is shown by id for five seconds, then by a log."""

    market = _MARKET
    wide_quotas = ("history",)

    def __init__(self, world: World, book: Book, rng: Random) -> None:
        super().__init__(world, book, rng)
        self.secret = base64.b64encode(self.secret.encode()).decode()
        self.path = ""
        names = Random(world.seed + 3)
        self.others = [new_uuid(names) for _ in range(self.ways.record_rows)]

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        self.path = path
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = query if request.method == "GET" else request.body.decode()
        text = sent + headers.get("nonce", "") + path.removeprefix("/derivatives")
        digest = hashlib.sha256(text.encode()).digest()
        mac = hmac.digest(base64.b64decode(self.secret), digest, hashlib.sha512)
        if headers.get("authent") != base64.b64encode(mac).decode():
            return "kraken_futures: wrong signature"
        if request.method == "POST" and (query or headers.get("content-type") != _FORM):
            return "kraken_futures: a POST without a form"
        if urlencode(parse_qsl(sent, keep_blank_values=True)) != sent:
            return "kraken_futures: a form that is not percent-encoded"
        return "" if headers.get("apikey") == self.key else "kraken_futures: wrong key"

    def read_body(self, body: bytes) -> Any:
        return parse_qsl(body.decode(), keep_blank_values=True)

    def pool(self, request: HttpRequest, path: str) -> str:
        return "history" if path.startswith(_HISTORY) else "derivatives"

    def limit_of(self, key: str) -> tuple[int, float]:
        return (100, 600.0) if key == "history" else (500, 10.0)

    def price(self, request: HttpRequest) -> int:
        name = request.target.partition("?")[0].rpartition("/")[2]
        items = request.body.count(b"%22order%22") if name == "batchorder" else 0
        return _TOKENS.get(name, 1) + items

    def too_fast(self, wait_s: int) -> Raw:
        if self.path.startswith(_HISTORY):
            return Raw(429, "Too Many Requests", {"rate-limit-reset": str(wait_s)})
        if self.world.seed % 2:
            errors = [{"code": 10, "message": "too many requests"}]
            body = {"status": "TOO_MANY_REQUESTS", "result": "error", "errors": errors}
            return Raw(429, as_json(body))
        return _error("apiLimitExceeded").raw

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("POST", f"{_API}/cancelorder"): self._cancel,
            ("POST", f"{_API}/batchorder"): self._cancel_batch,
            ("POST", f"{_API}/orders/status"): self._look_up,
            ("GET", f"{_API}/openorders"): self._open,
            ("GET", f"{_HISTORY}/orders"): self._orders,
            ("GET", f"{_HISTORY}/triggers"): self._triggers,
        }.get((call.method, call.path))
        if handler is None:
            self.faults.append(f"kraken_futures: nobody documents {call.method} {call.path}")
            return Raw(404, "<html>404</html>")
        return handler(list(call.query.items()) if call.method == "GET" else call.body, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, form: list[tuple[str, str]], now: float) -> Raw:
        self._check(form, {"order_id", "cliOrdId"}, most=1)
        self.note_cancel([form[0][1]], now)
        row = self._cancel_one(*form[0], now, alone=True)
        if row["status"] == "notFound" and self.ways.unknown_text == "other_code":
            raise _error("notFound")  # a code of the guide's, of which no call is named
        return _said(cancelStatus={"receivedTime": _TIME, **row})

    def _cancel_batch(self, form: list[tuple[str, str]], now: float) -> Raw:
        self._check(form, {"json"}, most=1)
        items = json.loads(form[0][1])["batchOrder"]
        if not 1 <= len(items) <= 10 or any(item.pop("order") != "cancel" for item in items):
            self.faults.append("kraken_futures: a batch of more than ten, or not of cancels")
        named = [next(iter(item.items())) for item in items]
        if any(len(item) != 1 for item in items):
            self.faults.append("kraken_futures: an item with two ids")
        self._check(named, {"order_id", "cliOrdId"}, most=10)
        self.note_cancel([each for _, each in named], now)
        rows = [self._cancel_one(name, each, now, alone=False) for name, each in named]
        self.rng.shuffle(rows)  # "the order of rows is not guaranteed"
        return _said(batchStatus=rows)

    def _cancel_one(self, name: str, each: str, now: float, *, alone: bool) -> dict[str, Any]:
        """Return the word on one order, and the engine's event where there was one."""
        order = self._named(name, each, now)
        named = {} if alone or not self.ways.names_refused else {name: each}
        if order is None or not self.book.cancel(order, now):
            filled = order is not None and order.now.state is State.FILLED
            fresh = filled and order is not None and now - order.ended_at <= _SHOWN_S
            if filled and (self.ways.tells_ended or (alone and fresh)):
                return {"status": "filled", **named, "orderEvents": []}
            if order is not None and self.ways.tells_ended and order.now.state in _TAKEN_OUT:
                return {"status": "cancelled", **named, "orderEvents": []}
            return {"status": "notFound", **named, **({} if alone else {"orderEvents": []})}
        events = []
        if not order.now.live and self.ways.tells_events:
            waited = _ended_waiting(order)
            body = self._trigger(order) if waited else self._looked_up(order, order.now)
            part = {"orderTrigger": body} if waited else {"order": body}
            events = [{"type": "CANCEL", "uid": order.plan.venue_id, **part}]
        row = {"status": "cancelled", "order_id": order.plan.venue_id}
        if order.plan.client_id:
            row["cliOrdId"] = order.plan.client_id
        return {**row, "orderEvents": events}

    def _check(self, named: list[tuple[str, str]], names: set[str], most: int) -> None:
        """Refuse what no page has as a parameter."""
        if not 1 <= len(named) <= most or any(name not in names for name, _ in named):
            self.faults.append(f"kraken_futures: {[name for name, _ in named]} at {self.path}")
        wrong = [e for name, e in named if name in _BY_ID and not _UUID.fullmatch(e)]
        if wrong:
            raise _error(f"invalidArgument: {wrong[0]}")

    def _named(self, name: str, each: str, when: float) -> Order | None:
        if name in _BY_ID:
            return self.named(when, order_id=each)
        return self.named(when, client_id=each)

    # -- reads ---------------------------------------------------------------------------

    def _look_up(self, form: list[tuple[str, str]], now: float) -> Raw:
        self._check(form, {"orderIds", "cliOrdIds"}, most=10)
        rows = []
        for name, each in form:
            order = self._named(name, each, self.view)
            was = order.at(self.view) if order is not None else None
            if order is None or was is None or not self._seen(order, was, now):
                continue
            another = self.other(order)
            if (its := another.at(self.view)) and self._seen(another, its, now):
                order, was = another, its
            rows.append(self._row(order, was))
        return _said(orders=rows)

    def _seen(self, order: Order, was: Was, now: float) -> bool:
        """Say whether a look-up by id shows the order: while it is open, and for a moment."""
        if was.live:
            return self.shown(order, now)
        fired = was.state is State.FIRED and order.plan.child != "refused"
        fresh = self.view - was.since <= _SHOWN_S and not self.ways.forgets_ended
        return fresh and (self.ways.fired_is_canceled or not fired)

    def _open(self, query: list[tuple[str, str]], now: float) -> Raw:
        self._check([("", ""), *query], {""}, most=1)
        return _said(openOrders=[self._open_row(o, was) for o, was in self.listed(now)])

    def _orders(self, query: list[tuple[str, str]], now: float) -> Raw:
        return self._log(dict(query), triggers=False)

    def _triggers(self, query: list[tuple[str, str]], now: float) -> Raw:
        return self._log(dict(query), triggers=True)

    def _log(self, query: dict[str, str], *, triggers: bool) -> Raw:
        names = {"since", "before", "sort", "continuation_token", "count", "tradeable"}
        if not set(query) <= names | {"opened", "closed"}:
            self.faults.append(f"kraken_futures: {sorted(query)} of the history")
        rows = self._rows(query, self.view - self.ways.record_lag_s, triggers=triggers)
        if query.get("sort") == "asc":
            rows.reverse()
        page = rows[: min(number(query.get("count"), 100), self.ways.page_cap)]
        token = {"continuationToken": "c3RhcnQ="} if len(page) < len(rows) else {}
        body = {"accountUid": "f7d5571c", "len": len(page), "serverTime": _TIME, **token}
        return Raw(200, as_json({**body, "elements": page}))

    def _rows(
        self, query: dict[str, str], view: float, *, triggers: bool
    ) -> list[dict[str, Any]]:
        """Return a log as it was at a time, the newest first; other orders ended before."""
        rows = [] if triggers else [self._foreign(n) for n in range(len(self.others))]
        rows += [
            _element(since, kind, event)
            for order in self.book
            for since, kind, event in self._events(order, triggers=triggers)
            if since <= view and self._asked(kind, event, query)
        ]
        return sorted(rows, key=lambda row: row["timestamp"], reverse=True)

    def _asked(self, kind: str, event: dict[str, Any], query: dict[str, str]) -> bool:
        """Say whether the filters of opened and of closed orders let a row pass."""
        if self.ways.leaky or not {"opened", "closed"} & set(query):
            return True
        if kind == "OrderTriggerActivated":
            return query.get("closed") == "true" and self.ways.closed_has_fired
        ended = kind.endswith(("Cancelled", "Rejected")) or event.get("reason") == "full_fill"
        return query.get("closed" if ended else "opened") == "true"

    def _foreign(self, n: int) -> dict[str, Any]:
        order = {"uid": self.others[n], "clientId": "", "tradeable": self.market.symbols[0]}
        event = {"order": {**order, "quantity": "1", "filled": "0"}, "reason": "edited"}
        return _element(self.start - 60 * (n + 1) / len(self.others), "OrderCancelled", event)

    def _events(
        self, order: Order, *, triggers: bool
    ) -> Iterator[tuple[float, str, dict[str, Any]]]:
        """Yield what the log has of an order's life: when, kind, and event."""
        waited = False
        for was in order.life:
            waits, rests = was.state is State.WAITING, was.state is State.RESTING
            if waited and was.state is not State.WAITING:
                kind = "Cancelled" if was.state in _TAKEN_OUT else "Activated"
                if triggers:
                    reason = _REASONS[was.state if kind == "Cancelled" else State.FIRED]
                    said = {"order": self._trigger(order), "reason": reason.lower()}
                    yield was.since, f"OrderTrigger{kind}", said
                if kind == "Cancelled" or was.state is State.FIRED:
                    return
            if waits and triggers:
                yield was.since, "OrderTriggerPlaced", {"order": self._trigger(order)}
            elif not waits and not triggers:
                body = self._logged(order, was)
                if rests and not was.executed:
                    yield was.since, "OrderPlaced", {"order": body, "reason": "new_user_order"}
                elif rests or was.state is State.FILLED:
                    reason = "partial_fill" if rests else "full_fill"
                    said = {"oldOrder": body, "newOrder": body, "reason": reason}
                    yield was.since, "OrderUpdated", {**said, "reducedQuantity": "0"}
                else:
                    kind = "Rejected" if was.state is State.REJECTED else "Cancelled"
                    reason = _REASONS.get(was.state, "market_inactive").lower()
                    yield was.since, f"Order{kind}", {"order": body, "reason": reason}
            waited = waits

    # -- rows ----------------------------------------------------------------------------

    def _symbol(self, order: Order) -> str:
        # Replies of 2022 have it in lower case (ccxt/ccxt#15133).
        symbol = order.plan.symbol
        return symbol.lower() if self.ways.words == "lower" else symbol

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        word, reason = self.strange(was) or _STATUS[was.state], _REASONS.get(was.state)
        if was.state is State.FIRED and order.plan.child != "refused":
            word = "CANCELLED"
        row = {"order": self._looked_up(order, was), "status": self.spelled(word)}
        return self.odd({**row, "updateReason": reason, "error": None})

    def _looked_up(self, order: Order, was: Was) -> dict[str, Any]:
        return {
            "type": "TRIGGER_ORDER" if was.state is State.WAITING else "ORDER",
            "orderId": order.plan.venue_id,
            "cliOrdId": order.plan.client_id or None,
            "symbol": self._symbol(order),
            "side": "sell",
            "quantity": QUANTITY,
            "filled": was.executed,
            "limitPrice": 8000,
            "reduceOnly": False,
            "timestamp": _TIME,
            "lastUpdateTimestamp": _TIME,
        }

    def _trigger(self, order: Order) -> dict[str, Any]:
        plan = order.plan
        said = {"uid": plan.venue_id, "clientId": plan.client_id or None}
        return {**said, "tradeable": self._symbol(order), "quantity": str(QUANTITY)}

    def _logged(self, order: Order, was: Was) -> dict[str, Any]:
        return {**self._trigger(order), "filled": str(was.executed), "orderType": "Limit"}

    def _open_row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        kind = {"tp_sl": "take_profit"}.get(plan.ord_type, "stop")
        row = {
            "order_id": plan.venue_id,
            "symbol": self._symbol(order),
            "side": "sell",
            "orderType": kind if was.state is State.WAITING else "lmt",
            "filledSize": was.executed,
            "unfilledSize": QUANTITY - was.executed,
            "receivedTime": _TIME,
            "status": self.spelled("partiallyFilled" if was.executed else "untouched"),
        }
        if plan.client_id:
            row["cliOrdId"] = plan.client_id
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def record_is_long(self, order: Order) -> bool:
        """Say whether its log has a second page: for it one needs a token of the first."""
        rows = self._rows({}, NEVER, triggers=_ended_waiting(order))
        return len(rows) > self.ways.page_cap

    def recorded(self, order: Order) -> bool:
        """Say whether its log's newest page names its end."""
        query = {} if _ended_waiting(order) else {"closed": "true"}
        page = self._rows(query, NEVER, triggers=_ended_waiting(order))[: self.ways.page_cap]
        named = [event for row in page for event in row["event"].values()]
        orders = [event.get("newOrder") or event["order"] for event in named]
        return not order.now.live and any(o["uid"] == order.plan.venue_id for o in orders)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        since = self.shown_by_id_from(ask, orders)
        if len(orders) == 1 and not orders[0].now.live:
            since = max(since, self.end_shown_from(orders[0])) + self.ways.record_lag_s
        return since


_BY_ID = {"order_id", "orderIds"}


def _ended_waiting(order: Order) -> bool:
    """Say whether its end is in the log of triggers: it never rested."""
    return not order.now.live and order.life[-2].state is State.WAITING


def _element(since: float, kind: str, event: dict[str, Any]) -> dict[str, Any]:
    when = int(1767225600000 + since * 1000)
    return {"uid": f"{when}-{kind}", "timestamp": when, "event": {kind: event}}


def _said(**parts: Any) -> Raw:
    return Raw(200, as_json({"result": "success", **parts, "serverTime": _TIME}))


def _error(word: str) -> Refused:
    return Refused(Raw(200, as_json({"result": "error", "error": word, "serverTime": _TIME})))
