"""A request as a venue receives it, nothing decoded, and the reply to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote

from .faults import Bend

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

T = TypeVar("T")

#: rows that are made before others have their turn: about a millisecond
_ROWS_AT_ONCE = 1000

_COMPACT = json.JSONEncoder(separators=(",", ":"))

JSON = "application/json"
HTML = "text/html"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a venue answers, and in one word what became of the request."""

    outcome: str
    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Callable[[], Iterator[bytes]] | None = None  # of a body too long to be made at once


def reply_json(value: Any, *, outcome: str = "ok", status: int = 200) -> Reply:
    """Answer with compact JSON."""
    return Reply(outcome, _COMPACT.encode(value).encode(), status)


def reply_list(
    head: str, items: Sequence[T], write: Callable[[Sequence[T]], str], tail: str
) -> Reply:
    """Answer with a list of JSON that `write` makes of items; a long one is made in parts."""

    def parts() -> Iterator[bytes]:
        yield head.encode()
        for at in range(0, len(items), _ROWS_AT_ONCE):
            before = "," if at else ""
            yield (before + write(items[at : at + _ROWS_AT_ONCE])).encode()
        yield tail.encode()

    if len(items) > _ROWS_AT_ONCE:
        return Reply("ok", b"", parts=parts)
    return Reply("ok", b"".join(parts()))


def reply_text(text: str, *, outcome: str, status: int, content_type: str = TEXT) -> Reply:
    """Answer with text, as frameworks and gateways do."""
    return Reply(outcome, text.encode(), status, content_type)


def with_retry_after(reply: Reply, seconds: float | None) -> Reply:
    """Add a Retry-After header, if there is one to add."""
    if seconds is None:
        return reply
    return replace(reply, headers={"Retry-After": f"{seconds:g}"})


#: reason phrases of the pages that nginx itself answers with
_PAGES = {429: "Too Many Requests", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"}


def gateway_page(status: int, *, outcome: str) -> Reply:
    """Answer with the page that an nginx in front of a venue shows."""
    title = f"{status} {_PAGES.get(status, 'Error')}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return reply_text(page, outcome=outcome, status=status, content_type=HTML)


@dataclass(kw_only=True)
class Call:
    """A request as it was received: nothing decoded, nothing normalized."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    api_key: str = ""
    at_s: float = 0.0
    now_ms: int = 0
    bend: Bend = field(default_factory=Bend)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's pairs, percent-decoded; a plus sign is a space."""
        pairs = (pair.partition("=") for pair in self.raw_query.split("&") if pair)
        return {decode(name): decode(value) for name, _, value in pairs}

    @cached_property
    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The body's fields; none where it is not a JSON object."""
        return self.json if isinstance(self.json, dict) else {}

    def int_param(self, name: str, default: int, most: int) -> int:
        """Read a whole number from the query, between 1 and `most`."""
        text = self.query.get(name, "")
        return max(1, min(int(text), most)) if text.isdecimal() else default


def decode(text: str) -> str:
    """Percent-decode one part of a query."""
    return unquote(text.replace("+", " "))


def is_uuid(value: Any) -> bool:
    """Whether a value is a string in the form of a UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
