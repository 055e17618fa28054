"""Measures the record with a million rows.

`python -m tests.worker.record.million [database URL]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.support.cli import Shell
from tests.worker.record.conftest import outcome
from worker.record.migrate import migrate
from worker.record.read import Message, read
from worker.record.store import Store

ROWS, JOBS, BATCH = 1_000_000, 5_000, 500


def fill(store: Store) -> None:
    """Write a million outcomes as the recorder does: parsed, in batches."""
    now, template = datetime.now(UTC), json.dumps(outcome("@id", "@job"))
    for first in range(0, ROWS, BATCH):
        numbers = range(first, first + BATCH)
        bodies = (
            template.replace("@id", f"{n % 400_000}").replace(
                "@job", f"job-{n % JOBS}-{n // 400_000}"
            )
            for n in numbers
        )
        store.write([read(Message(body.encode(), "k"), now) for body in bodies])


def measure(name: str, ask: Callable[[], object]) -> None:
    """Ask five times and tell the slowest."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    print(f"{name}: slowest of 5 {max(times):.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/record.sqlite3"
        env = {"CANCEL_RECORD_URL": url}
        store = Store(url)
        migrate(store)
        begun = time.perf_counter()
        fill(store)
        took_s = time.perf_counter() - begun
        print(f"{ROWS} rows written in {took_s:.1f} s: {ROWS / took_s:.0f} a second")
        measure("explain", lambda: store.of_id("177777"))
        measure("status", lambda: store.of_job("job-77-1"))
        measure(
            "cancel-worker explain", lambda: Shell(Path(folder), env).run("explain", "177777")
        )
        store.close()


if __name__ == "__main__":
    main()
