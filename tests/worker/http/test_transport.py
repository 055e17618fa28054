"""Requests over real sockets: each ends in time, and the next one finds its connection open."""

from __future__ import annotations

import time

import pytest

from tests.worker.http.servers import ANSWER, HEAD, host
from venues.base import HttpRequest
from worker.http.transport import InDoubt, Transport

TIMEOUT_S = 0.5
DRIPS = {
    "head": [HEAD, *[b"x"] * 400],
    "body": [HEAD, b"Content-Length: 400\r\n\r\n", *[b"x"] * 400],
    "chunks": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 400],
}


@pytest.mark.parametrize("where", DRIPS)
def test_an_answer_that_drips_ends_in_time(where: str) -> None:
    """Each byte comes within the time-out, and all of them would take forty times as long."""
    with host(DRIPS[where]) as (url, _):
        transport, began = Transport(url), time.monotonic()

        with pytest.raises(InDoubt, match="timeout"):
            transport.send(HttpRequest("GET", "/"), TIMEOUT_S)

        assert time.monotonic() - began < 10 * TIMEOUT_S
        transport.close()


def test_requests_share_a_connection() -> None:
    with host([ANSWER]) as (url, connections):
        transport = Transport(url)
        replies = [transport.send(HttpRequest("GET", "/"), TIMEOUT_S) for _ in range(3)]
        transport.close()

    assert [reply.json for reply in replies] == [{"code": 0}] * 3
    assert len(connections) == 1


def test_headers_and_body_come_together() -> None:
    """What a venue has of a request it has whole: two packets would be two ways to wait."""
    body = b'{"ids":["1","2"]}'
    with host([ANSWER]) as (url, connections):
        transport = Transport(url)
        for _ in range(50):
            transport.send(HttpRequest("DELETE", "/orders", body), TIMEOUT_S)
        transport.close()

    [came] = connections
    assert [part.partition(b"\r\n\r\n")[2] for part in came] == [body] * 50


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HEAD + b"Content-Length: 10\r\nConnection: close\r\n\r\n{}", "timeout"),
        (HEAD + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000, "body_too_large"),
        (b"SSH-2.0\r\n", "connection_lost"),
    ],
)
def test_what_is_no_whole_answer_proves_nothing(answer: bytes, why: str) -> None:
    with host([answer]) as (url, _):
        transport = Transport(url)
        with pytest.raises(InDoubt, match=why):
            transport.send(HttpRequest("GET", "/"), TIMEOUT_S)
        transport.close()
