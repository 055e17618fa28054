"""A venue key, and how it is kept out of what a venue says of it."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, unquote

HIDDEN = "[hidden]"
#: A shorter key is hidden only where it stands as a word: else it would hide parts of words.
_SHORT = 6
#: How often text may be escaped within escaped text.
_MOST_LAYERS = 4
_JSON_ESCAPE = re.compile(r"\\+[ux](?:00)?([0-9a-fA-F]{2})")


# Without slots: what is worked out once is kept in the object, as secret as the key.
@dataclass(frozen=True)
class Credential:
    """A venue key; the only object that ever holds a secret, so its repr and pickle hide it."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False, default="")

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to travel: a credential stays in the process that read it."""
        raise TypeError("a Credential is never serialised")

    def scrub(self, text: str) -> str:
        """Return the text with key and secret hidden, however they are spelled in it.

        Where one of them shows only once the text is unescaped, all of the text is hidden.
        """
        clean = self._spelled.sub(HIDDEN, text)
        plain = clean.casefold()
        for _ in range(_MOST_LAYERS):
            simpler = _unescaped(plain)
            if simpler == plain:
                return clean
            plain = simpler.casefold()
            if self._spelled.search(plain):
                return HIDDEN
        return HIDDEN

    def has_key_of(self, other: Credential) -> bool:
        """Say whether another credential is of the same key."""
        return hmac.compare_digest(self.api_key.encode(), other.api_key.encode())

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        words = [word for word in (self.api_key, self.api_secret) if word]
        forms = {form for word in words for form in _forms(word)}
        longest_first = sorted(forms, key=len, reverse=True)
        return re.compile("|".join(longest_first) or "(?!)", re.IGNORECASE)


def _forms(word: str) -> Iterator[str]:
    """Yield patterns of the ways in which a word may stand in a text."""
    if len(word) < _SHORT:
        yield rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
        return
    for form in (word, quote(word, safe=""), json.dumps(word)[1:-1]):
        yield re.escape(form)
    for offset in range(3):
        yield re.escape(_in_base64(word, offset))
        yield re.escape(_in_base64(word, offset).translate(str.maketrans("+/", "-_")))


def _in_base64(word: str, offset: int) -> str:
    """Return what each Base64 text shows that holds the word after `offset` other bytes."""
    whole = base64.b64encode(b"\0" * offset + word.encode()).decode()
    first, end = -(-8 * offset // 6), 8 * (offset + len(word)) // 6
    return whole[first:end]


def _unescaped(text: str) -> str:
    """Return the text with one layer of URL, JSON and HTML escapes taken off."""
    plain = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return html.unescape(unquote(plain)).replace("\\", "")
