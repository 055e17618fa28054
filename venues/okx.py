"""OKX v5: every product shares the wire; conditional orders ("algo") have a door of their own.

Docs
    https://www.okx.com/docs-v5/en/#overview-rest-authentication; "pages" are beside it:
    #order-book-trading-trade-… (Cancel order, Cancel multiple orders, Order details, Order
    list), #order-book-trading-algo-trading-… (Cancel algo order, Algo order details, Algo order
    list), #overview-rate-limits, #overview-demo-trading-services, #error-code-rest-api
    https://github.com/ccxt/ccxt, https://github.com/nautechsystems/nautilus_trader,
    https://github.com/JKorf/OKX.Net (shapes)

Quirks
    - A cancel's success means "accepted": what became of the order is looked up.
    - Items of an answer decide, whatever the code above them. Whether a refused one echoes its
      id is not documented: one without any id is taken by its place.
    - 51400 and 51603 mean unknown, filled, canceled, or an order behind the other door.
    - Order ids and algo ids have one shape, and come from one generator. Client ids of the two
      are separate: one may name an order and an algo order.
    - A look-up by id names the instrument, and only one that is still listed; that of algo
      orders names none. An order that was canceled without a fill is nowhere after two hours.
    - An algo order that fires places another order (`ordIdList`), which may rest: that one is
      canceled and looked up from then on. Where it places several (iceberg, TWAP), or algo
      orders (`subAlgoIdList`, a chase), or goes on itself, it stays in doubt.
    - Which call cancels trailing, iceberg and TWAP orders is doubtful: cancel-algos first, then
      cancel-advance-algos, which left the pages in April 2025; the look-up decides.
    - Pages begin after an id. Lists of algo orders are asked for kind by kind.
    - `sz` of a market order of spot may be money, so it is not held against what was executed.
    - A batch of one order counts as a single cancel. Limits are per instrument, most of them.
    - 401 with 50102 is a wrong clock. Keys of demo trading need a header.
    - POST of the paths that look up orders places them; mass-cancel locks quoting, and
      close-position, whose `autoCxl` sounds like a cancel, trades.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from venues.base import NOTHING_CHOSEN, Answer, Answers, Batch, Cost, HttpReply, HttpRequest
from venues.base import OpenOrder, Option, Page, Quota, Route, Rule, Timer, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

API = "/api/v5/trade"
BOTH_KINDS = frozenset(IdKind)
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
CONDITIONAL = frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL, OrdType.ANY})
#: What orders and algo orders call their ids.
ORDER_NAMES = {IdKind.VENUE: "ordId", IdKind.CLIENT: "clOrdId"}
ALGO_NAMES = {IdKind.VENUE: "algoId", IdKind.CLIENT: "algoClOrdId"}
#: Of `ordType` of an algo order (page Algo order list). Chase, iceberg and TWAP orders are none
#: of our types: a list tells that they may be any, and they are canceled as triggers.
ALGO_TYPES = {
    "conditional": OrdType.TP_SL,
    "oco": OrdType.TP_SL,
    "trigger": OrdType.TRIGGER,
    "move_order_stop": OrdType.TRAILING_STOP,
}
#: Words of an algo order that fired, in part or in whole (page Algo order details).
FIRED = ("effective", "partially_effective", "partially_failed")
#: Rows of a page: the most that the pages allow.
ROWS = 100
#: Pages of one list that are read. OKX lets 500 orders rest for each instrument (its notice of
#: July 2023) and tells no sum; some 2,400 rows are this project's choice.
MAX_PAGES = 30
#: So many rows of a page are shown by the next one, too: as many may leave meanwhile.
OVERLAP = 20
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500
#: How far reads are behind. Live: not documented, the careful number of all venues. Demo
#: trading: an amendment took more than 25 s to show in a test of June 2026.
READ_LAGS_S = {"live": 2.0, "demo": 26.0}


def _cancel(name: str, path: str, ord_types: frozenset[OrdType], **more: Any) -> Route:
    return Route(
        name, Purpose.CANCEL, "POST", f"{API}/{path}", BOTH_KINDS, ord_types,
        needs_symbol=True, trusted=False, **more,
    )  # fmt: skip


def _algos(name: str, path: str, ord_types: frozenset[OrdType]) -> Route:
    """Return a cancel of algo orders: 20 in 2 s, and so three of the 60 of single cancels."""
    return _cancel(
        name, path, ord_types, max_ids=10, group_by=("kind",),
        quotas=("cancel_one", "account"), costs=(Cost("cancel_one", per_id=3),),
    )  # fmt: skip


def _read(
    name: str, path: str, ord_types: frozenset[OrdType], purpose: Purpose, **more: Any
) -> Route:
    # Algo orders are looked up, and listed, 20 times in 2 s, others 60 times.
    costs = (Cost("lookup", per_request=3),) if "algo" in path else ()
    return Route(
        name, purpose, "GET", f"{API}/{path}", BOTH_KINDS, ord_types,
        quotas=("lookup", "account"), costs=costs, **more,
    )  # fmt: skip


def _list(name: str, path: str, ord_types: frozenset[OrdType], **more: Any) -> Route:
    return _read(
        name, path, ord_types - {OrdType.ANY}, Purpose.LIST, max_pages=MAX_PAGES,
        only_open=True, tells_side=True, tells_client_id=True, **more,
    )  # fmt: skip


def _algo_list(word: str) -> Route:
    """Return the list of algo orders of a kind, or of kinds that may be asked for together."""
    types = {ALGO_TYPES[each] for each in word.split(",") if each in ALGO_TYPES}
    return _list(
        f"list_{word.partition(',')[0]}", "orders-algo-pending",
        frozenset(types) or CONDITIONAL, venue_word=word, listed_as=OrdType.TRIGGER,
    )  # fmt: skip


def _rows_of(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule(code, verdict, reason) for code in codes.split())


class Okx(Venue):
    """OKX, live or demo trading, as the account's `trading` says."""

    name = "okx"
    base_url = "https://www.okx.com"
    options = (Option("trading", tuple(READ_LAGS_S), "live"),)
    parts = (Part("api_key"), Part("api_secret"), Part("api_passphrase"))
    id_shapes = {
        # Samples of the pages have 18 and 19 digits; algo ids have the same shape.
        IdKind.VENUE: re.compile(r"[1-9][0-9]{14,19}"),
        IdKind.CLIENT: re.compile(r"[A-Za-z0-9]{1,32}"),  # page Place order
    }
    routes = (
        _cancel(
            "cancel_batch", "cancel-batch-orders", PLAIN, max_ids=20, group_by=("kind",),
            quotas=("cancel_batch", "cancel_one", "account"),
            costs=(Cost("cancel_batch", per_id=1),), accepts_only_open=True,  # else 5140x
        ),
        _cancel(
            "cancel_one", "cancel-order", PLAIN, single_first=PLAIN,
            quotas=("cancel_one", "account"), accepts_only_open=True,
        ),
        _algos("cancel_algos", "cancel-algos", CONDITIONAL),
        _algos("cancel_advance_algos", "cancel-advance-algos", CONDITIONAL - {OrdType.TP_SL}),
        _read("order", "order", PLAIN, Purpose.LOOKUP, needs_symbol=True),
        _read("algo", "order-algo", CONDITIONAL, Purpose.LOOKUP),
        _read(  # no instrument: a wrong one must not make an order look gone
            "open_orders", "orders-pending", PLAIN, Purpose.LOOKUP, max_ids=WIDE_IDS,
            max_pages=MAX_PAGES, only_open=True,
        ),
    )  # fmt: skip
    lists = (  # what fires moves to the book, which is read afterwards
        _algo_list("conditional,oco"),
        *map(_algo_list, ("trigger", "move_order_stop", "chase", "iceberg", "smart_iceberg")),
        _algo_list("twap"),
        _list("list_open", "orders-pending", PLAIN, life_stage=1, listed_as=OrdType.LIMIT),
    )
    # Page Cancel All After: of all orders of the book, but for spreads; of algo orders it says
    # nothing. Without a tag it is one timer; its own limit is a call a second for a tag.
    timer = Timer(
        Route(
            "timer", Purpose.TIMER, "POST", f"{API}/cancel-all-after",
            ord_types=PLAIN - {OrdType.ANY}, quotas=("timer",),
        ),
        least_s=10, most_s=120,
    )  # fmt: skip
    # Pages of the calls, all in 2 s. Most are of an instrument (of options: of a family), and
    # are kept to here for the whole account (docs/decisions/0038): less than OKX would allow.
    # A batch draws from the single cancels, too, as one of one order does. Calls with limits of
    # their own share one here.
    quotas = {
        "cancel_batch": Quota(300, 2.0),  # orders
        "cancel_one": Quota(60, 2.0),
        "lookup": Quota(60, 2.0),
        "timer": Quota(1, 1.0),
        "account": Quota(60, 1.0),  # no such limit is documented: this project's choice
    }
    rules = (  # page error codes; [C] of clients and their tests
        Rule("0", Verdict.ACCEPTED),
        *_rows_of("51400 51603 51063 51293", Verdict.UNKNOWN_ORDER, "unknown_order"),
        # Of another kind than this call cancels: the look-up tells its kind.
        *_rows_of("51403 51413", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("51412", Verdict.IN_DOUBT, "trigger_fired", "triggered"),
        Rule("51412", Verdict.IN_DOUBT, "venue_error"),  # "timed out", by the same code
        # Words of an algo order that fired, in part or in whole: what it placed may rest.
        *_rows_of(f"51416 {' '.join(FIRED)}", Verdict.IN_DOUBT, "trigger_fired"),
        *_rows_of("51401 51402 51405 51410 51027", Verdict.IN_DOUBT, "already_processed"),
        # 50001 says "try again", 50005 "offline": not that nothing was done.
        *_rows_of("50004 51149 51054 50026 50001 50005", Verdict.IN_DOUBT, "venue_error"),
        *_rows_of(  # frozen by a liquidation
            "50017 50018 50019 50020 50021 50022", Verdict.IN_DOUBT, "symbol_not_tradable"
        ),
        # Call auction, speed bump, delivery, settlement.
        *_rows_of("51404 54048 51028 51029 51030", Verdict.NOT_DONE, "not_done"),
        *_rows_of("50011 50013 50040 50061", Verdict.THROTTLED, "throttled"),
        *_rows_of("50102 50112", Verdict.CLOCK, "clock"),
        *_rows_of(
            "50101 50103 50104 50105 50106 50107 50111 50113 50114 50119", Verdict.HALT, "auth"
        ),
        *_rows_of(
            "50110 50120 50121 50030 50035 50100 50007 50009 50010 50012 50027 50028 50029 "
            "50033 51024",
            Verdict.HALT, "permission",
        ),
        *_rows_of(
            "51406 51407 51408 51409 51003 51000 50014 50015 50016 50002 50006 50115",
            Verdict.REFUSED, "bad_request",
        ),
        *_rows_of("51001 51015", Verdict.REFUSED, "bad_symbol"),
    )  # fmt: skip
    states = {  # pages Order details and Algo order details; no word for an expiry
        "live": OrdStatus.NEW,
        "pause": OrdStatus.NEW,
        "partially_filled": OrdStatus.PARTIALLY_FILLED,
        "filled": OrdStatus.FILLED,
        "canceled": OrdStatus.CANCELED,
        "mmp_canceled": OrdStatus.CANCELED,
        "order_failed": OrdStatus.REJECTED,
    }

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        trading = self.chosen["trading"]
        self.read_lag_s = READ_LAGS_S[trading]
        self._headers = {"Content-Type": "application/json"}
        if trading == "demo":
            self._headers["x-simulated-trading"] = "1"

    def build(self, batch: Batch) -> HttpRequest:
        """Put a cancel into JSON, of several orders as an array; a read into the query."""
        route = batch.route
        if route.purpose is Purpose.TIMER:
            body = json.dumps({"timeOut": str(batch.after_s)}, separators=(",", ":")).encode()
            return HttpRequest("POST", route.path, body, self._headers)
        if route.purpose is Purpose.CANCEL:
            items = [_named(batch, ref) for ref in batch.refs]
            asked = items[0] if route.name == "cancel_one" else items
            body = json.dumps(asked, separators=(",", ":")).encode()
            return HttpRequest("POST", route.path, body, self._headers)
        if route.only_open:
            words = {"ordType": route.venue_word, "limit": str(ROWS), "after": batch.cursor}
            words = {name: word for name, word in words.items() if word}
        else:
            words = _named(batch, batch.refs[0])
            if not route.needs_symbol:
                del words["instId"]
        query = urlencode(words, safe=",")
        return HttpRequest("GET", f"{route.path}?{query}", headers=self._headers)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign time, method, target and body: Base64 of HMAC-SHA256."""
        now = datetime(1970, 1, 1) + timedelta(milliseconds=now_ms)
        time = now.isoformat(timespec="milliseconds") + "Z"
        payload = f"{time}{request.method}{request.target}".encode() + request.body
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).digest()
        signed = {
            "OK-ACCESS-KEY": credential["api_key"],
            "OK-ACCESS-SIGN": base64.b64encode(mac).decode(),
            "OK-ACCESS-TIMESTAMP": time,
            "OK-ACCESS-PASSPHRASE": credential["api_passphrase"],
        }
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the code of each item, the order of a look-up, or the rows of a page."""
        body, route = reply.json, batch.route
        code, rows = body["code"], body["data"]
        if not isinstance(code, str) or not isinstance(rows, list):
            raise TypeError("a code and a list were expected")
        if route.purpose is Purpose.CANCEL and rows:
            return Answers(by_id=_of_items(batch, rows))
        if code != "0":
            return Answers(overall=Answer(code, str(body.get("msg", ""))))
        if route.purpose is Purpose.TIMER:
            return Answers(overall=_of_timer(batch, rows))
        if route.purpose is Purpose.CANCEL:
            return Answers()
        if route.only_open:
            return _of_page(batch, rows)
        (ref,), (row,) = batch.refs, rows
        if row[_names(batch)[ref.kind]] != ref.id:
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _of_row(row, _names(batch))})


