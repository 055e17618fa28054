"""A real worker process with an accounts file, and what it wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

#: The checkout whose worker, commands and shipped files are tested: this one, or the one that
#: `WORKER_FOLDER` names, which shows what an older worker made of today's tests.
ROOT = Path(os.environ.get("WORKER_FOLDER") or Path(__file__).parents[2]).resolve()
#: A cluster's or a busy machine's worker may take this long to start; one that ends is noticed.
START_S = 90.0


def accounts_file(accounts: Mapping[str, Mapping[str, Any]], path: Path) -> dict[str, str]:
    """Write an accounts file and return the environment that holds its secrets.

    Each account: venue, base_url, key, secret (or None), and `extra` TOML lines.
    """
    lines, env = [], {}
    for name, account in accounts.items():
        stem = name.upper().replace("-", "_")
        env[f"{stem}_KEY"] = account["key"]
        lines += [f"[accounts.{name}]", f'venue = "{account["venue"]}"']
        lines += [f'api_key_env = "{stem}_KEY"', f'base_url = "{account["base_url"]}"']
        if account.get("secret"):
            env[f"{stem}_SECRET"] = account["secret"]
            lines.append(f'api_secret_env = "{stem}_SECRET"')
        lines += list(account.get("extra", ()))
    path.write_text("\n".join(lines) + "\n")
    return env | {"CANCEL_CONFIG": str(path)}


class WorkerProcess:
    """`celery -A worker worker` in a process of its own; its log is kept in a file."""

    def __init__(
        self,
        broker_url: str,
        env: Mapping[str, str],
        log: Path,
        *,
        name: str = "w1",
        args: Sequence[str] = (),
        folder: Path = ROOT,
    ) -> None:
        self.log = log
        self._folder = folder
        self._command = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
        self._command += ["-n", f"{name}@%h", *args]
        self._env = {**os.environ, "PYTHONPATH": str(folder), **env}
        self._env |= {"CELERY_BROKER_URL": broker_url, "CANCEL_LOG": "json"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self, *, ready: str = "worker_ready", timeout_s: float = START_S
    ) -> WorkerProcess:
        """Start it and wait until its log holds the event `ready`."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out, self.log.with_suffix(".err").open("ab") as err:
            self.process = subprocess.Popen(
                self._command, env=self._env, cwd=self._folder, stdout=out, stderr=err
            )
        give_up = time.monotonic() + timeout_s
        while ready and time.monotonic() < give_up:
            if f'"{ready}"' in self.log.read_bytes()[begin:].decode(errors="replace"):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        if ready:
            self.kill()
            raise RuntimeError(f"the worker did not get {ready}:\n{self.errors()}")
        return self

    def set(self, name: str, value: str) -> None:
        """Set a variable of its environment, before it starts."""
        self._env[name] = value

    def errors(self) -> str:
        """Return the end of what it wrote on standard error and output."""
        err = self.log.with_suffix(".err").read_text(errors="replace")
        return err[-3000:] + self.log.read_text(errors="replace")[-3000:]

    def lines(self) -> list[dict[str, Any]]:
        """Return its log, line by line; anything that is not JSON is an error.

        What was being written when the process was killed is no line yet.
        """
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        return [line for line in self.lines() if line["event"] == name]

    def await_event(self, name: str, job_id: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the one log line of a job about this; it may come just after its message.

        Raises:
            AssertionError: there is none in time, or more than one.
        """
        give_up = time.monotonic() + timeout_s
        while True:
            found = [line for line in self.events(name) if line.get("job_id") == job_id]
            if found or time.monotonic() > give_up:
                assert len(found) == 1, (name, found)
                return found[0]
            time.sleep(0.02)

    def lane_processes(self) -> list[psutil.Process]:
        """Return the processes in which its lanes live; none if it has ended."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def stop(self, timeout_s: float = 30.0) -> int:
        """Ask it to end, as a supervisor would, and return its exit code."""
        return self._signal(signal.SIGTERM, timeout_s)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait until it ends by itself, and return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def _signal(self, number: signal.Signals, timeout_s: float = 30.0) -> int:
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def __enter__(self) -> WorkerProcess:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
