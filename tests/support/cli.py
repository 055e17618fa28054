"""Runs `cancel-worker` as a user does: in a process of its own, off a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.worker import ROOT

#: An older checkout has its commands in another place.
COMMAND = (sys.executable, "-m", "worker.cli" if (ROOT / "worker/cli").is_dir() else "cli")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed, as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """A folder and an environment in which commands are run."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith("CANCEL_")
        }
        self.env = kept | {"PYTHONPATH": str(ROOT)} | dict(env)

    def run(self, *words: str, stdin: str = "", timeout_s: float = 60.0, **env: str) -> Done:
        """Run a command to its end; a traceback is never the answer to anything."""
        done = subprocess.run(
            [*COMMAND, *words], input=stdin, capture_output=True, text=True, check=False,
            timeout=timeout_s, cwd=self.folder, env=self.env | env,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env=self.env | env,
        )  # fmt: skip
