"""ZTDX perpetuals as a sandbox: Binance's look, two error envelopes and a batch that forgets.

Docs: https://docs.p99.world/futures/usdt-margined/trades-rest/ (Batch Cancel Orders, Cancel
Order, Open Orders) and https://docs.p99.world/auth; where "the source" is named it is
https://github.com/RiabowTech/Riabow-dex-backend at 67efb0a.

Quirks
- `orderIdList` must be a JSON list of strings: numbers, as in the docs' cURL, answer 200 `[]`.
- Malformed, unknown and foreign ids are silently absent from a batch's answer; closed ones too
  (the source), or with their status (docs) by the setting `terminal_ids` "listed".
- `origClientOrderIdList` is honoured (docs) or ignored (the source): setting `client_ids`.
- A batch answers with the UUID as `clientOrderId` even where the order has another (the source;
  setting `batch_client_id` "own" for the docs' way).
- An order of another symbol is not reached (not documented; setting `wrong_symbol`).
- More than ten ids are refused (docs; the source has no check: setting `max_ids` "off").
- Canceling a parent cancels the TP/SL orders attached to it.
- Errors come as `{"code","msg"}`, from the auth layer as `{"success":false,"error":...}`, as
  plain text where a query parameter is missing, and as nginx pages.
- A body on DELETE belongs to the signed payload.
- The time window is the docs' (recvWindow back, one second ahead) or the source's (60 s both
  ways, answered 401) by the setting `clock`.
- Limits are nginx's and not documented: ten a second, HTTP 429, by default no Retry-After.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from .book import LIVE, Order, OrdType, State
from .messages import (
    Call,
    Reply,
    decode,
    gateway_page,
    is_uuid,
    reply_json,
    reply_text,
    with_retry_after,
)
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "ztdx"

#: "Maximum 10 orders per request" (Batch Cancel Orders)
MOST_IDS = 10

#: default and most of recvWindow, and how far ahead a timestamp may be, in ms (docs, auth)
RECV_WINDOW_MS, MOST_RECV_WINDOW_MS, AHEAD_MS = 5_000, 60_000, 1_000

#: the source's window, both ways
SOURCE_WINDOW_MS = 60_000

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
    OrdType.TRIGGER: "STOP",
    OrdType.TRAILING_STOP: "TRAILING_STOP_MARKET",
    OrdType.TP_SL: "TAKE_PROFIT_MARKET",
}

#: order types that the source keeps as trigger orders, with texts of their own
TRIGGERS = frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL})

REGULAR_WORDS = {
    State.FILLED: "filled",
    State.CANCELED: "cancelled",
    State.REJECTED: "rejected",
}
TRIGGER_WORDS = {
    State.FILLED: "executed",
    State.CANCELED: "cancelled",
    State.EXPIRED: "expired",
}


def sign(secret: bytes, payload: str) -> str:
    """Compute the signature: lower-case hex of HMAC-SHA256 (https://docs.p99.world/auth)."""
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def split_signature(raw_query: str) -> tuple[str, str]:
    """Part the query from the signature, which must be its last parameter."""
    payload, _, signature = raw_query.rpartition("signature=")
    return payload.removesuffix("&"), "" if "&" in signature else signature


def is_signed(call: Call, secret: bytes) -> bool:
    """Whether the query as received, or decoded pair by pair, has the right signature."""
    payload, signature = split_signature(call.raw_query)
    decoded = "&".join(decode(pair) for pair in payload.split("&"))
    body = call.body.decode("utf-8", "replace")
    expected = {sign(secret, payload + body), sign(secret, decoded + body)}
    return any(hmac.compare_digest(e.encode(), signature.encode()) for e in expected)


def fail(status: int, code: int, msg: str, outcome: str = "bad_request") -> Reply:
    """Answer with the fapi error envelope."""
    return reply_json({"code": code, "msg": msg}, outcome=outcome, status=status)


def deny(status: int, code: str, message: str, outcome: str = "auth") -> Reply:
    """Answer with the auth layer's error envelope."""
    error = {"code": code, "message": message}
    body = {"success": False, "data": None, "error": error, "timestamp": int(time.time())}
    return reply_json(body, outcome=outcome, status=status)


def lacks(name: str) -> Reply:
    """Answer as the framework does where a query parameter is missing."""
    text = f"Failed to deserialize query string: missing field `{name}`"
    return reply_text(text, outcome="bad_request", status=400)


def unknown() -> Reply:
    """Answer for an order that is not there, or somebody else's."""
    return fail(404, -2013, "Order does not exist.", "not_found")


def show(order: Order, status: str, *, client_order_id: str = "") -> dict[str, Any]:
    """Show an order, with most fields of the docs' example."""
    return {
        "clientOrderId": client_order_id or order.client_order_id or order.id,
        "cumQty": str(order.filled),
        "executedQty": str(order.filled),
        "orderId": order.id,
        "origQty": str(order.quantity),
        "origType": TYPES[order.ord_type],
        "price": "0",
        "side": order.side.upper(),
        "positionSide": "BOTH",
        "status": status,
        "symbol": order.symbol,
        "timeInForce": "GTC",
        "type": TYPES[order.ord_type],
        "updateTime": order.updated_ms,
    }


def read_list(text: str) -> list[str]:
    """Read a JSON list of strings; anything else is an empty list, as in the source."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    strings = isinstance(value, list) and all(isinstance(v, str) for v in value)
    return list(value) if strings else []


def batch_ids(call: Call) -> list[str]:
    """Read the ids that a batch names, of whichever kind."""
    names = ("orderIdList", "origClientOrderIdList")
    return next((read_list(call.query[name]) for name in names if name in call.query), [])


def single_ids(call: Call) -> list[str]:
    """Read the one id that a request names; the order id wins."""
    ids = (call.query.get("orderId"), call.query.get("origClientOrderId"))
    return [next((i for i in ids if i), "")]


def reach(world: World, call: Call, order: Order | None) -> Order | None:
    """Return the order if a request with that symbol reaches it."""
    if order is None or order.purged:
        return None
    strict = world.setting(NAME, "wrong_symbol") == "absent"
    return None if strict and order.symbol != call.query["symbol"] else order


def find_one(world: World, call: Call) -> Order | Reply:
    """Find the order that a single request names, or refuse it."""
    if "symbol" not in call.query:
        return lacks("symbol")
    order_id, client_id = call.query.get("orderId"), call.query.get("origClientOrderId")
    if order_id is not None and not is_uuid(order_id):
        return fail(400, -1100, "Invalid orderId.")
    if order_id is None and client_id is None:
        return fail(400, -1102, "Either orderId or origClientOrderId must be sent.")
    if order_id is not None:
        order = world.book.find(NAME, call.api_key, order_id.lower())
    else:
        order = by_client(world, call, client_id or "")
    return reach(world, call, order) or unknown()


def by_client(world: World, call: Call, client_id: str) -> Order | None:
    """Find the most recent order of a client id, which defaults to the order's own UUID."""
    book, key = world.book, call.api_key
    return book.by_client(NAME, key, client_id) or book.find(NAME, key, client_id)


def cancel_one(world: World, call: Call) -> Reply:
    """DELETE /fapi/v1/order."""
    order = find_one(world, call)
    if isinstance(order, Reply):
        return order
    if world.cancel(call, order):
        return reply_json(show(order, "CANCELED"))
    if order.is_live:
        return fail(400, -2011, "Order not in matching engine", "refused")
    return fail(400, -2011, closed_text(order), "closed")


def closed_text(order: Order) -> str:
    """Say why a closed order cannot be canceled."""
    if order.ord_type in TRIGGERS:
        return f"Trigger order already {TRIGGER_WORDS.get(order.state, 'fired')}"
    return f"Unknown order. Status: {REGULAR_WORDS.get(order.state, order.state.value)}"


def cancel_batch(world: World, call: Call) -> Reply:
    """DELETE /fapi/v1/batchOrders."""
    if "symbol" not in call.query:
        return lacks("symbol")
    by_id = "orderIdList" in call.query
    if not by_id and "origClientOrderIdList" not in call.query:
        return fail(400, -1102, "Either orderIdList or origClientOrderIdList must be sent.")
    ids = batch_ids(call)
    if world.setting(NAME, "max_ids") != "off" and len(ids) > MOST_IDS:
        return fail(400, -1130, "Maximum 10 orders per request.")
    if not by_id and world.setting(NAME, "client_ids") == "ignored":
        return reply_json([])
    found = [
        world.book.find(NAME, call.api_key, i.lower()) if by_id else by_client(world, call, i)
        for i in dict.fromkeys(ids)
    ]
    reached = [order for order in found if reach(world, call, order)]
    rows = [batch_row(world, call, order) for order in reached if order]
    return reply_json([row for row in rows if row is not None])


def batch_row(world: World, call: Call, order: Order) -> dict[str, Any] | None:
    """Cancel one order of a batch; return what the answer shows of it, if anything."""
    if world.cancel(call, order):
        status = "CANCELED"
    elif order.is_live or world.setting(NAME, "terminal_ids") == "dropped":
        return None
    else:
        status = STATUSES[order.state]
    own = world.setting(NAME, "batch_client_id") == "own"
    row = show(order, status, client_order_id="" if own else order.id)
    return None if call.bend.hides(order.id) else row


def cancel_all(world: World, call: Call) -> Reply:
    """DELETE /fapi/v1/allOpenOrders."""
    if "symbol" not in call.query:
        return lacks("symbol")
    for order in list(world.book.shelf(NAME, call.api_key).live.values()):
        if order.symbol == call.query["symbol"]:
            world.cancel(call, order)
    return reply_json({"code": 200, "msg": "The operation of cancel all open order is done."})


def get_one(world: World, call: Call) -> Reply:
    """GET /fapi/v1/order."""
    order = find_one(world, call)
    if isinstance(order, Reply):
        return order
    at_s = call.bend.read_at
    state = order.seen(at_s)
    if state is None or not (state in LIVE or order.on_record(call.bend.record_at)):
        return unknown()
    return reply_json(show(order.as_of(at_s), STATUSES[state]))


def get_open(world: World, call: Call) -> Reply:
    """GET /fapi/v1/openOrder."""
    order = find_one(world, call)
    if isinstance(order, Reply):
        return order
    return get_one(world, call) if order.lives(call.bend.read_at) else unknown()


def list_open(world: World, call: Call) -> Reply:
    """GET /fapi/v1/openOrders."""
    at_s, symbol = call.bend.read_at, call.query.get("symbol")
    rows = [
        show(order, STATUSES[state])
        for order in world.listed(call, NAME, world.book.shelf(NAME, call.api_key).shown(at_s))
        if (state := order.seen(at_s)) is not None
        and state in LIVE
        and symbol in (None, order.symbol)
        and not call.bend.hides(order.id)
    ]
    return reply_json(rows)


def server_time(_: World, call: Call) -> Reply:
    """GET /fapi/v1/time."""
    return reply_json({"serverTime": call.now_ms})


def trade(world: World, call: Call) -> Reply:
    """Place orders: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail(400, -2010, "NEW_ORDER_REJECTED", "traded")


ROUTES = {
    ("DELETE", "/fapi/v1/batchOrders"): Route(
        cancel_batch, "cancel_batch", batch_ids, cancels=True
    ),
    ("DELETE", "/fapi/v1/order"): Route(cancel_one, "cancel_one", single_ids, cancels=True),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(cancel_all, "cancel_all", cancels=True),
    ("GET", "/fapi/v1/order"): Route(get_one, "lookup", single_ids),
    ("GET", "/fapi/v1/openOrder"): Route(get_open, "lookup", single_ids),
    ("GET", "/fapi/v1/openOrders"): Route(list_open, "open_orders"),
    ("GET", "/fapi/v1/time"): Route(server_time, "time", signed=False),
    ("POST", "/fapi/v1/order"): Route(trade, "trade", signed=False),
    ("POST", "/fapi/v1/batchOrders"): Route(trade, "trade", signed=False),
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a missing or wrong signature, and a timestamp outside the window."""
    if not split_signature(call.raw_query)[1]:
        return deny(401, "SIGNATURE_INVALID", "Missing signature parameter")
    if account.secret is None or not is_signed(call, account.secret):
        return deny(401, "SIGNATURE_INVALID", "Invalid signature")
    timely = in_time(call, world.setting(NAME, "clock"))
    return None if timely else refuse(world, "clock")


def in_time(call: Call, clock: str) -> bool:
    """Whether the timestamp is there and inside the window."""
    text, window = call.query.get("timestamp", ""), call.query.get("recvWindow", "")
    if not text.isdecimal():
        return False
    back = min(int(window), MOST_RECV_WINDOW_MS) if window.isdecimal() else RECV_WINDOW_MS
    ahead = AHEAD_MS
    if clock == "source":
        back = ahead = SOURCE_WINDOW_MS
    return clock == "off" or call.now_ms - back <= int(text) <= call.now_ms + ahead


def refuse(world: World, word: str) -> Reply:
    """Say one of the venue's words."""
    if word == "throttle":
        return with_retry_after(
            gateway_page(429, outcome="throttled"), world.setting(NAME, "retry_after_s")
        )
    if word == "clock" and world.setting(NAME, "clock") == "source":
        return deny(401, "SIGNATURE_INVALID", "Timestamp outside recv window", "clock")
    return REFUSALS[word]()


#: codes of the auth layer (the source), -1021 (docs); the ban is Binance's, not documented here
REFUSALS: dict[str, Callable[[], Reply]] = {
    "ban": lambda: fail(418, -1003, "Too many requests; IP banned.", "banned"),
    "maintenance": lambda: gateway_page(503, outcome="maintenance"),
    "clock": lambda: fail(400, -1021, "INVALID_TIMESTAMP", "clock"),
    "auth": lambda: deny(401, "INVALID_API_KEY", "Invalid API key"),
    "permission": lambda: deny(401, "UNAUTHORIZED", "No such permission", "permission"),
    "unknown_route": lambda: reply_text("", outcome="unknown_route", status=404),
}

VENUE = Venue(
    name=NAME,
    prefix="/fapi/",
    routes=ROUTES,
    options={
        "client_ids": Option("honoured", ("honoured", "ignored")),
        "terminal_ids": Option("dropped", ("dropped", "listed")),
        "batch_client_id": Option("uuid", ("uuid", "own")),
        "wrong_symbol": Option("absent", ("absent", "canceled")),
        "max_ids": Option("on", ("on", "off")),
        "clock": Option("documented", ("documented", "source", "off")),
        #: seconds in Retry-After of a 429, or null for none
        "retry_after_s": Option(None, nullable=True),
    },
    limits={"account": "10/1s"},
    api_key=lambda call: call.headers.get("X-MBX-APIKEY", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: is_uuid(order_id) and order_id == order_id.lower(),
)
