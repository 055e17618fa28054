"""A key is hidden however a venue spells it, and never leaves its object otherwise."""

from __future__ import annotations

import base64
import html
import json
import pickle
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.credential import HIDDEN, Credential

KEY, SECRET = "planted-key/1+x==", "s3cret&<\"word'"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "url": lambda word: quote(word, safe=""),
    "url, but for the slash": quote,
    "url twice": lambda word: quote(quote(word, safe=""), safe=""),
    "url, all of it": lambda word: "".join(f"%{ord(char):02x}" for char in word),
    "json": lambda word: json.dumps({"key": word}),
    "json in json": lambda word: json.dumps(json.dumps({"key": word})),
    "json of php": lambda word: json.dumps(word).replace("/", "\\/"),
    "json, all of it": lambda word: "".join(f"\\u{ord(char):04X}" for char in word),
    "html": html.escape,
    "html, all of it": lambda word: "".join(f"&#x{ord(char):x};" for char in word),
    "base64": lambda word: base64.b64encode(word.encode()).decode(),
    "base64 in a url": lambda word: quote(base64.b64encode(word.encode()), safe=""),
    "basic auth": lambda word: base64.b64encode(f"user:{word}:".encode()).decode(),
    "basic auth, url-safe": lambda word: base64.urlsafe_b64encode(
        b"us" + word.encode()
    ).decode(),
}


@pytest.mark.parametrize("word", [KEY, SECRET])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_hidden_in_every_spelling(word: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](word)
    shown = Credential(KEY, SECRET).scrub(f"Error: {spelled} is bad")

    assert HIDDEN in shown
    # Of Base64 the last letters may stay: they hold less than a byte of it, or what follows.
    assert spelled.strip("=")[:-4] not in shown


printable = st.characters(codec="ascii", categories=["L", "N", "P", "S"])


@given(st.text(printable.filter(lambda char: char != "\\"), min_size=6))
def test_any_key_is_hidden(key: str) -> None:
    credential = Credential(key)

    for spelling in ("plain", "url", "json", "html", "base64"):
        assert HIDDEN in credential.scrub(SPELLINGS[spelling](key))


def test_a_short_key_is_hidden_where_it_is_a_word() -> None:
    credential = Credential("key1", "a")

    assert credential.scrub("key1=a: a bad key1; monkey1, key12") == (
        "[hidden]=[hidden]: [hidden] bad [hidden]; monkey1, key12"
    )


def test_other_text_stays_as_it_is() -> None:
    text = "Order does not exist: 100% of \\u00e9 &amp; %2B stays"

    assert Credential(KEY, SECRET).scrub(text) == text
    assert Credential(KEY).scrub("") == ""


def test_a_credential_shows_and_gives_nothing() -> None:
    credential = Credential(KEY, SECRET)
    credential.scrub("warmed up")

    assert KEY not in repr(credential) + str(credential)
    with pytest.raises(TypeError):
        pickle.dumps(credential)
