"""A connection for much at once: nothing is lost, and what is held goes in one piece."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from worker.amqp.buffered import BufferedTransport, has_read_ahead

TIMEOUT_S = 0.2


@pytest.fixture
def ends() -> Iterator[tuple[BufferedTransport, socket.socket]]:
    """Return our end of a connection, and the other one's socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = BufferedTransport(f"127.0.0.1:{server.getsockname()[1]}", 5.0, TIMEOUT_S)
        transport.connect()
        peer, _ = server.accept()
        peer.settimeout(TIMEOUT_S)
        assert peer.recv(100) == b"AMQP\x00\x00\x09\x01"
        with peer:
            yield transport, peer
        transport.close()


def frame(payload: bytes) -> bytes:
    return b"\x01\x00\x07" + len(payload).to_bytes(4, "big") + payload + b"\xce"


def test_frames_are_read_however_they_come(
    ends: tuple[BufferedTransport, socket.socket],
) -> None:
    transport, peer = ends
    payloads = [bytes([number]) * number * 100 for number in range(1, 100)]
    stream = b"".join(map(frame, payloads))
    found = []
    for start in range(0, len(stream), 50_000):
        peer.sendall(stream[start : start + 50_000])
        try:
            while True:
                found.append(bytes(transport.read_frame()[2]))
        except TimeoutError:
            pass

    assert found == payloads


def test_it_is_known_whether_more_was_read_ahead(
    ends: tuple[BufferedTransport, socket.socket],
) -> None:
    transport, peer = ends
    connection: Any = SimpleNamespace(connection=SimpleNamespace(transport=transport))
    assert not has_read_ahead(connection)
    peer.sendall(frame(b"one") + frame(b"two"))
    seen = []
    for _ in range(2):
        transport.read_frame()
        seen.append(has_read_ahead(connection))

    assert seen == [True, False]
    connection.connection = None  # it was lost
    assert not has_read_ahead(connection)


def test_a_broker_that_is_gone_is_an_error(
    ends: tuple[BufferedTransport, socket.socket],
) -> None:
    transport, peer = ends
    peer.sendall(frame(b"half")[:-2])
    peer.close()

    with pytest.raises(ConnectionError):
        transport.read_frame()


def test_what_is_held_goes_together(ends: tuple[BufferedTransport, socket.socket]) -> None:
    transport, peer = ends
    buffer = bytearray(b"one ")
    with transport.corked():
        transport.write(memoryview(buffer))
        buffer[:] = b"two "  # the library writes each message into the same place
        transport.write(memoryview(buffer))
        with pytest.raises(TimeoutError):
            peer.recv(100)
    transport.write(b"three")

    assert peer.recv(8) == b"one two "
    assert peer.recv(100) == b"three"


def test_what_was_held_when_it_failed_is_not_sent(
    ends: tuple[BufferedTransport, socket.socket],
) -> None:
    transport, peer = ends
    with pytest.raises(ValueError, match="odd"), transport.corked():
        transport.write(b"half a message")
        raise ValueError("odd")

    with pytest.raises(TimeoutError):
        peer.recv(100)
