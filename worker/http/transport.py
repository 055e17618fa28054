"""Sends one signed request and returns the reply, or says whether it may have arrived.

The adapter leans on parts of requests and urllib3 that only subclasses should use, last read in
requests 2.34.2 and urllib3 2.8.0; each has a canary in `tests/worker/http/test_internals.py`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)

from venues.base import HttpReply, HttpRequest, Projection
from worker.http.connection import Connection, Http, Https
from worker.http.peer import IDLE_S, Peer
from worker.http.reply_json import read_json
from worker.settings import DIRECT, Egress

#: No venue's reply to a cancel or a look-up comes near this.
MOST_BODY_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_TEXT_CHARS = 2000

#: A connection that is kept warm is made anew at this age, long before it counts as idle.
WARM_S = 20.0


class NotSent(Exception):
    """The connection was never made: the venue cannot have seen the request."""


class InDoubt(Exception):
    """The request left, and no whole reply came back: it may have had its effect."""


#: Exception of requests, urllib3 or the system, what it proves, and its reason in a word. The
#: first row that fits counts; where none fits, the request is in doubt.
MEANINGS: tuple[tuple[type[Exception], type[NotSent] | type[InDoubt], str], ...] = (
    (ProxyError, NotSent, "proxy"),
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

    def __init__(
        self,
        base_url: str,
        egress: Egress = DIRECT,
        *,
        connections: int = 64,
        idle_s: float = IDLE_S,
    ) -> None:
        self._base_url = base_url
        self._connect_s = egress.connect_timeout_s
        self._adapter = _OneHost(base_url, egress, connections, idle_s)

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
                timeout=(min(timeout_s, self._connect_s), timeout_s),
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

    def keep_warm(self, count: int = 1, younger_than_s: float = WARM_S) -> None:
        """Have so many connections ready that were made or used just now; nothing is asked.

        Raises:
            NotSent: one could not be made.
        """
        try:
            self._adapter.keep_warm(count, younger_than_s, self._connect_s)
        except (HTTPError, OSError) as error:
            raise meaning(error) from None

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
    """Sends to one host alone, by one pool of connections.

    `HTTPAdapter.send` gets its pool from `get_connection_with_tls_context`, lets `cert_verify`
    say which certificates count, and returns what `build_response` makes of urllib3's response.
    A pool makes connections by `ConnectionCls`; of those at hand `_get_conn` takes the one that
    `_put_conn` put back last.
    """

    def __init__(self, base_url: str, egress: Egress, connections: int, idle_s: float) -> None:
        super().__init__(pool_maxsize=connections, max_retries=0)
        encrypted = base_url.startswith("https:")
        # Made once: to read all public certificates takes longer than a handshake.
        tls: dict[str, Any] = {"ssl_context": _tls_context(egress)} if encrypted else {}
        if egress.proxy:
            manager = self.proxy_manager_for(egress.proxy, **tls)
        else:
            manager = urllib3.PoolManager(maxsize=connections, **tls)
        self._pool: urllib3.HTTPConnectionPool = manager.connection_from_url(base_url)
        at: Any = self._pool.proxy or self._pool
        source = (egress.source_address, 0) if egress.source_address else None
        peer = Peer(at.host, at.port, source=source, idle_s=idle_s)
        self._pool.ConnectionCls = partial(Https if encrypted else Http, peer=peer)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        """Return the host's pool."""
        return self._pool

    def cert_verify(self, *_: Any) -> None:
        """Leave it to the pool's TLS context."""

    def keep_warm(self, count: int, younger_than_s: float, connect_s: float) -> None:
        """Have so many connections on top of the pool that are young enough."""
        for _ in range(count):
            newest = self._take(count)
            self._give_back(newest)
            if min(each.heard_at for each in newest) >= time.monotonic() - younger_than_s:
                return
            fresh = self._connected(connect_s)
            newest = self._take(count)
            coldest = min(newest, key=lambda each: each.heard_at)
            coldest.close()
            self._give_back([fresh, *(each for each in newest if each is not coldest)])

    def _connected(self, connect_s: float) -> Connection:
        connection = cast(Connection, self._pool._new_conn())
        connection.timeout = connect_s
        try:
            if self._pool.proxy:
                self._pool._prepare_proxy(connection)
            else:
                connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _take(self, count: int) -> list[Connection]:
        return [cast(Connection, self._pool._get_conn()) for _ in range(count)]

    def _give_back(self, connections: Sequence[Connection]) -> None:
        """Put connections into the pool, which hands out the first of them next."""
        for connection in reversed(connections):
            self._pool._put_conn(connection)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def build_response(self, req: Any, resp: Any) -> requests.Response:  # noqa: ARG002
        """Return status, headers and body, without cookies, which take time to parse."""
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response


def _tls_context(egress: Egress) -> ssl.SSLContext:
    public = requests.utils.DEFAULT_CA_BUNDLE_PATH
    context = ssl.create_default_context(cafile=egress.ca_file or public)
    if egress.client_cert:
        context.load_cert_chain(egress.client_cert)
    return context


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
