"""ZTDX perpetuals, the Binance-like `fapi`: a batch cancel that claims more than it did.

Docs
    https://docs.p99.world/futures/usdt-margined/trades-rest/batch-cancel-orders
    https://docs.p99.world/futures/usdt-margined/trades-rest/cancel-order
    https://docs.p99.world/futures/usdt-margined/trades-rest/open-orders
    https://docs.p99.world/auth
    https://github.com/RiabowTech/Riabow-dex-backend ("the source": public code of these routes
    at 67efb0a, developer_trade.rs and middleware.rs; the venue may run a newer one)

Quirks
    - The batch writes CANCELED whatever its matching engine said, so it is never believed. The
      single cancel refuses what the engine does not confirm.
    - Ids must be *quoted* in the list: numbers, as in the docs' cURL, answer 200 `[]` and
      nothing is canceled. Unknown and closed ids are left out of the answer (the source), or
      closed ones stand in it with their state (docs).
    - `origClientOrderIdList` is documented but not read by the source: 200 `[]`.
    - In a batch's answer the source writes the UUID as `clientOrderId`; then a batch by client
      order id names nobody, and every id is looked up.
    - A client order id is unique among *active* orders only; a look-up shows the latest.
    - A batch's answer may hold errors without an id, as at Binance: they name nobody.
    - `orderId` is a UUID in live answers, a number in the docs' tables.
    - Every call but one needs `symbol`; the source uses it for routing, not as a check. Under
      another symbol an order is not found, so what proves absence is the list of open orders
      without `symbol` (page Open Orders; in the source it is neither cut nor paged).
    - -2011 means many things, told apart by its text. A trigger order that *fired* may have
      left an order that rests: look it up.
    - Errors come as `{code, msg}`, from the auth layer as `{error: {code, message}}`, as plain
      text for a missing parameter, and as nginx pages.
    - A body would be signed, also of a DELETE: send none. Unknown states fall back to NEW.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from venues.base import Answer, Answers, Batch, HttpReply, HttpRequest, OpenOrder
from venues.base import Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import ALL_TYPES, IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

#: How old a request may be when it arrives, in ms (https://docs.p99.world/auth: the default).
RECV_WINDOW_MS = 5000
BOTH_KINDS = frozenset(IdKind)
#: What rows call the ids of an order.
ID_NAMES = {IdKind.VENUE: "orderId", IdKind.CLIENT: "clientOrderId"}
#: What a fired trigger's row may call the order that it placed. Not documented: Binance's name.
CHILD_IDS = ("actualOrderId",)
#: What an order of the list of open orders is (the source). What a stop or a take-profit was
#: meant for the row does not tell.
_STOP = frozenset({OrdType.TRIGGER, OrdType.TP_SL})
LISTED_TYPES = {
    "LIMIT": frozenset({OrdType.LIMIT}),
    "MARKET": frozenset({OrdType.MARKET}),
    "TRAILING_STOP_MARKET": frozenset({OrdType.TRAILING_STOP}),
    **dict.fromkeys(("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"), _STOP),
}
#: Ids sought in the list of open orders: not documented; a bound on what is judged in one go.
WIDE_IDS = 500


class Ztdx(Venue):
    """ZTDX perpetuals."""

    name = "ztdx"
    base_url = "https://api.ztdx.io"  # page Batch Cancel Orders
    id_shapes = {
        # UUIDs (page Open Orders, live answer) and LONGs (page Batch Cancel Orders, tables).
        IdKind.VENUE: re.compile(
            r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[1-9][0-9]{0,18}"
        ),
        IdKind.CLIENT: re.compile(r"[A-Za-z0-9_.-]{1,36}"),  # the source, at placement
    }
    routes = (
        Route(
            "cancel_batch", Purpose.CANCEL, "DELETE", "/fapi/v1/batchOrders", BOTH_KINDS,
            max_ids=10, group_by=("symbol", "kind"), needs_symbol=True, trusted=False,
            quotas=("cancel_batch", "account"),  # 10: page Batch Cancel Orders
        ),
        Route(
            "cancel_one", Purpose.CANCEL, "DELETE", "/fapi/v1/order", BOTH_KINDS,
            needs_symbol=True, quotas=("cancel_one", "account"),
        ),
        Route(
            "order", Purpose.LOOKUP, "GET", "/fapi/v1/order", BOTH_KINDS,
            needs_symbol=True, quotas=("lookup", "account"),
        ),
        Route(  # no symbol: a wrong one must not make an order look gone
            "open_orders", Purpose.LOOKUP, "GET", "/fapi/v1/openOrders", BOTH_KINDS,
            max_ids=WIDE_IDS, only_open=True, quotas=("lookup", "account"),
        ),
    )  # fmt: skip
    lists = (  # no symbol: all open orders, triggers among them (page Open Orders, the source)
        Route(
            "list_open", Purpose.LIST, "GET", "/fapi/v1/openOrders",
            ord_types=ALL_TYPES, only_open=True,
            tells_side=True, tells_client_id=True, quotas=("lookup", "account"),
        ),
    )  # fmt: skip
    # Limits are not documented: nginx shapes the traffic, at numbers not told. Five a second of
    # a key is this project's choice, half of the 600 a minute that hummingbot allows itself.
    quotas = dict.fromkeys(("cancel_batch", "cancel_one", "lookup", "account"), Quota(5, 1.0))
    rules = (  # the source: developer_trade.rs for numbers, middleware.rs for words
        Rule("-2011", Verdict.STATE, "too_late", "Status: filled", OrdStatus.FILLED),
        Rule(
            "-2011", Verdict.STATE, "already_canceled", "Status: cancelled", OrdStatus.CANCELED
        ),
        Rule(
            "-2011", Verdict.STATE, "already_canceled", "Status: canceled", OrdStatus.CANCELED
        ),
        Rule("-2011", Verdict.STATE, "rejected_by_venue", "Status: rej", OrdStatus.REJECTED),
        Rule("-2011", Verdict.STATE, "expired", "Status: expired", OrdStatus.EXPIRED),
        Rule(
            "-2011", Verdict.STATE, "already_canceled", "already cancelled", OrdStatus.CANCELED
        ),
        Rule(
            "-2011", Verdict.STATE, "already_canceled", "already canceled", OrdStatus.CANCELED
        ),
        Rule("-2011", Verdict.STATE, "expired", "already expired", OrdStatus.EXPIRED),
        Rule("-2011", Verdict.IN_DOUBT, "trigger_fired", "fired"),
        Rule("-2011", Verdict.IN_DOUBT, "trigger_fired", "already executed"),
        Rule("-2011", Verdict.IN_DOUBT, "not_in_engine", "not in matching engine"),
        # Not documented: Binance's text of this code, which names no state.
        Rule("-2011", Verdict.UNKNOWN_ORDER, "unknown_order", "Unknown order sent"),
        Rule("-2011", Verdict.IN_DOUBT, "not_cancelable"),
        Rule("-2013", Verdict.UNKNOWN_ORDER, "unknown_order"),
        # Not documented: Binance's codes of its limits, with whatever HTTP status they come.
        Rule("-1003", Verdict.BANNED, "banned", "banned"),
        Rule("-1003", Verdict.THROTTLED, "throttled"),
        Rule("-1015", Verdict.THROTTLED, "throttled"),
        Rule("-1008", Verdict.THROTTLED, "throttled"),  # the venue is overloaded, for everybody
        Rule("-1100", Verdict.REFUSED, "bad_request"),
        Rule("-1102", Verdict.REFUSED, "bad_request"),
        Rule("-1121", Verdict.REFUSED, "bad_symbol"),
        Rule("-1130", Verdict.REFUSED, "bad_request"),
        # The framework's plain text for a parameter that is missing or of a wrong type.
        Rule("", Verdict.REFUSED, "bad_request", "Failed to deserialize query string"),
        Rule("-1021", Verdict.CLOCK, "clock"),  # https://docs.p99.world/auth
        Rule("INVALID_TIMESTAMP", Verdict.CLOCK, "clock"),  # https://docs.p99.world/auth
        Rule("SIGNATURE_INVALID", Verdict.CLOCK, "clock", "recv window"),
        Rule("SIGNATURE_INVALID", Verdict.HALT, "auth"),
        Rule("INVALID_API_KEY", Verdict.HALT, "auth"),
        Rule("API_KEY_DISABLED", Verdict.HALT, "auth"),
        Rule("UNAUTHORIZED", Verdict.HALT, "auth"),
        Rule("INVALID_TOKEN", Verdict.HALT, "auth"),
        Rule("IP_NOT_ALLOWED", Verdict.HALT, "permission"),
        # Database, engine, or the proxy between shards, which may hide a cancel that was done.
        Rule("-1001", Verdict.IN_DOUBT, "venue_error"),
        Rule("INTERNAL_ERROR", Verdict.IN_DOUBT, "venue_error"),
    )
    #: The words are FIX's own (the source; EXPIRED: page Batch Cancel Orders).
    states = {
        str(status): status for status in OrdStatus if status is not OrdStatus.PENDING_CANCEL
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put symbol and ids into the query, percent-encoded."""
        if batch.route.only_open:
            target = f"{batch.route.path}?recvWindow={RECV_WINDOW_MS}"
            return HttpRequest(batch.route.method, target)
        name, value = _named(batch)
        query = f"symbol={quote(batch.refs[0].symbol, safe='')}&{name}={quote(value, safe='')}"
        target = f"{batch.route.path}?{query}&recvWindow={RECV_WINDOW_MS}"
        return HttpRequest(batch.route.method, target)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign the query with its timestamp: hex of HMAC-SHA256, appended last."""
        target = f"{request.target}&timestamp={now_ms}"
        payload = target.partition("?")[2].encode()
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).hexdigest()
        headers = {**request.headers, "X-MBX-APIKEY": credential["api_key"]}
        return replace(request, target=f"{target}&signature={mac}", headers=headers)

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the orders that the reply names, or its error."""
        body = reply.json
        lists = batch.route.purpose is Purpose.LIST
        if batch.route.only_open and _is_empty(reply):
            return Answers(listed=() if lists else None)
        if body is None:
            page = reply.text.lstrip().startswith("<")
            return Answers(overall=Answer(text="" if page else reply.text))
        if (
            isinstance(body, dict)
            and not _is_order(body)
            and ("code" in body or "error" in body)
        ):
            return Answers(overall=_error(body))
        if lists:
            return Answers(listed=_listed(body))
        rows = body if isinstance(body, list) else [body]
        return Answers(by_id=_by_id(batch, body), others=_others(batch, rows))


