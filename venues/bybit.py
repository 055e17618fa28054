"""Bybit v5: derivatives, options and spot share the wire; a category tells them apart.

Docs
    https://bybit-exchange.github.io/docs/v5/guide (signature); "pages" are beside it:
    order/cancel-order, order/batch-cancel, order/open-order, order/order-list, rate-limit,
    error, enum
    https://github.com/ccxt/ccxt, https://github.com/nautechsystems/nautilus_trader (shapes)

Quirks
    - Every answer to a cancel means "accepted": what became of the order is looked up.
    - A batch is answered by two lists side by side: ids in `result`, codes in `retExtInfo`.
      What a refused id echoes is not documented: an id that stands there must be the one at its
      place, or the whole answer is in doubt.
    - A batch is charged for each of its orders (options: one for the request). Of one that is
      too long, the first orders are done and the others refused.
    - 110001 and 170213 mean unknown, filled, canceled or too late.
    - /realtime by id shows open orders and the latest 500 that ended, until a restart; /history
      what never traded for a day, other ends for a week, and beyond that what traded. Neither
      needs a symbol by its page, but of linear the page also says the reverse: the worker asks
      without one, and with the order's own where the venue demands it.
    - Stops keep their id when they fire. On spot their kind must be named to cancel them
      (`orderFilter`); a batch cannot name it. "Triggered" is said to be an end, and is none.
    - `qty` of a market order of spot may be money, so it is not held against what was executed.
    - Client ids may have the shape of Bybit's own.
    - 403 with "access too frequent": the address is shut out for ten minutes. A GET with a body
      is answered 403, too.
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

from venues.base import NOTHING_CHOSEN, Answer, Answers, Batch, Cost, HttpReply, HttpRequest
from venues.base import ENDED_STAGE, Option, Quiet, Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Purpose

#: How old a request may be when it arrives, in ms (guide: the default).
RECV_WINDOW = "5000"
BOTH_KINDS = frozenset(IdKind)
EVERY_TYPE = frozenset(OrdType)
#: What spot's cancels reach where they name no kind (page cancel-order).
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
#: Kinds of spot that a cancel has to name, and by which word. Of trailing stops none is told.
FILTERS = (
    ("cancel_tpsl", OrdType.TP_SL, "tpslOrder"),
    ("cancel_stop", OrdType.TRIGGER, "StopOrder"),
)
#: Of rows of spot that wait for a trigger (page enum, stopOrderType).
WAITING_TYPES = {"tpslOrder": OrdType.TP_SL, "Stop": OrdType.TRIGGER}
ROW_TYPES = {"Limit": OrdType.LIMIT, "Market": OrdType.MARKET}
#: Most ids of a batch (page batch-cancel), and cancels a second, of batches as of single ones
#: (page rate-limit, for accounts without a VIP level).
CATEGORIES = {"linear": (20, 10), "inverse": (20, 10), "option": (20, 10), "spot": (10, 20)}
#: Words of rows that are no state (enum: "Triggered", instantaneous, then New).
FIRED = "Triggered"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _cancel(name: str, types: frozenset[OrdType], **more: Any) -> Route:
    path, quota = "/v5/order/cancel", "cancel_one"
    if name == "cancel_batch":
        path, quota = f"{path}-batch", name
    return Route(
        name, Purpose.CANCEL, "POST", path, BOTH_KINDS, types, needs_symbol=True, trusted=False,
        quotas=(quota, "account", "address"),
        accepts_only_open=True,  # else 110001, 170213 and the like (page error)
        **more,
    )  # fmt: skip


def _look(name: str, path: str, quota: str, **more: Any) -> Route:
    # 10001: a parameter is missing or wrong; a symbol, where none was stated.
    return Route(
        name, Purpose.LOOKUP, "GET", path, BOTH_KINDS, symbol_demanded="10001",
        quotas=(quota, "account", "address"), **more,
    )  # fmt: skip


def _routes(category: str) -> tuple[Route, ...]:
    spot = category == "spot"
    costs = () if category == "option" else (Cost("cancel_batch", per_id=1),)
    types = PLAIN if spot else EVERY_TYPE
    most, _ = CATEGORIES[category]
    filtered = [
        _cancel(name, frozenset({kind, OrdType.ANY}), venue_word=word)
        for name, kind, word in FILTERS
    ]
    return (
        _cancel("cancel_batch", types, max_ids=most, group_by=("kind",), costs=costs),
        # Single cancels and batches have a limit each (page rate-limit, by endpoint).
        _cancel("cancel_one", types, single_first=types),
        *(filtered if spot else ()),
        _look("order", "/v5/order/realtime", "lookup"),
        _look("history", "/v5/order/history", "history", life_stage=ENDED_STAGE),
    )


class Bybit(Venue):
    """Bybit v5, for the account's `category`."""

    name = "bybit"
    options = (Option("category", tuple(CATEGORIES)),)
    base_url = "https://api.bybit.com"
    # Page rate-limit: the reset's time is in ms, and a 403 shuts out for ten minutes.
    quiet = Quiet(
        headers=(("retry-after", 1.0), ("x-bapi-limit-reset-timestamp", 0.001)), ban_s=600.0
    )
    rules = (  # page error; all come as HTTP 200 but where said
        Rule("0", Verdict.ACCEPTED),
        Rule("110001", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("170213", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("170143", Verdict.UNKNOWN_ORDER, "unknown_order"),
        # Over, and some of them say how; what was executed is told by a look-up alone.
        Rule("110008", Verdict.IN_DOUBT, "already_processed"),
        Rule("110010", Verdict.IN_DOUBT, "already_processed"),
        Rule("170142", Verdict.IN_DOUBT, "already_processed"),
        Rule("170139", Verdict.IN_DOUBT, "already_processed"),
        Rule("170190", Verdict.IN_DOUBT, "already_processed"),
        Rule(FIRED, Verdict.IN_DOUBT, "trigger_fired"),
        *(
            Rule(code, Verdict.IN_DOUBT, "venue_error")
            for code in (
                "110079", "170212", "170191", "40004", "110035", "170144", "170147", "170007",
                "10000", "10016", "170032", "170150", "5004", "10019", "170001",
            )
        ),
        Rule("110063", Verdict.NOT_DONE, "not_done"),
        Rule("110095", Verdict.NOT_DONE, "not_done"),
        Rule("110066", Verdict.NOT_DONE, "not_done"),
        Rule("10006", Verdict.THROTTLED, "throttled"),
        Rule("10018", Verdict.THROTTLED, "throttled"),
        Rule("170005", Verdict.THROTTLED, "throttled"),
        Rule("170222", Verdict.THROTTLED, "throttled"),
        Rule("429", Verdict.THROTTLED, "throttled"),
        Rule("30035", Verdict.THROTTLED, "throttled"),
        Rule("", Verdict.BANNED, "banned", "access too frequent"),  # HTTP 403, page rate-limit
        Rule("10002", Verdict.CLOCK, "clock"),
        Rule("10003", Verdict.HALT, "auth"),
        Rule("10004", Verdict.HALT, "auth"),
        Rule("10007", Verdict.HALT, "auth"),
        Rule("33004", Verdict.HALT, "auth"),
        *(
            Rule(code, Verdict.HALT, "permission")
            for code in ("10005", "10008", "10009", "10010", "10024", "10027", "10028", "10029")
        ),
        Rule("110100", Verdict.REFUSED, "not_cancelable"),
        Rule("110115", Verdict.REFUSED, "not_cancelable"),
        # Spot: of another kind than the cancel named. The look-up tells its kind.
        Rule("170145", Verdict.IN_DOUBT, "not_cancelable"),
        Rule("170201", Verdict.IN_DOUBT, "not_cancelable"),
        Rule("10001", Verdict.REFUSED, "bad_request"),
        Rule("170130", Verdict.REFUSED, "bad_request"),
        Rule("170121", Verdict.REFUSED, "bad_symbol"),
    )  # fmt: skip
    states = {  # page enum, orderStatus
        "New": OrdStatus.NEW,
        "Untriggered": OrdStatus.NEW,
        "PartiallyFilled": OrdStatus.PARTIALLY_FILLED,
        "Filled": OrdStatus.FILLED,
        "Cancelled": OrdStatus.CANCELED,
        "PartiallyFilledCanceled": OrdStatus.CANCELED,
        "Deactivated": OrdStatus.CANCELED,
        "Rejected": OrdStatus.REJECTED,
    }

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        self.category = self.chosen["category"]
        self.routes = _routes(self.category)
        self.id_shapes = {
            # Seen: 19 digits on spot, else a UUID in lower case.
            IdKind.VENUE: re.compile(r"[1-9][0-9]{15,19}") if self.category == "spot" else UUID,
            IdKind.CLIENT: re.compile(r"[A-Za-z0-9_-]{1,36}"),  # page create-order, orderLinkId
        }
        _, cancels = CATEGORIES[self.category]
        self.quotas = {
            "cancel_batch": Quota(cancels, 1.0),
            "cancel_one": Quota(cancels, 1.0),
            "lookup": Quota(50, 1.0),  # /realtime
            "history": Quota(50, 1.0),  # /history
            # A key's half of what its address may do is this project's choice.
            "account": Quota(50, 1.0),
            # 600 in 5 s; a sixth is left to others: this project's choice.
            "address": Quota(500, 5.0, "address"),
        }

    def build(self, batch: Batch) -> HttpRequest:
        """Put ids into a JSON body, or the one of a look-up into the query."""
        route = batch.route
        if route.purpose is Purpose.LOOKUP:
            (ref,) = batch.refs
            # Named by its id alone, whatever symbol is stated, unless the venue demands one.
            words = _named(ref) if route.needs_symbol else {_id_name(ref): ref.id}
            words = {"category": self.category, **words}
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in words.items())
            return HttpRequest(route.method, f"{route.path}?{query}")
        if route.name == "cancel_batch":
            asked = {"category": self.category, "request": [_named(ref) for ref in batch.refs]}
        else:
            (ref,) = batch.refs
            word = {"orderFilter": route.venue_word} if route.venue_word else {}
            asked = {"category": self.category, **_named(ref), **word}
        body = json.dumps(asked, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        return HttpRequest(route.method, route.path, body, headers)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign time, key, window, and query or body: lower-case hex of HMAC-SHA256."""
        sent = request.body or request.target.partition("?")[2].encode()
        payload = f"{now_ms}{credential['api_key']}{RECV_WINDOW}".encode() + sent
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).hexdigest()
        headers = {
            **request.headers,
            "X-BAPI-API-KEY": credential["api_key"],
            "X-BAPI-TIMESTAMP": str(now_ms),
            "X-BAPI-RECV-WINDOW": RECV_WINDOW,
            "X-BAPI-SIGN": mac,
        }
        return replace(request, headers=headers)

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the codes of a cancel's ids, the row of a look-up, or the request's error."""
        body = reply.json
        if body is None:
            return Answers(overall=Answer(text=reply.text))
        if body["retCode"] != 0:
            return Answers(overall=_error(body["retCode"], body["retMsg"]))
        if batch.route.purpose is Purpose.LOOKUP:
            return Answers(by_id=_of_rows(batch.refs[0], body["result"]["list"], self.category))
        if batch.route.name == "cancel_batch":
            named, said = body["result"]["list"], body["retExtInfo"]["list"]
            return Answers(by_id=_of_batch(batch, named, said))
        (ref,) = batch.refs
        if not _is_at_its_place(body["result"], ref):
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _error(body["retCode"], body["retMsg"])})


