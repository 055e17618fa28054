"""An AMQP connection for much at once: reads all that has come, writes many messages together.

The client library asks the system for each field of a frame by itself, and sets the socket's
time-out before and after. For one outcome that was some ten calls, and at each of them a thread
gives the interpreter away and waits to have it back. Not for a connection that an event loop
watches: what is read ahead here no longer shows at the socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.transport import TCPTransport
from kombu import Connection

#: Some hundred confirmations; more would be copied too often while they are taken apart.
_READ_BYTES = 8192
_MOST_HELD = 1 << 20


class BulkTransport(TCPTransport):
    """A TCP connection that one thread alone uses."""

    _read_buffer: bytes

    def _setup_transport(self) -> None:
        super()._setup_transport()
        self._held: bytearray | None = None

    def _read(self, n: int, *_: Any) -> bytes:
        """Return the next `n` bytes; raise a TimeoutError if they do not come in time."""
        while len(self._read_buffer) < n:
            try:
                more = self._quick_recv(_READ_BYTES)
            except BlockingIOError as error:
                raise TimeoutError("the broker says nothing") from error
            if not more:
                raise ConnectionError("the broker closed the connection")
            self._read_buffer += more
        found, self._read_buffer = self._read_buffer[:n], self._read_buffer[n:]
        return found

    def write(self, s: Any) -> None:
        """Send now, or with the rest of what is held."""
        if self._held is None:
            super().write(s)
            return
        self._held += s
        if len(self._held) > _MOST_HELD:
            super().write(self._held)
            self._held = bytearray()

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """Hold what is written meanwhile, and send it at the end."""
        self._held = bytearray()
        try:
            yield
        finally:
            held, self._held = self._held, None
        if held:
            super().write(held)


@contextmanager
def in_one_piece(connection: Connection) -> Iterator[None]:
    """Send what is published meanwhile at once, where the connection can."""
    transport = getattr(connection.connection, "transport", None)
    if isinstance(transport, BulkTransport):
        with transport.in_one_piece():
            yield
    else:
        yield
