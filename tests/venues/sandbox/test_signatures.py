"""Signatures: published vectors are accepted, one flipped bit is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from venues.sandbox.client import SandboxClient

from .callers import KEY, SECRET, Answer, coinw, kuna, send, ztdx

TIME = "1700000000000"
COINW_IDS = '"33308750270880236","33308750270538609"'
ZTDX_IDS = "3fa42833-9508-4061-8d80-b68563dcd521", "9f2a1c4e-5b67-4d8a-bf93-2e1f4a6c8d10"
KUNA_IDS = '"c7fc5b2b-bd9d-48c1-a458-a83412669cf4","3e5591ba-2778-4d85-8851-54284045ea44"'


@dataclass(frozen=True)
class Vector:
    method: str
    target: str
    signature: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def sent(self, sandbox: SandboxClient) -> Answer:
        """Send the vector where its venue expects the signature."""
        if self.target.startswith("/fapi/"):
            target = f"{self.target}&signature={self.signature}"
            return send(sandbox, self.method, target, {"X-MBX-APIKEY": KEY})
        if self.target.startswith("/v4/"):
            auth = {"public-key": KEY, "nonce": TIME, "signature": self.signature}
        else:
            auth = {"api_key": KEY, "timestamp": TIME, "sign": self.signature}
        headers = auth | {"Content-Type": "application/json"}
        return send(sandbox, self.method, self.target, headers, self.body.encode())


def vector_coinw(method: str, target: str, signature: str, body: str = "") -> Vector:
    return Vector(method, f"/v1/perpum/{target}", signature, body)


def vector_ztdx(method: str, path: str, parameters: str, signature: str) -> Vector:
    query = f"{parameters}recvWindow=5000&timestamp={TIME}"
    return Vector(method, f"/fapi/v1/{path}?symbol=BTCUSDT&{query}", signature)


ENCODED = f"%5B%22{ZTDX_IDS[0]}%22%2C%22{ZTDX_IDS[1]}%22%5D"
RAW = f'["{ZTDX_IDS[0]}","{ZTDX_IDS[1]}"]'

VECTORS = {
    "coinw batch with posType": vector_coinw(
        "DELETE",
        "batchOrders",
        "rmSy8UbiJhyIQy1NKG1YTNch7Q116mbDbut6CQCrsyk=",
        f'{{"posType":"plan","sourceIds":[{COINW_IDS}]}}',
    ),
    "coinw batch, compact": vector_coinw(
        "DELETE",
        "batchOrders",
        "tR/d5qsJGkf6AxLtL02BziAqNqh9F9CPy2WsttwNIYU=",
        f'{{"sourceIds":[{COINW_IDS}]}}',
    ),
    "coinw batch, with spaces": vector_coinw(
        "DELETE",
        "batchOrders",
        "8kvUGYrwO2bswKV6c1C7RxFoHKwcX+seKjValQE+t0s=",
        '{"sourceIds": ["33308750270880236", "33308750270538609"]}',
    ),
    "coinw one": vector_coinw(
        "DELETE",
        "order",
        "F+0cIm7Yf81hc3eZ3riXpy1vFDoQKQSHqlB5DvVUDaU=",
        '{"id":"33308749002645666"}',
    ),
    "coinw information": vector_coinw(
        "GET",
        "order?positionType=plan&sourceIds=33308750270880236,33308750270538609",
        "rt8z+XvBlEzugFSJTQPxX698+bgrNE0ohFtwBLBvuDw=",
    ),
    "coinw count": vector_coinw(
        "GET", "orders/openQuantity", "dV2QP4Dx775FUqpsk9SOz0NZcomCKUZP7NsJshPRHf4="
    ),
    "ztdx batch, encoded": vector_ztdx(
        "DELETE",
        "batchOrders",
        f"orderIdList={ENCODED}&",
        "090701d8d63df0f1800c5e48ad267238a70b3f4e28b7860ffc2c337b28b55e0d",
    ),
    "ztdx batch, signed raw and sent raw": vector_ztdx(
        "DELETE",
        "batchOrders",
        f"orderIdList={RAW}&",
        "f07a03f088e6bfec376e028cc1df6c30ba4ee739c18d1d85927739977cfe1e7e",
    ),
    "ztdx batch, signed raw and sent encoded": vector_ztdx(
        "DELETE",
        "batchOrders",
        f"orderIdList={ENCODED}&",
        "f07a03f088e6bfec376e028cc1df6c30ba4ee739c18d1d85927739977cfe1e7e",
    ),
    "ztdx one": vector_ztdx(
        "DELETE",
        "order",
        f"orderId={ZTDX_IDS[0]}&",
        "3efb3bcd96cc376f16536466b94adac4e360b70c20db30cf6d8055556b2aabad",
    ),
    "ztdx all": vector_ztdx(
        "DELETE",
        "allOpenOrders",
        "",
        "eee8cb702410748cb636225204db5ce43a57368c958976084948a97d67d3823f",
    ),
    "kuna multi": Vector(
        "POST",
        "/v4/order/private/cancel/multi",
        "1158a772107cbe399b8b557571f5912219bb69de98b74eb0131dd82b339f9cbd"
        "827d776c2c8190d2660455819f65fd06",
        f'{{"orderIds":[{KUNA_IDS}]}}',
    ),
    "kuna one": Vector(
        "POST",
        "/v4/order/private/cancel",
        "2110351be23fa6923de3d3f87572796b42d71ffa48a4e1041ef23275ebfb51e0"
        "1581055b48329fc394408221f743cf1e",
        '{"orderId":"c7fc5b2b-bd9d-48c1-a458-a83412669cf4"}',
    ),
    "kuna active": Vector(
        "GET",
        "/v4/order/private/active?limit=100",
        "0f0552f95435789d00f0b216c68a8299a4b9183a1ce940631fd1464c8eeb9b1c"
        "52eb73b7558acf77235ae1abae42bbb3",
    ),
}


def outcome(sandbox: SandboxClient) -> str:
    return sandbox.requests()[-1].outcome


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_vector_is_accepted(sandbox: SandboxClient, name: str) -> None:
    sandbox.settings({"clock_ms": int(TIME)})

    VECTORS[name].sent(sandbox)

    assert outcome(sandbox) in ("ok", "not_found")


@pytest.mark.parametrize("name", VECTORS)
def test_one_flipped_bit_is_refused(sandbox: SandboxClient, name: str) -> None:
    sandbox.settings({"clock_ms": int(TIME)})
    good = VECTORS[name].signature
    bad = good[:7] + chr(ord(good[7]) ^ 1) + good[8:]

    replace(VECTORS[name], signature=bad).sent(sandbox)

    assert outcome(sandbox) == "auth"


@pytest.mark.parametrize("name", [n for n, v in VECTORS.items() if v.body])
def test_another_body_than_the_signed_one_is_refused(sandbox: SandboxClient, name: str) -> None:
    sandbox.settings({"clock_ms": int(TIME)})

    replace(VECTORS[name], body=VECTORS[name].body.replace("3", "4", 1)).sent(sandbox)

    assert outcome(sandbox) == "auth"


def test_coinw_says_which_part_of_the_auth_is_wrong(sandbox: SandboxClient) -> None:
    unknown = coinw(sandbox, "GET", "orders/openQuantity", key="nobody")
    wrong = replace(VECTORS["coinw count"], signature="AAAA").sent(sandbox)
    late = VECTORS["coinw count"].sent(sandbox)

    assert [a.json["code"] for a in (unknown, wrong, late)] == [6000, 6001, 6000]
    assert {a.status for a in (unknown, wrong, late)} == {200}


def test_coinw_refuses_an_encoded_query(sandbox: SandboxClient) -> None:
    answer = coinw(sandbox, "GET", "order", query="positionType=plan&sourceIds=1%2C2")

    assert answer.json["code"] == 6001


def test_ztdx_refuses_upper_case_hex_and_a_signature_that_is_not_last(
    sandbox: SandboxClient,
) -> None:
    sandbox.settings({"clock_ms": int(TIME)})
    vector = VECTORS["ztdx all"]

    upper = replace(vector, signature=vector.signature.upper()).sent(sandbox)
    early = replace(vector, signature=vector.signature + "&more=1").sent(sandbox)

    assert upper.json["error"]["message"] == "Invalid signature"
    assert early.json["error"]["message"] == "Missing signature parameter"


def test_ztdx_signs_the_body_of_a_delete_too(sandbox: SandboxClient) -> None:
    sandbox.settings({"clock_ms": int(TIME)})
    target = f"{VECTORS['ztdx all'].target}&signature={VECTORS['ztdx all'].signature}"

    without = send(sandbox, "DELETE", target, {"X-MBX-APIKEY": KEY}, b"{}")
    sandbox.settings({"clock_ms": None})
    signed = ztdx(sandbox, "DELETE", "allOpenOrders", b"{}", symbol="BTCUSDT")

    assert (without.status, without.json["error"]["code"]) == (401, "SIGNATURE_INVALID")
    assert signed.json["code"] == 200


@pytest.mark.parametrize(
    ("clock", "shift_ms", "status"),
    [
        ("documented", 4_000, 200),
        ("documented", 6_000, 400),
        ("documented", -2_000, 400),
        ("source", 50_000, 200),
        ("source", 61_000, 401),
        ("off", 10**9, 200),
    ],
)
def test_ztdx_has_a_time_window(
    sandbox: SandboxClient, clock: str, shift_ms: int, status: int
) -> None:
    sandbox.settings({"clock_ms": int(TIME) + shift_ms, "ztdx.clock": clock})

    answer = ztdx(sandbox, "GET", "openOrders", timestamp=int(TIME))

    assert answer.status == status


def test_kuna_takes_a_nonce_once(sandbox: SandboxClient) -> None:
    sandbox.settings({"clock_ms": int(TIME)})

    first = kuna(sandbox, "GET", "active", nonce=TIME)
    second = kuna(sandbox, "GET", "active", nonce=TIME)
    sandbox.settings({"kuna.nonce": "any"})
    third = kuna(sandbox, "GET", "active", nonce=TIME)

    assert [a.status for a in (first, second, third)] == [200, 401, 200]


def test_kuna_signs_compact_json_only(sandbox: SandboxClient) -> None:
    sandbox.settings({"clock_ms": int(TIME)})
    vector = VECTORS["kuna one"]

    replace(vector, body=vector.body.replace(":", ": ")).sent(sandbox)

    assert outcome(sandbox) == "auth"


def test_kuna_single_key_needs_no_signature(sandbox: SandboxClient) -> None:
    sandbox.add_account("kuna", "single", None)
    path = "/v4/order/private/active"

    single = send(sandbox, "GET", path, {"api-key": "single"})
    signing = send(sandbox, "GET", path, {"api-key": KEY})
    unsigned = send(sandbox, "GET", path, {"public-key": "single"})

    assert [a.status for a in (single, signing, unsigned)] == [200, 401, 401]


def test_a_key_that_may_only_read_cannot_cancel(sandbox: SandboxClient) -> None:
    for venue in ("coinw", "ztdx", "kuna"):
        sandbox.add_account(venue, KEY, SECRET, permissions=["read"])
    order_id = ZTDX_IDS[0]

    answers = [
        coinw(sandbox, "DELETE", "order", {"id": "1"}),
        ztdx(sandbox, "DELETE", "order", symbol="BTCUSDT", orderId=order_id),
        kuna(sandbox, "POST", "cancel", {"orderId": order_id}),
    ]

    assert answers[0].json == {
        "code": 6003,
        "message": "require more permission",
        "retry": False,
        "success": False,
    }
    assert [a.status for a in answers] == [200, 401, 403]
    assert coinw(sandbox, "GET", "orders/openQuantity").json["code"] == 0
