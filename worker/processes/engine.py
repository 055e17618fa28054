"""The lanes that live in one process, and what they share: connections, tokens, one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from venues.base import Quota
from worker.http.transport import Transport
from worker.lane.holds import Load
from worker.lane.lane import MOST_IN_FLIGHT
from worker.pacing.pace import Pace
from worker.processes.driver import Deliver, Driver
from worker.settings import Account
from worker.stats import LaneStats, VenueCall

#: Threads that are started before the first request: for each lane as many as the requests that
#: usually leave at once when it begins, and at most this many in all. To start a thread in the
#: middle of a burst takes 0.2 ms.
READY_SENDERS = 5
MOST_READY = 200


@dataclass(frozen=True, slots=True)
class _Host:
    """What all accounts at one base URL share."""

    transport: Transport
    changed: threading.Condition = field(default_factory=threading.Condition)
    address_paces: dict[str, Pace] = field(default_factory=dict)

    def paces(self, quotas: Mapping[str, Quota]) -> dict[str, Pace]:
        """Return the pace of each quota: those of the address are shared."""
        return {
            name: self.address_paces.setdefault(name, Pace(quota))
            if quota.scope == "address"
            else Pace(quota)
            for name, quota in quotas.items()
        }


class Engine:
    """Makes the driver of each account at its first use. Any thread may call any method."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        deliver: Deliver,
        observe: Callable[[VenueCall], None],
    ) -> None:
        self._accounts = accounts
        self._deliver = deliver
        self._observe = observe
        self._lock = threading.Lock()
        self._drivers: dict[str, Driver] = {}
        self._hosts: dict[str, _Host] = {}
        self._load = Load()
        # As many as all lanes may use at once, so that no lane waits for another's requests.
        self._senders = ThreadPoolExecutor(MOST_IN_FLIGHT * len(accounts), "send")
        _start(self._senders, min(READY_SENDERS * len(accounts), MOST_READY))
        self._stopped = False

    def of(self, account: str) -> Driver:
        """Return the driver of an account."""
        with self._lock:
            if account not in self._drivers:
                self._drivers[account] = self._make(self._accounts[account])
                if self._stopped:
                    self._drivers[account].stop()
            return self._drivers[account]

    def _made(self) -> dict[str, Driver]:
        with self._lock:
            return dict(self._drivers)

    def _make(self, account: Account) -> Driver:
        host = self._hosts.get(account.base_url)
        if host is None:
            host = self._hosts[account.base_url] = _Host(Transport(account.base_url))
        return Driver(
            account,
            host.transport,
            host.paces(account.quotas),
            # Lanes that share tokens share a lock; nobody disturbs a lane that shares none.
            host.changed if account.shares_address else threading.Condition(),
            self._senders,
            self._deliver,
            self._observe,
            self._load,
        )

    def stats(self) -> dict[str, LaneStats]:
        """Return how each lane that was used stands."""
        return {name: driver.stats() for name, driver in self._made().items()}

    def release_all(self, why: str) -> None:
        """Give every task of every lane its waiting ids back."""
        for driver in self._made().values():
            driver.release(why)

    def stop(self) -> None:
        """Send nothing more; what is in flight is finished."""
        with self._lock:
            self._stopped = True  # also for drivers that are made from now on
        for driver in self._made().values():
            driver.stop()

    def close(self) -> None:
        """Close every connection."""
        for host in self._hosts.values():
            host.transport.close()


def _start(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start threads of a pool before there is work for them."""
    all_run = threading.Barrier(threads)
    for _ in range(threads):
        pool.submit(all_run.wait)
