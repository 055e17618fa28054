"""Hyperliquid: one path for all actions, signed as Ethereum messages, orders named by asset.

Docs
    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint;
    "pages" are beside it: info-endpoint, asset-ids, error-responses,
    rate-limits-and-user-limits, nonces-and-api-wallets, signing
    https://github.com/hyperliquid-dex/hyperliquid-python-sdk ("SDK": signing and its vectors)
    https://github.com/ccxt/ccxt, https://github.com/nautechsystems/nautilus_trader (replies)

Quirks
    - `/exchange` trades, transfers and cancels by the word `type` of the signed action: none
      but "cancel" and "cancelByCloid" is ever built.
    - A cancel names the asset by its number: its place in the list of perpetuals (`meta`),
      which is read, or 10000 and the number of a spot pair. Rows call spot pairs "@107"; here
      they are called by their asset, "10107". What a wrong number does is not documented.
    - Orders at builder-deployed dexes ("dex:COIN") are not canceled, and lists do not show
      them: an account that has some says so (`markets`), and then has no lists.
    - Answers to a cancel stand by position. "success" is taken, and looked up: that it is
      final is not documented in so many words. One text stands for never placed, canceled and
      filled. A list that is too short may refuse the whole request: all of it is in doubt.
    - Reads are unsigned, and name the account: not the API wallet that signs, which has none.
    - A modified order is another one, with the same client order id: of the old id "canceled"
      is true, and the new order rests.
    - Whether `sz` of what is over is its rest is not documented: it is read of open orders, and
      of "filled", which the testnet says of an order whose rest was dropped, too.
    - What waits for another order's fill stands in that one's row, not in one of its own.
    - What becomes of the order whose trigger fired ("triggered") is not documented.
    - A signer's time may be used once: two programs with one API wallet refuse each other.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from venues.base import NOTHING_CHOSEN, Answer, Answers, Batch, Cost, HttpReply, HttpRequest
from venues.base import OpenOrder, Option, Quota, Route, Rule, Timer, UnknownSymbol, Venue
from venues.base import Verdict
from venues.credential import Credential, Part
from venues.extras import import_extra
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side

BASE_URLS = {
    "mainnet": "https://api.hyperliquid.xyz",
    "testnet": "https://api.hyperliquid-testnet.xyz",
}
EXCHANGE, INFO = "/exchange", "/info"
HEADERS = {"Content-Type": "application/json"}
BOTH_KINDS = frozenset(IdKind)
#: There are no trailing stops; what the pages call TWAP has ids and cancels of its own.
TYPES = frozenset(OrdType) - {OrdType.TRAILING_STOP}
TRIGGERS = frozenset({OrdType.TRIGGER, OrdType.TP_SL})
#: Ids of a cancel: not documented; with 40 it would weigh more (rate-limits-and-user-limits).
MOST_IDS = 39
#: Ids sought in one list: not documented; a bound on what is judged in one go.
WIDE_IDS = 500
#: A spot pair by its asset, and as rows call it; the first one has a name there.
SPOT, SPOT_ROW, FIRST_SPOT = re.compile(r"[1-9][0-9]{4}"), re.compile(r"@[0-9]+"), "PURR/USDC"
SPOT_BASE = 10_000
ADDRESS, ADDRESS_FORM = re.compile(r"0x[0-9a-fA-F]{40}"), "0x and 40 hex digits"
#: HTTP statuses of a plain text (SDK, clients).
IN_TEXT = (400, 415, 422)


def _cancel(name: str, kind: IdKind, word: str) -> Route:
    return Route(
        name, Purpose.CANCEL, "POST", EXCHANGE, frozenset({kind}), TYPES, max_ids=MOST_IDS,
        group_by=("symbol",), needs_symbol=True, trusted=False, venue_word=word,
        quotas=("account", "address"),
    )  # fmt: skip


def _read(name: str, word: str, weight: int, **more: Any) -> Route:
    costs = tuple(Cost(quota, per_request=weight) for quota in ("lookup", "address"))
    return Route(
        name, method="POST", path=INFO, id_kinds=BOTH_KINDS, venue_word=word,
        quotas=("lookup", "account", "address"), costs=costs, **more,
    )  # fmt: skip


def _rows_of(texts: tuple[str, ...], code: str, verdict: Verdict, reason: str) -> list[Rule]:
    return [Rule(code, verdict, reason, text) for text in texts]


ROUTES = (
    _cancel("cancel_batch", IdKind.VENUE, "cancel"),
    _cancel("cancel_batch_client", IdKind.CLIENT, "cancelByCloid"),
    _read("order", "orderStatus", 2, purpose=Purpose.LOOKUP),
    _read(
        "open_orders", "frontendOpenOrders", 20, purpose=Purpose.LOOKUP, max_ids=WIDE_IDS,
        only_open=True,
    ),
)  # fmt: skip
LISTS = (  # of the main perpetuals and spot, triggers too; paging is not documented
    _read(
        "list_open", "frontendOpenOrders", 20, purpose=Purpose.LIST,
        ord_types=TYPES - {OrdType.ANY}, only_open=True, tells_side=True, tells_client_id=True,
        listed_as=OrdType.TRIGGER,
    ),
)  # fmt: skip
#: Page exchange-endpoint, Schedule cancel: of all open orders, at least five seconds ahead; it
#: fires ten times a day, and is refused to who has traded less than a million USD. How far
#: ahead it may be is not documented: an hour is this project's choice.
TIMER = Timer(
    Route(
        "timer", Purpose.TIMER, "POST", EXCHANGE, ord_types=TYPES - {OrdType.ANY},
        venue_word="scheduleCancel", quotas=("account", "address"),
    ),
    least_s=6, most_s=3600,  # a request takes its time, and clocks differ
)  # fmt: skip
CANCELED = (
    "canceled marginCanceled vaultWithdrawalCanceled openInterestCapCanceled selfTradeCanceled "
    "reduceOnlyCanceled siblingFilledCanceled delistedCanceled liquidatedCanceled "
    "scheduledCancel"
)
REJECTED = (
    "rejected tickRejected minTradeNtlRejected minTradeSpotNtlRejected perpMarginRejected "
    "reduceOnlyRejected badAloPxRejected iocCancelRejected badTriggerPxRejected "
    "marketOrderNoLiquidityRejected positionIncreaseAtOpenInterestCapRejected "
    "positionFlipAtOpenInterestCapRejected tooAggressiveAtOpenInterestCapRejected "
    "openInterestIncreaseRejected insufficientSpotBalanceRejected oracleRejected "
    "perpMaxPositionRejected"
)
PARTLY_FILLED = "open, filled in part"
#: What the venue calls filled although `sz` is left of it.
FILLED_IN_PART, NOT_FILLED = "filled, in part", "filled, nothing executed"


class Hyperliquid(Venue):
    """Hyperliquid's main perpetuals and spot, of an account's network."""

    name = "hyperliquid"
    modules = ("eth_account", "eth_utils", "msgpack")
    options = (
        Option("network", tuple(BASE_URLS), "mainnet"),
        # Whether the account has orders at builder-deployed dexes, too.
        Option("markets", ("main", "with_builders")),
    )
    parts = (
        Part("api_secret", re.compile(r"0x[0-9a-fA-F]{64}"), "0x and 64 hex digits"),
        Part("account_address", ADDRESS, ADDRESS_FORM),
        # Of a vault or sub-account whose orders these are; the account signs for it.
        Part("vault_address", ADDRESS, ADDRESS_FORM, optional=True),
    )
    id_shapes = {
        IdKind.VENUE: re.compile(r"[1-9][0-9]{0,18}"),  # an integer of 64 bits
        IdKind.CLIENT: re.compile(r"0x[0-9a-fA-F]{32}"),
    }
    routes = ROUTES
    timer = TIMER
    # Weights of an address: 1,200 a minute (rate-limits-and-user-limits); a fifth is left to
    # what else runs there, and look-ups take half: this project's choice. An account has
    # 10,000 actions and one for each USD traded, for all its life: not counted here.
    quotas = {
        "lookup": Quota(600, 60.0),
        "account": Quota(10, 1.0),  # no such limit is documented: this project's choice
        "address": Quota(960, 60.0, "address"),
    }
    rules = (  # page error-responses; texts of clients' issues
        Rule("success", Verdict.ACCEPTED),
        Rule("unknownOid", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("error", Verdict.UNKNOWN_ORDER, "unknown_order", "never placed, already canceled"),
        Rule("error", Verdict.IN_DOUBT, "venue_error"),
        Rule("triggered", Verdict.IN_DOUBT, "trigger_fired"),
        Rule(FILLED_IN_PART, Verdict.STATE, "partially_filled", ord_status=OrdStatus.CANCELED),
        Rule(NOT_FILLED, Verdict.IN_DOUBT, "nothing_executed"),
        Rule("err", Verdict.THROTTLED, "throttled", "Too many cumulative requests"),
        Rule("err", Verdict.REFUSED, "permission", "Cannot set scheduled cancel time"),
        # Not by this request; one that was sent twice on its way may have been done.
        Rule("err", Verdict.IN_DOUBT, "venue_error", "duplicate nonce"),
        *_rows_of(("nonce too low", "nonce too high"), "err", Verdict.CLOCK, "clock"),
        *_rows_of(
            (
                "different signature", "Unable to recover signer", "does not exist",
                "Must deposit before",
            ),
            "err", Verdict.HALT, "auth",
        ),
        *_rows_of(("Vault not registered", "multi-sig"), "err", Verdict.HALT, "permission"),
        Rule("err", Verdict.IN_DOUBT, "venue_error"),
        Rule("400", Verdict.REFUSED, "bad_request", "Failed to parse the request body"),
        Rule("415", Verdict.REFUSED, "bad_request", "Content-Type"),
        Rule("422", Verdict.REFUSED, "bad_request", "Failed to deserialize the JSON body"),
    )  # fmt: skip
    states = {  # page info-endpoint, Query order status; new words are added now and then
        "open": OrdStatus.NEW,
        "accepted": OrdStatus.NEW,
        PARTLY_FILLED: OrdStatus.PARTIALLY_FILLED,  # by its sizes
        "filled": OrdStatus.FILLED,
        **dict.fromkeys(CANCELED.split(), OrdStatus.CANCELED),
        **dict.fromkeys(REJECTED.split(), OrdStatus.REJECTED),
    }
    reads_unsigned = True
    symbol_numbers = HttpRequest("POST", INFO, b'{"type":"meta"}', HEADERS)

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        self.base_url = BASE_URLS[self.chosen["network"]]
        self.lists = LISTS if self.chosen["markets"] == "main" else ()
        self._perpetuals: Mapping[str, int] = {}

    def knowing(self, reply: HttpReply) -> Venue:
        """Return this venue with the perpetuals by their names; one that two have is none."""
        names = [str(row["name"]) for row in reply.json["universe"]]
        count, known = Counter(names), Hyperliquid(self.chosen)
        known._perpetuals = {n: place for place, n in enumerate(names) if count[n] == 1}
        return known

    def build(self, batch: Batch) -> HttpRequest:
        """Put a cancel into an action, a read into a question; `sign` says of which account."""
        route = batch.route
        asked: dict[str, Any] = {"type": route.venue_word}
        if route.purpose is Purpose.CANCEL:
            asset = self._asset(batch.of_symbol)
            asked["cancels"] = [_item(asset, ref) for ref in batch.refs]
            return HttpRequest("POST", EXCHANGE, _json({"action": asked}), HEADERS)
        if route.purpose is Purpose.TIMER:  # `sign` makes it a time; none disarms it
            more = {"time": batch.after_s * 1000} if batch.after_s else {}
            return HttpRequest("POST", EXCHANGE, _json({"action": asked | more}), HEADERS)
        if not route.only_open:
            asked["oid"] = _sent(batch.refs[0])
        return HttpRequest("POST", INFO, _json(asked), HEADERS)

    def _asset(self, symbol: str) -> int:
        if SPOT.fullmatch(symbol):
            return int(symbol)
        if symbol not in self._perpetuals:
            raise UnknownSymbol(f"{symbol} is no perpetual, nor the five digits of a spot pair")
        return self._perpetuals[symbol]

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Sign an action as its network wants it; name the account in a read."""
        body, vault = json.loads(request.body), credential["vault_address"].lower()
        if request.target == INFO:
            user = vault or credential["account_address"].lower()
            return replace(request, body=_json({**body, "user": user}))
        source = "a" if self.chosen["network"] == "mainnet" else "b"
        key, action = credential["api_secret"], body["action"]
        if "time" in action:
            action["time"] += now_ms
        signed = signature(action, now_ms, vault, source, key)
        more = {"nonce": now_ms, "signature": signed, "vaultAddress": vault or None}
        return replace(request, body=_json({**body, **more}))

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the answer to each cancel by its place, an order, or the rows of a list."""
        body, route = reply.json, batch.route
        if reply.status in IN_TEXT:
            return Answers(overall=Answer(str(reply.status), reply.text))
        if route.only_open:
            return _of_list(batch, body)
        status = body["status"]
        if status == "err" and route.path == EXCHANGE:
            return Answers(overall=Answer("err", str(body["response"])))
        if route.purpose is Purpose.TIMER:
            return Answers(overall=_of_timer(body))
        if route.purpose is Purpose.CANCEL:
            return Answers(by_id=_of_items(batch, body))
        if status == "unknownOid":
            return Answers(overall=Answer(status))
        (ref,), row = batch.refs, body["order"]["order"]
        if status != "order" or not _is_about(row, ref):
            raise ValueError("the answer is about another order")
        return Answers(by_id={ref.id: _of_row(row, str(body["order"]["status"]))})


def signature(
    action: Mapping[str, Any], now_ms: int, vault: str, source: str, key: str
) -> dict[str, Any]:
    """Return the signature of an action: of a message that bears its hash (page signing)."""
    msgpack, eth_account = import_extra("msgpack"), import_extra("eth_account")
    keccak = import_extra("eth_utils.crypto").keccak

    data = msgpack.packb(action) + now_ms.to_bytes(8, "big")
    data += b"\x01" + bytes.fromhex(vault[2:]) if vault else b"\x00"
    agent = {"source": source, "connectionId": keccak(data)}
    message = eth_account.messages.encode_typed_data(full_message={**MESSAGE, "message": agent})
    signed = eth_account.Account.sign_message(message, key)
    return {"r": hex(signed.r), "s": hex(signed.s), "v": signed.v}


def _typed(**fields: str) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields.items()]


#: What is signed in every message, whatever the network (SDK, signing.py).
MESSAGE = {
    "domain": {
        "name": "Exchange",
        "version": "1",
        "chainId": 1337,
        "verifyingContract": f"0x{0:040}",
    },
    "types": {
        "EIP712Domain": _typed(
            name="string", version="string", chainId="uint256", verifyingContract="address"
        ),
        "Agent": _typed(source="string", connectionId="bytes32"),
    },
    "primaryType": "Agent",
}


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _sent(ref: OrderRef) -> int | str:
    return int(ref.id) if ref.kind is IdKind.VENUE else ref.id.lower()


def _item(asset: int, ref: OrderRef) -> dict[str, Any]:
    if ref.kind is IdKind.VENUE:
        return {"a": asset, "o": _sent(ref)}
    return {"asset": asset, "cloid": _sent(ref)}


def _of_items(batch: Batch, body: Mapping[str, Any]) -> dict[str, Answer]:
    items = body["response"]["data"]["statuses"]
    if body["status"] != "ok" or len(items) != len(batch.refs):
        raise ValueError("as many answers as ids were expected")
    return {
        ref.id: Answer("success") if item == "success" else Answer("error", str(item["error"]))
        for ref, item in zip(batch.refs, items, strict=True)
    }


def _of_timer(body: Mapping[str, Any]) -> Answer:
    if body["status"] != "ok" or body["response"]["type"] != "default":
        raise ValueError("an action that was done was expected")
    return Answer("success")


def _is_about(row: Mapping[str, Any], ref: OrderRef) -> bool:
    if ref.kind is IdKind.VENUE:
        return str(row["oid"]) == ref.id
    return str(row["cloid"]).lower() == ref.id.lower()


def _of_list(batch: Batch, rows: Any) -> Answers:
    if not isinstance(rows, list):
        raise TypeError("a list of orders was expected")
    rows = _with_children(rows)
    if batch.route.purpose is Purpose.LIST:
        return Answers(listed=tuple([_listed(row) for row in rows]))
    wanted = {ref.id.lower(): ref.id for ref in batch.refs}  # no id is of both kinds
    by_client_id = any(ref.kind is IdKind.CLIENT for ref in batch.refs)
    by_id: dict[str, Answer] = {}
    others: dict[IdKind, dict[str, Answer]] = {kind: {} for kind in IdKind}
    for row in rows:
        said = _of_row(row, "open")
        client_id = row["cloid"] if by_client_id else row.get("cloid")
        for kind, word in ((IdKind.VENUE, str(row["oid"])), (IdKind.CLIENT, client_id)):
            if word and word.lower() in wanted:
                by_id[wanted[word.lower()]] = said
            elif word:
                others[kind][word] = said
    return Answers(by_id=by_id, others=others)


def _with_children(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a list, then those of the orders that wait for their fills."""
    found = list(rows)
    for row in found:  # which grows meanwhile
        found += row.get("children") or []
    return found


def _listed(row: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        id=str(row["oid"]),
        symbol=_symbol(str(row["coin"])),
        ord_types=TRIGGERS if row["isTrigger"] else frozenset({OrdType.LIMIT}),
        side={"B": Side.BUY, "A": Side.SELL}.get(str(row.get("side"))),
        client_id=str(row["cloid"] or "") if "cloid" in row else None,
    )


def _of_row(row: Mapping[str, Any], word: str) -> Answer:
    symbol = _symbol(str(row["coin"]))
    if word == "triggered":
        return Answer(code=word, symbol=symbol)
    if word.casefold() in ("open", "filled"):
        left, whole = float(row["sz"]), float(row["origSz"])
        if word.casefold() == "open":
            word = PARTLY_FILLED if left < whole else word
        elif left:
            code = FILLED_IN_PART if left < whole else NOT_FILLED
            return Answer(code, f"{row['sz']} of {row['origSz']} left", symbol=symbol)
    return Answer(state=word, symbol=symbol)


def _symbol(coin: str) -> str:
    """Return what a job calls a coin of a row."""
    if SPOT_ROW.fullmatch(coin):
        return str(SPOT_BASE + int(coin[1:]))
    return str(SPOT_BASE) if coin == FIRST_SPOT else coin
