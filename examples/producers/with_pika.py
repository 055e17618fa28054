"""Send a cancel job with pika: `python with_pika.py kill < job.json`."""

import json
import os
import sys
from uuid import uuid4

import pika
from pika.exceptions import UnroutableError

URL = os.environ.get("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")


def send(priority: str, body: bytes) -> None:
    """Publish the very bytes; return when the broker has them in a queue."""
    job = json.loads(body)
    # Celery writes the virtual host / as //, pika as /%2F.
    url = URL.removesuffix("//") + "/%2F" if URL.endswith("//") else URL
    parameters = pika.URLParameters(url)
    properties = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        message_id=job.get("job_id") or str(uuid4()),
        user_id=parameters.credentials.username,  # the broker checks it
        delivery_mode=2,
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    key = f"{priority}.{job['account']}"
    channel.basic_publish("cancel.jobs", key, body, properties, mandatory=True)
    connection.close()


if __name__ == "__main__":
    try:
        send(sys.argv[1], sys.stdin.buffer.read())
    except UnroutableError:
        sys.exit("no queue took the job: is the account's name right, is a worker there?")
