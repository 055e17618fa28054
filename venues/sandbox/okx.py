"""OKX v5 as a sandbox: a code for each item, and algo orders behind a door of their own.

Docs: https://www.okx.com/docs-v5/en/ ("the pages": #order-book-trading-trade,
#order-book-trading-algo-trading, #overview-rate-limits, #error-code-rest-api).

Quirks
- Conditional orders are algo orders: their calls reach no other, and the others never reach
  them; a wrong door answers as if there were no such order.
- A cancel only says that it was taken; what is over, unknown or of another instrument is 51400.
- What a refused item echoes is not documented: setting `echo` "none" leaves its ids empty.
- cancel-algos takes trailing stops, or answers 51413 (setting `trailing` "advance"): sources
  disagree. cancel-advance-algos takes them, and answers 51293 to what it does not know.
- An algo order that fired (`triggered`) is effective; orders of the book that have it as
  `parent_id` are its `ordIdList`.
- What was canceled without a fill is nowhere once it is `purged` (after two hours, there).
- The timer (cancel-all-after) reaches orders of the book alone: of algo orders the pages say
  nothing.
- Limits are per key here, where OKX counts most of them per instrument as well. A batch draws
  for each of its orders; one of one order draws as a single cancel.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from .book import LIVE, Order, OrdType, State
from .messages import Call, Reply, reply_json
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "okx"

#: most orders of a batch, and of one of algo orders (the pages)
MOST_IDS, MOST_ALGOS = 20, 10

#: a timer's seconds (the pages)
TIMER_S = range(10, 121)

#: most rows of a page (the pages)
PAGE_ROWS = 100

#: how far a timestamp may be off, in ms (the pages, 50102)
SKEW_MS = 30_000

KINDS = {
    OrdType.TRIGGER: "trigger",
    OrdType.TRAILING_STOP: "move_order_stop",
    OrdType.TP_SL: "conditional",
}

#: kinds that a list may be asked for (page Algo order list)
LISTED = {*KINDS.values(), "oco", "chase", "iceberg", "smart_iceberg", "twap"}

GONE = (
    "51400",
    "Order cancellation failed as the order has been filled, canceled or does not exist.",
)


def sign(secret: bytes, payload: str) -> str:
    """Compute the signature: Base64 of HMAC-SHA256 (the pages)."""
    return base64.b64encode(
        hmac.new(secret, payload.encode(), hashlib.sha256).digest()
    ).decode()


def answer(rows: list[Any], code: str = "0", msg: str = "", outcome: str = "ok") -> Reply:
    """Answer with rows, as all do."""
    return reply_json({"code": code, "msg": msg, "data": rows}, outcome=outcome)


def fail(code: str, msg: str, outcome: str = "bad_request", status: int = 200) -> Reply:
    """Answer with an error of the whole request."""
    return reply_json({"code": code, "msg": msg, "data": []}, outcome=outcome, status=status)


def is_algo(call: Call) -> bool:
    """Whether a request is for algo orders."""
    return "algo" in call.path


def id_names(call: Call) -> tuple[str, str]:
    """Tell what the request's door calls an id, and a client's."""
    return ("algoId", "algoClOrdId") if is_algo(call) else ("ordId", "clOrdId")


def items_of(call: Call) -> list[Any]:
    """Read what a cancel names: an array, or of a single one an object."""
    body = call.json
    if call.path.endswith("/cancel-order"):
        return [body] if isinstance(body, dict) else []
    return body if isinstance(body, list) else []


def asked_ids(call: Call) -> list[str]:
    """Read the ids that a request names, of either kind."""
    items = items_of(call) if call.method == "POST" else [call.query]
    by_id, by_client = id_names(call)
    rows = [item for item in items if isinstance(item, dict)]
    return [str(row.get(by_id) or row.get(by_client) or "") for row in rows]


def find(world: World, call: Call, item: Mapping[str, Any]) -> Order | None:
    """Find the order that an item names, behind its door; the venue's id goes first."""
    by_id, by_client = id_names(call)
    if order_id := item.get(by_id):
        order = world.book.find(NAME, call.api_key, str(order_id))
    else:
        order = world.book.by_client(NAME, call.api_key, str(item.get(by_client) or ""))
    if order is None or is_algo(call) != (order.ord_type in KINDS):
        return None
    return order


def lacks(call: Call, item: Any) -> Reply | None:
    """Refuse what names no instrument or no order."""
    if not isinstance(item, dict) or not item.get("instId"):
        return fail("50014", "Parameter instId can not be empty.", status=400)
    if not any(item.get(name) for name in id_names(call)):
        return fail("51003", "Either client order ID or order ID is required.")
    return None


def drawn(world: World, call: Call, count: int) -> bool:
    """Take a place under the limit of the call; say whether there was one."""
    name = "cancel_algos" if is_algo(call) else "cancel_one" if count == 1 else "cancel_batch"
    return world.limits.draw(NAME, call.api_key, (name,), call.at_s) is None


