"""Commands to the lanes, events from them, and the pipe that carries both.

Celery's process takes jobs from the broker and publishes outcomes; child processes drive the
lanes. Both are one program, forked, so nothing here is stored or comes from another version.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Generic, NamedTuple, TypeVar

from venues.words import OrdType
from worker.lane.submission import Results, Submission
from worker.orders.progress import OrderProgress
from worker.stats import AccountCondition, LaneStats, VenueCall

#: How often (seconds) Celery's process says that it runs.
HEARTBEAT_S = 1.0
#: To queue this many ids takes some tenths of a millisecond.
FEW_IDS = 20


# -- commands, to the lanes --------------------------------------------------------------


#: A `Cohort` as a plain tuple, which takes a quarter of the time to pack.
Packed = tuple[OrderProgress, str, OrdType, tuple[str, ...]]


class Submit(NamedTuple):
    """Take the ids of submissions of one account in."""

    jobs: Sequence[tuple[Submission, Sequence[Packed]]]

    @property
    def account(self) -> str:
        """Whose lane it is."""
        return self.jobs[0][0].account

    @property
    def few(self) -> bool:
        """Whether to queue the ids takes no time worth speaking of."""
        return sum(len(ids) for _, cohorts in self.jobs for *_, ids in cohorts) <= FEW_IDS


class Withdraw(NamedTuple):
    """Give a submission its ids back."""

    account: str
    number: int
    why: str


class Release(NamedTuple):
    """Give every job of an account its ids back: another worker owns the lane."""

    account: str
    why: str


class Acquire(NamedTuple):
    """Own a lane, perhaps after another worker, which may have used its quotas just now."""

    account: str
    after_another: bool


class HoldRoutine(NamedTuple):
    """Let nothing routine leave for these accounts, and for all others again."""

    accounts: frozenset[str]


class SetTimer(NamedTuple):
    """Have the venue's own timer of an account renewed, or disarmed."""

    account: str
    armed: bool


class Stop(NamedTuple):
    """Send nothing more."""


class GetStats(NamedTuple):
    """Ask how each lane stands."""

    number: int


class Heartbeat(NamedTuple):
    """Celery's process still runs."""


class Close(NamedTuple):
    """End: nobody waits for anything."""


# -- events, from the lanes --------------------------------------------------------------


class SubmissionFailed(NamedTuple):
    """A fault of ours: the submission of this number gets nothing more."""

    number: int
    text: str


class Stats(NamedTuple):
    """How each lane stands, by account: the answer to `GetStats`."""

    number: int
    lanes: Mapping[str, LaneStats]


class AccountChanged(NamedTuple):
    """How the venue serves an account from now on."""

    account: str
    condition: AccountCondition


class LogLines(NamedTuple):
    """Lines for the worker's log."""

    text: str


Command = (
    Submit
    | Withdraw
    | Release
    | Acquire
    | HoldRoutine
    | SetTimer
    | Stop
    | GetStats
    | Heartbeat
    | Close
)
Event = list[Results] | SubmissionFailed | Stats | AccountChanged | LogLines | VenueCall

Sends = TypeVar("Sends", bound=Command | Event)
Receives = TypeVar("Receives", bound=Command | Event)


class Pipe(Generic[Sends, Receives]):
    """One end of the pipe. Any thread may `send`; one thread receives.

    In Celery's process the receiving thread never sends, so it always receives again: the two
    sides cannot wait for each other.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Sends) -> None:
        """Send; if the other side is gone, the receiving thread notices."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending, suppress(OSError):
            self._connection.send_bytes(body)

    def receive(self) -> Receives | None:
        """Wait for the next message; None when the other side is gone."""
        try:
            body = self._connection.recv_bytes()
        except (EOFError, OSError):
            return None
        message: Receives = pickle.loads(body)  # noqa: S301 - from our own fork alone
        return message

    def close(self) -> None:
        """Close this end."""
        self._connection.close()
