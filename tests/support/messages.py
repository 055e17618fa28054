"""Messages as the client library hands them over, and an account that their jobs name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kombu.message import Message

from venues import all_venues
from venues.credential import Credential
from worker.settings import Account

VENUE = all_venues()["coinw"]
ACCOUNTS = {
    "desk-1": Account(
        name="desk-1",
        venue=VENUE,
        credential=Credential(api_key="k", api_secret="s"),
        base_url=VENUE.base_url,
    )
}
IDS = ["33308750270880236", "33308750270880237"]
JOB = {"job_id": "j-1", "account": "desk-1", "orders": [*IDS, IDS[0]], "symbol": "BTC"}


def delivered(
    body: Any = JOB,
    key: str = "routine.desk-1",
    *,
    headers: Mapping[str, Any] | None = None,
    redelivered: bool = False,
    exchange: str = "cancel.jobs",
    consumer_tag: str = "",
    **properties: str,
) -> Message:
    """Return a message with a JSON body, or with these bytes."""
    delivery = {"exchange": exchange, "routing_key": key, "redelivered": redelivered}
    return Message(
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        content_type="application/json",
        headers=dict(headers or {}),
        properties=properties,
        delivery_info=delivery | {"consumer_tag": consumer_tag},
    )


def celery_task(job: Any = JOB, progress: Any = None) -> bytes:
    """Return the body of a Celery message for a job, or for its retry."""
    kwargs = {"job": job} | ({"progress": progress} if progress else {})
    return json.dumps([[], kwargs, {}]).encode()
