"""Kraken Spot: a batch is answered with a bare count, and every request bears a nonce.

Docs
    https://docs.kraken.com/api/docs/guides/spot-rest-auth (signature; and spot-errors,
    spot-rest-ratelimits, spot-ratelimits, spot-clordid)
    https://docs.kraken.com/api/docs/rest-api/cancel-order (and cancel-order-batch,
    get-orders-info, get-open-orders, get-closed-orders)
    https://github.com/ccxt/ccxt, https://github.com/veox/python3-krakenex (issues)

Quirks
    - The answer to a cancel is how many were canceled, or are about to be: no id. Whatever the
      number is, each order is looked up.
    - A number in place of an order id cancels a whole group: ids are sent as text alone.
    - The nonce stands in the body, and must grow from request to request of a key. "Invalid
      nonce" says that nothing was done; the next attempt has a new one.
    - "Unknown order" means unknown, canceled or filled. "Invalid order" means a wrong or an
      unknown id. What one such id does to a look-up of several is not documented: what it does
      not show is asked for alone.
    - A client order id is unique among open orders, and names the newest of those that ended.
      Only lists know it.
    - `closed` is the end of what traded in full, or in part: the quantities decide. A market
      order's `vol` may be money (`viqc`).
    - An edit cancels an order and places another with a new id; so do fills of an order with a
      conditional close.
    - All errors come with HTTP 200, and a page of the CDN proves nothing: orders were placed
      after a 502, within a minute (veox/python3-krakenex#60).
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

from venues.base import Answer, Answers, Batch, HttpReply, HttpRequest, OpenOrder
from venues.base import Quiet, Quota, Route, Rule, Timer, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import ALL_TYPES, IdKind, OrdStatus, OrdType, Purpose, Side

API = "/0/private"
BOTH_KINDS = frozenset(IdKind)
#: Ids of a batch and of a look-up (pages Cancel Order Batch and Query Orders Info).
MOST_IDS = 50
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500
#: Rows of a page of what is over (page Get Closed Orders).
CLOSED_ROWS = 50
#: What an open order may be, by its `ordertype` (page Get Open Orders).
LISTED_TYPES = {
    **dict.fromkeys(("limit", "iceberg"), OrdType.LIMIT),
    "market": OrdType.MARKET,
    **dict.fromkeys(("stop-loss", "stop-loss-limit"), OrdType.TRIGGER),
    **dict.fromkeys(("take-profit", "take-profit-limit"), OrdType.TP_SL),
    **dict.fromkeys(("trailing-stop", "trailing-stop-limit"), OrdType.TRAILING_STOP),
}
#: A client order id that is a UUID, or its digits: letters of either size are the same.
HEX = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: Lists, and what their replies call their rows.
LISTS = {f"{API}/OpenOrders": "open", f"{API}/ClosedOrders": "closed"}
#: Errors that speak of an id.
OF_AN_ID = frozenset({"EOrder:Unknown order", "EOrder:Invalid order"})
#: Of the orders that a look-up by ids leaves out, where it shows one that nobody asked for.
STRANGE = Answer("another order")
CANCELS = ("cancel_one", "account")
LOOKS = ("lookup", "account")


def _errors(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    """Return the rows of some errors, which have bars between them."""
    return tuple(Rule(code, verdict, reason) for code in codes.split("|"))


def _query(name: str, max_ids: int) -> Route:
    """Return the look-up by order ids, of orders in any state."""
    return Route(
        name, Purpose.LOOKUP, "POST", f"{API}/QueryOrders", max_ids=max_ids, life_stage=2,
        quotas=LOOKS,
    )  # fmt: skip


class KrakenSpot(Venue):
    """Kraken Spot."""

    name = "kraken_spot"
    base_url = "https://api.kraken.com"
    parts = (
        Part("api_key"),
        Part(
            "api_secret",
            re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
            "Base64",  # guide, spot-rest-auth
        ),
    )
    id_shapes = {
        IdKind.VENUE: re.compile(r"O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}"),  # samples
        # Guide, spot-clordid: a UUID, with or without its dashes, or text of 18 at most. Which
        # characters: not documented; what prints, without a space.
        IdKind.CLIENT: re.compile(rf"{HEX.pattern}|[!-~]{{1,18}}"),
    }
    routes = (
        Route(
            "cancel_batch", Purpose.CANCEL, "POST", f"{API}/CancelOrderBatch", BOTH_KINDS,
            max_ids=MOST_IDS, group_by=("kind",), quotas=CANCELS,
        ),
        # A batch of one is not documented. Of the same quota, so that one id never is one.
        Route(
            "cancel_one", Purpose.CANCEL, "POST", f"{API}/CancelOrder", BOTH_KINDS,
            single_first=frozenset(OrdType), quotas=CANCELS,
        ),
        _query("orders", MOST_IDS),
        Route(  # of the whole account, without pages
            "open_orders", Purpose.LOOKUP, "POST", f"{API}/OpenOrders", BOTH_KINDS,
            max_ids=WIDE_IDS, only_open=True, quotas=LOOKS,
        ),
        _query("order", 1),
        Route(
            "closed_orders", Purpose.LOOKUP, "POST", f"{API}/ClosedOrders",
            frozenset({IdKind.CLIENT}), life_stage=2, quotas=LOOKS,
        ),
    )  # fmt: skip
    lists = (
        Route(
            "list_open", Purpose.LIST, "POST", f"{API}/OpenOrders", ord_types=ALL_TYPES,
            only_open=True, tells_side=True, tells_client_id=True, quotas=LOOKS,
        ),
    )  # fmt: skip
    # Page Cancel All Orders After: of all orders, once; it may fire, too, when the engine comes
    # back from maintenance. A call like others, and so of the counter that look-ups draw from.
    timer = Timer(
        Route(
            "timer", Purpose.TIMER, "POST", f"{API}/CancelAllOrdersAfter", ord_types=ALL_TYPES,
            quotas=LOOKS,
        ),
        least_s=1, most_s=86_399,
    )  # fmt: skip
    # Guide, spot-rest-ratelimits: a key's counter goes up by one a look-up, to 20, and down by
    # a half a second; so ten of these tokens are left to its other calls. Cancels are not
    # counted, of a batch it is not documented. What counts them, by pair and age, lets a batch
    # pass at any height: one cancel a second is this project's choice, as is the account's.
    quotas = {
        "cancel_one": Quota(2, 2.0),
        "lookup": Quota(10, 20.0),
        "account": Quota(4, 2.0),
    }
    quiet = Quiet(in_text=re.compile(r"Throttled: ?([0-9]{10,19})\b"))  # guide, spot-errors
    in_order_s = 1.0  # not documented: by then a request has arrived, or is lost
    rules = (  # guide, spot-errors; other words: clients
        Rule("count", Verdict.ACCEPTED),
        Rule("timer", Verdict.ACCEPTED),  # is set as asked
        Rule("count differs", Verdict.IN_DOUBT, "in_doubt"),
        Rule("errors", Verdict.IN_DOUBT, "venue_error"),  # several, or beside a result
        Rule("another order", Verdict.IN_DOUBT, "in_doubt"),
        *_errors(
            "EOrder:Unknown order|EOrder:Invalid order",
            Verdict.UNKNOWN_ORDER, "unknown_order",
        ),
        *_errors("EAPI:Invalid nonce", Verdict.NOT_DONE, "not_done"),
        *_errors("EAPI:Invalid key|EAPI:Invalid signature", Verdict.HALT, "auth"),
        *_errors(
            "EAPI:Feature disabled|EGeneral:Permission denied|EAccount:Invalid permissions|"
            "EAuth:Account temporary disabled|EAuth:Account unconfirmed",
            Verdict.HALT, "permission",
        ),
        *_errors(
            "EAPI:Rate limit exceeded|EOrder:Rate limit exceeded|EAuth:Rate limit exceeded|"
            "EOrder:Domain rate limit exceeded|EAuth:Too many requests|"
            "EGeneral:Too many requests|EService:Throttled",
            Verdict.THROTTLED, "throttled",
        ),
        *_errors("EGeneral:Temporary lockout", Verdict.BANNED, "banned"),
        *_errors(
            "EGeneral:Invalid arguments|EGeneral:Unknown method|EAPI:Bad request",
            Verdict.REFUSED, "bad_request",
        ),
        # The names of the modes allow cancels, and no source says that one was not done.
        *_errors(
            "EService:Market in cancel_only mode|EService:Market in post_only mode",
            Verdict.IN_DOUBT, "symbol_not_tradable",
        ),
        *_errors(
            "EService:Unavailable|EService:Busy|EService:Timeout|EService:Deadline elapsed|"
            "EGeneral:Internal error",
            Verdict.IN_DOUBT, "venue_error",
        ),
    )  # fmt: skip
    states = {  # page Query Orders Info; no word for a rejection
        "pending": OrdStatus.NEW,
        "open": OrdStatus.NEW,
        "closed": OrdStatus.FILLED,
        "canceled": OrdStatus.CANCELED,
        "expired": OrdStatus.EXPIRED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put what is asked into JSON; `sign` adds the nonce."""
        return HttpRequest(
            "POST",
            batch.route.path,
            json.dumps(_asked(batch), separators=(",", ":")).encode(),
            {"Content-Type": "application/json"},
        )

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Put the nonce into the body; sign both and the path: Base64 of HMAC-SHA512."""
        nonce, told = str(now_ms), request.body.removeprefix(b"{")
        body = f'{{"nonce":"{nonce}"{"," if told != b"}" else ""}'.encode() + told
        payload = request.target.encode() + hashlib.sha256(nonce.encode() + body).digest()
        signed = {
            "API-Key": credential["api_key"],
            "API-Sign": signature(credential["api_secret"], payload),
        }
        return replace(request, body=body, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return how many were canceled, the orders that are shown, or the error."""
        body, route = reply.json, batch.route
        errors, found = _errors_in(body), body.get("result")
        if route.name == "orders" and len(batch.refs) > 1 and _are_of_an_id(errors):
            found = found or {}  # one spoils it: the rest of them is asked for alone
        elif errors:
            return Answers(overall=_refusal(route, errors, beside=bool(found)))
        if route.purpose is Purpose.CANCEL:
            return Answers(overall=_counted(batch, found))
        if route.purpose is Purpose.TIMER:
            return Answers(overall=_of_timer(batch, found))
        rows = found[LISTS[route.path]] if route.path in LISTS else found
        if not isinstance(rows, dict):
            raise TypeError("orders by their ids were expected")
        if route.purpose is Purpose.LIST:
            return Answers(listed=tuple([_listed(*each) for each in rows.items()]))
        cut = route.name == "closed_orders" and len(rows) >= CLOSED_ROWS
        return replace(_of_rows(batch, rows), truncated=cut)


