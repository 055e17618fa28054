"""Kraken Spot's signature: vectors of calls that the fixture file does not make."""

from __future__ import annotations

import hashlib

from venues.base import HttpRequest
from venues.credential import Credential
from venues.kraken_spot import KrakenSpot, signature


def test_the_vector_of_the_pages_is_reproduced() -> None:
    """Guide spot-rest-auth: an order, as a form."""
    secret = (
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg"
        "=="
    )
    nonce = b"1616492376594"
    body = b"nonce=%s&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25" % nonce

    signed = signature(secret, b"/0/private/AddOrder" + hashlib.sha256(nonce + body).digest())

    assert signed == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ"
        "=="
    )


def test_a_body_without_fields_gets_a_nonce_alone() -> None:
    credential = Credential(api_key="k", api_secret="ZHVtbXlTZWNyZXQwMDAx")

    request = HttpRequest("POST", "/0/private/CancelAll", b"{}")
    signed = KrakenSpot().sign(request, credential, 1_700_000_000_000)

    assert signed.body == b'{"nonce":"1700000000000"}'
    assert signed.headers["API-Sign"] == (
        "MPqvk0QJD+t1O3WvM+gphKZsFQYpn0UyFi2MT9vSf9vHi9a13juAruvgcRximxdpyOTqKyLc8Ergt3tqE2KaBA"
        "=="
    )
