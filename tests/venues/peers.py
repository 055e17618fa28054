"""Calls that ccxt, a client that nobody here wrote, makes as well as we do; one row a call.

A new venue is a `Peer` with a `Call` for each of its routes. What differs stands beside it with
its reason; `test_oracle.py` fails as well where a difference is gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.venues.cases import VENUES
from venues.base import HttpRequest, Venue
from venues.words import OrdType

#: Reasons, each with the parts that differ for it, as `test_oracle.parts` names them.
Differences = Mapping[str, tuple[str, ...]]
#: ccxt has none of these.
ELSEWHERE = frozenset({"coinw", "kuna", "ztdx"})
#: Marks by which ccxt is known to venues that pay it a share.
PARTNERS = frozenset(
    {
        "header referer",
        "header x-channel-api-code",
        "header kc-api-partner",
        "header kc-api-partner-sign",
        "header kc-api-partner-verify",
    }
)
PARTS = {"apiKey": "api_key", "secret": "api_secret", "password": "api_passphrase"}


@dataclass(frozen=True)
class Call:
    """One request of ours, and how ccxt is asked for the same."""

    route: str
    ask: Callable[[Any, str], object]  # the client, and the symbol in its words
    ids: tuple[str, ...] = ()
    ord_type: OrdType = OrdType.ANY
    by_symbol: bool = False
    cursor: str = ""
    differs: Differences = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A venue, under a choice of its options, and ccxt's client for it."""

    client: str
    venue: str
    calls: tuple[Call, ...]
    chosen: Mapping[str, str] = field(default_factory=dict)
    symbol: str = "BTC/USDT:USDT"
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What ccxt calls the parts of a key.
    parts: Mapping[str, str] = field(default_factory=lambda: PARTS)
    #: What differs in every call, and in every one without a body.
    differs: Differences = field(default_factory=dict)
    bodiless_differ: Differences = field(default_factory=dict)
    #: What differs of all that signing adds.
    signing_differs: Differences = field(default_factory=dict)
    #: Where the order of words is free, and so another one is signed: what checks a signature.
    by_rule: Callable[[Any, HttpRequest], bool] | None = None
    #: Routes that ccxt has no call for.
    missing: Mapping[str, str] = field(default_factory=dict)

    def of(self) -> Venue:
        named = (each for each in VENUES if each.name == self.venue)
        return next(each for each in named if self.chosen.items() <= each.chosen.items())


def hmac_of_all_before(client: Any, request: HttpRequest) -> bool:
    """Binance: hex of HMAC-SHA256 of whatever stands in the query before the signature."""
    signed, _, mac = request.target.partition("?")[2].rpartition("&signature=")
    made = client.hmac(client.encode(signed), client.encode(client.secret), hashlib.sha256)
    return bool(mac == made)


def hmac_of_path_and_digest(client: Any, request: HttpRequest) -> bool:
    """Kraken Spot: Base64 of HMAC-SHA512 of the path and of a digest of nonce and body."""
    body = request.body.decode()
    nonce = json.loads(body)["nonce"] if body[:1] == "{" else dict(parse_qsl(body))["nonce"]
    digest = client.hash(client.encode(nonce + body), "sha256", "binary")
    made = client.hmac(
        client.binary_concat(client.encode(request.target), digest),
        client.base64_to_binary(client.secret),
        hashlib.sha512,
        "base64",
    )
    return bool(made == request.headers["API-Sign"])


UUID = "c6f055d9-7f21-4079-913d-e6523a9cfffa"
UUID_2 = "d1f055d9-7f21-4079-913d-e6523a9cfffb"
ID, ID_2, OWN, OWN_2 = "680800019749904384", "680800019749904385", "risk1", "risk2"
TRIGGER, TRAILING, TP_SL = OrdType.TRIGGER, OrdType.TRAILING_STOP, OrdType.TP_SL

