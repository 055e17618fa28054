"""Kuna v4 as a sandbox: ordinary refusals are HTTP 500, and one bad id spoils a batch.

Docs: https://docs.kuna.io/docs/ (cancel-multiple-orders, cancel-order-by-id,
get-order-details-by-id, get-active-client-orders-private, get-private-orders-history) and
https://docs.kuna.io/reference/authorizing-requests . The exchange closed in 2025.

Quirks
- One id that is no UUID: HTTP 500 WrongRequestException, and nothing of the batch is canceled.
- A closed order in a batch: HTTP 400 BAD_REQUEST while the rest *is* canceled (error table),
  or rows with `success: false` (the prose) by the setting `closed_in_multi` "rows".
- An unknown id in a batch is a row with `success: false` (not documented; choice).
- Answers come as `{"data": ...}` or bare (setting `envelope`), rows with `id` or `orderId`
  (setting `id_key`), errors with their own status or with HTTP 200 (setting `errors_status`).
- The signed body is compact JSON, `{}` for GET whether or not it is sent.
- Whether a nonce may come twice or be old is not documented: refused here (settings `nonce`,
  `skew_s`).
- A key with a secret must sign; one without is used in the `api-key` header (choice).
- The open list goes back two weeks unless `start` is given, and shows a hundred orders at most.
- Limits and the answer to too many requests are not documented: ten a second, HTTP 429.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from .book import Order, OrdType, State
from .messages import Call, Reply, is_uuid, reply_json
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "kuna"
PATH = "/v4/order/private"
DETAILS = f"{PATH}/details/"

#: "Maximum number of active orders: 100"; the list's default start (Get active client orders)
MOST_ROWS, TWO_WEEKS_MS = 100, 14 * 86_400_000

#: statuses of the history page
STATUSES = {
    State.OPEN: "Open",
    State.PARTIALLY_FILLED: "Open",
    State.FILLED: "Closed",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Expired",
    State.REJECTED: "Rejected",
}


def sign(secret: bytes, target: str, nonce: str, body: str) -> str:
    """Compute the signature: hex of HMAC-SHA384 over target, nonce and body."""
    return hmac.new(secret, f"{target}{nonce}{body}".encode(), hashlib.sha384).hexdigest()


def compact(body: bytes) -> str | None:
    """Write a JSON body as the venue does before it checks a signature."""
    try:
        return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return None


def is_signed(call: Call, secret: bytes) -> bool:
    """Whether the signature is right for the body, sent as it was signed."""
    body = "{}" if call.method == "GET" else call.body.decode("utf-8", "replace")
    if call.method != "GET" and compact(call.body) not in (None, body):
        return False
    target = call.path + (f"?{call.raw_query}" if call.raw_query else "")
    expected = sign(secret, target, call.headers.get("nonce", ""), body)
    return hmac.compare_digest(expected.encode(), call.headers.get("signature", "").encode())


def succeed(world: World, value: Any) -> Reply:
    """Answer in the envelope of the setting."""
    bare = world.setting(NAME, "envelope") == "bare"
    return reply_json(value if bare else {"data": value})


def fail(world: World, status: int, code: str, message: str, outcome: str) -> Reply:
    """Answer with an error, whose HTTP status the setting may hide."""
    shown = 200 if world.setting(NAME, "errors_status") == "200" else status
    body = {"errors": [{"code": code, "message": message}]}
    return reply_json(body, outcome=outcome, status=shown)


def spoiled(world: World, message: str) -> Reply:
    """Answer to an id that is no UUID."""
    return fail(world, 500, "WrongRequestException", message, "bad_request")


def unreadable(world: World) -> Reply:
    """Answer to a body that is not JSON."""
    return fail(world, 500, "Internal Server Error", "Invalid JSON", "bad_request")


def closed(world: World, order: Order) -> Reply:
    """Answer for an order that is over."""
    text = f"Order with status {status_word(order, None)} can't be canceled"
    return fail(world, 400, "BAD_REQUEST", text, "closed")


def unknown(world: World) -> Reply:
    """Answer for an order that is not there (text not documented)."""
    return fail(world, 404, "NOT_FOUND", "Order not found", "not_found")


def status_word(order: Order, at_s: float | None) -> str:
    """Tell the venue's word for what the order is; a stop order waits."""
    state = order.seen(at_s) or order.state
    if state is State.OPEN and order.ord_type not in (OrdType.LIMIT, OrdType.MARKET):
        return "WaitStop"
    return STATUSES[state]


