"""A venue key of any shape, and how it is kept out of what a venue says of it."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, unquote

HIDDEN = "[hidden]"
#: A shorter key is hidden only where it stands as a word: else it would hide parts of words.
_SHORT = 6
#: How often text may be escaped within escaped text.
_MOST_LAYERS = 4
_JSON_ESCAPE = re.compile(r"\\+[ux](?:00)?([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a venue key; an account names it by `<name>_env` or `<name>_file`."""

    name: str
    #: What a whole value looks like, as far as it is known before the venue is asked.
    shape: re.Pattern[str] = re.compile(r".+")
    #: The shape in words, for whoever has to mend a value: "Base64 of 64 bytes".
    form: str = ""
    #: The venue knows a mode that does without it; then its value is "".
    optional: bool = False


class Credential:
    """A venue key in all its parts; the only object that ever holds one.

    Every part is hidden: where it is shown, nothing is, and it can be neither pickled nor
    copied. The first part is what the venue knows the key by. Raises KeyError for a part that
    the venue did not name.
    """

    def __init__(self, **parts: str) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> str:
        return self._parts[name]

    def __repr__(self) -> str:
        return f"Credential({', '.join(self._parts)})"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to travel: a credential stays in the process that read it."""
        raise TypeError("a Credential is never serialised")

    @property
    def given(self) -> dict[str, str]:
        """All parts that are there, by name; whoever reads them keeps them hidden."""
        return {name: value for name, value in self._parts.items() if value}

    def scrub(self, text: str) -> str:
        """Return the text with every part hidden, however it is spelled in it.

        Where one shows only once the text is unescaped, all of the text is hidden.
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
        ours, theirs = (next(iter(each._parts.values())) for each in (self, other))
        return hmac.compare_digest(ours.encode(), theirs.encode())

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        forms = {form for word in self.given.values() for form in _forms(word)}
        longest_first = sorted(forms, key=len, reverse=True)
        return re.compile("|".join(longest_first) or "(?!)", re.IGNORECASE)


def _forms(word: str) -> Iterator[str]:
    """Yield patterns of the ways in which a word may stand in a text."""
    if len(word) < _SHORT:
        yield rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
        return
    for form in (word, quote(word, safe=""), json.dumps(word)[1:-1], html.escape(word)):
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