def signature(secret: str, payload: bytes) -> str:
    """Return what authenticates a path with the digest of nonce and body."""
    mac = hmac.new(base64.b64decode(secret), payload, hashlib.sha512).digest()
    return base64.b64encode(mac).decode()


def _asked(batch: Batch) -> dict[str, Any]:
    """Return the body of a request: every id as text."""
    route, ids = batch.route, [ref.id for ref in batch.refs]
    if route.purpose is Purpose.TIMER:
        return {"timeout": batch.after_s}
    if route.only_open:
        return {}
    if route.name == "closed_orders":
        return {"cl_ord_id": ids[0], "without_count": True}
    by_client = batch.refs[0].kind is IdKind.CLIENT
    if route.name == "cancel_batch":
        return {"cl_ord_ids" if by_client else "orders": ids}
    return {"cl_ord_id" if by_client else "txid": ",".join(ids)}


def _errors_in(body: Mapping[str, Any]) -> list[str]:
    """Return the errors of a reply, without its warnings."""
    listed = [] if body["error"] is None else body["error"]
    if not isinstance(listed, list):
        raise TypeError("a list of errors was expected")
    return [str(each) for each in listed if not str(each).startswith("W")]


def _codes(errors: list[str]) -> set[str]:
    """Return errors without what follows a second colon, or a blank after the first."""
    return {":".join([part.strip() for part in each.split(":")[:2]]) for each in errors}


