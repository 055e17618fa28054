"""Publishes a task of Celery's with the confirms of many together.

Celery's own producer waits for the confirm of each task, some milliseconds at a quorum queue:
2,000 retries took a worker that stops 12 seconds, in which nobody served their lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from kombu import Connection
from kombu.serialization import dumps

from worker.amqp.publisher import Publication, Publisher

#: Of Celery's options; the others say how its own producer is to publish.
_PROPERTIES = ("correlation_id", "reply_to", "user_id", "expiration", "priority")


class TaskProducer:
    """Takes one task from `apply_async(producer=...)` and hands it to a publisher."""

    #: Ends when the broker has the task: see `Publisher.publish`.
    published: Future[None]

    def __init__(self, connection: Connection, publisher: Publisher) -> None:
        """Prepare; of the connection Celery asks what its errors are, and it stays closed."""
        self.connection = connection
        self._publisher = publisher

    def publish(
        self,
        body: Any,
        *,
        exchange: Any,
        routing_key: str,
        serializer: str,
        headers: Mapping[str, Any],
        **options: Any,
    ) -> None:
        """Publish a task as it is, where it reaches a queue."""
        content_type, encoding, payload = dumps(body, serializer=serializer)
        said = {name: options[name] for name in _PROPERTIES if name in options}
        self.published = self._publisher.publish(
            Publication(
                exchange=getattr(exchange, "name", exchange),
                routing_key=routing_key,
                body=payload.encode() if isinstance(payload, str) else payload,
                properties=said | {"content_type": content_type, "content_encoding": encoding},
                headers=headers,
                mandatory=True,
            )
        )
