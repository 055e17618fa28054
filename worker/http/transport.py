"""Sends one signed request and returns the reply, or says whether it may have arrived."""

from __future__ import annotations

import ssl
import time
from typing import Any, NoReturn, cast

import requests
import urllib3
from urllib3.exceptions import (
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)

from venues.base import HttpReply, HttpRequest, Projection
from worker.http.connection import Http, Https
from worker.http.reply_json import read_json

#: No venue's answer to a cancel or a look-up comes near this.
MOST_BODY_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_TEXT_CHARS = 2000


class NotSent(Exception):
    """The connection was never made: the venue cannot have seen the request."""


class InDoubt(Exception):
    """The request left, and no whole reply came back: it may have had its effect."""


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
            _explain(error)
        came_at = time.monotonic()
        try:
            body = _read(response)
        finally:
            response.close()
        return _reply(response, body, request.projection, came_at)

    def close(self) -> None:
        """Close every connection."""
        self._adapter.close()

    def _prepared(self, request: HttpRequest) -> requests.PreparedRequest:
        # Filled in by hand: requests would encode the target again and so break the signature.
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
    """Sends to one host alone, so its connections need not be sought with each request."""

    _pool: urllib3.HTTPConnectionPool | None = None

    def get_connection_with_tls_context(
        self, *args: Any, **kwargs: Any
    ) -> urllib3.HTTPConnectionPool:
        """Return the connections to the host."""
        if self._pool is None:
            found = super().get_connection_with_tls_context(*args, **kwargs)
            pool = cast(urllib3.HTTPConnectionPool, found)
            pool.ConnectionCls = Https if pool.scheme == "https" else Http
            self._pool = pool
        return self._pool

    def build_response(self, req: Any, resp: Any) -> requests.Response:  # noqa: ARG002
        """Return status, headers and body; cookies, which nobody reads, would cost time."""
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
        raise InDoubt(_word(error)) from None
    if announced is not None and len(body) != announced:
        raise InDoubt("half_body")
    return body


def _announced(response: requests.Response) -> int | None:
    """Return how many bytes were announced; None: it cannot be known of what was unpacked."""
    size = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(size) if size.isdigit() and not encoded else None


def _explain(error: requests.RequestException) -> NoReturn:
    """Say whether the request can have arrived; the error's own text may hold a signature."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    if isinstance(error, requests.ConnectTimeout):
        raise NotSent("connect_timeout") from None
    if isinstance(reason, NewConnectionError | NameResolutionError):
        raise NotSent("unreachable") from None
    if isinstance(reason, SSLError) and _of_certificate(reason):
        raise NotSent("certificate") from None
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        raise NotSent("bad_request") from None
    raise InDoubt("timeout" if isinstance(error, requests.Timeout) else _word(reason)) from None


def _of_certificate(error: SSLError) -> bool:
    """Only a refused certificate proves that nothing was sent; the rest may come later."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args)


def _word(error: object) -> str:
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timeout"
    if isinstance(error, ProtocolError | OSError):
        return "connection_lost"
    return type(error).__name__


def _reply(
    response: requests.Response, body: bytearray, rows: Projection | None, came_at: float
) -> HttpReply:
    text = body.decode("utf-8", "replace")
    return HttpReply(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        json=read_json(text, rows),
        text=text[:_TEXT_CHARS],
        received_at=came_at,
    )
