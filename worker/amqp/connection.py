"""Connections whose transport is chosen here, not in kombu's table for the whole process."""

from __future__ import annotations

from typing import Any

import kombu
from kombu.connection import ConnectionPool, PooledConnection

from worker.amqp import embedded, transport

#: By the scheme of a broker's URL. kombu takes no other name in a URL, and a URL's scheme goes
#: before what Celery's `broker_transport` says.
_TRANSPORTS = {
    "amqp": transport.Transport,
    "pyamqp": transport.Transport,
    "amqps": transport.SSLTransport,
    embedded.SCHEME: embedded.Transport,
}


class _Chosen:
    """Takes our transport where there is one for the scheme."""

    transport_cls: str

    def get_transport_cls(self) -> Any:
        """Return the class of the transport."""
        return _TRANSPORTS.get(self.transport_cls) or super().get_transport_cls()  # type: ignore[misc]


class _Pooled(_Chosen, PooledConnection):
    pass


class _Pool(ConnectionPool):
    """Connections that Celery asks workers over; kombu's pool makes kombu's own."""

    def new(self) -> _Pooled:
        """Return a connection like the pool's first one."""
        return _Pooled(self, **dict(self.connection._info(resolve=False)))


class HardenedConnection(_Chosen, kombu.Connection):
    """A connection of kombu's over one of our transports; so are those of its pool."""

    def Pool(self, limit: int | None = None, **kwargs: Any) -> _Pool:  # noqa: N802 - kombu's name
        """Return a pool of such connections."""
        return _Pool(self, limit, **kwargs)
