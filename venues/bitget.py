"""Bitget futures, v2 ("mix"): answers say "received", and plan orders have ids of their own.

Docs
    https://www.bitget.com/api-doc/common/signature
    https://www.bitget.com/api-doc/contract/trade/Batch-Cancel-Orders (and Cancel-Order,
    Get-Order-Details, Get-Orders-Pending, Get-Orders-History)
    https://www.bitget.com/api-doc/contract/plan/Cancel-Plan-Order (and get-orders-plan-pending,
    orders-plan-history)
    https://www.bitget.com/api-doc/common/demotrading
    https://github.com/ccxt/ccxt, https://github.com/JKorf/Bitget.Net (codes, rows)
    https://github.com/tiagosiebler/bitget-api (expectations against the live venue)

Quirks
    - A success is received, not done: every order is looked up.
    - A batch without ids cancels all orders of the product. With ids of both kinds, some fail.
    - Plan orders (triggers) have ids of their own, and their kinds are finer than jobs' types:
      `normal_plan` is canceled; trailing, take-profit and stop-loss orders are only looked for,
      so that none of them is called gone.
    - A plan order that fired, of any kind, leaves another order, `executeOrderId`, which may
      rest: that one is canceled and looked up from then on.
    - Pages disagree whether the list of open orders shows those that are filled in part when no
      status is asked for: it is asked for each.
    - The venue gives orders without a client order id one of digits, like an order id's.
    - The signed query is not percent-encoded: client order ids with `#`, `+` or a space, which
      would have to be, are not taken.
    - The same order may be canceled once a second: 45129 is of an order, not of the account.
    - A unified account has another API: 40085. Whether `size` is in the unit of `baseVolume` is
      not documented for all products: it is not read.
    - `close-positions` and `click-backhand` trade, as do calls with "cancel-replace" in their
      names.
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

from venues.base import NOTHING_CHOSEN, Answer, Answers, Batch, HttpReply, HttpRequest
from venues.base import Option, Quota, Route, Rule, Venue, Verdict
from venues.credential import Credential, Part
from venues.words import Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose

API = "/api/v2/mix/order"
BOTH_KINDS = frozenset(IdKind)
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
PLAN = frozenset({OrdType.TRIGGER, OrdType.ANY})
TRAILING = frozenset({OrdType.TRAILING_STOP, OrdType.ANY})
TP_SL = frozenset({OrdType.TP_SL, OrdType.ANY})
PLANS_OPEN, PLANS_OVER = "orders-plan-pending", "orders-plan-history"
ID_NAMES = {IdKind.VENUE: "orderId", IdKind.CLIENT: "clientOid"}
#: Of rows of the book and of plan orders.
ROW_TYPES = {
    "limit": OrdType.LIMIT,
    "market": OrdType.MARKET,
    "normal_plan": OrdType.TRIGGER,
}
#: States of a plan order that fired.
FIRED = frozenset({"executing", "executed"})
#: States of an order of the book that has ended.
ENDS = frozenset({"filled", "canceled", "cancelled", "reject", "rejected"})
#: Rows of a list: the most that the pages allow.
ROWS = 100


def _cancel(name: str, path: str, ord_types: frozenset[OrdType], **more: Any) -> Route:
    quotas = (name if name == "cancel_batch" else "cancel_one", "account", "address")
    return Route(
        name, Purpose.CANCEL, "POST", f"{API}/{path}", BOTH_KINDS, ord_types,
        needs_symbol=True, quotas=quotas, accepts_only_open=True,  # else 45031, 50062, 43026
        **more,
    )  # fmt: skip


def _look(name: str, path: str, ord_types: frozenset[OrdType], **more: Any) -> Route:
    quotas = ("history" if more.get("life_stage") else "lookup", "account", "address")
    return Route(
        name, Purpose.LOOKUP, "GET", f"{API}/{path}", BOTH_KINDS, ord_types, quotas=quotas,
        **more,
    )  # fmt: skip


def _rows_of(codes: str, verdict: Verdict, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule(code, verdict, reason) for code in codes.split())


class Bitget(Venue):
    """Bitget futures, of the product type that an account states; one of them is a demo."""

    name = "bitget"
    base_url = "https://api.bitget.com"
    options = (
        Option(
            "product_type",
            ("usdt-futures", "coin-futures", "usdc-futures", "demo-usdt-futures"),
        ),
    )
    parts = (Part("api_key"), Part("api_secret"), Part("api_passphrase"))
    id_shapes = {
        IdKind.VENUE: re.compile(r"[1-9][0-9]{0,18}"),
        # The longest that any page allows, of characters that a query needs no escapes for.
        IdKind.CLIENT: re.compile(r"[A-Za-z0-9_:-]{1,64}"),
    }
    routes = (
        _cancel(  # 20: best practices, code 40306; the page says 50
            "cancel_batch", "batch-cancel-orders", PLAIN, max_ids=20,
            group_by=("symbol", "kind"),
        ),
        # Its answer has a code for the order, where an item of a batch may have words alone.
        _cancel("cancel_one", "cancel-order", PLAIN, single_first=PLAIN),
        _cancel("cancel_plan", "cancel-plan-order", PLAN),  # how many at once: not documented
        _look("detail", "detail", PLAIN, needs_symbol=True),
        # By id and under every symbol: a wrong one must not make an order look gone. Not marked
        # `only_open`, as lists of everything are: where an order has ended, these look-ups are
        # asked for another one of its client order id, at the other door.
        _look("open_live", "orders-pending", PLAIN, venue_word="live"),
        _look("open_partial", "orders-pending", PLAIN, venue_word="partially_filled"),
        _look("open_plan", PLANS_OPEN, PLAN, venue_word="normal_plan"),
        _look("open_trailing", PLANS_OPEN, TRAILING, venue_word="track_plan"),
        _look("open_tp_sl", PLANS_OPEN, TP_SL, venue_word="profit_loss"),
        _look("history", "orders-history", PLAIN, life_stage=2),
        # What no route here cancels may fire as well, and leave an order that rests.
        _look("plan_history", PLANS_OVER, PLAN, life_stage=2, venue_word="normal_plan"),
        _look("trailing_history", PLANS_OVER, TRAILING, life_stage=2, venue_word="track_plan"),
        _look("tp_sl_history", PLANS_OVER, TP_SL, life_stage=2, venue_word="profit_loss"),
    )  # fmt: skip
    # Each call ten times a second of a user, whatever a batch holds; the address 6,000 a
    # minute, then five minutes' quiet (pages, FAQ). Look-ups share one quota, though each call
    # has its own; a fifth is left to what else the key does: this project's choice.
    quotas = {
        "cancel_batch": Quota(8, 1.0),
        "cancel_one": Quota(8, 1.0),
        "lookup": Quota(8, 1.0),
        "history": Quota(8, 1.0),
        "account": Quota(24, 1.0),
        "address": Quota(5000, 60.0, "address"),
    }
    rules = (  # common error codes, and what clients found; see the page of this venue
        Rule("00000", Verdict.ACCEPTED),
        *_rows_of(
            "43001 40109 45057 31007 40768 40819 80011 43025 43020 43033",
            Verdict.UNKNOWN_ORDER, "unknown_order",
        ),
        # Items of a batch may have words alone: "notExistend" in the pages' own sample.
        *(
            Rule("", Verdict.UNKNOWN_ORDER, "unknown_order", contains=words)
            for words in ("not exist", "notExist")
        ),
        *_rows_of("45031 50062 45055 43026 43021", Verdict.IN_DOUBT, "already_processed"),
        *_rows_of("45056 13010 22001 43004", Verdict.IN_DOUBT, "not_cancelable"),
        # Canceled a moment ago, perhaps by us: of this order alone.
        Rule("45129", Verdict.IN_DOUBT, "in_doubt"),
        *_rows_of("executing executed", Verdict.IN_DOUBT, "trigger_fired"),
        # 40808: a bad parameter, or a release that goes on.
        *_rows_of(
            "40010 40910 40015 45001 40725 45024 43059 40908 50031 40808 25000 25001 25003",
            Verdict.IN_DOUBT, "venue_error",
        ),
        *_rows_of("40200 40844 41114 43115 45043", Verdict.NOT_DONE, "not_done"),
        *_rows_of("429 1001", Verdict.THROTTLED, "throttled"),
        *_rows_of("40004 40005 40008", Verdict.CLOCK, "clock"),
        *_rows_of(
            "40001 40002 40003 40006 40009 40011 40012 40036 40037 40041", Verdict.HALT, "auth"
        ),
        *_rows_of(
            "40014 40018 40038 40022 40023 40024 40025 40026 40068 40199 40085 40000 40103 "
            "40104",
            Verdict.HALT, "permission",
        ),
        *_rows_of(
            "40007 40017 40019 40020 40034 40072 40102 40306 40402 40404 40811 40813 40912 "
            "40913 40924 400171 400172 48001 48002 22012",
            Verdict.REFUSED, "bad_request",
        ),
    )  # fmt: skip
    states = {
        "live": OrdStatus.NEW,
        "init": OrdStatus.NEW,
        "new": OrdStatus.NEW,
        "not_trigger": OrdStatus.NEW,
        "partially_filled": OrdStatus.PARTIALLY_FILLED,
        "filled": OrdStatus.FILLED,
        "canceled": OrdStatus.CANCELED,
        "reject": OrdStatus.REJECTED,
        "rejected": OrdStatus.REJECTED,
        "fail_execute": OrdStatus.REJECTED,
        "fail_trigger": OrdStatus.REJECTED,
    }

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        product = self.chosen["product_type"]
        self._headers = {"Content-Type": "application/json", "locale": "en-US"}
        if product.startswith("demo-"):
            self._headers["paptrading"] = "1"
        self._product = product.removeprefix("demo-").upper()

    def build(self, batch: Batch) -> HttpRequest:
        """Put a cancel into a JSON object, a look-up into a sorted query."""
        route, ref = batch.route, batch.refs[0]
        named = {ID_NAMES[ref.kind]: ref.id}
        if route.purpose is Purpose.CANCEL:
            body = {"symbol": ref.symbol, "productType": self._product, **_canceled(batch)}
            raw = json.dumps(body, separators=(",", ":")).encode()
            return HttpRequest("POST", route.path, raw, self._headers)
        words = {"productType": self._product, **named}
        if route.needs_symbol:
            words["symbol"] = ref.symbol
        else:
            words["limit"] = str(ROWS)
        if route.venue_word:
            words["planType" if "plan" in route.path else "status"] = route.venue_word
        # Shapes of ids and symbols need no escapes.
        query = "&".join(f"{name}={words[name]}" for name in sorted(words))
        return HttpRequest("GET", f"{route.path}?{query}", headers=self._headers)

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign time, method, target and body: Base64 of HMAC-SHA256."""
        payload = f"{now_ms}{request.method}{request.target}".encode() + request.body
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).digest()
        signed = {
            "ACCESS-KEY": credential["api_key"],
            "ACCESS-SIGN": base64.b64encode(mac).decode(),
            "ACCESS-TIMESTAMP": str(now_ms),
            "ACCESS-PASSPHRASE": credential["api_passphrase"],
        }
        return replace(request, headers={**request.headers, **signed})

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the items of a batch, the rows of a list, or the code of the whole."""
        body, route = reply.json, batch.route
        code, data = str(body["code"]), body.get("data")
        if code != "00000":
            return Answers(overall=Answer(code=code, text=str(body.get("msg", ""))))
        if route.name == "cancel_one":
            (ref,) = batch.refs
            if not _is_about(data, ref):
                raise ValueError("the answer is about another order")
            return Answers(by_id={ref.id: Answer(code=code)})
        if route.purpose is Purpose.CANCEL:
            return Answers(by_id=_of_batch(batch, data))
        if route.name == "detail":
            found = _of_rows(batch, [data] if data != [] else [])
            return Answers() if _is_of_the_other_door(batch.refs[0], data) else found
        rows = data["entrustedList"] or []
        return replace(_of_rows(batch, rows), truncated=len(rows) >= ROWS)


def _canceled(batch: Batch) -> dict[str, Any]:
    """Return what names the orders; never an empty list, which would name all of them."""
    items = [{ID_NAMES[ref.kind]: ref.id} for ref in batch.refs]
    if batch.route.name == "cancel_one":
        return dict(items[0])
    plan = {"planType": "normal_plan"} if batch.route.name == "cancel_plan" else {}
    return {**plan, "orderIdList": items}


def _is_about(row: Mapping[str, Any], ref: OrderRef) -> bool:
    return str(row.get(ID_NAMES[ref.kind])) == ref.id


def _of_batch(batch: Batch, data: Mapping[str, Any]) -> dict[str, Answer]:
    """Return what each item says; a failure outweighs a success."""
    said = [(item, Answer(code="00000")) for item in data["successList"] or []]
    said += [(item, _failed(item)) for item in data["failureList"] or []]
    return {
        ref.id: answer for item, answer in said for ref in batch.refs if _is_about(item, ref)
    }


def _failed(item: Mapping[str, Any]) -> Answer:
    """Return why an item failed: a code, if it has one; texts are not documented."""
    return Answer(code=str(item.get("errorCode") or ""), text=str(item.get("errorMsg") or ""))


def _is_of_the_other_door(ref: OrderRef, data: Any) -> bool:
    """Say whether an order of the book has ended that bears a plan order's client order id.

    The histories say what is over, that of plan orders first; this one would be told before.
    """
    is_plan = ref.kind is IdKind.CLIENT and ref.ord_type not in PLAIN
    return is_plan and data != [] and _word(data).lower() in ENDS


def _of_rows(batch: Batch, rows: list[Any]) -> Answers:
    """Return the orders that are asked for, and those of others."""
    asked = {(ref.kind, ref.id) for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in rows:
        said = _of_row(row)
        for kind, name in ID_NAMES.items():
            named = str(row["orderId"] if kind is IdKind.VENUE else row.get(name))
            if (kind, named) in asked:
                found[named] = said
            else:
                others[kind][named] = said
    if batch.route.name == "detail" and rows and not found:
        raise ValueError("the answer is about another order")
    return Answers(by_id=found, others=others)


def _word(row: Mapping[str, Any]) -> str:
    return str(row.get("planStatus") or row.get("state") or row["status"])


def _of_row(row: Mapping[str, Any]) -> Answer:
    word = _word(row)
    symbol, child = str(row.get("symbol", "")), str(row.get("executeOrderId") or "")
    ord_type = ROW_TYPES.get(str(row.get("planType") or row.get("orderType")))
    fired = word.lower()
    if child or fired in FIRED:  # no state: what it placed has one of its own
        text = f"it placed order {child}" if child else ""
        code = "executed" if child else fired
        # Beside another word, or of one that still executes, a child is named, not followed.
        became = Became(child) if child and fired == "executed" else None
        return Answer(code, text, symbol=symbol, ord_type=ord_type, became=became)
    done = str(row.get("baseVolume") or "")
    return Answer(state=word, symbol=symbol, ord_type=ord_type, cum_qty=done)
