"""Celery's request of a task, which it may not throw away: every id gets an answer."""

from __future__ import annotations

from celery.worker.request import Request


class KeptRequest(Request):
    """A request that is run once it is here.

    Celery would acknowledge what was revoked and tell nobody what became of it. Who revokes a
    job is answered by the consumer, before its ids go to their lane.
    """

    def revoked(self) -> bool:
        """Say no."""
        return False
