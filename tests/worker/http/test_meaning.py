"""What each way to fail proves, by way of the installed requests and urllib3, row by row."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import NoReturn

import pytest
import requests
from requests.exceptions import InvalidHeader, InvalidURL
from urllib3.exceptions import ClosedPoolError, DecodeError, IncompleteRead, ReadTimeoutError

from venues.base import HttpRequest
from worker.http.connection import Https
from worker.http.transport import MEANINGS, InDoubt, NotSent, Transport, meaning

#: Where a test lets a request fail: at the connection, the handshake, or the reply.
CONNECT = "worker.http.peer.Peer.connect"
HANDSHAKE = "urllib3.connection.HTTPSConnection.connect"
REPLY = "worker.http.connection.Https.getresponse"


def fails(at: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """Return what a transport raises where a step of its connection raises this error."""

    def step(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(at, step)
    transport = Transport("https://127.0.0.1:1")
    with pytest.raises((NotSent, InDoubt)) as raised:
        transport.send(HttpRequest("GET", "/"), 0.5)
    transport.close()
    return raised.value


@pytest.mark.parametrize(
    ("error", "proof", "word"),
    [
        (ConnectionRefusedError(), NotSent, "unreachable"),
        (OSError("no route to host"), NotSent, "unreachable"),
        (socket.gaierror(), NotSent, "unreachable"),
        (TimeoutError(), NotSent, "connect_timeout"),
    ],
)
def test_without_a_connection_nothing_was_sent(
    error: Exception, proof: type[Exception], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fails(CONNECT, error, monkeypatch)

    assert (type(found), str(found)) == (proof, word)


@pytest.mark.parametrize(
    ("error", "proof", "word"),
    [
        (ssl.SSLCertVerificationError(1, "self-signed"), NotSent, "certificate"),
        (ssl.SSLError(1, "wrong version number"), NotSent, "unreachable"),
        (TimeoutError(), NotSent, "connect_timeout"),
        (ConnectionResetError(), NotSent, "unreachable"),
        (http.client.BadStatusLine("no proxy"), NotSent, "unreachable"),
    ],
)
def test_before_the_end_of_a_handshake_nothing_was_sent(
    error: Exception, proof: type[Exception], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fails(HANDSHAKE, error, monkeypatch)

    assert (type(found), str(found)) == (proof, word)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError(), "timeout"),
        (BrokenPipeError(), "connection_lost"),
        (ssl.SSLError(1, "bad record"), "SSLError"),
        (http.client.BadStatusLine("SSH-2.0"), "connection_lost"),
        (http.client.RemoteDisconnected("closed"), "connection_lost"),
    ],
)
def test_what_fails_after_the_handshake_is_in_doubt(
    error: Exception, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Https, "connect", lambda self: setattr(self, "is_verified", True))
    monkeypatch.setattr(Https, "request", lambda *_, **__: None)
    found = fails(REPLY, error, monkeypatch)

    assert (type(found), str(found)) == (InDoubt, word)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ReadTimeoutError(None, None, "read"), "timeout"),  # type: ignore[arg-type]
        (TimeoutError(), "timeout"),
        (IncompleteRead(1, 2), "IncompleteRead"),
        (DecodeError(), "DecodeError"),
        (ConnectionResetError(), "connection_lost"),
        (requests.ConnectionError(ClosedPoolError(None, "closed")), "ClosedPoolError"),  # type: ignore[arg-type]
        (requests.ConnectionError("said in words"), "connection_lost"),
        (requests.ConnectionError(), "connection_lost"),
    ],
)
def test_what_no_row_explains_is_in_doubt(error: Exception, word: str) -> None:
    found = meaning(error)

    assert (type(found), str(found)) == (InDoubt, word)


@pytest.mark.parametrize("error", [InvalidURL(ValueError("port")), InvalidHeader("no text")])
def test_a_request_that_cannot_be_written_was_not_sent(error: Exception) -> None:
    found = meaning(error)

    assert (type(found), str(found)) == (NotSent, "bad_request")


def test_a_row_never_hides_one_below_it() -> None:
    for number, (below, _, _) in enumerate(MEANINGS):
        above = tuple(raised for raised, _, _ in MEANINGS[:number])
        assert not issubclass(below, above), below
