"""Celery's request of a task, which it may not throw away: every id gets an answer."""

from __future__ import annotations

from celery.worker.request import Request


class KeptRequest(Request):
    """A request that ignores revocation.

    Celery would acknowledge a revoked task, and nobody would learn what became of its ids. The
    consumer answers for revoked jobs before their ids go to their lane.
    """

    def revoked(self) -> bool:
        """Say no."""
        return False