def _named(batch: Batch) -> tuple[str, str]:
    ref = batch.refs[0]
    name = "orderId" if ref.kind is IdKind.VENUE else "origClientOrderId"
    if batch.route.name != "cancel_batch":
        return name, ref.id
    return f"{name}List", json.dumps([ref.id for ref in batch.refs], separators=(",", ":"))


def _is_empty(reply: HttpReply) -> bool:
    """Say whether the venue lists nothing, in whichever way it writes that.

    Nothing but null or `{}` under HTTP 200; which of these the venue may write: not documented.
    """
    return reply.status == 200 and reply.text.strip() in ("null", "{}")


def _is_order(body: Mapping[str, Any]) -> bool:
    """Whether this is an order, which may have fields named `code` or `error`, too."""
    return "status" in body and ("orderId" in body or "clientOrderId" in body)


def _error(body: Mapping[str, Any]) -> Answer:
    if "code" in body:
        return Answer(code=str(body["code"]), text=str(body.get("msg", "")))
    return Answer(code=str(body["error"]["code"]), text=str(body["error"].get("message", "")))


def _by_id(batch: Batch, body: Any) -> dict[str, Answer]:
    if batch.route.name == "open_orders":
        return _of_list(batch, body)
    if batch.route.name != "cancel_batch":
        return _one(batch.refs[0], body)
    return {ref.id: _of_row(row) for row in body for ref in batch.refs if _is_about(row, ref)}


