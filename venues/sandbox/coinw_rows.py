"""CoinW's rows: how its lists show an order (field names of the fixtures of CoinW.Net)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from .book import Order, OrdType, State

#: the word of an order's type in rows; a trigger order that has fired is a `plan` order
WORDS = {
    OrdType.LIMIT: "plan",
    OrdType.MARKET: "execute",
    OrdType.TRIGGER: "planTrigger",
    OrdType.TRAILING_STOP: "moveStopProfitLoss",
    OrdType.TP_SL: "stopProfitLoss",
}


def pos_type(order: Order) -> str:
    """Tell the venue's word for the order's type."""
    return "plan" if order.triggered else WORDS[order.ord_type]


def types_of(words: Collection[str]) -> list[OrdType]:
    """List the types of which orders may have one of those words; one that fired is `plan`."""
    return [t for t, word in WORDS.items() if word in words or "plan" in words]


def pick(orders: Iterable[Order], words: Collection[str]) -> list[Order]:
    """Pick the orders whose type has one of those words."""
    types, fired = {t for t, word in WORDS.items() if word in words}, "plan" in words
    return [o for o in orders if (fired if o.triggered else o.ord_type in types)]


class _Kind(NamedTuple):
    """All of an order that rows show but its id and dates; an account has few kinds."""

    word: str
    symbol: str
    side: str
    quantity: int
    filled: int


def _kind(order: Order) -> _Kind:
    return _Kind(pos_type(order), order.symbol, order.side, order.quantity, order.filled)


def _of_kind(kind: _Kind) -> dict[str, Any]:
    return {
        "baseSize": 0.001,
        "contractType": 1,
        "currentPiece": kind.quantity - kind.filled,
        "direction": "long" if kind.side == "buy" else "short",
        "instrument": kind.symbol,
        "leverage": 1,
        "margin": 95.4,
        "orderPrice": 95400,
        "originalType": kind.word,
        "posType": kind.word,
        "positionModel": 0,
        "quantity": kind.quantity,
        "quantityUnit": 1,
        "source": "api",
        "userId": 1162061,
    }


def _common(order: Order) -> dict[str, Any]:
    dates = {"createdDate": order.created_ms, "updatedDate": order.updated_ms}
    return _of_kind(_kind(order)) | dates


@lru_cache(maxsize=1024)
def _open_text(kind: _Kind) -> str:
    """Write an open order but for its id and dates, as JSON without its opening brace."""
    row = _of_kind(kind) | {
        "orderStatus": "part" if kind.filled else "unFinish",
        "processStatus": 1,
        "status": "open",
        "totalPiece": kind.quantity,
    }
    return json.dumps(row, separators=(",", ":"))[1:]


#: orders that agree in these have the same row but for its id
_look = attrgetter("triggered", "ord_type", *_Kind._fields[1:], "created_ms", "updated_ms")


def open_rows(orders: Iterable[Order]) -> str:
    """Show open orders as JSON; neighbours that look alike, as a bulk does, are cheap."""
    return ",".join(_rows_alike(list(alike)) for _, alike in groupby(orders, _look))


def _rows_alike(orders: Sequence[Order]) -> str:
    """Show orders that differ in nothing but their ids: numbers, without leading zeros."""
    first = orders[0]
    dates = f'"createdDate":{first.created_ms},"updatedDate":{first.updated_ms}'
    rest = f",{dates},{_open_text(_kind(first))}"
    numbers = [order.id.lstrip("0") or "0" for order in orders]
    return '{"id":' + f'{rest},{{"id":'.join(numbers) + rest


def history_row(order: Order) -> str:
    """Show a closed order as JSON; its id is a string."""
    row = _common(order) | {
        "avgPrice": "95400" if order.filled else "0",
        "cancelPiece": 0 if order.state is State.FILLED else order.quantity - order.filled,
        "id": order.id,
        "orderStatus": "finish" if order.state is State.FILLED else "cancel",
        "status": "open",
        "thirdOrderId": order.client_order_id,
        "totalPiece": str(order.quantity),
        "tradePiece": order.filled,
    }
    return json.dumps(row, separators=(",", ":"))


def tpsl_row(order: Order) -> dict[str, Any]:
    """Show a stop-loss and take-profit order."""
    return {
        "id": int(order.id),
        "openId": 2435521222632076385,
        "instrument": order.symbol,
        "direction": "long" if order.side == "buy" else "short",
        "closePiece": order.quantity,
        "currentPiece": order.quantity,
        "createdDate": order.created_ms,
        "updatedDate": order.updated_ms,
        "stopLossPrice": 82000,
        "stopLossType": "execute",
        "stopProfitPrice": 95000,
        "stopProfitType": "execute",
        "stopType": 2,
        "triggerStatus": 0,
        "userId": 1162061,
    }


def move_tpsl_row(order: Order) -> dict[str, Any]:
    """Show a trailing stop order; its id is a string."""
    return _common(order) | {
        "id": order.id,
        "openId": "2435521222632107649",
        "callbackRate": 0.5,
        "finishStatus": 1,
        "processStatus": 0,
        "status": "close",
        "triggerPrice": 0,
        "triggerType": 1,
    }
