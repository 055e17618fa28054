"""Signed requests as an honest client sends them, byte for byte, on a plain connection."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

from venues.sandbox.client import SandboxClient

SECRET = "dummySecret0001"
KEY = "dummyKey0001"

_last_nonce = [0]


def fresh_nonce() -> str:
    """Return the time in ms, and never the same twice."""
    _last_nonce[0] = max(int(time.time() * 1000), _last_nonce[0] + 1)
    return str(_last_nonce[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(
    sandbox: SandboxClient,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes = b"",
    *,
    timeout: float = 5.0,
) -> Answer:
    """Send exactly this and read the answer."""
    connection = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=timeout)
    try:
        connection.request(method, target, body or None, headers)
        reply = connection.getresponse()
        return Answer(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


def digest(algorithm: str, text: bytes, secret: str = SECRET) -> bytes:
    """HMAC of the text."""
    return hmac.new(secret.encode(), text, algorithm).digest()


def coinw(
    sandbox: SandboxClient,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    key: str = KEY,
    timeout: float = 5.0,
) -> Answer:
    """Call CoinW; `path` starts after /v1/perpum/."""
    target = f"/v1/perpum/{path}" + (f"?{query}" if query else "")
    raw = b"" if body is None else json.dumps(body).encode()
    stamp = str(int(time.time() * 1000))
    sign = base64.b64encode(digest("sha256", f"{stamp}{method}{target}".encode() + raw))
    headers = {"sign": sign.decode(), "api_key": key, "timestamp": stamp}
    headers["Content-Type"] = "application/json"
    return send(sandbox, method, target, headers, raw, timeout=timeout)


def ztdx(
    sandbox: SandboxClient, method: str, path: str, body: bytes = b"", **params: Any
) -> Answer:
    """Call ZTDX; lists become JSON, everything is percent-encoded."""
    texts = {
        k: json.dumps(v, separators=(",", ":")) if isinstance(v, list) else str(v)
        for k, v in {"timestamp": int(time.time() * 1000), **params}.items()
    }
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in texts.items())
    signature = digest("sha256", query.encode() + body).hex()
    target = f"/fapi/v1/{path}?{query}&signature={signature}"
    return send(sandbox, method, target, {"X-MBX-APIKEY": KEY}, body)


def kuna(
    sandbox: SandboxClient, method: str, path: str, body: Any = None, *, nonce: str = ""
) -> Answer:
    """Call Kuna; `path` starts after /v4/order/private/."""
    target = f"/v4/order/private/{path}"
    raw = json.dumps({} if body is None else body, separators=(",", ":")).encode()
    nonce = nonce or fresh_nonce()
    signature = digest("sha384", f"{target}{nonce}".encode() + raw).hex()
    headers = {"public-key": KEY, "nonce": nonce, "signature": signature}
    return send(sandbox, method, target, headers, raw if method == "POST" else b"")


def order(venue: str, number: int, **fields: Any) -> dict[str, Any]:
    """An order for the book, with an id that the venue could have given."""
    ids = {"coinw": str(33308750270880000 + number)}
    given = ids.get(venue, f"3fa42833-9508-4061-8d80-{number:012d}")
    symbol = {"coinw": "BTC", "ztdx": "BTCUSDT", "kuna": "BTC_USDT"}[venue]
    return {"venue": venue, "api_key": KEY, "id": given, "symbol": symbol, **fields}
