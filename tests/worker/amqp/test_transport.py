"""A frame that comes in parts holds nobody up, and nothing of it is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from worker.amqp.transport import TCPSocket

FRAME = b"\x01\x00\x07\x00\x00\x00\x0aten bytes.\xce"


@pytest.fixture
def ends() -> Iterator[tuple[TCPSocket, socket.socket]]:
    """Return our end of a connection, and the other one's socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = TCPSocket(f"127.0.0.1:{server.getsockname()[1]}", 5.0)
        ours.connect()
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            yield ours, peer
        ours.close()


@pytest.mark.parametrize("timeout_s", [0, 0.02])
@pytest.mark.parametrize("cut", range(1, len(FRAME)))
def test_half_a_frame(
    ends: tuple[TCPSocket, socket.socket], cut: int, timeout_s: float
) -> None:
    ours, peer = ends
    peer.sendall(FRAME[:cut])
    with pytest.raises(TimeoutError), ours.having_timeout(timeout_s):
        ours.read_frame()
    peer.sendall(FRAME[cut:])
    with ours.having_timeout(1.0):
        kind, channel, payload = ours.read_frame()

    assert (kind, channel, bytes(payload)) == (1, 7, b"ten bytes.")
