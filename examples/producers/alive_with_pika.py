"""Say with pika that a producer lives: `python alive_with_pika.py desk-1 market-maker 5`."""

import json
import os
import signal
import sys
import threading
import time

import pika

URL = os.environ.get("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")


def beat(account: str, producer: str, every_s: float, ended: threading.Event) -> None:
    """Say so again and again; sign off where the producer ends in order."""
    # Celery writes the virtual host / as //, pika as /%2F.
    url = URL.removesuffix("//") + "/%2F" if URL.endswith("//") else URL
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()

    def say(**more: bool) -> None:
        properties = pika.BasicProperties(
            content_type="application/json", timestamp=int(time.time())
        )
        body = json.dumps({"producer": producer, **more}).encode()
        channel.basic_publish("cancel.jobs", f"alive.{account}", body, properties)

    while not ended.is_set():
        say()
        said_at = time.monotonic()
        while not ended.is_set() and time.monotonic() < said_at + every_s:
            connection.sleep(min(every_s, 0.5))
    say(bye=True)  # without it, silence is death, and cancels all orders of the account
    connection.close()


if __name__ == "__main__":
    ended = threading.Event()
    # Not an exception: in the middle of a publish it would take the last word along.
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: ended.set())
    beat(sys.argv[1], sys.argv[2], float(sys.argv[3]), ended)
