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
    - Lists take `instrument`, which the pages call optional; a venue that demands it says 402.
    - An unknown *order* is answered with 9012 "Position not found."
    - A trigger order has no documented `posType`, so it goes by the single route, and in a
      batch of no stated type where that knows no such order.
    - Ids exceed 2^53; open rows have them as JSON numbers, history rows as strings.
    - Rows of trailing orders say `moveStopProfitLoss` where requests say `moveStop`, and have
      no `orderStatus`. A row's `status` is open or close of the *position*.
    - DELETE carries a signed JSON body. GET is signed with literal commas, not URL-encoded.
    - The text of an error is in `msg` or `message`; the HTTP status that comes with an error is
      not documented.
    - Rows of open orders tell neither `thirdOrderId` nor buy or sell: `direction` is that of
      the position. Triggers are listed for one `instrument` only.
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
from venues.base import OpenOrder, Page, Quota, Route, Projection, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import IdKind, OrdStatus, OrdType, Purpose

#: Rows of one page of a list: the most that public clients ask for (no maximum documented).
PAGE_SIZE = 100
#: Pages of one list that are read: not documented; about 2,400 rows, and 12 s at the quota.
MAX_PAGES = 30
#: A page overlaps the one before by one row in so many: as many may leave meanwhile.
OVERLAP = 20
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
#: Ids sought in one list, and in the record, whose few tokens all ids must share: not
#: documented; a bound on what a lane judges in one go.
WIDE_IDS, RECORD_IDS = 500, 5000
#: Not documented: numbers that a list is likely to be cut at, if it is cut.
USUAL_LIMITS = frozenset({10, 20, 25, 30, 40, 50, 100, 200, 250, 300, 500, 1000, 2000})
SHARED = ("account", "escalation", "address")
#: The code for a parameter that is missing. Lists do without `instrument` by the pages, and the
#: venue may demand it all the same.
PARAM_REQUIRED = "402"
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
        only_open=True, symbol_demanded=PARAM_REQUIRED,
    )  # fmt: skip


