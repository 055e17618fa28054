"""Binance USD-M futures and spot as a sandbox: two doors of futures, each with ids of its own.

Docs: https://developers.binance.com/docs/derivatives/usds-margined-futures/ (general-info,
error-code; "the pages"), the change log beside it, and
https://github.com/binance/binance-spot-api-docs (rest-api.md, errors.md; "spot").

Quirks
- Conditional orders (the change log, 2025-12-09) are reached by /fapi/v1/algoOrder alone, the
  others never; a wrong door answers as if there were no such order.
- A batch answers one element for each id, in the order of the ids (not documented; setting
  `batch_errors` "first" puts the errors first), an error as `{"code","msg"}` without an id.
- An algo order that fired (`triggered`) is FINISHED, or TRIGGERED while an order of the book
  has it as `parent_id` and lives; that order's id is its `actualOrderId`. TRIGGERING while that
  order is not on the book yet: that the row names it so early is not documented.
- A cancel of an algo order is answered with code "200" (the pages) or with the order
  (Binance.Net; setting `algo_cancel` "order"). An unknown one answers -2011 (not documented).
- What was canceled or has expired without a fill is not looked up any more if it is `purged`.
- An order of `product` "spot" is reached by /api/v3, any other by /fapi. On spot a cancel has a
  client id of its own, and all types share one door.
- Requests weigh: 2400 (futures) in a minute, here in any; per key, where Binance counts
  addresses. Over it: 429, -1003.
- Prefix /fapi/ is ZTDX's, too: the sandbox asks who knows the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from .book import LIVE, Order, OrdType, State
from .messages import Call, Reply, decode, reply_json, with_retry_after
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "binance"

#: page Cancel Multiple Orders
MOST_IDS = 10

#: default and most of recvWindow, and how far ahead a timestamp may be, in ms (spot)
RECV_WINDOW_MS, MOST_RECV_WINDOW_MS, AHEAD_MS = 5_000, 60_000, 1_000

STATUSES = {
    State.OPEN: "NEW",
    State.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    State.FILLED: "FILLED",
    State.CANCELED: "CANCELED",
    State.EXPIRED: "EXPIRED",
    State.REJECTED: "REJECTED",
}

TYPES = {
    OrdType.LIMIT: "LIMIT",
    OrdType.MARKET: "MARKET",
    OrdType.TRIGGER: "STOP_MARKET",
    OrdType.TRAILING_STOP: "TRAILING_STOP_MARKET",
    OrdType.TP_SL: "TAKE_PROFIT_MARKET",
}

CONDITIONAL = frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL})

UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}


def sign(secret: bytes, payload: str) -> str:
    """Compute the signature: hex of HMAC-SHA256 over query and body (general-info)."""
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def fail(code: int, msg: str, outcome: str = "bad_request", status: int = 400) -> Reply:
    """Answer with an error."""
    return reply_json({"code": code, "msg": msg}, outcome=outcome, status=status)


def no_order() -> Reply:
    """Answer a look-up of an order that is not there, or behind the other door."""
    return fail(-2013, "Order does not exist.", "not_found")


def not_canceled() -> Reply:
    """Answer a cancel of what is unknown, over, or behind the other door."""
    return fail(-2011, "Unknown order sent.", "not_found")


def is_spot(call: Call) -> bool:
    """Whether a request is for spot."""
    return call.path.startswith("/api/")


def is_algo(call: Call) -> bool:
    """Whether a request is for conditional orders of futures."""
    return "lgo" in call.path


def is_behind(call: Call, order: Order) -> bool:
    """Whether an order is behind the door that a request knocks at."""
    if is_spot(call) or order.product == "spot":
        return is_spot(call) and order.product == "spot"
    return is_algo(call) == (order.ord_type in CONDITIONAL)


def find(world: World, call: Call, order_id: str | None, client_id: str | None) -> Order | None:
    """Find an order by its id, or else the newest of a client id; under its symbol only."""
    book, key = world.book, call.api_key
    if order_id:
        order = book.find(NAME, key, order_id)
    else:
        order = book.by_client(NAME, key, client_id or "")
    if order is None or not is_behind(call, order):
        return None
    right = is_algo(call) or order.symbol == call.query["symbol"]
    return order if right else None


def named(call: Call) -> tuple[str | None, str | None]:
    """Read the one id that a request names, of either kind."""
    names = ("algoId", "clientAlgoId") if is_algo(call) else ("orderId", "origClientOrderId")
    order_id, client_id = (call.query.get(name) for name in names)
    return order_id, client_id


def single_ids(call: Call) -> list[str]:
    """Read the one id that a request names."""
    return [next((each for each in named(call) if each), "")]


def batch_ids(call: Call) -> list[str]:
    """Read the ids that a batch names: bare numbers, or strings of client order ids."""
    for name, kind in (("orderIdList", int), ("origClientOrderIdList", str)):
        if name in call.query:
            try:
                listed = json.loads(call.query[name])
            except ValueError:
                return []
            right = isinstance(listed, list) and all(type(each) is kind for each in listed)
            return [str(each) for each in listed] if right else []
    return []


def find_one(world: World, call: Call, missing: Callable[[], Reply]) -> Order | Reply:
    """Find the order that a request names, or refuse it."""
    if not is_algo(call) and "symbol" not in call.query:
        return mandatory("symbol")
    order_id, client_id = named(call)
    if not order_id and not client_id:
        return mandatory("orderId")
    if order_id and not order_id.isdecimal():
        return fail(-1100, "Illegal characters found in parameter 'orderId'.")
    return find(world, call, order_id, client_id) or missing()


def mandatory(name: str) -> Reply:
    """Refuse a request that lacks a parameter."""
    return fail(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def show(order: Order, status: str) -> dict[str, Any]:
    """Show an order of the book, as page Query Order does."""
    return {
        "clientOrderId": order.client_order_id,
        "cumQty": str(order.filled),
        "executedQty": str(order.filled),
        "orderId": int(order.id),
        "origQty": str(order.quantity),
        "price": "0",
        "side": order.side.upper(),
        "status": status,
        "symbol": order.symbol,
        "type": TYPES[order.ord_type],
        "updateTime": order.updated_ms,
    }


def show_algo(world: World, order: Order, status: str) -> dict[str, Any]:
    """Show a conditional order, with the id of what it placed."""
    placed, child = placed_by(world, order)
    if order.triggered:
        status = "TRIGGERED" if child is not None and child.is_live else "FINISHED"
        status = "TRIGGERING" if child is None and placed else status
    return {
        "algoId": int(order.id),
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": TYPES[order.ord_type],
        "symbol": order.symbol,
        "side": order.side.upper(),
        "quantity": str(order.quantity),
        "algoStatus": status,
        "actualOrderId": placed,
    }


def placed_by(world: World, order: Order) -> tuple[str, Order | None]:
    """Tell the id of what an order placed when it fired, and that order, if it is there yet."""
    children = world.book.shelf(NAME, order.api_key).children.get(order.id, [])
    placed = order.placed_id or (children[-1].id if children else "")
    if not order.triggered or not placed:
        return "", None
    return placed, world.book.find(NAME, order.api_key, placed)


def cancel(world: World, call: Call, order: Order) -> bool:
    """Cancel an order that has not fired."""
    return not order.triggered and world.cancel(call, order)


def cancel_one(world: World, call: Call) -> Reply:
    """DELETE order, of futures or of spot."""
    order = find_one(world, call, not_canceled)
    if isinstance(order, Reply):
        return order
    if not cancel(world, call, order):
        return not_canceled()
    row = show(order, "CANCELED")
    if is_spot(call):
        row |= {"origClientOrderId": order.client_order_id, "clientOrderId": "of-the-cancel"}
    return reply_json(row)


def cancel_algo(world: World, call: Call) -> Reply:
    """DELETE algoOrder."""
    order = find_one(world, call, not_canceled)
    if isinstance(order, Reply):
        return order
    if not cancel(world, call, order):
        return not_canceled()
    if world.setting(NAME, "algo_cancel") == "order":
        return reply_json(show_algo(world, order, "CANCELED"))
    names = {"algoId": int(order.id), "clientAlgoId": order.client_order_id}
    return reply_json(names | {"code": "200", "msg": "success"})


def cancel_batch(world: World, call: Call) -> Reply:
    """DELETE batchOrders: one element for each id, errors without one."""
    if "symbol" not in call.query:
        return mandatory("symbol")
    if "orderIdList" in call.query and "origClientOrderIdList" in call.query:
        return fail(-1128, "Combination of optional parameters invalid.")
    ids, by_id = batch_ids(call), "orderIdList" in call.query
    if not ids:
        return mandatory("orderIdList")
    if len(ids) > MOST_IDS:
        return fail(-4032, "Exceed maximum cancel order size.")
    rows = [batch_row(world, call, each, by_id=by_id) for each in ids]
    if world.setting(NAME, "batch_errors") == "first":
        rows.sort(key=lambda row: row is not None and "code" not in row)
    return reply_json([row for row in rows if row is not None])


def batch_row(world: World, call: Call, order_id: str, *, by_id: bool) -> dict[str, Any] | None:
    """Cancel one order of a batch; return its element, None where a fault leaves it out."""
    order = find(world, call, order_id if by_id else None, None if by_id else order_id)
    if order is None or not cancel(world, call, order):
        return UNKNOWN
    return None if call.bend.hides(order.id) else show(order, "CANCELED")


def cancel_all(world: World, call: Call) -> Reply:
    """DELETE allOpenOrders, algoOpenOrders or, of spot, openOrders: those of a symbol."""
    if "symbol" not in call.query:
        return mandatory("symbol")
    shelf, symbol = world.book.shelf(NAME, call.api_key), call.query["symbol"]
    there = [o for o in shelf.live.values() if o.symbol == symbol and is_behind(call, o)]
    done = [order for order in there if cancel(world, call, order)]
    if not is_spot(call):
        words = "The operation of cancel all open order is done."
        return reply_json({"code": 200, "msg": words})
    if not done:
        return not_canceled()
    rows = [show(order, "CANCELED") for order in done]
    return reply_json([row | {"origClientOrderId": row["clientOrderId"]} for row in rows])


def set_timer(world: World, call: Call) -> Reply:
    """POST countdownCancelAll: of a symbol, and not of algo orders (not documented)."""
    symbol, text = call.query.get("symbol", ""), call.query.get("countdownTime", "")
    if not symbol or not text.isdecimal():
        return mandatory("countdownTime" if symbol else "symbol")
    world.set_timer(
        call, NAME, int(text) / 1000, symbol,
        lambda order: order.product != "spot" and order.ord_type not in CONDITIONAL,
    )  # fmt: skip
    return reply_json({"symbol": symbol, "countdownTime": text})


def get_one(world: World, call: Call) -> Reply:
    """GET order or algoOrder."""
    order = find_one(world, call, no_order)
    if isinstance(order, Reply):
        return order
    at_s = call.bend.read_at
    state = order.seen(at_s)
    if state is None or not (state in LIVE or order.on_record(call.bend.record_at)):
        return no_order()
    then = order.as_of(at_s)
    return reply_json(
        show_algo(world, then, STATUSES[state])
        if is_algo(call)
        else show(then, STATUSES[state])
    )


def list_open(world: World, call: Call) -> Reply:
    """GET openOrders or openAlgoOrders: all of them, or those of a symbol."""
    at_s, symbol = call.bend.read_at, call.query.get("symbol")
    shown = world.listed(call, NAME, world.book.shelf(NAME, call.api_key).shown(at_s))
    rows = [
        show_algo(world, order, STATUSES[state])
        if is_algo(call)
        else show(order, STATUSES[state])
        for order in shown
        if (state := order.seen(at_s)) in LIVE
        and state is not None
        and is_behind(call, order)
        and not order.triggered
        and symbol in (None, order.symbol)
        and not call.bend.hides(order.id)
    ]
    return reply_json(rows)


def server_time(_: World, call: Call) -> Reply:
    """GET time."""
    return reply_json({"serverTime": call.now_ms})


def trade(world: World, call: Call) -> Reply:
    """Place or change orders: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail(-2010, "NEW_ORDER_REJECTED", "traded")


