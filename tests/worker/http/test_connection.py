"""The first request after a quiet night: on no dead connection, and on a warm one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import sign
from tests.support.proxy import Proxy
from tests.worker.http.servers import ANSWER, deaf, host
from venues.base import HttpReply, HttpRequest
from worker.http.transport import InDoubt, NotSent, Transport
from worker.settings import Egress

TIMEOUT_S = 1.0
#: After so much silence the gateway of the tests forgets a connection.
FORGETS_S = 0.4
SOME = 4


def ask(transport: Transport) -> HttpReply:
    return transport.send(HttpRequest("GET", "/"), TIMEOUT_S)


def ask_at_once(transport: Transport, count: int) -> None:
    with ThreadPoolExecutor(count) as threads:
        for reply in [threads.submit(ask, transport) for _ in range(count)]:
            assert reply.result().json == {"code": 0}


def test_a_connection_that_was_silent_for_long_is_not_used() -> None:
    with (
        host([ANSWER[:-1], ANSWER[-1:]]) as (url, _),
        Proxy(port(url), forgets_s=FORGETS_S) as way,
    ):
        transport = Transport(f"http://127.0.0.1:{way.port}", idle_s=FORGETS_S / 2)
        ask_at_once(transport, SOME)
        time.sleep(2 * FORGETS_S)
        begun = time.monotonic()

        ask_at_once(transport, SOME)

        assert time.monotonic() - begun < TIMEOUT_S / 2
        transport.close()


def test_after_one_time_out_no_other_silent_connection_is_used() -> None:
    """Where the way forgets sooner than anybody thought, that is found out once."""
    with (
        host([ANSWER[:-1], ANSWER[-1:]]) as (url, _),
        Proxy(port(url), forgets_s=FORGETS_S) as way,
    ):
        transport = Transport(f"http://127.0.0.1:{way.port}")
        ask_at_once(transport, SOME)
        time.sleep(2 * FORGETS_S)
        with pytest.raises(InDoubt, match="timeout"):
            ask(transport)
        begun = time.monotonic()

        ask_at_once(transport, SOME)

        assert time.monotonic() - begun < TIMEOUT_S / 2
        transport.close()


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found is not None
    return found


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_warm_connection_takes_the_next_request(encrypted: bool, tmp_path: Path) -> None:
    """Also over TLS, whose server has sent its tickets by then, unasked."""
    signed = sign(tmp_path, "127.0.0.1")
    with host(tls=signed.server() if encrypted else None) as (url, connections):
        transport = Transport(url, Egress(ca_file=str(signed.authority)))
        transport.keep_warm()
        time.sleep(0.1)
        assert connections == [[]], "one connection, on which nothing was asked"

        for _ in range(3):
            assert ask(transport).json == {"code": 0}
            transport.keep_warm()

        assert len(connections) == 1
        transport.close()


def test_a_warm_connection_is_made_anew_before_it_is_old() -> None:
    with host() as (url, connections):
        transport = Transport(url)
        transport.keep_warm(2)
        time.sleep(0.1)
        transport.keep_warm(2, younger_than_s=0.05)

        ask_at_once(transport, 2)

        old, new = connections[:2], connections[2:]
        assert (sum(map(len, old)), sum(map(len, new)), len(new)) == (0, 2, 2)
        transport.close()


def test_a_warm_connection_that_the_server_closed_is_not_used() -> None:
    with host() as (url, connections), Proxy(port(url)) as way:
        transport = Transport(f"http://127.0.0.1:{way.port}")
        transport.keep_warm()
        time.sleep(0.1)
        way.cut()
        transport.keep_warm()

        assert ask(transport).json == {"code": 0}

        assert [len(came) for came in connections] == [0, 1]
        transport.close()


def test_a_host_that_takes_no_connection_is_given_up_soon() -> None:
    with deaf() as (name, number):
        transport, begun = (
            Transport(f"http://{name}:{number}", Egress(connect_timeout_s=0.2)),
            time.monotonic(),
        )

        with pytest.raises(NotSent, match="connect_timeout"):
            ask(transport)
        with pytest.raises(NotSent, match="connect_timeout"):
            transport.keep_warm()

        assert time.monotonic() - begun < TIMEOUT_S
        transport.close()


def test_a_host_that_never_ends_the_handshake_was_not_asked() -> None:
    with host([]) as (url, _):
        transport = Transport(url.replace("http:", "https:"), Egress(connect_timeout_s=0.2))

        with pytest.raises(NotSent, match="connect_timeout"):
            ask(transport)

        transport.close()


@pytest.mark.parametrize(
    ("name", "trusted"), [("127.0.0.2", True), ("venue.example", True), ("127.0.0.1", False)]
)
def test_a_certificate_of_another_name_or_authority_is_refused(
    name: str, trusted: bool, tmp_path: Path
) -> None:
    signed = sign(tmp_path, name)
    with host(tls=signed.server()) as (url, connections):
        transport = Transport(url, Egress(ca_file=str(signed.authority) if trusted else None))

        with pytest.raises(NotSent, match="certificate"):
            ask(transport)
        with pytest.raises(NotSent, match="certificate"):
            transport.keep_warm()

        assert not any(connections)
        transport.close()
