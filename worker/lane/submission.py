"""What a job hands to its lane, and what the lane hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from venues.words import CancelOutcome, OrderRef, OrdType, Scope
from worker.orders.retry import Returned
from worker.pacing.pace import NEVER

_numbers = count(1)
#: Why a lane gives ids back as its worker ends in order.
STOPPING = "stopping"


class ListProof(NamedTuple):
    """A list, of one symbol or of all, and when the reads began that showed no order."""

    name: str
    symbol: str
    first: float
    last: float
    others: int  # orders outside of the scope that the last one showed


class ListUnread(NamedTuple):
    """A list that does not prove anything, and why."""

    name: str
    symbol: str
    reason: str


class CancelAllSaid(NamedTuple):
    """A cancel-all of the venue that is over, and how many orders it says it took.

    It is a claim, and proves nothing. None: the reply does not say, or none came.
    """

    name: str
    symbol: str
    claimed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEnd:
    """What a scope came to at its lane. Times: monotonic seconds.

    `goes_on` says why it was withdrawn before its time was over.
    """

    proofs: tuple[ListProof, ...] = ()
    resting: tuple[OrderRef, ...] = ()
    unread: tuple[ListUnread, ...] = ()
    left_out: tuple[tuple[tuple[OrdType, ...], str], ...] = ()
    cancel_alls: tuple[CancelAllSaid, ...] = ()
    goes_on: str = ""


class AskedScope(NamedTuple):
    """A scope, and when its job was accepted.

    `is_begun` says that a cancel has left for it already, before the job came back.
    """

    scope: Scope
    accepted_at: float
    is_begun: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Submission:
    """One job at the lane of its account, from its ids' coming in until all are handed back.

    It is made in Celery's process, which keeps no more of it than its number. Times are
    monotonic seconds, which the processes of one machine share.
    """

    account: str
    job_id: str
    kill: bool
    deadline: float
    received_at: float = NEVER  # when the worker read the job's message; infinite: unknown
    followed: bool = False  # when it was handed in, the worker had more of its lane's to read
    trace: str = ""  # the job's traceparent
    number: int = field(default_factory=_numbers.__next__)
    scope: AskedScope | None = None  # in place of ids: its lane finds them
    sent: tuple[float, float] | None = None  # when its first and its last cancel left
    withdrawn: str = ""  # why the job wants its ids back, as soon as they are not in flight
    # In the lane only, and here as tens of thousands of jobs of one id may wait:
    came_at: float = NEVER  # as in `OrderProgress`, of all its ids
    entries: tuple[Any, ...] = ()  # `Entry` of its ids, also of those that it was told of
    waits: int = 0  # so many ids are not handed back


#: What comes back for one id: its outcome, or the id itself for later.
Result = CancelOutcome | Returned


class Results(NamedTuple):
    """What came back for some ids of one submission."""

    number: int
    results: Sequence[Result]
    sent: tuple[float, float] | None = None  # as in `Submission`
    end: ScopeEnd | None = None  # nothing more comes of a scope
