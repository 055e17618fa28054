"""An OKX of its own: v5 as the venue's pages, its clients and a run on demo describe it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, Refused, as_json, is_conditional, number
from tests.worlds.market import CHILDREN, JUDGES_EACH, Market, digits, one_of
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_STATUS = {
    State.RESTING: "live",
    State.FILLED: "filled",
    State.CANCELED: "canceled",
    State.EXPIRED: "canceled",  # of an order that could not rest, as of any other
    State.REJECTED: "canceled",
}
_ALGO_STATUS = {
    State.WAITING: "live",
    State.CANCELED: "canceled",
    State.EXPIRED: "canceled",
    State.REJECTED: "order_failed",
    State.FIRED: "effective",
}
_ALGO_TYPES = {"trigger": "trigger", "trailing_stop": "move_order_stop", "tp_sl": "conditional"}
_LISTED_TYPES = {
    *("conditional", "oco", "trigger", "chase", "move_order_stop"),
    *("iceberg", "smart_iceberg", "twap"),
}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_PASSPHRASE = "demoPhraseOfAWorld"
_HOUR_S = 3600.0
_GONE = "Order cancellation failed as the order has been filled, canceled or does not exist."


_MARKET = Market(
    ("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
    digits(18, 19),
    ((0.6, lambda rng: f"risk{rng.randrange(10**6)}"), (1.0, digits(10, 18))),
    children=CHILDREN,
    never=JUDGES_EACH,
    ways={
        "names_refused": one_of(False),
        "tells_ended": one_of(True),
        "top_is_fine": one_of(True),
        "trails_apart": one_of(True),
        "odd_word": one_of("mmp_canceled", "settled"),
    },
)


class Okx(Fake):
    """Takes cancels, one code an item; algo orders live behind doors of their own."""

    market = _MARKET

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("ok-access-timestamp", "")
        payload = f"{stamp}{request.method}{request.target}{request.body.decode()}".encode()
        expected = base64.b64encode(hmac.digest(self.secret.encode(), payload, hashlib.sha256))
        if headers.get("ok-access-sign") != expected.decode() or not _STAMP.fullmatch(stamp):
            return "okx: wrong signature"
        if headers.get("ok-access-passphrase") != _PASSPHRASE:
            return "okx: wrong passphrase"
        if ("x-simulated-trading" in headers) != (self.chosen.get("trading") == "demo"):
            return "okx: a key of the other kind of trading"
        return "" if headers.get("ok-access-key") == self.key else "okx: wrong key"

    @property
    def parts(self) -> dict[str, str]:
        return {**super().parts, "api_passphrase": _PASSPHRASE}

    def path_key(self, path: str) -> str:
        return path.rpartition("/")[2]

    def limit_of(self, key: str) -> tuple[int, float]:
        """Return the limits per instrument as if all orders were of one."""
        limits = {"cancel-batch-orders": 300, "cancel-order": 60, "order": 60}
        limits |= {"orders-pending": 60, "orders-history": 40}
        return limits.get(key.partition(" ")[2], 20), 2.0

    def price(self, request: HttpRequest) -> int:
        if request.method == "GET" or request.target.endswith("/cancel-order"):
            return 1
        return len(self.read_body(request.body))

    def too_fast(self, wait_s: int) -> Raw:
        status = 429 if self.world.seed % 2 else 200
        return Raw(status, as_json({"code": "50011", "msg": "Too Many Requests", "data": []}))

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("POST", "cancel-order"): self._cancel,
            ("POST", "cancel-batch-orders"): self._cancel_batch,
            ("POST", "cancel-algos"): self._cancel_algos,
            ("POST", "cancel-advance-algos"): self._cancel_advance,
            ("GET", "order"): self._order,
            ("GET", "order-algo"): self._algo,
            ("GET", "orders-pending"): self._pending,
            ("GET", "orders-algo-pending"): self._algos_pending,
            ("GET", "orders-history"): self._history,
        }.get((call.method, self.path_key(call.path)))
        if handler is None or not call.path.startswith("/api/v5/trade/"):
            self.faults.append(f"okx: nobody documents {call.method} {call.path}")
            return Raw(404, "")
        asked: Any = call.query if call.method == "GET" else call.body
        return handler(asked, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: Any, now: float) -> Raw:
        if not isinstance(body, dict):
            raise _error("50002", "JSON syntax error")
        return self._items([body], now, "ordId", "clOrdId", waits=False)

    def _cancel_batch(self, body: Any, now: float) -> Raw:
        return self._items(_list(body, 20), now, "ordId", "clOrdId", waits=False)

    def _cancel_algos(self, body: Any, now: float) -> Raw:
        return self._items(_list(body, 10), now, "algoId", "algoClOrdId", waits=True)

    def _cancel_advance(self, body: Any, now: float) -> Raw:
        return self._items(
            _list(body, 10), now, "algoId", "algoClOrdId", waits=True, advance=True
        )

    def _items(
        self,
        asked: list[dict[str, str]],
        now: float,
        by_id: str,
        by_client: str,
        *,
        waits: bool,
        advance: bool = False,
    ) -> Raw:
        self.note_cancel([each.get(by_id) or each.get(by_client, "") for each in asked], now)
        rows = []
        for each in asked:
            order_id, client_id = each.get(by_id, ""), each.get(by_client, "")
            if not each.get("instId"):
                raise _error("50014", "Parameter instId can not be empty.")
            order = self.named(
                now,
                order_id=order_id,
                client_id="" if order_id else client_id,
                symbol=each["instId"],
                waits=waits,
            )
            code, text = self._cancel_one(order, now, advance=advance)
            if code == "0":
                assert order is not None
                order_id, client_id = order.plan.venue_id, order.plan.client_id
            elif not self.ways.names_refused:
                order_id = client_id = ""
            row = {by_id: order_id, by_client: client_id, "ts": "1695190491421"}
            rows.append({**row, "sCode": code, "sMsg": text})
        failed = sum(row["sCode"] != "0" for row in rows)
        top = "0" if not failed else ("1" if failed == len(rows) else "2")
        words = {
            "0": "",
            "1": "All operations failed",
            "2": "Bulk operation partially successful",
        }
        if self.ways.top_is_fine:
            top = "0"
        return _said(top, words[top], rows)

    def _cancel_one(self, order: Order | None, now: float, *, advance: bool) -> tuple[str, str]:
        if order is not None and is_conditional(order) and order.at(now):
            trails = order.plan.ord_type == "trailing_stop"
            if trails != advance and (advance or self.ways.trails_apart):
                return "51413", "Cancellation failed as the order type is not supported."
            if order.now.state is State.FIRED and self.ways.tells_ended:
                return "51416", "Order has been triggered and can't be canceled"
        if order is not None and self.book.cancel(order, now):
            return "0", ""
        if advance:
            return "51293", "The strategy order does not exist"
        if self.ways.unknown_text == "other_code":
            return "51603", "Order does not exist"
        return "51400", "Order does not exist" if self.ways.unknown_text else _GONE

    # -- reads ---------------------------------------------------------------------------

    def _order(self, query: dict[str, str], now: float) -> Raw:
        if not query.get("instId"):
            raise _error("50014", "Parameter instId can not be empty.")
        order = self.named(
            self.view,
            order_id=query.get("ordId", ""),
            client_id="" if query.get("ordId") else query.get("clOrdId", ""),
            symbol=query["instId"],
            waits=False,
            keeps=lambda _, was: self._kept(was, now),
        )
        if order is None:
            return self._nowhere()
        order = self.other(order)
        return _said("0", "", [self._row(order, order.at(self.view) or order.life[0])])

    def _algo(self, query: dict[str, str], now: float) -> Raw:
        if not (query.get("algoId") or query.get("algoClOrdId")):
            raise _error("50014", "Parameter algoId can not be empty.")
        order = self.named(
            self.view,
            order_id=query.get("algoId", ""),
            client_id="" if query.get("algoId") else query.get("algoClOrdId", ""),
            waits=True,
        )
        was = order.at(self.view) if order is not None else None
        if order is None or was is None:
            return self._nowhere()
        return _said("0", "", [self._algo_row(order, was)])

    def _nowhere(self) -> Raw:
        if self.ways.unknown_text == "other_text":
            return _said("51603", "No such order", [])
        return _said("51603", "Order does not exist", [])

    def _pending(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if not is_conditional(order) and query.get("instId") in (None, order.plan.symbol)
        ]
        return self._paged(rows, query, "ordId")

    def _algos_pending(self, query: dict[str, str], now: float) -> Raw:
        kinds = set(query.get("ordType", "").split(","))
        if not kinds <= _LISTED_TYPES or (len(kinds) > 1 and kinds != {"conditional", "oco"}):
            raise _error("51000", "Parameter ordType error")
        rows = [
            self._algo_row(order, was)
            for order, was in self.listed(now)
            if is_conditional(order) and _ALGO_TYPES[order.plan.ord_type] in kinds
            if query.get("instId") in (None, order.plan.symbol)
        ]
        return self._paged(rows, query, "algoId")

    def _history(self, query: dict[str, str], now: float) -> Raw:
        if not query.get("instType"):
            raise _error("50014", "Parameter instType can not be empty.")
        view = self.view - self.ways.record_lag_s
        rows = [
            self._row(order, was)
            for order in self.book
            if (was := order.at(view)) and not was.live and self._kept(was, now)
            if not is_conditional(order) and query.get("instId") in (None, order.plan.symbol)
        ]
        return self._paged(rows, query, "ordId")

    def _paged(self, rows: list[dict[str, Any]], query: dict[str, str], key: str) -> Raw:
        """Return a page, the newest first; `after` asks for what is older than an id."""
        rows = sorted(rows, key=lambda row: int(row[key]), reverse=True)
        if query.get("after"):
            rows = [row for row in rows if int(row[key]) < int(query["after"])]
        return _said("0", "", rows[: min(number(query.get("limit"), 100), 100)])

    def _kept(self, was: Was, now: float) -> bool:
        """Say whether reads show it: two hours, of what was canceled without a fill."""
        return was.live or bool(was.executed) or now - was.since <= 2 * _HOUR_S

    # -- rows ----------------------------------------------------------------------------

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        word = self.strange(was) or _STATUS.get(was.state, "live")
        if was.state is State.RESTING and was.executed:
            word = "partially_filled"
        row = {
            "instType": "SWAP",
            "instId": plan.symbol,
            "ordId": plan.venue_id,
            "clOrdId": plan.client_id,
            "tag": "",
            "px": "100",
            "sz": str(QUANTITY),
            "ordType": "limit",
            "side": "sell",
            "tdMode": "cross",
            "accFillSz": str(was.executed),
            "avgPx": "",
            "state": self.spelled(word),
            "cancelSource": "",
            "algoId": "",
            "algoClOrdId": "",
            "cTime": "1597026383085",
            "uTime": "1597026383085",
        }
        return self.odd(row)

    def _algo_row(self, order: Order, was: Was) -> dict[str, Any]:
        plan, children = order.plan, []
        word = _ALGO_STATUS.get(was.state, "live")
        if was.state is State.FIRED and order.child is not None:
            if plan.child == "refused":
                word = "order_failed"
            else:
                children = [order.child.plan.venue_id]
        row = {
            "instType": "SWAP",
            "instId": plan.symbol,
            "algoId": plan.venue_id,
            "algoClOrdId": plan.client_id,
            "ordId": children[0] if children else "",
            "ordIdList": children,
            "ordType": _ALGO_TYPES[plan.ord_type],
            "side": "sell",
            "sz": str(QUANTITY),
            "actualSz": "0",
            "state": self.spelled(word),
            "failCode": "",
            "cTime": "1597026383085",
        }
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        return self.of_stated_door(ask)

    def recorded(self, order: Order) -> bool:
        return is_conditional(order) or self._kept(order.now, self.start + 120)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        return self.shown_by_id_from(ask, orders)


def _list(body: Any, most: int) -> list[dict[str, str]]:
    if not isinstance(body, list) or not 1 <= len(body) <= most:
        raise _error("51407", "The number of orders is wrong.")
    return body


def _said(code: str, text: str, data: list[Any]) -> Raw:
    times = {"inTime": "1695190491421339", "outTime": "1695190491423240"}
    return Raw(200, as_json({"code": code, "msg": text, "data": data, **times}))


def _error(code: str, text: str) -> Refused:
    return Refused(Raw(400, as_json({"code": code, "msg": text, "data": []})))
