"""A ZTDX of its own: the fapi as the venue's pages and the public backend describe it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import NEVER, Call, Fake, Raw, Refused, as_json, number
from tests.worlds.market import Market, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TYPES = {
    "limit": "LIMIT",
    "market": "MARKET",
    "trigger": "STOP_MARKET",
    "trailing_stop": "TRAILING_STOP_MARKET",
    "tp_sl": "TAKE_PROFIT_MARKET",
}
_STATUS = {
    State.WAITING: "NEW",
    State.RESTING: "NEW",
    State.FILLED: "FILLED",
    State.CANCELED: "CANCELED",
    State.EXPIRED: "EXPIRED",
    State.REJECTED: "REJECTED",
    State.FIRED: "FILLED",  # as the trigger has done its work
}
_ENDED_TEXT = {
    State.FILLED: "Unknown order. Status: filled",
    State.CANCELED: "Unknown order. Status: cancelled",
    State.REJECTED: "Unknown order. Status: rejected",
    State.EXPIRED: "Unknown order. Status: expired",
    State.FIRED: "Trigger order already fired",
}
_TRIGGERS = ("trigger", "trailing_stop", "tp_sl")


_MARKET = Market(
    ("BTCUSDT", "ETHUSDT"),
    new_uuid,
    ((0.4, risk_id), (0.7, new_uuid), (1.0, lambda rng: str(rng.randrange(10**9, 10**10)))),
    ways={
        "symbol_decides": one_of(True),
        "client_batch": one_of(False),
        "boasts": one_of(True),
        "names_ended": one_of(False),
        "accepted_word": one_of("PENDING_CANCEL", "PARTIALLY_FILLED"),
        "odd_word": one_of("TRIGGERED", "EXPIRED_IN_MATCH"),
    },
)


class Ztdx(Fake):
    """Looks orders up by id; its batch reply may boast."""

    market = _MARKET
    limit = (2400, 60.0)

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        payload, _, signature = query.rpartition("&signature=")
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if signature != expected:
            return "ztdx: wrong signature"
        if headers.get("x-mbx-apikey") != self.key or request.body:
            return "ztdx: wrong key, or a body"
        return "" if "timestamp=" in payload else "ztdx: no timestamp"

    def too_fast(self, wait_s: int) -> Raw:
        return Raw(429, "<html>429 Too Many Requests</html>", {"retry-after": str(wait_s)})

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("DELETE", "/fapi/v1/order"): self._cancel,
            ("DELETE", "/fapi/v1/batchOrders"): self._cancel_batch,
            ("GET", "/fapi/v1/order"): self._query,
            ("GET", "/fapi/v1/openOrder"): self._query_open,
            ("GET", "/fapi/v1/openOrders"): self._open_orders,
            ("GET", "/fapi/v1/allOrders"): self._all_orders,
            ("GET", "/fapi/v1/userTrades"): self._trades,
        }.get((call.method, call.path))
        if handler is None:
            self.faults.append(f"ztdx: nobody documents {call.method} {call.path}")
            return Raw(404, "Not Found")
        return handler(call.query, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._named(query)
        self.note_cancel([order_id or client_id], now)
        order = self._in_engine(order_id, client_id, query, now)
        if order is None:
            raise self._unknown()
        was = order.at(now)
        if not self.book.cancel(order, now):
            assert was is not None
            raise _error(400, -2011, _ENDED_TEXT[was.state])
        return Raw(
            200, as_json(self._row(order, self._after_cancel(order), order.now.executed))
        )

    def _in_engine(
        self, order_id: str, client_id: str, query: dict[str, str], now: float
    ) -> Order | None:
        """Return the order that the engine finds; nothing lags there."""
        if order_id:
            order = self.book.by_id.get(order_id)
        else:
            placed = [o for o in self.book.by_client.get(client_id, ()) if o.at(now)]
            active = [o for o in placed if o.now.live]
            order = (active or placed or [None])[-1]  # type: ignore[list-item]
        if order is None or order.at(now) is None:
            return None
        return order if self._right_symbol(order, query) else None

    def _after_cancel(self, order: Order) -> str:
        return "CANCELED" if order.now.state is State.CANCELED else self.ways.accepted_word

    def _cancel_batch(self, query: dict[str, str], now: float) -> Raw:
        self._symbol(query)
        ids, by_client = self._list(query)
        self.note_cancel(ids, now)
        if by_client and not self.ways.client_batch:
            return Raw(200, "[]")
        found = [
            self._in_engine("" if by_client else i, i if by_client else "", query, now)
            for i in ids
        ]
        bad = any(order is None for order in found)
        if bad and self.ways.spoils == "nothing_done":
            raise self._unknown()
        rows = [row for o in found if o is not None and (row := self._batch_row(o, now))]
        if bad and self.ways.spoils == "rest_done":
            raise self._unknown()
        if self.ways.shows_others:
            rows += [self._row_of(o, o.now) for o in self._some_others(found, now)]
        return Raw(200, as_json(rows))

    def _batch_row(self, order: Order, now: float) -> dict[str, Any] | None:
        if self.book.cancel(order, now):
            word = "CANCELED" if self.ways.boasts else self._after_cancel(order)
            return self._row(order, word, order.now.executed)
        return self._row_of(order, order.now) if self.ways.names_ended else None

    def _list(self, query: dict[str, str]) -> tuple[list[str], bool]:
        by_client = "orderIdList" not in query
        text = query.get("origClientOrderIdList" if by_client else "orderIdList", "")
        try:
            ids = json.loads(text)
        except ValueError:
            return [], by_client
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            return [], by_client
        if len(ids) > 10:
            raise _error(400, -1130, "Invalid orderIdList: at most 10.")
        return ids, by_client

    # -- reads ---------------------------------------------------------------------------

    def _query(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._named(query)
        order = self.found(order_id, client_id)
        if order is None or not self._right_symbol(order, query):
            raise self._unknown()
        others = self._some_others([order], self.view) if self.ways.shows_others else []
        if others and self.rng.random() < 0.3:
            order = others[0]
        return Raw(200, as_json(self._row_of(order, order.at(self.view) or order.life[0])))

    def _query_open(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._named(query)
        order = self.found(order_id, client_id)
        was = order.at(self.view) if order is not None else None
        if order is None or was is None or not was.live or not self._right_symbol(order, query):
            raise self._unknown()
        return Raw(200, as_json(self._row_of(order, was)))

    def _open_orders(self, query: dict[str, str], now: float) -> Raw:
        asked = query.get("symbol")
        rows = [
            self._row_of(order, was)
            for order, was in self.listed(now)
            if asked in (None, order.plan.symbol)
        ]
        return self._rows(rows)

    def _all_orders(self, query: dict[str, str], now: float) -> Raw:
        asked = self._symbol(query)
        view = self.view - self.ways.record_lag_s
        seen = [(o, was) for o in self.book if (was := o.at(view)) and o.plan.symbol == asked]
        if "orderId" in query:
            seen = [(o, was) for o, was in seen if o.plan.venue_id >= query["orderId"]]
        most = min(number(query.get("limit"), 500), self.ways.page_cap)
        seen = seen[:most] if self.ways.oldest_first else seen[-most:][::-1]
        return self._rows([self._row_of(order, was) for order, was in seen])

    def _trades(self, query: dict[str, str], now: float) -> Raw:
        asked, view = self._symbol(query), self.view - self.ways.record_lag_s
        rows = [
            {"orderId": o.plan.venue_id, "qty": str(was.executed), "symbol": o.plan.symbol}
            for o in self.book
            if (was := o.at(view)) and was.executed and o.plan.symbol == asked
        ]
        return self._rows(rows)

    # -- parts ---------------------------------------------------------------------------

    def _rows(self, rows: list[dict[str, Any]]) -> Raw:
        if rows or self.ways.empty == "[]":
            return Raw(200, as_json(rows))
        return Raw(200, "null" if self.ways.empty == "null" else "{}")

    def _some_others(self, mine: list[Order | None], when: float) -> list[Order]:
        names = {order.plan.client_id for order in mine if order and order.plan.client_id}
        return [
            order
            for order in self.book
            if order not in mine and order.at(when) and order.plan.client_id not in names
        ][:3]

    def _symbol(self, query: dict[str, str]) -> str:
        if not query.get("symbol"):
            raise Refused(
                Raw(400, "Failed to deserialize query string: missing field `symbol`")
            )
        return query["symbol"]

    def _named(self, query: dict[str, str]) -> tuple[str, str]:
        self._symbol(query)
        order_id, client_id = query.get("orderId", ""), query.get("origClientOrderId", "")
        if order_id:
            if not _UUID.fullmatch(order_id):
                raise _error(400, -1100, "Invalid orderId.")
            return order_id.lower(), ""
        if not client_id:
            raise _error(400, -1102, "Either orderId or origClientOrderId must be sent.")
        return "", client_id

    def _right_symbol(self, order: Order, query: dict[str, str]) -> bool:
        return not self.ways.symbol_decides or query.get("symbol") == order.plan.symbol

    def _unknown(self) -> Refused:
        if self.ways.unknown_text == "other_code":
            return _error(400, -2011, "Unknown order sent.")
        if self.ways.unknown_text == "other_text":
            return _error(404, -2013, "No such order.")
        return _error(404, -2013, "Order does not exist.")

    def _row_of(self, order: Order, was: Was) -> dict[str, Any]:
        word = _STATUS[was.state]
        if was.state is State.RESTING and was.executed:
            word = "PARTIALLY_FILLED"
        return self._row(order, self.strange(was) or word, was.executed)

    def _row(self, order: Order, word: str, executed: int = 0) -> dict[str, Any]:
        plan = order.plan
        kind = _TYPES[plan.ord_type]
        row = {
            "clientOrderId": plan.client_id or plan.venue_id,
            "cumQty": str(executed),
            "cumQuote": str(executed * 100),
            "executedQty": str(executed),
            "orderId": plan.venue_id,
            "origQty": str(QUANTITY),
            "origType": kind,
            "price": "100",
            "reduceOnly": False,
            "side": "SELL",
            "positionSide": "BOTH",
            "status": self.spelled(word),
            "stopPrice": "0",
            "closePosition": False,
            "symbol": plan.symbol,
            "timeInForce": "GTC",
            "type": kind,
            "updateTime": 1566818724722,
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
        }
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        return True

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        ways = self.ways
        if ways.shows_others:
            return NEVER
        if any(ask.symbol != order.plan.symbol for order in orders) or not ask.symbol:
            return NEVER
        if len(orders) > 1 or (not orders and (ways.unknown_text == "other_code")):
            return NEVER
        if not orders:
            return self.start
        (order,) = orders
        if order.now.state is State.FIRED or self.strange(order.now):
            return NEVER
        return order.ended_at + self.lag_s


def _error(status: int, code: int, text: str) -> Refused:
    return Refused(Raw(status, as_json({"code": code, "msg": text})))
