"""Binance USD-M futures and spot: conditional orders of futures have a door of their own.

Docs
    https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
    https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
    https://developers.binance.com/en/docs/catalog/core-trading-derivatives-trading-usd-s-m-futures/api/rest-api/trade
    https://developers.binance.com/docs/derivatives/change-log
    https://github.com/binance/binance-spot-api-docs (rest-api.md, errors.md: spot)
    https://github.com/JKorf/Binance.Net (rows), https://github.com/ccxt/ccxt (codes)

Quirks
    - The answer to a cancel is the engine's, with the order's last object. Reads are replicas.
    - A batch (futures only) answers an object for each order, or an error that names nobody.
      That errors stand in the order of the ids is not documented: they are matched by number.
    - -2011 and -2013 mean unknown, filled, canceled, or an order behind the other door.
    - Since 2025-12-09 conditional orders of futures (stops, take-profits, trailing stops) are
      "algo" orders with ids of their own, which look like order ids, only longer. Neither door
      knows the other's ids, so where a job states no type, both are asked. Order ids count up
      per symbol: that the account has an order and an algo order of one number is possible.
    - Algo orders are named without a symbol. Jobs state it all the same: what their ids are if
      they are not algo orders' is told of one symbol only.
    - An algo order that fires leaves an order of the book with another id (`actualOrderId`),
      which may rest: that one is canceled and looked up from then on (page Query Algo Order).
    - What DELETE algoOrder answers is doubtful (code "200", or an object): it is looked up.
    - An order that was canceled without a fill is not found any more three days after it was
      made; a client order id names the newest order that bears it.
    - On spot an order cancels as `origClientOrderId`; `clientOrderId` is the cancel's own. One
      leg of an order list cancels the whole list.
    - POST and PUT of the very paths that cancel place orders. COIN-M is left out: in which
      space its stops live since June 2026 is not documented.
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
from venues.base import OpenOrder, Option, Quota, Route, Rule, Timer, Venue, Verdict
from venues.credential import Credential
from venues.words import ALL_TYPES, Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

#: How old a request may be when it arrives, in ms (general-info: the default).
RECV_WINDOW_MS = 5000
BOTH_KINDS = frozenset(IdKind)
#: Orders of the book, and those that wait for a trigger (change log, 2025-11-06).
PLAIN = frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY})
CONDITIONAL = frozenset({OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL, OrdType.ANY})
#: Of rows (page Query Order). Others say nothing: what fired may have any type.
ROW_TYPES = {"LIMIT": OrdType.LIMIT, "MARKET": OrdType.MARKET}
#: The same in lists of open orders, where every order has to be of some type: what a stop or a
#: take-profit was meant for (page New Algo Order) the row does not tell.
_STOP = frozenset({OrdType.TRIGGER, OrdType.TP_SL})
LISTED_TYPES = {
    "LIMIT": frozenset({OrdType.LIMIT}),
    "LIMIT_MAKER": frozenset({OrdType.LIMIT}),  # spot
    "MARKET": frozenset({OrdType.MARKET}),
    "TRAILING_STOP_MARKET": frozenset({OrdType.TRAILING_STOP}),
    **dict.fromkeys(("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"), _STOP),
    # Spot: a trailing delta makes each of these a trailing stop, too.
    **dict.fromkeys(
        ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"), _STOP | {OrdType.TRAILING_STOP}
    ),
}
#: Words of an algo order that fired; what it placed is another order.
FIRED = frozenset({"TRIGGERING", "TRIGGERED", "FINISHED"})
QUOTAS = ("account", "address")
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500


def _weighing(weight: int) -> tuple[Cost, ...]:
    """Return the weight of a request, which counts per address (general-info)."""
    return (Cost("address", per_request=weight),) if weight > 1 else ()


def _cancel(name: str, path: str, **more: Any) -> Route:
    return Route(name, Purpose.CANCEL, "DELETE", path, BOTH_KINDS, quotas=QUOTAS, **more)


def _look(name: str, path: str, weight: int, **more: Any) -> Route:
    return Route(
        name, Purpose.LOOKUP, "GET", path, BOTH_KINDS, quotas=QUOTAS, costs=_weighing(weight),
        **more,
    )  # fmt: skip


ROUTES = {
    "usdm": (
        _cancel(
            "cancel_batch", "/fapi/v1/batchOrders", ord_types=PLAIN, needs_symbol=True,
            max_ids=10, group_by=("symbol", "kind"),  # 10: page Cancel Multiple Orders
        ),
        _cancel("cancel_one", "/fapi/v1/order", ord_types=PLAIN, needs_symbol=True),
        _cancel(
            "cancel_algo", "/fapi/v1/algoOrder", ord_types=CONDITIONAL, trusted=False,
            needs_symbol=True,
        ),
        _look("order", "/fapi/v1/order", 1, ord_types=PLAIN, needs_symbol=True),
        _look("algo", "/fapi/v1/algoOrder", 1, ord_types=CONDITIONAL, needs_symbol=True),
        _look(  # no symbol: a wrong one must not make an order look gone
            "open_orders", "/fapi/v1/openOrders", 40, ord_types=PLAIN, max_ids=WIDE_IDS,
            only_open=True,
        ),
        _look(
            "open_algo_orders", "/fapi/v1/openAlgoOrders", 40, ord_types=CONDITIONAL,
            max_ids=WIDE_IDS, only_open=True,
        ),
    ),
    "spot": (
        _cancel("cancel_one", "/api/v3/order", needs_symbol=True),
        _look("order", "/api/v3/order", 4, needs_symbol=True),
        _look("open_orders", "/api/v3/openOrders", 80, max_ids=WIDE_IDS, only_open=True),
    ),
}  # fmt: skip


def _list(name: str, path: str, weight: int, **more: Any) -> Route:
    return Route(
        name, Purpose.LIST, "GET", path, quotas=QUOTAS, costs=_weighing(weight),
        only_open=True, tells_side=True, tells_client_id=True, **more,
    )  # fmt: skip


#: All symbols at once. An algo order that fires moves to the book: that is read afterwards.
LISTS = {
    "usdm": (
        _list(
            "list_algo", "/fapi/v1/openAlgoOrders", 40, ord_types=CONDITIONAL - {OrdType.ANY},
            listed_as=OrdType.TRIGGER,
        ),
        _list(
            "list_open", "/fapi/v1/openOrders", 40, ord_types=PLAIN - {OrdType.ANY},
            life_stage=1, listed_as=OrdType.LIMIT,
        ),
    ),
    "spot": (
        _list("list_open", "/api/v3/openOrders", 80, ord_types=ALL_TYPES),
    ),
}  # fmt: skip


def _cancel_all(name: str, path: str, ord_types: frozenset[OrdType]) -> Route:
    return Route(
        name, Purpose.CANCEL_ALL, "DELETE", path, ord_types=ord_types, needs_symbol=True,
        quotas=QUOTAS,
    )  # fmt: skip


#: Of one symbol; there are none of all. Orders of lists are reached, too (spot).
CANCEL_ALLS = {
    "usdm": (
        _cancel_all("cancel_all", "/fapi/v1/allOpenOrders", PLAIN - {OrdType.ANY}),
        _cancel_all("cancel_all_algo", "/fapi/v1/algoOpenOrders", CONDITIONAL - {OrdType.ANY}),
    ),
    "spot": (_cancel_all("cancel_all", "/api/v3/openOrders", ALL_TYPES),),
}
#: Futures alone, each symbol by itself (page Auto-Cancel All Open Orders, weight 10). Whether
#: it reaches algo orders is not documented, nor are bounds: a day is this project's choice.
TIMERS = {
    "usdm": Timer(
        Route(
            "timer", Purpose.TIMER, "POST", "/fapi/v1/countdownCancelAll",
            ord_types=PLAIN - {OrdType.ANY}, needs_symbol=True, quotas=QUOTAS,
            costs=_weighing(10),
        ),
        least_s=1, most_s=86_400,
    ),
    "spot": None,
}  # fmt: skip
#: Per minute and address: 2,400 (general-info), 6,000 (rest-api.md). A sixth is left to others
#: at the same address: this project's choice.
WEIGHTS = {"usdm": 2000, "spot": 5000}
BASE_URLS = {"usdm": "https://fapi.binance.com", "spot": "https://api.binance.com"}
#: usdm: not documented, the careful number of all venues. spot: seen there, of orders looked up
#: by id (freqtrade/freqtrade#3638, which waits for half of it).
READ_LAGS_S = {"usdm": 2.0, "spot": 20.0}


class Binance(Venue):
    """Binance USD-M futures or spot, as the account's `product` says."""

    name = "binance"
    options = (Option("product", ("usdm", "spot")),)
    id_shapes = {
        # A LONG in the one spelling that rows have; algo ids have the same shape.
        IdKind.VENUE: re.compile(r"[1-9][0-9]{0,18}"),
        IdKind.CLIENT: re.compile(r"[.A-Z:/a-z0-9_-]{1,36}"),  # page New Order
    }
    rules = (  # error-code, and errors.md for spot
        Rule("200", Verdict.ACCEPTED),  # of cancel_algo, and of cancel-alls
        Rule("timer", Verdict.ACCEPTED),  # is set as asked
        Rule("-2011", Verdict.UNKNOWN_ORDER, "unknown_order", "Unknown order"),
        Rule("-2011", Verdict.IN_DOUBT, "not_cancelable"),  # "due to cancel restrictions"
        Rule("-2013", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("-4120", Verdict.UNKNOWN_ORDER, "unknown_order"),  # on a cancel: not documented
        # Words of an algo order that fired: what it placed may rest.
        Rule("TRIGGERING", Verdict.IN_DOUBT, "trigger_fired"),
        Rule("TRIGGERED", Verdict.IN_DOUBT, "trigger_fired"),
        Rule("FINISHED", Verdict.IN_DOUBT, "trigger_fired"),
        Rule("-4117", Verdict.IN_DOUBT, "trigger_fired"),  # STOP_ORDER_TRIGGERING
        Rule("-2012", Verdict.IN_DOUBT, "venue_error"),
        Rule("-2023", Verdict.IN_DOUBT, "venue_error"),
        # Spot: ended long ago, and archived. On futures it means something else.
        Rule("-2026", Verdict.IN_DOUBT, "already_processed"),
        Rule("-1000", Verdict.IN_DOUBT, "venue_error"),
        Rule("-1001", Verdict.IN_DOUBT, "venue_error"),
        Rule("-1006", Verdict.IN_DOUBT, "venue_error"),
        Rule("-1007", Verdict.IN_DOUBT, "venue_error"),
        # Late at the matching engine: whether before it took effect, sources disagree.
        Rule("-4188", Verdict.IN_DOUBT, "venue_error"),
        Rule("-5028", Verdict.IN_DOUBT, "venue_error"),
        Rule("-1008", Verdict.NOT_DONE, "not_done"),
        Rule("-1016", Verdict.NOT_DONE, "not_done"),
        Rule("-1003", Verdict.BANNED, "banned", "banned"),
        Rule("-1003", Verdict.THROTTLED, "throttled"),
        Rule("-1015", Verdict.THROTTLED, "throttled"),
        Rule("-1021", Verdict.CLOCK, "clock"),
        Rule("-1022", Verdict.HALT, "auth"),
        Rule("-2014", Verdict.HALT, "auth"),
        Rule("-2015", Verdict.HALT, "auth"),
        Rule("-1002", Verdict.HALT, "auth"),
        Rule("-2017", Verdict.HALT, "permission"),
        Rule("-4109", Verdict.HALT, "permission"),
        Rule("-1011", Verdict.HALT, "permission"),
        Rule("-1100", Verdict.REFUSED, "bad_request"),
        Rule("-1102", Verdict.REFUSED, "bad_request"),
        Rule("-1128", Verdict.REFUSED, "bad_request"),
        Rule("-1130", Verdict.REFUSED, "bad_request"),
        Rule("-4032", Verdict.REFUSED, "bad_request"),
        Rule("-1121", Verdict.REFUSED, "bad_symbol"),
    )
    states = {  # pages Query Order and Query Algo Order; PENDING_NEW: spot
        "NEW": OrdStatus.NEW,
        "PENDING_NEW": OrdStatus.NEW,
        "PARTIALLY_FILLED": OrdStatus.PARTIALLY_FILLED,
        "PENDING_CANCEL": OrdStatus.PENDING_CANCEL,
        "FILLED": OrdStatus.FILLED,
        "CANCELED": OrdStatus.CANCELED,
        "REJECTED": OrdStatus.REJECTED,
        "EXPIRED": OrdStatus.EXPIRED,
        "EXPIRED_IN_MATCH": OrdStatus.EXPIRED,
    }

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        product = self.chosen["product"]
        self.base_url, self.routes = BASE_URLS[product], ROUTES[product]
        self.lists, self.cancel_alls = LISTS[product], CANCEL_ALLS[product]
        self.timer = TIMERS[product]
        self.read_lag_s = READ_LAGS_S[product]
        self.quotas = {
            # Only weight is limited (general-info). So many requests a second are this
            # project's choice: a routine job is spaced by it, and a kill finds tokens.
            "account": Quota(50, 1.0),
            "address": Quota(WEIGHTS[product], 60.0, "address"),
        }

    def build(self, batch: Batch) -> HttpRequest:
        """Put symbol and ids into the query, percent-encoded."""
        words = {} if batch.route.only_open else _named(batch)
        words["recvWindow"] = str(RECV_WINDOW_MS)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in words.items())
        return HttpRequest(batch.route.method, f"{batch.route.path}?{query}")

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign the query with its timestamp: hex of HMAC-SHA256, appended last."""
        target = f"{request.target}&timestamp={now_ms}"
        payload = target.partition("?")[2].encode()
        mac = hmac.new(credential["api_secret"].encode(), payload, hashlib.sha256).hexdigest()
        headers = {**request.headers, "X-MBX-APIKEY": credential["api_key"]}
        return replace(request, target=f"{target}&signature={mac}", headers=headers)

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the orders that the reply names, or its error."""
        body = reply.json
        if body is None:
            page = reply.text.lstrip().startswith("<")
            return Answers(overall=Answer(text="" if page else reply.text))
        if batch.route.purpose is Purpose.CANCEL_ALL:
            return _of_cancel_all(batch, body)
        if batch.route.purpose is Purpose.TIMER:
            return Answers(overall=_of_timer(batch, body))
        if batch.route.purpose is Purpose.LIST and isinstance(body, list):
            return Answers(listed=tuple([_listed(batch, row) for row in body]))
        if batch.route.only_open and isinstance(body, list):
            return _of_list(batch, body)
        if batch.route.name == "cancel_batch" and isinstance(body, list):
            return Answers(by_id=_of_batch(batch, body))
        (ref,) = batch.refs if isinstance(body, dict) and _is_order(body) else (None,)
        if ref is None:
            return Answers(overall=_error(body))
        if not _is_about(batch, body, ref):
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _of_row(body)})


