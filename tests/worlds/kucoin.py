"""A KuCoin of its own: classic futures as the venue's pages and its clients describe them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from random import Random
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
from tests.worlds.market import Market, digits, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest

_API = "/api/v1"
_PASSPHRASE = "demoPhraseOfAWorld"
#: What a call weighs, by its method and the end of its path; look-ups by id weigh 5.
_WEIGHTS = {
    "DELETE multi-cancel": 20,
    "GET orders": 2,
    "GET stopOrders": 6,
    "GET {id}": 5,
    "GET byClientOid": 5,
}
_GONE = "The order cannot be canceled."


def _old_id(rng: Random) -> str:
    return f"{rng.getrandbits(96):024x}"


def _new_id(rng: Random) -> str:
    return _old_id(rng) if rng.random() < 0.2 else digits(18)(rng)


_MARKET = Market(
    ("XBTUSDTM", "ETHUSDTM"),
    _new_id,
    ((0.5, risk_id), (0.7, new_uuid), (0.9, digits(18)), (1.0, _old_id)),
    # A stop order that was triggered goes on under its own id.
    children=(),
    never=("empty", "page_cap", "oldest_first"),
    chosen=(("key_version", "2"), ("key_version", "3")),
    ways={
        # Cancels are queued and answered at once: ccxt #2112, kucoin-api-docs #236.
        "boasts": one_of(True),
        # By client order id a model of the SDK has no order id.
        "names_refused": one_of(False),
        # Whether the cancel by client order id reaches stops, pages do not agree.
        "single_takes_triggers": one_of(False),
        # The venue trims reduce-only orders: hummingbot and ccxt #14575 read it wrongly.
        "marks_open": one_of(True),
        "sizes": one_of("texts", "decimals"),
        # An end that nobody documents: neither canceled nor filled whole.
        "odd_word": one_of("unmarked"),
    },
)


class KuCoin(Fake):
    """Receives cancels, and does them later; no word of a state says canceled."""

    market = _MARKET

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("kc-api-timestamp", "")
        payload = f"{stamp}{request.method}{request.target}".encode() + request.body
        if headers.get("kc-api-sign") != self._mac(payload) or not stamp.isdigit():
            return "kucoin: wrong signature"
        if headers.get("kc-api-passphrase") != self._mac(_PASSPHRASE.encode()):
            return "kucoin: wrong passphrase"
        if headers.get("kc-api-key-version") != self.chosen["key_version"]:
            return "kucoin: a key of another version"
        if request.body and not path.endswith("/multi-cancel"):
            return "kucoin: a body that nobody reads"
        return "" if headers.get("kc-api-key") == self.key else "kucoin: wrong key"

    def _mac(self, text: bytes) -> str:
        return base64.b64encode(
            hmac.digest(self.secret.encode(), text, hashlib.sha256)
        ).decode()

    @property
    def parts(self) -> dict[str, str]:
        return {**super().parts, "api_passphrase": _PASSPHRASE}

    def pool(self, request: HttpRequest, path: str) -> str:
        return "weight"

    def limit_of(self, key: str) -> tuple[int, float]:
        return 2000, 30.0

    def price(self, request: HttpRequest) -> int:
        end = request.target.partition("?")[0].rpartition("/")[2]
        named = {"multi-cancel", "orders", "stopOrders", "byClientOid"}
        return _WEIGHTS.get(f"{request.method} {end if end in named else '{id}'}", 1)

    def too_fast(self, wait_s: int) -> Raw:
        told = {"gw-ratelimit-remaining": "0", "gw-ratelimit-reset": str(1000 * wait_s)}
        # Without these headers the same code means that the server has too much to do.
        return Raw(
            429, _said("429000", "Too Many Requests"), told if self.world.seed % 2 else {}
        )

    def answer(self, call: Call, now: float) -> Raw:
        place, _, rest = call.path.removeprefix(f"{_API}/").partition("/")
        by_client = rest.startswith("client-order/")
        handler = {
            ("DELETE", "orders", "multi-cancel"): self._cancel_batch,
            ("GET", "orders", "byClientOid"): self._order_by_client,
            ("GET", "orders", ""): self._orders,
            ("GET", "stopOrders", ""): self._stop_orders,
        }.get((call.method, place, rest))
        if handler is not None and call.path.startswith(_API):
            return handler(call, now)
        if place == "orders" and call.method == "DELETE" and by_client:
            return self._cancel_by_client(rest.partition("/")[2], call, now)
        if place == "orders" and rest and "/" not in rest and not call.query:
            one = {"GET": self._order, "DELETE": self._cancel}[call.method]
            return one(rest, now)
        self.faults.append(f"kucoin: nobody documents {call.method} {call.path}")
        return Raw(404, _said("404000", "Url Not Found"))

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, order_id: str, now: float) -> Raw:
        self.note_cancel([order_id], now)
        code, text = self._take(self.named(now, order_id=order_id), now)
        if code == "200":
            return _fine({"cancelledOrderIds": [order_id]})
        if self.ways.unknown_text == "other_code":
            return _fine({"cancelledOrderIds": []})
        raise _error(code, text)

    def _cancel_by_client(self, client_id: str, call: Call, now: float) -> Raw:
        symbol = call.query.get("symbol")
        if not symbol:
            raise _error("100001", "symbol can not be empty")
        self.note_cancel([client_id], now)
        order = self.named(now, client_id=client_id, symbol=symbol)
        if order is not None and _waits(order) and not self.ways.single_takes_triggers:
            order = None
        code, text = self._take(order, now)
        if code != "200":
            raise _error(code, text)
        return _fine({"clientOid": client_id})

    def _cancel_batch(self, call: Call, now: float) -> Raw:
        body: dict[str, Any] = call.body
        ids = body.get("orderIdsList") or body.get("clientOidsList")
        if not isinstance(ids, list) or not 1 <= len(ids) <= 10 or len(body) != 1:
            raise _error("100001", "There are invalid parameters")
        by_client = "clientOidsList" in body
        if by_client and not all(each.keys() == {"symbol", "clientOid"} for each in ids):
            raise _error("100001", "There are invalid parameters")
        self.note_cancel([each["clientOid"] if by_client else each for each in ids], now)
        orders = [
            self.named(now, client_id=each["clientOid"], symbol=each["symbol"])
            if by_client
            else self.named(now, order_id=each)
            for each in ids
        ]
        # Stop orders are not taken until they are triggered.
        orders = [None if o is not None and _waits(o) else o for o in orders]
        bad = any(order is None or not order.now.live for order in orders)
        spoilt = self.ways.spoils if bad else ""
        if spoilt == "nothing_done":
            raise _error("100004", _GONE)
        rows = []
        for each, order in zip(ids, orders, strict=True):
            code, text = self._take(order, now)
            own = each["clientOid"] if by_client else None
            row = {"orderId": None if by_client else each, "clientOid": own}
            if code != "200" and not self.ways.names_refused:
                row = {"orderId": None, "clientOid": None}
            rows.append({**row, "code": code, "msg": text})
        if spoilt:
            raise _error("100004", _GONE)
        return _fine(rows)

    def _take(self, order: Order | None, now: float) -> tuple[str, str]:
        """Receive a cancel; return code and words of an item."""
        taken = order is not None and self.book.cancel(order, now)
        if taken or self.ways.boasts:
            return "200", "success"
        if order is None and self.ways.unknown_text == "other_text":
            return "100001", "error.getOrder.orderNotExist"
        if self.ways.unknown_text:
            return "100004", "Order is in not cancelable state"
        return "100004", _GONE

    # -- reads ---------------------------------------------------------------------------

    def _order(self, order_id: str, now: float) -> Raw:
        return self._shown(self.named(self.view, order_id=order_id))

    def _order_by_client(self, call: Call, now: float) -> Raw:
        if call.query.keys() != {"clientOid"}:
            raise _error("100001", "There are invalid parameters")
        return self._shown(self.named(self.view, client_id=call.query["clientOid"]))

    def _shown(self, order: Order | None) -> Raw:
        if order is None:
            raise _error("100001", "error.getOrder.orderNotExist")
        order = self.other(order)
        return _fine(self._row(order, order.at(self.view) or order.life[0]))

    def _orders(self, call: Call, now: float) -> Raw:
        if call.query.get("status") != "active":
            self.faults.append("kucoin: a list of orders that are done")
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if was.state is State.RESTING
            and call.query.get("symbol") in (None, order.plan.symbol)
        ]
        return self._paged(rows, call)

    def _stop_orders(self, call: Call, now: float) -> Raw:
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if was.state is State.WAITING
            and call.query.get("symbol") in (None, order.plan.symbol)
        ]
        return self._paged(rows, call)

    def _paged(self, rows: list[dict[str, Any]], call: Call) -> Raw:
        size, page = (
            number(call.query.get("pageSize"), 50),
            number(call.query.get("currentPage"), 1),
        )
        if not 1 <= size <= 1000:
            raise _error("100001", "pageSize")
        told = {"currentPage": page, "pageSize": size, "totalNum": len(rows)}
        items = page_of(rows[::-1], page, size)
        return _fine({**told, "totalPage": -(-len(rows) // size), "items": items})

    # -- parts ---------------------------------------------------------------------------

    def _size(self, count: int) -> int | str:
        if self.ways.sizes == "numbers":
            return count
        return str(count) if self.ways.sizes == "texts" else f"{count}.0"

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        canceled = was.state in (State.CANCELED, State.EXPIRED, State.REJECTED)
        canceled = canceled and not self.strange(was)
        row = {
            "id": plan.venue_id,
            "symbol": plan.symbol,
            "type": "market" if plan.ord_type == "market" else "limit",
            "side": "sell",
            "price": "100",
            "size": self._size(QUANTITY),
            "dealSize": self._size(was.executed),
            "filledSize": self._size(was.executed),
            "stop": "up" if is_conditional(order) else "",
            "stopPriceType": "TP" if is_conditional(order) else "",
            "stopTriggered": was.state is not State.WAITING if is_conditional(order) else None,
            "timeInForce": "GTC",
            "clientOid": plan.client_id or None,
            "isActive": was.live,
            "cancelExist": self.ways.marks_open if was.live else canceled,
            "createdAt": 1729577515444,
            "updatedAt": 1729577515481,
            "status": self.spelled("open" if was.live else "done"),
            "reduceOnly": False,
        }
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        return True  # for a month, by an old note

    def takes_cancel(self, order: Order, ask: Ask) -> bool:
        by_client = ask.id != order.plan.venue_id
        return self.ways.single_takes_triggers or not (by_client and is_conditional(order))

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        if self.ways.shows_others or len(orders) > 1:
            return NEVER
        if not orders:
            return self.start
        (order,) = orders
        return NEVER if self.strange(order.now) else self.end_shown_from(order)


def _waits(order: Order) -> bool:
    return order.now.state is State.WAITING


def _said(code: str, text: str) -> str:
    return as_json({"code": code, "msg": text})


def _fine(data: Any) -> Raw:
    return Raw(200, as_json({"code": "200000", "data": data}))


def _error(code: str, text: str) -> Refused:
    return Refused(Raw(200, _said(code, text)))
