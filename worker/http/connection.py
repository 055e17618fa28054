"""Connections to a venue whose replies end in time, however slowly their bytes come.

The classes lean on undocumented parts, last read in Python 3.11.2 and urllib3 2.8.0; each has
a canary in `tests/worker/http/test_internals.py`:

* `http.client.HTTPResponse.fp` is a buffered reader made in `__init__`. A deadline for the
  headers needs it, as they are read before anybody else has the response.
* `http.client` makes each response by `response_class`, and urllib3 sends every part of a
  request by `self.send`, within `request`.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

#: A whole reply may take at most this many times what one read of it may.
MOST_PARTS = 2


class _UntilDeadline(io.RawIOBase):
    """A socket's bytes, until a deadline (monotonic seconds).

    Raises:
        TimeoutError: the deadline has passed.
    """

    def __init__(self, raw: io.RawIOBase, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the reply drips")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response with one deadline: a socket's timeout starts anew with each byte."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = time.monotonic() + MOST_PARTS * (sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), deadline))


class _OneWrite(http.client.HTTPConnection):
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
        """Send; within `request`, keep the part for the write at its end."""
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class Http(_OneWrite, HTTPConnection):
    """A connection without encryption, as to a sandbox."""

    response_class = _Response


class Https(_OneWrite, HTTPSConnection):
    """An encrypted connection."""

    response_class = _Response
