"""A real Flower in a process of its own, and a reader of the events that it lives on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.support.producer import connect
from tests.support.rabbitmq import free_port
from tests.support.worker import ROOT

USER, PASSWORD = "watch", "planted-flower-password"
START_TIMEOUT_S = 120.0


#: How Flower is started, from a folder or with the command.
BY_CELERY = (sys.executable, "-m", "celery", "-A", "worker", "flower")
BY_COMMAND = (sys.executable, "-m", "worker.cli", "flower")


class FlowerProcess:
    """`celery -A worker flower` with the shipped configuration and a password."""

    def __init__(
        self,
        broker_url: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = BY_CELERY,
        folder: Path = ROOT,
    ) -> None:
        self.port = free_port()
        self.log = log
        self.url = f"http://127.0.0.1:{self.port}"
        self._command, self._folder = command, folder
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CELERY_BROKER_URL": broker_url,
            "FLOWER_PORT": str(self.port),
            "FLOWER_BASIC_AUTH": f"{USER}:{PASSWORD}",
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command, env=self._env, cwd=self._folder, stdout=out, stderr=out
            )
        return self.process

    def get(self, path: str, **params: Any) -> requests.Response:
        """Return a page, as a person who knows the password sees it."""
        return requests.get(self.url + path, params=params, auth=(USER, PASSWORD), timeout=30)

    def tasks(self) -> list[dict[str, Any]]:
        """Return every task that Flower knows."""
        return list(self.get("/api/tasks", limit=20_000).json().values())

    def __enter__(self) -> FlowerProcess:
        process = self.launch()
        give_up = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                if self.get("/api/workers", refresh=1, status=1).ok:
                    return self
            except requests.ConnectionError:
                pass
            if process.poll() is not None or time.monotonic() > give_up:
                self.end()
                raise RuntimeError(f"Flower did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def end(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def __exit__(self, *_: object) -> None:
        self.end()


class Events:
    """Every event that workers send, as bytes."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._channel = self._connection.channel()
        self._channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
        self._name, *_ = self._channel.queue_declare(exclusive=True)
        self._channel.queue_bind(self._name, "celeryev", "#")

    def take(self) -> list[bytes]:
        """Return what has come since the last time."""
        found = []
        while (message := self._channel.basic_get(self._name, no_ack=True)) is not None:
            body = message.body
            found.append(body if isinstance(body, bytes) else body.encode())
        return found

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()
