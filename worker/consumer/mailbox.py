"""Celery's remote control: a mailbox for each connection, and nothing in it that stops cancels.

Whoever may watch workers by Flower may write into their mailboxes, with any Celery client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from celery.app.control import Control as CeleryControl
from kombu import Queue, pidbox

#: What shows a worker, and `revoke`, which the consumer answers for (`worker.consumer.triage`).
#: All else would stop it, or have it take no more jobs, or hold them.
ALLOWED = frozenset(
    {
        "accounts",
        "active",
        "active_queues",
        "clock",
        "conf",
        "disable_events",
        "dump_active",
        "dump_conf",
        "dump_reserved",
        "dump_revoked",
        "dump_schedule",
        "dump_tasks",
        "enable_events",
        "heartbeat",
        "hello",
        "ping",
        "query_task",
        "registered",
        "report",
        "reserved",
        "revoke",
        "revoke_by_stamped_headers",
        "revoked",
        "scheduled",
        "stats",
    }
)

Handler = Callable[..., Any]


class Mailbox(pidbox.Mailbox):
    """A mailbox whose queue has a new name at each connection.

    The queue is exclusive. Under one name a second worker of that name, or the same one after
    its connection was cut, is refused until the broker has let the first one's go, which
    RabbitMQ 4.3 does not while a node is down.
    """

    def get_queue(self, hostname: str) -> Queue:
        """Return the queue of a connection; messages name the worker, not its queue."""
        queue = super().get_queue(hostname)
        queue.name = f"{hostname}.{uuid4().hex[:12]}.{self.namespace}.pidbox"
        return queue

    def Node(  # noqa: N802 - kombu's name
        self,
        hostname: str | None = None,
        state: Any = None,
        channel: Any = None,
        handlers: Mapping[str, Handler] | None = None,
    ) -> Any:
        """Return a worker's end of the mailbox."""
        known = {
            name: handler if name in ALLOWED else partial(_refuse, name)
            for name, handler in (handlers or {}).items()
        }
        return super().Node(hostname, state, channel, known)


def _refuse(name: str, _state: Any, **_: Any) -> dict[str, str]:
    structlog.get_logger().warning("control_refused", command=name)
    return {"error": f"{name} is refused: nobody stops cancels from afar"}


class Control(CeleryControl):
    """The remote control of this application, for its workers and for those who ask them."""

    Mailbox = Mailbox
