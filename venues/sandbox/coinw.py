"""CoinW futures as a sandbox: cancels that answer nothing per id, and a history that forgets.

Docs: https://www.coinw.com/api-doc/en/futures-trading/ (place: Cancel an Order, Cancel Batch
Orders; check: Get Order Information, Get Current Orders, Get Historical Orders) and
https://www.coinw.com/api-doc/en/common/precautions for the limits. Row shapes: the fixtures of
https://github.com/JKorf/CoinW.Net (MIT).

Quirks
- The batch answers code 0 and nothing per id: unknown, closed, foreign ids are passed over.
- A `posType` that does not fit leaves the order open, at code 0 (not documented).
- Without `posType` a batch cancels all but untriggered trigger orders; by the setting
  `omitted_pos_type` "plan_only" neither trailing nor TP/SL orders (not documented).
- An untriggered trigger order has no `posType`: only the single cancel reaches it (choice).
- One id that is no number spoils its batch: code 1 (not documented; setting `bad_id`).
- Order information knows open orders only; asked for `execute` it shows `plan` ones too.
- History shows only orders that traded ("returns only the orders that have been executed"): an
  order canceled untouched leaves no row, nor do trailing and TP/SL orders, whatever they were.
  The setting `history` "all" shows every canceled limit, market and trigger order instead.
- Without a page size it shows "the last 10", so it is newest first: by the end of the order,
  or, by the setting `history_by` "making", by its making (not documented).
- Ids are JSON numbers beyond 2^53 in open orders, strings in history and in moveTPSL.
- A query must read the same encoded and decoded, as both readings are signed somewhere.
- A body without `Content-Type: application/json` is not read (choice).
- Refusals come with HTTP 200 (status not documented); a ban with HTTP 403 (not documented).
- Closing positions looks like canceling; it is recorded as a `traded` incident, signed or not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from .book import Order, OrdType, State
from .coinw_rows import (
    WORDS,
    history_row,
    move_tpsl_row,
    open_rows,
    pick,
    pos_type,
    tpsl_row,
    types_of,
)
from .ladder import Ladder
from .messages import Call, Reply, decode, reply_json, reply_list
from .options import Option
from .venue import Route, Venue
from .world import Account, World

NAME = "coinw"

#: "The list cannot contain more than 20 order IDs" (Cancel Batch Orders, Get Order Information)
MOST_IDS = 20

#: page sizes: default of the open list (older page https://coinw.com/front/API), default of the
#: history pages ("the last 10"); the most is not documented, the sandbox's choice
OPEN_PAGE, HISTORY_PAGE, MOST_PAGE = 50, 10, 100

#: what the history pages look back on: seven days and three months
HISTORY_MS, ARCHIVE_MS = 7 * 86_400_000, 90 * 86_400_000

#: per interface and user id: 10/s on the pages of order calls; history 5 in 2 s, archive 5/s
#: (Get Historical Orders, 7 days and 3 months); openQuantity and moveTPSL 5/s, TPSL 10 in 2 s
#: (CoinW.Net); account 100/s per UID and the 60 in 10 s (Frequency Limit, precautions page)
LIMITS = {
    "cancel_batch": "10/1s",
    "cancel_one": "10/1s",
    "lookup": "10/1s",
    "open_orders": "10/1s",
    "open_count": "5/1s",
    "tpsl": "10/2s",
    "move_tpsl": "5/1s",
    "history": "5/2s",
    "archive": "5/1s",
    "account": "100/1s",
    "escalation": "60/10s",
    "errors": "60/10s",
}

#: posType words of batch cancel and order information, and what rows say instead
POS_TYPES = frozenset({"execute", "plan", "moveStop", "stopProfitLoss"})
ROW_WORDS = {"moveStop": "moveStopProfitLoss"}


def sign(secret: bytes, timestamp: str, method: str, target: str, body: bytes) -> str:
    """Compute the signature: Base64 of HMAC-SHA256 (https://coinw.com/front/API)."""
    text = timestamp.encode() + method.encode() + target.encode() + body
    return base64.b64encode(hmac.digest(secret, text, hashlib.sha256)).decode()


def is_signed(call: Call, secret: bytes) -> bool:
    """Whether the request bears the right signature, however its query is read."""
    target, body = call.path, call.body
    if call.method == "GET":
        body = b""
        target += f"?{call.raw_query}" if call.raw_query else ""
        if decode(call.raw_query) != call.raw_query:
            return False
    expected = sign(secret, call.headers.get("timestamp", ""), call.method, target, body)
    return hmac.compare_digest(expected.encode(), call.headers.get("sign", "").encode())


def say(code: int, msg: str, outcome: str, status: int = 200) -> Reply:
    """Answer with a code and a message."""
    return reply_json({"code": code, "msg": msg}, outcome=outcome, status=status)


#: what a batch answers, whatever became of its ids
ACCEPTED = say(0, "", "ok")


def missing() -> Reply:
    """Answer a request that lacks a parameter."""
    return say(402, "param required", "bad_request")


def invalid() -> Reply:
    """Answer a request with a parameter that cannot be."""
    return say(1, "invalid parameter", "bad_request")


def page_reply(rows: str, total: int) -> Reply:
    """Answer one page of a list, of rows of JSON."""
    head = '{"code":0,"data":{"nextId":0,"prevId":0,"rows":['
    return Reply("ok", f'{head}{rows}],"total":{total}}},"msg":""}}'.encode())


def paged(
    world: World, call: Call, orders: Sequence[Order], default: int
) -> tuple[Sequence[Order], int]:
    """Cut the page that the request asks for."""
    most = world.most_rows(NAME, MOST_PAGE)
    size = call.int_param("pageSize", min(default, most), most)
    start = (call.int_param("page", 1, 10**9) - 1) * size
    return orders[start : start + size], len(orders)


def body_ids(call: Call, name: str) -> list[str]:
    """Read the ids that a cancel names, as strings."""
    if not call.headers.get("content-type", "").startswith("application/json"):
        return []
    value = call.fields.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(v) for v in values]


