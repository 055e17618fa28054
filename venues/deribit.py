"""Deribit: JSON-RPC over HTTP, orders one by one, by their order ids alone.

Docs
    https://docs.deribit.com/articles/authentication
    https://docs.deribit.com/articles/json-rpc-overview
    https://docs.deribit.com/articles/errors (the complete list)
    https://docs.deribit.com/api-reference/trading/private-cancel (and private-get_order_state,
    private-get_open_orders, private-get_order_history_by_instrument, private-cancel_all,
    private-cancel_all_by_instrument)
    https://docs.deribit.com/articles/accessing-historical-trades-orders
    https://support.deribit.com/hc/en-us/articles/25944617523357-Rate-Limits

Quirks
    - There is no batch by ids. A label names as many orders as bear it, so it is no id: labels
      are not taken. One that is digits only looks like an order id.
    - The answer to a cancel is the order. That of a trigger order may show the state *before*:
      whatever is no end is taken, and looked up.
    - A trigger order that fired leaves an order with another id, which may rest. Where a list
      shows that one, by its `trigger_order_id`, it is canceled and looked up from then on;
      a state "triggered" alone leaves it in doubt.
    - Look-ups by id forget an order some time after its end: 10004 is no proof that there was
      none. What ended is in two records, the last half hour and what is older, each asked for
      by instrument; a record without `include_unfilled` has only orders that traded.
    - In rows of mass quotes the amount is what is left: of quotes it is not read.
    - 13009 is said of a wrong time, too. A nonce may be used once: it is made of the request
      and its time.
    - Errors come with HTTP 400. What a short page lists as common errors contradicts the list.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from venues.base import Answer, Answers, Batch, HttpReply, HttpRequest, OpenOrder
from venues.base import Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import ALL_TYPES, Became, IdKind, OrdStatus, OrdType, Purpose, Side

API = "/api/v2/private"
LISTED_AT = f"{API}/get_open_orders"
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500
#: Rows asked for of a record, which may have 1,000 (page Get Order History): half a megabyte.
RECORD_ROWS = 500
#: What an open order may be, by its `order_type` (page Get Open Orders).
LISTED_TYPES = {
    "limit": frozenset({OrdType.LIMIT}),
    "trailing_stop": frozenset({OrdType.TRAILING_STOP}),
    **dict.fromkeys(
        ("stop_limit", "stop_market", "take_limit", "take_market"),
        frozenset({OrdType.TRIGGER, OrdType.TP_SL}),
    ),
}
#: States that are an end; a cancel's answer that shows another one proves nothing.
ENDS = frozenset({"filled", "cancelled", "rejected"})


def _rows_of(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule(code, verdict, reason) for code in codes.split())


def _record(name: str, historical: str) -> Route:
    """Return a record of what is over: of the last half hour ("false"), or older ("true")."""
    return Route(
        name, Purpose.LOOKUP, "GET", f"{API}/get_order_history_by_instrument",
        max_ids=WIDE_IDS, group_by=("symbol",), needs_symbol=True, life_stage=2,
        quotas=("history", "account"), venue_word=historical,
    )  # fmt: skip


class Deribit(Venue):
    """Deribit."""

    name = "deribit"
    base_url = "https://www.deribit.com"
    id_shapes = {
        # BTC's are digits; others begin with a currency, a word for triggers, or both: samples
        # of the pages.
        IdKind.VENUE: re.compile(r"(?:[A-Z0-9]{2,10}-)?(?:[A-Z]{4}-)?[0-9]{1,20}"),
    }
    routes = (
        Route(  # a GET would do, and is what ccxt sends; what changes something is none here
            "cancel_one", Purpose.CANCEL, "POST", f"{API}/cancel",
            quotas=("cancel_one", "account"),
        ),
        Route(  # it shows what has ended as well, but nobody knows for how long
            "order", Purpose.LOOKUP, "GET", f"{API}/get_order_state",
            only_open=True, quotas=("lookup", "account"),
        ),
        Route(
            "open_orders", Purpose.LOOKUP, "GET", LISTED_AT,
            max_ids=WIDE_IDS, only_open=True, quotas=("lookup", "account"),
        ),
        _record("recent_record", "false"),
        _record("record", "true"),
    )  # fmt: skip
    lists = (  # of every kind and currency, where none is named; paging is not documented
        Route(
            "list_open", Purpose.LIST, "GET", LISTED_AT, ord_types=ALL_TYPES,
            only_open=True, tells_side=True, quotas=("lookup", "account"),
        ),
    )  # fmt: skip
    cancel_alls = (  # every kind and currency (page Cancel All); of an instrument every type
        Route(
            "cancel_all", Purpose.CANCEL_ALL, "POST", f"{API}/cancel_all", ord_types=ALL_TYPES,
            quotas=("cancel_one", "account"),
        ),
        Route(
            "cancel_all_of_symbol", Purpose.CANCEL_ALL, "POST",
            f"{API}/cancel_all_by_instrument", ord_types=ALL_TYPES, needs_symbol=True,
            quotas=("cancel_one", "account"),
        ),
    )  # fmt: skip
    # Of a sub-account without volume (Rate Limits): calls that reach the matching engine 5 a
    # second, others 20. One and ten of these are left to what else the account does, which
    # draws from the same: this project's choice. Over it the venue closes the session.
    quotas = {
        "cancel_one": Quota(4, 1.0),
        "lookup": Quota(8, 1.0),
        "history": Quota(2, 1.0),
        "account": Quota(14, 1.0),
    }
    rules = (
        # States of a cancel's answer that are no end.
        Rule("open", Verdict.ACCEPTED),
        Rule("untriggered", Verdict.ACCEPTED),
        Rule("triggered", Verdict.IN_DOUBT, "trigger_fired"),
        # https://docs.deribit.com/articles/errors
        Rule("10004", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("11008", Verdict.STATE, "too_late", ord_status=OrdStatus.FILLED),
        # It has ended, and the code does not tell how; of an instrument that has, too.
        *_rows_of("10010 11044 10012 13019", Verdict.IN_DOUBT, "already_processed"),
        *_rows_of("13028 11094 10001 13888 13666", Verdict.IN_DOUBT, "venue_error"),
        *_rows_of("10040 10041 11051 10019 13025 13503", Verdict.NOT_DONE, "not_done"),
        *_rows_of("10028 10066 10047", Verdict.THROTTLED, "throttled"),
        *_rows_of("12003 12998", Verdict.BANNED, "banned"),
        Rule("13009", Verdict.CLOCK, "clock"),
        *_rows_of("13004 10000", Verdict.HALT, "auth"),
        *_rows_of("13021 11042 13403 11098 13031 12005", Verdict.HALT, "permission"),
        *_rows_of("10020 13020", Verdict.REFUSED, "bad_symbol"),
        *_rows_of("10029 10045", Verdict.REFUSED, "refused"),
        *_rows_of("10025 11029 11043 11049 11050", Verdict.REFUSED, "bad_request"),
        *_rows_of("-32602 -32601 -32600 -32700 -32000", Verdict.REFUSED, "bad_request"),
    )
    states = {  # page Get Order State; "new": of triggers. No word for an expiry.
        "open": OrdStatus.NEW,
        "untriggered": OrdStatus.NEW,
        "new": OrdStatus.NEW,
        "filled": OrdStatus.FILLED,
        "cancelled": OrdStatus.CANCELED,
        "rejected": OrdStatus.REJECTED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put a cancel into a JSON-RPC envelope, a read into the query."""
        route = batch.route
        if route.path == LISTED_AT:
            return HttpRequest("GET", f"{route.path}?type=all")
        if route.purpose is Purpose.CANCEL_ALL:
            of_symbol = {"instrument_name": batch.symbol, "type": "all"}
            return _call(route, of_symbol if route.needs_symbol else {})
        ref = batch.refs[0]
        if route.purpose is Purpose.CANCEL:
            return _call(route, {"order_id": ref.id})
        words = {"order_id": ref.id}
        if route.needs_symbol:
            words = {
                "instrument_name": ref.symbol,
                "count": str(RECORD_ROWS),
                "include_old": "true",
                "include_unfilled": "true",
                "historical": route.venue_word,
            }
        return HttpRequest("GET", f"{route.path}?{urlencode(words)}")

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign time, nonce, method, target and body: hex of HMAC-SHA256."""
        data = f"{request.method}\n{request.target}\n{request.body.decode()}\n"
        nonce = hashlib.sha256(f"{now_ms}\n{data}".encode()).hexdigest()[:16]
        mac = signature(credential["api_secret"], now_ms, nonce, data)
        words = f"id={credential['api_key']},ts={now_ms},sig={mac},nonce={nonce}"
        signed = {"Authorization": f"deri-hmac-sha256 {words}"}
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the order or the orders of a result, or its error."""
        body, route = reply.json, batch.route
        if "error" in body:
            error = body["error"]
            return Answers(overall=Answer(str(error["code"]), str(error.get("message", ""))))
        found = body["result"]
        if route.purpose is Purpose.CANCEL_ALL:
            if type(found) is not int:
                raise TypeError("a count was expected")
            return Answers(listed=(), claimed=found)  # it names none
        if route.path == LISTED_AT or route.needs_symbol:
            if not isinstance(found, list):
                raise TypeError("a list of orders was expected")
            if route.purpose is Purpose.LIST:
                return Answers(listed=tuple([_listed(row) for row in found]))
            cut = route.needs_symbol and len(found) >= RECORD_ROWS
            return replace(_of_list(batch, found), truncated=cut)
        (ref,) = batch.refs
        if str(found["order_id"]) != ref.id:
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _of_row(found, route.purpose is Purpose.CANCEL)})


