"""A Celery task per id with Celery's own rate limit, retries and backoff."""

from __future__ import annotations

import os

from celery import Celery

from tests.bench.peers.call import Throttled, cancel

app = Celery("per_id", broker=os.environ.get("PEER_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(
    autoretry_for=(Throttled, OSError), retry_backoff=True, max_retries=10, rate_limit="10/s"
)
def cancel_order(order: str) -> None:
    """Cancel one order."""
    key, secret = os.environ["PEER_KEY"], os.environ["PEER_SECRET"]
    cancel(os.environ["PEER_URL"], key, secret, "/v1/perpum/order", {"id": order})
