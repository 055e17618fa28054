"""Connections to one venue host, whose answers come within a time, however slowly they drip."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, cast

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

#: How often the time that each part of an answer may take is what all of it may take.
PARTS_S = 2.0


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
        give_up = time.monotonic() + PARTS_S * (sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), give_up))


class _Http(HTTPConnection):
    response_class = _Answer


class _Https(HTTPSConnection):
    response_class = _Answer


class OneHost(requests.adapters.HTTPAdapter):
    """Sends to one host alone, so its connections need not be sought with each request."""

    _pool: urllib3.HTTPConnectionPool | None = None

    def get_connection_with_tls_context(
        self, *args: Any, **kwargs: Any
    ) -> urllib3.HTTPConnectionPool:
        """Return the connections to the host."""
        if self._pool is None:
            found = super().get_connection_with_tls_context(*args, **kwargs)
            pool = cast(urllib3.HTTPConnectionPool, found)
            pool.ConnectionCls = _Https if pool.scheme == "https" else _Http
            self._pool = pool
        return self._pool

    def build_response(self, req: Any, resp: Any) -> requests.Response:  # noqa: ARG002
        """Return status, headers and body; cookies, which nobody reads, would cost time."""
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response
