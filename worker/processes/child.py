"""The process in which lanes live: takes orders from the link, drives, and tells what came."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NoReturn, TextIO, cast
from weakref import WeakValueDictionary

import structlog

from worker import log
from worker.lane.waiting import Result
from worker.orders.alike import alike
from worker.processes.engine import Drivers
from worker.processes.idle_gc import collect_when_idle
from worker.processes.protocol import (
    ALIVE_EVERY_S,
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
    Ticket,
    Told,
    Withdraw,
)
from worker.settings import Account
from worker.stats import NOBODY

#: After so long (seconds) it stands still. The broker gives a lane away after two heartbeats of
#: five seconds; by then this worker must have ceased to send.
SILENCE_S = 4.0
#: So long (seconds) lines of the log wait here for others: each message on the link wakes the
#: other side. What became of an id is logged there, and at once.
LINGER_S = 0.02
#: Linux: the signal that a process gets when the one that made it ends (sys/prctl.h).
_PR_SET_PDEATHSIG = 1
#: A supervisor, or a terminal, may signal all processes of a worker; the other side decides.
_FOR_THE_OTHER_SIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def serve(
    link: Link[Told, Order],
    accounts: Mapping[str, Account],
    *,
    form: Literal["json", "console"],
    observed: bool,
) -> NoReturn:
    """Drive the lanes of these accounts until the other side ends, and then end at once."""
    _end_with_parent()
    lines = log.set_up(
        (account.credential for account in accounts.values()),
        form,
        cast(TextIO, _LinkStream(link)),
        LINGER_S,
    )
    collect_when_idle()
    lanes = _Lanes(link, accounts, observed=observed)
    watch = _Watch(lanes.give_back)
    while (order := link.receive()) is not None:
        watch.heard_at = time.monotonic()
        if isinstance(order, Close):
            lanes.close()
            lines.close()
            break
        lanes.take(order)
    # Without a look at threads that still wait for a venue: nobody is there to hear of it.
    os._exit(0)


def _end_with_parent() -> None:
    """See that nothing is sent for a worker that was killed: another may own its lanes."""
    for number in _FOR_THE_OTHER_SIDE:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere the closed link ends it, a moment later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Watch:
    """Sees to it that nothing more is sent for a side that has fallen silent.

    It may have been stopped (SIGSTOP, a debugger), and then the broker gives its lanes away.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self.heard_at = time.monotonic()
        self._give_back = give_back
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(ALIVE_EVERY_S)
            silent_s = time.monotonic() - self.heard_at
            if silent_s > SILENCE_S:
                self._give_back()


class _LinkStream:
    """A stream whose lines the other side writes: two writers would mix theirs up."""

    def __init__(self, link: Link[Told, Order]) -> None:
        self._link = link

    def write(self, text: str) -> int:
        self._link.send(Logged(text))
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""


class _Lanes:
    """Does what the other side asks for; what it asks of one account in the order it came."""

    def __init__(
        self, link: Link[Told, Order], accounts: Mapping[str, Account], *, observed: bool
    ) -> None:
        self._link = link
        observe = link.send if observed else NOBODY.request
        self._drivers = Drivers(accounts, self._deliver, observe)
        # Alive for as long as its lane has ids of it.
        self._tickets: WeakValueDictionary[int, Ticket] = WeakValueDictionary()
        # A thread for each account: the ids of one are queued while another's kill leaves.
        self._threads = {
            name: ThreadPoolExecutor(1, thread_name_prefix=f"in-{name}") for name in accounts
        }
        self._last: dict[str, Future[None]] = {}
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="figures")

    def take(self, order: Order) -> None:
        """Do what was asked for, or have it done by the account's thread."""
        match order:
            case Submit():
                self._in_turn(order.account, lambda: self._submit(order), order.few)
            case Withdraw():
                self._in_turn(order.account, lambda: self._withdraw(order))
            case GiveUp(account, why):
                self._in_turn(account, lambda: self._drivers.of(account).give_up(why))
            case Own(account, after_another):
                self._in_turn(account, lambda: self._own(account, after_another))
            case Ask(number):
                self._aside.submit(
                    lambda: self._link.send(Answer(number, self._drivers.figures()))
                )
            case Stop():
                self._drivers.stop()

    def _in_turn(self, account: str, do: Callable[[], None], now: bool = False) -> None:
        """Do it in the account's thread; what is done `now` nobody else may be doing there."""
        last = self._last.get(account)
        if now and (last is None or last.done()):
            _logged(do)
        else:
            self._last[account] = self._threads[account].submit(_logged, do)

    def _own(self, account: str, after_another: bool) -> None:
        driver = self._drivers.of(account)  # made now, and not when the first kill comes
        if after_another:
            driver.take_over()

    def _submit(self, order: Submit) -> None:
        ticket = Ticket(
            job_id=order.job_id,
            kill=order.kill,
            deadline=order.deadline,
            came_at=order.came_at,
            trace=order.trace,
            number=order.number,
        )
        self._tickets[order.number] = ticket
        try:
            ids = order.ids.start() if isinstance(order.ids, Fresh) else alike(order.ids)
            self._drivers.of(order.account).submit(ticket, ids)
        except Exception as error:
            self._link.send(Failed(order.number, f"{type(error).__name__}: {error}"))
            raise

    def _withdraw(self, order: Withdraw) -> None:
        ticket = self._tickets.get(order.number)
        if ticket is not None:
            self._drivers.of(order.account).withdraw(ticket, order.why)

    def _deliver(self, shares: Mapping[Ticket, Sequence[Result]]) -> None:
        self._link.send(
            Handed(
                [
                    Share(ticket.number, ticket.leaving, results)
                    for ticket, results in shares.items()
                ]
            )
        )

    def give_back(self) -> None:
        """Give the other side all ids that wait; it will find them when it goes on."""
        self._drivers.give_back(why="frozen")

    def close(self) -> None:
        """Close the connections to the venues."""
        self._drivers.close()


def _logged(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception:  # noqa: BLE001 - the thread goes on with what is asked next
        structlog.get_logger().exception("lane_failed")
