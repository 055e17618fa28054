"""Of several addresses the first that answers is taken; dead ones cost little."""

from __future__ import annotations

import socket
import time

import pytest

from tests.worker.http.servers import deaf
from worker.http.happy_eyeballs import STAGGER_S, Address, connect, in_turn


def until(timeout_s: float) -> float:
    return time.monotonic() + timeout_s


def test_an_address_that_does_not_answer_costs_a_quarter_of_a_second() -> None:
    with deaf("::1") as dead, socket.create_server(("127.0.0.1", 0)) as listener:
        good = Address(socket.AF_INET, listener.getsockname())
        begun = time.monotonic()

        sock, address = connect([Address(socket.AF_INET6, dead), good], until(1.0))

        assert STAGGER_S <= time.monotonic() - begun < STAGGER_S + 0.2
        assert (address, sock.getpeername()) == (good, good.at)
        sock.close()


def test_an_address_that_refuses_costs_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refuses = Address(socket.AF_INET, gone.getsockname())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        good = Address(socket.AF_INET, listener.getsockname())
        begun = time.monotonic()

        connect([refuses, good], until(1.0))[0].close()

        assert time.monotonic() - begun < STAGGER_S / 2
    with pytest.raises(ConnectionRefusedError):
        connect([refuses, refuses], until(1.0))


def test_where_no_address_answers_the_deadline_ends_it() -> None:
    with deaf() as one, deaf("::1") as other:
        addresses = [Address(socket.AF_INET6, other), Address(socket.AF_INET, one)]
        begun = time.monotonic()

        with pytest.raises(TimeoutError):
            connect(addresses, until(0.4))

        assert 0.4 <= time.monotonic() - begun < 0.6


def test_families_take_turns() -> None:
    six = [Address(socket.AF_INET6, number) for number in range(3)]
    four = [Address(socket.AF_INET, number) for number in range(2)]

    assert in_turn([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert in_turn([*six, *four], first=four[1])[0] == four[1]
