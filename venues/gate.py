"""Gate v4 futures: a settlement currency in the path, and canceled orders soon forgotten.

Docs
    https://www.gate.com/docs/developers/apiv4/en/#generate-api-signature; "pages" are beside
    it: #cancel-a-single-order-2, #cancel-batch-orders-with-specified-id-list,
    #get-a-single-order-2, #list-futures-orders, #get-a-single-auto-order, #rate-limit,
    #error-handling, #label-list
    https://github.com/gateio/gateapi-python, https://github.com/JKorf/GateIo.Net (shapes)

Quirks
    - A canceled order without a fill is gone some ten minutes after its cancel (a minute, said
      its maintainer in 2021: gateio/gateapi-go#11), by client order id after 60 s.
    - A cancel answers 404 for an id that never was and for an order that has ended. A fresh
      order may be unknown for some ten seconds (gateio/gateapi-python#61).
    - A batch says only "succeeded" of each id, or why not in free words; a single cancel
      answers with the order. With `action_mode=ACK` it would not, so none is named.
    - Ids are numbers above 2^53 in orders, texts in the array of a batch. Client order ids
      begin with `t-`; other words in `text` (web, api, liq-…) say where an order came from.
    - Price-triggered, trailing and chase orders count their ids each for themselves: one number
      may name an order of each family. So an id reaches another family only if its job states
      that type, and what another family shows under it proves nothing but that it is no
      stranger. Trailing and chase orders come in an envelope of their own.
    - A price-triggered order that fired places another one, `trade_id`, which may rest: that
      one is canceled and looked up from then on.
    - `size` is negative for sells. It counts contracts, in whole numbers unless a header asks.
    - POST of the path that lists orders places them, and with size 0 closes the position; a
      DELETE of it without an id cancels all orders of the currency.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from venues.base import NOTHING_CHOSEN, Answer, Answers, Batch, Cost, HttpReply, HttpRequest
from venues.base import Option, Page, Quiet, Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose

SETTLES = ("usdt", "btc")
BY_ID = frozenset({IdKind.VENUE})
BOTH_KINDS = frozenset(IdKind)
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
#: Take-profits and stop-losses are price-triggered orders, too (`order_type` close-…).
PRICE = frozenset({OrdType.TRIGGER, OrdType.TP_SL})
#: Words of `finish_as` (page Get a single order) that the table of states knows.
BOOK_ENDS = frozenset(
    {
        *("filled", "cancelled", "liquidated", "auto_deleveraged", "reduce_only"),
        *("position_closed", "reduce_out", "stp", "ioc"),
    }
)
PRICE_ENDS = frozenset({"cancelled", "failed", "expired"})
#: Lists of orders that are not canceled here, and what their orders are.
OTHER_FAMILIES = {"trail_orders": "a trailing order", "chase_orders": "a chase order"}
#: Rows of a page: the most that the page allows.
ROWS = 100
#: Pages of the list of open orders that are read: this project's choice.
MAX_PAGES = 30
#: So many rows of a page are shown by the next one, too: as many may leave meanwhile.
OVERLAP = 20
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500


def _routes(settle: str) -> tuple[Route, ...]:
    api, look = f"/api/v4/futures/{settle}", ("lookup", "account")
    auto = f"{api}/autoorder/v1"
    return (
        Route(  # of client order ids in it nothing is documented
            "cancel_batch", Purpose.CANCEL, "POST", f"{api}/batch_cancel_orders", BY_ID, PLAIN,
            max_ids=20, quotas=("cancel_one", "account"),
        ),
        Route(
            "cancel_one", Purpose.CANCEL, "DELETE", f"{api}/orders/{{id}}", BOTH_KINDS, PLAIN,
            single_first=PLAIN, quotas=("cancel_one", "account"),
        ),
        Route(  # its answer is not said to be final; whether it counts as a cancel, neither
            "cancel_price", Purpose.CANCEL, "DELETE", f"{api}/price_orders/{{id}}", BY_ID,
            PRICE, trusted=False, quotas=("cancel_one", "account"),
            costs=(Cost("cancel_one", per_request=10),),
        ),
        Route(
            "order", Purpose.LOOKUP, "GET", f"{api}/orders/{{id}}", BOTH_KINDS, PLAIN,
            quotas=look,
        ),
        Route(
            "open_orders", Purpose.LOOKUP, "GET", f"{api}/orders", BOTH_KINDS, PLAIN,
            max_ids=WIDE_IDS, max_pages=MAX_PAGES, only_open=True, quotas=look,
        ),
        Route(
            "price_order", Purpose.LOOKUP, "GET", f"{api}/price_orders/{{id}}", BY_ID, PRICE,
            quotas=look,
        ),
        # Not canceled here. What a look-up by id says of an unknown one is not documented.
        Route(
            "trail_orders", Purpose.LOOKUP, "GET", f"{auto}/trail/list", BY_ID,
            frozenset({OrdType.TRAILING_STOP}), max_ids=WIDE_IDS, only_open=True, quotas=look,
        ),
        Route(
            "chase_orders", Purpose.LOOKUP, "GET", f"{auto}/chase/list", BY_ID, frozenset(),
            max_ids=WIDE_IDS, only_open=True, quotas=look,
        ),
    )  # fmt: skip


ROUTES = {settle: _routes(settle) for settle in SETTLES}


def _rows_of(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule(code, verdict, reason) for code in codes.split())


class Gate(Venue):
    """Gate futures, of the settlement currency that an account states."""

    name = "gate"
    base_url = "https://api.gateio.ws"
    options = (Option("settle", SETTLES),)
    id_shapes = {
        IdKind.VENUE: re.compile(r"[1-9][0-9]{0,18}"),  # an int64
        IdKind.CLIENT: re.compile(r"t-[0-9A-Za-z_.-]{1,28}"),  # page Create a futures order
    }
    # Page Rate limit: cancels of futures 200 a second, other private calls 200 in ten seconds
    # each. A fifth is left to what else the account does, and look-ups share one: this
    # project's choice.
    quotas = {
        "cancel_one": Quota(160, 1.0),  # batches, too; of a price-triggered one it takes ten
        "lookup": Quota(160, 10.0),
        "account": Quota(160, 1.0),  # no such limit is documented
    }
    rules = (  # page Label list; [C] of clients
        Rule("succeeded=true", Verdict.ACCEPTED),
        # Not documented: the words of an item that failed. Labels in them are read as such.
        Rule("succeeded=false", Verdict.UNKNOWN_ORDER, "unknown_order", "ORDER_NOT_FOUND"),
        Rule("succeeded=false", Verdict.IN_DOUBT, "already_processed", "ORDER_FINISHED"),
        Rule("succeeded=false", Verdict.IN_DOUBT, "in_doubt"),
        # Never that there was none: an order that ended is answered so, too.
        *_rows_of(
            # AUTO_…: of price-triggered orders, as a client found at the testnet in June 2026.
            "ORDER_NOT_FOUND CLIENT_ID_NOT_FOUND ORDER_NOT_OWNED AUTO_ORDER_NOT_FOUND",
            Verdict.UNKNOWN_ORDER, "unknown_order",
        ),
        *_rows_of("ORDER_FINISHED", Verdict.IN_DOUBT, "already_processed"),
        *_rows_of("fired", Verdict.IN_DOUBT, "trigger_fired"),
        *_rows_of("other_family", Verdict.IN_DOUBT, "in_doubt"),
        # Doubtful: CONTRACT_NOT_FOUND, where no contract was named, may be a wrong currency.
        *_rows_of(
            "CANCEL_FAIL POSITION_IN_LIQUIDATION POSITION_IN_CLOSE INTERNAL SERVER_ERROR "
            "INTERNAL_SERVER_ERROR SERVER_TIMEOUT TOO_BUSY CONTRACT_NOT_FOUND 202",
            Verdict.IN_DOUBT, "venue_error",
        ),
        *_rows_of("TOO_MANY_REQUESTS", Verdict.THROTTLED, "throttled"),
        *_rows_of("REQUEST_EXPIRED", Verdict.CLOCK, "clock"),
        *_rows_of(
            "INVALID_KEY INVALID_SIGNATURE INVALID_CREDENTIALS MISSING_REQUIRED_HEADER",
            Verdict.HALT, "auth",
        ),
        *_rows_of(  # USER_NOT_FOUND: no futures account of this currency
            "READ_ONLY FORBIDDEN IP_FORBIDDEN ACCOUNT_LOCKED USER_NOT_FOUND",
            Verdict.HALT, "permission",
        ),
        *_rows_of(
            "INVALID_PARAM_VALUE INVALID_PROTOCOL INVALID_ARGUMENT INVALID_REQUEST_BODY "
            "MISSING_REQUIRED_PARAM BAD_REQUEST INVALID_CONTENT_TYPE NOT_FOUND "
            "METHOD_NOT_ALLOWED",
            Verdict.REFUSED, "bad_request",
        ),
    )  # fmt: skip
    states = {  # pages Get a single order and Get a single auto order
        "open": OrdStatus.NEW,
        "open, filled in part": OrdStatus.PARTIALLY_FILLED,  # by its quantities
        "filled": OrdStatus.FILLED,
        "cancelled": OrdStatus.CANCELED,
        "liquidated": OrdStatus.CANCELED,
        "auto_deleveraged": OrdStatus.CANCELED,
        "reduce_only": OrdStatus.CANCELED,
        "position_closed": OrdStatus.CANCELED,
        "reduce_out": OrdStatus.CANCELED,
        "stp": OrdStatus.CANCELED,
        "ioc": OrdStatus.EXPIRED,
        "failed": OrdStatus.REJECTED,
        "expired": OrdStatus.EXPIRED,
    }
    quiet = Quiet(headers=(("retry-after", 1.0), ("x-gate-ratelimit-reset-timestamp", 1.0)))
    hidden_s = 10.0  # gateio/gateapi-python#61
    forgets_canceled = True  # see Quirks

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        self.routes = ROUTES[self.chosen["settle"]]

    def build(self, batch: Batch) -> HttpRequest:
        """Put the ids of a batch into a JSON array, one id into the path."""
        route = batch.route
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if route.name == "cancel_batch":
            body = json.dumps([ref.id for ref in batch.refs], separators=(",", ":")).encode()
            return HttpRequest("POST", route.path, body, headers)
        if route.name in OTHER_FAMILIES:
            page = f"is_finished=false&page_num=1&page_size={ROWS}"
            target = f"{route.path}?{page}&sort_by=1"  # the order of their making
        elif route.only_open:
            target = f"{route.path}?status=open&limit={ROWS}&offset={_offset(batch)}"
        else:  # shapes of ids need no escapes
            target = route.path.replace("{id}", batch.refs[0].id)
        return HttpRequest(route.method, target, headers=headers)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign method, path, query, hash of the body and time: hex of HMAC-SHA512."""
        path, _, query = request.target.partition("?")
        time, digest = str(now_ms // 1000), hashlib.sha512(request.body).hexdigest()
        payload = "\n".join((request.method, path, query, digest, time)).encode()
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha512).hexdigest()
        signed = {"KEY": credential["api_key"], "Timestamp": time, "SIGN": mac}
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the label of a refusal, the items of a batch, an order, or a page of them."""
        body, route = reply.json, batch.route
        if isinstance(body, dict) and "label" in body:
            text = str(body.get("message") or body.get("detail") or "")
            return Answers(overall=Answer(str(body["label"]), text))
        if reply.status == 202:
            return Answers(overall=Answer("202"))
        if route.name in OTHER_FAMILIES:
            return _of_others(batch, body)
        if route.only_open:
            return _of_page(batch, reply)
        if route.name == "cancel_batch":
            said = {str(row["id"]): _of_item(row) for row in body}
            return Answers(by_id={ref.id: said[ref.id] for ref in batch.refs if ref.id in said})
        (ref,) = batch.refs
        if not _is_about(body, ref):
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _of_row(batch, ref, body)})


def _offset(batch: Batch) -> int:
    return max(0, batch.read - OVERLAP)


def _named(row: Mapping[str, Any], kind: IdKind) -> str:
    return str(row["text"] if kind is IdKind.CLIENT else row.get("id_string") or row["id"])


def _is_about(row: Mapping[str, Any], ref: OrderRef) -> bool:
    return _named(row, ref.kind) == ref.id


def _of_item(row: Mapping[str, Any]) -> Answer:
    return Answer(f"succeeded={json.dumps(row['succeeded'])}", str(row.get("message") or ""))


def _of_page(batch: Batch, reply: HttpReply) -> Answers:
    """Return the open orders of a page, whose place and whose list's length headers tell."""
    rows, begin, told = reply.json, _offset(batch), reply.headers
    if not isinstance(rows, list):
        raise TypeError("a list of orders was expected")
    if int(told.get("x-pagination-offset", begin)) != begin:
        raise ValueError("the page does not begin where it was asked to")
    end, full = begin + len(rows), len(rows) >= ROWS
    total = int(told["x-pagination-total"]) if "x-pagination-total" in told else None
    goes_on = full or (total is not None and total > end)
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    asked = {(ref.kind, ref.id): ref for ref in batch.refs}
    for row in rows:
        for kind in IdKind:
            named = _named(row, kind)
            if (kind, named) in asked:
                found[named] = _of_row(batch, asked[kind, named], row)
            elif kind is IdKind.VENUE or named.startswith("t-"):
                others[kind][named] = _of_book(row)
    page = Page(tuple([_named(row, IdKind.VENUE) for row in rows]), end, total)
    return Answers(by_id=found, others=others, truncated=goes_on, page=page)


