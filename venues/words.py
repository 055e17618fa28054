"""The words of the trade: what a job, an order reference, an outcome and a credential are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

#: What may stand in a request as a symbol; whatever could be URL or header syntax may not.
SYMBOL_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,39}")


class IdKind(StrEnum):
    """Which id names the order: FIX OrderID (37) or OrigClOrdID (41)."""

    VENUE = "venue_order_id"
    CLIENT = "client_order_id"


class OrdType(StrEnum):
    """Kind of order, only as fine as venues tell cancels apart (FIX OrdType, 40)."""

    ANY = "any"
    LIMIT = "limit"
    MARKET = "market"
    TRIGGER = "trigger"
    TRAILING_STOP = "trailing_stop"
    TP_SL = "tp_sl"


#: What an order can be.
ALL_TYPES = frozenset(OrdType) - {OrdType.ANY}


class OrdStatus(StrEnum):
    """What the venue says the order is (FIX OrdStatus, 39)."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    PENDING_CANCEL = "PENDING_CANCEL"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


#: States in which an order can still trade.
OPEN_STATES = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.PENDING_CANCEL})


class CancelStatus(StrEnum):
    """The final word on one id; docs/contract.md section 4 says what a reader may rely on."""

    CANCELED = "canceled"
    FILLED = "filled"
    CLOSED = "closed"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"


class AccountState(StrEnum):
    """How the venue serves an account; docs/contract.md section 5 says what each means."""

    RUNNING = "running"
    PAUSED = "paused"
    BARRED = "barred"
    REFUSED = "refused"
    HALTED = "halted"


class Evidence(StrEnum):
    """Where the final status comes from."""

    REPLY = "reply"
    LOOKUP = "lookup"
    NONE = "none"


class Side(StrEnum):
    """Which way an order trades (FIX Side, 54)."""

    BUY = "buy"
    SELL = "sell"


class Priority(StrEnum):
    """How a job is served: kill goes before routine."""

    ROUTINE = "routine"
    KILL = "kill"


class Purpose(StrEnum):
    """What a route does at the venue."""

    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    LOOKUP = "lookup"
    LIST = "list"
    TIMER = "timer"


#: What changes orders at once; whatever else a route does only looks, or sets a timer.
CANCELS = frozenset({Purpose.CANCEL, Purpose.CANCEL_ALL})


class Shape(NamedTuple):
    """What decides by which routes an order may be canceled and looked up."""

    kind: IdKind
    ord_type: OrdType
    has_symbol: bool
    #: Paths of lists at which the venue has demanded a symbol.
    by_symbol: frozenset[str] = frozenset()


class OrderRef(NamedTuple):
    """How one order is named; never the order itself.

    A tuple, as all that is made for each id: a dataclass takes four times as long to make, to
    copy and to hash.
    """

    id: str
    kind: IdKind
    symbol: str = ""
    ord_type: OrdType = OrdType.ANY
    #: Another kind that it has the shape of, where the job does not say which it is.
    or_kind: IdKind | None = None
    #: It came as a JSON number that a producer's doubles may have rounded.
    maybe_rounded: bool = False

    @property
    def shape(self) -> Shape:
        """What decides its routes."""
        return Shape(self.kind, self.ord_type, bool(self.symbol))


class Became(NamedTuple):
    """The order that a conditional order became when it fired, under an id of its own.

    A row may say so once nothing of the conditional order waits any more, and it placed just
    this one. The type says by which routes it is canceled and looked up.
    """

    id: str
    ord_type: OrdType = OrdType.LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which open orders of an account: those that fit all that is said; nothing said: all."""

    symbols: frozenset[str] = frozenset()
    ord_types: frozenset[OrdType] = frozenset()
    side: Side | None = None
    client_order_id_prefix: str = ""
    #: Ids that stay, of either kind.
    excepted: frozenset[str] = frozenset()
    #: The symbols that the account is said to trade. They narrow nothing and prove nothing, but
    #: say of which symbols a list is read that shows those of one alone.
    stated: frozenset[str] = frozenset()
    #: So many seconds after its acceptance a job keeps these orders away.
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """One valid message from a producer; `refs` holds each id once, or `scope` says which."""

    job_id: str
    account: str
    venue: str
    priority: Priority
    refs: tuple[OrderRef, ...]
    scope: Scope | None = None
    accepted_at: datetime
    deadline: datetime
    reason: str = ""
    requested_by: str = ""
    sent_by: str = ""  # the user who sent it, as the broker checked it
    tags: Mapping[str, str] = field(default_factory=dict)
    trace: Mapping[str, str] = field(default_factory=dict)
    unknown_fields: tuple[str, ...] = ()  # of its message, which mean nothing here


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """The final word on one id, before it becomes a message.

    `id`, `kind` and `ord_type` are strings: of an id that is refused at the door they are
    the producer's own words. Where the order fired, `became` is the id of the order that it
    placed, and state and quantity are those of that one.
    """

    id: str
    kind: str = ""
    symbol: str = ""
    ord_type: str = OrdType.ANY
    status: CancelStatus
    reason: str = ""
    ord_status: OrdStatus | None = None
    cum_qty: str = ""
    became: str = ""
    evidence: Evidence = Evidence.NONE
    attempts: int = 0
    venue_code: str = ""
    text: str = ""
