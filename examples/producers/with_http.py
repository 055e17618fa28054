"""Send a cancel job over RabbitMQ's management API: `python with_http.py kill < job.json`.

For a job now and then: the API answers whether a queue took the message, but it is slow, and
it needs the management plugin.
"""

import base64
import json
import os
import sys
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4

URL = os.environ.get("RABBITMQ_API_URL", "http://127.0.0.1:15672/api")
VHOST = os.environ.get("RABBITMQ_VHOST", "/")
USER = os.environ.get("RABBITMQ_USER", "guest")
PASSWORD = os.environ.get("RABBITMQ_PASSWORD", "guest")


def send(priority: str, body: bytes) -> None:
    """Publish the very bytes; return when the broker has them in a queue."""
    job = json.loads(body)
    message = {
        "routing_key": f"{priority}.{job['account']}",
        "payload": base64.b64encode(body).decode(),
        "payload_encoding": "base64",
        "properties": {
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "message_id": job.get("job_id") or str(uuid4()),
            "user_id": USER,  # the broker checks it
            "delivery_mode": 2,
        },
    }
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = Request(  # noqa: S310 - the operator's own address
        f"{URL}/exchanges/{quote(VHOST, safe='')}/cancel.jobs/publish",
        data=json.dumps(message).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as reply:  # noqa: S310
        if not json.load(reply)["routed"]:
            sys.exit("no queue took the job: is the account's name right, is a worker there?")


if __name__ == "__main__":
    send(sys.argv[1], sys.stdin.buffer.read())
