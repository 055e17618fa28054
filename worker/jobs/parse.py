"""A JSON value from the queue becomes a CancelJob, or a reason why it is none."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from venues.words import (
    CancelJob,
    CancelOutcome,
    CancelStatus,
    OrderRef,
    OrdType,
    Priority,
    Scope,
    Side,
)
from worker.contract.job import (
    DEFAULT_DEADLINE,
    KILL_HOLD_S,
    MOST_ID,
    BadElement,
    Envelope,
    InvalidJob,
    JobMessage,
    ScopeMessage,
    is_label,
    is_text,
    job_id_of,
    may_be_rounded,
    order_id_of,
    unknown_fields,
    validated,
)
from worker.jobs.resolve import Refusal, Words, name_order, shortened
from worker.orders.scope import NotSeen, plan_of
from worker.settings import Account

#: What an order may say of itself, and the reason where that is no word at all.
_FAULTS = {"kind": "unknown_kind", "ord_type": "unknown_ord_type", "symbol": "bad_symbol"}
#: What most jobs have of tags and of a trace: one value for all that wait.
_NONE: Mapping[str, str] = MappingProxyType({})
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ParsedJob:
    """A job ready to run, and the ids of it that cannot be asked for.

    `came_at` is when the worker read its message (monotonic seconds); infinite: unknown.
    """

    job: CancelJob
    refused: tuple[CancelOutcome, ...] = ()
    came_at: float = math.inf


def read_job(
    value: Any,
    envelope: Envelope,
    accounts: Mapping[str, Account],
    now: datetime,
    came_at: float = math.inf,
) -> ParsedJob:
    """Return the job in a JSON value; its message came at a time (monotonic seconds).

    Raises:
        InvalidJob: with the reason, and the job_id if it could be read.
    """
    try:
        return _read_job(value, envelope, accounts, now, came_at)
    except InvalidJob as error:
        error.job_id = error.job_id or job_id_of(value)
        raise


def _read_job(
    value: Any,
    envelope: Envelope,
    accounts: Mapping[str, Account],
    now: datetime,
    came_at: float,
) -> ParsedJob:
    message = validated(value)
    account = _account(message, envelope, accounts)
    scope = None if message.scope is None else _scope(message, envelope, account)
    venue, asked, rounded = account.venue, _asked(message), _rounded(message)
    hold_s = scope.hold_s if scope else 0.0
    named = [
        said if isinstance(said, Refusal) else name_order(venue, order_id, said)
        for order_id, said in asked.items()
    ]
    job = CancelJob(
        job_id=message.job_id or _message_id(envelope),
        account=account.name,
        venue=venue.name,
        priority=_priority(envelope.priority),
        scope=scope,
        refs=tuple(_marked(ref, rounded) for ref in named if isinstance(ref, OrderRef)),
        accepted_at=now,
        deadline=message.deadline or now + DEFAULT_DEADLINE + timedelta(seconds=hold_s),
        reason=message.reason or "",
        requested_by=message.requested_by or "",
        sent_by=envelope.sent_by,
        tags={k: v for k, v in message.tags.items() if v is not None}
        if message.tags
        else _NONE,
        trace=_trace(envelope.headers or {}),
        unknown_fields=unknown_fields(value),
    )
    refused = tuple(_refused(item) for item in named if isinstance(item, Refusal))
    return ParsedJob(job, refused, came_at)


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


def _scope(message: JobMessage, envelope: Envelope, account: Account) -> Scope:
    """Return what a message states in place of ids, if the venue can see such orders."""
    beside = next((word for word in _FAULTS if getattr(message, word) is not None), "")
    if beside:
        raise InvalidJob(
            "bad_scope", f"{beside} is of jobs with orders; see the words of scope"
        )
    said = ScopeMessage.model_construct() if message.scope == "all" else message.scope
    assert isinstance(said, ScopeMessage)  # noqa: S101 - as it was validated
    hold_s = message.hold_s
    if hold_s is None:
        hold_s = KILL_HOLD_S if _priority(envelope.priority) is Priority.KILL else 0.0
    scope = Scope(
        symbols=frozenset(said.symbols or ()),
        ord_types=frozenset(map(OrdType, said.ord_types or ())),
        side=Side(said.side) if said.side else None,
        client_order_id_prefix=said.client_order_id_prefix or "",
        excepted=frozenset(map(str, said.except_ or ())),
        stated=account.symbols,
        hold_s=hold_s,
    )
    try:
        plan_of(account.venue, scope)
    except NotSeen as error:
        raise InvalidJob(error.reason, str(error)) from None
    return scope


def _priority(word: str) -> Priority:
    try:
        return Priority(word)
    except ValueError:
        text = f"{word!r} is neither routine nor kill"
        raise InvalidJob("wrong_routing_key", text) from None


def _message_id(envelope: Envelope) -> str:
    if not (0 < len(envelope.message_id) <= 128 and is_text(envelope.message_id)):
        raise InvalidJob("no_job_id", "neither job_id nor a usable AMQP message_id")
    return envelope.message_id


def _asked(message: JobMessage) -> dict[str, Words | Refusal]:
    """Return each id once, with what is said of it, or why it is not asked for.

    The first mention counts. An id whose mentions contradict each other is refused, as nobody
    can tell which order it names. What names no order goes under its place.
    """
    common = sys.intern(message.symbol or "")  # thousands of jobs say the same
    nothing = (message.kind, message.ord_type or "any", common)
    asked: dict[str, Words | Refusal] = {}
    for place, item in enumerate(message.orders or ()):
        said: Words | Refusal
        if isinstance(item, BadElement):
            said = _unreadable(f"orders[{place}]", item.value, common)
            order_id = said.id
        elif isinstance(item, dict):
            order_id = str(item["id"])
            given = item["kind"], item["ord_type"], item["symbol"]
            said = (given[0] or nothing[0], given[1] or nothing[1], given[2] or common)
        else:
            order_id, said = str(item), nothing
        known = asked.setdefault(order_id, said)
        if known is not said and _contradict(known, said):
            asked[order_id] = _contradictory(order_id)
    return asked


def _rounded(message: JobMessage) -> frozenset[str]:
    """Return the ids that came as numbers which their producer may have rounded."""
    given = [item["id"] if isinstance(item, dict) else item for item in message.orders or ()]
    numbers = {str(number) for number in given if _is_rounded(number)}
    if not numbers:
        return frozenset()
    return frozenset(numbers.difference(word for word in given if isinstance(word, str)))


def _is_rounded(value: Any) -> bool:
    return isinstance(value, int) and may_be_rounded(value)


def _marked(ref: OrderRef, rounded: frozenset[str]) -> OrderRef:
    return ref._replace(maybe_rounded=True) if ref.id in rounded else ref


def _contradict(one: Words | Refusal, other: Words | Refusal) -> bool:
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        return True
    return (one[0], one[2]) != (other[0], other[2])


def _contradictory(order_id: str) -> Refusal:
    text = f"{shortened(order_id)} stands twice with another kind or symbol; send two jobs"
    return Refusal(order_id, "", "", "any", "contradictory_orders", text)


def _unreadable(place: str, value: Any, symbol: str) -> Refusal:
    """Return why an element names no order; under its own id, if it has one."""
    inner = value.get("id") if isinstance(value, dict) else value
    if not (isinstance(value, dict) and (order_id := order_id_of(inner))):
        where = f"{place}.id" if isinstance(value, dict) else place
        return Refusal(place, "", symbol, "any", "bad_id", f"{where} {_no_id(inner)}")
    word = next(name for name in _FAULTS if not is_label(value.get(name)))
    text = f"{word} of {place} is no text of at most 256 characters"
    return Refusal(order_id, "", symbol, "any", _FAULTS[word], text)


def _no_id(value: Any) -> str:
    """Return what a value is that is no id."""
    match value:
        case None:
            return "is null, or missing"
        case "":
            return "is empty"
        case bool():
            return f"is {str(value).lower()}, no id"
        case float():
            return f"is {value!r}; send ids as strings"
        case int() | str() if len(str(value)) > MOST_ID:
            said = shortened(str(value))
            return f"has {len(str(value))} characters, an id at most {MOST_ID}: {said}"
        case str():
            return f"holds half a character: {shortened(value)}"
        case list():
            return "is a list, no id"
        case _:
            return "is an object, no id"


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


def _trace(headers: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the W3C trace headers; a malformed one is dropped, as the standard says."""
    parent = headers.get("traceparent")
    if not (isinstance(parent, str) and _TRACEPARENT.fullmatch(parent)):
        return _NONE
    state = headers.get("tracestate")
    if isinstance(state, str) and 0 < len(state) <= 512 and state.isprintable():
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}
