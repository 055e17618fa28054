"""Sends one signed request and returns the reply, or says whether it may have arrived.

The adapter leans on parts of requests and urllib3 that only subclasses should use, last read in
requests 2.34.2 and urllib3 2.8.0; each has a canary in `tests/worker/http/test_internals.py`.
"""

from __future__ import annotations

import ssl
import time
from typing import Any, cast

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)

from venues.base import HttpReply, HttpRequest, Projection
from worker.http.connection import Http, Https
from worker.http.reply_json import read_json

#: No venue's reply to a cancel or a look-up comes near this.
MOST_BODY_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_TEXT_CHARS = 2000


class NotSent(Exception):
    """The connection was never made: the venue cannot have seen the request."""


class InDoubt(Exception):
    """The request left, and no whole reply came back: it may have had its effect."""


#: Exception of requests, urllib3 or the system, what it proves, and its reason in a word. The
#: first row that fits counts; where none fits, the request is in doubt.
MEANINGS: tuple[tuple[type[Exception], type[NotSent] | type[InDoubt], str], ...] = (
    (NewConnectionError, NotSent, "unreachable"),  # also a name that nobody knows
    (ConnectTimeoutError, NotSent, "connect_timeout"),
    (ssl.SSLCertVerificationError, NotSent, "certificate"),
    (requests.exceptions.InvalidURL, NotSent, "bad_request"),
    (requests.exceptions.InvalidHeader, NotSent, "bad_request"),
    (urllib3.exceptions.TimeoutError, InDoubt, "timeout"),
    (TimeoutError, InDoubt, "timeout"),
    (ProtocolError, InDoubt, "connection_lost"),
    (OSError, InDoubt, "connection_lost"),
)


class Transport:
    """Connections to one venue host, kept open and shared by all accounts that use it.

    Redirects are not followed, proxies and cookies of the environment are not used,
    certificates are checked, and nothing is ever sent twice.
    """

    def __init__(self, base_url: str, *, connections: int = 64) -> None:
        self._base_url = base_url
        self._adapter = _OneHost(
            pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=False
        )

    def send(self, request: HttpRequest, timeout_s: float) -> HttpReply:
        """Send the very bytes of `request`; wait at most `timeout_s` seconds for each part.

        Raises:
            NotSent: no connection was made.
            InDoubt: no whole reply within twice the time, or one beyond every size.
        """
        try:
            response = self._adapter.send(
                self._prepared(request),
                stream=True,
                timeout=(timeout_s, timeout_s),
                verify=True,
            )
        except requests.RequestException as error:
            # Without the error itself: its text may hold a signature.
            raise meaning(error) from None
        received_at = time.monotonic()
        try:
            body = _read(response)
        finally:
            response.close()
        return _reply(response, body, request.projection, received_at)

    def close(self) -> None:
        """Close every connection."""
        self._adapter.close()

    def _prepared(self, request: HttpRequest) -> requests.PreparedRequest:
        # Filled in by hand: `prepare` would encode the target again and so break the signature.
        # `HTTPAdapter.send` reads these four attributes and no others.
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = self._base_url + request.target
        prepared.body = request.body or None
        headers = {"Accept-Encoding": "identity", "User-Agent": "cancel-worker"}
        prepared.headers = requests.structures.CaseInsensitiveDict(
            headers | dict(request.headers)
        )
        if request.body:
            prepared.headers["Content-Length"] = str(len(request.body))
        return prepared


class _OneHost(requests.adapters.HTTPAdapter):
    """Sends to one host alone, so it looks its pool of connections up once.

    `HTTPAdapter.send` gets its pool from `get_connection_with_tls_context`, and returns what
    `build_response` makes of urllib3's response. A pool makes connections by `ConnectionCls`.
    """

    _pool: urllib3.HTTPConnectionPool | None = None

    def get_connection_with_tls_context(
        self, *args: Any, **kwargs: Any
    ) -> urllib3.HTTPConnectionPool:
        """Return the host's pool."""
        if self._pool is None:
            found = super().get_connection_with_tls_context(*args, **kwargs)
            pool = cast(urllib3.HTTPConnectionPool, found)
            pool.ConnectionCls = Https if pool.scheme == "https" else Http
            self._pool = pool
        return self._pool

    def build_response(self, req: Any, resp: Any) -> requests.Response:  # noqa: ARG002
        """Return status, headers and body, without cookies, which take time to parse."""
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response


def _read(response: requests.Response) -> bytearray:
    announced = _announced(response)
    body = bytearray()
    try:
        while chunk := response.raw.read(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise InDoubt("body_too_large")
            if len(body) == announced:
                return body
    except (HTTPError, OSError) as error:
        raise InDoubt(str(meaning(error))) from None
    if announced is not None and len(body) != announced:
        raise InDoubt("half_body")
    return body


def _announced(response: requests.Response) -> int | None:
    """Return the announced length of the body; None: not announced, or of the packed body."""
    size = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(size) if size.isdigit() and not encoded else None


def meaning(error: Exception) -> NotSent | InDoubt:
    """Return what an exception proves, by the table."""
    cause = _cause(error)
    for raised, proof, word in MEANINGS:
        if isinstance(cause, raised):
            return proof(word)
    return InDoubt(type(cause).__name__)


def _cause(error: Exception) -> Exception:
    """Return what went wrong first: requests and urllib3 wrap it up to three times."""
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return error
    wrapped = isinstance(error, requests.RequestException) and error.args
    cause: object = error.args[0] if wrapped else error
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, SSLError):
        # Only a refused certificate proves that nothing was sent; the rest may come later.
        refused = (arg for arg in cause.args if isinstance(arg, ssl.SSLCertVerificationError))
        cause = next(refused, cause)
    return cause if isinstance(cause, Exception) else error


def _reply(
    response: requests.Response, body: bytearray, rows: Projection | None, received_at: float
) -> HttpReply:
    text = body.decode("utf-8", "replace")
    return HttpReply(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        json=read_json(text, rows),
        text=text[:_TEXT_CHARS],
        received_at=received_at,
    )
