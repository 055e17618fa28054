"""A small Hyperliquid on loopback: some orders, each of a coin, and what was asked of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The key of the SDK's tests, and the account for which it signs.
KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260E4c9A71f18484C9f997B308e59325"


class Book:
    """The orders of the account, which alone is served."""

    def __init__(self, coins: Mapping[str, str], fails: int = 0) -> None:
        self.coins = dict(coins)
        self.canceled: set[str] = set()
        self.actions: list[Any] = []
        self.reads = 0
        self._fails = fails

    def serve(self, path: str, body: Any) -> tuple[int, Any]:
        if path == "/exchange":
            self.actions.append(body["action"])
            return 200, {
                "status": "ok",
                "response": {
                    "type": "cancel",
                    "data": {
                        "statuses": [self._cancel(**row) for row in body["action"]["cancels"]]
                    },
                },
            }
        if body["type"] == "meta":
            self.reads += 1
            if self.reads <= self._fails:
                return 500, None
            return 200, {"universe": [{"name": "BTC"}, {"name": "ETH"}]}
        assert body["user"] == ADDRESS.lower()
        if body["type"] == "frontendOpenOrders":
            return 200, [self._row(oid) for oid in self.coins if oid not in self.canceled]
        oid = str(body["oid"])
        if oid not in self.coins:
            return 200, {"status": "unknownOid"}
        word = "canceled" if oid in self.canceled else "open"
        return 200, {"status": "order", "order": {"order": self._row(oid), "status": word}}

    def _cancel(self, a: int, o: int) -> Any:
        of_asset = {"BTC": 0, "ETH": 1, "@107": 10107}.get(self.coins.get(str(o), ""))
        if of_asset != a or str(o) in self.canceled:
            text = "Order was never placed, already canceled, or filled."
            return {"error": f"{text} asset={a}"}
        self.canceled.add(str(o))
        return "success"

    def _row(self, oid: str) -> Any:
        sizes = {"sz": "1.0", "origSz": "1.0", "isTrigger": False, "cloid": None, "side": "B"}
        return {"oid": int(oid), "coin": self.coins[oid], **sizes}


@contextmanager
def served(book: Book) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, told = book.serve(self.path, json.loads(body))
            said = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
