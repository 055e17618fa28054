"""Kuna v4 (Kuna Pro): ordinary refusals come as HTTP 500, so only codes count.

The exchange closed in 2025: this file is a sample of its kind, nothing answers at its URL.

Docs
    https://docs.kuna.io/docs/cancel-multiple-orders
    https://docs.kuna.io/docs/cancel-order-by-id
    https://docs.kuna.io/docs/get-order-details-by-id
    https://docs.kuna.io/docs/get-active-client-orders-private
    https://docs.kuna.io/reference/authorizing-requests
    https://github.com/JKorf/Kuna.Net (envelopes, limits)

Quirks
    - HTTP 500 is no sign that a retry helps: "must be a UUID" is one. Errors may also come with
      HTTP 200. The code is in `errors[].code` or `errors[].extensions.code`.
    - One id that is no UUID spoils its batch.
    - A batch that holds a closed order may answer 400 and cancel the rest all the same, so a
      400 speaks for an id only where it went alone.
    - `Closed` is said of orders that were executed in full or in part: the quantities decide.
    - `success` names no state: look the order up.
    - Answers come bare or as `{"data": ...}`, their ids as `id` or `orderId`.
    - The cancel page's samples post a list to /cancel; the list belongs to /cancel/multi.
    - The signed body of a GET is `{}`, and the official sample sends it, too.
    - A key without a secret authenticates by itself (single-key mode).
    - The list of active orders begins two weeks ago unless `start` says another time, and has
      at most a hundred rows, as an account may have so many active orders.
    - A client order id *is* the order id: the trader may choose the UUID at placement.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import replace
from typing import Any

from venues.base import Answer, Answers, Batch, HttpReply, HttpRequest, OpenOrder
from venues.base import Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import ALL_TYPES, IdKind, OrdStatus, OrdType, Purpose, Side


#: Rows of the list of active orders (page Get active client orders): a full one may be cut.
MOST_LISTED = 100
_STOP = frozenset({OrdType.TRIGGER, OrdType.TP_SL, OrdType.TRAILING_STOP})
#: What a row that waits for no trigger is (page Get order details by id).
LISTED_TYPES = {"Limit": frozenset({OrdType.LIMIT}), "Market": frozenset({OrdType.MARKET})}


def _over(word: str, reason: str, ord_status: OrdStatus) -> Rule:
    """Return the row for "Order with status {word} can't be canceled"."""
    return Rule("BAD_REQUEST", Verdict.STATE, reason, f"status {word} can't", ord_status)


class Kuna(Venue):
    """Kuna v4."""

    name = "kuna"
    base_url = "https://api.kuna.io"  # https://docs.kuna.io/docs/general-api-information-1
    parts = (Part("api_key"), Part("api_secret", optional=True))  # page Authorizing requests
    id_shapes = {  # page Cancel multiple orders
        IdKind.VENUE: re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    }
    routes = (
        Route(
            "cancel_batch", Purpose.CANCEL, "POST", "/v4/order/private/cancel/multi",
            max_ids=20, quotas=("cancel_batch", "account"),  # 20: not documented, our choice
        ),
        Route(
            "cancel_one", Purpose.CANCEL, "POST", "/v4/order/private/cancel",
            quotas=("cancel_one", "account"),
        ),
        Route(
            "details", Purpose.LOOKUP, "GET", "/v4/order/private/details/{id}",
            quotas=("lookup", "account"),
        ),
    )  # fmt: skip
    lists = (
        Route(
            "list_active", Purpose.LIST, "GET", "/v4/order/private/active",
            ord_types=ALL_TYPES, only_open=True,
            tells_side=True, tells_client_id=True, quotas=("lookup", "account"),
        ),
    )  # fmt: skip
    # Not documented. Kuna.Net keeps to 300 a minute, so five in any second.
    quotas = dict.fromkeys(("cancel_batch", "cancel_one", "lookup", "account"), Quota(5, 1.0))
    rules = (  # error tables of the pages Cancel multiple orders and Cancel order by id
        Rule("success=true", Verdict.ACCEPTED),
        Rule("success=false", Verdict.IN_DOUBT, "not_canceled"),  # no reason is given with it
        # Closed is not filled: the look-up tells how much was executed.
        Rule("BAD_REQUEST", Verdict.IN_DOUBT, "already_processed", "status Closed can't"),
        _over("Canceled", "already_canceled", OrdStatus.CANCELED),
        # These two states are not in the tables: the same sentence with the words of `states`.
        _over("Expired", "expired", OrdStatus.EXPIRED),
        _over("Rejected", "rejected_by_venue", OrdStatus.REJECTED),
        Rule("BAD_REQUEST", Verdict.IN_DOUBT, "bad_request"),  # the rest may be canceled
        Rule("WrongRequestException", Verdict.REFUSED, "bad_request"),
        Rule("Internal Server Error", Verdict.REFUSED, "bad_request", "Invalid JSON"),
        Rule("CANCEL_ORDER_FAILED", Verdict.IN_DOUBT, "already_processed"),
        # Not documented: the codes of a refused key. Its framework's (NestJS) words, told apart
        # by their text; a refusal is asked again before it counts.
        Rule("FORBIDDEN", Verdict.BANNED, "banned", "banned"),
        Rule("FORBIDDEN", Verdict.HALT, "permission"),
        Rule("UNAUTHORIZED", Verdict.HALT, "auth"),
        # Not documented: how an unknown order is answered; after the pattern of BAD_REQUEST. A
        # wrong URL must not make an order look gone, so the text must speak of the order, and
        # not be the framework's "Cannot GET /v4/order/private/...".
        Rule("NOT_FOUND", Verdict.IN_DOUBT, "venue_error", "Cannot "),
        Rule("NOT_FOUND", Verdict.UNKNOWN_ORDER, "unknown_order", "order"),
        Rule("ORDER_NOT_FOUND", Verdict.UNKNOWN_ORDER, "unknown_order"),
    )
    states = {  # https://docs.kuna.io/docs/get-private-orders-history
        "Open": OrdStatus.NEW,
        "Pending": OrdStatus.NEW,
        "WaitStop": OrdStatus.NEW,
        "Closed": OrdStatus.FILLED,
        "Canceled": OrdStatus.CANCELED,
        "Expired": OrdStatus.EXPIRED,
        "Rejected": OrdStatus.REJECTED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        """Put the ids into a compact JSON body, or the one id into the path."""
        route, ids = batch.route, [ref.id for ref in batch.refs]
        content: dict[str, Any] = {}
        if route.purpose is Purpose.CANCEL:
            content = {"orderIds": ids} if route.name == "cancel_batch" else {"orderId": ids[0]}
        body = json.dumps(content, separators=(",", ":")).encode()
        if route.purpose is Purpose.LIST:  # the form of a time: not documented; as in nonces
            target = f"{route.path}?limit={MOST_LISTED}&start=0"
        else:
            target = route.path.replace("{id}", ids[0])
        return HttpRequest(route.method, target, body, {"Content-Type": "application/json"})

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign target, nonce and body: hex of HMAC-SHA384; or name the key where it is all."""
        return replace(
            request, headers={**request.headers, **_auth(request, credential, now_ms)}
        )

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the error, or what the data says."""
        body = reply.json
        data = body["data"] if isinstance(body, dict) and "data" in body else body
        if isinstance(body, dict) and body.get("errors"):
            rows = _rows(batch, data) if isinstance(data, list) else {}
            return Answers(overall=_error(body["errors"][0]), by_id=rows)
        if batch.route.name == "cancel_one":
            return Answers(overall=_success(data))
        if batch.route.name == "cancel_batch":
            return Answers(by_id=_rows(batch, data))
        if batch.route.purpose is Purpose.LIST:
            listed = tuple([_listed(row) for row in _list_of(data)])
            return Answers(listed=listed, truncated=len(listed) >= MOST_LISTED)
        return Answers(by_id=_details(batch, data))


def _auth(request: HttpRequest, credential: Credential, now_ms: int) -> dict[str, str]:
    if not credential["api_secret"]:
        return {"api-key": credential["api_key"]}
    payload = f"{request.target}{now_ms}".encode() + request.body
    return {
        "public-key": credential["api_key"],
        "nonce": str(now_ms),
        "signature": hmac.new(
            credential["api_secret"].encode(), payload, hashlib.sha384
        ).hexdigest(),
        "account": "pro",  # page Authorizing requests: PRO accounts add it
    }


def _error(error: dict[str, Any]) -> Answer:
    code = error.get("code") or error["extensions"]["code"]
    return Answer(code=str(code), text=str(error.get("message", "")))


def _success(row: dict[str, Any]) -> Answer:
    return Answer(code=f"success={json.dumps(row['success'])}")


def _order_id(row: dict[str, Any]) -> str:
    return str(row["id"] if "id" in row else row["orderId"]).lower()


def _rows(batch: Batch, rows: Any) -> dict[str, Answer]:
    said = {_order_id(row): _success(row) for row in rows}
    return {ref.id: said[ref.id.lower()] for ref in batch.refs if ref.id.lower() in said}


def _list_of(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError("a list of orders was expected")
    return data


def _listed(row: dict[str, Any]) -> OpenOrder:
    state = str(row["status"])
    of_type = LISTED_TYPES.get(row.get("type", ""), _STOP)
    return OpenOrder(
        id=_order_id(row),
        symbol=str(row["pair"]),
        ord_types=_STOP if state == "WaitStop" else of_type,
        side={"Bid": Side.BUY, "Ask": Side.SELL}.get(row.get("side", "")),
        client_id=_order_id(row),
        state=state,
    )


def _details(batch: Batch, order: dict[str, Any]) -> dict[str, Answer]:
    (ref,) = batch.refs
    if _order_id(order) != ref.id.lower():
        raise ValueError("the answer is about another order")
    said = Answer(
        state=str(order["status"]),
        symbol=str(order.get("pair", "")),
        cum_qty=str(order.get("executedQuantity", "")),
        order_qty=str(order.get("quantity", "")),
    )
    return {ref.id: said}
