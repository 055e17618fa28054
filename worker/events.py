"""Celery's task events, published so that they cannot hang the worker."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher


class UnconfirmedEvents(EventDispatcher):
    """Events on a channel without confirms.

    Pool threads and the consumer share this channel. With confirms on, each would wait for
    the other's acknowledgement on it, and the worker would stand still for good.
    """

    channel: Any

    def enable(self) -> None:
        """Open a channel of its own, unconfirmed, unless the caller brought one."""
        connection = self.connection
        if self.channel is None and connection.transport.driver_type == "amqp":
            connection.connection.confirm_publish = False
            self.channel = connection.channel()
        super().enable()


class Events(CeleryEvents):
    """The events of this application."""

    dispatcher_cls = "worker.events:UnconfirmedEvents"
