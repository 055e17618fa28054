"""What a person sees when `CANCEL_METRICS` is wrong, and that nothing listens without it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rabbitmq import RabbitNode
from tests.support.worker import ROOT, accounts_file
from worker.settings import ConfigError, metrics_address


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_an_address_is_read(asked: str, address: tuple[str, int] | None) -> None:
    assert metrics_address({"CANCEL_METRICS": asked}) == address


@pytest.mark.parametrize(
    "asked",
    ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999",
     "127.0.0.1:0", "http://127.0.0.1:9464", "127.0.0.1:9464/metrics",
     "user@127.0.0.1:9464", "[::1:9464"],
)  # fmt: skip
def test_what_is_no_address_is_refused(asked: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^CANCEL_METRICS: .*write it like 127\.0\.0\.1:9464$"
    ):
        metrics_address({"CANCEL_METRICS": asked})


def _start(rabbit: RabbitNode, folder: Path, asked: str) -> subprocess.CompletedProcess[str]:
    account = {
        "venue": "kuna",
        "key": "metrics-key",
        "secret": "metrics-secret",
        "base_url": "http://127.0.0.1:9",
    }
    env = accounts_file({"m-start": account}, folder / "cancel.toml")
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker"],
        env={**os.environ, **env, "CELERY_BROKER_URL": rabbit.url, "CANCEL_METRICS": asked},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_bad_address_stops_the_start_with_one_line(
    rabbit: RabbitNode, tmp_path: Path
) -> None:
    done = _start(rabbit, tmp_path, "everywhere")

    assert done.returncode == os.EX_CONFIG
    assert done.stderr == (
        "cancel-worker: CANCEL_METRICS: 'everywhere' is no address;"
        " write it like 127.0.0.1:9464\n"
    )


def test_a_port_in_use_stops_the_start_with_one_line(
    rabbit: RabbitNode, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _start(rabbit, tmp_path, f"127.0.0.1:{port}")

    assert done.returncode == os.EX_CONFIG
    assert done.stderr == (
        f"cancel-worker: CANCEL_METRICS: cannot listen on 127.0.0.1:{port}"
        " (Address already in use); give each worker a port of its own\n"
    )
