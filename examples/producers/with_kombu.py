"""Send a cancel job with kombu: `python with_kombu.py kill < job.json`."""

import json
import os
import sys
from uuid import uuid4

from kombu import Connection

URL = os.environ.get("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")


def send(priority: str, body: bytes) -> None:
    """Publish the very bytes; return when the broker has them in a queue."""
    job = json.loads(body)
    returned: list[object] = []
    with Connection(URL, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer(on_return=lambda *what: returned.append(what))
        producer.publish(
            body,
            exchange="cancel.jobs",
            routing_key=f"{priority}.{job['account']}",
            content_type="application/json",
            content_encoding="utf-8",
            message_id=job.get("job_id") or str(uuid4()),
            user_id=connection.userid or "guest",  # the broker checks it
            delivery_mode=2,
            mandatory=True,
            confirm_timeout=10,
        )
    if returned:
        sys.exit("no queue took the job: is the account's name right, is a worker there?")


if __name__ == "__main__":
    send(sys.argv[1], sys.stdin.buffer.read())