def show(order: Order, at_s: float | None) -> dict[str, Any]:
    """Show an order."""
    return {
        "id": order.id,
        "type": "Market" if order.ord_type is OrdType.MARKET else "Limit",
        "quantity": str(order.quantity),
        "executedQuantity": str(order.filled),
        "cumulativeQuoteQty": "0",
        "cost": "0",
        "side": "Ask" if order.side == "sell" else "Bid",
        "pair": order.symbol,
        "price": "1",
        "status": status_word(order, at_s),
        "createdAt": order.created_ms,
        "updatedAt": order.updated_ms,
    }


def find(world: World, call: Call, order_id: str) -> Order | None:
    """Find the account's order, if the venue still has a record of it."""
    order = world.book.find(NAME, call.api_key, order_id.lower())
    return None if order is None or order.purged else order


def cancel_one(world: World, call: Call) -> Reply:
    """POST /v4/order/private/cancel."""
    if call.json is None:
        return unreadable(world)
    order_id = call.fields.get("orderId")
    if not is_uuid(order_id):
        return spoiled(world, "orderId must be a UUID")
    order = find(world, call, str(order_id))
    if order is None:
        return unknown(world)
    if world.cancel(call, order):
        return succeed(world, {"success": True})
    if not order.is_live:
        return closed(world, order)
    text = (
        f"Order with id: {order.id} already has been processed or canceled. "
        "Check status again and repeat the request"
    )
    return fail(world, 500, "CANCEL_ORDER_FAILED", text, "refused")


def cancel_multi(world: World, call: Call) -> Reply:
    """POST /v4/order/private/cancel/multi."""
    if call.json is None:
        return unreadable(world)
    ids = call.fields.get("orderIds")
    if not isinstance(ids, list) or not ids or not all(map(is_uuid, ids)):
        return spoiled(world, "each value in orderIds must be a UUID")
    named = {i: find(world, call, i) for i in ids}
    over = next((o for o in named.values() if o is not None and not o.is_live), None)
    success = {i: o is not None and world.cancel(call, o) for i, o in named.items()}
    if over is not None and world.setting(NAME, "closed_in_multi") == "error_400":
        return closed(world, over)
    key = world.setting(NAME, "id_key")
    rows = [{key: i, "success": success[i]} for i in success if not call.bend.hides(i)]
    return succeed(world, rows)


def details(world: World, call: Call) -> Reply:
    """GET /v4/order/private/details/{id}."""
    order_id = call.path.removeprefix(DETAILS)
    if not is_uuid(order_id):
        return spoiled(world, "id must be a UUID")
    order = find(world, call, order_id)
    if order is None or not is_shown(call, order):
        return unknown(world)
    return succeed(world, show(order.as_of(call.bend.read_at), call.bend.read_at))


def is_shown(call: Call, order: Order) -> bool:
    """Whether the venue shows the order: open, or over and on record."""
    at_s = call.bend.read_at
    if order.seen(at_s) is None:
        return False
    return order.lives(at_s) or order.on_record(call.bend.record_at)


def active(world: World, call: Call) -> Reply:
    """GET /v4/order/private/active."""
    at = call.bend.read_at
    start = call.int_param("start", call.now_ms - TWO_WEEKS_MS, 10**15)
    end = call.int_param("end", 10**15, 10**15)
    orders = [
        o
        for o in world.listed(call, NAME, listed(world, call))
        if o.lives(at) and start <= o.created_ms <= end
    ]
    return page(world, call, orders)


def history(world: World, call: Call) -> Reply:
    """GET /v4/order/private/history."""
    at, status = call.bend.read_at, call.query.get("status")
    orders = [
        o
        for o in listed(world, call)
        if is_shown(call, o) and status in (None, status_word(o, at))
    ]
    return page(world, call, orders)


def listed(world: World, call: Call) -> Sequence[Order]:
    """List the account's orders of the asked pairs."""
    pairs = [p for p in call.query.get("pairs", "").split(",") if p]
    orders = world.book.shelf(NAME, call.api_key)
    return [o for o in orders if (not pairs or o.symbol in pairs) and not call.bend.hides(o.id)]


def page(world: World, call: Call, orders: Sequence[Order]) -> Reply:
    """Answer with as many orders as the request asks for, newest first."""
    newest = call.query.get("sort") != "asc"
    most = world.most_rows(NAME, MOST_ROWS)
    limit = call.int_param("limit", most, most)
    ordered = sorted(orders, key=lambda o: o.created_ms, reverse=newest)
    at_s = call.bend.read_at
    return succeed(world, [show(o.as_of(at_s), at_s) for o in ordered[:limit]])


