"""Kraken Spot as a sandbox: a bare count for a batch, and a nonce that must grow.

Docs: https://docs.kraken.com/api/docs/ ("the pages": guides/spot-rest-auth, spot-errors and
spot-rest-ratelimits, rest-api/cancel-order, cancel-order-batch, get-orders-info,
get-open-orders and get-closed-orders).

Quirks
- What an id does in a batch that is not open is not documented: it makes the count smaller, or
  has the batch refused, or is told beside the count (setting `bad_id`). The count may be that
  of the ids asked for (`count`), and a batch of one may be refused (`batch_of_one`).
- So is what an unknown id does to a look-up of several: it is left out, or has it refused, or
  is told beside the others (`query`).
- A nonce that is not above all others is refused, but for `nonce_window_ms`.
- A number in place of an id names a group of orders: whoever sends one is recorded.
- Limits are per key, in a window: 20 calls in 40 s are what a counter of 20 allows that falls
  by a half each second. Cancels are free; the counters of pairs are not played.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .book import LIVE, Order, OrdType, State
from .messages import Call, Reply, reply_json
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "kraken_spot"

API = "/0/private"

#: most ids of a batch and of a look-up (the pages)
MOST_IDS = 50

#: a timer is shorter (page Cancel All Orders After)
MOST_TIMER_S = 86_400

#: rows of a page of what is over (page Get Closed Orders)
CLOSED_ROWS = 50

ORDER_ID = re.compile("O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")

KINDS = {
    OrdType.LIMIT: "limit",
    OrdType.MARKET: "market",
    OrdType.TRIGGER: "stop-loss",
    OrdType.TP_SL: "take-profit",
    OrdType.TRAILING_STOP: "trailing-stop",
}

WORDS = {
    State.OPEN: "open",
    State.PARTIALLY_FILLED: "open",
    State.FILLED: "closed",
    State.CANCELED: "canceled",
    State.EXPIRED: "expired",
    State.REJECTED: "canceled",
}


def sign(secret: bytes, path: str, nonce: str, body: bytes) -> str:
    """Compute the signature: of the path and of a digest of nonce and body (the pages)."""
    inner = hashlib.sha256(nonce.encode() + body).digest()
    mac = hmac.new(base64.b64decode(secret), path.encode() + inner, hashlib.sha512)
    return base64.b64encode(mac.digest()).decode()


def answer(result: Any, error: str = "") -> Reply:
    """Answer with a result, and perhaps with an error beside it."""
    return reply_json({"error": [error] if error else [], "result": result})


def fail(error: str, outcome: str = "bad_request") -> Reply:
    """Answer with an error alone; the status is 200 even so (the pages)."""
    return reply_json({"error": [error]}, outcome=outcome)


def named(call: Call) -> tuple[list[Any], list[Any]]:
    """Read what a request names: order ids and client order ids, as they came."""
    body = call.fields
    orders, clients = body.get("orders", []), body.get("cl_ord_ids", [])
    if not isinstance(orders, list) or not isinstance(clients, list):
        return [], []
    if "txid" in body:
        txid = body["txid"]
        orders = txid.split(",") if isinstance(txid, str) else [txid]
    return orders, [*clients, *([body["cl_ord_id"]] if "cl_ord_id" in body else [])]


def asked_ids(call: Call) -> list[str]:
    """Read the ids that a request names, of either kind."""
    return [str(each) for ids in named(call) for each in ids]


def live(world: World, call: Call) -> list[Order | None]:
    """Find the open orders that a cancel names; None stands for each that is not open."""
    orders, clients = named(call)
    found = [
        *(world.book.find(NAME, call.api_key, str(each)) for each in orders),
        *(world.book.by_client(NAME, call.api_key, str(each)) for each in clients),
    ]
    return [order if order is not None and order.is_live else None for order in found]


def of_group(world: World, call: Call) -> Reply | None:
    """Refuse a number in place of an id; record who sends one."""
    orders, clients = named(call)
    if all(isinstance(each, str) for each in (*orders, *clients)):
        return None
    return trade(world, call)


def counted(world: World, count: int, error: str = "") -> Reply:
    """Answer how many orders were canceled."""
    pending = {"pending": True} if world.setting(NAME, "pending") == "yes" else {}
    return answer({"count": count} | pending, error)


def cancel_one(world: World, call: Call) -> Reply:
    """POST CancelOrder."""
    ids = asked_ids(call)
    if refused := of_group(world, call):
        return refused
    if len(ids) != 1:
        return fail("EGeneral:Invalid arguments")
    if "txid" in call.fields and not ORDER_ID.fullmatch(ids[0]):
        return fail("EOrder:Invalid order", "not_found")
    (order,) = live(world, call)
    if order is None or not world.cancel(call, order):
        return fail("EOrder:Unknown order", "not_found")
    return counted(world, 1)


def cancel_batch(world: World, call: Call) -> Reply:
    """POST CancelOrderBatch."""
    ids = asked_ids(call)
    if refused := of_group(world, call):
        return refused
    least = 2 if world.setting(NAME, "batch_of_one") == "refused" else 1
    if not least <= len(ids) <= MOST_IDS or len(set(ids)) < len(ids):
        return fail("EGeneral:Invalid arguments:orders")
    found, bad_id = live(world, call), world.setting(NAME, "bad_id")
    if None in found and bad_id == "refused":
        return fail("EOrder:Unknown order", "not_found")
    done = sum(world.cancel(call, order) for order in found if order is not None)
    count = len(ids) if world.setting(NAME, "count") == "asked" else done
    error = "EOrder:Unknown order" if None in found and bad_id == "beside" else ""
    return counted(world, count, error)


def show(order: Order, state: State) -> dict[str, Any]:
    """Show an order as page Query Orders Info does."""
    row = {
        "refid": None,
        "userref": None,
        "status": WORDS[state],
        "opentm": order.created_ms / 1000,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": order.symbol,
            "type": order.side,
            "ordertype": KINDS[order.ord_type],
            "price": "27500.0",
            "leverage": "none",
        },
        "vol": f"{order.quantity}.00000000",
        "vol_exec": f"{order.filled}.00000000",
        "misc": "",
        "oflags": "fciq",
    }
    if order.client_order_id:
        row["cl_ord_id"] = order.client_order_id
    if state not in LIVE:
        reason = "User requested" if order.canceled_by == "request" else None
        row |= {"closetm": order.updated_ms / 1000, "reason": reason}
    return row


def query(world: World, call: Call) -> Reply:
    """POST QueryOrders: orders of any state, by their ids."""
    ids = asked_ids(call)
    if "txid" not in call.fields or len(ids) > MOST_IDS:
        return fail("EGeneral:Invalid arguments:txid")
    rows: dict[str, Any] = {}
    for order_id in ids:
        order = world.book.find(NAME, call.api_key, order_id)
        state = order.seen(call.bend.read_at) if order is not None else None
        if order is None or state is None or call.bend.hides(order_id):
            continue
        if state in LIVE or order.on_record(call.bend.record_at):
            rows[order_id] = show(order.as_of(call.bend.read_at), state)
    way = world.setting(NAME, "query")
    if len(rows) == len(ids) or (len(ids) > 1 and way == "omitted"):
        return answer(rows)
    if len(ids) > 1 and way == "beside":
        return answer(rows, "EOrder:Invalid order")
    return fail("EOrder:Invalid order", "not_found")


def of_client(call: Call, order: Order) -> bool:
    """Whether an order fits the client order id that a list is asked for, if any."""
    return call.fields.get("cl_ord_id") in (None, order.client_order_id)


def list_open(world: World, call: Call) -> Reply:
    """POST OpenOrders: all of them."""
    at_s = call.bend.read_at
    shown = world.listed(call, NAME, world.book.shelf(NAME, call.api_key).shown(at_s))
    rows = {
        order.id: show(order, state)
        for order in shown
        if (state := order.seen(at_s)) is not None
        and of_client(call, order)
        and not call.bend.hides(order.id)
    }
    return answer({"open": rows})


def list_closed(world: World, call: Call) -> Reply:
    """POST ClosedOrders: the newest first, 50 a page."""
    at_s, begin = call.bend.read_at, int(call.fields.get("ofs", 0))
    over = [
        (order.as_of(at_s), state)
        for order in world.book.shelf(NAME, call.api_key)
        if (state := order.seen(at_s)) is not None
        and state not in LIVE
        and order.on_record(call.bend.record_at)
        and of_client(call, order)
        and not call.bend.hides(order.id)
    ]
    over.sort(key=lambda each: each[0].updated_ms, reverse=True)
    page = over[begin : begin + world.most_rows(NAME, CLOSED_ROWS)]
    count = {} if call.fields.get("without_count") else {"count": len(over)}
    return answer({"closed": {order.id: show(order, state) for order, state in page}} | count)


def set_timer(world: World, call: Call) -> Reply:
    """POST CancelAllOrdersAfter: of all orders; what a disarmed one tells is not documented."""
    after_s = call.fields.get("timeout")
    if type(after_s) is not int or not 0 <= after_s < MOST_TIMER_S:
        return fail("EGeneral:Invalid arguments:timeout")
    world.set_timer(call, NAME, after_s)
    now = datetime.fromtimestamp(call.now_ms // 1000, UTC)
    fires = f"{now + timedelta(seconds=after_s):%Y-%m-%dT%H:%M:%SZ}" if after_s else "0"
    return answer({"currentTime": f"{now:%Y-%m-%dT%H:%M:%SZ}", "triggerTime": fires})


def trade(world: World, call: Call) -> Reply:
    """Place, edit, or cancel by group: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail("EGeneral:Permission denied", "traded")


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a wrong signature, and then a nonce that is too low or was used."""
    nonce = str(call.fields.get("nonce", ""))
    given, secret = call.headers.get("API-Sign", ""), account.secret or b""
    expected = sign(secret, call.path, nonce, call.body)
    if not secret or not hmac.compare_digest(expected.encode(), given.encode()):
        return fail("EAPI:Invalid signature", "auth")
    used = world.nonces.setdefault((NAME, call.api_key), set())
    highest = max(map(int, used), default=-1)
    lowest = highest - world.setting(NAME, "nonce_window_ms")
    if not nonce.isdecimal() or nonce in used or int(nonce) < lowest:
        return refuse(world, "clock")
    used.add(nonce)
    used -= {each for each in used if int(each) < lowest}
    return None


def refuse(_: World, word: str) -> Reply:
    """Say one of the venue's words."""
    return REFUSALS[word]()