def _is_algo(batch: Batch) -> bool:
    return "algo" in batch.route.name


def _id_name(batch: Batch, kind: IdKind) -> str:
    """Return what rows of a route call an id."""
    if kind is IdKind.VENUE:
        return "algoId" if _is_algo(batch) else "orderId"
    return "clientAlgoId" if _is_algo(batch) else "clientOrderId"


def _named(batch: Batch) -> dict[str, str]:
    if batch.route.purpose is Purpose.CANCEL_ALL:
        return {"symbol": batch.symbol}
    if batch.route.purpose is Purpose.TIMER:
        return {"symbol": batch.symbol, "countdownTime": str(batch.after_s * 1000)}
    ref, ids = batch.refs[0], [each.id for each in batch.refs]
    if _is_algo(batch):
        return {_id_name(batch, ref.kind): ref.id}
    by_id = ref.kind is IdKind.VENUE
    name = "orderId" if by_id else "origClientOrderId"
    if batch.route.name != "cancel_batch":
        return {"symbol": ref.symbol, name: ref.id}
    # Numbers stand bare in the list (page Cancel Multiple Orders).
    listed = f"[{','.join(ids)}]" if by_id else json.dumps(ids, separators=(",", ":"))
    return {"symbol": ref.symbol, f"{name}List": listed}


