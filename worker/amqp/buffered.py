"""A TCP transport for many messages at once: reads what has come in one call, corks writes.

py-amqp makes some ten system calls for one outcome. At each of them the thread gives the
interpreter away, and may wait 5 ms to have it back. What was read ahead no longer shows at the
socket, so a connection that an event loop watches cannot be buffered: the publisher's is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.transport import TCPTransport
from kombu import Connection

#: Some hundred confirms; more would be copied too often while they are taken apart.
_READ_BYTES = 8192
_MOST_HELD = 1 << 20


class BufferedTransport(TCPTransport):
    """The TCP transport of a connection that a single thread uses."""

    _read_buffer: bytes

    def _setup_transport(self) -> None:
        super()._setup_transport()
        self._held: bytearray | None = None

    def _read(self, n: int, *_: Any) -> bytes:
        """Return the next `n` bytes; raise a TimeoutError if they do not come in time."""
        while len(self._read_buffer) < n:
            try:
                more = self._quick_recv(max(n - len(self._read_buffer), _READ_BYTES))
            except BlockingIOError as error:
                raise TimeoutError("the broker says nothing") from error
            if not more:
                raise ConnectionError("the broker closed the connection")
            self._read_buffer += more
        found, self._read_buffer = self._read_buffer[:n], self._read_buffer[n:]
        return found

    def write(self, s: Any) -> None:
        """Send now, or hold while the transport is corked."""
        if self._held is None:
            super().write(s)
            return
        self._held += s
        if len(self._held) > _MOST_HELD:
            super().write(self._held)
            self._held = bytearray()

    @contextmanager
    def corked(self) -> Iterator[None]:
        """Hold what is written meanwhile, and send it at the end in one piece."""
        self._held = bytearray()
        try:
            yield
        finally:
            held, self._held = self._held, None
        if held:
            super().write(held)


@contextmanager
def corked(connection: Connection) -> Iterator[None]:
    """Send what is published meanwhile in one piece, where the connection's transport can."""
    transport = getattr(connection.connection, "transport", None)
    if isinstance(transport, BufferedTransport):
        with transport.corked():
            yield
    else:
        yield


def has_read_ahead(connection: Connection) -> bool:
    """Say whether more of what the broker said was read already, at least in part."""
    transport = getattr(connection.connection, "transport", None)
    return isinstance(transport, BufferedTransport) and bool(transport._read_buffer)
