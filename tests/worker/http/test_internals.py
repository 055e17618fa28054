"""Canaries: undocumented parts of http.client, urllib3 and requests are as they were when read.

A failure names the file of ours to read again beside the new release.
"""

from __future__ import annotations

import http.client
import inspect
import io
import socket
from collections.abc import Iterator

import pytest
import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
)

CONNECTION = "read worker/http/connection.py again"
TRANSPORT = "read worker/http/transport.py again"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_a_response_reads_from_a_buffered_reader(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    response = http.client.HTTPResponse(ends[0])

    assert isinstance(response.fp, io.BufferedReader), CONNECTION
    assert isinstance(response.fp.detach(), io.RawIOBase), CONNECTION


@pytest.mark.parametrize("kind", [HTTPConnection, HTTPSConnection])
def test_a_connection_makes_its_response_by_its_class(kind: type[HTTPConnection]) -> None:
    assert issubclass(kind, http.client.HTTPConnection), CONNECTION
    assert kind.response_class is http.client.HTTPResponse, CONNECTION
    made = inspect.getsource(http.client.HTTPConnection.getresponse)
    assert "self.response_class(" in made, CONNECTION
    assert "super().getresponse()" in inspect.getsource(kind.getresponse), CONNECTION


def test_all_parts_of_a_request_leave_by_send(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    parts: list[bytes] = []

    class Connection(HTTPConnection):
        def send(self, data: object) -> None:
            assert isinstance(data, bytes), CONNECTION
            parts.append(data)

    connection = Connection("127.0.0.1")
    connection.sock = ends[0]
    connection.request("POST", "/cancel", body=b"{}", headers={"Content-Length": "2"})

    assert b"".join(parts).startswith(b"POST /cancel HTTP/1.1\r\n"), CONNECTION
    assert b"".join(parts).endswith(b"\r\n\r\n{}"), CONNECTION
    ends[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        assert not ends[1].recv(1), CONNECTION


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_pool_makes_its_connections_by_its_class(scheme: str) -> None:
    pool = urllib3.connection_from_url(f"{scheme}://127.0.0.1:1")
    assert issubclass(pool.ConnectionCls, HTTPConnection), TRANSPORT

    class Connection(pool.ConnectionCls):  # type: ignore[misc,name-defined]
        pass

    pool.ConnectionCls = Connection
    assert isinstance(pool._new_conn(), Connection), TRANSPORT


def test_a_pool_hands_out_what_came_back_last_and_closes_what_is_not_connected() -> None:
    class Connection(HTTPConnection):
        is_connected, closed = True, 0

        def close(self) -> None:
            self.closed += 1

    pool = urllib3.HTTPConnectionPool("127.0.0.1", 1, maxsize=2)
    older, newer = Connection("127.0.0.1", 1), Connection("127.0.0.1", 1)
    pool._get_conn(), pool._get_conn()
    pool._put_conn(older)
    pool._put_conn(newer)
    newer.is_connected = False

    assert pool._get_conn() is newer, TRANSPORT
    assert pool._get_conn() is older, TRANSPORT
    assert (newer.closed, older.closed) == (1, 0), TRANSPORT


@pytest.mark.parametrize("kind", [HTTPConnection, HTTPSConnection])
def test_a_connection_gets_its_socket_from_one_method(kind: type[HTTPConnection]) -> None:
    class Connection(kind):  # type: ignore[valid-type,misc]
        def _new_conn(self) -> socket.socket:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Connection("127.0.0.1", 1).connect()


def test_an_adapter_asks_for_its_pool_and_for_its_response() -> None:
    called: list[str] = []

    class Adapter(requests.adapters.HTTPAdapter):
        def get_connection_with_tls_context(  # type: ignore[no-untyped-def]
            self, request, verify, proxies=None, cert=None
        ):
            called.append("pool")
            return pool

        def cert_verify(self, conn, url, verify, cert):  # type: ignore[no-untyped-def]
            called.append("certificates")

        def build_response(self, req, resp):  # type: ignore[no-untyped-def]
            called.append("response")
            return resp

    class Pool:
        """Keeps what an adapter asks of it, and answers nothing."""

        def urlopen(self, **asked: object) -> str:
            self.asked = asked
            return "reply"

    pool, prepared = Pool(), requests.PreparedRequest()
    prepared.method, prepared.url = "DELETE", "http://127.0.0.1/a%2Fb?c=d|e"
    prepared.body, prepared.headers = b"{}", requests.structures.CaseInsensitiveDict()
    prepared.headers["Content-Length"] = "2"
    reply: object = Adapter(max_retries=0).send(prepared, stream=True, timeout=(1, 2))

    assert (called, reply) == (["pool", "certificates", "response"], "reply"), TRANSPORT
    assert pool.asked["url"] == "/a%2Fb?c=d|e", TRANSPORT
    asked = {key: pool.asked[key] for key in ("method", "body", "headers", "chunked")}
    expected = ("DELETE", b"{}", prepared.headers, False)
    assert tuple(asked.values()) == expected, TRANSPORT
    assert not pool.asked["redirect"], TRANSPORT
    retries = pool.asked["retries"]
    assert isinstance(retries, urllib3.Retry), TRANSPORT
    assert (retries.total, retries.read) == (0, False), TRANSPORT


def test_exceptions_are_related_as_the_table_takes_them_to_be() -> None:
    assert issubclass(NameResolutionError, NewConnectionError), TRANSPORT
    assert issubclass(NewConnectionError, ConnectTimeoutError), TRANSPORT
    assert issubclass(ConnectTimeoutError, urllib3.exceptions.TimeoutError), TRANSPORT
    assert MaxRetryError(None, "/", OSError()).reason, TRANSPORT  # type: ignore[arg-type]
