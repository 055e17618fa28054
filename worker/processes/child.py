"""The process in which lanes live: carries out the commands that come over the pipe."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Literal, NoReturn, TextIO, cast

import structlog

from worker import log
from worker.lane.submission import Submission
from worker.orders.progress import Cohort
from worker.processes.engine import Engine
from worker.processes.idle_gc import collect_when_idle
from worker.processes.protocol import (
    HEARTBEAT_S,
    Acquire,
    Close,
    Command,
    Event,
    GetStats,
    HoldRoutine,
    LogLines,
    Packed,
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
from worker.stats import NO_OBSERVER

#: Without a command for this long (seconds), Celery's process stands still. The broker gives a
#: lane away after two heartbeats of five seconds; by then this worker must have ceased to send.
SILENCE_S = 4.0
#: How long (seconds) a line of the log waits here for others: each message on the pipe wakes
#: Celery's process. That process logs outcomes itself, and at once.
LINGER_S = 0.02
#: Linux: asks for a signal to this process when its parent ends (sys/prctl.h).
_PR_SET_PDEATHSIG = 1
#: A supervisor or a terminal may signal all processes of a worker; the parent decides.
_FOR_THE_PARENT = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def serve(
    pipe: Pipe[Event, Command],
    accounts: Mapping[str, Account],
    *,
    form: Literal["json", "console"],
    observed: bool,
) -> NoReturn:
    """Drive the lanes of these accounts until Celery's process ends, and then end at once."""
    _end_with_parent()
    lines = log.set_up(
        (account.credential for account in accounts.values()),
        form,
        cast(TextIO, _LogStream(pipe)),
        LINGER_S,
    )
    collect_when_idle()
    handler = _Handler(pipe, accounts, observed=observed)
    watchdog = _Watchdog(handler.release_all)
    while (command := pipe.receive()) is not None:
        watchdog.heard_at = time.monotonic()
        if isinstance(command, Close):
            handler.close()
            lines.close()
            break
        handler.handle(command)
    # Threads that still wait for a venue are not joined: nobody is there to hear of a reply.
    os._exit(0)


def _end_with_parent() -> None:
    """End with a worker that was killed: another worker may own its lanes."""
    for number in _FOR_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere the closed pipe ends this process, a moment later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Watchdog:
    """Stops the lanes when Celery's process falls silent.

    That process may have been stopped (SIGSTOP, a debugger); then the broker gives its lanes to
    another worker.
    """

    def __init__(self, release_all: Callable[[], None]) -> None:
        self.heard_at = time.monotonic()
        self._release_all = release_all
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            silent_s = time.monotonic() - self.heard_at
            if silent_s > SILENCE_S:
                self._release_all()


class _LogStream:
    """A stream whose lines Celery's process writes: the lines of two writers would mix."""

    def __init__(self, pipe: Pipe[Event, Command]) -> None:
        self._pipe = pipe

    def write(self, text: str) -> int:
        self._pipe.send(LogLines(text))
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""


class _Handler:
    """Carries out commands; those for one account in the order in which they came."""

    def __init__(
        self, pipe: Pipe[Event, Command], accounts: Mapping[str, Account], *, observed: bool
    ) -> None:
        self._pipe = pipe
        observe = pipe.send if observed else NO_OBSERVER.venue_call
        self._engine = Engine(accounts, pipe.send, observe, pipe.send)
        # A thread for each account: the ids of one are queued while another's kill leaves.
        self._threads = {
            name: ThreadPoolExecutor(1, thread_name_prefix=f"in-{name}") for name in accounts
        }
        self._last: dict[str, Future[None]] = {}
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="stats")

    def handle(self, command: Command) -> None:
        """Carry a command out, or let the account's thread do so."""
        match command:
            case Submit(jobs):
                account = command.account
                self._in_turn(account, lambda: self._submit(account, jobs), command.few)
            case Withdraw(account, number, why):
                self._in_turn(account, lambda: self._engine.of(account).withdraw(number, why))
            case Release(account, why):
                self._in_turn(account, lambda: self._engine.of(account).release(why))
            case Acquire(account, after_another):
                self._in_turn(account, lambda: self._acquire(account, after_another))
            case SetTimer(account, armed):
                self._in_turn(account, lambda: self._engine.of(account).set_timer(armed=armed))
            case HoldRoutine(accounts):
                # For lanes to come at once; those that are there may queue ids meanwhile.
                for driver, held in self._engine.hold_routine(accounts):
                    self._aside.submit(_logged, partial(driver.hold_routine, held=held))
            case GetStats(number):
                self._aside.submit(lambda: self._pipe.send(Stats(number, self._engine.stats())))
            case Stop():
                self._engine.stop()

    def _in_turn(self, account: str, do: Callable[[], None], now: bool = False) -> None:
        """Run in the account's thread; or in this one if `now` and the account's is idle."""
        last = self._last.get(account)
        if now and (last is None or last.done()):
            _logged(do)
        else:
            self._last[account] = self._threads[account].submit(_logged, do)

    def _acquire(self, account: str, after_another: bool) -> None:
        driver = self._engine.of(account)  # made now, so that no kill waits for it
        if after_another:
            driver.assume_spent()

    def _submit(
        self, account: str, jobs: Sequence[tuple[Submission, Sequence[Packed]]]
    ) -> None:
        try:
            unpacked = [
                (submission, [Cohort._make(values) for values in packed])
                for submission, packed in jobs
            ]
            self._engine.of(account).submit(unpacked)
        except Exception as error:
            for submission, _ in jobs:
                failed = SubmissionFailed(submission.number, f"{type(error).__name__}: {error}")
                self._pipe.send(failed)
            raise

    def release_all(self) -> None:
        """Return all waiting ids; Celery's process reads them when it goes on."""
        self._engine.release_all(why="frozen")

    def close(self) -> None:
        """Close the connections to the venues."""
        self._engine.close()


def _logged(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception:  # noqa: BLE001 - the thread goes on with the next command
        structlog.get_logger().exception("lane_failed")
