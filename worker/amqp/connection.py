"""Connections whose transport is chosen here, not in kombu's table for the whole process."""

from __future__ import annotations

from typing import Any

import kombu

from worker.amqp import embedded, transport

#: By the scheme of a broker's URL. kombu takes no other name in a URL, and a URL's scheme goes
#: before what Celery's `broker_transport` says.
_TRANSPORTS = {
    "amqp": transport.Transport,
    "pyamqp": transport.Transport,
    "amqps": transport.SSLTransport,
    embedded.SCHEME: embedded.Transport,
}


class HardenedConnection(kombu.Connection):
    """A connection of kombu's over one of our transports, where there is one for its scheme."""

    def get_transport_cls(self) -> Any:
        """Return the class of the transport."""
        return _TRANSPORTS.get(self.transport_cls) or super().get_transport_cls()
