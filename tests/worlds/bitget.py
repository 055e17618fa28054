"""A Bitget of its own: v2 futures as the venue's pages and its clients describe them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.worlds.book import Book, Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, Refused, as_json, is_conditional
from tests.worlds.market import CHILDREN, Market, digits, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask, World
from venues.base import HttpRequest

_STATUS = {
    State.RESTING: "live",
    State.FILLED: "filled",
    State.CANCELED: "canceled",
    State.EXPIRED: "canceled",  # it has no word of its own
    State.REJECTED: "reject",
}
_PLAN_STATUS = {
    State.WAITING: "live",
    State.CANCELED: "cancelled",  # with two l, as the page of plan orders has it
    State.EXPIRED: "cancelled",
    State.REJECTED: "fail_execute",
    State.FIRED: "executed",
}
#: How a list calls plan orders, and what a row of it may say of one.
_LISTS = {"trigger": "normal_plan", "trailing_stop": "track_plan", "tp_sl": "profit_loss"}
_ROW_TYPES = {"trigger": "normal_plan", "trailing_stop": "track_plan", "tp_sl": "loss_plan"}
_CANCELED_TYPES = {
    *("normal_plan", "profit_plan", "loss_plan", "pos_profit", "pos_loss", "moving_plan")
}
#: Parameters that the pages name, beside the product's type.
_BOOK = {"symbol", "orderId", "clientOid", "status", "idLessThan", "limit"}
_PLAN = {"symbol", "orderId", "clientOid", "planType", "planStatus", "idLessThan", "limit"}
_NAMES = {
    "cancel-order": {"symbol", "marginCoin", "orderId", "clientOid"},
    "batch-cancel-orders": {"symbol", "marginCoin", "orderIdList"},
    "cancel-plan-order": {"symbol", "marginCoin", "planType", "orderIdList"},
    "detail": {"symbol", "orderId", "clientOid"},
    "orders-pending": _BOOK,
    "orders-history": _BOOK - {"status"},
    "orders-plan-pending": _PLAN - {"planStatus"},
    "orders-plan-history": _PLAN,
}
_API = "/api/v2/mix/order/"
_PASSPHRASE = "demoPhraseOfAWorld"
_DAY_S = 86400.0


_MARKET = Market(
    ("BTCUSDT", "ETHUSDT"),
    digits(18, 19),
    # Whoever gives none gets one of digits from the venue, and may send that.
    ((0.5, risk_id), (0.8, digits(18, 19)), (1.0, new_uuid)),
    children=CHILDREN,
    # It is asked by id; and a list that is empty may be null (FAQ of its clients), no more.
    never=("page_cap", "oldest_first", "empty"),
    chosen=(
        *(("product_type", "usdt-futures"), ("product_type", "usdt-futures")),
        ("product_type", "demo-usdt-futures"),
    ),
    ways={
        "empty": one_of("null"),
        "names_ended": one_of(False),
        "tells_ended": one_of(True),
        # How long `detail` knows an order that has ended is not documented.
        "forgets_ended": one_of(True),
        # The page's table has a code beside the words of a failure, its sample has none.
        "words_alone": one_of(True),
        "odd_word": one_of("expired", "settled"),
    },
)


class Bitget(Fake):
    """Says "received"; plan orders have ids, lists and a history of their own."""

    market = _MARKET
    limit = (10, 1.0)

    def __init__(self, world: World, book: Book, rng: Random) -> None:
        super().__init__(world, book, rng)
        #: When each order's last cancel was taken.
        self._taken: dict[str, float] = {}

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("access-timestamp", "")
        payload = f"{stamp}{request.method}{request.target}{request.body.decode()}".encode()
        expected = base64.b64encode(hmac.digest(self.secret.encode(), payload, hashlib.sha256))
        if headers.get("access-sign") != expected.decode() or len(stamp) != 13:
            return "bitget: wrong signature"
        if headers.get("access-passphrase") != _PASSPHRASE:
            return "bitget: wrong passphrase"
        if (headers.get("paptrading") == "1") != self.product.startswith("demo-"):
            return "bitget: a key of the other kind of trading"
        if headers.get("content-type") != "application/json" or "%" in query:
            return "bitget: no type of content, or a query with escapes"
        return "" if headers.get("access-key") == self.key else "bitget: wrong key"

    @property
    def parts(self) -> dict[str, str]:
        return {**super().parts, "api_passphrase": _PASSPHRASE}

    @property
    def product(self) -> str:
        return self.chosen["product_type"]

    def path_key(self, path: str) -> str:
        return path.rpartition("/")[2]

    def too_fast(self, wait_s: int) -> Raw:
        return Raw(429, _envelope("429", "Too Many Requests"))

    def answer(self, call: Call, now: float) -> Raw:
        key = self.path_key(call.path)
        handler = {
            ("POST", "cancel-order"): self._cancel,
            ("POST", "batch-cancel-orders"): self._cancel_batch,
            ("POST", "cancel-plan-order"): self._cancel_plans,
            ("GET", "detail"): self._detail,
            ("GET", "orders-pending"): self._pending,
            ("GET", "orders-history"): self._history,
            ("GET", "orders-plan-pending"): self._plans_pending,
            ("GET", "orders-plan-history"): self._plans_history,
        }.get((call.method, key))
        if handler is None or call.path != _API + key:
            self.faults.append(f"bitget: nobody documents {call.method} {call.path}")
            return Raw(404, _envelope("40404", "Request URL NOT FOUND"))
        asked: Any = call.query if call.method == "GET" else call.body
        if not set(asked) <= {"productType", *_NAMES[key]}:
            self.faults.append(f"bitget: {key} does not take one of {sorted(asked)}")
        if asked.get("productType") != self.product.removeprefix("demo-").upper():
            raise self._error("40019", "Parameter productType cannot be empty")
        return handler(asked, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: dict[str, Any], now: float) -> Raw:
        order = self._asked(body, now, waits=False)
        self.note_cancel([body.get("orderId") or body["clientOid"]], now)
        code, text = self._refusal(order, now)
        if order is None or code:
            raise self._error(code, text)
        self._take(order, now)
        return Raw(200, _envelope(data=self._ids(body, order)))

    def _cancel_batch(self, body: dict[str, Any], now: float) -> Raw:
        return self._items(body, now, waits=False, most=20)

    def _cancel_plans(self, body: dict[str, Any], now: float) -> Raw:
        if body.get("planType", "normal_plan") not in _CANCELED_TYPES:
            raise self._error("40812", "The condition planType is not met")
        return self._items(body, now, waits=True, most=20)

    def _items(self, body: dict[str, Any], now: float, *, waits: bool, most: int) -> Raw:
        asked = body.get("orderIdList")
        if not isinstance(asked, list) or not asked:
            self.faults.append("bitget: a cancel that names no order cancels all of them")
            return Raw(200, _envelope(data={"successList": [], "failureList": []}))
        if len(asked) > most or len({tuple(each) for each in asked}) > 1:
            raise self._error("40306", "Batch processing orders can only process up to 20")
        self.note_cancel([each.get("orderId") or each["clientOid"] for each in asked], now)
        named = {"symbol": body.get("symbol", ""), "planType": body.get("planType", "")}
        orders = [self._asked({**named, **each}, now, waits=waits) for each in asked]
        said = [self._refusal(order, now, waits=waits) for order in orders]
        first = next((word for word in said if word[0]), None)
        spoils = self.ways.spoils if first is not None else ""
        done, failed = [], []
        for each, order, (code, text) in zip(asked, orders, said, strict=True):
            if order is not None and not code and spoils != "nothing_done":
                self._take(order, now)
            if not code:
                done.append(self._ids(each, order))
            elif self.ways.names_ended:
                # The page of plan orders has no code of a failure at all.
                told = {} if waits or self.ways.words_alone else {"errorCode": code}
                failed.append({**self._ids(each, None), "errorMsg": text, **told})
        if spoils and first is not None:
            raise self._error(*first)
        return Raw(200, _envelope(data={"successList": done, "failureList": failed}))

    def _asked(self, each: Mapping[str, str], when: float, *, waits: bool) -> Order | None:
        """Return the order that a cancel or a look-up names; an order id wins."""
        if not each.get("symbol") or not (each.get("orderId") or each.get("clientOid")):
            raise self._error("40019", "Parameter symbol or orderId cannot be empty")
        order_id = each.get("orderId", "")
        order = self.named(
            when,
            order_id=order_id,
            client_id="" if order_id else each["clientOid"],
            symbol=each["symbol"],
            waits=waits,
        )
        plan_type = each.get("planType")
        if order is None or not plan_type:
            return order
        return order if _ROW_TYPES[order.plan.ord_type] == plan_type else None

    def _refusal(
        self, order: Order | None, now: float, *, waits: bool = False
    ) -> tuple[str, str]:
        """Return why an order is not canceled: code and text; "": it is."""
        if order is not None and order.now.live:
            # Documented: the same order once a second.
            again = now - self._taken.get(order.plan.venue_id, now - 9) < 1.0
            return ("45129", "Cancel order too frequently") if again else ("", "")
        if order is not None and self.ways.tells_ended:
            if waits:
                return "43026", "The current plan order status is not unexecuted"
            return "50062", "The order status is cancelled or fully filled"
        if waits:
            return "43025", "Plan order does not exist"
        other = self.ways.unknown_text == "other_code"
        text = "notExistend" if self.ways.unknown_text else "Order does not exist"
        return ("43001" if other else "40768"), text

    def _take(self, order: Order, now: float) -> None:
        self.book.cancel(order, now)
        self._taken[order.plan.venue_id] = now

    def _ids(self, each: Mapping[str, str], order: Order | None) -> dict[str, str]:
        if order is not None:
            return {"orderId": order.plan.venue_id, "clientOid": _client_id(order)}
        return {"orderId": each.get("orderId", ""), "clientOid": each.get("clientOid", "")}

    # -- reads ---------------------------------------------------------------------------

    def _detail(self, query: dict[str, str], now: float) -> Raw:
        order = self._asked(query, self.view, waits=False)
        was = order.at(self.view) if order is not None else None
        if order is None or was is None or (not was.live and self.ways.forgets_ended):
            if self.ways.unknown_text == "other_code":
                return Raw(200, _envelope(data=[]))
            code = "43001" if self.ways.unknown_text else "40109"
            raise self._error(code, "The data of the order cannot be found")
        order = self.other(order)
        row = self._row(order, order.at(self.view) or order.life[0])
        row["state"] = row.pop("status")
        return Raw(200, _envelope(data=row))

    def _pending(self, query: dict[str, str], now: float) -> Raw:
        # Without a status those that are filled in part are left out, says one page.
        asked = query.get("status") or "live"
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if not is_conditional(order) and self._is_asked(order, query)
            if asked == ("partially_filled" if was.executed else "live")
        ]
        return self._list(rows)

    def _plans_pending(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            self._plan_row(order, was)
            for order, was in self.listed(now)
            if self._is_of_list(order, query) and self._is_asked(order, query)
        ]
        return self._list(rows)

    def _history(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            self._row(order, was)
            for order, was in self._ended(now)
            if not is_conditional(order) and self._is_asked(order, query)
        ]
        return self._list(rows)

    def _plans_history(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            self._plan_row(order, was)
            for order, was in self._ended(now)
            if self._is_of_list(order, query) and self._is_asked(order, query)
        ]
        return self._list(rows)

    def _ended(self, now: float) -> list[tuple[Order, Was]]:
        """Return what ended within 90 days, as the history shows it."""
        view = self.view - self.ways.record_lag_s
        placed = ((order, was) for order in self.book if (was := order.at(view)))
        return [(o, was) for o, was in placed if not was.live and self._kept(was, now)]

    def _kept(self, was: Was, now: float) -> bool:
        return now - was.since <= 90 * _DAY_S

    def _is_of_list(self, order: Order, query: dict[str, str]) -> bool:
        if query.get("planType") not in _LISTS.values():
            raise self._error("40812", "The condition planType is not met")
        return _LISTS.get(order.plan.ord_type) == query["planType"]

    def _is_asked(self, order: Order, query: dict[str, str]) -> bool:
        if query.get("symbol") not in (None, order.plan.symbol):
            return False
        if self.ways.shows_others and self.rng.random() < 0.1:
            return True
        if query.get("orderId"):
            return order.plan.venue_id == query["orderId"]
        return query.get("clientOid") in (None, _client_id(order))

    # -- parts ---------------------------------------------------------------------------

    def _list(self, rows: list[dict[str, Any]]) -> Raw:
        rows = sorted(rows, key=lambda row: int(row["orderId"]), reverse=True)[:100]
        end = {"endId": rows[-1]["orderId"] if rows else None}
        return Raw(200, _envelope(data=self.empty(rows, "entrustedList", end)))

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        word = self.strange(was) or _STATUS[was.state]
        if was.state is State.RESTING and was.executed:
            word = "partially_filled"
        row = {
            "symbol": order.plan.symbol,
            "size": str(QUANTITY),
            "orderId": order.plan.venue_id,
            "clientOid": _client_id(order),
            "baseVolume": str(was.executed),
            "price": "25000",
            "status": self.spelled(word),
            "side": "buy",
            "force": "gtc",
            "orderType": "market" if order.plan.ord_type == "market" else "limit",
            "posSide": "net",
            "cTime": "1700725524378",
        }
        return self.odd(row)

    def _plan_row(self, order: Order, was: Was) -> dict[str, Any]:
        word, child = _PLAN_STATUS[was.state], ""
        if was.state is State.FIRED and order.child is not None:
            if order.plan.child == "refused":
                word = "fail_execute"
            else:
                child = order.child.plan.venue_id
        row = {
            "planType": _ROW_TYPES[order.plan.ord_type],
            "symbol": order.plan.symbol,
            "size": str(QUANTITY),
            "orderId": order.plan.venue_id,
            "clientOid": _client_id(order),
            "planStatus": self.spelled(self.strange(was) or word),
            "price": "27000",
            "triggerPrice": "24000",
            "side": "buy",
            "orderType": "limit",
            "cTime": "1700725524378",
        }
        if not was.live:
            row["executeOrderId"] = child
        return self.odd(row)

    def _error(self, code: str, text: str) -> Refused:
        """Refuse with the status of an error, or with 200: clients saw both."""
        status = 400 if self.world.seed % 2 else 200
        return Refused(Raw(status, _envelope(code, text)))

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        return self.of_stated_door(ask)

    def recorded(self, order: Order) -> bool:
        return self._kept(order.now, self.start + 120)

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        """Say whether the worker cancels it: its page leaves out the finer kinds."""
        return order.plan.ord_type not in ("trailing_stop", "tp_sl")

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        since = self.shown_by_id_from(ask, orders)
        (order,) = orders if len(orders) == 1 else (None,)
        if order is not None and (is_conditional(order) or self.ways.forgets_ended):
            since += self.ways.record_lag_s
        return since


def _client_id(order: Order) -> str:
    """Return its client order id; the venue makes one of digits where there is none."""
    return order.plan.client_id or str(int(order.plan.venue_id) + 25601)


def _envelope(code: str = "00000", text: str = "success", data: Any = None) -> str:
    return as_json({"code": code, "msg": text, "requestTime": 1627293504612, "data": data})
