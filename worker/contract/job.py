"""A cancel job as producers send it, and why a message is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn, Required

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
    with_config,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from venues.words import Scope

#: Largest message that is read.
MOST_BYTES = 1 << 20
MOST_ORDERS = 10_000
#: The longest id, in characters.
MOST_ID = 100
#: The longest time (seconds) for which the orders of a scope are kept away.
MOST_HOLD_S = 3600.0
#: For so long they are where a kill does not say.
KILL_HOLD_S = 5.0
MOST_SYMBOLS = 1000
#: How long a job has if it does not say.
DEFAULT_DEADLINE = timedelta(minutes=5)
#: Header of a rejected message: the key that it was sent with, so that it can be sent again.
ROUTING_KEY_HEADER = "x-routing-key"
#: Header of a message that a worker published once more: the user who sent it first. It counts
#: only together with the worker's own user, which the broker has checked.
SENT_BY_HEADER = "x-cancel-sent-by"
#: The same, of one that no worker had sent: what it says of earlier tries is not believed.
RESENT_HEADER = "x-cancel-resent"
#: kombu says "binary" for bytes that it was given as they are.
#: The others are what mail and the web call bytes that are not encoded.
_ENCODINGS = frozenset(
    {"", "utf-8", "utf8", "binary", "identity", "us-ascii", "ascii", "7bit", "8bit"}
)

Label = Annotated[str, StringConstraints(max_length=256)]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=MOST_ID)]
#: A number is taken as its decimal digits; they may exceed 2^53, so producers prefer strings.
OrderNumber = Annotated[int, Field(gt=-(10**99), lt=10**100)]

#: An ISO 8601 time with a zone, as the libraries of producers write it: with or without
#: seconds, basic or extended, and after it perhaps the zone's name (RFC 9557).
_ISO_8601 = re.compile(
    r"(?P<minute>[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T ][0-9]{2}:?[0-9]{2})"
    r"(?P<second>:?[0-9]{2})?(?P<fraction>[.,][0-9]{1,9})?"
    r"(?P<zone>Z|[+-][0-9]{2}(:?[0-9]{2})?)(\[[^\[\]]{1,64}\])?",
    re.ASCII | re.IGNORECASE,
)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _time(value: Any) -> datetime:
    """Return a time in UTC; one that UTC has no year for is the first or the last there is."""
    said = _ISO_8601.fullmatch(value) if isinstance(value, str) else None
    if said is None:
        raise ValueError("write it as RFC 3339, like 2026-11-21T09:30:00Z")
    second, fraction = said["second"] or "", said["fraction"] or ""
    leaps = second.endswith("60")
    if leaps:
        second = second.replace("60", "59")
    zone = said["zone"].upper()
    moment = datetime.fromisoformat(f"{said['minute']}{second}{fraction}{zone}")
    try:
        return moment.astimezone(UTC) + timedelta(seconds=int(leaps))
    except OverflowError:
        return _LAST if moment.year == _LAST.year else _FIRST


Deadline = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class InvalidJob(Exception):
    """A message that is no cancel job.

    `reason` is a code, `detail` a sentence, `job_id` what could be read of it.
    """

    def __init__(self, reason: str, detail: str, job_id: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.job_id = job_id


# A dict, as that takes half the time of a model; what is left out is there by its default.
@with_config(ConfigDict(strict=True, title="Order"))
class OrderItem(TypedDict, total=False):
    """One order of a job that says more than its id."""

    id: Required[
        Annotated[
            OrderId | OrderNumber, Field(description="Venue order id or client order id.")
        ]
    ]
    kind: Annotated[
        Label | None,
        Field(None, description="venue_order_id or client_order_id; worked out if left out."),
    ]
    ord_type: Annotated[
        Label | None,
        Field(None, description="limit, market, trigger, trailing_stop, tp_sl or any."),
    ]
    symbol: Annotated[
        Label | None, Field(None, description="Instrument, in the venue's spelling.")
    ]


@dataclass(frozen=True, slots=True)
class BadElement:
    """What stands among the orders of a job and names none; it costs itself alone."""

    value: Any


_ANYTHING = {
    "description": "Anything else costs itself alone: its outcome is rejected, bad_id."
}
_Element = Annotated[
    OrderId
    | OrderNumber
    | OrderItem
    | Annotated[Any, PlainValidator(BadElement), WithJsonSchema(_ANYTHING)],
    # What fits best, as pydantic sees it, would be the last one for an object with a null.
    Field(union_mode="left_to_right"),
]


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: given for name, given in value.items() if given is not None}


#: An id that stays must be the very one: beyond 2^53 a number may have been rounded.
_ExceptId = OrderId | Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]


class ScopeMessage(BaseModel):
    """Which open orders of the account: those that fit all that is said, at least one word."""

    model_config = ConfigDict(
        strict=True, title="Scope", extra="forbid", json_schema_extra={"minProperties": 1}
    )

    symbols: (
        Annotated[
            list[Annotated[str, StringConstraints(min_length=1, max_length=256)]],
            Field(min_length=1, max_length=MOST_SYMBOLS),
        ]
        | None
    ) = Field(None, description="Instruments, in the venue's spelling.")
    ord_types: (
        Annotated[
            list[Literal["limit", "market", "trigger", "trailing_stop", "tp_sl"]],
            Field(min_length=1),
        ]
        | None
    ) = None
    side: Literal["buy", "sell"] | None = None
    client_order_id_prefix: (
        Annotated[str, StringConstraints(min_length=1, max_length=MOST_ID)] | None
    ) = Field(None, description="Of orders whose client order ids begin with it.")
    except_: Annotated[list[_ExceptId], Field(min_length=1, max_length=MOST_ORDERS)] | None = (
        Field(None, alias="except", description="Ids that stay, of either kind.")
    )

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: Any) -> Any:
        found = _without_nulls(value)
        if found == {}:
            raise PydanticCustomError("bad_scope", 'says nothing; all orders are "all"')
        return found


#: A job has one of the two, and null is the same as left out.
_ORDERS_OR_SCOPE: dict[str, Any] = {
    "oneOf": [
        {
            "required": ["orders"],
            "properties": {"orders": {"type": "array"}, "scope": {"type": "null"}},
        },
        {
            "required": ["scope"],
            "properties": {"orders": {"type": "null"}, "scope": {"not": {"type": "null"}}},
        },
    ]
}


class JobMessage(BaseModel):
    """A cancel job as producers send it. A field that is null is left out."""

    model_config = ConfigDict(
        strict=True, title="CancelJob", json_schema_extra=_ORDERS_OR_SCOPE
    )

    job_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Idempotency key; the AMQP message_id, or a new UUID, if left out."
    )
    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Name in the accounts file."
    )
    venue: Label | None = Field(None, description="If given, must be the account's venue.")
    symbol: Label | None = Field(None, description="For all orders that do not say their own.")
    kind: Label | None = Field(None, description="For all orders that do not say their own.")
    ord_type: Label | None = Field(
        None, description="For all orders that do not say their own."
    )
    orders: Annotated[list[_Element], Field(min_length=1, max_length=MOST_ORDERS)] | None = (
        Field(None, description="Ids, or objects with an id; this or `scope`.")
    )
    scope: Literal["all"] | ScopeMessage | None = Field(
        None, description="In place of ids: all open orders of the account, or which of them."
    )
    hold_s: Annotated[float, Field(ge=0, le=MOST_HOLD_S)] | None = Field(
        None,
        description="So many seconds after acceptance an order of the scope that appears is "
        "canceled, too; 5 for a kill and 0 for a routine job if left out.",
    )
    deadline: Deadline | None = Field(
        None, description="No new cancel after it; 5 minutes after acceptance if left out."
    )
    reason: Label | None = None
    requested_by: Label | None = None
    tags: dict[Label, Label | None] | None = Field(None, max_length=16)

    @model_validator(mode="before")
    @classmethod
    def _orders_or_scope(cls, value: Any) -> Any:
        found = _without_nulls(value)
        if isinstance(found, dict) and ("orders" in found) is ("scope" in found):
            if "orders" not in found:
                raise PydanticCustomError("no_orders", "neither orders nor scope is stated")
            raise PydanticCustomError("orders_and_scope", "state orders or scope, not both")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What came around the body."""

    priority: str
    account: str  # of the routing key; empty if it names none
    content_encoding: str = ""
    message_id: str = ""
    headers: Mapping[str, Any] | None = None
    sent_by: str = ""  # the user who sent it, as the broker checked it


