"""Only the requests of a kill of all orders, as fast as threads can send them: the floor.

`python -m tests.bench.peers.bare URL ACCOUNT...` opens all its connections, says so on standard
output, and lists and cancels 200 limit orders of each account when its input ends. It knows
no limit, keeps no record, reads no code of a reply and proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

import urllib3

BATCH = 20
#: Requests of one account at once, each with a thread and a connection of its own.
AT_ONCE = 10
LIST = "/v1/perpum/order?positionType=plan"
CANCEL = "/v1/perpum/batchOrders"


class Account:
    """The threads of one account, each with its connection, open before there is work."""

    def __init__(self, base_url: str, name: str) -> None:
        self._base_url = base_url
        self._key, self._secret = f"key-{name}", f"secret-{name}".encode()
        self._batches: SimpleQueue[Sequence[str]] = SimpleQueue()
        self._go = threading.Event()
        self._open = threading.Barrier(AT_ONCE + 1)
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(AT_ONCE)
        ]

    def open(self) -> None:
        """Start the threads and have them connect."""
        for thread in self._threads:
            thread.start()
        self._open.wait()

    def kill(self) -> None:
        """Have all limit orders canceled that a list shows."""
        self._go.set()

    def join(self) -> None:
        """Wait for the replies."""
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        pool = urllib3.connection_from_url(self._base_url)
        pool.urlopen("GET", "/")
        self._open.wait()
        if number == 0:
            self._go.wait()
            ids = [str(row["id"]) for row in json.loads(self._send(pool, "GET", LIST))["data"]]
            for at in range(0, AT_ONCE * BATCH, BATCH):
                self._batches.put(ids[at : at + BATCH])
        body = json.dumps(
            {"posType": "plan", "sourceIds": self._batches.get()}, separators=(",", ":")
        )
        self._send(pool, "DELETE", CANCEL, body)

    def _send(
        self, pool: urllib3.HTTPConnectionPool, method: str, target: str, body: str = ""
    ) -> bytes:
        now_ms = str(int(time.time() * 1000))
        text = f"{now_ms}{method}{target}{body}".encode()
        mac = hmac.new(self._secret, text, hashlib.sha256).digest()
        headers = {
            "sign": base64.b64encode(mac).decode(),
            "api_key": self._key,
            "timestamp": now_ms,
            "Content-Type": "application/json",
        }
        return pool.urlopen(method, target, body=body or None, headers=headers).data


def main(base_url: str, names: Sequence[str]) -> None:
    """Kill the orders of these accounts, all at once, when the input ends."""
    accounts = [Account(base_url, name) for name in names]
    for account in accounts:
        account.open()
    print("ready", flush=True)
    sys.stdin.read()
    for account in accounts:
        account.kill()
    for account in accounts:
        account.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
