"""A Deribit of its own: JSON-RPC over HTTP as the venue's pages and its clients describe it."""

from __future__ import annotations

import hashlib
import hmac
import re
from random import Random
from typing import Any

from tests.worlds.book import Book, Order, State, Was
from tests.worlds.fake import NEVER, Call, Fake, Raw, Refused, as_json, is_conditional, number
from tests.worlds.market import CHILDREN, JUDGES_EACH, Market, one_of
from tests.worlds.plan import QUANTITY, Ask, World
from venues.base import HttpRequest

_STATUS = {
    State.WAITING: "untriggered",
    State.RESTING: "open",
    State.FILLED: "filled",
    State.CANCELED: "cancelled",
    State.EXPIRED: "cancelled",  # it has no word of its own
    State.REJECTED: "rejected",
    State.FIRED: "triggered",
}
_TYPES = {
    "limit": "limit",
    "market": "market",
    "trigger": "stop_limit",
    "trailing_stop": "trailing_stop",
    "tp_sl": "take_market",
}
#: Parameters that the pages name.
_NAMES = {
    "cancel": {"order_id"},
    "get_order_state": {"order_id"},
    "get_open_orders": {"kind", "type"},
    "get_order_history_by_instrument": {
        *("instrument_name", "count", "offset", "include_old", "include_unfilled"),
        *("with_continuation", "continuation", "historical"),
    },
}
_ID = re.compile(r"([A-Z0-9]+-)?([A-Z]{4}-)?\d+")
_WORD = re.compile(r"(\w+)=([^,]*)")
_API = "/api/v2/private/"
_DAY_S = 86400.0
#: For so long what is over is "recent" (article Accessing Historical Trades and Orders).
_RECENT_S = 1800.0


def _new_id(rng: Random) -> str:
    """Return an id: orders of BTC have bare digits, others a currency before them."""
    digits = rng.randrange(10**10, 10**11)
    return rng.choice((f"{digits}", f"ETH-{digits}", f"USDC-{digits}", f"SLIS-{digits}"))


_MARKET = Market(
    ("BTC-PERPETUAL", "ETH-PERPETUAL"),
    _new_id,
    children=CHILDREN,
    # The engine answers a cancel; there is no batch, and lists have no pages.
    never=(*JUDGES_EACH, "cancel_s", "spoils"),
    ways={
        "tells_ended": one_of(True),
        # How long `get_order_state` knows an order that has ended is not documented.
        "forgets_ended": one_of(True),
        # A fired trigger is of the trigger history then, which is a call of its own.
        "forgets_fired": one_of(True),
        # A state of orders in trades; and one that other venues have for an ended instrument.
        "odd_word": one_of("archive", "expired"),
    },
)


