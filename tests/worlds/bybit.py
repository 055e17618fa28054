"""A Bybit of its own: v5 as the venue's pages and its clients describe it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, as_json, is_conditional
from tests.worlds.market import JUDGES_EACH, Market, digits, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_STATUS = {
    State.WAITING: "Untriggered",
    State.RESTING: "New",
    State.FILLED: "Filled",
    State.CANCELED: "Cancelled",
    State.EXPIRED: "Cancelled",  # it has no word of its own
    State.REJECTED: "Rejected",
}
_STOP_TYPES = {"trigger": "Stop", "trailing_stop": "TrailingStop", "tp_sl": "TakeProfit"}
#: Of spot: how a cancel has to call what it cancels.
_FILTERS = {"limit": "Order", "market": "Order", "trigger": "StopOrder", "tp_sl": "tpslOrder"}
_DAY_S = 86400.0


_MARKET = Market(
    ("BTCUSDT", "ETHUSDT"),
    new_uuid,
    ((0.5, risk_id), (0.8, new_uuid), (1.0, digits(19))),
    reuses=False,
    children=(),
    never=JUDGES_EACH,
    chosen=(("category", "linear"), ("category", "linear"), ("category", "spot")),
    ways={
        "names_refused": one_of(False),
        "tells_ended": one_of(True),
        "forgets_ended": one_of(True),
        "odd_word": one_of("Triggered", "Settled"),
    },
)


class Bybit(Fake):
    """Takes cancels and does them later; the code of a batch's item stands in a second list."""

    market = _MARKET

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("x-bapi-timestamp", "")
        rest = query if request.method == "GET" else request.body.decode()
        payload = f"{stamp}{self.key}{headers.get('x-bapi-recv-window', '')}{rest}"
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if headers.get("x-bapi-sign") != expected or not stamp.isdigit():
            return "bybit: wrong signature"
        if request.method == "GET" and request.body:
            return "bybit: a GET with a body"
        return "" if headers.get("x-bapi-api-key") == self.key else "bybit: wrong key"

    def limit_of(self, key: str) -> tuple[int, float]:
        if key.startswith("GET"):
            return 50, 1.0
        return (20 if self.category in ("option", "spot") else 10), 1.0

    def price(self, request: HttpRequest) -> int:
        if not request.target.endswith("/cancel-batch") or self.category == "option":
            return 1
        return len(self.read_body(request.body)["request"])

    @property
    def category(self) -> str:
        return self.chosen["category"]

    def too_fast(self, wait_s: int) -> Raw:
        return _said(10006, "Too many visits!")

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("POST", "/v5/order/cancel"): self._cancel,
            ("POST", "/v5/order/cancel-batch"): self._cancel_batch,
            ("GET", "/v5/order/realtime"): self._realtime,
            ("GET", "/v5/order/history"): self._history,
        }.get((call.method, call.path))
        if handler is None:
            self.faults.append(f"bybit: nobody documents {call.method} {call.path}")
            return Raw(404, "")
        asked = call.query if call.method == "GET" else call.body
        if asked.get("category") != self.category:
            return _said(10001, "params error: category")
        return handler(asked, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: dict[str, Any], now: float) -> Raw:
        code, text, ids = self._cancel_one(body, now, body.get("orderFilter", "Order"))
        if code:
            return _said(code, text)
        return _said(0, "OK", ids)

    def _cancel_batch(self, body: dict[str, Any], now: float) -> Raw:
        asked = body.get("request")
        most = 10 if self.category == "spot" else 20
        if not isinstance(asked, list) or not 1 <= len(asked) <= most:
            return _said(10001, "params error: the number of orders")
        said = [self._cancel_one(each, now, "Order", others=asked) for each in asked]
        rows = []
        for each, (code, _, ids) in zip(asked, said, strict=True):
            named = {name: each.get(name, "") for name in ("orderId", "orderLinkId")}
            nameless = {"orderId": "", "orderLinkId": ""}
            shown = (named if self.ways.names_refused else nameless) if code else ids
            rows.append({"category": self.category, "symbol": each.get("symbol"), **shown})
        codes = [{"code": code, "msg": text} for code, text, _ in said]
        return _said(0, "OK", {"list": rows}, {"list": codes})

    def _cancel_one(
        self,
        each: dict[str, Any],
        now: float,
        kind: str,
        others: list[dict[str, Any]] | None = None,
    ) -> tuple[int, str, dict[str, str]]:
        """Return code, text and ids of an order that is to be canceled."""
        order_id, client_id = each.get("orderId", ""), each.get("orderLinkId", "")
        nameless: dict[str, str] = {}
        if not each.get("symbol") or not (order_id or client_id):
            return 10001, "params error", nameless
        if others is None or each is others[0]:
            ids = [o.get("orderId") or o.get("orderLinkId", "") for o in others or [each]]
            self.note_cancel(ids, now)
        order = self.named(now, order_id=order_id, client_id=client_id, symbol=each["symbol"])
        if order is not None and self.category == "spot" and not self._of_kind(order, kind):
            return 170213, "Order does not exist.", nameless
        if order is None or not self.book.cancel(order, now):
            return (*self._gone(order), nameless)
        return 0, "OK", {"orderId": order.plan.venue_id, "orderLinkId": order.plan.client_id}

    def _of_kind(self, order: Order, kind: str) -> bool:
        waits = order.now.state is State.WAITING
        return _FILTERS.get(order.plan.ord_type if waits else "limit") == kind

    def _gone(self, order: Order | None) -> tuple[int, str]:
        spot = self.category == "spot"
        if order is not None and self.ways.tells_ended:
            if order.now.state is State.CANCELED:
                return (170142 if spot else 110010), "Order has been cancelled"
            if spot and order.now.state is State.FILLED:
                return 170139, "Order has been filled."
            return (170190 if spot else 110008), "Order has been completed or cancelled"
        if self.ways.unknown_text == "other_code":
            return 170143, "Cannot be found on order book"
        text = "order not exists or too late to cancel"
        if spot:
            return 170213, "Order does not exist."
        return 110001, text if self.ways.unknown_text else "Order does not exist"

    # -- reads ---------------------------------------------------------------------------

    def _realtime(self, query: dict[str, str], now: float) -> Raw:
        named = query.get("orderId") or query.get("orderLinkId")
        if not named:
            self.faults.append("bybit: a list of open orders, and nobody asked for one")
        order = self.named(
            self.view,
            order_id=query.get("orderId", ""),
            client_id=query.get("orderLinkId", ""),
            symbol=query.get("symbol") or None,
        )
        was = order.at(self.view) if order is not None else None
        if order is None or was is None or (not was.live and self._forgot(order, was, now)):
            if self.category == "spot" and self.ways.unknown_text == "other_text":
                return _said(170213, "Order does not exist.")
            return self._rows([])
        if was.live and not self.shown(order, now):
            return self._rows([])
        order = self.other(order)
        return self._rows([self._row(order, order.at(self.view) or order.life[0])])

    def _forgot(self, order: Order, was: Was, now: float) -> bool:
        """Say whether it is not among the orders that ended of late and are still known."""
        return self.ways.forgets_ended or now - was.since > 7 * _DAY_S

    def _history(self, query: dict[str, str], now: float) -> Raw:
        view = self.view - self.ways.record_lag_s
        order = self.named(
            view,
            order_id=query.get("orderId", ""),
            client_id=query.get("orderLinkId", ""),
            symbol=query.get("symbol") or None,
        )
        was = order.at(view) if order is not None else None
        if order is None or was is None or was.live or not self._kept(was, now):
            return self._rows([])
        return self._rows([self._row(order, was)])

    def _kept(self, was: Was, now: float) -> bool:
        """Say whether the history has it: a day without a fill, 7 days all, then those with."""
        age_s = now - was.since
        unfilled = was.state in (State.CANCELED, State.EXPIRED, State.REJECTED)
        return bool(was.executed) or age_s <= (1 if unfilled else 7) * _DAY_S

    # -- parts ---------------------------------------------------------------------------

    def _rows(self, rows: list[dict[str, Any]]) -> Raw:
        body = {"list": rows, "category": self.category, "nextPageCursor": ""}
        return _said(0, "OK", body)

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        row = {
            "orderId": plan.venue_id,
            "orderLinkId": plan.client_id,
            "symbol": plan.symbol,
            "price": "100",
            "qty": str(QUANTITY),
            "side": "Sell",
            "positionIdx": 0,
            "orderStatus": self.spelled(self._word(order, was)),
            "createType": "CreateByUser",
            "cancelType": "CancelByUser" if was.state is State.CANCELED else "UNKNOWN",
            "rejectReason": "EC_NoError",
            "avgPrice": "",
            "leavesQty": str(QUANTITY - was.executed if was.live else 0),
            "cumExecQty": str(was.executed),
            "timeInForce": "GTC",
            "orderType": "Market" if plan.ord_type == "market" else "Limit",
            "stopOrderType": self._stop_type(plan.ord_type),
            "createdTime": "1684738540559",
            "updatedTime": "1684738540561",
        }
        return self.odd(row)

    def _stop_type(self, ord_type: str) -> str:
        spot_tp_sl = self.category == "spot" and ord_type == "tp_sl"
        return "tpslOrder" if spot_tp_sl else _STOP_TYPES.get(ord_type, "")

    def _word(self, order: Order, was: Was) -> str:
        if was.state is State.RESTING and was.executed:
            return "PartiallyFilled"
        if self.category == "spot" and was.state is State.CANCELED:
            if was.executed:
                return "PartiallyFilledCanceled"
            if is_conditional(order) and len(order.life) == 2:
                return "Deactivated"
        return self.strange(was) or _STATUS[was.state]

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        end = order.now
        return self._kept(end, self.start) or not self._forgot(order, end, self.start)

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        return not (self.category == "spot" and order.plan.ord_type == "trailing_stop")

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        since = self.shown_by_id_from(ask, orders)
        (order,) = orders if len(orders) == 1 else (None,)
        if order is not None and not order.now.live:
            since = max(since, self.end_shown_from(order))
            if self.ways.forgets_ended:
                since += self.ways.record_lag_s
        return since


def _said(code: int, text: str, result: Any = None, more: Any = None) -> Raw:
    body = {"retCode": code, "retMsg": text, "result": result or {}, "retExtInfo": more or {}}
    return Raw(200, as_json({**body, "time": 1672217377164}))
