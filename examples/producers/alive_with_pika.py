"""Say with pika that a producer lives: `python alive_with_pika.py desk-1 market-maker 5`."""

import json
import os
import signal
import sys
import time

import pika

URL = os.environ.get("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")


def beat(account: str, producer: str, every_s: float) -> None:
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

    try:
        while True:
            say()
            connection.sleep(every_s)
    except KeyboardInterrupt:
        say(bye=True)  # without it, silence is death, and cancels all orders of the account
        connection.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    beat(sys.argv[1], sys.argv[2], float(sys.argv[3]))
