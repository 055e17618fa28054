"""A Hyperliquid of its own: as the venue's pages, its clients and probes of a testnet tell."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from tests.worlds.book import Order, State, Was
from tests.worlds.fake import Call, Fake, Raw, Refused, as_json, is_conditional
from tests.worlds.market import Market, digits, one_of
from tests.worlds.plan import QUANTITY, Ask
from venues.base import HttpRequest
from venues.extras import import_extra

eth_account, msgpack = import_extra("eth_account"), import_extra("msgpack")
keccak = import_extra("eth_utils.crypto").keccak

#: The API wallet that signs, the account that it signs for, and a vault which that one leads.
_WALLET = "0x5b1f6a3c9d8e7f60112233445566778899aabbccddeeff00a1b2c3d4e5f60718"
_ACCOUNT = "0x00c0ffee0000000000000000000000000000cafe"
_VAULT = "0x00dec0de0000000000000000000000000000babe"
#: Page signing, and the SDK's signing.py: name "Exchange", version "1", chain 1337, contract 0.
_DOMAIN = bytes.fromhex("d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040")
_AGENT = keccak(b"Agent(string source,bytes32 connectionId)")
#: The numbers of perpetuals are their places here, those of spot pairs begin at 10000.
_PERPETUALS = ("SOL", "MATIC", "BTC", "ETH")
_SPOT = 10_000
_ACTIONS = ("cancel", "cancelByCloid")
_CLOID = re.compile(r"0x[0-9a-fA-F]{32}")
_START_MS = 1_767_225_600_000
_DAY_MS = 86_400_000
#: So many of a signer's highest nonces are kept; a new one has to be above the lowest.
_KEPT = 100
_GONE = "Order was never placed, already canceled, or filled."
#: What the page info-endpoint calls ends that the trader has not asked for.
_EXPIRED = (
    *("marginCanceled", "vaultWithdrawalCanceled", "openInterestCapCanceled"),
    *("selfTradeCanceled", "reduceOnlyCanceled", "siblingFilledCanceled"),
    *("delistedCanceled", "liquidatedCanceled", "scheduledCancel"),
)
_REJECTED = (
    *("rejected", "tickRejected", "minTradeNtlRejected", "perpMarginRejected"),
    *("reduceOnlyRejected", "badAloPxRejected", "badTriggerPxRejected"),
    *("insufficientSpotBalanceRejected", "oracleRejected"),
)
_KINDS = {"limit": "Limit", "trigger": "Stop Market", "tp_sl": "Take Profit Limit"}


def _cloid(rng: Random) -> str:
    return f"0x{rng.getrandbits(128):032x}"


def _in_capitals(rng: Random) -> str:
    return f"0x{rng.getrandbits(128):032X}"


_MARKET = Market(
    ("BTC", "10107"),
    digits(8, 11, 12),
    ((0.85, _cloid), (1.0, _in_capitals)),
    # Lists have no pages. The key is a wallet's.
    never=("empty", "page_cap", "oldest_first", "key_form"),
    chosen=(("markets", "main"), ("markets", "main"), ("markets", "with_builders")),
    ways={
        # Page error-responses: an error that the payload alone decides comes once for all.
        "spoils": one_of("nothing_done", "rest_done"),
        # hyperliquid-python-sdk #253: "unknownOid" of what openOrders shows.
        "overlooks": one_of(True),
        # The page knows the word, and not what follows it.
        "still_triggered": one_of(True),
        # Rows have `children`: what waits for the fill of its parent, as apps show it there.
        "nests_children": one_of(True),
        # hypercore-simulator's probes: what is left of an order that cannot rest is dropped,
        # and the order is "filled".
        "part_is_closed": one_of(True),
        # The page says that words are added.
        "odd_word": one_of("settlementCanceled", "expired"),
    },
)


class Hyperliquid(Fake):
    """One path for all actions, in blocks; look-ups of an account, which anybody may ask."""

    market = _MARKET
    limit = (1200, 60.0)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: A third of the accounts trade for a vault.
        self.vault = "" if self.world.seed % 3 else _VAULT
        self.nonces: set[int] = set()
        self.acts = False
        plans = [order for order in self.world.orders if _CLOID.fullmatch(order.client_id)]
        self._spelled = {plan.client_id.lower(): plan.client_id for plan in plans}

    @property
    def parts(self) -> dict[str, str]:
        parts = {"api_secret": _WALLET, "account_address": _ACCOUNT}
        return parts | ({"vault_address": self.vault} if self.vault else {})

    # -- the way of a request ------------------------------------------------------------

    def path_key(self, path: str) -> str:
        return "weight"

    def price(self, request: HttpRequest) -> int:
        """Return the request's weight, as the page rate-limits-and-user-limits has it."""
        body = self.read_body(request.body)
        if request.target == "/exchange":
            return 1 + len(body["action"].get("cancels", ())) // 40
        return 2 if body["type"] == "orderStatus" else 20

    def wrong_signature(self, request: HttpRequest, path: str, query: str) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("content-type") != "application/json" or query:
            return "hyperliquid: no JSON, or a query"
        self.acts = path == "/exchange"
        return self._wrong_action(self.read_body(request.body)) if self.acts else ""

    def _wrong_action(self, body: dict[str, Any]) -> str:
        known = {"action", "nonce", "signature", "vaultAddress", "expiresAfter"}
        if not {"action", "nonce", "signature"} <= set(body) <= known:
            return "hyperliquid: another envelope"
        if body["action"]["type"] not in _ACTIONS:
            return "hyperliquid: an action that is no cancel"
        nonce = body["nonce"]
        if type(nonce) is not int or nonce in self.nonces:
            return "hyperliquid: a nonce twice, or none"
        ahead_ms = nonce - _START_MS - 1000 * (self.view - self.start)
        floor = sorted(self.nonces)[-_KEPT:][0] if len(self.nonces) >= _KEPT else 0
        if not -2 * _DAY_MS < ahead_ms < _DAY_MS or nonce < floor:
            return "hyperliquid: a nonce too low or too high"
        self.nonces.add(nonce)
        if (body.get("vaultAddress") or "") != self.vault or body.get("expiresAfter"):
            return "hyperliquid: for another vault, or with an end"
        wallet = eth_account.Account.from_key(_WALLET).address
        signer = self._signer(body)
        return "" if signer == wallet else f"hyperliquid: signed by {signer}"

    def _signer(self, body: dict[str, Any]) -> str:
        """Return who signed, from the action in its own order of fields, nonce and vault."""
        packed = msgpack.packb(_typed(body["action"])) + body["nonce"].to_bytes(8, "big")
        packed += b"\x01" + bytes.fromhex(self.vault[2:]) if self.vault else b"\x00"
        agent = keccak(_AGENT + keccak(b"a") + keccak(packed))
        signed = body["signature"]
        vrs = signed["v"], int(signed["r"], 16), int(signed["s"], 16)
        message = eth_account.messages.SignableMessage(b"\x01", _DOMAIN, agent)
        return str(eth_account.Account.recover_message(message, vrs=vrs))

    def too_fast(self, wait_s: int) -> Raw:
        if self.acts and self.world.seed % 2:
            # Of an account that has spent its actions: one each ten seconds, reads go on.
            return _failed(
                "Too many cumulative requests sent (14295 > 14294) for cumulative volume "
                "traded $4295.52. Place taker orders to free up 1 request per USDC traded."
            )
        return Raw(429, "null")

    def _echo(self, reply: Raw, request: HttpRequest) -> Raw:
        if not self.ways.echoes:
            return reply
        # As "Must deposit before performing actions. User: 0x…" does.
        said = f'"error":"User: {self.vault or _ACCOUNT} '
        return reply._replace(body=reply.body.replace('"error":"', said))

    def answer(self, call: Call, now: float) -> Raw:
        asked = call.body
        if (call.method, call.path) == ("POST", "/exchange"):
            if asked["action"]["type"] not in _ACTIONS:
                raise self._malformed(asked["action"])
            return self._cancel(asked["action"], now)
        handler = {
            "meta": self._meta,
            "orderStatus": self._status,
            "frontendOpenOrders": self._open,
        }.get(asked["type"])
        if handler is None or (call.method, call.path) != ("POST", "/info"):
            raise self._malformed(f"{call.method} {call.path} {asked['type']}")
        if asked["type"] != "meta" and asked.get("user") != (self.vault or _ACCOUNT):
            self.faults.append("hyperliquid: a read of another account")
        return handler(asked, now)

    # -- cancels -------------------------------------------------------------------------

    def _cancel(self, action: dict[str, Any], now: float) -> Raw:
        by_id = action["type"] == "cancel"
        asked = [self._named(each, by_id=by_id) for each in action["cancels"]]
        self.note_cancel([name for _, name in asked], now)
        # Each asset has a book of its own.
        orders = [self._find(now, name, symbol=_symbol(asset)) for asset, name in asked]
        if self.ways.spoils and len(orders) > 1 and None in orders:
            if self.ways.spoils == "rest_done":
                for known in filter(None, orders):
                    self.book.cancel(known, now)
            return _statuses([{"error": "Invalid cancel request"}])
        rows: list[Any] = []
        for (asset, name), order in zip(asked, orders, strict=True):
            done = order is not None and self.book.cancel(order, now)
            rows.append("success" if done else {"error": self._gone(asset, name)})
        return _statuses(rows)

    def _named(self, each: dict[str, Any], *, by_id: bool) -> tuple[int, str]:
        """Return asset and id of an order that is to be canceled."""
        fields = {"a": int, "o": int} if by_id else {"asset": int, "cloid": str}
        if {name: type(value) for name, value in each.items()} != fields:
            raise self._malformed(each)
        asset, name = (each[field] for field in fields)
        return asset, str(name)

    def _malformed(self, what: Any) -> Refused:
        self.faults.append(f"hyperliquid: nobody documents {what}")
        return Refused(Raw(422, "Failed to deserialize the JSON body into the target type"))

    def _find(self, when: float, name: str, **more: Any) -> Order | None:
        if _CLOID.fullmatch(name):
            client_id = self._spelled.get(name.lower(), name)
            return self.named(when, client_id=client_id, **more)
        return self.named(when, order_id=name, **more)

    def _gone(self, asset: int, name: str) -> str:
        if self.ways.unknown_text == "other_code":
            return f"Unknown order. asset={asset}"
        return f"Order {name}: {_GONE}" if self.ways.unknown_text else f"{_GONE} asset={asset}"

    # -- reads ---------------------------------------------------------------------------

    def _meta(self, asked: dict[str, Any], now: float) -> Raw:
        self._only(asked, "type")
        rows = [{"szDecimals": 2, "name": name, "maxLeverage": 20} for name in _PERPETUALS]
        return Raw(200, as_json({"universe": rows, "marginTables": []}))

    def _status(self, asked: dict[str, Any], now: float) -> Raw:
        self._only(asked, "type", "user", "oid")
        name = asked["oid"]
        if type(name) is not int and not (type(name) is str and _CLOID.fullmatch(name)):
            raise self._malformed(asked)
        # A client order id is its newest order's, whatever an index knows of that one (probes).
        order = self._find(self.view, str(name))
        if order is None or not self._indexed(order):
            return Raw(200, as_json({"status": "unknownOid"}))
        order = self.other(order)
        was = order.at(self.view) or order.life[0]
        word = self.spelled(self._word(order, was))
        said = {"order": _row(order, was), "status": word, "statusTimestamp": 1724361546645}
        return Raw(200, as_json({"status": "order", "order": said}))

    def _indexed(self, order: Order) -> bool:
        """Say whether look-ups know the order; what has just ended is in no index."""
        was = order.at(self.view) or order.life[0]
        if self.ways.nests_children and was.state is State.WAITING:
            return False
        if was.live:
            return not (self.ways.overlooks and int(order.plan.venue_id) % 2)
        return self.view - was.since >= self.ways.record_lag_s

    def _open(self, asked: dict[str, Any], now: float) -> Raw:
        self._only(asked, "type", "user")
        rows = []
        for order, was in self.listed(now):
            row = self.odd(_row(order, was))
            if self.ways.nests_children and was.state is State.WAITING:
                parent = {"oid": 7, "isTrigger": False, "orderType": "Limit", "cloid": None}
                row = {**row, **parent, "children": [row]}
            rows.append(row)
        return Raw(200, as_json(rows))

    def _only(self, asked: dict[str, Any], *fields: str) -> None:
        if set(asked) != set(fields):
            raise self._malformed(asked)

    def _word(self, order: Order, was: Was) -> str:
        place = int(order.plan.venue_id)
        if was.state is State.EXPIRED and was.executed and self.ways.part_is_closed:
            return "filled"
        if self.strange(was):
            return self.strange(was)
        if was.state is State.RESTING and is_conditional(order) and self.ways.still_triggered:
            return "triggered"
        return {
            State.FILLED: "filled",
            State.CANCELED: "canceled",
            State.EXPIRED: _EXPIRED[place % len(_EXPIRED)],
            State.REJECTED: _REJECTED[place % len(_REJECTED)],
            State.FIRED: "triggered",
        }.get(was.state, "open")

    # -- what a careful reader could know ------------------------------------------------

    def candidates(self, ask: Ask) -> list[Order]:
        """Return the orders that an id may mean: its form alone says of which kind it is."""
        kind = "client_order_id" if _CLOID.fullmatch(ask.id) else "venue_order_id"
        return super().candidates(Ask(ask.id, kind))

    def recorded(self, order: Order) -> bool:
        return True

    def visible_from(self, ask: Ask, orders: list[Order]) -> float:
        since = self.shown_by_id_from(ask, orders)
        return since + self.ways.record_lag_s if orders else since