def _of_timer(batch: Batch, body: Mapping[str, Any]) -> Answer:
    """Say that it is set as asked, in ms; or the error."""
    if "countdownTime" not in body:
        return _error(body)
    if (body["symbol"], int(body["countdownTime"])) != (batch.symbol, batch.after_s * 1000):
        raise ValueError("the timer is not as it was asked to be")
    return Answer(code="timer")


def _is_order(body: Mapping[str, Any]) -> bool:
    return bool(body.keys() & {"orderId", "algoId"})


def _error(body: Any) -> Answer:
    return Answer(code=str(body["code"]), text=str(body.get("msg", "")))


def _is_about(batch: Batch, row: Mapping[str, Any], ref: OrderRef) -> bool:
    name = _id_name(batch, ref.kind)
    if name == "clientOrderId" and "origClientOrderId" in row:
        name = "origClientOrderId"  # a cancel on spot has an id of its own
    return str(row.get(name)) == ref.id


def _of_batch(batch: Batch, rows: list[Any]) -> dict[str, Answer]:
    """Return what each row says; errors that name nobody, of all that no row names."""
    orders = [row for row in rows if _is_order(row)]
    errors = {_error(row) for row in rows if not _is_order(row)}
    found = {
        ref.id: _of_row(row)
        for row in orders
        for ref in batch.refs
        if _is_about(batch, row, ref)
    }
    if len(errors) == 1 and len(rows) == len(batch.refs) and len(found) == len(orders):
        (error,) = errors
        return dict.fromkeys([ref.id for ref in batch.refs], error) | found
    return found


