"""The AMQP transport: no question to the broker waits without an end.

Whoever waits for the broker's answer on a connection that was cut without a word, even to say
goodbye, would wait for ever: here not. `decoding` reads what a producer's message may hold.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amqp import spec
from amqp.transport import SSLTransport as TLSTransport
from amqp.transport import TCPTransport
from kombu.transport import pyamqp

from worker.amqp.buffered import BufferedTransport
from worker.amqp.decoding import Message, frame_handler
from worker.settings import broker_tls, environment

#: A broker that does not answer a method within this time (seconds) counts as gone.
ANSWER_TIMEOUT_S = 10.0
#: The same for the end of a channel or connection, which needs no answer.
GOODBYE_TIMEOUT_S = 1.0
_GOODBYES = (spec.Connection.CloseOk, spec.Channel.CloseOk)


class BoundedWait:
    """Bounds each wait for the broker's answer; py-amqp has no default for that."""

    connection: Any

    def wait(
        self,
        method: Any,
        callback: Any = None,
        timeout: float | None = None,
        returns_tuple: bool = False,
    ) -> Any:
        """Wait for one of some methods.

        Raises:
            TimeoutError: none came in time; the connection is closed, so that a worker that
                stops does not wait anew for each of the four answers that it needs.
        """
        limit_s = timeout or (GOODBYE_TIMEOUT_S if method in _GOODBYES else ANSWER_TIMEOUT_S)
        try:
            return super().wait(method, callback, limit_s, returns_tuple)  # type: ignore[misc]
        except TimeoutError:
            if limit_s == ANSWER_TIMEOUT_S and self.connection is not None:
                self.connection.collect()
            raise


class Channel(BoundedWait, pyamqp.Channel):
    """A channel that hands bodies over as bytes."""

    Message = Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_decode": False, **kwargs})


class _Resuming:
    """Leaves a frame of which only a part has come, and goes on with it when it is read next.

    py-amqp does so only before a frame's first byte. In the middle of a frame it tries again at
    once, for ever: an event loop whose connection is cut there would spin and miss heartbeats.
    """

    def _read(self, n: int, _initial: bool = False) -> bytes:
        found: bytes = super()._read(n, True)  # type: ignore[misc]
        return found


class TCPSocket(_Resuming, TCPTransport):
    """A socket over TCP that leaves half a frame for later."""


class TLSSocket(_Resuming, TLSTransport):
    """The same over TLS."""


class Connection(BoundedWait, pyamqp.Connection):
    """A connection with the channels above; `buffered` is for one that a single thread uses.

    `bounded` is for one whose messages may be left to the broker: of what is too large only
    the size comes in (`decoding`).
    """

    Channel = Channel

    def __init__(
        self, *args: Any, buffered: bool = False, bounded: bool = False, **kwargs: Any
    ) -> None:
        handler = partial(frame_handler, bounded=bounded)
        super().__init__(*args, **{"frame_handler": handler, **kwargs})
        self._is_buffered = buffered

    def Transport(  # noqa: N802 - the library's name
        self,
        host: str,
        connect_s: float,
        ssl: Any,
        read_s: float,
        write_s: float,
        **kwargs: Any,
    ) -> Any:
        """Return the socket; py-amqp passes five arguments by position."""
        kwargs |= {"read_timeout": read_s, "write_timeout": write_s}
        if ssl:
            return TLSSocket(host, connect_s, ssl, **kwargs)
        return (BufferedTransport if self._is_buffered else TCPSocket)(
            host, connect_s, **kwargs
        )


class Transport(pyamqp.Transport):
    """kombu's transport with the connections above."""

    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):
    """The same over TLS, to a broker whose certificate is for the name it is reached by."""

    Connection = Connection

    def establish_connection(self) -> Any:
        """Connect; kombu would check no name, and of several brokers always the first one's."""
        host = {"server_hostname": self.client.hostname}
        self.client.ssl = host | broker_tls(environment())
        return super().establish_connection()
