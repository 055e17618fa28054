"""What a running worker holds: its settings, its lanes, its way out. Made once, at start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from weakref import WeakValueDictionary

from kombu import Connection

from worker.drive import Driver
from worker.intake import Intake
from worker.load import Load
from worker.model import CancelJob
from worker.observe import NOBODY, Observer
from worker.pace import Pace
from worker.publish import Publisher
from worker.recall import Recall
from worker.report import message_id
from worker.send import Transport
from worker.settings import Account, Settings
from worker.topology import is_embedded

#: Why ids leave a lane that is another worker's now.
DISOWNED = "disowned"


class Runtime:
    """The lanes of all accounts, and what they share."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Connection],
        observer: Observer = NOBODY,
    ) -> None:
        self.settings = settings
        self.embedded = is_embedded(settings.broker_url)
        self.publisher = Publisher(connect)
        self._recall = Recall(connect, self.publisher)
        self.observer = observer
        #: What the consumer read, for the task that comes of it; each lives with its message.
        self.readings: WeakValueDictionary[str, Intake] = WeakValueDictionary()
        self._owned: set[str] = set()
        self._lock = threading.Lock()
        self._drivers: dict[str, Driver] = {}
        self._transports: dict[str, Transport] = {}
        self._shared: dict[tuple[str, str], Pace] = {}
        self._hosts: dict[str, threading.Condition] = {}
        self._load = Load()
        self._stopped = False

    def driver(self, account: str) -> Driver:
        """Return the lane of an account, made at its first use."""
        with self._lock:
            if account not in self._drivers:
                self._drivers[account] = self._make(self.settings.accounts[account])
                if self._stopped:
                    self._drivers[account].stop()
            return self._drivers[account]

    def drivers(self) -> dict[str, Driver]:
        """Return the lanes made so far."""
        with self._lock:
            return dict(self._drivers)

    def _make(self, account: Account) -> Driver:
        transport = self._transports.setdefault(account.base_url, Transport(account.base_url))
        paces = {
            name: self._shared.setdefault((account.base_url, name), Pace(quota))
            if quota.scope == "address"
            else Pace(quota)
            for name, quota in account.quotas.items()
        }
        lock, observe = self._lock_of(account), self.observer.request
        return Driver(account, transport, paces, lock, observe, self._load)

    def _lock_of(self, account: Account) -> threading.Condition:
        """Lanes that share tokens share a lock; a lane of its own is disturbed by nobody."""
        if any(quota.scope == "address" for quota in account.quotas.values()):
            return self._hosts.setdefault(account.base_url, threading.Condition())
        return threading.Condition()

    def told_before(self, job: CancelJob) -> Future[list[bytes]]:
        """Find the outcomes that were published of a job before."""
        if self.embedded:  # that broker keeps nothing that was taken
            nothing: Future[list[bytes]] = Future()
            nothing.set_result([])
            return nothing
        names = [message_id(job.job_id, ref.id) for ref in job.refs]
        return self._recall.ask(job.account, names)

    def own(self, account: str) -> None:
        """Note that the account's lane is this worker's from now on."""
        self._owned.add(account)

    def owns(self, account: str) -> bool:
        """Say whether this worker is the one that serves the account's lane."""
        return account in self._owned

    def give_up(self, account: str) -> None:
        """Another worker owns the lane now, or will: send nothing more for it."""
        self._owned.discard(account)
        driver = self.drivers().get(account)
        if driver is not None:
            driver.give_up(DISOWNED)

    def stop(self) -> None:
        """Send nothing more; what is in flight is finished by its tasks."""
        with self._lock:
            self._stopped = True  # lanes that are owned from now on send nothing, too
        for driver in self.drivers().values():
            driver.stop()

    def close(self) -> None:
        """Publish what is left and end."""
        self._recall.close()
        self.publisher.close()
        for transport in self._transports.values():
            transport.close()
