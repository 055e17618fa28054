"""A CoinW of its own: USDT perpetuals as the venue's pages and its client libraries say."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import (
    NEVER,
    Call,
    Fake,
    Raw,
    Refused,
    as_json,
    number,
    page_of,
)
from tests.worlds.market import Market, between, one_of
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_WORD = {
    "limit": "plan",
    "market": "execute",
    "trigger": "planTrigger",
    "trailing_stop": "moveStopProfitLoss",
    "tp_sl": "stopProfitLoss",
}
_CANCEL_WORDS = {"execute", "plan", "moveStop", "stopProfitLoss"}
_LIST_WORDS = {"plan", "execute", "planTrigger", "moveStopProfitLoss"}
_STATUS = {
    State.WAITING: "unFinish",
    State.RESTING: "unFinish",
    State.FILLED: "finish",
    State.CANCELED: "cancel",
    State.EXPIRED: "cancel",
    State.REJECTED: "cancel",
    State.FIRED: "finish",
}
_WEEK_S = 7 * 86400.0
_DEFAULT_PAGE = 10


_MARKET = Market(
    ("BTC", "ETH"),
    lambda rng: str(33308000000000000 + rng.randrange(10**12)),
    ends=(),
    ways={
        "record_rows": one_of(9, 10, 49, 50, 99, 100, 150, 300, 1200),
        "total": one_of("left_out", "zero", "page"),
        "instrument_demanded": one_of(True),
        "resting": one_of(9, 10, 20, 49, 99, 100, 130),
        "leaves_every_s": between(0.02, 0.5),
        "keeps_canceled": one_of(True),
        "odd_word": one_of("settled", "markerChange"),
        "type_decides": one_of(True),
        "batch_takes_triggers": one_of(False),
        "single_takes_triggers": one_of(False),
        "leaky": one_of(True),
        "rows_in_object": one_of(True),
    },
)


class Coinw(Fake):
    """Says nothing per id after a cancel; its record has no look-up by id."""

    market = _MARKET
    limit = (10, 1.0)

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("timestamp", "")
        said = f"?{query}" if query else ""
        rest = said if request.method == "GET" else request.body.decode()
        payload = f"{stamp}{request.method}{path}{rest}".encode()
        expected = base64.b64encode(hmac.digest(self.secret.encode(), payload, hashlib.sha256))
        if headers.get("sign") != expected.decode() or not stamp.isdigit():
            return "coinw: wrong signature"
        return "" if headers.get("api_key") == self.key else "coinw: wrong key"

    def too_fast(self, wait_s: int) -> Raw:
        return Raw(200, as_json({"code": 29001, "msg": "API access frequently"}))

    def answer(self, call: Call, now: float) -> Raw:
        handler = {
            ("DELETE", "/v1/perpum/order"): self._cancel,
            ("DELETE", "/v1/perpum/batchOrders"): self._cancel_many,
            ("GET", "/v1/perpum/order"): self._info,
            ("GET", "/v1/perpum/orders/open"): self._open,
            ("GET", "/v1/perpum/orders/openQuantity"): self._count,
            ("GET", "/v1/perpum/orders/history"): self._history,
            ("GET", "/v1/perpum/orders/archive"): self._archive,
            ("GET", "/v1/perpum/TPSL"): self._tp_sl,
            ("GET", "/v1/perpum/moveTPSL"): self._trailing,
        }.get((call.method, call.path))
        if handler is None:
            self.faults.append(f"coinw: nobody documents {call.method} {call.path}")
            return Raw(200, as_json({"code": 500, "msg": "Internal server error"}))
        asked = call.query if call.method == "GET" else call.body
        return handler(asked or {}, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: dict[str, Any], now: float) -> Raw:
        order_id = str(body.get("id", ""))
        if not order_id.isdigit():
            raise _error(402, "param required")
        self.note_cancel([order_id], now)
        order = self._in_engine(order_id, now)
        if order is None or self._deaf(order, batch=False) or not self.book.cancel(order, now):
            raise self._unknown()
        return Raw(200, as_json({"code": 0, "msg": "Success"}))

    def _cancel_many(self, body: dict[str, Any], now: float) -> Raw:
        asked, kind = body.get("sourceIds"), body.get("posType")
        if not isinstance(asked, list) or not asked:
            raise _error(402, "param required")
        if len(asked) > 20 or (kind is not None and kind not in _CANCEL_WORDS):
            raise _error(1, "invalid parameter")
        ids = [str(order_id) for order_id in asked]
        self.note_cancel(ids, now)
        found = [self._in_engine(order_id, now) for order_id in ids]
        bad = any(order is None or not order.now.live for order in found)
        if bad and self.ways.spoils == "nothing_done":
            raise self._unknown()
        for order in found:
            if order is not None and self._takes(order, kind):
                self.book.cancel(order, now)
        if bad and self.ways.spoils == "rest_done":
            raise self._unknown()
        return Raw(200, as_json({"code": 0, "msg": ""}))

    def _takes(self, order: Order, kind: str | None) -> bool:
        if kind is None or not self.ways.type_decides:
            return not self._deaf(order, batch=True)
        return kind == _lists_as(order, order.now).replace("moveStopProfitLoss", "moveStop")

    def _deaf(self, order: Order, *, batch: bool) -> bool:
        """Say whether this route does not reach an order that waits for its trigger."""
        takes = self.ways.batch_takes_triggers if batch else self.ways.single_takes_triggers
        waits = order.plan.ord_type == "trigger" and order.now.state is State.WAITING
        return waits and not takes

    def _in_engine(self, order_id: str, now: float) -> Order | None:
        order = self.book.by_id.get(order_id)
        return order if order is not None and order.at(now) else None

    def _unknown(self) -> Refused:
        text = {"": "Position not found.", "other_text": "Order not found."}
        if self.ways.unknown_text == "other_code":
            return _error(9013, "Order does not exist")
        return _error(9012, text[self.ways.unknown_text])

    # -- open orders ---------------------------------------------------------------------

    def _info(self, query: dict[str, str], now: float) -> Raw:
        kind = query.get("positionType")
        if not kind:
            raise _error(402, "param required")
        if kind not in _CANCEL_WORDS:
            raise _error(1, "invalid parameter")
        ids = [i for i in query.get("sourceIds", "").split(",") if i]
        if len(ids) > 20:
            raise _error(1, "invalid parameter")
        if self.ways.instrument_demanded and not query.get("instrument"):
            raise _error(402, "param required")
        named = not self.ways.shows_others
        rows = [
            self._open_row(order, was)
            for order, was in self._listed_as(
                kind.replace("moveStop", "moveStopProfitLoss"), now
            )
            if query.get("instrument") in (None, "", order.plan.symbol)
            and (not ids or not named or order.plan.venue_id in ids)
        ]
        if not ids:
            rows = self._with_resting(rows, kind, now)
        if self.ways.rows_in_object:
            data: Any = self.empty(rows, "rows", {"total": len(rows)})
            return Raw(200, as_json({"code": 0, "data": data, "msg": ""}))
        return Raw(200, as_json({"code": 0, **self.empty(rows, "data", {}), "msg": ""}))

    def _listed_as(self, kind: str, now: float) -> list[tuple[Order, Was]]:
        kinds = {kind, "plan"} if kind == "execute" and self.ways.leaky else {kind}
        return [
            (order, was) for order, was in self.listed(now) if _lists_as(order, was) in kinds
        ]

    def _open(self, query: dict[str, str], now: float) -> Raw:
        kind, instrument = query.get("positionType"), query.get("instrument")
        if not kind or not instrument:
            raise _error(402, "param required")
        if kind not in _LIST_WORDS:
            raise _error(1, "invalid parameter")
        rows = [
            self._open_row(order, was)
            for order, was in self._listed_as(kind, now)
            if order.plan.symbol == instrument
        ]
        return self._paged(self._with_resting(rows, kind, now), query)

    def _with_resting(
        self, rows: list[dict[str, Any]], kind: str, now: float
    ) -> list[dict[str, Any]]:
        """Return rows among those of other orders, half of them older; those leave in time."""
        every = self.ways.leaves_every_s
        gone = int(max(0.0, now - self.start) / every) if every else 0
        others = [
            {**_OTHER_ROW, "id": 88000000000000000 + n, "posType": kind, "originalType": kind}
            for n in range(self.ways.resting)
        ]
        older, newer = others[::2], others[1::2]
        return older[gone // 2 :] + rows + newer[gone - gone // 2 :]

    def _count(self, query: dict[str, str], now: float) -> Raw:
        count = len(self.listed(now)) + self.ways.resting
        return Raw(200, as_json({"code": 0, "data": count, "msg": ""}))

    def _tp_sl(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            self._open_row(order, was) for order, was in self._listed_as("stopProfitLoss", now)
        ]
        return Raw(200, as_json({"code": 0, **self.empty(rows, "data", {}), "msg": ""}))

    def _trailing(self, query: dict[str, str], now: float) -> Raw:
        rows = [
            {**self._open_row(order, was), "id": order.plan.venue_id}
            for order, was in self._listed_as("moveStopProfitLoss", now)
        ]
        return Raw(200, as_json({"code": 0, **self.empty(rows, "data", {}), "msg": ""}))

    # -- the record ----------------------------------------------------------------------

    def _history(self, query: dict[str, str], now: float) -> Raw:
        return self._record(query, now, now - _WEEK_S)

    def _archive(self, query: dict[str, str], now: float) -> Raw:
        return self._record(query, now, now - 13 * _WEEK_S)

    def _record(self, query: dict[str, str], now: float, since: float) -> Raw:
        instrument, kind = query.get("instrument"), query.get("originType")
        if self.ways.instrument_demanded and not instrument:
            raise _error(402, "param required")
        view = self.view - self.ways.record_lag_s
        mine = self._ended_orders(view, since, instrument, kind)
        rows = [self._record_row(order, was) for order, was in mine]
        count = self.ways.record_rows
        fill = [{**_OTHER_RECORD, "id": str(77000000000000000 + n)} for n in range(count)]
        return self._paged(fill + rows, query)

    def _ended_orders(
        self, view: float, since: float, instrument: str | None, kind: str | None
    ) -> list[tuple[Order, Was]]:
        found = [
            (order, was)
            for order in self.book
            if (was := order.at(view)) and not was.live and was.since >= since
            if self._kept(was)
            if not instrument or order.plan.symbol == instrument
            if not kind or _origin(order) == kind
        ]
        return sorted(found, key=lambda pair: pair[1].since)

    def _kept(self, was: Was) -> bool:
        traded = was.executed > 0 or was.state in (State.FILLED, State.FIRED)
        return traded or self.ways.keeps_canceled

    def _paged(self, oldest_first: list[dict[str, Any]], query: dict[str, str]) -> Raw:
        rows = oldest_first if self.ways.oldest_first else oldest_first[::-1]
        asked = number(query.get("pageSize"), _DEFAULT_PAGE)
        page = page_of(rows, number(query.get("page"), 1), min(asked, self.ways.page_cap))
        totals = {"given": {"total": len(rows)}, "left_out": {}, "zero": {"total": 0}}
        total = totals.get(self.ways.total, {"total": len(page)})
        data = self.empty(page, "rows", {"nextId": 0, "prevId": 0, **total})
        return Raw(200, as_json({"code": 0, "data": data, "msg": ""}))

    # -- rows ----------------------------------------------------------------------------

    def _open_row(self, order: Order, was: Was) -> dict[str, Any]:
        plan, kind = order.plan, _lists_as(order, was)
        row = {
            "baseSize": 0.001,
            "contractType": 1,
            "createdDate": 1740053261000,
            "currentPiece": QUANTITY,
            "direction": "long",
            "id": int(plan.venue_id),
            "instrument": plan.symbol,
            "leverage": 1,
            "orderPrice": 95400,
            "orderStatus": self.spelled("part" if was.executed else "unFinish"),
            "originalType": _origin(order),
            "posType": kind,
            "processStatus": 1,
            "quantity": 100,
            "status": "open",
            "totalPiece": QUANTITY,
            "updatedDate": 1740053261000,
            "userId": 1162061,
        }
        return self.odd(row)

    def _record_row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        row = {
            "avgPrice": "86070",
            "cancelPiece": QUANTITY - was.executed if was.state is State.CANCELED else 0,
            "createdDate": 1740915577000,
            "currentPiece": str(QUANTITY),
            "direction": "short",
            "id": plan.venue_id,
            "instrument": plan.symbol,
            "orderPrice": "0",
            "orderStatus": self.spelled(self.strange(was) or _STATUS[was.state]),
            "originalType": _origin(order),
            "posType": _origin(order),
            "status": "close",
            "thirdOrderId": plan.client_id,
            "totalPiece": str(QUANTITY),
            "tradePiece": was.executed,
            "updatedDate": 1740915577000,
            "userId": 1162061,
        }
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        return self._kept(order.now)

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        ways = self.ways
        waits = order.plan.ord_type == "trigger"
        return not waits or (ways.batch_takes_triggers and ways.single_takes_triggers)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        ways = self.ways
        long = (ways.record_rows + ways.resting) / ways.page_cap
        if ways.shows_others or ways.leaves_every_s or long > 10 or not ask.symbol:
            return NEVER
        if any(ask.symbol != order.plan.symbol for order in orders):
            return NEVER
        if not orders:
            return self.start
        order = orders[-1]
        if order.now.state is State.FIRED or (
            self.strange(order.now) and self._kept(order.now)
        ):
            return NEVER
        return self.end_shown_from(order) + ways.record_lag_s


def _lists_as(order: Order, was: Was) -> str:
    """Return the type that open lists call an order; a fired one rests as a limit order."""
    if was.state is State.RESTING and order.plan.ord_type == "trigger":
        return "plan"
    return _WORD[order.plan.ord_type]


def _origin(order: Order) -> str:
    return _WORD[order.plan.ord_type]


def _error(code: int, text: str) -> Refused:
    return Refused(Raw(200, as_json({"code": code, "msg": text})))


_OTHER_ROW = {
    "createdDate": 1740053261000,
    "currentPiece": 1,
    "direction": "long",
    "id": 1,
    "instrument": "BTC",
    "orderPrice": 95400,
    "orderStatus": "unFinish",
    "originalType": "plan",
    "posType": "plan",
    "status": "open",
    "totalPiece": 1,
}
_OTHER_RECORD = {
    "createdDate": 1740915577000,
    "id": "1",
    "instrument": "BTC",
    "orderStatus": "finish",
    "originalType": "plan",
    "posType": "plan",
    "status": "close",
    "totalPiece": "1",
    "tradePiece": 1,
}