def _of_others(batch: Batch, body: Mapping[str, Any]) -> Answers:
    """Return what a list says of ids that its orders, none of which is canceled here, bear.

    It has an envelope of its own. Only the first page is read.
    """
    if body["code"] != 0:
        text = str(body.get("message") or "")
        return Answers(overall=Answer(f"code={body['code']}", text))
    rows = body["data"]["orders"] or []
    text = f"{OTHER_FAMILIES[batch.route.name]} has this id: it is not canceled here"
    ids = {str(row["id"]) for row in rows}
    said = {ref.id: Answer("other_family", text) for ref in batch.refs if ref.id in ids}
    return Answers(by_id=said, truncated=len(rows) >= ROWS)


def _of_row(batch: Batch, ref: OrderRef, row: Mapping[str, Any]) -> Answer:
    """Return what a row says of an order, if it is of the family that the job named."""
    is_price = "price_orders" in batch.route.path
    if is_price is not (ref.ord_type in PRICE):
        family = "a price-triggered order" if is_price else "an order of the book"
        return Answer("other_family", f"{family} has this id: state ord_type")
    return _of_price(row) if is_price else _of_book(row)


def _of_price(row: Mapping[str, Any]) -> Answer:
    symbol, child = str(row["initial"]["contract"]), str(row.get("trade_id") or "")
    word = _end(row, PRICE_ENDS)
    if child.strip("0") or word == "finished/succeeded":
        text = f"it placed order {child}" if child.strip("0") else ""
        # Beside another word a child is not documented: it is named, and not followed.
        is_all = bool(child.strip("0")) and word == "finished/succeeded"
        return Answer("fired", text, symbol=symbol, became=Became(child) if is_all else None)
    return Answer(state=word, symbol=symbol)


def _of_book(row: Mapping[str, Any]) -> Answer:
    """Return state and quantities, these in contracts; who ended an order is in its code."""
    word, symbol = _end(row, BOOK_ENDS), str(row.get("contract", ""))
    size, left = row.get("size"), row.get("left")
    try:
        whole, rest = abs(int(str(size))), abs(int(str(left)))
    except ValueError:  # parts of contracts, which no header asked for
        return Answer(code=word, state=word, symbol=symbol)
    if word == "open" and rest < whole:
        word = "open, filled in part"
    done = str(max(0, whole - rest))
    return Answer(code=word, state=word, symbol=symbol, cum_qty=done, order_qty=str(whole))


def _end(row: Mapping[str, Any], known: frozenset[str]) -> str:
    """Return the word of a state: of what is over that of its end, if it is documented."""
    word, end = _plain(row["status"]), _plain(row.get("finish_as") or "")
    if word != "finished":
        return word
    return end if end in known else f"finished/{end}"


def _plain(word: Any) -> str:
    """Return a word in the spelling of the pages."""
    return str(word).casefold().replace("canceled", "cancelled")