def _are_of_an_id(errors: list[str]) -> bool:
    return bool(errors) and _codes(errors) <= OF_AN_ID


def _refusal(route: Route, errors: list[str], *, beside: bool) -> Answer:
    """Return the error, if it is the one thing that is said, and can be said of this route."""
    codes = _codes(errors)
    odd = beside or len(codes) > 1 or (route.path in LISTS and _are_of_an_id(errors))
    return Answer("errors" if odd else codes.pop(), "; ".join(errors))


def _counted(batch: Batch, found: Mapping[str, Any]) -> Answer:
    """Say whether as many were canceled as were asked for; no id is named either way."""
    count, asked = found["count"], len(batch.refs)
    if type(count) is not int:
        raise TypeError("a count was expected")
    return Answer("count" if count == asked else "count differs", f"{count} of {asked}")


def _of_timer(batch: Batch, found: Mapping[str, Any]) -> Answer:
    """Say that it is armed, if it was to be; what a disarmed one tells is not documented."""
    if str(found["triggerTime"]) in ("", "0") and batch.after_s:
        raise ValueError("the timer is not as it was asked to be")
    return Answer(code="timer")


def _spelled(order_id: str) -> str:
    return order_id.lower() if HEX.fullmatch(order_id) else order_id


def _ids(order_id: str, row: Mapping[str, Any]) -> dict[IdKind, str]:
    client_id = row.get("cl_ord_id")
    named = {IdKind.VENUE: order_id}
    return named | {IdKind.CLIENT: _spelled(str(client_id))} if client_id else named