def cancel_one(world: World, call: Call) -> Reply:
    """DELETE /v1/perpum/order."""
    ids = body_ids(call, "id")
    if not ids:
        return missing()
    if not ids[0].isdecimal():
        return invalid()
    order = world.book.find(NAME, call.api_key, ids[0])
    if order is None or not world.cancel(call, order):
        return say(9012, "Position not found.", "not_found")
    return say(0, "Success", "ok")


def cancel_batch(world: World, call: Call) -> Reply:
    """DELETE /v1/perpum/batchOrders."""
    ids = body_ids(call, "sourceIds")
    if not ids or not isinstance(call.fields.get("sourceIds"), list):
        return missing()
    wanted = call.fields.get("posType")
    bad = world.setting(NAME, "bad_id") == "refused" and not all(i.isdecimal() for i in ids)
    if len(ids) > MOST_IDS or bad or (wanted is not None and wanted not in POS_TYPES):
        return invalid()
    for order in pick(own_orders(world, call, ids), reached(world, wanted)):
        world.cancel(call, order)
    return ACCEPTED


def own_orders(world: World, call: Call, ids: Iterable[str]) -> list[Order]:
    """Return the account's orders of these ids, open or not."""
    found = [world.book.find(NAME, call.api_key, i) for i in dict.fromkeys(ids)]
    return [order for order in found if order is not None]


def reached(world: World, wanted: str | None) -> Collection[str]:
    """Tell the words of the orders that a batch of that posType touches."""
    if wanted is not None:
        return [ROW_WORDS.get(wanted, wanted)]
    if world.setting(NAME, "omitted_pos_type") == "plan_only":
        return ["plan", "execute"]
    return set(WORDS.values()) - {"planTrigger"}


def shelf_of(world: World, call: Call, words: Collection[str] = ()) -> Collection[Order]:
    """Return the account's open orders; where words are named, all that may have one."""
    shelf = world.book.shelf(NAME, call.api_key)
    return shelf.shown(call.bend.read_at, types_of(words) if words else ())


def listed(world: World, call: Call, words: Collection[str]) -> list[Order]:
    """Return the open orders that a list of those words shows."""
    return shown(call, world.listed(call, NAME, shelf_of(world, call, words)), words)


def shown(call: Call, orders: Iterable[Order], words: Collection[str]) -> list[Order]:
    """Pick the orders that a list of those words and that instrument shows."""
    found = pick(orders, words)
    if instrument := call.query.get("instrument", "").upper():
        found = [order for order in found if order.symbol.upper() == instrument]
    if call.bend.hides_some:
        found = [order for order in found if not call.bend.hides(order.id)]
    return found


def leaky(world: World, word: str) -> tuple[str, ...]:
    """Widen a filter as the venue does: `execute` may return `plan` orders too."""
    leaks = word == "execute" and world.setting(NAME, "leaky_filter")
    return ("execute", "plan") if leaks else (word,)


