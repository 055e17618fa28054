"""What a venue is: four tables (routes, quotas, rules, states) and three pure functions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Any, ClassVar, Literal

from venues.words import Credential, IdKind, OrderRef, OrdStatus, OrdType, Purpose


class Verdict(StrEnum):
    """What an answer of the venue means for us, before it is weighed against what we know."""

    STATE = "state"  #: the venue names the order's state (then `ord_status` is set)
    ACCEPTED = "accepted"  #: taken, not proven: look it up
    UNKNOWN_ORDER = "unknown_order"  #: the venue does not know the id: look it up
    ABSENT = "absent"  #: a look-up was answered in full and does not hold the id
    REFUSED = "refused"  #: definite and final, `reason` says why
    IN_DOUBT = "in_doubt"  #: may have happened: look it up
    NOT_DONE = "not_done"  #: surely not done, worth another attempt (maintenance)
    THROTTLED = "throttled"  #: not done: the whole account pauses, then again
    BANNED = "banned"  #: not done: the account is shut out for a while
    CLOCK = "clock"  #: not done: our clock is off, resynchronise and try once more
    HALT = "halt"  #: key or permission: stop the account


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a venue's table of codes; the first row that fits wins.

    `contains` is looked for in the answer's text without regard to case. A row with
    `ord_status` says that this code names the order's state (verdict STATE).
    """

    code: str
    verdict: Verdict
    reason: str = ""
    contains: str = ""
    ord_status: OrdStatus | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` requests in any `window_s` seconds, per account or per address."""

    limit: int
    window_s: float
    scope: Literal["account", "address"] = "account"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: what it takes, in what company, and which quotas it draws from.

    A look-up route is asked about an id and either shows its state or, answered in full
    without the id, says that the id is absent there. Only when every look-up route that
    takes the id's kind has said so is an order gone.
    """

    name: str
    purpose: Purpose
    method: Literal["GET", "POST", "DELETE", "PUT"]
    path: str
    id_kinds: frozenset[IdKind] = frozenset({IdKind.VENUE})
    ord_types: frozenset[OrdType] = frozenset(OrdType)
    max_ids: int = 1
    #: An id of these types that would leave alone takes this route first, where it may: its
    #: answer says more, or it leaves a batch's token to others.
    alone: frozenset[OrdType] = frozenset()
    #: Where more ids than `max_ids` wait for a look-up, so many may be sought at once: the
    #: request names none of them, and the venue shows the whole list; page 2 of a list that may
    #: have been cut is by id again. 0: it has no such list.
    wide_ids: int = 0
    #: The whole list may show the orders of this route, too (its name): is that one too long,
    #: so may this be.
    may_show: str = ""
    #: What all ids of one request must share.
    group_by: tuple[Literal["symbol", "ord_type", "kind"], ...] = ()
    #: The request cannot be built for an id whose symbol is unknown.
    needs_symbol: bool = False
    quotas: tuple[str, ...] = ()
    #: False: known to claim what did not happen, so its claims only count as accepted.
    believed: bool = True
    #: A paged list is read at most so far; an id not seen by then is not proven absent.
    max_pages: int = 1
    #: An order moves only to lists of a higher stage (waits for its trigger, rests, has ended).
    #: They are read from low to high, or an order that moves meanwhile would be seen in none.
    stage: int = 0
    #: The venue's own word that tells two routes of one path apart.
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """References that travel in one HTTP request."""

    route: Route
    refs: tuple[OrderRef, ...]
    page: int = 1

    @property
    def wide(self) -> bool:
        """Whether the whole list is asked for, as these are too many to be named."""
        return len(self.refs) > self.route.max_ids


@dataclass(frozen=True, slots=True)
class Rows:
    """Which fields of a reply's rows are looked at, and `at` which name the reply has them.

    Others are not read: of a list of hundreds they are most of the work.
    """

    at: str
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request exactly as sent; `target` is path and query, `body` the very bytes.

    `rows` says what of a long reply is read; None: all of it.
    """

    method: str
    target: str = field(repr=False)  # a signature may stand in the query
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply as received; `json` is None where the body is not JSON (then see `text`)."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    json: Any
    text: str = ""
    came_at: float = 0.0  # when its headers were read (monotonic seconds)


class Answer(NamedTuple):
    """The venue's own words on one id or on a whole request, not judged."""

    code: str = ""
    text: str = ""
    state: str = ""
    symbol: str = ""
    ord_type: OrdType | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a reply says: by id, and of the request as a whole.

    `whole` speaks for every id that `by_id` does not name; without it an unnamed id is in
    doubt after a cancel and absent after a look-up. `more` says that a paged list goes on, or
    that a whole list may have been cut.
    """

    whole: Answer | None = None
    by_id: Mapping[str, Answer] = field(default_factory=dict)
    more: bool = False


class Venue(ABC):
    """A trading venue. Subclass once, never twice; the file's docstring lists its quirks."""

    name: ClassVar[str]
    base_url: ClassVar[str]
    routes: ClassVar[Sequence[Route]]
    quotas: ClassVar[Mapping[str, Quota]]
    rules: ClassVar[Sequence[Rule]]
    states: ClassVar[Mapping[str, OrdStatus]]
    #: Shapes of ids, tried in this order where a job does not say the kind.
    id_shapes: ClassVar[Mapping[IdKind, re.Pattern[str]]]
    #: How long reads may lag behind effects (at most 1 s); absence counts only after it.
    read_lag_s: ClassVar[float] = 0.3
    #: The venue keeps no record of (all) canceled orders: a routine cancel looks first, as that
    #: is the only way to know afterwards that there was an order.
    looks_first: ClassVar[bool] = False
    #: The venue knows a mode in which the key alone, with no secret, authenticates.
    secret_optional: ClassVar[bool] = False

    @abstractmethod
    def build(self, batch: Batch) -> HttpRequest:
        """Return the unsigned request for a batch; ids and symbols are already checked."""

    @abstractmethod
    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Return the request with what authenticates it at `now_ms` (Unix milliseconds)."""

    @abstractmethod
    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the venue's words; a KeyError, TypeError, ValueError or AttributeError

        for a reply of another shape than documented is welcome: such a reply is in doubt.
        """
