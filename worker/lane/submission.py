"""What a job hands to its lane, and what the lane hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from venues.words import CancelOutcome
from worker.orders.retry import Returned
from worker.pacing.pace import NEVER

_numbers = count(1)


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
    trace: str = ""  # the job's traceparent
    number: int = field(default_factory=_numbers.__next__)
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