def lacks_instrument(world: World, call: Call) -> bool:
    """Whether a list is asked for without the instrument that the pages call optional."""
    demanded = world.setting(NAME, "instrument") == "demanded"
    return demanded and not call.query.get("instrument")


def order_information(world: World, call: Call) -> Reply:
    """GET /v1/perpum/order."""
    wanted = call.query.get("positionType")
    if not wanted or lacks_instrument(world, call):
        return missing()
    ids = query_ids(call)
    if wanted not in POS_TYPES | {"moveStopProfitLoss"} or len(ids) > MOST_IDS:
        return invalid()
    words = leaky(world, ROW_WORDS.get(wanted, wanted))
    found = named(world, call, ids, words) if ids else listed(world, call, words)
    return reply_list('{"code":0,"data":[', found, open_rows, '],"msg":""}')


def named(world: World, call: Call, ids: Iterable[str], words: Collection[str]) -> list[Order]:
    """Return the open orders of these ids that a list of those words shows."""
    orders = own_orders(world, call, ids)
    at_s = call.bend.read_at
    return shown(call, (o.as_of(at_s) for o in orders if o.lives(at_s)), words)


def query_ids(call: Call) -> list[str]:
    """Read the ids that order information names."""
    return [i for i in call.query.get("sourceIds", "").split(",") if i]


def open_orders(world: World, call: Call) -> Reply:
    """GET /v1/perpum/orders/open."""
    wanted = call.query.get("positionType")
    if not wanted or not call.query.get("instrument"):
        return missing()
    if wanted not in ("plan", "execute", "planTrigger", "moveStopProfitLoss"):
        return invalid()
    orders = listed(world, call, leaky(world, wanted))
    page, total = paged(world, call, sorted(orders, key=lambda o: -o.created_ms), OPEN_PAGE)
    return page_reply(open_rows(page), total)


def open_count(world: World, call: Call) -> Reply:
    """GET /v1/perpum/orders/openQuantity."""
    count = len(shelf_of(world, call))
    return reply_json({"code": 0, "data": {"value": count}, "msg": ""})


def tpsl(world: World, call: Call) -> Reply:
    """GET /v1/perpum/TPSL."""
    if call.query.get("stopFrom") not in ("1", "2", "3"):
        return missing()
    orders = listed(world, call, ["stopProfitLoss"])
    parent = call.query.get("orderId") or call.query.get("planOrderId")
    rows = [tpsl_row(order) for order in orders if parent in (None, order.parent_id)]
    return reply_json({"code": 0, "data": rows, "msg": ""})


def move_tpsl(world: World, call: Call) -> Reply:
    """GET /v1/perpum/moveTPSL."""
    orders = listed(world, call, ["moveStopProfitLoss"])
    return reply_json({"code": 0, "data": [move_tpsl_row(o) for o in orders], "msg": ""})


def leaves_a_row(world: World, call: Call, order: Order) -> bool:
    """Whether history has a row of this order."""
    state = order.seen(call.bend.read_at)
    if state not in (State.FILLED, State.CANCELED) or not order.on_record(call.bend.record_at):
        return False
    if order.ord_type in (OrdType.TRAILING_STOP, OrdType.TP_SL):
        return False
    return order.filled > 0 or world.setting(NAME, "history") == "all"


def past_orders(world: World, call: Call, span_ms: int) -> Reply:
    """Answer a page of history, newest first; every parameter is optional."""
    if lacks_instrument(world, call):
        return missing()
    origin = call.query.get("originType")
    instrument = call.query.get("instrument", "").upper()
    if origin not in (None, "plan", "planTrigger", "execute"):
        return invalid()
    orders = [
        order
        for order in reversed(world.book.shelf(NAME, call.api_key).closed.values())
        if order.updated_ms > call.now_ms - span_ms
        and leaves_a_row(world, call, order)
        and origin in (None, pos_type(order))
        and instrument in ("", order.symbol.upper())
        and not call.bend.hides(order.id)
    ]
    by_end = world.setting(NAME, "history_by") == "end"
    orders.sort(key=lambda o: o.updated_ms if by_end else o.created_ms, reverse=True)
    page, total = paged(world, call, orders, HISTORY_PAGE)
    return page_reply(",".join(map(history_row, page)), total)


def history(world: World, call: Call) -> Reply:
    """GET /v1/perpum/orders/history."""
    return past_orders(world, call, HISTORY_MS)