BINANCE = (
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([ID, ID_2], s),
        (ID, ID_2),
        differs={"ccxt spells it small": ("word orderIdList", "word orderidlist")},
    ),
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([], s, {"clientOrderIds": [OWN, OWN_2]}),
        (OWN, OWN_2),
        differs={
            "ccxt spells it small": ("word origClientOrderIdList", "word origclientorderidlist")
        },
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(ID, s), (ID,)),
    Call("cancel_one", lambda c, s: c.cancel_order("", s, {"origClientOrderId": OWN}), (OWN,)),
    Call(
        "cancel_algo",
        lambda c, s: c.cancel_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs={"the page names no symbol": ("word symbol",)},
    ),
    Call(
        "cancel_algo",
        lambda c, s: c.cancel_order("", s, {"trigger": True, "clientAlgoId": OWN}),
        (OWN,),
        TRIGGER,
        differs={"the page names no symbol": ("word symbol",)},
    ),
    Call("order", lambda c, s: c.fetch_order(ID, s), (ID,)),
    Call("order", lambda c, s: c.fetch_order("", s, {"origClientOrderId": OWN}), (OWN,)),
    Call(
        "algo",
        lambda c, s: c.fetch_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs={"the page names no symbol": ("word symbol",)},
    ),
    Call("open_orders", lambda c, s: c.fetch_open_orders(), (ID, ID_2)),
    Call(
        "open_algo_orders",
        lambda c, s: c.fetch_open_orders(params={"trigger": True}),
        (ID,),
        TRIGGER,
    ),
    Call("list_open", lambda c, s: c.fetch_open_orders()),
    Call("list_algo", lambda c, s: c.fetch_open_orders(params={"trigger": True})),
)
BINANCE_SPOT = tuple(
    call for call in BINANCE if "algo" not in call.route and "batch" not in call.route
)

BYBIT = (
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([UUID, UUID_2], s),
        (UUID, UUID_2),
    ),
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([], s, {"clientOrderIds": [OWN, OWN_2]}),
        (OWN, OWN_2),
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(UUID, s), (UUID,)),
    Call("cancel_one", lambda c, s: c.cancel_order(None, s, {"orderLinkId": OWN}), (OWN,)),
    Call("order", lambda c, s: c.fetch_open_order(UUID, s), (UUID,), by_symbol=True),
    Call(
        "order",
        lambda c, s: c.fetch_open_orders(s, params={"orderLinkId": OWN}),
        (OWN,),
        by_symbol=True,
    ),
    Call(
        "history",
        lambda c, s: c.fetch_canceled_orders(s, params={"orderId": UUID}),
        (UUID,),
        by_symbol=True,
        differs={"any end is looked for, not one": ("word orderStatus",)},
    ),
)
#: Spot: ids are numbers, and stops are named by their kind.
BYBIT_SPOT = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([ID, ID_2], s), (ID, ID_2)),
    Call(
        "cancel_one",
        lambda c, s: c.cancel_order(ID, s),
        (ID,),
        differs={"ccxt names the kind that is meant by none": ("word orderFilter",)},
    ),
    Call(
        "cancel_stop",
        lambda c, s: c.cancel_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
    ),
    Call(
        "cancel_tpsl",
        lambda c, s: c.cancel_order(ID, s, {"orderFilter": "tpslOrder"}),
        (ID,),
        TP_SL,
    ),
    Call("order", lambda c, s: c.fetch_open_order(ID, s), (ID,), by_symbol=True),
    Call(
        "history",
        lambda c, s: c.fetch_canceled_orders(s, params={"orderId": ID}),
        (ID,),
        by_symbol=True,
        differs={"any end is looked for, not one": ("word orderStatus",)},
    ),
)


def okx_list(name: str, word: str) -> Call:
    return Call(
        name,
        lambda c, s: c.fetch_open_orders(limit=100, params={"trigger": True, "ordType": word}),
    )