def signature(secret: str, now_ms: int, nonce: str, data: str) -> str:
    """Return what authenticates data, also over a websocket (article Authentication)."""
    payload = f"{now_ms}\n{nonce}\n{data}".encode()
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def _call(route: Route, params: Mapping[str, str]) -> HttpRequest:
    """Return a call that cancels; its method is the end of its path."""
    method = route.path.removeprefix("/api/v2/")
    envelope = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    body = json.dumps(envelope, separators=(",", ":")).encode()
    return HttpRequest("POST", route.path, body, {"Content-Type": "application/json"})


def _of_list(batch: Batch, rows: list[Any]) -> Answers:
    """Return the orders that are asked for, and those of others.

    A row names the trigger order that placed its order, if one did.
    """
    asked = {ref.id for ref in batch.refs}
    said = {str(row.get("trigger_order_id")): _of_trigger(row) for row in rows}
    said = {key: answer for key, answer in said.items() if key in asked}
    said |= {str(row["order_id"]): _of_row(row) for row in rows}
    others = {key: answer for key, answer in said.items() if key not in asked}
    by_id = {key: answer for key, answer in said.items() if key in asked}
    return Answers(by_id=by_id, others={IdKind.VENUE: others})


def _of_trigger(row: Mapping[str, Any]) -> Answer:
    """Return what an order says of the trigger order that placed it."""
    child = str(row["order_id"])
    return Answer(
        "triggered", f"it placed order {child}", symbol=str(row.get("instrument_name", "")),
        became=Became(child),
    )  # fmt: skip


def _listed(row: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        id=str(row["order_id"]),
        symbol=str(row["instrument_name"]),
        ord_types=LISTED_TYPES.get(str(row.get("order_type")), ALL_TYPES),
        side={"buy": Side.BUY, "sell": Side.SELL}.get(str(row.get("direction"))),
        state=str(row["order_state"]),
    )


def _of_row(row: Mapping[str, Any], after_cancel: bool = False) -> Answer:
    word, symbol = str(row["order_state"]).lower(), str(row.get("instrument_name", ""))
    if word == "triggered" or (after_cancel and word not in ENDS):  # no state to believe
        return Answer(code=word, symbol=symbol)
    is_quote = any(name.startswith("quote") for name in row)
    return Answer(
        state=word,
        symbol=symbol,
        cum_qty=str(row.get("filled_amount", "")),
        order_qty="" if is_quote else str(row.get("amount", "")),
    )