def _typed(action: dict[str, Any]) -> dict[str, Any]:
    """Return an action as it is hashed: its fields in the order of their declaration."""
    names = ("a", "o") if action["type"] == "cancel" else ("asset", "cloid")
    rows = [{name: each[name] for name in names} for each in action["cancels"]]
    return {"type": action["type"], "cancels": rows}


def _symbol(asset: int) -> str:
    return str(asset) if asset >= _SPOT else _PERPETUALS[asset]


def _row(order: Order, was: Was) -> dict[str, Any]:
    plan, waits = order.plan, was.state is State.WAITING
    spot = plan.symbol.isdigit()
    cloid = plan.client_id.lower() if _CLOID.fullmatch(plan.client_id) else None
    return {
        "coin": f"@{int(plan.symbol) - _SPOT}" if spot else plan.symbol,
        "side": "A",
        "limitPx": "2412.7",
        "sz": f"{QUANTITY - was.executed}.0",
        "oid": int(plan.venue_id),
        "timestamp": 1724361546645,
        "triggerCondition": "Price below 2400" if waits else "N/A",
        "isTrigger": is_conditional(order),
        "triggerPx": "2400.0" if waits else "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": False,
        "orderType": _KINDS.get(plan.ord_type, "Stop Limit"),
        "origSz": f"{QUANTITY}.0",
        "tif": "Gtc",
        "cloid": cloid,
    }


def _statuses(rows: list[Any]) -> Raw:
    response = {"type": "cancel", "data": {"statuses": rows}}
    return Raw(200, as_json({"status": "ok", "response": response}))


def _failed(text: str) -> Raw:
    return Raw(200, as_json({"status": "err", "response": text}))