def _of_list(batch: Batch, rows: Any) -> dict[str, Answer]:
    if not isinstance(rows, list):
        raise TypeError("a list of orders was expected")
    asked = {_key(ref.kind, ref.id): ref.id for ref in batch.refs}
    found: dict[str, Answer] = {}
    for row in rows:
        for kind, name in ID_NAMES.items():
            order_id = asked.get(_key(kind, str(row[name])))
            if order_id is not None:
                found[order_id] = _of_row(row)
    return found


def _listed(rows: Any) -> tuple[OpenOrder, ...]:
    if not isinstance(rows, list):
        raise TypeError("a list of orders was expected")
    return tuple(
        [
            OpenOrder(
                id=str(row["orderId"]),
                symbol=str(row["symbol"]),
                ord_types=LISTED_TYPES.get(row.get("type", ""), ALL_TYPES),
                side={"BUY": Side.BUY, "SELL": Side.SELL}.get(row.get("side", "")),
                client_id=str(row.get("clientOrderId") or ""),
                state=str(row.get("status", "")),
            )
            for row in rows
        ]
    )


def _key(kind: IdKind, order_id: str) -> tuple[IdKind, str]:
    return kind, order_id.lower() if kind is IdKind.VENUE else order_id


def _one(ref: OrderRef, order: Mapping[str, Any]) -> dict[str, Answer]:
    if not _is_about(order, ref):
        raise ValueError("the answer is about another order")
    return {ref.id: _of_row(order)}


def _others(batch: Batch, rows: Any) -> dict[IdKind, dict[str, Answer]]:
    """Return what the rows say by the ids that nobody asked for."""
    found: dict[IdKind, dict[str, Answer]] = {IdKind.VENUE: {}, IdKind.CLIENT: {}}
    asked = {_key(ref.kind, ref.id) for ref in batch.refs}
    for row in rows:
        said = _of_row(row) if _is_order(row) else None
        for kind, name in ID_NAMES.items():
            named = str(row.get(name) or "")
            if said and named and _key(kind, named) not in asked:
                found[kind][named] = said
    return found


def _is_about(row: Mapping[str, Any], ref: OrderRef) -> bool:
    if ref.kind is IdKind.CLIENT:
        return bool(row.get("clientOrderId") == ref.id)
    return str(row.get("orderId", "")).lower() == ref.id.lower()


def _of_row(row: Mapping[str, Any]) -> Answer:
    children = (str(row[name]) for name in CHILD_IDS if row.get(name))
    return Answer(
        text="".join(f"it placed order {child}" for child in children),
        state=str(row["status"]),
        symbol=str(row.get("symbol", "")),
        cum_qty=str(row.get("executedQty", row.get("cumQty", ""))),
        order_qty=str(row.get("origQty", "")),
    )
