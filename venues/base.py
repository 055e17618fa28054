"""What a venue is: four tables (routes, quotas, rules, states) and three pure functions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import NamedTuple, Any, ClassVar, Literal

from venues.credential import Credential, Part
from venues.words import Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose, Side


#: The stage of life of what is over; see `Route.life_stage`.
ENDED_STAGE = 2


class Verdict(StrEnum):
    """What an answer of the venue means for us, before it is weighed against what we know."""

    STATE = "state"  #: the venue names the order's state (then `ord_status` is set)
    ACCEPTED = "accepted"  #: taken, not proven: look it up
    UNKNOWN_ORDER = "unknown_order"  #: the venue does not know the id: look it up
    ABSENT = "absent"  #: a look-up was answered in full and does not hold the id
    SYMBOL_DEMANDED = "symbol_demanded"  #: a look-up, refused as it names no symbol
    REFUSED = "refused"  #: definite and final, `reason` says why
    IN_DOUBT = "in_doubt"  #: may have happened: look it up
    NOT_DONE = "not_done"  #: surely not done, worth another attempt (maintenance)
    THROTTLED = "throttled"  #: not done: the whole account pauses, then again
    BANNED = "banned"  #: not done: the account is shut out for a while
    CLOCK = "clock"  #: not done: our clock is off, resynchronise and try once more
    HALT = "halt"  #: not done: key or permission refused; the account halts if it stays so


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
class Option:
    """What an account says of itself once, as neither its key nor an id tells it: a word."""

    name: str
    values: tuple[str, ...]
    #: What is meant where the account says nothing; "": it has to say.
    default: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` tokens in any `window_s` seconds, per account or per address.

    A request takes one, unless its route has a `Cost`. A venue that counts in fixed windows
    is kept to as well: no window of any place holds more.
    """

    limit: int
    window_s: float
    scope: Literal["account", "address"] = "account"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes of a quota, where that is not one token: for itself, and an id."""

    quota: str
    per_request: int = 0
    per_id: int = 0


@dataclass(frozen=True, slots=True)
class Quiet:
    """How a venue asks for quiet after a refusal for rate, and how long that is believed.

    A plain number is a duration, or a time if it is as large as one: seconds since 1970, or
    thousandths of them and so on.
    """

    #: Names of headers in lower case, each with the seconds of one unit of a plain number. The
    #: default is RFC 9110, section 10.2.3, which also knows dates.
    headers: tuple[tuple[str, float], ...] = (("retry-after", 1.0),)
    #: What says so in the text of a refusal; the group holds the number. The default is
    #: Binance's -1003 (binance-spot-api-docs, errors.md), which venues of its kind copy.
    in_text: re.Pattern[str] = re.compile(r"until ([0-9]{10,19})\b")
    #: The longest ban. Not documented by any venue here: ten minutes is what Bybit's pages tell
    #: of its own (rate-limit.mdx, error.mdx).
    longest_s: float = 600.0
    #: How long a ban lasts whose end is not stated. The default is the shortest that a venue
    #: documents.
    ban_s: float = 30.0


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
    #: A single id of these types takes this route first, where it may: its answer says more, or
    #: it leaves a batch's token to others.
    single_first: frozenset[OrdType] = frozenset()
    #: Most ids that one look-up may be for if it names none of them and the venue lists all its
    #: orders (FIX OrderMassStatusRequest). Only the first page can be asked for so. 0: no such
    #: list.
    list_all_ids: int = 0
    #: Types that this cancel is not documented to reach: "no such order" says little of them.
    unproven_for: frozenset[OrdType] = frozenset()
    #: Name of the list route whose orders this one may also show. If that list was too long to
    #: read, so is this one.
    overlaps: str = ""
    #: What all ids of one request must share.
    group_by: tuple[Literal["symbol", "ord_type", "kind"], ...] = ()
    #: The request cannot be built for an id whose symbol is unknown.
    needs_symbol: bool = False
    #: The list takes a symbol, too, and with this code the venue may demand one. "": never.
    symbol_demanded: str = ""
    quotas: tuple[str, ...] = ()
    #: For quotas of which a request takes more than one token, or some for each id.
    costs: tuple[Cost, ...] = ()
    #: False: known to claim what did not happen, so its claims only count as accepted.
    trusted: bool = True
    #: What this cancel accepts was open then: an id that names no open order has its own code.
    accepts_only_open: bool = False
    #: Most pages of a list that are read; an id not seen by then is not proven absent.
    max_pages: int = 1
    #: An order moves only to lists of a higher stage (waits for its trigger, rests, has ended).
    #: Lists are read from low to high: an order that moves meanwhile is seen in one of them.
    life_stage: int = 0
    #: It shows open orders only, under whatever symbol.
    only_open: bool = False
    #: The venue's own word that tells two routes of one path apart.
    venue_word: str = ""
    #: Of a list of open orders: what its rows tell beside id, symbol and type.
    tells_side: bool = False
    tells_client_id: bool = False
    #: Of such a list: as what an order is canceled whose row leaves its type open.
    listed_as: OrdType = OrdType.ANY

    def by_symbol(self) -> Route:
        """Return the same list as it is asked for where the venue demands a symbol."""
        group_by = (*self.group_by, "symbol")
        return replace(self, needs_symbol=True, group_by=group_by, symbol_demanded="")

    def cost_of(self, quota: str) -> Cost:
        """Return what a request takes of a quota."""
        return next((cost for cost in self.costs if cost.quota == quota), Cost(quota, 1))

    def tokens(self, quota: str, ids: int) -> int:
        """Return how many tokens of a quota a request for so many ids takes."""
        cost = self.cost_of(quota)
        return cost.per_request + cost.per_id * ids


@dataclass(frozen=True, slots=True)
class Timer:
    """The venue's own timer: unless it is set anew in time, it cancels orders by itself, once.

    `route` sets it (purpose TIMER): of one symbol where it `needs_symbol`, else of the account.
    The types that it is documented to reach are the route's `ord_types`. The bounds are what
    the venue takes, in whole seconds; zero disarms it everywhere.
    """

    route: Route
    least_s: int
    most_s: int


@dataclass(frozen=True, slots=True)
class Batch:
    """References that travel in one HTTP request."""

    route: Route
    refs: tuple[OrderRef, ...]
    page: int = 1
    #: Of a list that tells its pages' ids: how many of its rows are read, and how many the
    #: venue gives on a page (0: not known). The next page begins before the first unread row.
    read: int = 0
    size: int = 0
    #: What the page before gave as the `Page.cursor` of this one.
    cursor: str = ""
    #: Of a list of open orders, a cancel-all or a timer, which have no references: of one
    #: symbol only.
    symbol: str = ""
    #: Of a timer: after so many seconds it fires; 0: never.
    after_s: int = 0

    @property
    def of_symbol(self) -> str:
        """The symbol of its list or of its references."""
        return self.refs[0].symbol if self.refs else self.symbol

    @property
    def lists_all(self) -> bool:
        """Whether the venue is asked for the whole list, as these are too many to be named."""
        return len(self.refs) > self.route.max_ids


@dataclass(frozen=True, slots=True)
class Projection:
    """The fields of a reply's rows that are read; `at` is the reply's name for its rows.

    Other fields are skipped: of a list of hundreds they are most of the work.
    """

    at: str
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request exactly as sent; `target` is path and query, `body` the very bytes.

    `projection` says what of a long reply is read; None: all of it.
    """

    method: str
    # A signature may stand in the query, or in the body.
    target: str = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    projection: Projection | None = None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply as received; `json` is None where the body is not JSON (then see `text`)."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    json: Any
    text: str = ""
    received_at: float = 0.0  # when its headers were read (monotonic seconds)


