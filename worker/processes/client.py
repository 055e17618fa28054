"""The lanes as the broker's side of a worker sees them: each lives in another process."""

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
from typing import NoReturn

from worker.lane.waiting import Result
from worker.orders.follow import Track
from worker.pacing.pace import NEVER
from worker.processes.protocol import (
    ALIVE_EVERY_S,
    Alive,
    Answer,
    Ask,
    Close,
    Failed,
    Fresh,
    GiveUp,
    Handed,
    Link,
    Logged,
    Order,
    Own,
    Share,
    Stop,
    Submit,
    Told,
    Withdraw,
)
from worker.settings import Account
from worker.stats import Figures, Seen

#: How long somebody who asks for figures waits for a busy process (seconds).
_FIGURES_TIMEOUT_S = 2.0
#: How long a process may take to end when it is told to (seconds).
_END_TIMEOUT_S = 5.0
#: Drives the lanes of some accounts in the new process, and ends it.
Serve = Callable[[Link[Told, Order], Mapping[str, Account]], NoReturn]


class LaneFailed(Exception):
    """A fault of ours in the lane: what became of the job's ids is not known."""


@dataclass(slots=True, eq=False)
class Errand:
    """The ids of a running task at their lane: what came of them arrives in the inbox."""

    account: str
    job_id: str
    kill: bool
    deadline: float  # monotonic seconds
    came_at: float = NEVER  # when the worker read its message
    trace: str = ""
    leaving: str = ""  # why it gets its ids back
    number: int = 0
    missing: int = 0  # ids that nothing came of yet
    inbox: SimpleQueue[Sequence[Result] | LaneFailed] = field(default_factory=SimpleQueue)


class LaneProcess:
    """A process that drives lanes. All public methods may be called from any thread."""

    def __init__(self, link: Link[Order, Told], process: BaseProcess) -> None:
        self._link = link
        self._process = process
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._errands: dict[int, Errand] = {}
        self._asked: dict[int, Future[Mapping[str, Figures]]] = {}
        self._closing = threading.Event()
        self.name, self.pid = process.name, process.pid or 0
        atexit.register(self.close)

    def begin(self, observe: Callable[[Seen], None], write: Callable[[str], object]) -> None:
        """Listen: `observe` is told of each request, `write` gets the lines of its log."""
        listen = threading.Thread(target=self._listen, args=(observe, write), name=self.name)
        touch = threading.Thread(target=self._keep_in_touch, name=f"{self.name}-alive")
        for thread in (listen, touch):
            thread.daemon = True
            thread.start()

    def _keep_in_touch(self) -> None:
        while not self._closing.wait(ALIVE_EVERY_S):
            self._link.send(Alive())

    # -- what tasks do -------------------------------------------------------------------

    def submit(self, errand: Errand, ids: Fresh | Sequence[Track], count: int) -> None:
        """Hand so many ids in."""
        errand.number, errand.missing = next(self._numbers), count
        with self._lock:
            self._errands[errand.number] = errand
        self._link.send(
            Submit(
                errand.account,
                errand.number,
                errand.job_id,
                errand.kill,
                errand.deadline,
                errand.came_at,
                errand.trace,
                ids,
            )
        )

    def withdraw(self, errand: Errand, why: str) -> None:
        """Ask for a task's ids back; those in flight come when their answer is in."""
        errand.leaving = errand.leaving or why
        self._link.send(Withdraw(errand.account, errand.number, why))

    # -- what the worker does ------------------------------------------------------------

    def give_up(self, account: str, why: str) -> None:
        """Give every task of an account its ids back: this worker no longer owns the lane."""
        with self._lock:
            for errand in self._errands.values():
                if errand.account == account:
                    errand.leaving = why
        self._link.send(GiveUp(account, why))

    def own(self, account: str, *, after_another: bool) -> None:
        """Own the lane from now on, perhaps after somebody else."""
        self._link.send(Own(account, after_another))

    def stop(self) -> None:
        """Send nothing more; what is in flight is finished."""
        self._link.send(Stop())

    def figures(self) -> Mapping[str, Figures]:
        """Return how each lane that was used stands now; nothing if it is too busy to say."""
        number, answer = next(self._numbers), Future[Mapping[str, Figures]]()
        self._asked[number] = answer
        self._link.send(Ask(number))
        try:
            return answer.result(_FIGURES_TIMEOUT_S)
        except NoAnswer:
            self._asked.pop(number, None)
            return {}

    def close(self) -> None:
        """End the process; what its tasks still wait for does not come."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._link.send(Close())
        self._process.join(_END_TIMEOUT_S)
        self._process.kill()
        self._link.close()

    # -- what comes back -----------------------------------------------------------------

    def _listen(self, observe: Callable[[Seen], None], write: Callable[[str], object]) -> None:
        while (told := self._link.receive()) is not None:
            match told:
                case Logged(text):
                    write(text)
                case Seen():
                    observe(told)
                case Handed(shares):
                    for share in shares:
                        self._hand(share)
                case Failed(number, text):
                    self._fail(number, text)
                case Answer(number, figures):
                    self._answer(number, figures)
        if not self._closing.is_set():
            self._lost()

    def _fail(self, number: int, text: str) -> None:
        with self._lock:
            errand = self._errands.pop(number, None)
        if errand is not None:
            errand.inbox.put(LaneFailed(text))

    def _answer(self, number: int, figures: Mapping[str, Figures]) -> None:
        answer = self._asked.pop(number, None)
        if answer is not None:
            answer.set_result(figures)

    def _hand(self, share: Share) -> None:
        with self._lock:
            errand = self._errands.get(share.number)
            if errand is None:
                return
            errand.missing -= len(share.results)
            if errand.missing <= 0:
                del self._errands[share.number]
            errand.leaving = errand.leaving or share.leaving
        errand.inbox.put(share.results)

    def _lost(self) -> NoReturn:
        """End at once: the broker gives what is not acknowledged to the next worker."""
        self._process.join(_END_TIMEOUT_S)
        code = self._process.exitcode
        line = f"cancel-worker: its lane process {self.name} ended (exit code {code})"
        with suppress(OSError, ValueError):
            print(f"{line}; start it again", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(os.EX_SOFTWARE)


def start(
    accounts: Mapping[str, Account], serve: Serve, *, processes: int
) -> dict[str, LaneProcess]:
    """Start at most so many processes that `serve`; return the one for each account's lane.

    To be called before any thread is started: what a thread holds would stay held for ever.
    """
    context = get_context("fork")
    found: dict[str, LaneProcess] = {}
    ours: list[Link[Order, Told]] = []
    for number, part in enumerate(parted(accounts, processes)):
        ends = context.Pipe()
        here, there = Link[Order, Told](ends[0]), Link[Told, Order](ends[1])
        ours.append(here)
        process = context.Process(
            target=_serve,
            args=(serve, there, tuple(ours), part),
            name=f"lanes-{number}",
            daemon=True,
        )
        process.start()
        there.close()
        found |= dict.fromkeys(part, LaneProcess(here, process))
    return found


def _serve(
    serve: Serve,
    link: Link[Told, Order],
    others: Sequence[Link[Order, Told]],
    accounts: Mapping[str, Account],
) -> None:
    for other in others:  # a copy that stays open would hide that the other side is gone
        other.close()
    serve(link, accounts)


def parted(accounts: Mapping[str, Account], parts: int) -> list[dict[str, Account]]:
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
