"""Hyperliquid's signatures as its own SDK publishes them, and whose number a symbol is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.venues.cases import VENUES, Case, cases
from venues.base import Batch, HttpReply, UnknownSymbol
from venues.extras import import_extra
from venues.hyperliquid import MESSAGE, Hyperliquid, signature
from venues.words import IdKind, OrderRef

eth_account = import_extra("eth_account")
keccak = import_extra("eth_utils.crypto").keccak
#: The key of the SDK's tests (tests/signing_test.py), and the address that is its own.
KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260E4c9A71f18484C9f997B308e59325"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
NUMBER: dict[str, Any] = {"type": "dummy", "num": 100000000000}
TIMER: dict[str, Any] = {"type": "scheduleCancel"}


@pytest.mark.parametrize(
    ("action", "vault", "source", "r", "s", "v"),
    [
        (
            NUMBER, "", "a",
            "0x53749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298",
            "0x755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed8", 27,
        ),
        (
            NUMBER, VAULT, "a",
            "0x3c548db75e479f8012acf3000ca3a6b05606bc2ec0c29c50c515066a326239",
            "0x4d402be7396ce74fbba3795769cda45aec00dc3125a984f2a9f23177b190da2c", 28,
        ),
        (
            TIMER, "", "a",
            "0x6cdfb286702f5917e76cd9b3b8bf678fcc49aec194c02a73e6d4f16891195df9",
            "0x6557ac307fa05d25b8d61f21fb8a938e703b3d9bf575f6717ba21ec61261b2a0", 27,
        ),
        (
            TIMER | {"time": 123456789}, "", "a",
            "0x609cb20c737945d070716dcc696ba030e9976fcf5edad87afa7d877493109d55",
            "0x16c685d63b5c7a04512d73f183b3d7a00da5406ff1f8aad33f8ae2163bab758b", 28,
        ),
    ],
)  # fmt: skip
def test_a_published_signature_is_reproduced(
    action: dict[str, Any], vault: str, source: str, r: str, s: str, v: int
) -> None:
    assert signature(action, 0, vault, source, KEY) == {"r": r, "s": s, "v": v}


@pytest.mark.parametrize("case", [c for c in cases("requests") if "hyper" in str(c.id)])
def test_whoever_reads_a_request_finds_its_signer(case: Case) -> None:
    """As the venue does: from the action, the time and the vault that the body names."""
    body = json.loads(case.said["body"])
    if "action" not in body:
        assert body["user"] == (case.credential["vault_address"] or ADDRESS).lower()
        return
    packed = bytes.fromhex(PACKED[json.dumps(body["action"], separators=(",", ":"))])
    vault = body["vaultAddress"]
    told = packed + body["nonce"].to_bytes(8, "big")
    told += b"\x01" + bytes.fromhex(vault[2:]) if vault else b"\x00"
    source = "a" if case.venue.chosen["network"] == "mainnet" else "b"
    agent = {"source": source, "connectionId": keccak(told)}
    message = eth_account.messages.encode_typed_data(full_message={**MESSAGE, "message": agent})
    signed = body["signature"]
    vrs = signed["v"], int(signed["r"], 16), int(signed["s"], 16)

    assert eth_account.Account.recover_message(message, vrs=vrs) == ADDRESS


#: Actions as MessagePack, written by hand from its specification; those of one asset and of a
#: client order id are as others published them.
PACKED = {
    '{"type":"cancel","cancels":[{"a":0,"o":77738308}]}':
        "82a474797065a663616e63656ca763616e63656c739182a16100a16fce04a23144",
    '{"type":"cancel","cancels":[{"a":0,"o":77738308},{"a":0,"o":287286372177}]}':
        "82a474797065a663616e63656ca763616e63656c739282a16100a16fce04a2314482a16100a16fcf0000"
        "0042e39a2751",
    '{"type":"cancel","cancels":[{"a":10107,"o":77738308}]}':
        "82a474797065a663616e63656ca763616e63656c739182a161cd277ba16fce04a23144",
    '{"type":"cancelByCloid","cancels":[{"asset":0,"cloid":"0x1234567890abcdef1234567890abcdef'
    '"}]}':
        "82a474797065ad63616e63656c4279436c6f6964a763616e63656c739182a5617373657400a5636c6f69"
        "64d922307831323334353637383930616263646566313233343536373839306162636465" "66",
    '{"type":"cancelByCloid","cancels":[{"asset":10107,"cloid":"0x1234567890abcdef1234567890ab'
    'cde0"}]}':
        "82a474797065ad63616e63656c4279436c6f6964a763616e63656c739182a56173736574cd277ba5636c"
        "6f6964d922307831323334353637383930616263646566313233343536373839306162636465" "30",
}  # fmt: skip


@pytest.mark.parametrize(
    "venue",
    [venue for venue in VENUES if isinstance(venue, Hyperliquid)],
    ids=lambda venue: " ".join(venue.chosen.values()),
)
def test_no_action_is_built_but_two(venue: Hyperliquid) -> None:
    words = {route.venue_word for route in venue.routes if route.path == "/exchange"}

    assert words == {"cancel", "cancelByCloid"}


def asset(venue: Any, symbol: str) -> int:
    route = next(route for route in venue.routes if route.name == "cancel_batch")
    body = venue.build(Batch(route, (OrderRef("1", IdKind.VENUE, symbol),))).body
    return int(json.loads(body)["action"]["cancels"][0]["a"])


def test_a_symbol_is_named_by_the_number_that_the_venue_told() -> None:
    unread = Hyperliquid({"network": "testnet", "markets": "with_builders"})
    rows = [{"name": name} for name in ("BTC", "ETH", "TWICE", "ATOM", "TWICE")]
    venue = unread.knowing(HttpReply(200, {}, {"universe": rows}))

    assert [asset(venue, word) for word in ("BTC", "ETH", "ATOM", "10107")] == [0, 1, 3, 10107]
    assert asset(unread, "10107") == 10107
    for word in ("TWICE", "btc", "xyz:TSLA", "0", "9999", "100000"):
        with pytest.raises(UnknownSymbol, match=word):
            asset(venue, word)
    with pytest.raises(UnknownSymbol):
        asset(unread, "BTC")
    assert venue.chosen == unread.chosen