class Page(NamedTuple):
    """One page of a list as it came.

    Pages overlap: only then is it known that no row moved over an edge while they were read.
    """

    ids: tuple[str, ...]  # of its rows, in their order
    end: int  # rows of the list up to its last one
    total: int | None = None  # rows of the whole list, where the venue tells it
    size: int = 0  # rows that the venue gives on a page; 0: as many as asked for
    cursor: str = ""  # what asks for the next page, where the venue does not count rows


class Answer(NamedTuple):
    """The venue's own words on one id or on a whole request, not judged."""

    code: str = ""
    text: str = ""
    state: str = ""
    symbol: str = ""
    ord_type: OrdType | None = None
    cum_qty: str = ""  # executed so far, as the venue wrote it
    order_qty: str = ""  # the whole order, as the venue wrote it
    became: Became | None = None  # beside no state: the other order has one of its own


class OpenOrder(NamedTuple):
    """A row of a list of open orders, under the id by which the venue cancels it."""

    id: str
    symbol: str
    ord_types: frozenset[OrdType]  # what it may be, by what the row tells
    side: Side | None = None  # None: not told
    client_id: str | None = None  # None: not told; "": it has none
    state: str = ""  # the venue's word; "": the list shows none


@dataclass(frozen=True, slots=True)
class Answers:
    """What a reply says: by id, and of the request as a whole.

    `overall` speaks for every id that `by_id` does not name; without it an unnamed id is in
    doubt after a cancel and absent after a look-up. `truncated` says that a paged list goes on,
    or that a whole list may have been cut. `others` are orders that the reply shows though it
    was not asked about them, by any kind of id that names them. `page` tells the rows of a
    paged list, so that it can be proven that none was missed between two pages. `listed` are
    the rows of a list of open orders (`Venue.lists`), or the orders that the reply to a
    cancel-all names; None: the reply is no such list, or names none. `claimed` is how many
    orders a cancel-all says it took, where it does not name them all.
    """

    overall: Answer | None = None
    by_id: Mapping[str, Answer] = field(default_factory=dict)
    truncated: bool = False
    others: Mapping[IdKind, Mapping[str, Answer]] = field(default_factory=dict)
    page: Page | None = None
    listed: tuple[OpenOrder, ...] | None = None
    claimed: int | None = None


