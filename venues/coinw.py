"""CoinW USDT perpetual futures: a batch cancel that answers nothing per id.

Docs
    https://www.coinw.com/api-doc/en/futures-trading/trade/cancel-batch-orders
    https://www.coinw.com/api-doc/en/futures-trading/trade/cancel-an-order
    https://www.coinw.com/api-doc/en/futures-trading/check/get-order-information
    https://www.coinw.com/api-doc/en/futures-trading/check/get-current-orders
    https://www.coinw.com/api-doc/en/futures-trading/check/get-historical-orders-7days, -3months
    https://www.coinw.com/api-doc/en/common/precautions (limits), .../common/error-codes
    https://github.com/JKorf/CoinW.Net (rows, words, limits where the pages are silent)

Quirks
    - Code 0 of a batch says nothing per id; what one bad id does to the rest: not documented.
    - Order information names up to 20 ids, or none: then it shows all open orders of the type.
    - No look-up by id shows a closed order. One list per type shows the open ones (`execute`
      may show `plan` ones, too); history shows 7 days, archive 3 months, and of canceled orders
      only those that had traded. Trailing and TP/SL orders leave no record at all.
    - An unknown *order* is answered with 9012 "Position not found."
    - A trigger order has no documented `posType`, so it goes by the single route.
    - Ids exceed 2^53; open rows have them as JSON numbers, history rows as strings.
    - Rows of trailing orders say `moveStopProfitLoss` where requests say `moveStop`, and have
      no `orderStatus`. A row's `status` is open or close of the *position*.
    - DELETE carries a signed JSON body. GET is signed with literal commas, not URL-encoded.
    - The text of an error is in `msg` or `message`; the HTTP status that comes with an error is
      not documented.
    - A client order id (`thirdOrderId`) can neither cancel nor be looked up. /batchClose and
      the DELETEs of positions *trade*: they are no routes here, and must never become any.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from venues.base import Answer, Answers, Batch, HttpReply, HttpRequest
from venues.base import Quota, Route, Projection, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import IdKind, OrdStatus, OrdType, Purpose

#: Rows of one page of a list: the most that public clients ask for (no maximum documented).
PAGE_SIZE = 100
#: `posType` of a cancel (page Cancel Batch Orders); `any` goes without.
POS_TYPES = {
    OrdType.LIMIT: "plan",
    OrdType.MARKET: "execute",
    OrdType.TRAILING_STOP: "moveStop",
    OrdType.TP_SL: "stopProfitLoss",
}
#: The word of a row (page Get Current Orders; CoinW.Net FuturesOrderType).
ROW_TYPES = {
    "plan": OrdType.LIMIT,
    "execute": OrdType.MARKET,
    "planTrigger": OrdType.TRIGGER,
    "moveStopProfitLoss": OrdType.TRAILING_STOP,
    "stopProfitLoss": OrdType.TP_SL,
}
#: Ids sought in one list: not documented; a bound on what a lane judges in one go.
WIDE_IDS = 500
#: Not documented: numbers that a list is likely to be cut at, if it is cut.
USUAL_LIMITS = frozenset({10, 20, 25, 30, 40, 50, 100, 200, 250, 300, 500, 1000, 2000})
SHARED = ("account", "escalation", "address")
#: Routes that show what is over, and no open order.
RECORDS = frozenset({"history", "archive"})
#: What is looked at in a row of an open order (page Get Order Information), and in the record,
#: which tells quantities (CoinW.Net).
OPEN_LOOK = ("orderStatus", "instrument", "posType", "originalType")
RECORD_LOOK = (*OPEN_LOOK, "tradePiece", "totalPiece")
OPEN_ROWS = Projection("data", frozenset({"id", *OPEN_LOOK}))


def _open(word: str, ord_type: OrdType) -> Route:
    """Return the look-up among open orders of one type (page Get Order Information).

    It takes 20 ids; without any it shows all open orders of that type, and asked for `execute`
    perhaps those of `plan`, too.
    """
    return Route(
        f"open_{ord_type}", Purpose.LOOKUP, "GET", "/v1/perpum/order", venue_word=word,
        ord_types=frozenset({ord_type, OrdType.ANY}), quotas=("lookup", *SHARED),
        max_ids=20, list_all_ids=WIDE_IDS,
        overlaps="open_limit" if ord_type is OrdType.MARKET else "",
        life_stage=1 if ord_type in (OrdType.LIMIT, OrdType.MARKET) else 0,
    )  # fmt: skip


class CoinW(Venue):
    """CoinW futures."""

    name = "coinw"
    base_url = "https://api.coinw.com"  # page Authentication & Code Snippet > Futures
    forgets_canceled = True  # canceled orders that never traded leave no record (see Quirks)
    id_shapes = {
        # A Long in the one spelling that rows have: with a leading zero it would never match.
        IdKind.VENUE: re.compile(r"[1-9][0-9]{0,18}"),
        # `thirdOrderId`, to tell a client order id from nonsense; its shape: not documented.
        IdKind.CLIENT: re.compile(r"[A-Za-z0-9_.:-]{1,64}"),
    }
    routes = (
        Route(
            "cancel_batch", Purpose.CANCEL, "DELETE", "/v1/perpum/batchOrders",
            ord_types=frozenset({*POS_TYPES, OrdType.ANY}), group_by=("ord_type",),
            max_ids=20, quotas=("cancel_batch", *SHARED),  # page Cancel Batch Orders
        ),
        Route(
            "cancel_one", Purpose.CANCEL, "DELETE", "/v1/perpum/order",
            # It is told no type, and only for limit orders it is shown that it needs none.
            quotas=("cancel_one", *SHARED), single_first=frozenset({OrdType.LIMIT}),
        ),
        _open("plan", OrdType.LIMIT),
        Route(  # without `instrument`: a misspelt symbol must not make an order look gone
            "history", Purpose.LOOKUP, "GET", "/v1/perpum/orders/history",
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.TRIGGER, OrdType.ANY}),
            # The list has no filter by id, so any number may be sought in it.
            max_ids=WIDE_IDS, max_pages=10, quotas=("history", *SHARED), life_stage=2,
        ),
        _open("execute", OrdType.MARKET),
        _open("moveStop", OrdType.TRAILING_STOP),
        _open("stopProfitLoss", OrdType.TP_SL),
        Route(
            "open_trigger", Purpose.LOOKUP, "GET", "/v1/perpum/orders/open",
            ord_types=frozenset({OrdType.TRIGGER, OrdType.ANY}), group_by=("symbol",),
            needs_symbol=True, venue_word="planTrigger",
            max_ids=WIDE_IDS, max_pages=10, quotas=("lookup", *SHARED),  # as in history
        ),
        Route(  # three months; asked last, of ids that are nowhere else
            "archive", Purpose.LOOKUP, "GET", "/v1/perpum/orders/archive",
            ord_types=frozenset(), max_ids=WIDE_IDS, max_pages=10, quotas=("history", *SHARED),
            life_stage=2,
        ),
    )  # fmt: skip
    quotas = {
        "cancel_batch": Quota(10, 1.0),  # page Cancel Batch Orders
        "cancel_one": Quota(10, 1.0),  # page Cancel an Order
        "lookup": Quota(10, 1.0),  # pages Get Order Information, Get Current Orders
        # GetOrderHistory7DaysAsync, GetOrderHistory3MonthsAsync in CoinW.Net; drawn by both.
        "history": Quota(5, 2.0),
        "account": Quota(100, 1.0),  # precautions: all futures calls of a user but market data
        # Precautions: over 60 (user) or 80 (address) in 10 s the limits are halved, then bans
        # follow; whether requests or errors are counted, sources disagree. Some room is left.
        "escalation": Quota(55, 10.0),
        "address": Quota(75, 10.0, "address"),
    }
    rules = (  # page Error Codes, and where noted CoinWErrors.cs of CoinW.Net
        Rule("0", Verdict.ACCEPTED),
        Rule("9012", Verdict.UNKNOWN_ORDER, "unknown_order"),  # page Cancel an Order
        Rule("29001", Verdict.THROTTLED, "throttled"),  # precautions
        Rule("429", Verdict.THROTTLED, "throttled"),  # CoinWErrors.cs
        Rule("402", Verdict.REFUSED, "bad_request"),
        Rule("1", Verdict.REFUSED, "bad_request"),  # CoinWErrors.cs
        Rule("500", Verdict.IN_DOUBT, "venue_error"),  # "usually a wrong URL": no plain refusal
        Rule("9111", Verdict.IN_DOUBT, "symbol_not_tradable"),  # CoinWErrors.cs
        Rule("6000", Verdict.HALT, "auth"),  # CoinWErrors.cs
        Rule("6001", Verdict.HALT, "auth"),  # CoinWErrors.cs
        Rule("6003", Verdict.HALT, "permission"),
    )
    states = {  # CoinW.Net FuturesOrderStatus.cs and its fixtures, which differ in case
        "unFinish": OrdStatus.NEW,
        "part": OrdStatus.PARTIALLY_FILLED,
        "finish": OrdStatus.FILLED,
        "cancel": OrdStatus.CANCELED,
        "cancelAll": OrdStatus.CANCELED,
        # Not documented: the usual words of others, should the venue change to them.
        "new": OrdStatus.NEW,
        "partiallyFilled": OrdStatus.PARTIALLY_FILLED,
        "filled": OrdStatus.FILLED,
        "canceled": OrdStatus.CANCELED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put the ids into a JSON body (cancels) or into the query (look-ups)."""
        route = batch.route
        if route.purpose is Purpose.LOOKUP:
            rows = OPEN_ROWS if route.max_pages == 1 else None
            return HttpRequest(route.method, f"{route.path}?{_query(batch)}", projection=rows)
        body = json.dumps(_cancel_body(batch), separators=(",", ":")).encode()
        return HttpRequest(route.method, route.path, body, {"Content-Type": "application/json"})

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign timestamp, method, target and body: Base64 of HMAC-SHA256."""
        payload = f"{now_ms}{request.method}{request.target}".encode() + request.body
        # Not `hmac.digest`: that gives the interpreter away, and waits to have it back.
        mac = hmac.new(credential.api_secret.encode(), payload, hashlib.sha256).digest()
        signed = {
            "sign": base64.b64encode(mac).decode(),
            "api_key": credential.api_key,
            "timestamp": str(now_ms),
        }
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the code of the whole, or the rows of a list."""
        body = reply.json
        code = str(body["code"])
        if code != "0" or batch.route.purpose is Purpose.CANCEL:
            text = body.get("msg") or body.get("message") or ""
            return Answers(overall=Answer(code=code, text=str(text)))
        data = body["data"]
        if batch.route.max_pages == 1:
            by_id, others = _shown(batch, data)
            return Answers(None, by_id, _may_be_cut(batch, data), others)
        return _page(batch, data)


