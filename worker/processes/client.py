"""The lanes as Celery's process sees them: each lives in a child process."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn

from worker.lane.submission import Result, Results, ScopeEnd, Submission
from worker.orders.progress import Cohort
from worker.processes.protocol import (
    HEARTBEAT_S,
    AccountChanged,
    Acquire,
    Close,
    Command,
    Event,
    GetStats,
    Heartbeat,
    HoldRoutine,
    LogLines,
    Pipe,
    Release,
    SetTimer,
    Stats,
    Stop,
    SubmissionFailed,
    Submit,
    Withdraw,
)
from worker.settings import Account
from worker.stats import AccountCondition, LaneStats, VenueCall

#: How long a question for statistics waits for a busy process (seconds).
_STATS_TIMEOUT_S = 2.0
#: How long a process may take to end after `Close` (seconds).
_END_TIMEOUT_S = 5.0
#: Drives the lanes of some accounts in the new process, and ends it.
Serve = Callable[[Pipe[Event, Command], Mapping[str, Account]], NoReturn]


class LaneFailed(Exception):
    """A fault of ours in the lane: what became of the job's ids is not known."""


class Came(NamedTuple):
    """What came for a submission: results of some of its ids, or a fault of ours."""

    number: int
    what: Sequence[Result] | LaneFailed
    sent: tuple[float, float] | None = None  # as in `Submission`
    end: ScopeEnd | None = None  # nothing more comes of a scope


@dataclass(slots=True, eq=False)
class Inbox:
    """Where what comes for some submissions of an account is put."""

    account: str
    queue: SimpleQueue[Any] = field(default_factory=SimpleQueue[Any])
    #: Why the lane has given its ids back: from then on the jobs are another worker's.
    released: str = ""