def _names(batch: Batch) -> Mapping[IdKind, str]:
    return ALGO_NAMES if "algo" in batch.route.path else ORDER_NAMES


def _named(batch: Batch, ref: OrderRef) -> dict[str, str]:
    return {"instId": ref.symbol, _names(batch)[ref.kind]: ref.id}


def _of_timer(batch: Batch, rows: list[Any]) -> Answer:
    """Say that it is set as asked: `triggerTime` is 0 where it is not armed."""
    (row,) = rows
    if (int(row["triggerTime"]) > 0) is not (batch.after_s > 0):
        raise ValueError("the timer is not as it was asked to be")
    return Answer(code="0")


def _of_items(batch: Batch, rows: list[Any]) -> dict[str, Answer]:
    """Return what each item says of its order: by its id, or by its place if it has none."""
    names, in_place = _names(batch), len(rows) == len(batch.refs)
    found: dict[str, Answer] = {}
    for place, row in enumerate(rows):
        said = Answer(code=str(row["sCode"]), text=str(row.get("sMsg", "")))
        if in_place and not any(row.get(name) for name in names.values()):
            found[batch.refs[place].id] = said
            continue
        for ref in batch.refs:
            if row.get(names[ref.kind]) == ref.id:
                found[ref.id] = said
    return found