OKX = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([ID, ID_2], s), (ID, ID_2)),
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([], s, {"clientOrderId": [OWN, OWN_2]}),
        (OWN, OWN_2),
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(ID, s), (ID,)),
    Call("cancel_one", lambda c, s: c.cancel_order(None, s, {"clOrdId": OWN}), (OWN,)),
    Call(
        "cancel_algos", lambda c, s: c.cancel_orders([ID], s, {"trigger": True}), (ID,), TRIGGER
    ),
    Call(
        "cancel_advance_algos",
        lambda c, s: c.privatePostTradeCancelAdvanceAlgos(
            [{"instId": "BTC-USDT-SWAP", "algoId": ID}]
        ),
        (ID,),
        TRAILING,
    ),
    Call("order", lambda c, s: c.fetch_order(ID, s), (ID,)),
    Call("order", lambda c, s: c.fetch_order(None, s, {"clOrdId": OWN}), (OWN,)),
    Call(
        "algo",
        lambda c, s: c.fetch_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs={"no instrument: a wrong one must not make it look gone": ("word instId",)},
    ),
    Call("open_orders", lambda c, s: c.fetch_open_orders(limit=100), (ID,)),
    Call(
        "open_orders",
        lambda c, s: c.fetch_open_orders(limit=100, params={"after": ID_2}),
        (ID,),
        cursor=ID_2,
    ),
    Call("list_open", lambda c, s: c.fetch_open_orders(limit=100)),
    okx_list("list_conditional", "conditional,oco"),
    *(
        okx_list(f"list_{word}", word)
        for word in ("trigger", "move_order_stop", "chase", "iceberg", "smart_iceberg", "twap")
    ),
)


def bitget_open(name: str, ord_type: OrdType = OrdType.ANY, **words: Any) -> Call:
    return Call(
        name,
        lambda c, s: c.fetch_open_orders(limit=100, params={"orderId": ID, **words}),
        (ID,),
        ord_type,
    )


def bitget_over(name: str, ord_type: OrdType, **words: Any) -> Call:
    params = {"orderId": ID, **words}
    return Call(
        name,
        lambda c, s: c.fetch_canceled_and_closed_orders(limit=100, params=params),
        (ID,),
        ord_type,
    )


BITGET = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([ID, ID_2], s), (ID, ID_2)),
    Call("cancel_one", lambda c, s: c.cancel_order(ID, s), (ID,)),
    Call("cancel_one", lambda c, s: c.cancel_order(None, s, {"clientOid": OWN}), (OWN,)),
    Call(
        "cancel_plan",
        lambda c, s: c.cancel_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs={"normal plans alone are canceled": ("word planType",)},
    ),
    Call("detail", lambda c, s: c.fetch_order(ID, s), (ID,)),
    Call("detail", lambda c, s: c.fetch_order(None, s, {"clientOid": OWN}), (OWN,)),
    bitget_open("open_live", status="live"),
    bitget_open("open_partial", status="partially_filled"),
    bitget_open("open_plan", TRIGGER, trigger=True),
    bitget_open("open_trailing", TRAILING, trailing=True),
    bitget_open("open_tp_sl", TP_SL, planType="profit_loss"),
    Call(
        "history",
        lambda c, s: c.fetch_canceled_and_closed_orders(limit=100, params={"orderId": ID}),
        (ID,),
    ),
    Call(
        "plan_history",
        lambda c, s: c.fetch_canceled_and_closed_orders(
            limit=100, params={"orderId": ID, "trigger": True}
        ),
        (ID,),
        TRIGGER,
    ),
    bitget_over("trailing_history", TRAILING, trailing=True),
    bitget_over("tp_sl_history", TP_SL, planType="profit_loss"),
)