def cancel(world: World, call: Call, item: Mapping[str, Any]) -> tuple[str, str]:
    """Cancel what an item names; return its code and message."""
    order, advance = find(world, call, item), "advance" in call.path
    if order is None or order.symbol != item["instId"] or order.triggered:
        return ("51293", "Algo order does not exist") if advance else GONE
    trails = order.ord_type is OrdType.TRAILING_STOP
    if advance and not trails:
        return "51293", "Algo order does not exist"
    if trails and not advance and world.setting(NAME, "trailing") == "advance":
        return "51413", "Cancellation failed as the order type is not supported"
    return ("0", "") if world.cancel(call, order) else GONE


def cancel_all(world: World, call: Call) -> Reply:
    """POST cancel-order, cancel-batch-orders, cancel-algos and cancel-advance-algos."""
    items, most = items_of(call), MOST_ALGOS if is_algo(call) else MOST_IDS
    if not items:
        return fail("50002", "JSON syntax error", status=400)
    if len(items) > most:
        return fail("51406", f"Order count exceeds the limit of {most}", status=400)
    refused = next((each for each in (lacks(call, item) for item in items) if each), None)
    if refused:
        return refused
    rows, by_id, by_client = [], *id_names(call)
    for item in items:
        if drawn(world, call, len(items)):
            code, msg = cancel(world, call, item)
        else:
            code, msg = "50011", "Too Many Requests"
        if call.bend.hides(str(item.get(by_id) or item.get(by_client))):
            continue
        echoes = code == "0" or world.setting(NAME, "echo") == "ids"
        ids = {name: item.get(name, "") if echoes else "" for name in (by_id, by_client)}
        rows.append({**ids, "sCode": code, "sMsg": msg})
    failed = sum(row["sCode"] != "0" for row in rows)
    top = "0" if not failed else "1" if failed == len(rows) else "2"
    return answer(rows, top, "" if top == "0" else "Operation failed.")


def state_of(order: Order, state: State) -> str:
    """Tell an order's state in OKX's words."""
    if order.ord_type in KINDS and (order.triggered or state is State.FILLED):
        return "effective"
    words = {State.OPEN: "live", State.PARTIALLY_FILLED: "partially_filled"}
    if order.ord_type in KINDS:
        words = {State.OPEN: "live", State.PARTIALLY_FILLED: "live"}
        return words.get(state, "order_failed" if state is State.REJECTED else "canceled")
    return "filled" if state is State.FILLED else words.get(state, "canceled")


def show(world: World, call: Call, order: Order, state: State) -> dict[str, Any]:
    """Show an order, as pages Order details and Algo order details do."""
    by_id, by_client = id_names(call)
    row = {
        by_id: order.id,
        by_client: order.client_order_id,
        "instId": order.symbol,
        "side": order.side,
        "sz": str(order.quantity),
        "state": state_of(order, state),
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }
    if not is_algo(call):
        parent = {"algoId": order.parent_id or "", "accFillSz": str(order.filled)}
        return row | parent | {"ordType": order.ord_type.value}
    children = world.book.shelf(NAME, order.api_key).children.get(order.id, [])
    placed = [child.id for child in children] or [each for each in [order.placed_id] if each]
    placed = placed if order.triggered else []
    return row | {
        "ordType": KINDS[order.ord_type],
        "ordIdList": placed,
        "ordId": placed[-1] if placed else "",
        "actualSz": "0",
    }


def look(world: World, call: Call) -> Reply:
    """GET order and order-algo."""
    if not is_algo(call) and not call.query.get("instId"):
        return fail("50014", "Parameter instId can not be empty.", status=400)
    order = find(world, call, call.query)
    right = order is not None and (is_algo(call) or order.symbol == call.query["instId"])
    state = order.seen(call.bend.read_at) if order is not None and right else None
    if order is None or state is None:
        return fail("51603", "Order does not exist", "not_found")
    if state not in LIVE and not order.on_record(call.bend.record_at):
        return fail("51603", "Order does not exist", "not_found")
    return answer([show(world, call, order.as_of(call.bend.read_at), state)])


def list_open(world: World, call: Call) -> Reply:
    """GET orders-pending and orders-algo-pending: the newest first, after an id."""
    wanted = set(call.query.get("ordType", "").split(","))
    if is_algo(call) and not (wanted <= LISTED and wanted):
        return fail("51000", "Parameter ordType error", status=400)
    at_s, after = call.bend.read_at, call.query.get("after", "")
    shown = world.listed(call, NAME, world.book.shelf(NAME, call.api_key).shown(at_s))
    found = [
        (order, state)
        for order in shown
        if (state := order.seen(at_s)) in LIVE
        and state is not None
        and (order.ord_type in KINDS) == is_algo(call)
        and (not is_algo(call) or KINDS[order.ord_type] in wanted)
        and not order.triggered
        and call.query.get("instId") in (None, order.symbol)
        and (not after or int(order.id) < int(after))
        and not call.bend.hides(order.id)
    ]
    found.sort(key=lambda each: int(each[0].id), reverse=True)
    size = call.int_param("limit", PAGE_ROWS, PAGE_ROWS)
    return answer([show(world, call, order, state) for order, state in found[:size]])