def read_json(body: bytes, content_encoding: str = "", most_bytes: int = MOST_BYTES) -> Any:
    """Return the JSON value in `body`.

    Raises:
        InvalidJob: too large, another encoding, not UTF-8 JSON, NaN, a key twice, too deep.
    """
    if len(body) > most_bytes:
        raise InvalidJob("too_large", f"{len(body)} bytes; at most {most_bytes}")
    if (content_encoding or "").lower() not in _ENCODINGS:
        raise InvalidJob("content_encoding", "only UTF-8 without compression is read")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidJob("not_json", "the body is not UTF-8") from None
    except RecursionError:
        raise InvalidJob("not_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidJob("not_json", f"the body is not JSON: {error}") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


#: Made once: to make one for each job takes as long as to read it.
_DECODER = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_constant=_no_constant)


def scope_json(scope: Scope) -> Any:
    """Return a scope as a job states it, but for how long to hold."""
    said: dict[str, Any] = {
        "symbols": sorted(scope.symbols),
        "ord_types": sorted(scope.ord_types),
        "side": scope.side,
        "client_order_id_prefix": scope.client_order_id_prefix,
        "except": sorted(scope.excepted),
    }
    return {name: value for name, value in said.items() if value} or "all"


def job_id_of(value: Any) -> str:
    """Return the job_id that can be read from a JSON value that may be no job; else ""."""
    found = value.get("job_id") if isinstance(value, dict) else None
    usable = isinstance(found, str) and 0 < len(found) <= 128 and is_text(found)
    return str(found) if usable else ""


