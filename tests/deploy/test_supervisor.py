"""What a supervisor learns of a worker: that it is ready, and well without its broker."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, free_port, installed
from tests.support.worker import WorkerProcess, accounts_file


@pytest.fixture
def node() -> Iterator[RabbitNode]:
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    with RabbitNode() as node:
        yield node


def test_a_worker_says_when_it_is_ready_and_is_well_while_its_broker_is_away(
    node: RabbitNode, tmp_path: Path
) -> None:
    account = {
        "venue": "kuna",
        "key": "planted-key",
        "secret": "planted-secret",
        "base_url": "http://127.0.0.1:9",
    }
    env = accounts_file({"desk-1": account}, tmp_path / "cancel.toml")
    at = f"127.0.0.1:{free_port()}"
    heard = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(heard)
        systemd.settimeout(5.0)
        env |= {"CANCEL_METRICS": at, "NOTIFY_SOCKET": heard}
        with WorkerProcess(node.url, env, tmp_path / "worker.log") as worker:
            assert systemd.recv(100) == b"READY=1"
            assert answers(at, ready=200) == 200

            node.stop()

            assert answers(at, ready=503) == 200
            assert worker.process is not None
            worker.process.send_signal(signal.SIGSTOP)
            with pytest.raises(requests.Timeout):
                requests.get(f"http://{at}/-/healthy", timeout=1.0)


def answers(at: str, *, ready: int) -> int:
    """Wait until it answers so whether it is ready; return whether it is well."""
    give_up = time.monotonic() + 20
    while requests.get(f"http://{at}/-/ready", timeout=5).status_code != ready:
        assert time.monotonic() < give_up, f"ready never is {ready}"
        time.sleep(0.1)
    return requests.get(f"http://{at}/-/healthy", timeout=5).status_code
