"""Gate's own signatures: its pages sign requests that no route of ours sends."""

from __future__ import annotations

import pytest

from venues.base import HttpRequest
from venues.credential import Credential
from venues.gate import Gate

#: https://www.gate.com/docs/developers/apiv4/en/#generate-api-signature
PUBLISHED = [
    (
        HttpRequest("GET", "/api/v4/futures/orders?contract=BTC_USD&status=finished&limit=50"),
        "55f84ea195d6fe57ce62464daaa7c3c02fa9d1dde954e4c898289c9a2407a3d6"
        "fb3faf24deff16790d726b66ac9f74526668b13bd01029199cc4fcc522418b8a",
    ),
    (
        HttpRequest(
            "POST",
            "/api/v4/futures/orders",
            b'{"contract":"BTC_USD","type":"limit","size":100,"price":6800,'
            b'"time_in_force":"gtc"}',
        ),
        "eae42da914a590ddf727473aff25fc87d50b64783941061f47a3fdb92742541f"
        "c4c2c14017581b4199a1418d54471c269c03a38d788d802e2c306c37636389f0",
    ),
]


@pytest.mark.parametrize(("request_", "signature"), PUBLISHED, ids=["query", "body"])
def test_published_signatures_are_reproduced(request_: HttpRequest, signature: str) -> None:
    credential = Credential(api_key="key", api_secret="secret")

    signed = Gate().sign(request_, credential, 1541993715000)

    assert signed.headers["SIGN"] == signature
    assert signed.headers["Timestamp"] == "1541993715"