def may_be_rounded(number: int) -> bool:
    """Say whether a producer whose JSON numbers are doubles may have rounded an id.

    Beyond 2^53 such a producer writes what the nearest double is, or the fewest digits that are
    read as that double.
    """
    if abs(number) <= 1 << 53:
        return False
    nearest = float(number)
    return number in (int(nearest), int(Decimal(repr(nearest))))


def order_id_of(value: Any) -> str:
    """Return the id that a JSON value is; "" if it is none."""
    word = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return word if len(word) <= MOST_ID and is_text(word) else ""


def is_label(value: Any) -> bool:
    """Say whether a JSON value is a word that an order may say of itself, or null."""
    return value is None or (isinstance(value, str) and len(value) <= 256 and is_text(value))


def is_text(word: str) -> bool:
    """Say whether a message can carry a word: a JSON escape can make half a character."""
    return word.encode("utf-8", "ignore").decode() == word


def validated(value: Any) -> JobMessage:
    """Return the message that a JSON value is.

    Raises:
        InvalidJob: with the first field at fault.
    """
    if not isinstance(value, dict):
        raise InvalidJob("not_an_object", "a cancel job is a JSON object")
    try:
        return JobMessage.model_validate(value)
    except ValidationError as error:
        fault = first_fault(error, value)
        where = ".".join(str(part) for part in fault["loc"] if part != "ScopeMessage")
        raise InvalidJob(
            _code(fault["loc"], fault["type"]), f"{where or 'job'}: {fault['msg']}"
        ) from None


def first_fault(error: ValidationError, value: Mapping[str, Any]) -> Any:
    """Return the first fault; of an object as scope not that it is another word than "all"."""
    faults = error.errors(include_input=False, include_url=False)
    if faults[0]["loc"][:1] != ("scope",) or not isinstance(value["scope"], dict):
        return faults[0]
    return next(fault for fault in faults if "ScopeMessage" in fault["loc"])


def _code(where: tuple[int | str, ...], fault: str) -> str:
    if not where:
        return fault
    field = str(where[0])
    if fault == "missing":
        return f"no_{field}"
    words = {("orders", "too_short"): "no_orders", ("orders", "too_long"): "too_many_orders"}
    return words.get((field, fault), f"bad_{field}") if len(where) == 1 else f"bad_{field}"


_KNOWN = frozenset(JobMessage.model_fields)
#: What means nothing of a job that states its orders.
_OF_SCOPES = frozenset({"hold_s"})
_KNOWN_OF_ORDERS = frozenset(OrderItem.__annotations__)


def unknown_fields(value: dict[str, Any]) -> tuple[str, ...]:
    """Return at most 16 names of fields of a valid message that mean nothing here.

    A name is cut to 64 characters.
    """
    orders = value.get("orders")
    known = _KNOWN if orders is None else _KNOWN - _OF_SCOPES
    items = [item for item in orders or () if isinstance(item, dict)]
    strange = _said(items, set[str]().union(*items) - _KNOWN_OF_ORDERS)
    found = _said([value], value.keys() - known) | {f"orders.{name}" for name in strange}
    return tuple(name[:64] for name in sorted(found)[:16])


def _said(items: Sequence[Mapping[str, Any]], names: Set[str]) -> set[str]:
    """Return those of some names under which anything stands; null is left out."""
    return {name for name in names if any(item.get(name) is not None for item in items)}
