"""A broker's scheme names our transport on our connections, and on no others."""

from __future__ import annotations

import kombu
import pytest
from kombu.transport import pyamqp

from worker.amqp import embedded, transport
from worker.amqp.connection import HardenedConnection
from worker.app import make_app

KINDS = {
    "amqp://": transport.Transport,
    "pyamqp://": transport.Transport,
    "amqps://": transport.SSLTransport,
    "filesystem:///folder": embedded.Transport,
}


@pytest.mark.parametrize("url", KINDS)
def test_the_scheme_names_the_transport(url: str) -> None:
    connection = HardenedConnection(url)

    assert type(connection.transport) is KINDS[url]
    assert type(connection.clone().transport) is KINDS[url]


@pytest.mark.parametrize("url", KINDS)
def test_a_pool_has_the_same_transport(url: str) -> None:
    with HardenedConnection(url).Pool(1).acquire() as pooled:
        assert type(pooled.transport) is KINDS[url]


def test_celery_publishes_over_the_same_transport() -> None:
    app = make_app()
    app.conf.broker_url = "amqp://"
    pooled = app.amqp.producer_pool.connections.new()

    assert type(pooled.transport) is transport.Transport


def test_the_next_broker_of_a_list_is_reached_by_its_own_scheme() -> None:
    connection = HardenedConnection("amqp://one;amqps://two")
    connection.maybe_switch_next()

    assert type(connection.transport) is transport.SSLTransport


def test_other_connections_of_the_process_are_as_they_were() -> None:
    assert type(kombu.Connection("amqp://").transport) is pyamqp.Transport


@pytest.mark.parametrize("connect", ["connection_for_read", "connection_for_write"])
def test_each_connection_of_the_application_is_ours(connect: str) -> None:
    assert isinstance(getattr(make_app(), connect)(), HardenedConnection)