class UnknownSymbol(LookupError):
    """A request names an order by a number of its symbol, and nobody has told that number."""


#: What an account chooses that says nothing of itself.
NOTHING_CHOSEN: Mapping[str, str] = MappingProxyType({})


class Venue(ABC):
    """A trading venue. Subclass once, never twice; the file's docstring lists its quirks.

    Called with an account's options, the class gives the venue as this account needs it: then
    `chosen` holds a value for every option, and what depends on it is set in `__init__`.
    """

    name: ClassVar[str]
    #: What an account chooses, for all its orders.
    options: ClassVar[Sequence[Option]] = ()
    #: Modules that only this venue's file imports, where it uses them. The extra of this
    #: package that bears the venue's name installs them.
    modules: ClassVar[Sequence[str]] = ()
    base_url: str
    #: What authenticates; by the first one the venue knows the key.
    parts: ClassVar[Sequence[Part]] = (Part("api_key"), Part("api_secret"))
    routes: Sequence[Route]
    #: Every list of open orders of the account, for orders that no job names. What none of them
    #: can show (`Route.ord_types`), nobody finds.
    lists: Sequence[Route] = ()
    #: Every cancel-all of the account (FIX OrderMassCancelRequest) that reaches just the open
    #: orders of its types (`Route.ord_types`): of one symbol where it `needs_symbol`, else of
    #: all. One whose reach is not known to the last order is left out: it could reach more.
    cancel_alls: Sequence[Route] = ()
    #: Its own timer (a dead man's switch); None: it has none that requests keep.
    timer: Timer | None = None
    quotas: Mapping[str, Quota]
    rules: Sequence[Rule]
    #: Words of states, each in one spelling: case, spaces, `_`, `-` and the second `l` of
    #: "cancelled" make no difference.
    states: Mapping[str, OrdStatus]
    #: Shapes of ids, tried in this order where a job does not say the kind.
    id_shapes: Mapping[IdKind, re.Pattern[str]]
    #: How it asks for quiet.
    quiet: Quiet = Quiet()
    #: How long reads may lag behind effects: what shows an order open may be as old as that,
    #: and absence counts only after it. Not documented anywhere: a careful number, until
    #: somebody measures (replicas of a database are half a second to two seconds behind).
    read_lag_s: float = 2.0
    #: How long after a job an order that it names may come to be: a kill is sent just when
    #: orders are on their way. Not documented anywhere: a careful number.
    birth_lag_s: float = 3.0
    #: How long after its end an order may be missing from the records of what is over. Not
    #: documented anywhere: a careful number.
    record_lag_s: float = 3.0
    #: For how long a list may hide an order that is there. Not documented anywhere; seen for
    #: seconds at several venues: absence must have lasted for so long.
    hidden_s: float = 3.0
    #: The time of a signature is a number that has to grow from request to request of a key (a
    #: nonce). So a clock is never set back, and a request that is not answered keeps the next
    #: one back for so many seconds, lest they overtake each other. 0: neither.
    in_order_s: float = 0.0
    #: The venue keeps no record of (all) canceled orders: afterwards only somebody who saw an
    #: order before its cancel can know that there was one.
    forgets_canceled: bool = False
    #: Reads show whose orders they are, and not whether the key is taken.
    reads_unsigned: bool = False
    #: Unsigned, what tells the venue's own numbers of symbols, if its requests name orders by
    #: them; see `knowing`. It is read when one is missing, and no quota counts it.
    symbol_numbers: HttpRequest | None = None

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        self.chosen = {each.name: each.values[0] for each in self.options} | dict(chosen)

    def variants(self) -> list[Venue]:
        """Return this venue as it is under every choice of options."""
        names = [each.name for each in self.options]
        choices = product(*(each.values for each in self.options))
        return [type(self)(dict(zip(names, values, strict=True))) for values in choices]

    def knowing(self, reply: HttpReply) -> Venue:
        """Return this venue as it knows the numbers in a reply to `symbol_numbers`.

        Raises what `parse` may raise for a reply of another shape.
        """
        raise NotImplementedError

    @abstractmethod
    def build(self, batch: Batch) -> HttpRequest:
        """Return the unsigned request for a batch; ids and symbols are already checked.

        Raises:
            UnknownSymbol: it takes a number that is not known of the batch's symbol.
        """

    @abstractmethod
    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        """Return the request with what authenticates it at `now_ms` (Unix milliseconds).

        No two requests of an account are given the same time, so that it may serve as a nonce,
        also within the body.
        """

    @abstractmethod
    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        """Return the venue's words.

        May raise KeyError, TypeError, ValueError, AttributeError or IndexError for an
        undocumented shape: `judge` then calls the reply in doubt.
        """
