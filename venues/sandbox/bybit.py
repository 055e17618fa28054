"""Bybit v5 as a sandbox: one wire for all categories, batches answered by two lists.

Docs: https://bybit-exchange.github.io/docs/v5/ ("the pages": guide, order/cancel-order,
order/batch-cancel, order/open-order, order/order-list, rate-limit, error, enum).

Quirks
- The category of an order is its `product` (linear, where none is seeded); other categories do
  not know it. Its symbol must be right to cancel it, and is not looked at to look it up by id.
- A cancel only says that it was taken; what is over or unknown is 110001, on spot 170213.
- On spot a cancel reaches the kind that its `orderFilter` names alone, a batch plain orders
  alone; that another kind is answered like an unknown order is not documented.
- A batch draws from its limit for each order, in their order (options: once); what is left over
  is refused by 10006 at its place. What a refused item echoes is not documented: setting
  `batch_echo` "none" leaves its ids empty.
- /realtime by id shows what is open and what has ended, /history what has ended. After a
  restart (setting `restarted`) /realtime shows what is open alone.
- That a look-up of linear names a symbol is demanded or not (setting `lookup_symbol`), as the
  page says both.
- A stop keeps its id when it fires (`triggered`); on spot one canceled before is "Deactivated".
- Limits are per key; that of the address is, too, here: 600 in 5 s, then 403 for as long as
  setting `ban_s` says (the page: ten minutes).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

from .book import LIVE, Order, OrdType, State
from .messages import Call, Reply, reply_json, reply_text
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "bybit"

#: most orders of a batch (page batch-cancel)
MOST_IDS = {"linear": 20, "inverse": 20, "option": 20, "spot": 10}

#: default of recvWindow, and how far ahead a timestamp may be, in ms (guide)
RECV_WINDOW_MS, AHEAD_MS = 5_000, 1_000

#: kinds of spot by the word that a cancel names them with (page cancel-order)
FILTERS = {
    "Order": frozenset({OrdType.LIMIT, OrdType.MARKET}),
    "tpslOrder": frozenset({OrdType.TP_SL}),
    "StopOrder": frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP}),
}

STOP_TYPES = {
    OrdType.TRIGGER: "Stop",
    OrdType.TRAILING_STOP: "TrailingStop",
    OrdType.TP_SL: "tpslOrder",
}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def sign(secret: bytes, payload: str) -> str:
    """Compute the signature: lower-case hex of HMAC-SHA256 (guide)."""
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def envelope(code: int, msg: str, result: Any = None, ext: Any = None) -> dict[str, Any]:
    """Wrap an answer as all are."""
    return {
        "retCode": code,
        "retMsg": msg,
        "result": result or {},
        "retExtInfo": ext or {},
        "time": 0,
    }


def fail(code: int, msg: str, outcome: str = "bad_request") -> Reply:
    """Answer with an error, as all are: HTTP 200."""
    return reply_json(envelope(code, msg), outcome=outcome)


def category_of(call: Call) -> str:
    """Read the category that a request names."""
    named = call.fields.get("category") if call.method == "POST" else call.query.get("category")
    return named if isinstance(named, str) else ""


def asked_ids(call: Call) -> list[str]:
    """Read the ids that a request names, of either kind."""
    items = call.fields.get("request", [call.fields or call.query])
    rows = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [str(row.get("orderId") or row.get("orderLinkId") or "") for row in rows]


def find(world: World, call: Call, item: Mapping[str, Any]) -> Order | None:
    """Find the order that an item names in its category; `orderId` goes first."""
    if order_id := item.get("orderId"):
        order = world.book.find(NAME, call.api_key, str(order_id))
    else:
        order = world.book.by_client(NAME, call.api_key, str(item.get("orderLinkId") or ""))
    if order is None or (order.product or "linear") != category_of(call):
        return None
    return order


def unknown(call: Call) -> tuple[int, str]:
    """Say that an order is unknown, or over, in the words of its category."""
    if category_of(call) == "spot":
        return 170213, "Order does not exist."
    return 110001, "order not exists or too late to cancel"


def cancel(world: World, call: Call, item: Mapping[str, Any], word: str) -> tuple[int, str]:
    """Cancel what an item names; return its code and message."""
    order = find(world, call, item)
    if order is None or order.symbol != item.get("symbol"):
        return unknown(call)
    waits = order.ord_type in STOP_TYPES and not order.triggered
    kind = order.ord_type if waits else OrdType.LIMIT
    if category_of(call) == "spot" and kind not in FILTERS[word]:
        return unknown(call)
    return (0, "OK") if world.cancel(call, order) else unknown(call)


def drawn(world: World, call: Call, name: str) -> bool:
    """Take a place under the category's limit; say whether there was one."""
    spot = category_of(call) == "spot"
    names = (f"{name}_spot" if spot else name,)
    return world.limits.draw(NAME, call.api_key, names, call.at_s) is None


