"""Connections to a venue: made in time, not used when they may be dead, read to a deadline.

The classes lean on undocumented parts, last read in Python 3.11.2 and urllib3 2.8.0; each has
a canary in `tests/worker/http/test_internals.py`:

* `http.client.HTTPResponse.fp` is a buffered reader made in `__init__`. A deadline for the
  headers needs it, as they are read before anybody else has the response.
* `http.client` makes each response by `response_class`, and urllib3 sends every part of a
  request by `self.send`, within `request`.
* urllib3's `connect` gets its socket from `_new_conn`, and its pool closes a connection that
  is not `is_connected` and lets it connect anew.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
)
from urllib3.response import HTTPResponse

from worker.http.peer import Peer

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


class Connection(HTTPConnection):
    """A connection that is made by its peer, and used no more once it may be dead.

    Whatever fails before it stands proves that no request has left.
    """

    def __init__(self, *args: Any, peer: Peer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = peer
        #: When the host was last heard (monotonic seconds).
        self.heard_at = 0.0

    def _new_conn(self) -> socket.socket:
        """Return a socket; its time-out is that of each further step, like the handshake."""
        timeout_s = cast(float, self.timeout)
        try:
            sock = self.peer.connect(timeout_s)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        sock.settimeout(timeout_s)
        return sock

    def _tunnel(self) -> None:
        """Let the proxy connect to the venue."""
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException) as error:
            raise ProxyError("the proxy makes no connection", error) from error

    def connect(self) -> None:
        """Connect, through a proxy's tunnel and the handshake of TLS where there are any."""
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise NewConnectionError(self, f"no connection: {error}") from error
        self.heard_at = time.monotonic()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Return the response, once its headers are there."""
        asked_at = time.monotonic()
        try:
            response = super().getresponse()
        except TimeoutError:
            self.peer.fell_silent(asked_at)
            raise
        self.heard_at = time.monotonic()
        return response

    def close(self) -> None:
        """Close; what was heard is past."""
        super().close()
        self.heard_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether the next request may go this way."""
        if self.sock is None or self.peer.is_suspect(self.heard_at):
            return False
        return super().is_connected or _has_nothing_to_say(self.sock)


def _has_nothing_to_say(sock: socket.socket) -> bool:
    """Whether what came on an idle connection is TLS' own, as a session ticket is."""
    sock.settimeout(0.0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        pass
    return False


class Http(_OneWrite, Connection):
    """A connection without encryption, as to a sandbox."""

    response_class = _Response


class Https(_OneWrite, Connection, HTTPSConnection):
    """An encrypted connection."""

    response_class = _Response
