"""The host at the other end: its addresses, and which connections to it may be dead.

Names are looked up in a thread beside the request, as nothing ends a look-up of the system in
time; and the last good addresses are kept, so that a dead name server stops no cancel.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from worker.http import happy_eyeballs
from worker.http.happy_eyeballs import Address

#: A connection that was silent for longer is not used again: what stands between may have
#: forgotten it without a word. Gateways do so after 350 s (AWS) and less.
IDLE_S = 30.0
#: An answer of the name server counts for so long without asking again.
FRESH_S = 10.0
#: A new answer is waited for so long where an older one is known.
GRACE_S = 0.25

#: The kernel notices a dead connection: an idle one within some 15 s, one that acknowledges
#: nothing of a request within 3 s. Not every system knows each option.
_OPTIONS = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 3000),
)
OPTIONS = [
    (level, getattr(socket, name), value)
    for level, name, value in _OPTIONS
    if hasattr(socket, name)
]

Resolve = Callable[[str, int], Sequence[Address]]


def resolve(host: str, port: int) -> Sequence[Address]:
    """Ask the system for the addresses of a host.

    Raises:
        OSError: it knows none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, at) for family, _, _, _, at in found]


class Peer:
    """Opens connections to a host. Any thread may call any method."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        source: tuple[str, int] | None = None,
        idle_s: float = IDLE_S,
        fresh_s: float = FRESH_S,
        resolve: Resolve = resolve,
    ) -> None:
        self._source, self._idle_s = source, idle_s
        self._names = _Names(host.strip("[]"), port, fresh_s, resolve)
        self._answered: Address | None = None
        self._suspect_before = 0.0

    def connect(self, timeout_s: float) -> socket.socket:
        """Return a connection; the look-up of the name counts against the time.

        Raises:
            TimeoutError: no address was known, or none answered, in time.
            OSError: nobody knows the name, or every address has refused.
        """
        deadline = time.monotonic() + timeout_s
        addresses = happy_eyeballs.in_turn(self._names.addresses(timeout_s), self._answered)
        sock, self._answered = happy_eyeballs.connect(addresses, deadline, self._source)
        for option in OPTIONS:
            sock.setsockopt(*option)
        return sock

    def fell_silent(self, asked_at: float) -> None:
        """Note that what was asked then was not answered in time: the way may be dead."""
        self._suspect_before = max(self._suspect_before, asked_at)

    def is_suspect(self, heard_at: float) -> bool:
        """Whether a connection that heard from the host then, and not since, may be dead."""
        return heard_at < max(self._suspect_before, time.monotonic() - self._idle_s)


class _Names:
    """The addresses of a name, looked up by one thread at a time."""

    def __init__(self, host: str, port: int, fresh_s: float, resolve: Resolve) -> None:
        self._host, self._port, self._fresh_s, self._resolve = host, port, fresh_s, resolve
        self._lock = threading.Lock()
        self._known: Sequence[Address] = ()
        self._known_at = self._asked_at = 0.0
        self._lookup: Future[Sequence[Address]] | None = None

    def addresses(self, timeout_s: float) -> Sequence[Address]:
        with self._lock:
            known, now = self._known, time.monotonic()
            if known and now - self._known_at < self._fresh_s:
                return known
            if self._lookup is None:
                self._lookup, self._asked_at = Future(), now
                threading.Thread(
                    target=self._look_up, args=[self._lookup], name="names", daemon=True
                ).start()
            lookup, grace_s = self._lookup, max(0.0, self._asked_at + GRACE_S - now)
        try:
            return lookup.result(min(timeout_s, grace_s) if known else timeout_s)
        except OSError:  # so is a TimeoutError
            if known:
                return known
            raise

    def _look_up(self, lookup: Future[Sequence[Address]]) -> None:
        try:
            found = self._resolve(self._host, self._port)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear; no name at all, too
            with self._lock:
                self._lookup = None
            lookup.set_exception(socket.gaierror(socket.EAI_NONAME, str(error)))
            return
        with self._lock:
            self._lookup, self._known, self._known_at = None, found, time.monotonic()
        lookup.set_result(found)