GATE_NAMED: Differences = {
    "the page has no contract beside an id": ("word contract", "place"),
}
GATE = (
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([ID, ID_2], s, {"settle": "usdt"}),
        (ID, ID_2),
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(ID, s), (ID,), differs=GATE_NAMED),
    Call("cancel_one", lambda c, s: c.cancel_order("t-a1", s), ("t-a1",), differs=GATE_NAMED),
    Call(
        "cancel_price",
        lambda c, s: c.cancel_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs=GATE_NAMED,
    ),
    Call("order", lambda c, s: c.fetch_order(ID, s), (ID,), differs=GATE_NAMED),
    Call("order", lambda c, s: c.fetch_order("t-a1", s), ("t-a1",), differs=GATE_NAMED),
    Call(
        "price_order",
        lambda c, s: c.fetch_order(ID, s, {"trigger": True}),
        (ID,),
        TRIGGER,
        differs=GATE_NAMED,
    ),
    Call(
        "open_orders",
        lambda c, s: c.fetch_open_orders(limit=100, params={"type": "swap", "offset": 0}),
        (ID,),
    ),
    Call(
        "trail_orders",
        lambda c, s: c.private_futures_get_settle_autoorder_v1_trail_list(
            {
                "settle": "usdt",
                "is_finished": "false",
                "page_num": 1,
                "page_size": 100,
                "sort_by": 1,
            }
        ),
        (ID,),
    ),
)

#: Its size of a page is left at the venue's default of 50 by ccxt.
KUCOIN_PAGE: Differences = {"ccxt takes pages as they come": ("word pageSize",)}
KUCOIN_STOPS: Differences = {
    "ccxt takes pages as they come": ("word pageSize", "word currentPage", "place")
}
KUCOIN = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([ID, ID_2], s), (ID, ID_2)),
    Call(
        "cancel_batch_client",
        lambda c, s: c.cancel_orders([], s, {"clientOids": [OWN]}),
        (OWN,),
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(ID, s), (ID,)),
    Call(
        "cancel_one_client",
        lambda c, s: c.cancel_order(None, s, {"clientOid": OWN}),
        (OWN,),
    ),
    Call("order", lambda c, s: c.fetch_order(ID, s), (ID,)),
    Call("order_client", lambda c, s: c.fetch_order(None, s, {"clientOid": OWN}), (OWN,)),
    Call(
        "open_orders",
        lambda c, s: c.fetch_open_orders(params={"currentPage": 1}),
        (ID,),
        differs=KUCOIN_PAGE,
    ),
    Call(
        "list_open",
        lambda c, s: c.fetch_open_orders(params={"currentPage": 1}),
        differs=KUCOIN_PAGE,
    ),
    Call(
        "stop_orders",
        lambda c, s: c.fetch_open_orders(params={"trigger": True}),
        (ID,),
        TRIGGER,
        differs=KUCOIN_STOPS,
    ),
    Call(
        "list_stops",
        lambda c, s: c.fetch_open_orders(params={"trigger": True}),
        differs=KUCOIN_STOPS,
    ),
)

KRAKEN_FORM: Differences = {"the page has a form; ccxt puts it into the query": ("place",)}
#: docs.kraken.com, page Get the Current Status of Specific Orders.
KRAKEN_STATUS: Differences = {"the page says POST and a form": ("method", "place")}
KRAKEN_HISTORY: Differences = {
    "the page and the specification say v3; ccxt and others have not moved": ("url",)
}
KRAKEN_FUTURES = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([UUID, UUID_2], s), (UUID, UUID_2)),
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([], s, {"clientOrderIds": [OWN, OWN_2]}),
        (OWN, OWN_2),
        differs={
            "ccxt leaves its own word in": (
                "word json.clientOrderIds.0",
                "word json.clientOrderIds.1",
            )
        },
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(UUID, s), (UUID,), differs=KRAKEN_FORM),
    Call("status", lambda c, s: c.fetch_order(UUID, s), (UUID,), differs=KRAKEN_STATUS),
    Call(
        "status",
        lambda c, s: c.fetch_orders(s, params={"orderIds": [UUID, UUID_2]}),
        (UUID, UUID_2),
        differs=KRAKEN_STATUS,
    ),
    Call("open_orders", lambda c, s: c.fetch_open_orders(), (UUID,)),
    Call("list_open", lambda c, s: c.fetch_open_orders()),
    Call(
        "history",
        lambda c, s: c.fetch_closed_orders(
            limit=500, params={"closed": "true", "sort": "desc"}
        ),
        (UUID,),
        differs=KRAKEN_HISTORY,
    ),
    Call(
        "trigger_history",
        lambda c, s: c.fetch_closed_orders(limit=500, params={"sort": "desc", "trigger": True}),
        (UUID,),
        TRIGGER,
        differs=KRAKEN_HISTORY,
    ),
)