def _of_page(batch: Batch, rows: list[Any]) -> Answers:
    """Return the orders of a page, which shows none that is as new as its cursor."""
    names = _names(batch)
    ids = [str(row[names[IdKind.VENUE]]) for row in rows]
    if batch.cursor and any(int(each) >= int(batch.cursor) for each in ids):
        raise ValueError("the page does not begin after its cursor")
    goes_on = len(rows) >= ROWS
    cursor = ids[-1 - OVERLAP] if goes_on else ""
    page = Page(tuple(ids), batch.read + len(ids), cursor=cursor)
    if batch.route.purpose is Purpose.LIST:
        listed = tuple([_listed(batch, row) for row in rows])
        return Answers(listed=listed, truncated=goes_on, page=page)
    asked = {(ref.kind, ref.id) for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in rows:
        said = _of_row(row, names)
        for kind, name in names.items():
            named = str(row.get(name) or "")
            if (kind, named) in asked:
                found[named] = said
            elif named:
                others[kind][named] = said
    return Answers(by_id=found, others=others, truncated=goes_on, page=page)


def _listed(batch: Batch, row: Mapping[str, Any]) -> OpenOrder:
    """Return an open order; of an algo order that has fired no state is told."""
    names = _names(batch)
    said = _of_row(row, names)
    types = {said.ord_type or OrdType.LIMIT}
    if names is ALGO_NAMES and row.get("ordType") not in ALGO_TYPES:
        types = {*CONDITIONAL} - {OrdType.ANY}
    return OpenOrder(
        id=str(row[names[IdKind.VENUE]]),
        symbol=str(row["instId"]),
        ord_types=frozenset(types),
        side={"buy": Side.BUY, "sell": Side.SELL}.get(str(row.get("side"))),
        client_id=str(row.get(names[IdKind.CLIENT]) or ""),
        state=said.state,
    )


def _of_row(row: Mapping[str, Any], names: Mapping[IdKind, str]) -> Answer:
    word, symbol = str(row["state"]), str(row.get("instId", ""))
    if names is ORDER_NAMES:
        at_market = row.get("ordType") == "market"
        return Answer(
            state=word,
            symbol=symbol,
            ord_type=OrdType.MARKET if at_market else OrdType.LIMIT,
            cum_qty=str(row.get("accFillSz", "")),
            order_qty="" if at_market else str(row.get("sz", "")),
        )
    ord_type = ALGO_TYPES.get(str(row.get("ordType")), OrdType.TRIGGER)
    placed = {str(each) for each in [*(row.get("ordIdList") or ()), row.get("ordId")] if each}
    low = word.lower()
    if low in ("live", "pause") or not (placed or low in FIRED):
        return Answer(state=word, symbol=symbol, ord_type=ord_type)
    text = f"it placed order {', '.join(sorted(placed))}" if placed else ""
    # Only the word that says that all of it fired, with just one order, is followed.
    is_all = low == "effective" and len(placed) == 1 and not row.get("subAlgoIdList")
    became = Became(min(placed)) if is_all and str(row.get("ordType")) in ALGO_TYPES else None
    code = "effective" if placed else low
    return Answer(code, text, symbol=symbol, ord_type=ord_type, became=became)