def _of_rows(batch: Batch, rows: Mapping[str, Any]) -> Answers:
    """Return the orders that are asked for, and those of others; what ended last counts."""
    asked = {(ref.kind, _spelled(ref.id)): ref.id for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for order_id, row in sorted(
        rows.items(), key=lambda each: float(each[1].get("closetm") or 0)
    ):
        said = _of_row(row)
        for kind, named in _ids(order_id, row).items():
            if (kind, named) in asked:
                found[asked[kind, named]] = said
            else:
                others[kind][named] = said
    # What was asked for by its id and answered with another order is not there for all that.
    strange = batch.route.path not in LISTS and bool(others[IdKind.VENUE])
    return Answers(STRANGE if strange else None, found, others=others)


def _of_row(row: Mapping[str, Any]) -> Answer:
    in_money = "viqc" in str(row.get("oflags", ""))
    return Answer(
        text=str(row.get("reason") or ""),
        state=str(row["status"]),
        symbol=str(row["descr"]["pair"]),
        cum_qty=str(row.get("vol_exec", "")),
        order_qty="" if in_money else str(row.get("vol", "")),
    )


def _listed(order_id: str, row: Mapping[str, Any]) -> OpenOrder:
    word = str(row["descr"].get("ordertype"))
    return OpenOrder(
        id=order_id,
        symbol=str(row["descr"]["pair"]),
        ord_types=frozenset({LISTED_TYPES[word]}) if word in LISTED_TYPES else ALL_TYPES,
        side={"buy": Side.BUY, "sell": Side.SELL}.get(str(row["descr"].get("type"))),
        client_id=str(row.get("cl_ord_id") or ""),
        state=str(row["status"]),
    )