KRAKEN_JSON: Differences = {
    "the page has both; ccxt sends JSON in batches alone": ("header content-type",)
}
KRAKEN_QUERY = {**KRAKEN_JSON, "no trades of it are read": ("word trades",)}
TXID, TXID_2 = "OYVGEW-VYV5B-UUEXSK", "OYVGEW-VYV5B-UUEXSJ"
KRAKEN_SPOT = (
    Call("cancel_batch", lambda c, s: c.cancel_orders([TXID, TXID_2], s), (TXID, TXID_2)),
    Call(
        "cancel_batch",
        lambda c, s: c.privatePostCancelOrderBatch({"cl_ord_ids": [OWN, OWN_2]}),
        (OWN, OWN_2),
    ),
    Call("cancel_one", lambda c, s: c.cancel_order(TXID, s), (TXID,), differs=KRAKEN_JSON),
    Call(
        "cancel_one",
        lambda c, s: c.cancel_order(None, s, {"clientOrderId": OWN}),
        (OWN,),
        differs=KRAKEN_JSON,
    ),
    Call("order", lambda c, s: c.fetch_order(TXID, s), (TXID,), differs=KRAKEN_QUERY),
    Call(
        "orders",
        lambda c, s: c.fetch_orders_by_ids([TXID, TXID_2]),
        (TXID, TXID_2),
        differs=KRAKEN_QUERY,
    ),
    Call("open_orders", lambda c, s: c.fetch_open_orders(), (TXID,), differs=KRAKEN_JSON),
    Call("list_open", lambda c, s: c.fetch_open_orders(), differs=KRAKEN_JSON),
    Call(
        "closed_orders",
        lambda c, s: c.fetch_closed_orders(params={"cl_ord_id": OWN, "without_count": True}),
        (OWN,),
        differs=KRAKEN_JSON,
    ),
)

OID, OID_2, CLOID = "77738308", "287286372177", "0x1234567890abcdef1234567890abcdef"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
HYPERLIQUID = (
    Call(
        "cancel_batch",
        lambda c, s: c.cancel_orders([OID, OID_2], s, {"vaultAddress": VAULT}),
        (OID, OID_2),
    ),
    Call(
        "cancel_batch_client",
        lambda c, s: c.cancel_orders([], s, {"clientOrderId": [CLOID], "vaultAddress": VAULT}),
        (CLOID,),
    ),
    Call("order", lambda c, s: c.fetch_order(OID, s, {"user": VAULT}), (OID,)),
    Call(
        "order",
        lambda c, s: c.fetch_order("", s, {"clientOrderId": CLOID, "user": VAULT}),
        (CLOID,),
    ),
    Call("open_orders", lambda c, s: c.fetch_open_orders(params={"user": VAULT}), (OID,)),
    Call("list_open", lambda c, s: c.fetch_open_orders(params={"user": VAULT})),
)


def deribit_record(name: str, historical: str) -> Call:
    words = {"count": 500, "include_old": "true", "include_unfilled": "true"}
    return Call(
        name,
        lambda c, s: c.fetch_closed_orders(s, params={**words, "historical": historical}),
        ("ETH-331562",),
    )