def archive(world: World, call: Call) -> Reply:
    """GET /v1/perpum/orders/archive."""
    return past_orders(world, call, ARCHIVE_MS)


def trade(world: World, call: Call) -> Reply:
    """Close positions or place orders: no cancel worker ever does; record that one did."""
    world.incident("traded", NAME, call.api_key, method=call.method, path=call.path)
    return say(0, "", "traded")


ROUTES = {
    ("DELETE", "/v1/perpum/batchOrders"): Route(
        cancel_batch, "cancel_batch", lambda c: body_ids(c, "sourceIds"), cancels=True
    ),
    ("DELETE", "/v1/perpum/order"): Route(
        cancel_one, "cancel_one", lambda c: body_ids(c, "id"), cancels=True
    ),
    ("GET", "/v1/perpum/order"): Route(order_information, "lookup", query_ids),
    ("GET", "/v1/perpum/orders/open"): Route(open_orders, "open_orders"),
    ("GET", "/v1/perpum/orders/openQuantity"): Route(open_count, "open_count"),
    ("GET", "/v1/perpum/TPSL"): Route(tpsl, "tpsl"),
    ("GET", "/v1/perpum/moveTPSL"): Route(move_tpsl, "move_tpsl"),
    ("GET", "/v1/perpum/orders/history"): Route(history, "history"),
    ("GET", "/v1/perpum/orders/archive"): Route(archive, "archive"),
} | {
    (method, f"/v1/perpum/{path}"): Route(trade, "trade", signed=False)
    for method, path in chain(
        (("DELETE", p) for p in ("batchClose", "positions", "allpositions")),
        (("POST", p) for p in ("order", "batchOrders", "positions/reverse")),
    )
}


def verify(world: World, call: Call, account: Account) -> Reply | None:
    """Refuse a wrong signature, and a timestamp too far from the venue's clock."""
    if account.secret is None or not is_signed(call, account.secret):
        return say(6001, "invalid signature", "auth")
    return None if in_time(call, world.setting(NAME, "skew_s")) else refuse(world, "clock")


def in_time(call: Call, skew_s: float | None) -> bool:
    """Whether the timestamp is milliseconds, near enough to the venue's clock."""
    text = call.headers.get("timestamp", "")
    if not text.isdecimal():
        return False
    return skew_s is None or abs(int(text) - call.now_ms) <= skew_s * 1000


def refuse(_: World, word: str) -> Reply:
    """Say one of the venue's words."""
    return REFUSALS[word]


#: codes: https://www.coinw.com/api-doc/en/common/error-codes and CoinW.Net's CoinWErrors.cs;
#: clock, maintenance and ban are not documented, the sandbox's choice
REFUSALS = {
    "throttle": say(29001, "API access frequently", "throttled"),
    "ban": say(29001, "API access frequently", "banned", 403),
    "maintenance": say(9111, "The trading pair is not tradable now", "maintenance"),
    "clock": say(6000, "authentication error: timestamp expired", "clock"),
    "auth": say(6000, "authentication error", "auth"),
    "permission": reply_json(
        {"code": 6003, "message": "require more permission", "retry": False, "success": False},
        outcome="permission",
    ),
    "unknown_route": say(500, "Internal server error", "unknown_route", 500),
}

VENUE = Venue(
    name=NAME,
    prefix="/v1/perpum",
    routes=ROUTES,
    options={
        "omitted_pos_type": Option("all", ("all", "plan_only")),
        "bad_id": Option("refused", ("refused", "ignored")),
        "history": Option("executed_only", ("executed_only", "all")),
        "history_by": Option("end", ("end", "making")),
        "leaky_filter": Option(True, (True, False)),
        "instrument": Option("optional", ("optional", "demanded")),
        #: permitted clock skew in seconds: not documented; null accepts any time
        "skew_s": Option(60, nullable=True),
        "escalation": Option("on", ("on", "off")),
        #: what the ladder counts: sources disagree
        "escalation_counts": Option("requests", ("requests", "errors")),
        "escalation_bans": Option("off", ("off", "on")),
    },
    limits=LIMITS,
    always=("account", "escalation"),
    watched=frozenset({"escalation", "errors"}),
    api_key=lambda call: call.headers.get("api_key", ""),
    verify=verify,
    refuse=refuse,
    gives=lambda order_id: order_id.isdecimal() and order_id.isascii(),
    #: precautions page: five minutes at half the limits, then bans of thirty seconds
    paced=Ladder(NAME, warning_s=300.0, ban_s=30.0).climb,
)