#: weights: the pages, and rest-api.md; the lists as without a symbol
ROUTES = {
    ("DELETE", "/fapi/v1/batchOrders"): Route(
        cancel_batch, "cancel_batch", batch_ids, cancels=True
    ),
    ("DELETE", "/fapi/v1/order"): Route(cancel_one, "cancel_one", single_ids, cancels=True),
    ("DELETE", "/fapi/v1/algoOrder"): Route(
        cancel_algo, "cancel_one", single_ids, cancels=True
    ),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(cancel_all, "cancel_all", cancels=True),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(cancel_all, "cancel_all", cancels=True),
    ("GET", "/fapi/v1/order"): Route(get_one, "lookup", single_ids),
    ("GET", "/fapi/v1/algoOrder"): Route(get_one, "lookup", single_ids),
    ("GET", "/fapi/v1/openOrders"): Route(list_open, "open_orders", weight=40),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(list_open, "open_orders", weight=40),
    ("GET", "/fapi/v1/time"): Route(server_time, "time", signed=False),
    ("DELETE", "/api/v3/order"): Route(cancel_one, "cancel_one", single_ids, cancels=True),
    ("DELETE", "/api/v3/openOrders"): Route(cancel_all, "cancel_all", cancels=True),
    ("GET", "/api/v3/order"): Route(get_one, "lookup", single_ids, weight=4),
    ("GET", "/api/v3/openOrders"): Route(list_open, "open_orders", weight=80),
    **{
        (method, path): Route(trade, "trade", signed=False)
        for method in ("POST", "PUT")
        for path in ("/fapi/v1/order", "/fapi/v1/batchOrders", "/api/v3/order")
    },
    ("POST", "/fapi/v1/algoOrder"): Route(trade, "trade", signed=False),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(set_timer, "timer", cancels=True, weight=10),
    ("POST", "/api/v3/order/cancelReplace"): Route(trade, "trade", signed=False),
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a missing or wrong signature, and a timestamp outside the window."""
    payload, _, signature = call.raw_query.rpartition("&signature=")
    if account.secret is None or not signature:
        return mandatory("signature")
    expected = sign(account.secret, payload + call.body.decode("utf-8", "replace"))
    if not hmac.compare_digest(expected.encode(), decode(signature).lower().encode()):
        return fail(-1022, "Signature for this request is not valid.", "auth")
    text, window = call.query.get("timestamp", ""), call.query.get("recvWindow", "")
    back = min(int(window), MOST_RECV_WINDOW_MS) if window.isdecimal() else RECV_WINDOW_MS
    if not text.isdecimal() or not call.now_ms - back <= int(text) < call.now_ms + AHEAD_MS:
        return refuse(world, "clock")
    return None


def refuse(world: World, word: str) -> Reply:
    """Say one of the venue's words."""
    reply = REFUSALS[word]()
    if word in ("throttle", "ban"):
        return with_retry_after(reply, world.setting(NAME, "retry_after_s"))
    return reply


REFUSALS: dict[str, Callable[[], Reply]] = {
    "throttle": lambda: fail(
        -1003,
        "Too many requests; current limit is 2400 requests per minute.",
        "throttled",
        429,
    ),
    "ban": lambda: fail(-1003, "Way too many requests; IP banned.", "banned", 418),
    "maintenance": lambda: fail(-1016, "This service is no longer available.", "maintenance"),
    "clock": lambda: fail(
        -1021, "Timestamp for this request is outside of the recvWindow.", "clock"
    ),
    "auth": lambda: fail(-2015, "Invalid API-key, IP, or permissions for action.", "auth", 401),
    "permission": lambda: fail(
        -2015, "Invalid API-key, IP, or permissions for action.", "permission", 401
    ),
    "unknown_route": lambda: reply_json(
        {"code": -5000, "msg": "Path, Method is invalid"}, outcome="unknown_route", status=404
    ),
}

VENUE = Venue(
    name=NAME,
    prefix=("/fapi/", "/api/v3/"),
    routes=ROUTES,
    options={
        "algo_cancel": Option("code", ("code", "order")),
        "batch_errors": Option("in_place", ("in_place", "first")),
        #: seconds in Retry-After of a 429 or 418, or null for none
        "retry_after_s": Option(None, nullable=True),
    },
    limits={"weight": "2400/60s"},
    always=("weight",),
    api_key=lambda call: call.headers.get("X-MBX-APIKEY", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: re.fullmatch(r"[1-9][0-9]{0,18}", order_id) is not None,
)
