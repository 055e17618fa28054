"""KuCoin futures (classic): a cancel is received, not done, and no word says "canceled".

Docs
    https://www.kucoin.com/docs-new/authentication (and rate-limit)
    https://www.kucoin.com/docs-new/api-3470241 (Batch Cancel Orders), 3470239 (Cancel Order By
    OrderId), 3470245 (Get Order By OrderId), and the futures order pages beside them
    https://github.com/Kucoin/kucoin-universal-sdk (spec/rest/api/openapi-futures-order.json:
    fields, limits, weights)
    https://github.com/JKorf/Kucoin.Net, https://github.com/hummingbot/hummingbot,
    https://github.com/ccxt/ccxt (codes)

Quirks
    - A success is received, not done: the engine decides later, and every order is looked up.
    - A batch is a DELETE with a JSON body, which is signed as that of a POST. All other
      parameters of a DELETE belong into the query: in a body they are taken no notice of, and
      a cancel of one symbol's orders becomes one of all.
    - A batch takes no stop orders, the single cancel by order id does.
    - The passphrase is sent as its HMAC. The key's version is sent, too: an account states it.
    - No state says canceled: "done" with `cancelExist`. That mark beside "open" means that a
      part was canceled, as of a reduce-only order: it is open.
    - "done" without the mark is filled only where all of the size was executed.
    - 100004 (not cancelable) is no proof of an end: it was seen of an open order.
    - 100001 is an unknown order by its text alone.
    - A fresh order is unknown to look-ups for up to half a second.
    - A triggered stop order goes on as an ordinary one, under the same id.
    - A call has a weight, a batch of ten twice as much as ten single cancels.
    - A list of orders shows those that are over, unless it is asked for the active ones.
    - `POST /api/v1/orders` may close a position, and `position/risk-limit-level/change`
      cancels orders as a side effect.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from venues.base import Answer, Answers, Batch, Cost, HttpReply, HttpRequest
from venues.base import OpenOrder, Option, Quiet, Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

API = "/api/v1"
OK = "200000"
HEADERS = {"Content-Type": "application/json"}
QUOTAS = ("account", "address")
BOTH_KINDS = frozenset(IdKind)
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
#: TP/SL pairs are stop orders once they are made.
STOPS = frozenset({OrdType.TRIGGER, OrdType.TP_SL})
ROW_NAMES = {IdKind.VENUE: "id", IdKind.CLIENT: "clientOid"}
ROW_TYPES = {"limit": OrdType.LIMIT, "market": OrdType.MARKET}
#: Of an id that was taken for a venue order id, while an order bears it as its client's.
OTHER_KIND = Answer("other_kind", "an open order has this client order id: state its symbol")
#: Rows of a page: the most that the pages allow. A longer list is not proven to be whole.
ROWS = 1000
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500


def _weighing(weight: int) -> tuple[Cost, ...]:
    return (Cost("account", per_request=weight),) if weight > 1 else ()


def _cancel(name: str, path: str, kind: IdKind, weight: int = 1, **more: Any) -> Route:
    return Route(
        name, Purpose.CANCEL, "DELETE", f"{API}/orders/{path}", frozenset({kind}),
        needs_symbol=kind is IdKind.CLIENT, quotas=QUOTAS, costs=_weighing(weight), **more,
    )  # fmt: skip


def _look(name: str, path: str, kinds: frozenset[IdKind], weight: int, **more: Any) -> Route:
    return Route(
        name, Purpose.LOOKUP, "GET", f"{API}/{path}", kinds, quotas=QUOTAS,
        costs=_weighing(weight), **more,
    )  # fmt: skip


def _list(name: str, path: str, weight: int, **more: Any) -> Route:
    return Route(
        name, Purpose.LIST, "GET", f"{API}/{path}", quotas=QUOTAS, costs=_weighing(weight),
        only_open=True, tells_side=True, tells_client_id=True, **more,
    )  # fmt: skip


def _rows_of(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule(code, verdict, reason) for code in codes.split())


class KuCoin(Venue):
    """KuCoin futures, with a key of the version that an account states."""

    name = "kucoin"
    base_url = "https://api-futures.kucoin.com"
    # As API management shows it. Keys of version 1, whose passphrase is sent plain, are older.
    options = (Option("key_version", ("2", "3")),)
    parts = (Part("api_key"), Part("api_secret"), Part("api_passphrase"))
    id_shapes = {
        IdKind.VENUE: re.compile(r"[0-9]{15,20}|[0-9a-f]{24}"),  # of now, and of old
        IdKind.CLIENT: re.compile(r"[0-9A-Za-z_-]{1,40}"),
    }
    routes = (
        _cancel(  # 20: docs and SDK; a client counts 30
            "cancel_batch", "multi-cancel", IdKind.VENUE, 20, ord_types=PLAIN, max_ids=10
        ),
        _cancel(
            "cancel_batch_client", "multi-cancel", IdKind.CLIENT, 20, ord_types=PLAIN,
            max_ids=10,
        ),
        _cancel(
            "cancel_one", "{id}", IdKind.VENUE, ord_types=PLAIN | STOPS, single_first=PLAIN
        ),
        _cancel(  # that it takes stop orders is not documented
            "cancel_one_client", "client-order/{id}", IdKind.CLIENT, ord_types=PLAIN | STOPS,
            single_first=PLAIN, unproven_for=STOPS,
        ),
        _look("order", "orders/{id}", frozenset({IdKind.VENUE}), 5),
        _look("order_client", "orders/byClientOid", frozenset({IdKind.CLIENT}), 5),
        # A client saw an open order called unknown for half a minute (2021): sought here, too.
        _look(
            "stop_orders", "stopOrders", BOTH_KINDS, 6, ord_types=STOPS | {OrdType.ANY},
            max_ids=WIDE_IDS, only_open=True,
        ),
        _look(
            "open_orders", "orders", BOTH_KINDS, 2, ord_types=PLAIN, max_ids=WIDE_IDS,
            only_open=True, life_stage=1,
        ),
    )  # fmt: skip
    lists = (  # what is triggered moves to the book, which is read afterwards
        _list("list_stops", "stopOrders", 6, ord_types=STOPS, listed_as=OrdType.TRIGGER),
        _list(
            "list_open", "orders", 2, ord_types=PLAIN - {OrdType.ANY},
            listed_as=OrdType.LIMIT, life_stage=1,
        ),
    )  # fmt: skip
    # Weights of a user: 2,000 in 30 s at VIP 0 (page rate limit), in a window that begins with
    # the first request. The address: 500 in 10 s, then 30 s of ban (old docs, clients). A fifth
    # of both is left to what else the key does: this project's choice.
    quotas = {
        "account": Quota(1600, 30.0),
        "address": Quota(400, 10.0, "address"),
    }
    quiet = Quiet((("retry-after", 1.0), ("gw-ratelimit-reset", 0.001)))
    rules = (  # the docs have no list of codes any more: old docs, and what clients found
        *_rows_of(f"{OK} 200", Verdict.ACCEPTED, ""),  # 200: of an item of a batch
        Rule("100001", Verdict.UNKNOWN_ORDER, "unknown_order", "orderNotExist"),
        # A bad parameter by most texts, of which there is no list.
        Rule("100001", Verdict.IN_DOUBT, "venue_error"),
        # An unknown order by one client alone, which is too little to call an order gone.
        Rule("20001", Verdict.IN_DOUBT, "in_doubt"),
        # Over, unknown, or open still (ccxt #14096).
        Rule("100004", Verdict.IN_DOUBT, "not_cancelable"),
        # Spot's words for an order that is over; not documented for futures.
        Rule(
            "400100", Verdict.IN_DOUBT, "not_cancelable",
            "order_not_exist_or_not_allow_to_cancel",
        ),
        # Paused, in liquidation, in settlement.
        *_rows_of("300002 300014 300015", Verdict.IN_DOUBT, "symbol_not_tradable"),
        *_rows_of("500000 503 230005", Verdict.IN_DOUBT, "venue_error"),
        Rule("other_kind", Verdict.IN_DOUBT, "in_doubt"),
        # "done", and neither canceled nor filled by its marks.
        Rule("done", Verdict.IN_DOUBT, "already_processed"),
        # The endpoint is shut for 10 s (old limits).
        *_rows_of("429000 200002", Verdict.THROTTLED, "throttled"),
        Rule("1015", Verdict.BANNED, "banned"),
        Rule("400002", Verdict.CLOCK, "clock"),
        *_rows_of("400001 400003 400004 400005", Verdict.HALT, "auth"),
        *_rows_of("400006 400007 411100 40010 400500 400200", Verdict.HALT, "permission"),
        *_rows_of("100003 200003", Verdict.REFUSED, "bad_symbol"),
        *_rows_of("300000 400100 404000 415000", Verdict.REFUSED, "bad_request"),
    )  # fmt: skip
    states = {  # `status`, or the mark that decides; no word for a rejection or an expiry
        "open": OrdStatus.NEW,
        "dealSize": OrdStatus.PARTIALLY_FILLED,
        "cancelExist": OrdStatus.CANCELED,
        "done": OrdStatus.FILLED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put a batch into a JSON body, a single id into the path, all else into the query."""
        route = batch.route
        if route.max_ids > 1 and route.purpose is Purpose.CANCEL:
            body = json.dumps(_named(batch), separators=(",", ":")).encode()
            return HttpRequest("DELETE", route.path, body, HEADERS)
        if route.only_open:
            status = "" if "stopOrders" in route.path else "status=active&"
            target = f"{route.path}?{status}currentPage=1&pageSize={ROWS}"
            return HttpRequest("GET", target, headers=HEADERS)
        (ref,) = batch.refs
        # The query is signed as it is: shapes of ids and symbols need no escapes.
        target = route.path.replace("{id}", ref.id)
        if route.needs_symbol:
            target += f"?symbol={ref.symbol}"
        elif route.name == "order_client":
            target += f"?clientOid={ref.id}"
        return HttpRequest(route.method, target, headers=HEADERS)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign time, method, target and body, and the passphrase: Base64 of HMAC-SHA256."""
        secret = credential["api_secret"]
        payload = f"{now_ms}{request.method}{request.target}".encode() + request.body
        signed = {
            "KC-API-KEY": credential["api_key"],
            "KC-API-SIGN": _mac(secret, payload),
            "KC-API-TIMESTAMP": str(now_ms),
            "KC-API-PASSPHRASE": _mac(secret, credential["api_passphrase"].encode()),
            "KC-API-KEY-VERSION": self.chosen["key_version"],
        }
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the items of a batch, an order, the rows of a list, or the code of all."""
        body, route = reply.json, batch.route
        code = str(body["code"])
        if code != OK:
            return Answers(overall=Answer(code, str(body.get("msg", ""))))
        data = body["data"]
        if route.only_open:
            return _of_list(batch, data)
        if route.max_ids > 1:
            return Answers(by_id=_of_items(batch, data))
        (ref,) = batch.refs
        if route.purpose is Purpose.LOOKUP:
            if str(data[ROW_NAMES[ref.kind]]) != ref.id:
                raise ValueError("the answer is about another order")
            return Answers(by_id={ref.id: _of_row(data)})
        by_client_id = ref.kind is IdKind.CLIENT
        named = [data["clientOid"]] if by_client_id else data["cancelledOrderIds"]
        if named != [ref.id]:
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: Answer(code)})


