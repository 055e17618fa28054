"""One cancel call to the venue, as short as a user would write it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import requests

_SESSION = requests.Session()
_SESSION.trust_env = False


class Throttled(Exception):
    """The venue refused for rate."""


def cancel(base_url: str, key: str, secret: str, path: str, body: dict[str, Any]) -> None:
    """Send one signed DELETE.

    Raises:
        Throttled: the venue refused for rate.
    """
    raw, now_ms = json.dumps(body, separators=(",", ":")), str(int(time.time() * 1000))
    mac = hmac.digest(secret.encode(), f"{now_ms}DELETE{path}{raw}".encode(), hashlib.sha256)
    headers = {
        "sign": base64.b64encode(mac).decode(),
        "api_key": key,
        "timestamp": now_ms,
        "Content-Type": "application/json",
    }
    reply = _SESSION.delete(base_url + path, data=raw, headers=headers, timeout=5)
    if reply.json()["code"] == 29001:
        raise Throttled