def _id_name(ref: OrderRef) -> str:
    return "orderId" if ref.kind is IdKind.VENUE else "orderLinkId"


def _named(ref: OrderRef) -> dict[str, str]:
    return {"symbol": ref.symbol, _id_name(ref): ref.id}


def _error(code: Any, text: Any) -> Answer:
    if type(code) is not int:
        raise TypeError("a code is a number")
    return Answer(code=str(code), text=str(text))


def _is_at_its_place(row: Mapping[str, Any], ref: OrderRef) -> bool:
    return row[_id_name(ref)] in ("", ref.id)


def _of_batch(batch: Batch, named: list[Any], said: list[Any]) -> dict[str, Answer]:
    """Return the code of each id; the two lists stand in the order of the ids."""
    places = list(zip(batch.refs, named, said, strict=True))
    if not all(_is_at_its_place(row, ref) for ref, row, _ in places):
        raise ValueError("the answers stand in another order than the ids")
    return {ref.id: _error(each["code"], each["msg"]) for ref, _, each in places}


def _of_rows(ref: OrderRef, rows: list[Any], category: str) -> dict[str, Answer]:
    """Return what a look-up shows of the one order: a row, or none."""
    if not isinstance(rows, list):
        raise TypeError("rows are a list")
    if not rows:
        return {}
    (row,) = rows  # several of one client id: which is meant is not known
    if row[_id_name(ref)] != ref.id:
        raise ValueError("the answer is about another order")
    return {ref.id: _of_row(row, category)}


def _of_row(row: Mapping[str, Any], category: str) -> Answer:
    word, kind = str(row["orderStatus"]), row.get("orderType", "")
    waits = category == "spot" and word.lower() == "untriggered"
    ord_type = WAITING_TYPES.get(row["stopOrderType"]) if waits else ROW_TYPES.get(kind)
    in_money = category == "spot" and kind == "Market"
    return Answer(
        code=word if word == FIRED else "",
        state="" if word == FIRED else word,
        symbol=str(row.get("symbol", "")),
        ord_type=ord_type,
        cum_qty=str(row.get("cumExecQty", "")),
        order_qty="" if in_money else str(row.get("qty", "")),
    )