def server_time(world: World, call: Call) -> Reply:
    """GET /v4/public/timestamp."""
    now = {"timestamp": call.now_ms // 1000, "timestamp_miliseconds": call.now_ms}
    return succeed(world, now)


def trade(world: World, call: Call) -> Reply:
    """Place an order: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail(world, 400, "BAD_REQUEST", "Not enough balance", "traded")


def body_ids(call: Call) -> list[str]:
    """Read the ids that a cancel names, in lower case as the book has them."""
    ids = call.fields.get("orderIds", [call.fields.get("orderId")])
    return [str(i).lower() for i in ids] if isinstance(ids, list) else []


ROUTES = {
    ("POST", f"{PATH}/cancel"): Route(cancel_one, "cancel_one", body_ids, cancels=True),
    ("POST", f"{PATH}/cancel/multi"): Route(
        cancel_multi, "cancel_batch", body_ids, cancels=True
    ),
    ("GET", DETAILS): Route(
        details, "lookup", lambda c: [c.path.removeprefix(DETAILS).lower()]
    ),
    ("GET", f"{PATH}/active"): Route(active, "open_orders"),
    ("GET", f"{PATH}/history"): Route(history, "history"),
    ("GET", "/v4/public/timestamp"): Route(server_time, "time", signed=False),
    ("POST", f"{PATH}/create"): Route(trade, "trade", signed=False),
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse the wrong mode, a wrong signature and a nonce that is old or was used."""
    if (account.secret is None) != ("public-key" not in call.headers):
        return refuse(world, "auth")
    if account.secret is None:
        return None
    if not is_signed(call, account.secret):
        return fail(world, 401, "UNAUTHORIZED", "Invalid signature", "auth")
    return check_nonce(world, call)


def check_nonce(world: World, call: Call) -> Reply | None:
    """Refuse a nonce that is far from the venue's clock or was used before."""
    nonce = call.headers.get("nonce", "")
    if not in_time(nonce, call.now_ms, world.setting(NAME, "skew_s")):
        return refuse(world, "clock")
    used = world.nonces.setdefault((NAME, call.api_key), set())
    if world.setting(NAME, "nonce") == "unique" and nonce in used:
        return fail(world, 401, "UNAUTHORIZED", "Nonce was used before", "auth")
    used.add(nonce)
    return None


def in_time(nonce: str, now_ms: int, skew_s: float | None) -> bool:
    """Whether a nonce is Unix milliseconds, near enough to the venue's clock."""
    try:
        return skew_s is None or abs(float(nonce) - now_ms) <= skew_s * 1000
    except ValueError:
        return False


def refuse(world: World, word: str) -> Reply:
    """Say one of the venue's words."""
    return fail(world, *REFUSALS[word])


#: none of these is documented: the sandbox's choice, in the envelope of the error tables
REFUSALS = {
    "throttle": (429, "TOO_MANY_REQUESTS", "Too many requests", "throttled"),
    "ban": (403, "FORBIDDEN", "Your IP address is banned", "banned"),
    "maintenance": (503, "SERVICE_UNAVAILABLE", "Service is under maintenance", "maintenance"),
    "clock": (401, "UNAUTHORIZED", "Nonce is out of the allowed window", "clock"),
    "auth": (401, "UNAUTHORIZED", "Invalid API key", "auth"),
    "permission": (403, "FORBIDDEN", "Key has no such permission", "permission"),
    "unknown_route": (404, "NOT_FOUND", "Cannot find the route", "unknown_route"),
}

VENUE = Venue(
    name=NAME,
    prefix="/v4/",
    routes=ROUTES,
    options={
        "envelope": Option("data", ("data", "bare")),
        "id_key": Option("id", ("id", "orderId")),
        "closed_in_multi": Option("error_400", ("error_400", "rows")),
        "errors_status": Option("http", ("http", "200")),
        "nonce": Option("unique", ("unique", "any")),
        #: how old or new a nonce may be, in seconds; null is any age
        "skew_s": Option(60, nullable=True),
    },
    limits={"account": "10/1s"},
    api_key=lambda call: call.headers.get("public-key") or call.headers.get("api-key", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: is_uuid(order_id) and order_id == order_id.lower(),
)
