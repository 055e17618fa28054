"""Where a host is: dead name servers, dead routes, and the last good answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.worker.http.servers import deaf
from worker.http.happy_eyeballs import STAGGER_S, Address
from worker.http.peer import GRACE_S, Peer

TIMEOUT_S = 1.0


@pytest.fixture
def good() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Address(socket.AF_INET, listener.getsockname())


class Names:
    """A name server: its answers, each a while late."""

    def __init__(self, *addresses: Address) -> None:
        self.addresses: Sequence[Address] = addresses
        self.takes_s, self.asked = 0.0, 0

    def __call__(self, _host: str, _port: int) -> Sequence[Address]:
        self.asked += 1
        time.sleep(self.takes_s)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self.addresses


def took_s(peer: Peer, timeout_s: float = TIMEOUT_S) -> float:
    begun = time.monotonic()
    peer.connect(timeout_s).close()
    return time.monotonic() - begun


def test_a_look_up_without_an_end_costs_the_time_out() -> None:
    names = Names()
    names.takes_s = 2 * TIMEOUT_S
    begun = time.monotonic()

    with pytest.raises(TimeoutError):
        Peer("venue.example", 443, resolve=names).connect(0.2)

    assert time.monotonic() - begun < TIMEOUT_S


def test_a_name_that_nobody_knows_says_so_at_once() -> None:
    with pytest.raises(socket.gaierror):
        Peer("venue.example", 443, resolve=Names()).connect(TIMEOUT_S)


def test_a_look_up_that_came_too_late_serves_the_next_request(good: Address) -> None:
    names = Names(good)
    names.takes_s = 0.4
    peer = Peer("venue.example", 443, resolve=names)
    with pytest.raises(TimeoutError):
        peer.connect(0.2)
    time.sleep(0.3)

    assert took_s(peer, 0.1) < 0.1
    assert names.asked == 1


@pytest.mark.parametrize("dies", ["slow", "says no"])
def test_a_dead_name_server_does_not_hide_a_known_host(good: Address, dies: str) -> None:
    names = Names(good)
    peer = Peer("venue.example", 443, fresh_s=0.0, resolve=names)
    peer.connect(TIMEOUT_S).close()
    if dies == "slow":
        names.takes_s = 3 * TIMEOUT_S
    else:
        names.addresses = ()

    assert took_s(peer) < GRACE_S + 0.2
    time.sleep(GRACE_S)
    assert took_s(peer) < GRACE_S / 2, "nobody waits twice for the same answer"


def test_a_known_host_is_found_where_it_has_moved_to(good: Address) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        names = Names(Address(socket.AF_INET, listener.getsockname()))
        peer = Peer("venue.example", 443, fresh_s=0.0, resolve=names)
        peer.connect(TIMEOUT_S).close()
    names.addresses = [good]

    with peer.connect(TIMEOUT_S) as sock:
        assert sock.getpeername() == good.at


def test_many_that_connect_at_once_share_a_look_up(good: Address) -> None:
    names = Names(good)
    names.takes_s = 0.2
    peer = Peer("venue.example", 443, resolve=names)
    threads = [threading.Thread(target=took_s, args=(peer,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names.asked == 1


def test_a_dead_route_of_one_family_costs_a_quarter_of_a_second_once(good: Address) -> None:
    with deaf("::1") as at:
        names = Names(Address(socket.AF_INET6, at), good)
        peer = Peer("venue.example", 443, fresh_s=0.0, resolve=names)

        assert STAGGER_S <= took_s(peer) < STAGGER_S + 0.2
        assert took_s(peer) < STAGGER_S / 2, "the family that answered goes first"


def test_a_connection_leaves_from_the_stated_address(good: Address) -> None:
    """An address of the other family cannot be reached from it, and is passed over."""
    names = Names(Address(socket.AF_INET6, ("::1", good.at[1])), good)

    with Peer("venue.example", 443, source=("127.0.0.3", 0), resolve=names).connect(
        1.0
    ) as sock:
        assert sock.getsockname()[0] == "127.0.0.3"


def test_the_kernel_watches_each_connection(good: Address) -> None:
    with Peer("127.0.0.1", good.at[1]).connect(TIMEOUT_S) as sock:
        alive = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        unheard_ms = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        at_once = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert (alive, unheard_ms, at_once) == (1, 3000, 1)
