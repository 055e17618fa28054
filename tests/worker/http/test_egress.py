"""How requests leave: through a proxy, with one's own certificates, from a stated address."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Signed, sign
from tests.worker.http.servers import deaf, host, proxy
from venues.base import HttpReply, HttpRequest
from worker.http.transport import InDoubt, NotSent, Transport
from worker.settings import Egress

REQUEST = HttpRequest("DELETE", "/orders", b"{}", {"X-Key": "planted-key"})


def ask(url: str, egress: Egress) -> HttpReply:
    transport = Transport(url, egress)
    try:
        return transport.send(REQUEST, 1.0)
    finally:
        transport.close()


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return sign(tmp_path, "127.0.0.1")


@pytest.fixture
def venue(signed: Signed) -> Iterator[tuple[str, list[list[bytes]]]]:
    with host(tls=signed.server()) as started:
        yield started


def test_a_proxy_makes_the_connection_and_sees_no_request(
    venue: tuple[str, list[list[bytes]]], signed: Signed
) -> None:
    url, connections = venue
    with proxy() as (at, asked):
        through = at.replace("//", "//desk:p%40ss@")
        transport = Transport(url, Egress(proxy=through, ca_file=str(signed.authority)))
        transport.keep_warm()
        replies = [transport.send(REQUEST, 1.0) for _ in range(3)]
        transport.close()

    [came], login = asked, b64encode(b"desk:p@ss")
    assert {reply.status for reply in replies} == {200}
    assert came.startswith(b"CONNECT " + url.removeprefix("https://").encode())
    assert b"Basic " + login in came
    assert b"planted-key" not in came
    [request] = connections
    assert len(request) == 3
    assert login not in b"".join(request)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_proxy_that_inspects_counts_only_with_its_authority(
    venue: tuple[str, list[list[bytes]]], tmp_path: Path, trusted: bool
) -> None:
    (tmp_path / "company").mkdir()
    company = sign(tmp_path / "company", "127.0.0.1")
    with proxy(inspects=company.server()) as (at, _):
        egress = Egress(proxy=at, ca_file=str(company.authority) if trusted else None)
        if trusted:
            assert ask(venue[0], egress).status == 200
        else:
            with pytest.raises(NotSent, match="certificate"):
                ask(venue[0], egress)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"SSH-2.0\r\n", b"HTTP/1.1 502 No\r\n\r\n"]
)
def test_a_proxy_that_makes_no_connection_is_named(answer: bytes) -> None:
    with proxy(answer) as (at, _), pytest.raises(NotSent, match="proxy"):
        ask("https://127.0.0.1:1", Egress(proxy=at))


def test_a_proxy_that_is_not_there_is_named() -> None:
    with deaf() as (name, number), socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
        gone.close()
        for port in (number, closed):
            egress = Egress(proxy=f"http://{name}:{port}", connect_timeout_s=0.2)
            with pytest.raises(NotSent, match="proxy"):
                ask("https://127.0.0.1:1", egress)


def test_the_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with host() as (url, _):
        assert ask(url, Egress()).status == 200


def test_a_venue_that_asks_for_a_certificate_gets_ours(signed: Signed) -> None:
    both = signed.certificate.with_name("both.pem")
    both.write_bytes(signed.certificate.read_bytes() + signed.key.read_bytes())
    ours = Egress(ca_file=str(signed.authority), client_cert=str(both))
    with host(tls=signed.server(ask_client=True)) as (url, _):
        assert ask(url, ours).status == 200
        with pytest.raises((NotSent, InDoubt)):
            ask(url, Egress(ca_file=str(signed.authority)))


def test_a_request_leaves_from_the_stated_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as venue:
        transport = Transport(
            f"http://127.0.0.1:{venue.getsockname()[1]}", Egress(source_address="127.0.0.3")
        )
        transport.keep_warm()
        _, came_from = venue.accept()

        assert came_from[0] == "127.0.0.3"
        transport.close()
    with host() as (url, _), pytest.raises(NotSent, match="unreachable"):
        ask(url, Egress(source_address="192.0.2.1"))  # an address of nobody
