"""A Gate of its own: v4 futures as the venue's pages and its clients describe them."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import (
    NEVER,
    Call,
    Fake,
    Raw,
    Refused,
    as_json,
    is_conditional,
    number,
    page_of,
)
from tests.worlds.market import CHILDREN, JUDGES_EACH, Market, between, digits, one_of
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_API = "/api/v4/futures/usdt"
_ENDS = {
    State.FILLED: "filled",
    State.CANCELED: "cancelled",
    State.EXPIRED: "ioc",
    State.REJECTED: "reduce_only",
}
_PRICE_ENDS = {
    State.CANCELED: "cancelled",
    State.EXPIRED: "expired",
    State.REJECTED: "failed",
    State.FIRED: "succeeded",
}
_PRICE_TYPES = {"trigger": "", "tp_sl": "close-long-order"}
_FAMILY = {"trigger": "price", "tp_sl": "price", "trailing_stop": "trail"}
#: Lists of two other families: trailing and chase orders.
_LISTS = ("v1/trail/list", "v1/chase/list")
#: For so long the row of an order that fired does not name what it placed.
_TRIGGERING_S = 0.1
_MINUTE_S = 60.0


def _own_id(rng: Any) -> str:
    return f"t-risk-{rng.randrange(10**6)}"


_MARKET = Market(
    ("BTC_USDT", "ETH_USDT"),
    digits(8, 17, 18),
    ((0.7, _own_id), (1.0, lambda rng: f"t-{rng.randrange(10**17)}")),
    children=CHILDREN,
    never=JUDGES_EACH,
    ways={
        # Ten minutes by the pages, "at most one" by a maintainer: gateio/gateapi-go#11.
        "kept_s": one_of(_MINUTE_S, 5.0),
        # The official models of Go leave out what is empty.
        "names_refused": one_of(False),
        # The list of labels has ORDER_FINISHED; the change log of 1.1.0 has 404 for all.
        "tells_ended": one_of(True),
        # Sizes became texts, and of some contracts decimal ones (4.106.19).
        "sizes": one_of("texts", "decimals"),
        # A client's recorded cancel of a price-triggered order.
        "accepted_word": one_of("inactive"),
        # Documented of spot alone, so far.
        "odd_word": one_of("price_protect_cancelled"),
        "total": one_of("left_out"),
        "resting": one_of(99, 100, 150, 230),
        "leaves_every_s": between(0.02, 0.5),
    },
)


class Gate(Fake):
    """Four books whose ids count up each for itself; what was canceled is soon forgotten."""

    market = _MARKET

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("timestamp", "")
        digest = hashlib.sha512(request.body).hexdigest()
        payload = "\n".join((request.method, path, query, digest, stamp)).encode()
        expected = hmac.new(self.secret.encode(), payload, hashlib.sha512).hexdigest()
        if headers.get("sign") != expected or not re.fullmatch(r"\d{10}", stamp):
            return "gate: wrong signature"
        if request.method != "POST" and request.body:
            return "gate: a body that nobody reads"
        return "" if headers.get("key") == self.key else "gate: wrong key"

    def pool(self, request: HttpRequest, path: str) -> str:
        cancels = path.startswith((f"{_API}/orders/", f"{_API}/batch_cancel_orders"))
        if cancels and request.method != "GET":
            return "cancels"
        return f"{request.method} {re.sub(r'/[^/]*[0-9][^/]*$', '/{id}', path)}"

    def limit_of(self, key: str) -> tuple[int, float]:
        return (200, 1.0) if key == "cancels" else (200, 10.0)

    def too_fast(self, wait_s: int) -> Raw:
        body = as_json({"label": "TOO_MANY_REQUESTS", "message": "Request rate limit exceeded"})
        # A time, as the pages have it; the worker's clock stands for the venue's.
        return Raw(429, body, {"x-gate-ratelimit-requests-remain": "0"})

    def answer(self, call: Call, now: float) -> Raw:
        place, _, order_id = call.path.removeprefix(f"{_API}/").partition("/")
        handler = {
            ("DELETE", "orders", True): self._cancel,
            ("POST", "batch_cancel_orders", False): self._cancel_batch,
            ("DELETE", "price_orders", True): self._cancel_price,
            ("GET", "orders", True): self._order,
            ("GET", "orders", False): self._orders,
            ("GET", "price_orders", True): self._price_order,
        }.get((call.method, place, bool(order_id)))
        if (call.method, place) == ("GET", "autoorder") and order_id in _LISTS:
            handler = self._trails
        if handler is None or not call.path.startswith(_API):
            self.faults.append(f"gate: nobody documents {call.method} {call.path}")
            return Raw(404, as_json({"label": "NOT_FOUND", "message": ""}))
        if order_id and call.query and place != "autoorder":
            self.faults.append(f"gate: nobody documents a query: {call.query}")
        return handler(call, order_id, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, call: Call, order_id: str, now: float) -> Raw:
        self.note_cancel([order_id], now)
        order = self._of_book(order_id, now, now)
        if order is None or not self.book.cancel(order, now):
            raise self._unknown_cancel(order, order_id)
        return Raw(200, as_json(self._row(order, order.now)))

    def _cancel_batch(self, call: Call, order_id: str, now: float) -> Raw:
        ids = call.body
        if not isinstance(ids, list) or not 1 <= len(ids) <= 20:
            raise _error(400, "INVALID_PARAM_VALUE", "the number of orders")
        if not all(isinstance(each, str) and re.fullmatch(r"[1-9]\d*", each) for each in ids):
            raise _error(400, "INVALID_PARAM_VALUE", "ids are strings of numbers")
        self.note_cancel(ids, now)
        rows = []
        for each in ids:
            order = self._of_book(each, now, now)
            done = order is not None and self.book.cancel(order, now)
            row = {"user_id": 111, "id": each, "succeeded": done, "message": ""}
            if not done:
                row["message"] = self._why_not(order)
                row["id"] = each if self.ways.names_refused else ""
            rows.append(row)
        return Raw(200, as_json(rows))

    def _why_not(self, order: Order | None) -> str:
        if order is not None and self.ways.tells_ended:
            return "ORDER_FINISHED"
        words = {"": "ORDER_NOT_FOUND", "other_text": "Order not found"}
        return words.get(self.ways.unknown_text, "cancel failed")

    def _cancel_price(self, call: Call, order_id: str, now: float) -> Raw:
        self.note_cancel([order_id], now)
        order = self._of_prices(order_id, now)
        if order is None or not self.book.cancel(order, now):
            raise self._no_price_order(order)
        row = self._price_row(order, order.now)
        if self.ways.accepted_word != "NEW":
            row["status"] = self.ways.accepted_word
        return Raw(200, as_json(row))

    # -- reads ---------------------------------------------------------------------------

    def _order(self, call: Call, order_id: str, now: float) -> Raw:
        order = self._of_book(order_id, self.view, now)
        if order is None:
            raise self._unknown(order_id)
        order = self.other(order)
        return Raw(200, as_json(self._row(order, order.at(self.view) or order.life[0])))

    def _orders(self, call: Call, order_id: str, now: float) -> Raw:
        limit, offset = (
            number(call.query.get("limit"), 100),
            number(call.query.get("offset"), 0),
        )
        if call.query.keys() != {"status", "limit", "offset"}:
            self.faults.append(f"gate: a list of one contract, or of a default: {call.query}")
        if call.query.get("status") != "open" or not 1 <= limit <= 100:
            raise _error(400, "INVALID_PARAM_VALUE", "status or limit")
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if not is_conditional(order)
        ]
        rows = self._among_others(rows, now)[::-1]  # the newest first
        page = rows[offset : offset + limit]
        told = {"x-pagination-limit": str(limit), "x-pagination-offset": str(offset)}
        if self.ways.total == "given":
            told["x-pagination-total"] = str(len(rows))
        return Raw(200, as_json(page), told if self.ways.total == "given" else {})

    def _among_others(self, rows: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """Return rows among those of other orders, half of them older; those leave in time."""
        every = self.ways.leaves_every_s
        gone = int(max(0.0, now - self.start) / every) if every else 0
        row = {"contract": "SOL_USDT", "status": "open", "text": "web", "size": 1, "left": 1}
        others = [{**row, "id": 880 * 10**15 + n} for n in range(self.ways.resting)]
        older, newer = others[::2], others[1::2]
        return older[gone // 2 :] + rows + newer[gone - gone // 2 :]

    def _price_order(self, call: Call, order_id: str, now: float) -> Raw:
        order = self._of_prices(order_id, self.view)
        was = order.at(self.view) if order is not None else None
        if order is None or was is None:
            raise self._no_price_order(None)
        return Raw(200, as_json(self._price_row(order, was)))

    def _trails(self, call: Call, order_id: str, now: float) -> Raw:
        """List trailing orders, or chase orders, of which there are none: in an envelope."""
        rows = [
            {"id": int(order.plan.venue_id), "contract": order.plan.symbol, "status": "open"}
            for order, was in self.listed(now)
            if order.plan.ord_type == "trailing_stop" and was.state is State.WAITING
            if order_id == _LISTS[0]
        ]
        size = number(call.query.get("page_size"), 20)
        rows = page_of(rows[::-1], number(call.query.get("page_num"), 1), size)
        data = {"orders": rows or (None if self.ways.empty == "null" else [])}
        stamp = {"timestamp": 1769569837533}
        return Raw(200, as_json({"code": 0, "message": "ok", "data": data, **stamp}))

    # -- parts ---------------------------------------------------------------------------

    def _of_book(self, order_id: str, when: float, now: float) -> Order | None:
        """Return the order of the book that an id in a path names."""
        by_client = order_id.startswith("t-")
        return self.named(
            when,
            order_id="" if by_client else order_id,
            client_id=order_id if by_client else "",
            waits=False,
            keeps=lambda _, was: self._kept(was, now, by_client=by_client),
        )

    def _of_prices(self, order_id: str, when: float) -> Order | None:
        """Return the price-triggered order of an id: its own book has no other kind of ids."""
        if not order_id.isdigit():
            raise _error(400, "INVALID_PARAM_VALUE", "Invalid order_id")
        order = self.named(when, order_id=order_id, waits=True)
        return order if order is not None and order.plan.ord_type in _PRICE_TYPES else None

    def _kept(self, was: Was, now: float, *, by_client: bool) -> bool:
        """Say whether look-ups still show it: for minutes, of what never traded."""
        if was.live or was.executed:
            return True
        kept_s = min(self.ways.kept_s, _MINUTE_S) if by_client else self.ways.kept_s
        return now - was.since <= kept_s

    def _unknown(self, order_id: str) -> Refused:
        own = order_id.startswith("t-") and self.ways.unknown_text != "other_code"
        text = (
            "No such order" if self.ways.unknown_text else f"Order with ID {order_id} not found"
        )
        return _error(404, "CLIENT_ID_NOT_FOUND" if own else "ORDER_NOT_FOUND", text)

    def _unknown_cancel(self, order: Order | None, order_id: str) -> Refused:
        if order is not None and self.ways.tells_ended:
            return _error(400, "ORDER_FINISHED", "order finished")
        return self._unknown(order_id)

    def _no_price_order(self, order: Order | None) -> Refused:
        if order is not None and self.ways.tells_ended:
            return _error(400, "ORDER_FINISHED", "order finished")
        if self.ways.unknown_text == "other_code":
            return _error(404, "ORDER_NOT_FOUND", "")
        return _error(400, "AUTO_ORDER_NOT_FOUND", "")  # a client's, at the testnet

    def _size(self, count: int, order: Order) -> int | str:
        """Return so many contracts; of a sale they are negative."""
        count *= -1 if order.plan.venue_id[-1] in "13579" else 1
        if self.ways.sizes == "numbers":
            return count
        return str(count) if self.ways.sizes == "texts" else f"{count}.0"

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        row: dict[str, Any] = {
            "id": int(plan.venue_id),
            "user": 100000,
            "create_time": 1546569968,
            "contract": plan.symbol,
            "size": self._size(QUANTITY, order),
            "left": self._size(QUANTITY - was.executed, order),
            "iceberg": 0,
            "price": "100",
            "fill_price": "0",
            "status": self.spelled("open" if was.live else "finished"),
            "text": plan.client_id if plan.client_id.startswith("t-") else "api",
            "tif": "gtc",
            "is_reduce_only": False,
        }
        if not was.live:
            row["finish_as"] = self.strange(was) or self.spelled(_ENDS[was.state])
            row["finish_time"] = 1546569969
        return self.odd(row)

    def _price_row(self, order: Order, was: Was) -> dict[str, Any]:
        plan, child = order.plan, ""
        word = _PRICE_ENDS.get(was.state, "")
        if was.state is State.FIRED and order.child is not None:
            if plan.child == "refused":
                word = "failed"
            elif self.view - was.since >= _TRIGGERING_S:
                child = order.child.plan.venue_id
        row: dict[str, Any] = {
            "id": int(plan.venue_id),
            "id_string": plan.venue_id,
            "user": 1283293,
            "initial": {"contract": plan.symbol, "size": self._size(QUANTITY, order)},
            "trigger": {"strategy_type": 0, "price": "3000", "rule": 1},
            "trade_id": int(child or 0),
            "status": self.spelled("open" if was.live else "finished"),
            "finish_as": "",
            "order_type": _PRICE_TYPES[plan.ord_type],
            "me_order_id": 0,
            "create_time": 1514764800,
        }
        if not was.live:
            row["finish_as"] = self.spelled(self.strange(was) or word)
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        """Return what an id may mean: of the stated family, if one of that bears it.

        A client order id begins with `t-`, and no route takes one of a conditional order. What
        a trailing order left behind when it fired is nowhere under its id: docs/evidence.md.
        """
        own = ask.id.startswith("t-")
        found = [
            order
            for order in Fake.candidates(self, ask)
            if (not is_conditional(order) if own else order.plan.venue_id == ask.id)
            and not (order.plan.ord_type == "trailing_stop" and order.now.state is State.FIRED)
        ]
        return [order for order in found if self.takes_cancel(order, ask)] or found

    def recorded(self, order: Order) -> bool:
        order = order.child or order  # which is followed
        by_client = bool(order.plan.client_id)
        return self._kept(order.now, self.start + 120, by_client=by_client)

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        """Say whether its family was stated: one number may name an order of each."""
        return _FAMILY.get(ask.ord_type, "book") == _FAMILY.get(order.plan.ord_type, "book")

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        if self.ways.shows_others or len(orders) > 1:
            return NEVER
        if not orders:
            return self.start
        (order,) = orders
        if not self.takes_cancel(order, ask) or order.now.state is State.FIRED:
            return NEVER
        return NEVER if self.strange(order.now) else self.end_shown_from(order)


def _error(status: int, label: str, text: str) -> Refused:
    return Refused(Raw(status, as_json({"label": label, "message": text})))