def _list(word: str, ord_type: OrdType) -> Route:
    """Return the same list as it is read in full, for orders that no job names."""
    return replace(
        _open(word, ord_type), name=f"list_{ord_type}", purpose=Purpose.LIST,
        ord_types=frozenset({ord_type}), max_ids=1, list_all_ids=0, overlaps="",
        listed_as=ord_type,
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
            unproven_for=frozenset({OrdType.TRIGGER}),
        ),
        Route(  # a batch of no stated type, for what the single cancel may not reach
            "cancel_untyped", Purpose.CANCEL, "DELETE", "/v1/perpum/batchOrders",
            ord_types=frozenset({OrdType.TRIGGER}), max_ids=20,
            quotas=("cancel_batch", *SHARED),
        ),
        _open("plan", OrdType.LIMIT),
        Route(  # without `instrument`: a misspelt symbol must not make an order look gone
            "history", Purpose.LOOKUP, "GET", "/v1/perpum/orders/history",
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.TRIGGER, OrdType.ANY}),
            # The list has no filter by id, so any number may be sought in it.
            max_ids=RECORD_IDS, max_pages=MAX_PAGES, quotas=("history", *SHARED), life_stage=2,
            symbol_demanded=PARAM_REQUIRED,
        ),
        _open("execute", OrdType.MARKET),
        _open("moveStop", OrdType.TRAILING_STOP),
        _open("stopProfitLoss", OrdType.TP_SL),
        Route(
            "open_trigger", Purpose.LOOKUP, "GET", "/v1/perpum/orders/open",
            ord_types=frozenset({OrdType.TRIGGER, OrdType.ANY}), group_by=("symbol",),
            needs_symbol=True, venue_word="planTrigger",
            max_ids=WIDE_IDS, max_pages=MAX_PAGES, quotas=("lookup", *SHARED),  # as in history
        ),
        Route(  # three months; asked last, of ids that are nowhere else
            "archive", Purpose.LOOKUP, "GET", "/v1/perpum/orders/archive",
            ord_types=frozenset(), max_ids=RECORD_IDS, max_pages=MAX_PAGES,
            quotas=("history", *SHARED), life_stage=2, symbol_demanded=PARAM_REQUIRED,
        ),
    )  # fmt: skip
    lists = (
        _list("moveStop", OrdType.TRAILING_STOP),
        _list("stopProfitLoss", OrdType.TP_SL),
        Route(
            "list_trigger", Purpose.LIST, "GET", "/v1/perpum/orders/open",
            ord_types=frozenset({OrdType.TRIGGER}), needs_symbol=True, venue_word="planTrigger",
            max_pages=MAX_PAGES, quotas=("lookup", *SHARED), listed_as=OrdType.TRIGGER,
        ),
        _list("plan", OrdType.LIMIT),
        _list("execute", OrdType.MARKET),
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
        # Not documented: a code of its own for an order, should the venue come to have one.
        Rule("9013", Verdict.UNKNOWN_ORDER, "unknown_order", "order"),
        Rule("29001", Verdict.THROTTLED, "throttled"),  # precautions
        Rule("429", Verdict.THROTTLED, "throttled"),  # CoinWErrors.cs
        Rule(PARAM_REQUIRED, Verdict.REFUSED, "bad_request"),
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
        if route.purpose is not Purpose.CANCEL:
            rows = OPEN_ROWS if route.max_pages == 1 else None
            return HttpRequest(route.method, f"{route.path}?{_query(batch)}", projection=rows)
        body = json.dumps(_cancel_body(batch), separators=(",", ":")).encode()
        return HttpRequest(route.method, route.path, body, {"Content-Type": "application/json"})

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign timestamp, method, target and body: Base64 of HMAC-SHA256."""
        payload = f"{now_ms}{request.method}{request.target}".encode() + request.body
        # Not `hmac.digest`: that gives the interpreter away, and waits to have it back.
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).digest()
        signed = {
            "sign": base64.b64encode(mac).decode(),
            "api_key": credential["api_key"],
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
        rows, total = _rows(body)
        if batch.route.purpose is Purpose.LIST:
            return _open_orders(batch, rows, total)
        by_id, others = _shown(batch, rows)
        if batch.route.max_pages == 1:
            cut = _may_be_cut(batch, rows) or (total or 0) > len(rows)
            return Answers(None, by_id, cut, others)
        page = _page(batch, rows, total)
        return Answers(None, by_id, _goes_on(page, batch), others, page)


#: Orders that a reply shows beside those asked for.
_Others = Mapping[IdKind, Mapping[str, Answer]]


def _cancel_body(batch: Batch) -> dict[str, Any]:
    if batch.route.name == "cancel_one":
        return {"id": batch.refs[0].id}
    pos_type = POS_TYPES.get(batch.refs[0].ord_type)
    named = {"posType": pos_type} if pos_type else {}
    return {**named, "sourceIds": [ref.id for ref in batch.refs]}


def _query(batch: Batch) -> str:
    number, size = place_of(batch)
    page = f"page={number}&pageSize={size}"
    route = batch.route
    of_symbol = f"instrument={batch.of_symbol}&" if route.needs_symbol else ""
    if route.name in RECORDS:
        return f"{of_symbol}{page}"
    if route.max_pages > 1:
        return f"{of_symbol}positionType={route.venue_word}&{page}"
    ids = ",".join(ref.id for ref in batch.refs)
    named = "" if batch.lists_all or not ids else f"&sourceIds={ids}"
    return f"{of_symbol}positionType={route.venue_word}{named}"


def place_of(batch: Batch) -> tuple[int, int]:
    """Return number and size of the longest page that begins before the first unread row.

    Pages are counted in their own size, so a smaller one begins elsewhere.
    """
    most = batch.size or PAGE_SIZE
    if not batch.read:
        return 1, most
    begin = batch.read - max(1, most // OVERLAP)
    numbers = range(2, 2 * begin // most + 4)
    places = ((number, min(most, begin // (number - 1))) for number in numbers)
    longest = max(places, key=lambda place: place[0] * place[1])
    if longest[0] * longest[1] > batch.read:
        return longest
    return batch.read // most + 1, most  # too small to overlap: it is seen not to follow


def _rows(body: Mapping[str, Any]) -> tuple[list[Any], int | None]:
    """Return a list's rows and its length, where told.

    An empty list may be null, `{}` or missing, but then in the venue's whole envelope.
    """
    data = body.get("data")
    listed, total = (
        (data.get("rows"), data.get("total")) if isinstance(data, dict) else (data, None)
    )
    if "msg" in body and (listed is None or listed == {}):
        listed = []
    unsure = not listed and not isinstance(data, list) and total != 0 and "msg" not in body
    if unsure or not isinstance(listed, list):
        raise TypeError("a list of orders was expected")
    return listed, int(total) if total else None


def _shown(batch: Batch, rows: list[Any]) -> tuple[dict[str, Answer], _Others]:
    """Return what the rows say of the orders asked for, and of others."""
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


def _open_orders(batch: Batch, rows: list[Any], total: int | None) -> Answers:
    """Return the rows of a list of open orders: all of it, or a page."""
    listed = tuple([_listed(batch, row) for row in rows])
    if batch.route.max_pages == 1:
        cut = len(rows) in USUAL_LIMITS or (total or 0) > len(rows)
        return Answers(truncated=cut, listed=listed)
    page = _page(batch, rows, total)
    return Answers(truncated=_goes_on(page, batch), listed=listed, page=page)


def _listed(batch: Batch, row: Mapping[str, Any]) -> OpenOrder:
    said = _answer(*map(row.get, OPEN_LOOK))
    # A row without a word for its type is of the type that was asked for.
    ord_type = said.ord_type or batch.route.listed_as
    return OpenOrder(str(row["id"]), said.symbol, frozenset({ord_type}), state=said.state)


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


def _page(batch: Batch, rows: list[Any], total: int | None) -> Page:
    number, size = place_of(batch)
    given = len(rows) if _is_cut(rows, size) else batch.size
    end = (number - 1) * size + len(rows)
    return Page(tuple([str(row["id"]) for row in rows]), end, total, given)


def _is_cut(rows: list[Any], size: int) -> bool:
    """Say whether the venue may give fewer rows on a page than it was asked for."""
    return len(rows) < size and len(rows) in USUAL_LIMITS


def _goes_on(page: Page, batch: Batch) -> bool:
    """Say whether a list may have rows after this page.

    A total counts that says so. Where none is told, or it is that of this page alone, a page
    goes on that is full, or cut at one of the numbers that are usual.
    """
    rows, (number, size) = len(page.ids), place_of(batch)
    if page.total is not None and page.total > page.end:
        return True
    if page.total is not None and number > 1 and page.total == page.end:
        return False
    return rows == size or rows in USUAL_LIMITS
