"""CoinW's rows: how its lists show an order (field names of the fixtures of CoinW.Net)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

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


def _common(order: Order) -> dict[str, Any]:
    return {
        "baseSize": 0.001,
        "contractType": 1,
        "createdDate": order.created_ms,
        "currentPiece": order.quantity - order.filled,
        "direction": "long" if order.side == "buy" else "short",
        "instrument": order.symbol,
        "leverage": 1,
        "margin": 95.4,
        "orderPrice": 95400,
        "originalType": pos_type(order),
        "posType": pos_type(order),
        "positionModel": 0,
        "quantity": order.quantity,
        "quantityUnit": 1,
        "source": "api",
        "updatedDate": order.updated_ms,
        "userId": 1162061,
    }


def open_row(order: Order) -> dict[str, Any]:
    """Show an open order; its id is a JSON number."""
    return _common(order) | {
        "id": int(order.id),
        "orderStatus": "part" if order.filled else "unFinish",
        "processStatus": 1,
        "status": "open",
        "totalPiece": order.quantity,
    }


def history_row(order: Order) -> dict[str, Any]:
    """Show a closed order; its id is a string."""
    return _common(order) | {
        "avgPrice": "95400" if order.filled else "0",
        "cancelPiece": 0 if order.state is State.FILLED else order.quantity - order.filled,
        "id": order.id,
        "orderStatus": "finish" if order.state is State.FILLED else "cancel",
        "status": "open",
        "thirdOrderId": order.client_order_id,
        "totalPiece": str(order.quantity),
        "tradePiece": order.filled,
    }


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
