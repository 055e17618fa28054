"""The lanes that live in one process, and what they share: connections, tokens, one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from venues.base import Quota
from worker.http.transport import InDoubt, NotSent, Transport
from worker.lane.holds import Load
from worker.lane.lane import MOST_IN_FLIGHT
from worker.pacing.pace import Pace
from worker.pacing.shared import SharedPace
from worker.processes.driver import Deliver, Driver
from worker.processes.protocol import AccountChanged
from worker.settings import Account, Egress
from worker.stats import LaneStats, VenueCall

#: Threads that are started before the first request: for each lane as many as the requests that
#: usually leave at once when it begins, and at most this many in all. To start a thread in the
#: middle of a burst takes 0.2 ms.
READY_SENDERS = 5
MOST_READY = 200
#: How often the connections that are kept warm are looked at, as a server may close one that
#: asks nothing when it likes; and most of them for one host.
WARM_EVERY_S = 5.0
MOST_WARM = 8
#: How long (seconds) the end waits for the venues to answer the last renewals of their timers.
HAND_OVER_S = 2.0


@dataclass(slots=True)
class _Way:
    """Connections to one host, shared by all accounts whose requests leave in the same way."""

    transport: Transport
    warm: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """What all accounts of one venue share at one base URL."""

    address_paces: Mapping[str, SharedPace]
    changed: threading.Condition = field(default_factory=threading.Condition)

    def paces(self, quotas: Mapping[str, Quota]) -> dict[str, Pace]:
        """Return the pace of each quota: those of the address are shared."""
        return {
            name: self.address_paces[name] if quota.scope == "address" else Pace(quota)
            for name, quota in quotas.items()
        }


def host_of(account: Account, others: Iterable[Account]) -> Host:
    """Return what an account shares with others; of each quota of the address the strictest.

    Accounts may state their address's quota in different words, or be of different products.
    """
    here = [
        other.quotas
        for other in others
        if (other.base_url, other.venue.name) == (account.base_url, account.venue.name)
    ]
    found: dict[str, Quota] = {}
    for name, quota in (item for quotas in here for item in quotas.items()):
        if quota.scope == "address":
            found[name] = min(found.get(name, quota), quota, key=_rate)
    return Host({name: SharedPace(quota) for name, quota in found.items()})


def _rate(quota: Quota) -> tuple[float, int]:
    return quota.limit / quota.window_s, quota.limit


class Engine:
    """Makes the driver of each account at its first use. Any thread may call any method."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        deliver: Deliver,
        observe: Callable[[VenueCall], None],
        tell: Callable[[AccountChanged], None],
    ) -> None:
        self._accounts = accounts
        self._deliver = deliver
        self._observe = observe
        self._tell = tell
        self._lock = threading.Lock()
        self._drivers: dict[str, Driver] = {}
        self._hosts: dict[tuple[str, str], Host] = {}
        self._ways: dict[tuple[str, Egress], _Way] = {}
        self._way_added = threading.Event()
        self._closed = False
        threading.Thread(target=self._keep_warm, name="warm", daemon=True).start()
        self._load = Load()
        # As many as all lanes may use at once, so that no lane waits for another's requests.
        self._senders = ThreadPoolExecutor(MOST_IN_FLIGHT * len(accounts), "send")
        _start(self._senders, min(READY_SENDERS * len(accounts), MOST_READY))
        self._stopped = False
        self._held: frozenset[str] = frozenset()

    def of(self, account: str) -> Driver:
        """Return the driver of an account."""
        with self._lock:
            if account not in self._drivers:
                self._drivers[account] = self._make(self._accounts[account])
                self._drivers[account].hold_routine(held=account in self._held)
                if self._stopped:
                    self._drivers[account].stop()
            return self._drivers[account]

    def hold_routine(self, accounts: frozenset[str]) -> list[tuple[Driver, bool]]:
        """Hold routine ids of these accounts alone, in lanes to come.

        Return the drivers of those that are there, each with what it has yet to be told.
        """
        with self._lock:
            self._held = accounts
            return [(driver, name in accounts) for name, driver in self._drivers.items()]

    def _made(self) -> dict[str, Driver]:
        with self._lock:
            return dict(self._drivers)

    def _make(self, account: Account) -> Driver:
        key = account.base_url, account.venue.name
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = host_of(account, self._accounts.values())
        return Driver(
            account,
            self._way(account).transport,
            host.paces(account.quotas),
            # Lanes that share tokens share a lock; nobody disturbs a lane that shares none.
            host.changed if account.shares_address else threading.Condition(),
            self._senders,
            self._deliver,
            self._observe,
            self._tell,
            self._load,
        )

    def _way(self, account: Account) -> _Way:
        where = account.base_url, account.egress
        way = self._ways.get(where)
        if way is None:
            way = self._ways[where] = _Way(Transport(*where))
        if account.keep_warm:
            way.warm = min(way.warm + 1, MOST_WARM)
            self._way_added.set()
        return way

    def _keep_warm(self) -> None:
        """Have a connection ready for each account, as its first request may be a kill."""
        while not self._closed:
            self._way_added.wait(WARM_EVERY_S)
            self._way_added.clear()
            with self._lock:
                ways = list(self._ways.values())
            for way in ways:
                # A venue that is away now may be back when it is needed; requests tell of it.
                with suppress(NotSent, InDoubt):
                    way.transport.keep_warm(way.warm)

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
        self._closed = True
        self._way_added.set()
        drivers = self._made().values()
        wait([each for driver in drivers for each in driver.handing_over], HAND_OVER_S)
        for way in self._ways.values():
            way.transport.close()


def _start(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start threads of a pool before there is work for them."""
    all_run = threading.Barrier(threads)
    for _ in range(threads):
        pool.submit(all_run.wait)
