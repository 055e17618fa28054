"""A key of any shape is hidden however a venue spells it, and never leaves its object."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
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


#: A part more than any venue here has, in forms that venues give out: words, Base64, hex.
PARTS = {
    "api_key": KEY,
    "api_secret": SECRET,
    "api_passphrase": "pass-Phrase 9",
    "private_key": "0x0123456789012345678901234567890123456789012345678901234567890123",
    "account_address": "0x14791697260E4c9A71f18484C9f997B308e59325",
    "seed": "ZHVtbXlTZWNyZXQwMDAxZHVtbXlTZWNyZXQwMDAx+/==",
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_part_is_hidden_in_every_spelling(part: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](PARTS[part])
    shown = Credential(**PARTS).scrub(f"Error: {spelled} is bad")

    assert HIDDEN in shown
    # Of Base64 the last letters may stay: they hold less than a byte of it, or what follows.
    assert spelled.strip("=")[:-4] not in shown


printable = st.characters(codec="ascii", categories=["L", "N", "P", "S"])


@given(st.text(printable.filter(lambda char: char != "\\"), min_size=6))
@example("00%00'")  # whose escaped form looks escaped in another way, too
def test_any_key_is_hidden(key: str) -> None:
    credential = Credential(api_key=key)

    for spelling in ("plain", "url", "json", "html", "base64"):
        assert HIDDEN in credential.scrub(SPELLINGS[spelling](key))


def test_a_short_key_is_hidden_where_it_is_a_word() -> None:
    credential = Credential(api_key="key1", api_secret="a")

    assert credential.scrub("key1=a: a bad key1; monkey1, key12") == (
        "[hidden]=[hidden]: [hidden] bad [hidden]; monkey1, key12"
    )


def test_other_text_stays_as_it_is() -> None:
    text = "Order does not exist: 100% of \\u00e9 &amp; %2B stays"

    assert Credential(api_key=KEY, api_secret=SECRET).scrub(text) == text
    assert Credential(api_key=KEY).scrub("") == ""


@settings(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        # Digits are in no name, so that a part's value is not its own or another's name.
        st.text("0123456789+/=", min_size=6),
        min_size=1,
    )
)
def test_a_credential_of_any_shape_shows_and_gives_nothing(parts: dict[str, str]) -> None:
    credential = Credential(**parts)
    credential.scrub("warmed up")
    with pytest.raises(KeyError) as unknown:
        credential["no such part"]

    shown = f"{credential!r} {credential} {unknown.value!r}"
    assert not [value for value in parts.values() if value in shown]
    for travel in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as refused:
            travel(credential)
        assert not [value for value in parts.values() if value in str(refused.value)]


def test_what_holds_a_credential_gives_no_part_of_it_either() -> None:
    @dataclass
    class Holder:
        credential: Credential

    holder = Holder(Credential(**PARTS))

    assert not [value for value in PARTS.values() if value in repr(holder)]
    with pytest.raises(TypeError):
        asdict(holder)


def test_the_first_part_is_what_the_venue_knows_a_key_by() -> None:
    ours = Credential(api_key="key-1", api_secret="secret-1")

    assert ours.has_key_of(Credential(api_key="key-1", api_secret="secret-2"))
    assert not ours.has_key_of(Credential(api_key="key-2", api_secret="secret-1"))