def lacks(call: Call, item: Any) -> Reply | None:
    """Refuse what names no category, symbol or order."""
    if category_of(call) not in MOST_IDS:
        return fail(10001, "Illegal category")
    if not isinstance(item, dict) or not item.get("symbol"):
        return fail(10001, "params error: symbol invalid")
    if not item.get("orderId") and not item.get("orderLinkId"):
        return fail(10001, "OrderId or orderLinkId is required")
    return None


def cancel_one(world: World, call: Call) -> Reply:
    """POST order/cancel."""
    item, word = call.fields, str(call.fields.get("orderFilter", "Order"))
    if refused := lacks(call, item):
        return refused
    if word not in FILTERS:
        return fail(170201, "Your order type is not supported, please check.")
    if not drawn(world, call, "cancel_one"):
        return refuse(world, "throttle")
    code, msg = cancel(world, call, item, word)
    if code:
        return fail(code, msg, "not_found")
    named = {"orderId": item.get("orderId", ""), "orderLinkId": item.get("orderLinkId", "")}
    return reply_json(envelope(0, "OK", named))


def cancel_batch(world: World, call: Call) -> Reply:
    """POST order/cancel-batch: the ids in one list, their codes in another."""
    items = call.fields.get("request")
    if not isinstance(items, list) or not items:
        return fail(10001, "request is required")
    refused = next((each for each in (lacks(call, item) for item in items) if each), None)
    if refused:
        return refused
    category = category_of(call)
    if len(items) > MOST_IDS[category]:
        return fail(10001, f"The number of orders exceeds {MOST_IDS[category]}")
    if category == "option" and not drawn(world, call, "cancel_batch"):
        return refuse(world, "throttle")
    named, said = [], []
    for item in items:
        if category != "option" and not drawn(world, call, "cancel_batch"):
            code, msg = 10006, "Too many visits!"
        else:
            code, msg = cancel(world, call, item, "Order")
        if call.bend.hides(str(item.get("orderId") or item.get("orderLinkId"))):
            continue
        echoes = not code or world.setting(NAME, "batch_echo") == "ids"
        ids = {
            name: item.get(name, "") if echoes else "" for name in ("orderId", "orderLinkId")
        }
        named.append({"category": category, "symbol": item["symbol"], **ids})
        said.append({"code": code, "msg": msg})
    return reply_json(envelope(0, "OK", {"list": named}, {"list": said}))


def status_of(order: Order, state: State) -> str:
    """Tell an order's status in Bybit's words (page enum)."""
    waits = order.ord_type in STOP_TYPES and not order.triggered
    spot = order.product == "spot"
    if state is State.OPEN:
        return "Untriggered" if waits else "New"
    if state in (State.CANCELED, State.EXPIRED):
        if spot and waits:
            return "Deactivated"
        return "PartiallyFilledCanceled" if spot and order.filled else "Cancelled"
    words = {State.PARTIALLY_FILLED: "PartiallyFilled", State.FILLED: "Filled"}
    return words.get(state, "Rejected")


