"""The embedded broker: kombu's folder transport, made safe for a reader beside a writer.

For the demo and a first look only: one worker, and what it holds dies with it.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kombu.transport import filesystem
from kombu.utils.json import dumps

#: How often the folder is looked into, in seconds.
POLL_S = 0.01
SCHEME = "filesystem"


class Channel(filesystem.Channel):
    """A message appears in the folder whole, in one step.

    The parent opens the file under its final name and then writes, so that a reader beside
    it can take, and delete, an empty message.
    """

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        name = f"{time.monotonic_ns()}_{uuid.uuid4()}.{queue}.msg"
        whole = Path(self.data_folder_out) / name
        part = Path(self.control_folder) / f"{name}.part"
        part.write_text(dumps(payload), encoding="utf-8")
        part.replace(whole)


class Transport(filesystem.Transport):
    """The folder transport with the channel above."""

    Channel = Channel


def options(broker_url: str) -> dict[str, Any]:
    """Return kombu's options for `filesystem:///a/folder`, whose folders are made here."""
    folder = urlsplit(broker_url).path
    found: dict[str, Any] = {
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": f"{folder}/control",
        "polling_interval": POLL_S,
        "store_processed": False,
    }
    os.makedirs(found["control_folder"], exist_ok=True)  # noqa: PTH103
    return found


def is_folder(broker_url: str) -> bool:
    """Say whether a broker URL names a folder."""
    return broker_url.startswith(f"{SCHEME}:")