class Deribit(Fake):
    """Answers a cancel with the order; what a trigger placed says by which one."""

    market = _MARKET

    def __init__(self, world: World, book: Book, rng: Random) -> None:
        super().__init__(world, book, rng)
        self._nonces: set[str] = set()

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        scheme, _, words = headers.get("authorization", "").partition(" ")
        said = dict(_WORD.findall(words))
        stamp, nonce = said.get("ts", ""), said.get("nonce", "")
        data = f"{request.method}\n{request.target}\n{request.body.decode()}\n"
        payload = f"{stamp}\n{nonce}\n{data}".encode()
        expected = hmac.new(self.secret.encode(), payload, hashlib.sha256).hexdigest()
        if scheme != "deri-hmac-sha256" or said.get("sig") != expected or len(stamp) != 13:
            return "deribit: wrong signature"
        if not nonce or nonce in self._nonces:
            return "deribit: a nonce that was used"
        self._nonces.add(nonce)
        return "" if said.get("id") == self.key else "deribit: wrong key"

    def path_key(self, path: str) -> str:
        return "matching" if path.startswith(f"{_API}cancel") else "others"

    def limit_of(self, key: str) -> tuple[int, float]:
        """Return what an account without volume has, but for what it may save up."""
        return (5, 1.0) if key.endswith("matching") else (20, 1.0)

    def too_fast(self, wait_s: int) -> Raw:
        status = 429 if self.world.seed % 2 else 400
        return Raw(status, _envelope(error={"code": 10028, "message": "too_many_requests"}))

    def answer(self, call: Call, now: float) -> Raw:
        method = call.path.removeprefix(_API)
        handler = {
            "cancel": self._cancel,
            "get_order_state": self._state,
            "get_open_orders": self._open,
            "get_order_history_by_instrument": self._history,
        }.get(method)
        if handler is None or call.path != _API + method:
            self.faults.append(f"deribit: nobody documents {call.method} {call.path}")
            raise _error(-32601, "Method not found")
        asked: dict[str, str] = call.query
        if call.method == "POST":
            envelope = call.body
            named = (envelope.get("jsonrpc"), envelope.get("method"))
            if named != ("2.0", f"private/{method}") or "id" not in envelope:
                raise _error(-32600, "Invalid Request")
            asked = envelope["params"]
        elif method == "cancel":
            self.faults.append("deribit: a cancel by GET, which a proxy may repeat")
        if not set(asked) <= _NAMES[method]:
            self.faults.append(f"deribit: {method} does not take one of {sorted(asked)}")
        return handler(asked, now)

    # -- the calls -----------------------------------------------------------------------

    def _cancel(self, params: dict[str, str], now: float) -> Raw:
        order_id = self._id(params)
        self.note_cancel([order_id], now)
        order = self.named(now, order_id=order_id)
        before = order.now if order is not None else None
        if order is None or before is None or not self.book.cancel(order, now):
            raise self._not_open(order, now)
        # The page's sample of a trigger order shows the state before.
        shown = before if is_conditional(order) else order.now
        return Raw(200, _envelope(self._row(order, shown)))

    def _not_open(self, order: Order | None, now: float) -> Refused:
        """Return why an order that is not open is not canceled."""
        if order is None or self._forgot(order.now, now):
            if self.ways.unknown_text == "other_code":
                return _error(11044, "not_open_order")
            return self._unknown()
        if self.ways.tells_ended:
            if order.now.state is State.FILLED:
                return _error(11008, "already_filled")
            return _error(10010, "already_closed")
        return _error(11044, "not_open_order")

    def _state(self, query: dict[str, str], now: float) -> Raw:
        order = self.named(self.view, order_id=self._id(query))
        was = order.at(self.view) if order is not None else None
        if order is None or was is None or self._forgot(was, now):
            raise self._unknown()
        order = self.other(order)
        return Raw(200, _envelope(self._row(order, order.at(self.view) or order.life[0])))

    def _open(self, query: dict[str, str], now: float) -> Raw:
        if query.get("type", "all") != "all":
            self.faults.append("deribit: a list of orders of some types only")
        rows = [self._row(order, was) for order, was in self.listed(now)]
        return Raw(200, _envelope(rows))

    def _history(self, query: dict[str, str], now: float) -> Raw:
        """Return what is over of an instrument, the newest first."""
        if query.get("instrument_name") not in self.market.symbols:
            raise _error(-32602, "Invalid params")
        view = self.view - self.ways.record_lag_s
        ended = [
            (order, was)
            for order in self.book
            if (was := order.at(view)) and not was.live and not is_conditional(order)
            if order.plan.symbol == query["instrument_name"]
            and (was.executed or query.get("include_unfilled") == "true")
            and (now - order.placed <= 2 * _DAY_S or query.get("include_old") == "true")
            and (now - was.since > _RECENT_S) == (query.get("historical") == "true")
        ]
        ended.sort(key=lambda pair: pair[0].placed, reverse=True)
        first, count = number(query.get("offset"), 0), number(query.get("count"), 20)
        rows = [self._row(order, was) for order, was in ended]
        return Raw(200, _envelope(rows[first : first + min(count, 1000)]))

    # -- parts ---------------------------------------------------------------------------

    def _id(self, params: dict[str, str]) -> str:
        order_id = params.get("order_id", "")
        if not _ID.fullmatch(order_id):
            raise _error(-32602, "Invalid params")
        return order_id

    def _unknown(self) -> Refused:
        text = "order not found" if self.ways.unknown_text else "order_not_found"
        return _error(10004, text)

    def _forgot(self, was: Was, now: float) -> bool:
        """Say whether an order that has ended is not known by its id any more."""
        if was.state is State.FIRED and self.ways.forgets_fired:
            return True
        return not was.live and (self.ways.forgets_ended or now - was.since > _RECENT_S)

    def _row(self, order: Order, was: Was) -> dict[str, Any]:
        plan = order.plan
        row = {
            "order_id": plan.venue_id,
            "order_state": self.spelled(self.strange(was) or _STATUS[was.state]),
            "order_type": _TYPES[plan.ord_type],
            "instrument_name": plan.symbol,
            "label": plan.client_id,
            "amount": float(QUANTITY),
            "filled_amount": float(was.executed),
            "price": 3886.5,
            "average_price": 0.0,
            "direction": "sell",
            "time_in_force": "good_til_cancelled",
            "replaced": False,
            "api": True,
            "creation_timestamp": 1550661808761,
            "last_update_timestamp": 1550661808761,
        }
        if was.state is State.CANCELED:
            row["cancel_reason"] = "user_request"
        if is_conditional(order):
            row |= {"trigger": "index_price", "trigger_price": 3800.0, "triggered": False}
        parent = next((each for each in self.book if each.child is order), None)
        if parent is not None:
            row["trigger_order_id"] = parent.plan.venue_id
        return self.odd(row)

    # -- what a careful reader could know ------------------------------------------------

    def recorded(self, order: Order) -> bool:
        """Say whether the orders' record has it.

        Trigger orders have one of their own, by currency, which the worker does not read.
        """
        return not is_conditional(order)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        if self.ways.shows_others or len(orders) != 1:
            return self.shown_by_id_from(ask, orders)
        (order,) = orders
        if order.now.live or order.now.state is State.FIRED or self.strange(order.now):
            return NEVER
        if not self._forgot(order.now, self.start + 120):
            return order.ended_at + self.lag_s
        if is_conditional(order) or ask.symbol != order.plan.symbol:
            return NEVER
        return self.end_shown_from(order) + self.ways.record_lag_s


def _envelope(result: Any = None, error: Any = None) -> str:
    said = {"error": error} if error else {"id": 1, "result": result}
    times = {"usIn": 1550657341322870, "usOut": 1550657341322961, "usDiff": 91}
    return as_json({"jsonrpc": "2.0", **said, **times, "testnet": False})


def _error(code: int, text: str) -> Refused:
    return Refused(Raw(400, _envelope(error={"code": code, "message": text})))
