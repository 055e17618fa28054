"""An AMQP connection for much at once: reads all that has come, writes many messages together.

The client library asks the system for each field of a frame by itself, and sets the socket's
time-out before and after. For one outcome that was some ten calls, and at each of them a thread
gives the interpreter away and waits to have it back. What is read ahead no longer shows at the
socket: an event loop that watches it has to `read_on` before it watches again.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amqp.transport import TCPTransport
from kombu import Connection

#: Some hundred confirmations; more would be copied too often while they are taken apart.
_READ_BYTES = 8192
_MOST_HELD = 1 << 20


class BufferedTransport(TCPTransport):
    """A TCP connection that one thread alone uses."""

    _read_buffer: bytes
    _flags = 0

    def _setup_transport(self) -> None:
        super()._setup_transport()
        self._held: bytearray | None = None

    @property
    def has_more(self) -> bool:
        """Whether something was read ahead: perhaps a part of a frame."""
        return bool(self._read_buffer)

    @contextmanager
    def having_timeout(self, timeout: float | None) -> Iterator[Any]:
        """Read within so many seconds; not to wait at all is no affair of the socket's."""
        if timeout != 0:
            with super().having_timeout(timeout) as sock:
                yield sock
            return
        self._flags = socket.MSG_DONTWAIT
        try:
            yield self.sock
        finally:
            self._flags = 0

    def _read(self, n: int, *_: Any) -> bytes:
        """Return the next `n` bytes; raise a TimeoutError if they do not come in time."""
        while len(self._read_buffer) < n:
            try:
                missing = n - len(self._read_buffer)
                more = self._quick_recv(max(missing, _READ_BYTES), self._flags)
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
    def corked(self) -> Iterator[None]:
        """Hold what is written meanwhile, and send it at the end."""
        self._held = bytearray()
        try:
            yield
        finally:
            held, self._held = self._held, None
        if held:
            super().write(held)


def read_on(connection: Any, messages: int = 0) -> None:
    """Take in so many messages of a client's connection, if they have come, without waiting.

    And all that was read ahead.
    """
    left = messages
    with suppress(TimeoutError, BlockingIOError, InterruptedError):
        while left > 0 or has_more(connection):
            connection.drain_events(timeout=0)
            left -= 1


def has_more(connection: Any) -> bool:
    """Say whether a client's connection has read something ahead."""
    transport = connection.transport if connection and connection.connected else None
    return isinstance(transport, BufferedTransport) and transport.has_more


@contextmanager
def corked(connection: Connection) -> Iterator[None]:
    """Send what is published meanwhile at once, where the connection can."""
    transport = getattr(connection.connection, "transport", None)
    if isinstance(transport, BufferedTransport):
        with transport.corked():
            yield
    else:
        yield
