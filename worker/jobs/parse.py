"""Bytes from the queue become a CancelJob, or a reason why they are none."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn, Required

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    with_config,
)
from typing_extensions import TypedDict

from venues.words import CancelJob, CancelOutcome, CancelStatus, OrderRef, Priority
from worker.orders.plan import Refusal, Words, name_order
from worker.settings import Account

#: Largest message that is read.
MOST_BYTES = 1 << 20
MOST_ORDERS = 10_000
#: How long a job has if it does not say.
DEFAULT_DEADLINE = timedelta(minutes=5)
#: kombu says "binary" for bytes that it was given as they are.
_ENCODINGS = frozenset({"", "utf-8", "utf8", "binary"})
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Label = Annotated[str, StringConstraints(max_length=256)]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
#: A number is taken as its decimal digits; they may exceed 2^53, so producers prefer strings.
OrderNumber = Annotated[int, Field(gt=-(10**99), lt=10**99)]


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def _rfc_3339(value: Any) -> Any:
    if not (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        raise ValueError("write it as RFC 3339, like 2026-11-21T09:30:00Z")
    return value


Deadline = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_rfc_3339),
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
        Label,
        Field("any", description="limit, market, trigger, trailing_stop, tp_sl or any."),
    ]
    symbol: Annotated[
        Label | None, Field(None, description="Instrument, in the venue's spelling.")
    ]


class JobMessage(BaseModel):
    """A cancel job as producers send it."""

    model_config = ConfigDict(strict=True, title="CancelJob")

    job_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Idempotency key; the AMQP message_id, or a new UUID, if left out."
    )
    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Name in the accounts file."
    )
    venue: Label | None = Field(None, description="If given, must be the account's venue.")
    symbol: Label | None = Field(None, description="For all orders that do not say their own.")
    orders: list[OrderId | OrderNumber | OrderItem] = Field(
        min_length=1, max_length=MOST_ORDERS, description="Ids, or objects with an id."
    )
    deadline: Deadline | None = Field(
        None, description="No new cancel after it; 5 minutes after acceptance if left out."
    )
    reason: Label = ""
    requested_by: Label = ""
    tags: dict[Label, Label] = Field(default_factory=dict, max_length=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What came around the body."""

    priority: str
    account: str  # of the routing key; empty if it names none
    content_encoding: str = ""
    message_id: str = ""
    headers: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Intake:
    """A job ready to run, and the ids of it that cannot be asked for.

    `came_at` is when the worker read its message (monotonic seconds); infinite: unknown.
    """

    job: CancelJob
    refused: tuple[CancelOutcome, ...] = ()
    unknown_fields: tuple[str, ...] = ()
    came_at: float = math.inf


def read_json(body: bytes, content_encoding: str = "") -> Any:
    """Return the JSON value in `body`.

    Raises:
        InvalidJob: too large, another encoding, not UTF-8 JSON, NaN, a key twice, too deep.
    """
    if len(body) > MOST_BYTES:
        raise InvalidJob("too_large", f"{len(body)} bytes; at most {MOST_BYTES}")
    if (content_encoding or "").lower() not in _ENCODINGS:
        raise InvalidJob("content_encoding", "only UTF-8 without compression is read")
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_key_twice, parse_constant=_no_constant
        )
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


def job_id_of(value: Any) -> str:
    """Return the job_id that can be read from a JSON value that may be no job; else ""."""
    found = value.get("job_id") if isinstance(value, dict) else None
    usable = isinstance(found, str) and 0 < len(found) <= 128 and _is_text(found)
    return str(found) if usable else ""


def _is_text(word: str) -> bool:
    """A JSON escape can make half a character, which no message can carry."""
    return word.encode("utf-8", "ignore").decode() == word


def read_job(
    value: Any, envelope: Envelope, accounts: Mapping[str, Account], now: datetime
) -> Intake:
    """Return the job in a JSON value.

    Raises:
        InvalidJob: with the reason, and the job_id if it could be read.
    """
    try:
        return _read_job(value, envelope, accounts, now)
    except InvalidJob as error:
        error.job_id = error.job_id or job_id_of(value)
        raise