#: Orders that a reply shows beside those asked for.
_Others = Mapping[IdKind, Mapping[str, Answer]]


def _cancel_body(batch: Batch) -> dict[str, Any]:
    if batch.route.name == "cancel_one":
        return {"id": batch.refs[0].id}
    pos_type = POS_TYPES.get(batch.refs[0].ord_type)
    named = {"posType": pos_type} if pos_type else {}
    return {**named, "sourceIds": [ref.id for ref in batch.refs]}


def _query(batch: Batch) -> str:
    page = f"page={batch.page}&pageSize={PAGE_SIZE}"
    if batch.route.name in RECORDS:
        return page
    if batch.route.needs_symbol:
        return f"instrument={batch.refs[0].symbol}&positionType={batch.route.venue_word}&{page}"
    ids = ",".join(ref.id for ref in batch.refs)
    named = "" if batch.lists_all else f"&sourceIds={ids}"
    return f"positionType={batch.route.venue_word}{named}"


def _shown(batch: Batch, rows: Any) -> tuple[dict[str, Answer], _Others]:
    """Return what the rows say of the orders asked for, and of others."""
    if not isinstance(rows, list):
        raise TypeError("a list of orders was expected")
    asked = {ref.id for ref in batch.refs}
    # What the lists of open orders show is open, also where a row has no word for it.
    is_record = batch.route.name in RECORDS
    fields = RECORD_LOOK if is_record else OPEN_LOOK
    whole_look = itemgetter(*fields)
    known: dict[tuple[Any, ...], Answer] = {}  # most rows say the same
    found: dict[str, Answer] = {}
    others: dict[str, Answer] = {}
    for row in rows:
        order_id = str(row["id"])
        try:
            look = whole_look(row)
        except KeyError:
            look = tuple(map(row.get, fields))
        if order_id in asked:
            found[order_id] = known.get(look) or known.setdefault(look, _answer(*look))
        elif isinstance(look[0], str):  # what is odd of an order of others spoils no reply
            others[order_id] = known.get(look) or known.setdefault(look, _answer(*look))
    return found, {IdKind.VENUE: others}


