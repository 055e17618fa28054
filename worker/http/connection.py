"""Connections to a venue whose answers come within a time, however slowly they drip."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

#: All of an answer may take so many times what each part of it may.
MOST_PARTS = 2


class _InTime(io.RawIOBase):
    """What comes in until `give_up` (monotonic seconds)."""

    def __init__(self, raw: io.RawIOBase, give_up: float) -> None:
        self._raw = raw
        self._give_up = give_up

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._give_up:
            raise TimeoutError("the answer drips")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """A timeout of a socket counts anew with each byte; here all of them count together."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        give_up = time.monotonic() + MOST_PARTS * (sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), give_up))


class _InOne(http.client.HTTPConnection):
    """Sends headers and body with one write: as one packet, where they fit into it."""

    _parts: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        parts: list[bytes] = []
        self._parts = parts
        try:
            super().request(*args, **kwargs)
        finally:
            self._parts = None
        self.send(b"".join(parts))

    def send(self, data: Any) -> None:
        """Send, or keep what is a part of a request for its end."""
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class Http(_InOne, HTTPConnection):
    """A connection without encryption, as to a sandbox."""

    response_class = _Answer


class Https(_InOne, HTTPSConnection):
    """An encrypted connection."""

    response_class = _Answer
