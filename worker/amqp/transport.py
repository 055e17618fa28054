"""The AMQP transport: no question to the broker waits without an end.

Whoever waits for the broker's answer on a connection that was cut without a word, even to say
goodbye, would wait for ever: here not. `decoding` reads what a producer's message may hold.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amqp import spec
from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

from worker.amqp.buffered import BufferedTransport, has_more, read_on
from worker.amqp.decoding import Message, frame_handler
from worker.amqp.hub import call_soon

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
            answer = super().wait(method, callback, limit_s, returns_tuple)  # type: ignore[misc]
        except TimeoutError:
            if limit_s == ANSWER_TIMEOUT_S and self.connection is not None:
                self.connection.collect()
            raise
        if has_more(self.connection):  # whoever asked has to be told first
            self.connection.read_on_later()
        return answer


class Channel(BoundedWait, pyamqp.Channel):
    """A channel that hands bodies over as bytes."""

    Message = Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_decode": False, **kwargs})

    def basic_consume(self, queue: str = "", consumer_tag: str = "", **kwargs: Any) -> Any:
        """Consume; whoever waits for the broker's word that it will send may read on.

        The library knows the callback only after that, and gives back what came before: to
        its queue it looks like a message whose worker died.
        """
        if consumer_tag:
            self.callbacks[consumer_tag] = kwargs.get("callback")
        return super().basic_consume(queue, consumer_tag, **kwargs)


class Connection(BoundedWait, pyamqp.Connection):
    """A connection with the channels above; `buffered` is for one that a single thread uses."""

    Channel = Channel

    def __init__(self, *args: Any, buffered: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"frame_handler": frame_handler, **kwargs})
        self._buffered = buffered
        self.hub: Any = None  # the event loop that watches it

    def Transport(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - the library's name
        """Return the way to the broker."""
        _host, _connect_timeout, ssl, *_ = args
        if not self._buffered or ssl:
            return super().Transport(*args, **kwargs)
        host, connect_timeout, _, read_timeout, write_timeout = args
        return BufferedTransport(host, connect_timeout, read_timeout, write_timeout, **kwargs)

    def read_on_later(self) -> None:
        """Have the event loop take in what was read ahead: it does not show at the socket."""
        if self.hub is not None:
            call_soon(self.hub, partial(read_on, self))


class Transport(pyamqp.Transport):
    """The transport with the connections above."""

    Connection = Connection

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have the event loop watch a connection."""
        super().register_with_event_loop(connection, loop)
        connection.hub = loop
        connection.read_on_later()

    def on_readable(self, connection: Any, loop: Any) -> None:
        """Take in what has come, as the event loop says."""
        if not isinstance(connection.transport, BufferedTransport):
            super().on_readable(connection, loop)
        elif not connection.connected:
            raise RecoverableConnectionError("the connection was closed")
        else:
            read_on(connection, 1)


class SSLTransport(pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = Connection
