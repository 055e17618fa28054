"""A Kraken Spot of its own, as the venue's pages and its clients describe it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.worlds.book import Book, Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, Refused, as_json, number
from tests.worlds.market import Market, new_uuid, one_of, risk_id
from tests.worlds.plan import QUANTITY, Ask, World
from venues.base import HttpRequest

_STATUS = {
    State.WAITING: "open",
    State.RESTING: "open",
    State.FILLED: "closed",
    State.CANCELED: "canceled",
    State.EXPIRED: "expired",
    State.REJECTED: "canceled",  # it has no word of its own
}
_TYPES = {"trigger": "stop-loss", "trailing_stop": "trailing-stop", "tp_sl": "take-profit"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TXID = re.compile(r"O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")
#: Parameters of each call, beside the nonce.
_PARAMETERS = {
    "CancelOrder": {"txid", "cl_ord_id"},
    "CancelOrderBatch": {"orders", "cl_ord_ids"},
    "QueryOrders": {"txid", "trades", "userref", "consolidate_taker"},
    "OpenOrders": {"trades", "userref", "cl_ord_id"},
    "ClosedOrders": {
        *("trades", "userref", "cl_ord_id", "start", "end", "ofs", "closetime"),
        *("consolidate_taker", "without_count"),
    },
}
_PAGE, _MOST_IDS = 50, 50
#: Of a key of the middle tier: its counter's height, and how much it sinks a second.
_COUNTER, _SINKS = 20, 0.5
#: When the play's clock stands at zero, in seconds since 1970.
_ZERO_S = 1767225600 - 1000


def _new_txid(rng: Random) -> str:
    letters = "".join(rng.choice(_LETTERS) for _ in range(16))
    return f"O{letters[:5]}-{letters[5:10]}-{letters[10:]}"


def _new_hex(rng: Random) -> str:
    return new_uuid(rng).replace("-", "")


_MARKET = Market(
    ("XBTUSD", "ETHUSD"),
    _new_txid,
    ((0.4, risk_id), (0.8, new_uuid), (1.0, _new_hex)),
    # A stop that fires is an order of another type under the same id.
    children=(),
    # Rows come as an object by their ids, at most fifty.
    never=("empty", "page_cap", "oldest_first"),
    ways={
        # What trades in part and is canceled then: "closed" is the end of what was executed.
        "part_is_closed": one_of(True),
        # What never traded may be purged, as OKX and Binance do.
        "forgets_ended": one_of(True),
        # `cl_ord_id` is the newest parameter of an old call, which may not heed it.
        "leaky": one_of(True),
        "record_rows": one_of(30, 80),
        # The count may be of what was asked for: no reply names an id.
        "boasts": one_of(True),
        "odd_word": one_of("settled", "pending_cancel"),
    },
)


class KrakenSpot(Fake):
    """Answers cancels with a number, and numbers its requests; look-ups are few."""

    market = _MARKET

    def __init__(self, world: World, book: Book, rng: Random) -> None:
        super().__init__(world, book, rng)
        self.secret = base64.b64encode(self.secret.encode()).decode()
        self.nonce = 0
        self.counter, self.counted_at = 0.0, self.start
        names = Random(world.seed + 3)
        self.others = [_new_txid(names) for _ in range(self.ways.record_rows)]

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = json.loads(request.body)
        nonce = str(body.get("nonce", ""))
        digest = hashlib.sha256(nonce.encode() + request.body).digest()
        mac = hmac.digest(base64.b64decode(self.secret), path.encode() + digest, hashlib.sha512)
        if headers.get("api-sign") != base64.b64encode(mac).decode() or query:
            return "kraken_spot: wrong signature"
        if headers.get("content-type") != "application/json":
            return "kraken_spot: a body that is not called JSON"
        if not nonce.isdigit() or int(nonce) <= self.nonce or int(nonce) >= 1 << 64:
            return "kraken_spot: a nonce that is not above the last"
        self.nonce = int(nonce)
        return "" if headers.get("api-key") == self.key else "kraken_spot: wrong key"

    def pool(self, request: HttpRequest, path: str) -> str:
        return "free" if "/Cancel" in path else "counter"

    def limit_of(self, key: str) -> tuple[int, float]:
        """Return what the counter lets pass in its height's time; cancels are not counted."""
        if key == "counter":
            return 2 * _COUNTER, _COUNTER / _SINKS
        return 1 << 30, 1.0

    def requests_of(self, asks: Sequence[Ask]) -> int:
        by_client = sum(1 for ask in asks if not _TXID.fullmatch(ask.id))
        return by_client + -(-(len(asks) - by_client) // _MOST_IDS)

    def too_fast(self, wait_s: int) -> Raw:
        if self.world.seed % 2:
            until = _ZERO_S + self.start + self.ways.throttled_s[1]
            return _error(f"EService:Throttled: {int(until) + 1}").raw
        return _error("EAPI:Rate limit exceeded").raw

    def answer(self, call: Call, now: float) -> Raw:
        name = call.path.removeprefix("/0/private/")
        handlers: dict[str, Callable[[dict[str, Any], float], Raw]] = {
            "CancelOrder": self._cancel,
            "CancelOrderBatch": self._cancel_batch,
            "QueryOrders": self._query,
            "OpenOrders": self._open,
            "ClosedOrders": self._closed,
        }
        if call.method != "POST" or name not in handlers:
            self.faults.append(f"kraken_spot: nobody documents {call.method} {call.path}")
            return _error("EGeneral:Unknown method").raw
        body = {key: value for key, value in call.body.items() if key != "nonce"}
        if not set(body) <= _PARAMETERS[name]:
            self.faults.append(f"kraken_spot: {sorted(body)} of {name}")
        if not name.startswith("Cancel"):
            self._count(now)
        return handlers[name](body, now)

    def _count(self, now: float) -> None:
        """Count a look-up on the key's counter, which sinks with time."""
        sunk = self.counter - _SINKS * (now - self.counted_at)
        self.counter, self.counted_at = max(0.0, sunk) + 1, now
        if self.counter > _COUNTER:
            self.faults.append("kraken_spot: more look-ups than the key's counter has room for")
            raise _error("EAPI:Rate limit exceeded")

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, body: dict[str, Any], now: float) -> Raw:
        ((name, each),) = body.items() if len(body) == 1 else (("", ""),)
        self._check([each])
        self.note_cancel([each], now)
        order = self._named(name, each, now)
        if order is None or not self.book.cancel(order, now):
            if self.ways.unknown_text == "other_code":
                return self._counted(0, pending=False)  # as a batch tells it
            raise _error("EOrder:Unknown order")
        return self._counted(1, pending=order.now.live)

    def _cancel_batch(self, body: dict[str, Any], now: float) -> Raw:
        named = [(key, each) for key, ids in body.items() for each in ids]
        ids = [each for _, each in named]
        self._check(ids)
        # The page of the same call over a websocket wants two at least.
        if not 2 <= len(set(ids)) <= _MOST_IDS or len(set(ids)) < len(ids):
            self.faults.append("kraken_spot: a batch of one, of too many, or of one id twice")
        self.note_cancel(ids, now)
        orders = [self._named(key, each, now) for key, each in named]
        unknown = any(order is None for order in orders)
        if unknown and self.ways.spoils == "nothing_done":
            raise _error("EOrder:Unknown order")
        done = [order for order in orders if order is not None and self.book.cancel(order, now)]
        if unknown and self.ways.spoils == "rest_done":
            raise _error("EOrder:Unknown order")
        count = len(ids) if self.ways.boasts else len(done)
        return self._counted(count, pending=any(order.now.live for order in done))

    def _counted(self, count: int, *, pending: bool) -> Raw:
        return _said({"count": count, **({"pending": True} if pending else {})})

    def _check(self, ids: list[Any]) -> None:
        if not all(isinstance(each, str) and each for each in ids):
            self.faults.append("kraken_spot: a number, which would name a group of orders")

    def _named(self, name: str, each: str, when: float, **more: Any) -> Order | None:
        if name in ("txid", "orders"):
            return self.named(when, order_id=each, **more)
        if not re.fullmatch(r"[0-9a-f-]{32,36}|[!-~]{1,18}", each):
            self.faults.append(f"kraken_spot: no client order id looks like {each}")
        return self.named(when, client_id=each, **more)

    # -- reads ---------------------------------------------------------------------------

    def _query(self, body: dict[str, Any], now: float) -> Raw:
        ids = str(body.get("txid", "")).split(",")
        if not 1 <= len(ids) <= _MOST_IDS or not all(map(_TXID.fullmatch, ids)):
            self.faults.append(f"kraken_spot: look-ups of {len(ids)} ids, or of client ids")
        rows, unknown = [], False
        for each in ids:
            order = self._named("txid", each, self.view, keeps=self._kept)
            was = order.at(self.view) if order is not None else None
            if order is None or was is None:
                unknown = True
                continue
            another = self.other(order)
            if (its := another.at(self.view)) and self._kept(another, its):
                order, was = another, its
            rows.append(self._row(order, was))
        if unknown and (len(ids) == 1 or self.ways.spoils):
            # hummingbot reads both as an order that is not found.
            texts = {"other_text": "EOrder:Unknown order", "other_code": ""}
            if text := texts.get(self.ways.unknown_text, "EOrder:Invalid order"):
                raise _error(text, dict(rows) if self.ways.spoils == "rest_done" else None)
        return _said(self._shuffled(rows))

    def _open(self, body: dict[str, Any], now: float) -> Raw:
        asked = None if self.ways.leaky else body.get("cl_ord_id")
        rows = [
            self._row(order, was)
            for order, was in self.listed(now)
            if asked in (None, order.plan.client_id)
        ]
        return _said({"open": self._shuffled(rows)})

    def _closed(self, body: dict[str, Any], now: float) -> Raw:
        asked = None if self.ways.leaky else body.get("cl_ord_id")
        view = self.view - self.ways.record_lag_s
        ended = [
            (was.since, self._row(order, was))
            for order in self.book
            if (was := order.at(view)) and not was.live and self._kept(order, was)
            if asked in (None, order.plan.client_id)
        ]
        if asked is None:
            ended += [(self.start - 5, (each, self._foreign())) for each in self.others]
        rows = [row for _, row in sorted(ended, key=lambda each: each[0], reverse=True)]
        first = number(str(body.get("ofs", "")), 0)
        said: dict[str, Any] = {"closed": self._shuffled(rows[first : first + _PAGE])}
        return _said(said if body.get("without_count") else {**said, "count": len(rows)})

    def _kept(self, order: Order, was: Was) -> bool:
        return was.live or bool(was.executed) or not self.ways.forgets_ended

    def _shuffled(self, rows: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        """Return rows by their ids, in no order."""
        return dict(self.rng.sample(rows, k=len(rows)))

    # -- rows ----------------------------------------------------------------------------

    def _row(self, order: Order, was: Was) -> tuple[str, dict[str, Any]]:
        plan = order.plan
        word = self.strange(was) or _STATUS[was.state]
        if was.state is State.CANCELED and was.executed and self.ways.part_is_closed:
            word = "closed"
        kind = _TYPES.get(plan.ord_type, "limit") if was.state is State.WAITING else "limit"
        row = {
            "refid": None,
            "userref": 0,
            "status": self.spelled(word),
            "opentm": _ZERO_S + order.placed,
            "descr": {"pair": plan.symbol, "type": "sell", "ordertype": kind, "price": "100"},
            "vol": f"{QUANTITY}.00000000",
            "vol_exec": f"{was.executed}.00000000",
            "cost": "0.00000",
            "misc": "",
            "oflags": "fciq",
        }
        if plan.client_id:
            row["cl_ord_id"] = plan.client_id
        if not was.live:
            reason = "User requested" if was.state is State.CANCELED else None
            row |= {"closetm": _ZERO_S + was.since, "reason": reason}
        return plan.venue_id, self.odd(row)

    def _foreign(self) -> dict[str, Any]:
        descr = {"pair": self.market.symbols[0], "type": "buy", "ordertype": "limit"}
        row = {"status": "canceled", "closetm": _ZERO_S + self.start - 5, "descr": descr}
        return {**row, "cl_ord_id": "foreign", "vol": "1.0", "vol_exec": "0.0", "oflags": ""}

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        """Return the orders that may be meant: no client order id is as long as a txid."""
        found = super().candidates(ask)
        by_id = _TXID.fullmatch(ask.id)
        return [order for order in found if not by_id or order.plan.venue_id == ask.id]

    def record_is_long(self, order: Order) -> bool:
        return self.ways.leaky and len(self.others) + len(list(self.book)) >= _PAGE

    def recorded(self, order: Order) -> bool:
        return not order.now.live and self._kept(order, order.now)

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        since = self.shown_by_id_from(ask, orders)
        if len(orders) == 1 and not _TXID.fullmatch(ask.id) and not orders[0].now.live:
            since = max(since, self.end_shown_from(orders[0])) + self.ways.record_lag_s
        return since


def _said(result: dict[str, Any]) -> Raw:
    return Raw(200, as_json({"error": [], "result": result}))


def _error(text: str, result: dict[str, Any] | None = None) -> Refused:
    body = {"error": [text], **({"result": result} if result else {})}
    return Refused(Raw(200, as_json(body)))
