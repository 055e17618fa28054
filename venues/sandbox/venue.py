"""What a sandbox venue is: a request as it was received, a reply, and the words between."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import unquote

from .faults import Bend

if TYPE_CHECKING:
    from .world import Account, World

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


Answer: TypeAlias = Callable[["World", Call], Reply]


def is_uuid(value: Any) -> bool:
    """Whether a value is a string in the form of a UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def no_ids(_: Call) -> Sequence[str]:
    """Name no order."""
    return ()


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: who answers it, which limit it draws from, where its ids stand."""

    answer: Answer
    limit: str
    ids: Callable[[Call], Sequence[str]] = no_ids
    cancels: bool = False
    signed: bool = True


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its default, and what it may be: one of some choices, else a number."""

    default: Any
    choices: tuple[Any, ...] = ()
    nullable: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where the setting may not be that."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{name} must be one of {self.choices}, not {value!r}")
        elif not (value is None and self.nullable) and type(value) not in self._types:
            raise ValueError(f"{name} cannot be {value!r}")

    @property
    def _types(self) -> tuple[type, ...]:
        return (dict,) if isinstance(self.default, dict) else (int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One venue's paths, signatures and words; a file of this folder defines `VENUE`."""

    name: str
    prefix: str
    #: endpoints by method and path; a path that ends in a slash takes one more segment
    routes: Mapping[tuple[str, str], Route]
    options: Mapping[str, Option]
    limits: Mapping[str, str]
    #: limits that every request draws from, and limits that only measure
    always: tuple[str, ...] = ("account",)
    watched: frozenset[str] = frozenset()
    #: the key that a request claims to be of
    api_key: Callable[[Call], str]
    #: the refusal of a request whose signature or time is wrong
    verify: Callable[[World, Call, Account], Reply | None]
    #: how the venue says throttle, ban, maintenance, clock, auth, permission, unknown_route
    refuse: Callable[[World, str], Reply]
    #: whether the venue could have given an id
    gives: Callable[[str], bool]
    #: hears of every request, and whether a limit refused it
    paced: Callable[[World, Call, bool], None] | None = None

    @property
    def limit_names(self) -> set[str]:
        """The names of all limits that there are."""
        return {route.limit for route in self.routes.values()} | {*self.limits, *self.always}

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint, if the venue has it."""
        route = self.routes.get((method, path))
        return route or self.routes.get((method, path.rpartition("/")[0] + "/"))


def find_venues() -> dict[str, Venue]:
    """Find every venue by scanning this folder: a file with a `VENUE` is one."""
    names = [info.name for info in iter_modules(import_module(__package__).__path__)]
    modules = [import_module(f"{__package__}.{name}") for name in names if name[0] != "_"]
    venues = [getattr(module, "VENUE", None) for module in modules]
    return {venue.name: venue for venue in venues if isinstance(venue, Venue)}