DERIBIT = (
    Call(
        "cancel_one",
        lambda c, s: c.cancel_order("ETH-331562", s),
        ("ETH-331562",),
        differs={
            "a call that changes something is no GET: the same in a JSON-RPC envelope": (
                *("method", "place", "header content-type", "word jsonrpc", "word id"),
                *("word method", "word order_id", "word params.order_id"),
            )
        },
    ),
    Call("order", lambda c, s: c.fetch_order("ETH-331562", s), ("ETH-331562",)),
    Call(
        "open_orders", lambda c, s: c.privateGetGetOpenOrders({"type": "all"}), ("ETH-331562",)
    ),
    Call("list_open", lambda c, s: c.privateGetGetOpenOrders({"type": "all"})),
    deribit_record("recent_record", "false"),
    deribit_record("record", "true"),
)

#: Some venues' examples have it in every request, and one of two clients follows them.
TYPE_OF_NOTHING: Differences = {"no body: its type says nothing": ("header content-type",)}
BINANCE_OPTIONS = {"recvWindow": 5000, "warnOnFetchOpenOrdersWithoutSymbol": False}
BYBIT_OPTIONS = {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
PEERS = (
    Peer(
        "binanceusdm",
        "binance",
        BINANCE,
        {"product": "usdm"},
        options=BINANCE_OPTIONS,
        by_rule=hmac_of_all_before,
    ),
    Peer(
        "binance",
        "binance",
        BINANCE_SPOT,
        {"product": "spot"},
        "BTC/USDT",
        BINANCE_OPTIONS,
        by_rule=hmac_of_all_before,
    ),
    Peer(
        "bybit",
        "bybit",
        BYBIT,
        {"category": "linear"},
        options=BYBIT_OPTIONS,
        bodiless_differ=TYPE_OF_NOTHING,
    ),
    Peer(
        "bybit",
        "bybit",
        BYBIT_SPOT,
        {"category": "spot"},
        "BTC/USDT",
        BYBIT_OPTIONS,
        bodiless_differ=TYPE_OF_NOTHING,
    ),
    Peer("okx", "okx", OKX, bodiless_differ=TYPE_OF_NOTHING),
    Peer(
        "bitget",
        "bitget",
        BITGET,
        {"product_type": "usdt-futures"},
        differs={"errors come in English, whatever the account speaks": ("header locale",)},
        bodiless_differ=TYPE_OF_NOTHING,
    ),
    Peer(
        "gate",
        "gate",
        GATE,
        {"settle": "usdt"},
        differs={
            "the page's example asks for JSON": ("header accept",),
            "whole contracts: without it sizes are numbers": ("header x-gate-size-decimal",),
        },
        missing={"chase_orders": "new in May 2026"},
    ),
    Peer(
        "kucoinfutures",
        "kucoin",
        KUCOIN,
        {"key_version": "2"},
        options={"uta": False},
        bodiless_differ=TYPE_OF_NOTHING,
    ),
    Peer(
        "krakenfutures",
        "kraken_futures",
        KRAKEN_FUTURES,
        differs={"JSON is all that is answered": ("header accept",)},
        bodiless_differ=TYPE_OF_NOTHING,
    ),
    Peer(
        "kraken",
        "kraken_spot",
        KRAKEN_SPOT,
        symbol="BTC/USD",
        by_rule=hmac_of_path_and_digest,
    ),
    Peer(
        "hyperliquid",
        "hyperliquid",
        HYPERLIQUID,
        {"network": "mainnet", "markets": "main"},
        "BTC/USDC:USDC",
        parts={"privateKey": "api_secret", "walletAddress": "account_address"},
        signing_differs={"its SDK has 0x before an address": ("word vaultAddress",)},
    ),
    Peer("deribit", "deribit", DERIBIT),
)