REFUSALS: dict[str, Callable[[], Reply]] = {
    "throttle": lambda: fail("EAPI:Rate limit exceeded", "throttled"),
    "ban": lambda: fail("EGeneral:Temporary lockout", "banned"),
    "maintenance": lambda: fail("EService:Unavailable", "maintenance"),
    "clock": lambda: fail("EAPI:Invalid nonce", "clock"),
    "auth": lambda: fail("EAPI:Invalid key", "auth"),
    "permission": lambda: fail("EGeneral:Permission denied", "permission"),
    "unknown_route": lambda: fail("EGeneral:Unknown method", "unknown_route"),
}

ROUTES = {
    ("POST", f"{API}/CancelOrder"): Route(cancel_one, "requests", asked_ids, cancels=True),
    ("POST", f"{API}/CancelOrderBatch"): Route(
        cancel_batch, "requests", asked_ids, cancels=True
    ),
    ("POST", f"{API}/QueryOrders"): Route(query, "lookup", asked_ids),
    ("POST", f"{API}/OpenOrders"): Route(list_open, "lookup"),
    ("POST", f"{API}/ClosedOrders"): Route(list_closed, "lookup", asked_ids),
    ("POST", f"{API}/CancelAllOrdersAfter"): Route(set_timer, "lookup", cancels=True),
    **{
        ("POST", f"{API}/{name}"): Route(trade, "requests", signed=False)
        for name in (
            "AddOrder",
            "AddOrderBatch",
            "EditOrder",
            "AmendOrder",
            "CancelAll",
            "Withdraw",
        )
    },
}

VENUE = Venue(
    name=NAME,
    prefix="/0/private/",
    routes=ROUTES,
    options={
        "bad_id": Option("fewer", ("fewer", "refused", "beside")),
        "count": Option("canceled", ("canceled", "asked")),
        "batch_of_one": Option("taken", ("taken", "refused")),
        "query": Option("omitted", ("omitted", "refused", "beside")),
        "pending": Option("no", ("no", "yes")),
        "nonce_window_ms": Option(0),
    },
    limits={"lookup": "20/40s"},
    always=(),
    api_key=lambda call: call.headers.get("API-Key", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: ORDER_ID.fullmatch(order_id) is not None,
)
