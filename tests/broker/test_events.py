"""Celery's events never hold who sends them: for no confirmation, and for no connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from celery import Celery

from tests.support.rabbitmq import RabbitNode
from worker.consumer.events import UnconfirmedEvents


@pytest.fixture
def events(rabbit: RabbitNode) -> Iterator[UnconfirmedEvents]:
    """What a worker sends its events with, on a connection whose channels would confirm."""
    app = Celery(broker=rabbit.url, set_as_current=False)
    app.conf.broker_transport_options = {"confirm_publish": True}
    app.events_cls = "worker.consumer.events:Events"
    with app.connection_for_write() as connection:
        yield app.events.Dispatcher(connection, hostname="w1", groups=["worker"])


def test_event_is_not_waited_for(events: UnconfirmedEvents) -> None:
    """Its channel confirms nothing."""
    events.send("worker-heartbeat", retry=True)
    assert not events.channel._confirm_selected


def test_cut_connection(events: UnconfirmedEvents) -> None:
    """A heartbeat says so; what was to be sent is kept, and nobody reconnects meanwhile."""
    events.connection.connection.transport.sock.shutdown(socket.SHUT_RDWR)
    events.send("worker-online", retry=True)
    with pytest.raises(ConnectionResetError, match="events"):
        events.send("worker-heartbeat", retry=True)
    assert [key for _, key in events._outbound_buffer] == ["worker.online", "worker.heartbeat"]