def set_timer(world: World, call: Call) -> Reply:
    """POST cancel-all-after."""
    text = str(call.json.get("timeOut", "")) if isinstance(call.json, dict) else ""
    if text != "0" and not (text.isdecimal() and int(text) in TIMER_S):
        return fail("51000", "Parameter timeOut error", status=400)
    world.set_timer(call, NAME, int(text), reaches=lambda o: o.ord_type not in KINDS)
    now_s = call.now_ms // 1000
    fires = str(now_s + int(text)) if int(text) else "0"
    return answer([{"triggerTime": fires, "tag": "", "ts": str(call.now_ms)}])


def server_time(_: World, call: Call) -> Reply:
    """GET public/time."""
    return answer([{"ts": str(call.now_ms)}])


def trade(world: World, call: Call) -> Reply:
    """Place, change or close: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return fail("50120", "This API key doesn't have permission to use this function", "traded")


API = "/api/v5/trade"

ROUTES = {
    **{
        ("POST", f"{API}/{name}"): Route(cancel_all, "requests", asked_ids, cancels=True)
        for name in (
            "cancel-order",
            "cancel-batch-orders",
            "cancel-algos",
            "cancel-advance-algos",
        )
    },
    ("GET", f"{API}/order"): Route(look, "lookup", asked_ids),
    ("GET", f"{API}/order-algo"): Route(look, "algo", asked_ids),
    ("GET", f"{API}/orders-pending"): Route(list_open, "list"),
    ("GET", f"{API}/orders-algo-pending"): Route(list_open, "algo_list"),
    ("GET", "/api/v5/public/time"): Route(server_time, "requests", signed=False),
    **{
        ("POST", f"{API}/{name}"): Route(trade, "requests", signed=False)
        for name in (
            "order",
            "batch-orders",
            "amend-order",
            "amend-batch-orders",
            "order-algo",
            "amend-algos",
            "close-position",
            "mass-cancel",
        )
    },
    ("POST", f"{API}/cancel-all-after"): Route(set_timer, "timer", cancels=True),
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a time that is off, a missing passphrase, and a wrong signature."""
    time = call.headers.get("OK-ACCESS-TIMESTAMP", "")
    try:
        at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return fail("50112", "Invalid OK-ACCESS-TIMESTAMP", "clock", 401)
    if abs(at.timestamp() * 1000 - call.now_ms) > SKEW_MS:
        return refuse(world, "clock")
    if not call.headers.get("OK-ACCESS-PASSPHRASE"):
        return fail("50104", "Request header OK-ACCESS-PASSPHRASE cannot be empty", "auth", 401)
    query = f"?{call.raw_query}" if call.raw_query else ""
    sent = f"{time}{call.method}{call.path}{query}{call.body.decode('utf-8', 'replace')}"
    given = call.headers.get("OK-ACCESS-SIGN", "")
    expected = sign(account.secret or b"", sent)
    if account.secret is None or not hmac.compare_digest(expected.encode(), given.encode()):
        return fail("50113", "Invalid Sign", "auth", 401)
    return None


def refuse(_: World, word: str) -> Reply:
    """Say one of the venue's words."""
    return REFUSALS[word]()


REFUSALS: dict[str, Callable[[], Reply]] = {
    "throttle": lambda: fail("50011", "Too Many Requests", "throttled", 429),
    "ban": lambda: fail("50011", "Too Many Requests", "banned", 429),
    "maintenance": lambda: fail(
        "50001", "Service temporarily unavailable.", "maintenance", 503
    ),
    "clock": lambda: fail("50102", "Timestamp request expired", "clock", 401),
    "auth": lambda: fail("50111", "Invalid OK-ACCESS-KEY", "auth", 401),
    "permission": lambda: fail(
        "50120", "This API key doesn't have permission to use this function", "permission"
    ),
    "unknown_route": lambda: fail("50404", "Not Found", "unknown_route", 404),
}

VENUE = Venue(
    name=NAME,
    prefix="/api/v5/",
    routes=ROUTES,
    options={
        "echo": Option("ids", ("ids", "none")),
        "trailing": Option("algos", ("algos", "advance")),
    },
    limits={
        "cancel_one": "60/2s",
        "cancel_batch": "300/2s",
        "cancel_algos": "20/2s",
        "lookup": "60/2s",
        "list": "60/2s",
        "algo": "20/2s",
        "algo_list": "20/2s",
        "timer": "1/1s",
    },
    always=(),
    api_key=lambda call: call.headers.get("OK-ACCESS-KEY", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: re.fullmatch("[1-9][0-9]{14,19}", order_id) is not None,
)