def _read_job(
    value: Any, envelope: Envelope, accounts: Mapping[str, Account], now: datetime
) -> Intake:
    message = _validated(value)
    account = _account(message, envelope, accounts)
    venue, asked = account.venue, _asked(message)
    named = [name_order(venue, order_id, words) for order_id, words in asked.items()]
    job = CancelJob(
        job_id=message.job_id or _message_id(envelope),
        account=account.name,
        venue=venue.name,
        priority=_priority(envelope.priority),
        refs=tuple(ref for ref in named if isinstance(ref, OrderRef)),
        accepted_at=now,
        deadline=message.deadline or now + DEFAULT_DEADLINE,
        reason=message.reason,
        requested_by=message.requested_by,
        tags=message.tags,
        trace=_trace(envelope.headers or {}),
    )
    refused = tuple(_refused(item) for item in named if isinstance(item, Refusal))
    return Intake(job, refused, _unknown_fields(value))


def _validated(value: Any) -> JobMessage:
    if not isinstance(value, dict):
        raise InvalidJob("not_an_object", "a cancel job is a JSON object")
    try:
        return JobMessage.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidJob(
            _code(fault["loc"], fault["type"]), f"{where}: {fault['msg']}"
        ) from None


def _code(where: tuple[int | str, ...], fault: str) -> str:
    field = str(where[0]) if where else "job"
    if fault == "missing":
        return f"no_{field}"
    words = {("orders", "too_short"): "no_orders", ("orders", "too_long"): "too_many_orders"}
    return words.get((field, fault), f"bad_{field}") if len(where) == 1 else f"bad_{field}"


def _account(
    message: JobMessage, envelope: Envelope, accounts: Mapping[str, Account]
) -> Account:
    account = accounts.get(message.account)
    if account is None:
        raise InvalidJob("unknown_account", f"no account {message.account!r} is configured")
    if envelope.account and envelope.account != message.account:
        text = f"the routing key names {envelope.account!r}, the body {message.account!r}"
        raise InvalidJob("wrong_routing_key", text)
    if message.venue and message.venue != account.venue.name:
        text = f"account {account.name!r} is at {account.venue.name}, not {message.venue!r}"
        raise InvalidJob("wrong_venue", text)
    return account


def _priority(word: str) -> Priority:
    try:
        return Priority(word)
    except ValueError:
        text = f"{word!r} is neither routine nor kill"
        raise InvalidJob("wrong_routing_key", text) from None


def _message_id(envelope: Envelope) -> str:
    if not (0 < len(envelope.message_id) <= 128 and _is_text(envelope.message_id)):
        raise InvalidJob("no_job_id", "neither job_id nor a usable AMQP message_id")
    return envelope.message_id


def _asked(message: JobMessage) -> dict[str, Words]:
    """Return each id once, with what is said of it.

    The first mention counts, but two may not contradict each other.
    """
    common = message.symbol or ""
    nothing = (None, "any", common)
    asked: dict[str, Words] = {}
    for item in message.orders:
        if isinstance(item, dict):
            order_id = str(item["id"])
            words = (item["kind"], item["ord_type"], item["symbol"] or common)
        else:
            order_id, words = str(item), nothing
        known = asked.setdefault(order_id, words)
        if known is not words and _contradict(known, words):
            text = f"order {order_id!r} stands twice with another kind or symbol; send two jobs"
            raise InvalidJob("contradictory_orders", text)
    return asked


def _contradict(one: Words, other: Words) -> bool:
    return (one[0], one[2]) != (other[0], other[2])


def _refused(refusal: Refusal) -> CancelOutcome:
    return CancelOutcome(
        id=refusal.id,
        kind=refusal.kind,
        symbol=refusal.symbol,
        ord_type=refusal.ord_type,
        status=CancelStatus.REJECTED,
        reason=refusal.reason,
        text=refusal.text,
    )


def _trace(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return the W3C trace headers; a malformed one is dropped, as the standard says."""
    parent = headers.get("traceparent")
    if not (isinstance(parent, str) and _TRACEPARENT.fullmatch(parent)):
        return {}
    state = headers.get("tracestate")
    if isinstance(state, str) and 0 < len(state) <= 512 and state.isprintable():
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}


def _unknown_fields(value: dict[str, Any]) -> tuple[str, ...]:
    known = set(JobMessage.model_fields)
    inner = set(OrderItem.__annotations__)
    items = (item for item in value["orders"] if isinstance(item, dict))
    strange = {f"orders.{key}" for key in set[str]().union(*items) - inner}
    return tuple(sorted((value.keys() - known) | strange))[:16]


def utc_now() -> datetime:
    """Return the wall clock; deadlines are wall-clock times."""
    return datetime.now(UTC)