class LaneClient:
    """One child process and the lanes that it drives. Any thread may call any method."""

    def __init__(self, pipe: Pipe[Command, Event], process: BaseProcess) -> None:
        self._pipe = pipe
        self._process = process
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Inbox] = {}  # by the numbers of submissions
        self._asked: dict[int, Future[Mapping[str, LaneStats]]] = {}
        #: How the venue serves each account, as far as that ever changed.
        self.conditions: dict[str, AccountCondition] = {}
        self._closing = threading.Event()
        self.name, self.pid = process.name, process.pid or 0
        atexit.register(self.close)

    def listen(
        self, observe: Callable[[VenueCall], None], write: Callable[[str], object]
    ) -> None:
        """Start to listen: `observe` gets each venue call, `write` the lines of the log."""
        listen = threading.Thread(target=self._listen, args=(observe, write), name=self.name)
        beat = threading.Thread(target=self._beat, name=f"{self.name}-heartbeat")
        for thread in (listen, beat):
            thread.daemon = True
            thread.start()

    def _beat(self) -> None:
        while not self._closing.wait(HEARTBEAT_S):
            self._pipe.send(Heartbeat())

    # -- for jobs ------------------------------------------------------------------------

    def submit(self, jobs: Sequence[tuple[Submission, Sequence[Cohort]]], inbox: Inbox) -> None:
        """Hand the ids of jobs of one account in; what comes of them is put into the inbox."""
        with self._lock:
            for submission, _ in jobs:
                self._pending[submission.number] = inbox
        packed = [(s, [cohort[:] for cohort in cohorts]) for s, cohorts in jobs]
        self._pipe.send(Submit(packed))

    def forget(self, number: int) -> None:
        """Expect nothing more for a submission."""
        with self._lock:
            self._pending.pop(number, None)

    def withdraw(self, account: str, number: int, why: str) -> None:
        """Ask for a job's ids back; those in flight come when their reply is in."""
        self._pipe.send(Withdraw(account, number, why))

    # -- for the worker ------------------------------------------------------------------

    def release(self, account: str, why: str) -> None:
        """Give every job of an account its ids back: another worker owns the lane."""
        with self._lock:
            for inbox in set(self._pending.values()):
                if inbox.account == account:
                    inbox.released = why
        self._pipe.send(Release(account, why))

    def acquire(self, account: str, *, after_another: bool) -> None:
        """Own an account's lane from now on, perhaps after another worker."""
        self._pipe.send(Acquire(account, after_another))

    def hold_routine(self, accounts: frozenset[str]) -> None:
        """Let nothing routine leave for these accounts, and for all others again."""
        self._pipe.send(HoldRoutine(accounts))

    def set_timer(self, account: str, *, armed: bool) -> None:
        """Have the venue's own timer of an account renewed, or disarmed."""
        self._pipe.send(SetTimer(account, armed))

    def stop(self) -> None:
        """Send nothing more; what is in flight is finished."""
        self._pipe.send(Stop())

    def stats(self) -> Mapping[str, LaneStats]:
        """Return how each lane that was used stands; nothing if the process is too busy."""
        return self._ask() or {}

    def wait(self) -> None:
        """Wait until the process answers, and every lane in it."""
        while self._ask() is None:
            pass

    def _ask(self) -> Mapping[str, LaneStats] | None:
        number, answer = next(self._numbers), Future[Mapping[str, LaneStats]]()
        self._asked[number] = answer
        self._pipe.send(GetStats(number))
        try:
            return answer.result(_STATS_TIMEOUT_S)
        except NoAnswer:
            self._asked.pop(number, None)
            return None

    def close(self) -> None:
        """End the process; jobs that still wait get nothing more."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._pipe.send(Close())
        self._process.join(_END_TIMEOUT_S)
        self._process.kill()
        self._pipe.close()

    # -- events --------------------------------------------------------------------------

    def _listen(
        self, observe: Callable[[VenueCall], None], write: Callable[[str], object]
    ) -> None:
        while (event := self._pipe.receive()) is not None:
            match event:
                case LogLines(text):
                    write(text)
                case VenueCall():
                    observe(event)
                case list():
                    for results in event:
                        self._hand(results)
                case SubmissionFailed(number, text):
                    self._fail(number, text)
                case Stats(number, lanes):
                    self._answer(number, lanes)
                case AccountChanged(account, condition):
                    self.conditions[account] = condition
        if not self._closing.is_set():
            self._lost()

    def _fail(self, number: int, text: str) -> None:
        with self._lock:
            inbox = self._pending.pop(number, None)
        if inbox is not None:
            inbox.queue.put(Came(number, LaneFailed(text)))

    def _answer(self, number: int, lanes: Mapping[str, LaneStats]) -> None:
        answer = self._asked.pop(number, None)
        if answer is not None:
            answer.set_result(lanes)

    def _hand(self, came: Results) -> None:
        with self._lock:
            inbox = self._pending.get(came.number)
        if inbox is not None:
            inbox.queue.put(Came(came.number, came.results, came.sent, came.end))

    def _lost(self) -> NoReturn:
        """End this process, too: the broker gives unacknowledged jobs to another worker."""
        self._process.join(_END_TIMEOUT_S)
        code = self._process.exitcode
        line = f"cancel-worker: its lane process {self.name} ended (exit code {code})"
        with suppress(OSError, ValueError):
            print(f"{line}; start it again", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(os.EX_SOFTWARE)


def start(
    accounts: Mapping[str, Account], serve: Serve, *, processes: int
) -> dict[str, LaneClient]:
    """Fork at most `processes` that `serve`; return the client of each account's lane.

    Call this before any thread is started: a lock that a thread holds stays held in the child.
    """
    context = get_context("fork")
    found: dict[str, LaneClient] = {}
    ours: list[Pipe[Command, Event]] = []
    for number, part in enumerate(partition(accounts, processes)):
        ends = context.Pipe()
        here, there = Pipe[Command, Event](ends[0]), Pipe[Event, Command](ends[1])
        ours.append(here)
        process = context.Process(
            target=_serve,
            args=(serve, there, tuple(ours), part),
            name=f"lanes-{number}",
            daemon=True,
        )
        process.start()
        there.close()
        found |= dict.fromkeys(part, LaneClient(here, process))
    return found


def _serve(
    serve: Serve,
    pipe: Pipe[Event, Command],
    others: Sequence[Pipe[Command, Event]],
    accounts: Mapping[str, Account],
) -> None:
    for other in others:  # an open copy would hide that Celery's process is gone
        other.close()
    serve(pipe, accounts)


def partition(accounts: Mapping[str, Account], parts: int) -> list[dict[str, Account]]:
    """Divide accounts among at most `parts` processes, evenly.

    Those that draw from one address's quota stay together: it is counted in one place.
    """
    together: dict[str, dict[str, Account]] = {}
    for name, account in accounts.items():
        key = account.base_url if account.shares_address else f"account {name}"
        together.setdefault(key, {})[name] = account
    found: list[dict[str, Account]] = [{} for _ in range(min(parts, len(together)))]
    for group in sorted(together.values(), key=len, reverse=True):
        min(found, key=len).update(group)
    return found