def show(order: Order, state: State) -> dict[str, Any]:
    """Show an order, as page open-order does."""
    return {
        "orderId": order.id,
        "orderLinkId": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.title(),
        "qty": str(order.quantity),
        "cumExecQty": str(order.filled),
        "leavesQty": str(order.quantity - order.filled if state in LIVE else 0),
        "orderStatus": status_of(order, state),
        "orderType": "Market" if order.ord_type is OrdType.MARKET else "Limit",
        "stopOrderType": STOP_TYPES.get(order.ord_type, ""),
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def look(world: World, call: Call) -> Reply:
    """GET order/realtime and order/history, by id, or what is open of a symbol."""
    category, symbol = category_of(call), call.query.get("symbol", "")
    if category not in MOST_IDS:
        return fail(10001, "Illegal category")
    demanded = world.setting(NAME, "lookup_symbol") == "demanded"
    by_id = bool(call.query.get("orderId") or call.query.get("orderLinkId"))
    if category == "linear" and not symbol and (demanded or not by_id):
        return fail(10001, "Missing some parameters that must be filled in, symbol")
    if by_id:
        order = find(world, call, call.query)
        found = [order] if order is not None else []
    else:
        shelf = world.book.shelf(NAME, call.api_key)
        here = [o for o in shelf.live.values() if (o.product or "linear") == category]
        found = [o for o in here if symbol in ("", o.symbol)]
    rows = [row for each in found if (row := seen(world, call, each)) is not None]
    result = {"category": category, "list": rows[:50], "nextPageCursor": ""}
    return reply_json(envelope(0, "OK", result))


def seen(world: World, call: Call, order: Order) -> dict[str, Any] | None:
    """Show an order as one of the two look-ups sees it; None where it does not."""
    at_s, state = call.bend.read_at, order.seen(call.bend.read_at)
    if state is None:
        return None
    if state not in LIVE:
        forgets = not is_history(call) and world.setting(NAME, "restarted")
        if forgets or not order.on_record(call.bend.record_at):
            return None
    elif is_history(call):
        return None
    return show(order.as_of(at_s), state)


def is_history(call: Call) -> bool:
    """Whether a request reads the record of what has ended."""
    return call.path.endswith("/history")


def server_time(_: World, call: Call) -> Reply:
    """GET market/time."""
    result = {"timeSecond": str(call.now_ms // 1000), "timeNano": str(call.now_ms * 10**6)}
    return reply_json(envelope(0, "OK", result))


def trade(world: World, call: Call) -> Reply:
    """Place or change orders: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail(10005, "Permission denied", "traded")


ROUTES = {
    ("POST", "/v5/order/cancel"): Route(cancel_one, "requests", asked_ids, cancels=True),
    ("POST", "/v5/order/cancel-batch"): Route(
        cancel_batch, "requests", asked_ids, cancels=True
    ),
    ("GET", "/v5/order/realtime"): Route(look, "lookup", asked_ids),
    ("GET", "/v5/order/history"): Route(look, "history", asked_ids),
    ("GET", "/v5/market/time"): Route(server_time, "requests", signed=False),
    **{
        ("POST", f"/v5/order/{name}"): Route(trade, "requests", signed=False)
        for name in (
            "create",
            "amend",
            "create-batch",
            "amend-batch",
            "disconnected-cancel-all",
        )
    },
    ("POST", "/v5/strategy/create"): Route(trade, "requests", signed=False),
    ("POST", "/v5/position/trading-stop"): Route(trade, "requests", signed=False),
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a time outside the window and a wrong signature (guide)."""
    if call.method == "GET" and call.body:
        return reply_text("Forbidden", outcome="bad_request", status=403)
    time_ms = call.headers.get("X-BAPI-TIMESTAMP", "")
    window = call.headers.get("X-BAPI-RECV-WINDOW", "")
    back = int(window) if window.isdecimal() else RECV_WINDOW_MS
    if not time_ms.isdecimal() or not (
        call.now_ms - back <= int(time_ms) < call.now_ms + AHEAD_MS
    ):
        return refuse(world, "clock")
    sent = call.raw_query if call.method == "GET" else call.body.decode("utf-8", "replace")
    expected = sign(account.secret or b"", f"{time_ms}{call.api_key}{window}{sent}")
    given = call.headers.get("X-BAPI-SIGN", "")
    if account.secret is None or not hmac.compare_digest(expected.encode(), given.encode()):
        return fail(10004, "error sign! please check your signature generation.", "auth")
    return None


def refuse(_: World, word: str) -> Reply:
    """Say one of the venue's words."""
    return REFUSALS[word]()


REFUSALS: dict[str, Callable[[], Reply]] = {
    "throttle": lambda: fail(10006, "Too many visits!", "throttled"),
    "ban": lambda: reply_text("403, access too frequent", outcome="banned", status=403),
    "maintenance": lambda: fail(110066, "Trading is currently not allowed.", "maintenance"),
    "clock": lambda: fail(
        10002,
        "invalid request, please check your server timestamp or recv_window param",
        "clock",
    ),
    "auth": lambda: fail(10003, "API key is invalid.", "auth"),
    "permission": lambda: fail(10005, "Permission denied for current apikey.", "permission"),
    "unknown_route": lambda: reply_text("404", outcome="unknown_route", status=404),
}


def banned(world: World, call: Call, refused: bool) -> None:
    """Shut out who asks for more than an address may."""
    if (
        refused
        and world.limits.arrivals(NAME, call.api_key, "address", call.at_s) > MOST_OF_ALL
    ):
        until_s = call.at_s + world.setting(NAME, "ban_s")
        world.limits.penalize(NAME, call.api_key, until_s=until_s, share=0)


#: requests of an address in 5 s (page rate-limit)
MOST_OF_ALL = 600

VENUE = Venue(
    name=NAME,
    prefix="/v5/",
    routes=ROUTES,
    options={
        "batch_echo": Option("ids", ("ids", "none")),
        "lookup_symbol": Option("optional", ("optional", "demanded")),
        "restarted": Option(False, (False, True)),
        "ban_s": Option(600.0),
    },
    limits={
        "cancel_one": "10/1s",
        "cancel_one_spot": "20/1s",
        "cancel_batch": "10/1s",
        "cancel_batch_spot": "20/1s",
        "lookup": "50/1s",
        "history": "50/1s",
        "address": "600/5s",
    },
    always=("address",),
    api_key=lambda call: call.headers.get("X-BAPI-API-KEY", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: bool(
        _UUID.fullmatch(order_id) or re.fullmatch("[1-9][0-9]{15,19}", order_id)
    ),
    paced=banned,
)
