"""Kraken Futures v3: batches on a path that also places orders, and a proof of five seconds.

Docs
    https://docs.kraken.com/api/docs/guides/futures-rest (signature)
    https://docs.kraken.com/api/docs/guides/futures-rate-limits
    https://docs.kraken.com/api/docs/futures-api/trading/cancel-order (and send-batch-order,
    get-order-status, get-open-orders, cancel-all-orders)
    https://docs.kraken.com/api-reference/account-history/get-order-events
    https://github.com/krakenfx/api-specs ("the specification", 729f278: rows of the history)
    https://github.com/ccxt/ccxt (krakenfutures: recorded replies)

Quirks
    - `batchorder` cancels, sends and edits by the word `order` of each item: no other word than
      "cancel" is ever built.
    - The rows of a batch come in any order, and name an order by the id that was sent.
    - `notFound` means unknown or already canceled. In a batch the words "filled" and those of
      refusals are not documented: the order is looked up.
    - An ended order is shown by id for five seconds. After that there is only the history,
      newest first, which cannot be asked about an id: its first page is read, and an order that
      it does not name is not proven never to have been.
    - A client order id may look like a venue order id.
    - Whether `quantity` is the whole order or its rest is not documented: it is not read.
    - What a trigger order places when it fires may have another id: not documented, so that it
      stays in doubt. So does one whose activation failed. The feed of open orders says that a
      stop which fired is removed: a look-up that gives this reason has not seen it canceled.
    - What fired may not be among the triggers that were "closed/cancelled/rejected": all events
      of triggers are asked for.
    - The signature is over the path without `/derivatives`, and over the parameters as sent.
      There is a nonce, which may be left out, and is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from venues.base import Answer, Answers, Batch, Cost, HttpReply, HttpRequest, OpenOrder
from venues.base import Quiet, Quota, Route, Rule, Timer, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import ALL_TYPES, IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

BOTH_KINDS = frozenset(IdKind)
TRIGGERS = frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL, OrdType.ANY})
API = "/derivatives/api/v3"
#: v3 by page and specification; ccxt and Nautilus still ask for v2.
HISTORY = "/api/history/v3"
#: Ids of a batch: not documented; clients send 10 (ccxt) and the limits' example has 10.
MOST_IDS = 10
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500
#: Rows asked for of the history, which gives fewer if it likes (the specification, Count): half
#: a megabyte at most.
HISTORY_ROWS = 500
#: What items of a batch, forms of a look-up, and rows call an id.
SENT_AS = {IdKind.VENUE: "order_id", IdKind.CLIENT: "cliOrdId"}
ASKED_AS = {IdKind.VENUE: "orderIds", IdKind.CLIENT: "cliOrdIds"}
SHOWN_AS = {
    IdKind.VENUE: ("order_id", "orderId", "uid"),
    IdKind.CLIENT: ("cliOrdId", "clientId"),
}
#: What an open order may be, by its `orderType` (page Get Open Orders).
LISTED_TYPES = {
    "lmt": frozenset({OrdType.LIMIT}),
    **dict.fromkeys(("stop", "take_profit"), TRIGGERS - {OrdType.ANY}),
}
#: Reasons of an end (page Get Specific Orders' Status; the history has them in small letters):
#: of the venue's own,
EXPIRY = frozenset({"CONTRACT_EXPIRED", "EXPIRED"})
#: and those after which another order may rest in its place.
LIVES_ON = frozenset({"STOP_ORDER_TRIGGERED", "TRAILING_STOP_CANCELLED_AND_REPLACED_BY_ADMIN"})
#: States of the look-up by id in which an order is open.
OPEN = frozenset({"ENTERED_BOOK", "TRIGGER_PLACED"})
#: Events of the history that are not of an order's life: a cancel or an edit that failed.
NO_EVENTS = frozenset({"OrderNotFound", "OrderEditRejected", "OrderTriggerEditRejected"})


def _costs(per_request: int, per_id: int = 0) -> tuple[Cost, ...]:
    """Return what a request takes, of the key's and the address's tokens (rate limits)."""
    return tuple(Cost(quota, per_request, per_id) for quota in ("account", "address"))


def _record(name: str, path: str, ord_types: frozenset[OrdType]) -> Route:
    """Return a history, which has a pool of its own."""
    return Route(
        name, Purpose.LOOKUP, "GET", f"{HISTORY}/{path}", BOTH_KINDS, ord_types,
        max_ids=WIDE_IDS, life_stage=2, quotas=("history", "account"),
    )  # fmt: skip


class KrakenFutures(Venue):
    """Kraken Futures."""

    name = "kraken_futures"
    base_url = "https://futures.kraken.com"
    parts = (
        Part("api_key"),
        Part(
            "api_secret",
            re.compile(
                r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
            ),  # guide, futures-rest
            "Base64",
        ),
    )
    id_shapes = {
        IdKind.VENUE: re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        # 100: page Send Order. Which characters: not documented; what prints, without a space.
        IdKind.CLIENT: re.compile(r"[!-~]{1,100}"),
    }
    routes = (
        Route(
            "cancel_batch", Purpose.CANCEL, "POST", f"{API}/batchorder", BOTH_KINDS,
            max_ids=MOST_IDS, group_by=("kind",), quotas=("account", "address"),
            costs=_costs(9, 1),
        ),
        Route(  # one id costs as much as in a batch, and this answer may say "filled"
            "cancel_one", Purpose.CANCEL, "POST", f"{API}/cancelorder", BOTH_KINDS,
            single_first=frozenset(OrdType), quotas=("account", "address"), costs=_costs(10),
        ),
        Route(  # POST by its page; ccxt sends a GET with the same words
            "status", Purpose.LOOKUP, "POST", f"{API}/orders/status", BOTH_KINDS,
            max_ids=MOST_IDS, group_by=("kind",), quotas=("account", "address"),
        ),
        Route(
            "open_orders", Purpose.LOOKUP, "GET", f"{API}/openorders", BOTH_KINDS,
            max_ids=WIDE_IDS, only_open=True, quotas=("account", "address"), costs=_costs(2),
        ),
        # First the shorter one: what is too long to read is the end of the search.
        _record("trigger_history", "triggers", TRIGGERS),
        _record("history", "orders", frozenset(OrdType)),
    )  # fmt: skip
    lists = (  # of the whole account, without pages, triggers among them (page Get Open Orders)
        Route(
            "list_open", Purpose.LIST, "GET", f"{API}/openorders", ord_types=ALL_TYPES,
            only_open=True, tells_side=True, tells_client_id=True,
            quotas=("account", "address"), costs=_costs(2),
        ),
    )  # fmt: skip
    cancel_alls = (  # of the whole account, triggers among them (page Cancel All Orders)
        Route(
            "cancel_all", Purpose.CANCEL_ALL, "POST", f"{API}/cancelallorders",
            ord_types=ALL_TYPES, quotas=("account", "address"), costs=_costs(25),
        ),
    )  # fmt: skip
    # Page Dead man's switch: of all orders of the user. Bounds are not documented: those of
    # Kraken Spot, this project's choice.
    timer = Timer(
        Route(
            "timer", Purpose.TIMER, "POST", f"{API}/cancelallordersafter", ord_types=ALL_TYPES,
            quotas=("account", "address"), costs=_costs(25),
        ),
        least_s=1, most_s=86_399,
    )  # fmt: skip
    # 500 tokens in ten seconds, of a key or of an address: sources disagree, so of both. A
    # fifth is left to what else the key does, which draws from the same: this project's choice.
    # The history has a pool of 100 that is filled again in ten minutes.
    quotas = {
        "account": Quota(400, 10.0),
        "address": Quota(400, 10.0, "address"),
        "history": Quota(80, 600.0),
    }
    quiet = Quiet((("retry-after", 1.0), ("rate-limit-reset", 1.0)))  # of the history
    rules = (
        Rule("cancelled", Verdict.ACCEPTED),  # without the event that names the order
        Rule("timer", Verdict.ACCEPTED),  # is set as asked
        Rule("another order", Verdict.IN_DOUBT, "in_doubt"),  # in a look-up by ids
        Rule("notFound", Verdict.UNKNOWN_ORDER, "unknown_order"),
        # Of the single cancel (page Cancel Order).
        Rule("filled", Verdict.STATE, "too_late", ord_status=OrdStatus.FILLED),
        # What the history says before an order's end: it is read as one that ends there.
        Rule("OrderPlaced", Verdict.IN_DOUBT, "list_too_long"),
        Rule("OrderUpdated", Verdict.IN_DOUBT, "list_too_long"),
        Rule("OrderTriggerPlaced", Verdict.IN_DOUBT, "list_too_long"),
        Rule("OrderTriggerUpdated", Verdict.IN_DOUBT, "list_too_long"),
        Rule("OrderTriggerActivated", Verdict.IN_DOUBT, "trigger_fired"),
        # Errors: guide, futures-rest; numbers: clients.
        Rule("apiLimitExceeded", Verdict.THROTTLED, "throttled"),
        Rule("10", Verdict.THROTTLED, "throttled"),
        Rule("TOO_MANY_REQUESTS", Verdict.THROTTLED, "throttled"),
        Rule("authenticationError", Verdict.HALT, "auth"),
        Rule("18", Verdict.HALT, "auth"),
        Rule("accountInactive", Verdict.HALT, "permission"),
        Rule("invalidAccount", Verdict.HALT, "permission"),
        # Of a batch each id is sent again alone, so that one of them cannot speak for all.
        Rule("invalidArgument", Verdict.REFUSED, "bad_request"),
        Rule("requiredArgumentMissing", Verdict.REFUSED, "bad_request"),
        Rule("Json Parse Error", Verdict.REFUSED, "bad_request"),
        Rule("Bad Request", Verdict.REFUSED, "bad_request"),
        # Not done by their names, but no source says so of cancels (ccxt/ccxt#24338).
        Rule("marketUnavailable", Verdict.IN_DOUBT, "venue_error"),
        Rule("Unavailable", Verdict.IN_DOUBT, "venue_error"),
        Rule("Server Error", Verdict.IN_DOUBT, "venue_error"),
        Rule("unknownError", Verdict.IN_DOUBT, "venue_error"),
        Rule("92", Verdict.IN_DOUBT, "venue_error"),  # ccxt/ccxt#19896
    )
    states = {
        "untouched": OrdStatus.NEW,
        "ENTERED_BOOK": OrdStatus.NEW,
        "TRIGGER_PLACED": OrdStatus.NEW,
        "partiallyFilled": OrdStatus.PARTIALLY_FILLED,
        "FULLY_EXECUTED": OrdStatus.FILLED,
        "cancelled": OrdStatus.CANCELED,
        "EXPIRED": OrdStatus.EXPIRED,  # a CANCELLED of this reason
        "REJECTED": OrdStatus.REJECTED,
        # Of the history.
        "full_fill": OrdStatus.FILLED,
        "OrderCancelled": OrdStatus.CANCELED,
        "OrderTriggerCancelled": OrdStatus.CANCELED,
        "OrderRejected": OrdStatus.REJECTED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put the ids into a form, and the list of a batch into its field `json`."""
        route = batch.route
        if route.method == "GET":
            newest = {"count": HISTORY_ROWS, "sort": "desc"}
            if route.name == "history":
                newest = {"closed": "true", **newest}
            query = "" if route.only_open else f"?{urlencode(newest)}"
            return HttpRequest("GET", route.path + query)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if route.purpose is Purpose.CANCEL_ALL:  # without a symbol: those of all
            return HttpRequest("POST", route.path, b"", headers)
        if route.purpose is Purpose.TIMER:
            form = [("timeout", str(batch.after_s))]
            return HttpRequest("POST", route.path, urlencode(form).encode(), headers)
        named = [(ref.kind, _sent(ref)) for ref in batch.refs]
        if route.name == "cancel_batch":
            items = [{"order": "cancel", SENT_AS[kind]: each} for kind, each in named]
            listed = json.dumps({"batchOrder": items}, separators=(",", ":"))
            form = [("json", listed)]
        else:
            names = ASKED_AS if route.name == "status" else SENT_AS
            form = [(names[kind], each) for kind, each in named]
        return HttpRequest("POST", route.path, urlencode(form).encode(), headers)

    def sign(
        self,
        request: HttpRequest,
        credential: Credential,
        now_ms: int,  # noqa: ARG002 - a signature has no time
    ) -> HttpRequest:
        """Sign parameters and path: Base64 of HMAC-SHA512 over their SHA-256."""
        path, _, query = request.target.removeprefix("/derivatives").partition("?")
        payload = hashlib.sha256((request.body or query.encode()) + path.encode()).digest()
        key = base64.b64decode(credential["api_secret"])
        mac = hmac.new(key, payload, hashlib.sha512).digest()
        signed = {"APIKey": credential["api_key"], "Authent": base64.b64encode(mac).decode()}
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return what the rows say of each order, or the error of the whole."""
        body, name = reply.json, batch.route.name
        if "elements" in body:
            token = body.get("continuationToken") or reply.headers.get(
                "next-continuation-token"
            )
            rows = body["elements"]
            cut = bool(token) or len(rows) >= HISTORY_ROWS
            return replace(_of_history(batch, rows), truncated=cut)
        if body["result"] != "success":
            return Answers(overall=_error(body))
        if batch.route.purpose is Purpose.CANCEL_ALL:
            return _of_cancel_all(body["cancelStatus"])
        if batch.route.purpose is Purpose.TIMER:
            return Answers(overall=_of_timer(batch, body["status"]))
        if name == "cancel_one":
            return _of_cancel(batch.refs[0], body["cancelStatus"])
        if name == "cancel_batch":
            return Answers(by_id=_of_batch(batch, body["batchStatus"]))
        if name == "status":
            said = _of_list(batch, [_looked_up(row) for row in body["orders"]])
            # With another order in its place one that is left out is not absent.
            strange = len(said.by_id) < len(body["orders"])
            return replace(said, overall=Answer(code="another order")) if strange else said
        rows = body["openOrders"]
        if name == "list_open":
            return Answers(listed=tuple([_listed(row) for row in rows]))
        return _of_list(batch, [(row, _opened(row)) for row in rows])


def _sent(ref: OrderRef) -> str:
    """Return an id as it is sent and compared: a UUID has one spelling."""
    return ref.id.lower() if ref.kind is IdKind.VENUE else ref.id


def _error(body: Mapping[str, Any]) -> Answer:
    """Return an error: a word that may go on after a colon, or a list of numbers."""
    if "error" in body:
        text = str(body["error"])
        return Answer(code=text.partition(":")[0], text=text)
    if body.get("errors"):
        first = body["errors"][0]
        return Answer(code=str(first["code"]), text=str(first.get("message", "")))
    return Answer(code=str(body["status"]))


def _ids(order: Mapping[str, Any]) -> Iterator[tuple[IdKind, str]]:
    """Yield the ids that an object of whatever reply has for its order."""
    for kind, names in SHOWN_AS.items():
        for name in names:
            if isinstance(order.get(name), str) and order[name]:
                yield kind, order[name]


def _is_about(order: Mapping[str, Any], ref: OrderRef) -> bool:
    return (ref.kind, _sent(ref)) in _ids(order)


def _canceled(row: Mapping[str, Any], ref: OrderRef) -> Answer | None:
    """Return the state of an order that a CANCEL event names; None: no event does."""
    for event in row.get("orderEvents") or []:
        order = event.get("order") or event.get("orderTrigger") or {}
        if event.get("type") == "CANCEL" and _is_about(order, ref):
            return _order("cancelled", order)
    return None


def _order(state: str, order: Mapping[str, Any], filled: str = "filled") -> Answer:
    symbol = order.get("symbol", order.get("tradeable", ""))
    return Answer(state=state, symbol=str(symbol), cum_qty=str(order.get(filled, "")))


def _of_cancel(ref: OrderRef, row: Mapping[str, Any]) -> Answers:
    """Return the word on the one order that was named; `notFound` names none."""
    word = str(row["status"])
    named = [order_id for kind, order_id in _ids(row) if kind is ref.kind]
    if named and _sent(ref) not in named:
        raise ValueError("the answer is about another order")
    state = _canceled(row, ref) if word == "cancelled" else None
    return Answers(by_id={ref.id: state or Answer(code=word)})


def _of_batch(batch: Batch, rows: list[Any]) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for row in rows:
        for ref in batch.refs:
            state = _canceled(row, ref) if row["status"] == "cancelled" else None
            if state or _is_about(row, ref):
                found[ref.id] = state or _of_word(str(row["status"]))
    return found


def _of_word(word: str) -> Answer:
    """Return the word of a row that has no event; in doubt, where not documented there."""
    known = word in ("cancelled", "notFound")
    return Answer(code=word) if known else Answer(text=word)


def _looked_up(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Answer]:
    state, order = str(row["status"]), row["order"]
    return order, _ended(_order(state, order), row.get("updateReason"))


def _ended(said: Answer, reason: str | None) -> Answer:
    """Return what is said of an order, with why it ended."""
    why = str(reason).upper()
    if why in LIVES_ON and said.state.upper() not in OPEN:
        return said._replace(state="", code="OrderTriggerActivated")
    if why in EXPIRY and said.state.upper().endswith("CANCELLED"):
        return said._replace(state="EXPIRED")
    return said


def _opened(row: Mapping[str, Any]) -> Answer:
    return _order(str(row["status"]), row, "filledSize")


def _listed(row: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        id=str(row["order_id"]),
        symbol=str(row["symbol"]),
        ord_types=LISTED_TYPES.get(str(row.get("orderType")), ALL_TYPES),
        side={"buy": Side.BUY, "sell": Side.SELL}.get(str(row.get("side"))),
        client_id=str(row.get("cliOrdId") or ""),
        state=str(row["status"]),
    )


def _of_cancel_all(said: Mapping[str, Any]) -> Answers:
    """Return the orders that it names, whatever its word: "none" was seen beside some."""
    named = [
        OpenOrder(str(row["order_id"]), "", ALL_TYPES, client_id=str(row.get("cliOrdId") or ""))
        for row in said["cancelledOrders"]
    ]
    return Answers(listed=tuple(named))


def _of_timer(batch: Batch, said: Mapping[str, Any]) -> Answer:
    """Say that it is set as asked: `triggerTime` is "0" where it is not armed."""
    if (str(said["triggerTime"]) != "0") is not (batch.after_s > 0):
        raise ValueError("the timer is not as it was asked to be")
    return Answer(code="timer")


def _of_list(batch: Batch, rows: list[tuple[Mapping[str, Any], Answer]]) -> Answers:
    """Return the orders that a reply shows; those of others, too."""
    asked = {(ref.kind, _sent(ref)): ref.id for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for order, said in rows:
        named = list(_ids(order))
        if not named:
            raise KeyError("an order without an id")
        for kind, order_id in named:
            if (kind, order_id) in asked:
                found[asked[kind, order_id]] = said
            else:
                others[kind][order_id] = said
    return Answers(by_id=found, others=others)


def _of_history(batch: Batch, rows: list[Any]) -> Answers:
    """Return the newest event of each order; its end, if there is one."""
    asked = {(ref.kind, _sent(ref)): ref.id for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in sorted(rows, key=lambda row: row["timestamp"], reverse=True):
        ((kind, event),) = row["event"].items()
        if kind in NO_EVENTS:
            continue
        order = event.get("newOrder") or event.get("newOrderTrigger") or event["order"]
        said = _of_event(kind, event, order)
        for named in _ids(order):
            if named in asked:
                found.setdefault(asked[named], said)
            else:
                others[named[0]].setdefault(named[1], said)
    return Answers(by_id=found, others=others)


def _of_event(kind: str, event: Mapping[str, Any], order: Mapping[str, Any]) -> Answer:
    said = _order(kind, order)
    if event.get("reason") == "full_fill":
        return said._replace(state="full_fill")
    if kind in ("OrderCancelled", "OrderTriggerCancelled", "OrderRejected"):
        return _ended(said, event.get("reason"))
    return said._replace(state="", code=kind)
