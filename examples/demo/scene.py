"""What the demo plays: accounts at every venue of the sandbox, their orders, and the jobs.

A new venue is one row of `PLAIN`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

#: Routing key priority and body of each job.
Job = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Desk:
    """An account of the demo with its orders (fields of the sandbox's book) and its jobs."""

    account: str
    venue: str
    orders: tuple[Mapping[str, Any], ...]
    jobs: tuple[Job, ...]
    fault: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    #: Parts of the key beside `api_key` and `api_secret`, by name.
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def api_key(self) -> str:
        """Return the key; sandbox only."""
        return f"{self.account}-key"

    @property
    def api_secret(self) -> str:
        """Return the secret, which some venues give as Base64; sandbox only."""
        return base64.b64encode(f"secret of {self.account}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Plain:
    """A desk with an order of each kind that every venue has."""

    account: str
    venue: str
    symbol: str
    ids: str  # the venue's shape, with a place for two digits
    options: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    #: Whether an id is asked for that does not exist, which takes many look-ups to prove.
    asks_for_unknown: bool = True


PLAIN = (
    Plain("usdm-1", "binance", "BTCUSDT", "9748283561{:02d}", {"product": "usdm"}),
    Plain(
        "linear-1",
        "bybit",
        "BTCUSDT",
        "c6f055d9-7f21-4079-913d-e6523a9c00{:02d}",
        {"category": "linear"},
    ),
    Plain(
        "swap-1",
        "okx",
        "BTC-USDT-SWAP",
        "6808000197499043{:02d}",
        parts={"api_passphrase": "swap-1-passphrase"},
    ),
    Plain("spot-2", "kraken_spot", "XBTUSD", "OYVGEW-VYV5B-UUEX{:02d}", asks_for_unknown=False),
)


def desks() -> tuple[Desk, ...]:
    """Return the accounts of the demo."""
    return (
        *map(_plain, PLAIN),
        _coinw_futures(),
        _ztdx(),
        _throttled_ztdx(),
        _kuna(),
    )


def _orders(
    venue: str, key: str, symbol: str, rows: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    common = {"venue": venue, "api_key": key, "symbol": symbol, "ord_type": "limit"}
    return tuple({**common, "id": order_id, **row} for order_id, row in rows.items())


def _digits(number: int) -> str:
    return str(33308750270880000 + number)


def _uuid(number: int) -> str:
    return f"3fa42833-9508-4061-8d80-{number:012d}"


def _plain(desk: Plain) -> Desk:
    """Return a desk whose orders are open, gone, waiting for a trigger, unknown, or named."""
    ids = [desk.ids.format(n) for n in range(12)]
    rows: dict[str, dict[str, Any]] = {each: {"state": "open"} for each in ids[:5]}
    rows |= {
        ids[5]: {"state": "partially_filled", "quantity": 10, "filled": 4},
        ids[6]: {"state": "filled"},
        ids[7]: {"state": "canceled"},
        ids[8]: {"state": "open", "ord_type": "trigger"},
        ids[9]: {"state": "open", "client_order_id": "risk7"},
    }
    orders = [{"id": each, "ord_type": "limit", "kind": "venue_order_id"} for each in ids[:8]]
    orders += [
        {"id": ids[8], "ord_type": "trigger", "kind": "venue_order_id"},
        {"id": "risk7", "ord_type": "limit", "kind": "client_order_id"},
    ]
    if desk.asks_for_unknown:
        orders.append({"id": ids[11], "ord_type": "limit", "kind": "venue_order_id"})
    job = {"symbol": desk.symbol, "orders": orders}
    made = _desk(desk.account, desk.venue, desk.symbol, rows, [("routine", job)])
    return replace(made, options=desk.options, parts=desk.parts)


def _coinw_futures() -> Desk:
    rows: dict[str, dict[str, Any]] = {_digits(n): {"state": "open"} for n in range(25)}
    rows |= {
        _digits(30): {"state": "partially_filled", "quantity": 10, "filled": 4},
        _digits(31): {"state": "filled"},
        _digits(32): {"state": "open", "ord_type": "market"},
        _digits(33): {"state": "open", "ord_type": "trailing_stop"},
        _digits(34): {"state": "open", "ord_type": "tp_sl"},
        _digits(35): {"state": "open", "ord_type": "trigger"},
    }
    typed = [{"id": _digits(n), "ord_type": "limit"} for n in [*range(25), 30, 31]]
    types = {32: "market", 33: "trailing_stop", 34: "tp_sl", 35: "trigger"}
    typed += [{"id": _digits(n), "ord_type": word} for n, word in types.items()]
    job = {
        "symbol": "BTC",
        "orders": [*typed, {"id": _digits(99), "ord_type": "limit"}, "risk-42"],
    }
    return _desk("futures-1", "coinw", "BTC", rows, [("routine", job)])


def _ztdx() -> Desk:
    rows = {
        _uuid(1): {"state": "open"},
        _uuid(2): {"state": "partially_filled"},
        _uuid(3): {"state": "filled"},
        _uuid(4): {"state": "canceled"},
        _uuid(5): {"state": "expired"},
        _uuid(6): {"state": "open", "client_order_id": "risk-7"},
    }
    ids = [*(_uuid(n) for n in range(1, 6)), "risk-7", _uuid(99), "not an id"]
    job = {"symbol": "BTCUSDT", "orders": ids}
    return _desk("perp-1", "ztdx", "BTCUSDT", rows, [("kill", job)])


def _throttled_ztdx() -> Desk:
    rows = {_uuid(20 + n): {"state": "open"} for n in range(3)}
    desk = _desk(
        "perp-2",
        "ztdx",
        "ETHUSDT",
        rows,
        [("routine", {"symbol": "ETHUSDT", "orders": [*rows]})],
    )
    return replace(desk, fault={"kind": "throttle", "retry_after_s": 1})


def _kuna() -> Desk:
    rows = {
        _uuid(41): {"state": "open"},
        _uuid(42): {"state": "open"},
        _uuid(43): {"state": "filled"},
        _uuid(44): {"state": "canceled"},
    }
    first = {"orders": [_uuid(41), _uuid(43), _uuid(44), "4po3091bc"]}
    return _desk(
        "spot-1",
        "kuna",
        "BTC_USDT",
        rows,
        [("routine", first), ("kill", {"orders": [_uuid(42)]})],
    )


def _desk(
    account: str,
    venue: str,
    symbol: str,
    rows: Mapping[str, Mapping[str, Any]],
    jobs: list[tuple[str, dict[str, Any]]],
) -> Desk:
    named = tuple(
        (
            priority,
            {"job_id": f"{account}-{number}", "account": account, "reason": "demo", **body},
        )
        for number, (priority, body) in enumerate(jobs, 1)
    )
    return Desk(account, venue, _orders(venue, f"{account}-key", symbol, rows), named)
