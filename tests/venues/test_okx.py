"""OKX's signature: vectors of calls that the fixture file does not make."""

from __future__ import annotations

import pytest

from venues.base import HttpRequest
from venues.credential import Credential
from venues.okx import Okx


@pytest.mark.parametrize(
    ("secret", "now_ms", "target", "sign"),
    [
        # The tests of nautilus_trader; the venue's pages show no secret.
        (
            "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO",
            1_607_418_537_715,
            "/api/v5/account/balance",
            "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k=",
        ),
        (
            "dummySecret0001",
            1_700_000_000_000,
            "/api/v5/trade/orders-pending?instType=SWAP&instId=BTC-USDT-SWAP&limit=100",
            "RHdHrexJu/4sqi397fOxOZgehsp3x/P10Z3OdIS0CH4=",
        ),
    ],
)
def test_recorded_signatures_are_reproduced(
    secret: str, now_ms: int, target: str, sign: str
) -> None:
    credential = Credential(api_key="k", api_secret=secret, api_passphrase="p")

    signed = Okx().sign(HttpRequest("GET", target), credential, now_ms)

    assert signed.headers["OK-ACCESS-SIGN"] == sign