def _of_list(batch: Batch, rows: list[Any]) -> Answers:
    """Return the orders that are open; those of others, too."""
    asked = {(ref.kind, ref.id) for ref in batch.refs}
    found: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in rows:
        said = _of_row(row)
        for kind in IdKind:
            named = str(row[_id_name(batch, kind)])
            if (kind, named) in asked:
                found[named] = said
            else:
                others[kind][named] = said
    return Answers(by_id=found, others=others)


def _listed(batch: Batch, row: Mapping[str, Any]) -> OpenOrder:
    """Return an open order; of an algo order that has fired no state is told."""
    word = "orderType" if _is_algo(batch) else "type"
    state = str(row.get("algoStatus" if _is_algo(batch) else "status", ""))
    return OpenOrder(
        id=str(row[_id_name(batch, IdKind.VENUE)]),
        symbol=str(row["symbol"]),
        ord_types=LISTED_TYPES.get(row.get(word, ""), ALL_TYPES),
        side={"BUY": Side.BUY, "SELL": Side.SELL}.get(row.get("side", "")),
        client_id=str(row.get(_id_name(batch, IdKind.CLIENT)) or ""),
        state="" if state.upper() in FIRED else state,
    )


def _of_cancel_all(batch: Batch, body: Any) -> Answers:
    """Return the orders that a cancel-all of spot names, by itself or in their list."""
    if not isinstance(body, list):
        return Answers(overall=_error(body))
    rows = [order for row in body for order in row.get("orderReports", [row])]
    return Answers(listed=tuple([_listed(batch, row)._replace(state="") for row in rows]))


def _of_row(row: Mapping[str, Any]) -> Answer:
    if "algoId" not in row:
        return Answer(
            state=str(row["status"]),
            symbol=str(row.get("symbol", "")),
            ord_type=ROW_TYPES.get(row.get("type", "")),
            cum_qty=str(row.get("executedQty", "")),
            order_qty=str(row.get("origQty", "")),
        )
    if "algoStatus" not in row:
        return _error(row)
    word, child = str(row["algoStatus"]), str(row.get("actualOrderId") or "")
    symbol = str(row.get("symbol", ""))
    if child or word.upper() in FIRED:  # no state: what it placed has one of its own
        # Beside another word a child is not documented: it is named, and not followed.
        became = Became(child) if child and word.upper() in FIRED else None
        text = f"it placed order {child}" if child else ""
        return Answer(code=word.upper(), text=text, symbol=symbol, became=became)
    return Answer(state=word, symbol=symbol, ord_type=OrdType.TRIGGER)