def _may_be_cut(batch: Batch, rows: list[Any]) -> bool:
    """All open orders are promised; just so many rows may be a limit that nobody wrote of."""
    return batch.lists_all and len(rows) in USUAL_LIMITS


def _answer(
    state: Any, symbol: Any, pos_type: Any, original_type: Any, *quantities: Any
) -> Answer:
    """Return a row's state, symbol and type, and of the record its quantities."""
    if state is None and quantities:
        raise KeyError("a record without its state")
    done, whole = quantities or (None, None)
    return Answer(
        state="unFinish" if state is None else str(state),
        symbol="" if symbol is None else str(symbol),
        ord_type=ROW_TYPES.get(pos_type or original_type),
        cum_qty="" if done is None else str(done),
        order_qty="" if whole is None else str(whole),
    )


def _page(batch: Batch, data: dict[str, Any]) -> Answers:
    rows, total = data["rows"], int(data["total"])
    by_id, others = _shown(batch, rows)
    before = (batch.page - 1) * PAGE_SIZE
    if len(rows) < min(PAGE_SIZE, total - before):
        # The venue shows less than it was asked for: what is not shown is not proven absent.
        short = Answer(text="the page is shorter than its total")
        return Answers(overall=short, by_id=by_id, others=others)
    return Answers(by_id=by_id, truncated=before + PAGE_SIZE < total, others=others)