def _mac(secret: str, text: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def _named(batch: Batch) -> dict[str, Any]:
    """Return the ids of a batch: of both kinds only order ids would be taken notice of."""
    if batch.route.needs_symbol:
        items = [{"symbol": ref.symbol, "clientOid": ref.id} for ref in batch.refs]
        return {"clientOidsList": items}
    return {"orderIdsList": [ref.id for ref in batch.refs]}


def _of_items(batch: Batch, rows: list[Any]) -> dict[str, Answer]:
    """Return what each item says; codes of those that failed are not documented."""
    said = {}
    for row in rows:
        ref = _asked(batch, {"id": row.get("orderId"), "clientOid": row.get("clientOid")})
        if ref:
            said[ref.id] = Answer(str(row["code"]), str(row.get("msg", "")))
    return said


def _asked(batch: Batch, row: Mapping[str, Any]) -> OrderRef | None:
    asked = (ref for ref in batch.refs if row.get(ROW_NAMES[ref.kind]) == ref.id)
    return next(asked, None)


def _of_list(batch: Batch, data: Mapping[str, Any]) -> Answers:
    """Return the orders of a list, of which only the first page is read."""
    rows = data["items"]
    if not isinstance(rows, list) or int(data["currentPage"]) != 1:
        raise TypeError("the first page of a list was expected")
    cut = len(rows) >= ROWS or int(data["totalNum"]) > len(rows)
    if batch.route.purpose is Purpose.LIST:
        listed = tuple([_listed(batch, row) for row in rows])
        return Answers(listed=listed, truncated=cut)
    asked = {(ref.kind, ref.id) for ref in batch.refs}
    # Without its symbol an id is not canceled by client order id, and so taken for a venue's.
    taken = {ref.id for ref in batch.refs if ref.kind is IdKind.VENUE and not ref.symbol}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in rows:
        said = _of_row(row)
        for kind, name in ROW_NAMES.items():
            named = str((row["id"] if kind is IdKind.VENUE else row.get(name)) or "")
            if (kind, named) in asked:
                found[named] = said
            elif kind is IdKind.CLIENT and named in taken:
                found.setdefault(named, OTHER_KIND)
            elif named:
                others[kind][named] = said
    return Answers(by_id=found, others=others, truncated=cut)


def _listed(batch: Batch, row: Mapping[str, Any]) -> OpenOrder:
    """Return an open order; of one whose type is not told, all that its list may show."""
    said = _of_row(row)
    types = batch.route.ord_types
    if said.ord_type and "stopOrders" not in batch.route.path:
        types = frozenset({said.ord_type})
    return OpenOrder(
        id=str(row["id"]),
        symbol=str(row["symbol"]),
        ord_types=types,
        side={"buy": Side.BUY, "sell": Side.SELL}.get(str(row.get("side"))),
        client_id=str(row.get("clientOid") or ""),
        state=said.state,
    )


def _of_row(row: Mapping[str, Any]) -> Answer:
    """Compose the state of an order; marks that contradict each other say nothing."""
    done, size = _lots(row["dealSize"]), _lots(row["size"])
    symbol, ord_type = str(row.get("symbol", "")), ROW_TYPES.get(str(row.get("type")))
    if row.get("stop") and row.get("stopTriggered") is not True:
        ord_type = OrdType.TRIGGER
    state = ""
    match (str(row["status"]).casefold(), row["isActive"], row["cancelExist"]):
        case ("open", True, bool()):
            state = "dealSize" if done.strip("0.") else "open"
        case ("done", False, True):
            state = "cancelExist"
        case ("done", False, False):
            state = "done" if done == size else ""
        case _:
            raise ValueError("an order is either open or done")
    if not state:
        text = f"done, {done} of {size} executed, not canceled"
        return Answer("done", text, symbol=symbol, ord_type=ord_type)
    return Answer(state=state, symbol=symbol, ord_type=ord_type, cum_qty=done, order_qty=size)


def _lots(number: Any) -> str:
    """Return a count of contracts."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(number)):
        raise ValueError("a number of contracts was expected")
    return str(number)
