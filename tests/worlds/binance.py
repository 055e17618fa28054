"""A Binance of its own: USD-M futures as the venue's pages and its clients describe them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, Refused, as_json, is_conditional, number
from tests.worlds.market import CHILDREN, JUDGES_EACH, Market, digits, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

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
}
_DAY_S = 86400.0
#: For so long a fired order's child has no id yet.
_TRIGGERING_S = 0.1


_MARKET = Market(
    ("BTCUSDT", "ETHUSDT"),
    digits(9, 12, 16),
    ((0.5, risk_id), (0.8, digits(9, 12)), (1.0, new_uuid)),
    children=CHILDREN,
    # Its cancel is answered by the engine.
    never=(*JUDGES_EACH, "cancel_s"),
    ways={
        "whole_object": one_of(True),
        "misplaced": one_of(True),
        "odd_word": one_of("SETTLED"),
    },
)


class Binance(Fake):
    """Two books: orders, and those that wait for a trigger; each knows nothing of the other."""

    market = _MARKET
    limit = (2400, 60.0)

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        payload, _, signature = query.rpartition("&signature=")
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if signature != expected:
            return "binance: wrong signature"
        if headers.get("x-mbx-apikey") != self.key or request.body:
            return "binance: wrong key, or a body"
        return "" if "timestamp=" in payload else "binance: no timestamp"

    def path_key(self, path: str) -> str:
        return "weight"

    def limit_of(self, key: str) -> tuple[int, float]:
        return self.limit if key.endswith("weight") else (1 << 30, 1.0)

    def price(self, request: HttpRequest) -> int:
        """Return the request's weight, as the pages have it."""
        path, _, query = request.target.partition("?")
        if path.endswith(("/openOrders", "/openAlgoOrders")):
            return 1 if "symbol=" in query else 40
        return 5 if path.endswith(("/allOrders", "/allAlgoOrders")) else 1

    def too_fast(self, wait_s: int) -> Raw:
        text = "Too many requests; current limit is 2400 requests per minute."
        # `Retry-After` is documented for spot alone.
        return Raw(429, as_json({"code": -1003, "msg": text}), {"retry-after": str(wait_s)})

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("DELETE", "/fapi/v1/order"): self._cancel,
            ("DELETE", "/fapi/v1/batchOrders"): self._cancel_batch,
            ("DELETE", "/fapi/v1/algoOrder"): self._cancel_algo,
            ("GET", "/fapi/v1/order"): self._query,
            ("GET", "/fapi/v1/openOrder"): self._query_open,
            ("GET", "/fapi/v1/openOrders"): self._open,
            ("GET", "/fapi/v1/allOrders"): self._all,
            ("GET", "/fapi/v1/algoOrder"): self._query_algo,
            ("GET", "/fapi/v1/openAlgoOrders"): self._open_algos,
        }.get((call.method, call.path))
        if handler is None:
            self.faults.append(f"binance: nobody documents {call.method} {call.path}")
            return Raw(404, "<html>404</html>")
        return handler(call.query, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._ids(query, "orderId", "origClientOrderId")
        self.note_cancel([order_id or client_id], now)
        order = self._of_symbol(now, query, order_id, client_id)
        if order is None or not self.book.cancel(order, now):
            raise self._unknown_cancel()
        return Raw(200, as_json(self._row(order, order.now)))

    def _cancel_batch(self, query: dict[str, str], now: float) -> Raw:
        ids, by_client = self._list(query)
        self.note_cancel(ids, now)
        rows: list[dict[str, Any]] = []
        for each in ids:
            named = ("", each) if by_client else (each, "")
            order = self._of_symbol(now, query, *named)
            done = order is not None and self.book.cancel(order, now)
            error = {"code": -2011, "msg": "Unknown order sent."}
            rows.append(self._row(order, order.now) if order and done else error)
        if self.ways.misplaced:
            rows.sort(key=lambda row: "code" in row and "orderId" not in row)
        return Raw(200, as_json(rows))

    def _list(self, query: dict[str, str]) -> tuple[list[str], bool]:
        by_client = "orderIdList" not in query
        if by_client == ("origClientOrderIdList" not in query):
            raise _error(-1102, "Either orderIdList or origClientOrderIdList must be sent.")
        text = query["origClientOrderIdList" if by_client else "orderIdList"]
        ids = json.loads(text)
        if not isinstance(ids, list) or not 1 <= len(ids) <= 10 or " " in text:
            raise _error(-1130, "Data sent for parameter 'orderIdList' is not valid.")
        if any(isinstance(each, str) != by_client for each in ids):
            raise _error(-1100, "Illegal characters found in parameter 'orderIdList'.")
        return [str(each) for each in ids], by_client

    def _cancel_algo(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._ids(query, "algoId", "clientAlgoId", symbol=False)
        self.note_cancel([order_id or client_id], now)
        order = self.named(now, order_id=order_id, client_id=client_id, waits=True)
        if order is None or not self.book.cancel(order, now):
            raise self._unknown_cancel()
        if self.ways.whole_object:
            return Raw(200, as_json(self._algo_row(order, order.now, now)))
        said = {"algoId": int(order.plan.venue_id), "clientAlgoId": _client_id(order)}
        return Raw(200, as_json({**said, "code": "200", "msg": "success"}))

    # -- reads ---------------------------------------------------------------------------

    def _query(self, query: dict[str, str], now: float) -> Raw:
        ids = self._ids(query, "orderId", "origClientOrderId")
        order = self._of_symbol(self.view, query, *ids, keeps=self._keeps(now))
        if order is None:
            raise self._unknown()
        order = self.other(order)
        return Raw(200, as_json(self._row(order, order.at(self.view) or order.life[0])))

    def _query_open(self, query: dict[str, str], now: float) -> Raw:
        ids = self._ids(query, "orderId", "origClientOrderId")
        order = self._of_symbol(self.view, query, *ids)
        was = order.at(self.view) if order is not None else None
        if order is None or was is None or not was.live:
            raise self._unknown()
        return Raw(200, as_json(self._row(order, was)))

    def _open(self, query: dict[str, str], now: float) -> Raw:
        asked = query.get("symbol")
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if not is_conditional(order) and asked in (None, order.plan.symbol)
        ]
        return Raw(200, as_json(rows))

    def _all(self, query: dict[str, str], now: float) -> Raw:
        view, least = self.view - self.ways.record_lag_s, number(query.get("orderId"), 0)
        rows = [
            self._row(order, was)
            for order in self.book
            if (was := order.at(view)) and self._kept(order, was, now)
            if not is_conditional(order) and order.plan.symbol == query.get("symbol")
            if int(order.plan.venue_id) >= least
        ]
        return Raw(200, as_json(rows[: number(query.get("limit"), 500)]))

    def _query_algo(self, query: dict[str, str], now: float) -> Raw:
        order_id, client_id = self._ids(query, "algoId", "clientAlgoId", symbol=False)
        order = self.named(
            self.view,
            order_id=order_id,
            client_id=client_id,
            waits=True,
            keeps=self._keeps(now),
        )
        was = order.at(self.view) if order is not None else None
        if order is None or was is None:
            raise self._unknown()
        return Raw(200, as_json(self._algo_row(order, was, now)))

    def _open_algos(self, query: dict[str, str], now: float) -> Raw:
        asked = query.get("symbol")
        rows = [
            self._algo_row(order, was, now)
            for order, was in self.listed(now)
            if is_conditional(order) and asked in (None, order.plan.symbol)
        ]
        return Raw(200, as_json(rows))

    # -- parts ---------------------------------------------------------------------------

    def _ids(
        self, query: dict[str, str], by_id: str, by_client: str, *, symbol: bool = True
    ) -> tuple[str, str]:
        """Return the order's id, or its client id; the first wins where both are sent."""
        if symbol and not query.get("symbol"):
            raise _error(-1102, "Mandatory parameter 'symbol' was not sent.")
        order_id, client_id = query.get(by_id, ""), query.get(by_client, "")
        if order_id:
            if not order_id.isdigit() or len(order_id) > 19:
                raise _error(-1100, f"Illegal characters found in parameter '{by_id}'.")
            return order_id, ""
        if not client_id or len(client_id) > 36:
            raise _error(-1102, f"Param '{by_id}' or '{by_client}' must be sent.")
        return "", client_id

    def _of_symbol(
        self, when: float, query: dict[str, str], order_id: str, client_id: str, **more: Any
    ) -> Order | None:
        """Return the order of the plain book; its numbers count up by symbol."""
        symbol = query.get("symbol", "")
        return self.named(
            when, order_id=order_id, client_id=client_id, symbol=symbol, waits=False, **more
        )

    def _keeps(self, now: float) -> Callable[[Order, Was], bool]:
        return lambda order, was: self._kept(order, was, now)

    def _kept(self, order: Order, was: Was, now: float) -> bool:
        """Say whether look-ups still show it: 3 days without a fill, 90 days all."""
        age_s = now - order.placed
        ended = was.state in (State.CANCELED, State.EXPIRED) and not was.executed
        return age_s <= 90 * _DAY_S and not (ended and age_s > 3 * _DAY_S)

    def _unknown_cancel(self) -> Refused:
        if self.ways.unknown_text == "other_code":
            return _error(-2013, "Order does not exist.")
        text = "Unknown order." if self.ways.unknown_text else "Unknown order sent."
        return _error(-2011, text)

    def _unknown(self) -> Refused:
        text = "No such order." if self.ways.unknown_text else "Order does not exist."
        return _error(-2013, text)

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan, kind = order.plan, _TYPES[order.plan.ord_type]
        word = _STATUS[was.state]
        if was.state is State.RESTING and was.executed:
            word = "PARTIALLY_FILLED"
        row = {
            "clientOrderId": _client_id(order),
            "cumQty": str(was.executed),
            "executedQty": str(was.executed),
            "orderId": int(plan.venue_id),
            "origQty": str(QUANTITY),
            "origType": kind,
            "price": "100",
            "reduceOnly": False,
            "side": "SELL",
            "positionSide": "BOTH",
            "status": self.spelled(self.strange(was) or word),
            "stopPrice": "0",
            "closePosition": False,
            "symbol": plan.symbol,
            "timeInForce": "GTC",
            "type": kind,
            "updateTime": 1571110484038,
        }
        return self.odd(row)

    def _algo_row(self, order: Order, was: Was, now: float) -> dict[str, Any]:
        plan, child = order.plan, ""
        word = _STATUS.get(was.state, "")
        if was.state is State.FIRED:
            word, child = self._fired(order, was)
        row = {
            "algoId": int(plan.venue_id),
            "clientAlgoId": _client_id(order),
            "algoType": "CONDITIONAL",
            "orderType": _TYPES[plan.ord_type],
            "symbol": plan.symbol,
            "side": "BUY",
            "quantity": str(QUANTITY),
            "algoStatus": self.spelled(word),
            "actualOrderId": child,
            "actualPrice": "0",
            "actualQty": "0",
            "triggerPrice": "69080.20",
            "reduceOnly": True,
            "createTime": 1775461924247,
            "updateTime": 1775461936135,
        }
        return self.odd(row)

    def _fired(self, order: Order, was: Was) -> tuple[str, str]:
        """Return state and child of an order whose trigger was met."""
        assert order.child is not None
        if order.plan.child == "refused":
            return "REJECTED", ""  # it never reached the book
        if self.view - was.since < _TRIGGERING_S:
            return "TRIGGERING", ""
        child = order.child.at(self.view)
        word = "TRIGGERED" if child is not None and child.live else "FINISHED"
        return word, order.child.plan.venue_id

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        return self.of_stated_door(ask)

    def recorded(self, order: Order) -> bool:
        return self._kept(order, order.now, self.start + 120)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        return self.shown_by_id_from(ask, orders)


def _client_id(order: Order) -> str:
    """Return its client order id; the venue makes one where the producer has not."""
    return order.plan.client_id or f"web_{order.plan.venue_id}"


def _error(code: int, text: str) -> Refused:
    return Refused(Raw(400, as_json({"code": code, "msg": text})))
