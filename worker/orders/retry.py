"""Whether and when what is left of a job goes again: decided here, done in tasks/cancel.py."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from venues.words import OrderRef
from worker.orders.progress import OrderProgress

#: No wait grows beyond this many seconds.
LONGEST_BACKOFF_S = 30.0
#: Waits up to this are spent in the lane; longer ones at the broker, safe from a crash.
LONGEST_SLEEP_S = 1.0
#: Native delayed delivery counts in whole seconds and loses anything below one.
SHORTEST_COUNTDOWN_S = 1


class Returned(NamedTuple):
    """An id that its lane gave back: it may go on at `not_before` (monotonic seconds)."""

    ref: OrderRef
    progress: OrderProgress
    not_before: float
    why: str


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What is left goes again after `countdown_s` whole seconds, because of `why`."""

    countdown_s: int
    why: str


def backoff_s(attempt: int, base_s: float, rng: random.Random) -> float:
    """Return a full-jitter exponential wait for the attempt-th failure in a row, from 1."""
    most = min(LONGEST_BACKOFF_S, base_s * 2.0 ** min(attempt - 1, 16))
    return rng.uniform(0.0, most)


def retry_decision(
    left: Sequence[Returned], now: float, deadline: float
) -> RetryDecision | None:
    """Return when what is left goes again; None if nothing is left or the deadline has come.

    No wait is cut short (a venue's Retry-After is among them) but by the deadline, at which
    the ids get their final word.
    """
    if not left or now >= deadline:
        return None
    last = max(left, key=lambda parked: parked.not_before)
    wait_s = min(last.not_before, deadline) - now
    return RetryDecision(max(SHORTEST_COUNTDOWN_S, math.ceil(wait_s)), last.why)
