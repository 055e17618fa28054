"""A venue that echoes what a request was signed with, in the words of its replies."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.toys import Toy
from venues.base import Answer, Answers, HttpReply, Venue
from venues.credential import Credential
from venues.sandbox.engine import SPELLINGS

#: Under these names replies hold words for people.
_TEXTS = frozenset({"msg", "message"})
#: The share of replies that hold an echo.
SHARE = 0.3


def credential_of(account: str) -> Credential:
    """Return the key of an account."""
    return Credential(api_key=f"key-of/{account}+x==", api_secret=f"s3cret&of<{account}'")


def secrets_of(account: str) -> tuple[str, ...]:
    """Return what may not be told of an account's requests: the key, and a signature."""
    words = tuple(credential_of(account).given.values())
    signature = hmac.new(words[-1].encode(), account.encode(), hashlib.sha256)
    return *words, signature.hexdigest()


class Echo:
    """What a venue puts into its replies."""

    def __init__(self, venue: Venue, rng: Random) -> None:
        self._is_toy = isinstance(venue, Toy)
        self._rng = rng

    def said(self, account: str, reply: HttpReply) -> HttpReply:
        """Return a reply with an echo in its words, or as it is.

        An error is one in the venue's own form then, where a gateway would have a page.
        """
        if self._rng.random() >= SHARE:
            return reply
        spell = SPELLINGS[self._rng.choice(sorted(SPELLINGS))]
        words = f"{spell(self._rng.choice(secrets_of(account)))} is odd"
        json = odd_error(is_toy=self._is_toy) if reply.status == 503 else reply.json
        return replace(reply, json=_with(json, words), text=f"{reply.text} {words}")


def odd_error(*, is_toy: bool) -> Any:
    """Return an error in a venue's own form, whose code no table knows."""
    if is_toy:
        return Answers(overall=Answer(code="odd", text="odd"))
    error = {"code": 99999, "msg": "odd", "message": "odd"}
    return error | {"errors": [error]}


def _with(json: Any, words: str) -> Any:
    """Return a reply's JSON with more words wherever it has some for people."""
    if isinstance(json, Answers):
        overall = json.overall and json.overall._replace(text=words)
        by_id = {key: said._replace(text=words) for key, said in json.by_id.items()}
        return replace(json, overall=overall, by_id=by_id)
    if isinstance(json, list):
        return [_with(row, words) for row in json]
    if isinstance(json, dict):
        return {
            name: f"{value} {words}" if name in _TEXTS else _with(value, words)
            for name, value in json.items()
        }
    return json
