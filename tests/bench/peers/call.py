"""One call to the venue, as short as a user would write it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import requests


class Throttled(Exception):
    """The venue rate-limited the request."""


def session() -> requests.Session:
    """Return a session of its own."""
    made = requests.Session()
    made.trust_env = False
    return made


_SESSION = session()


def cancel(base_url: str, key: str, secret: str, path: str, body: dict[str, Any]) -> None:
    """Send one signed DELETE.

    Raises:
        Throttled: the venue rate-limited the request.
    """
    raw = json.dumps(body, separators=(",", ":"))
    call(_SESSION, base_url, key, secret, "DELETE", path, raw)


def call(
    session: requests.Session,
    base_url: str,
    key: str,
    secret: str,
    method: str,
    target: str,
    raw: str = "",
) -> Any:
    """Send one signed request and return its JSON.

    Raises:
        Throttled: the venue rate-limited the request.
    """
    now_ms = str(int(time.time() * 1000))
    mac = hmac.digest(
        secret.encode(), f"{now_ms}{method}{target}{raw}".encode(), hashlib.sha256
    )
    headers = {
        "sign": base64.b64encode(mac).decode(),
        "api_key": key,
        "timestamp": now_ms,
        "Content-Type": "application/json",
    }
    reply = session.request(method, base_url + target, data=raw, headers=headers, timeout=5)
    body = reply.json()
    if body["code"] == 29001:
        raise Throttled
    return body
