"""A Celery task per id as a good engineer writes it: threads, sessions kept, and a look after.

It believes one look-up right after the cancel, and waits for no lag of the venue.
"""

from __future__ import annotations

import json
import os
import threading

import requests
import structlog
from celery import Celery
from celery.signals import worker_ready

from tests.bench.peers.call import Throttled, call, session

THREADS = 16

app = Celery("fair", broker=os.environ.get("PEER_BROKER", "memory://"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=THREADS,
)
_log = structlog.wrap_logger(
    structlog.PrintLogger(),  # Celery's own lines go elsewhere
    processors=[structlog.processors.TimeStamper("iso"), structlog.processors.JSONRenderer()],
)
_own = threading.local()


@worker_ready.connect
def _ready(**_: object) -> None:
    _log.info("ready")


@app.task(autoretry_for=(Throttled, OSError), retry_backoff=True, max_retries=10)
def cancel_order(order: str) -> None:
    """Cancel one order, look whether it is open still, and say so."""
    _call("DELETE", "/v1/perpum/order", json.dumps({"id": order}))
    found = _call("GET", f"/v1/perpum/order?positionType=plan&sourceIds={order}")
    status = "failed" if found["data"] else "canceled"
    account = os.environ["PEER_ACCOUNT"]
    outcome = {"id": order, "account": account, "status": status}
    with app.producer_pool.acquire(block=True) as producer:
        key = f"coinw.{account}.{status}"
        producer.publish(outcome, exchange="cancel.outcomes", routing_key=key)
    _log.info("canceled", **outcome)


def _call(method: str, target: str, raw: str = "") -> dict[str, object]:
    key, secret = os.environ["PEER_KEY"], os.environ["PEER_SECRET"]
    found: dict[str, object] = call(
        _session(), os.environ["PEER_URL"], key, secret, method, target, raw
    )
    return found


def _session() -> requests.Session:
    """Return this thread's session."""
    if not hasattr(_own, "session"):
        _own.session = session()
    kept: requests.Session = _own.session
    return kept
