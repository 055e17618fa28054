"""A Kuna of its own: v4 as the venue's pages and its client libraries describe it."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import NEVER, Call, Fake, Raw, Refused, as_json, number
from tests.worlds.market import Market, new_uuid, one_of
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TYPES = {
    "limit": "Limit",
    "market": "Market",
    "trigger": "StopLossLimit",
    "trailing_stop": "StopLossLimit",
    "tp_sl": "TakeProfitLimit",
}
_STATUS = {
    State.WAITING: "WaitStop",
    State.RESTING: "Open",
    State.FILLED: "Closed",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Expired",
    State.REJECTED: "Rejected",
    State.FIRED: "Closed",
}
_BASE = "/v4/order/private"
_TWO_WEEKS_S = 14 * 86400.0


_MARKET = Market(
    ("BTC_USDT", "ETH_USDT"),
    new_uuid,
    children=(),
    ways={
        "bare": one_of(True),
        "id_key": one_of("orderId"),
        "part_is_closed": one_of(True),
        "odd_word": one_of("Settled"),
        "names_ended": one_of(False),
    },
)


class Kuna(Fake):
    """Errors come as HTTP 400 and 500; `Closed` may be a part only."""

    market = _MARKET
    limit = (300, 60.0)

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("api-key"):
            return "" if headers["api-key"] == self.key else "kuna: wrong key"
        body = request.body.decode() or "{}"
        nonce = headers.get("nonce", "")
        payload = f"{request.target}{nonce}{body}"
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha384).hexdigest()
        if headers.get("signature") != expected or not nonce.isdigit():
            return "kuna: wrong signature"
        return "" if headers.get("public-key") == self.key else "kuna: wrong key"

    def path_key(self, path: str) -> str:
        return "account"

    def too_fast(self, wait_s: int) -> Raw:
        return Raw(429, _errors("TOO_MANY_REQUESTS", "Slow down"), {"retry-after": str(wait_s)})

    def answer(self, call: Call, now: float) -> Raw:
        if call.method == "POST" and not isinstance(call.body, dict):
            raise _refused(500, "Internal Server Error", "Invalid JSON")
        if (call.method, call.path) == ("POST", f"{_BASE}/cancel"):
            return self._cancel(call.body, now)
        if (call.method, call.path) == ("POST", f"{_BASE}/cancel/multi"):
            return self._cancel_many(call.body, now)
        if call.method == "GET" and call.path.startswith(f"{_BASE}/details/"):
            return self._details(call.path.rpartition("/")[2], now)
        if (call.method, call.path) == ("GET", f"{_BASE}/active"):
            return self._active(call.query, now)
        if (call.method, call.path) == ("GET", f"{_BASE}/history"):
            return self._history(call.query, now)
        self.faults.append(f"kuna: nobody documents {call.method} {call.path}")
        return Raw(404, "Cannot GET")

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: dict[str, Any], now: float) -> Raw:
        order_id = str(body.get("orderId"))
        if not _UUID.fullmatch(order_id):
            raise _refused(500, "WrongRequestException", "orderId must be a UUID")
        self.note_cancel([order_id], now)
        order = self._in_engine(order_id, now)
        if order is None:
            raise self._unknown(order_id)
        was = order.now
        if not self.book.cancel(order, now):
            raise self._ended(order_id, was)
        return self._data({"success": True})

    def _cancel_many(self, body: dict[str, Any], now: float) -> Raw:
        ids = body.get("orderIds")
        if not isinstance(ids, list) or not all(_UUID.fullmatch(str(i)) for i in ids):
            raise _refused(
                500, "WrongRequestException", "each value in orderIds must be a UUID"
            )
        self.note_cancel(ids, now)
        found = [self._in_engine(order_id, now) for order_id in ids]
        bad = next((o for o in found if o is not None and not o.now.live), None)
        unknown = next((i for i, o in zip(ids, found, strict=True) if o is None), "")
        spoiled = self.ways.spoils and (bad is not None or unknown)
        if spoiled and self.ways.spoils == "nothing_done":
            raise self._ended(bad.plan.venue_id, bad.now) if bad else self._unknown(unknown)
        key, rows = self.ways.id_key, []
        for order_id, order in zip(ids, found, strict=True):
            done = order is not None and self.book.cancel(order, now)
            if done or self.ways.names_ended:
                rows.append(self.odd({key: order_id, "success": done}))
        if spoiled:
            raise self._ended(bad.plan.venue_id, bad.now) if bad else self._unknown(unknown)
        if self.ways.shows_others:
            mine = set(ids)
            rows += [
                {key: o.plan.venue_id, "success": False}
                for o in self.book
                if o.plan.venue_id not in mine
            ][:3]
        return self._data(rows)

    def _in_engine(self, order_id: str, now: float) -> Order | None:
        order = self.book.by_id.get(order_id.lower())
        return order if order is not None and order.at(now) else None

    def _ended(self, order_id: str, was: Was) -> Refused:
        if self.ways.unknown_text == "other_code":
            return _refused(
                500,
                "CANCEL_ORDER_FAILED",
                f"Order with id: {order_id} already has been processed or canceled. "
                "Check status again",
            )
        word = self.spelled(self._status(was))
        return _refused(400, "BAD_REQUEST", f"Order with status {word} can't be canceled")

    def _unknown(self, order_id: str) -> Refused:
        if self.ways.unknown_text == "other_code":
            return _refused(404, "ORDER_NOT_FOUND", f"Order {order_id} was not found")
        if self.ways.unknown_text == "other_text":
            return _refused(404, "NOT_FOUND", "No order with such id")
        return _refused(404, "NOT_FOUND", "Order not found")

    # -- reads ---------------------------------------------------------------------------

    def _details(self, order_id: str, now: float) -> Raw:
        if not _UUID.fullmatch(order_id):
            raise _refused(500, "WrongRequestException", "orderId must be a UUID")
        order = self.found(order_id.lower())
        if order is None:
            raise self._unknown(order_id)
        others = [o for o in self.book if o is not order and o.at(self.view)]
        if self.ways.shows_others and others and self.rng.random() < 0.3:
            order = others[0]
        return self._data(self._row(order, order.at(self.view) or order.life[0]))

    def _active(self, query: dict[str, str], now: float) -> Raw:
        since = self._since(query, now)
        pairs = query.get("pairs")
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if order.placed >= since and (not pairs or order.plan.symbol in pairs.split(","))
        ]
        return self._list(rows, query)

    def _history(self, query: dict[str, str], now: float) -> Raw:
        view, since = self.view - self.ways.record_lag_s, self._since(query, now)
        wanted = query.get("status", "").lower()
        rows = [
            self._row(order, was)
            for order in self.book
            if (was := order.at(view)) and not was.live and order.placed >= since
        ]
        if wanted:
            rows = [row for row in rows if row["status"].lower() == wanted]
        return self._list(rows, query)

    def _since(self, query: dict[str, str], now: float) -> float:
        """Return since when orders are shown; two weeks, if nothing is said."""
        return now - _TWO_WEEKS_S if not query.get("start") else -NEVER

    def _list(self, rows: list[dict[str, Any]], query: dict[str, str]) -> Raw:
        most = min(number(query.get("limit"), 100), self.ways.page_cap, 100)
        newest_first = query.get("sort", "").lower() != "asc" and not self.ways.oldest_first
        return self._data((rows[::-1] if newest_first else rows)[:most])

    def _data(self, value: Any) -> Raw:
        if value == [] and self.ways.empty != "[]":
            text = {"null": '{"data":null}', "{}": '{"data":{}}', "missing": "{}"}
            return Raw(200, text[self.ways.empty])
        return Raw(200, as_json(value if self.ways.bare else {"data": value}))

    def _status(self, was: Was) -> str:
        if was.state is State.CANCELED and was.executed and self.ways.part_is_closed:
            return "Closed"
        return self.strange(was) or _STATUS[was.state]

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        row = {
            "id": plan.venue_id,
            "type": _TYPES[plan.ord_type],
            "quantity": str(QUANTITY),
            "executedQuantity": str(was.executed),
            "cumulativeQuoteQty": str(was.executed * 100),
            "cost": str(was.executed * 100),
            "side": "Ask",
            "pair": plan.symbol,
            "price": "100",
            "status": self.spelled(self._status(was)),
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        return True

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        if self.ways.shows_others:
            return NEVER
        if not orders:
            return NEVER if self.ways.unknown_text == "other_code" else self.start
        order = orders[-1]
        if (
            order.now.state is State.CANCELED
            and order.now.executed
            and self.ways.part_is_closed
        ):
            return NEVER
        odd = order.now.state is State.FIRED or self.strange(order.now)
        return NEVER if odd else order.ended_at + self.lag_s


def _errors(code: str, text: str) -> str:
    return as_json({"errors": [{"code": code, "message": text}]})


def _refused(status: int, code: str, text: str) -> Refused:
    return Refused(Raw(status, _errors(code, text)))
