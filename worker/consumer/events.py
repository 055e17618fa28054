"""Celery's task events, published so that they cannot hang the worker."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher

_HEARTBEAT = "worker-heartbeat"


class UnconfirmedEvents(EventDispatcher):
    """Events on a channel without confirms, each sent once.

    Pool threads and the consumer share this channel. With confirms on, each would wait for
    the other's acknowledgement on it, and the worker would stand still for good.
    """

    channel: Any
    _outbound_buffer: Any

    def enable(self) -> None:
        """Open a channel of its own, unconfirmed, unless the caller brought one."""
        connection = self.connection
        if self.channel is None and connection.transport.driver_type == "amqp":
            connection.connection.confirm_publish = False
            self.channel = connection.channel()
        super().enable()

    def send(self, type: str, *args: Any, **fields: Any) -> None:
        """Send an event, or keep it until the worker has connected anew.

        Raises:
            ConnectionResetError: events cannot leave, as a heartbeat found, which comes from
                the event loop: that connects anew. To reconnect here, as Celery would, holds
                the whole worker, and gives the channel its confirms back.
        """
        super().send(type, *args, **{**fields, "retry": False})
        if type == _HEARTBEAT and self._outbound_buffer:
            raise ConnectionResetError("the connection for events was lost")


class Events(CeleryEvents):
    """The events of this application."""

    dispatcher_cls = "worker.consumer.events:UnconfirmedEvents"
