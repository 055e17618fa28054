"""CoinW's rows: how its lists show an order (field names of the fixtures of CoinW.Net)."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

from .book import Order, OrdType, State

#: the word of an order's type in rows; a trigger order that has fired is a `plan` order
_WORDS = {
    OrdType.LIMIT: "plan",
    OrdType.MARKET: "execute",
    OrdType.TRIGGER: "planTrigger",
    OrdType.TRAILING_STOP: "moveStopProfitLoss",
    OrdType.TP_SL: "stopProfitLoss",
}


def pos_type(order: Order) -> str:
    """Tell the venue's word for the order's type."""
    return "plan" if order.triggered else _WORDS[order.ord_type]


def types_of(words: Collection[str]) -> list[OrdType]:
    """List the types of which orders may have one of those words; one that fired is `plan`."""
    return [t for t, word in _WORDS.items() if word in words or "plan" in words]


class _Traits(NamedTuple):
    """All of an order that rows show but its id, which most orders of an account share."""

    word: str
    symbol: str
    side: str
    quantity: int
    filled: int
    created_ms: int
    updated_ms: int


def _traits(order: Order) -> _Traits:
    word = pos_type(order)
    return _Traits(
        word, order.symbol, order.side, order.quantity, order.filled,
        order.created_ms, order.updated_ms,
    )  # fmt: skip


def _common(traits: _Traits) -> dict[str, Any]:
    return {
        "baseSize": 0.001,
        "contractType": 1,
        "createdDate": traits.created_ms,
        "currentPiece": traits.quantity - traits.filled,
        "direction": "long" if traits.side == "buy" else "short",
        "instrument": traits.symbol,
        "leverage": 1,
        "margin": 95.4,
        "orderPrice": 95400,
        "originalType": traits.word,
        "posType": traits.word,
        "positionModel": 0,
        "quantity": traits.quantity,
        "quantityUnit": 1,
        "source": "api",
        "updatedDate": traits.updated_ms,
        "userId": 1162061,
    }


@lru_cache(maxsize=1024)
def _open_text(traits: _Traits) -> str:
    """Write an open order but for its id, as JSON without its opening brace."""
    row = _common(traits) | {
        "orderStatus": "part" if traits.filled else "unFinish",
        "processStatus": 1,
        "status": "open",
        "totalPiece": traits.quantity,
    }
    return json.dumps(row, separators=(",", ":"))[1:]


def open_row(order: Order) -> str:
    """Show an open order as JSON; its id is a number."""
    return f'{{"id":{int(order.id)},{_open_text(_traits(order))}'


def history_row(order: Order) -> str:
    """Show a closed order as JSON; its id is a string."""
    row = _common(_traits(order)) | {
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
    return _common(_traits(order)) | {
        "id": order.id,
        "openId": "2435521222632107649",
        "callbackRate": 0.5,
        "finishStatus": 1,
        "processStatus": 0,
        "status": "close",
        "triggerPrice": 0,
        "triggerType": 1,
    }
