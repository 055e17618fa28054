"""Connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305).

They are tried side by side: a dead route of one family costs a quarter of a second, not a whole
time-out. The libraries that do so (asyncio, aiohappyeyeballs) need an event loop.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple, cast

#: The next address is tried beside one that has not answered for so long (RFC 8305, section 5).
STAGGER_S = 0.25


class Address(NamedTuple):
    """An address as the system has it."""

    family: int
    at: Any


def in_turn(addresses: Sequence[Address], first: Address | None = None) -> list[Address]:
    """Return the addresses, families in turn; before them `first`, which answered last."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    mixed = [address for address in chain(*zip_longest(*families.values())) if address]
    return sorted(mixed, key=lambda address: address != first)


def connect(
    addresses: Iterable[Address], deadline: float, source: tuple[str, int] | None = None
) -> tuple[socket.socket, Address]:
    """Return the first connection that is made, and its address.

    Raises:
        TimeoutError: none was made until the deadline (monotonic seconds).
        OSError: every address has refused.
    """
    waiting, next_at = deque(addresses), 0.0
    with _Race(source) as race:
        while waiting or race.is_on:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError("no address answers")
            if waiting and (now >= next_at or not race.is_on):
                race.enter(waiting.popleft())
                next_at = now + STAGGER_S
            won = race.winner(min(deadline, next_at if waiting else deadline) - now)
            if won is not None:
                return won
        raise race.error


class _Race:
    """Connections that are being made."""

    def __init__(self, source: tuple[str, int] | None) -> None:
        self._source = source
        self._trying = selectors.DefaultSelector()
        self.error = OSError("no address")

    @property
    def is_on(self) -> bool:
        return bool(self._trying.get_map())

    def enter(self, address: Address) -> None:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            if self._source:
                sock.bind(self._source)
            sock.connect(address.at)
        except BlockingIOError:
            pass
        except OSError as error:  # as where the address to bind to is of another family
            sock.close()
            self.error = error
            return
        self._trying.register(sock, selectors.EVENT_WRITE, address)

    def winner(self, wait_s: float) -> tuple[socket.socket, Address] | None:
        """Return the first that stands; None if none does in time, or one has refused."""
        for key, _ in self._trying.select(wait_s) if self.is_on else ():
            sock = cast(socket.socket, key.fileobj)
            self._trying.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return sock, key.data
            sock.close()
            self.error = OSError(code, os.strerror(code))
        return None

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._trying.get_map().values()):
            cast(socket.socket, key.fileobj).close()
        self._trying.close()
