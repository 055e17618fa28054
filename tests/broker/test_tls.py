"""The broker over TLS: whoever has no certificate for its name is given no password."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.certificates import Signed, sign
from tests.support.cli import Shell
from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, free_port, installed
from tests.support.worker import WorkerProcess, accounts_file

NAME = "broker.example"
ACCOUNTS = {
    "desk-1": {"venue": "kuna", "base_url": "http://127.0.0.1:9", "key": "k", "secret": "s"}
}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """A certificate of another name than the one by which the broker is reached."""
    return sign(tmp_path_factory.mktemp("certificates"), NAME)


@pytest.fixture(scope="module")
def url(signed: Signed) -> Iterator[str]:
    """A broker that speaks TLS and wants a certificate of its clients."""
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    node, port = RabbitNode(), free_port()
    with (node.folder / "rabbitmq.conf").open("a") as config:
        config.write(
            f"listeners.ssl.local = 127.0.0.1:{port}\n"
            f"ssl_options.cacertfile = {signed.authority}\n"
            f"ssl_options.certfile = {signed.certificate}\n"
            f"ssl_options.keyfile = {signed.key}\n"
            "ssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = true\n"
        )
    with node:
        yield f"amqps://guest:guest@127.0.0.1:{port}//"


@pytest.fixture
def env(signed: Signed) -> dict[str, str]:
    """All that is to be said of TLS."""
    return {
        "CANCEL_BROKER_CA_FILE": str(signed.authority),
        "CANCEL_BROKER_CERT_FILE": str(signed.certificate),
        "CANCEL_BROKER_KEY_FILE": str(signed.key),
        "CANCEL_BROKER_SERVER_NAME": NAME,
    }


def test_worker_and_command_line_know_the_broker(
    url: str, env: dict[str, str], tmp_path: Path
) -> None:
    accounts = accounts_file(ACCOUNTS, tmp_path / "cancel.toml")
    with WorkerProcess(url, accounts | env, tmp_path / "w1.log").start(ready="lane_owned"):
        shell = Shell(tmp_path, {"CELERY_BROKER_URL": url} | env)
        done = shell.run("rejected", "list")

    assert (done.code, done.out.strip()) == (0, "no rejected messages")


@pytest.mark.parametrize(
    "unknown", ["CANCEL_BROKER_CA_FILE", "CANCEL_BROKER_SERVER_NAME"], ids=["by-whom", "name"]
)
def test_another_host_is_given_no_password(
    url: str, env: dict[str, str], unknown: str, tmp_path: Path
) -> None:
    """Its certificate may be for another name, or of an authority that does not count."""
    env[unknown] = ""
    accounts = accounts_file(ACCOUNTS, tmp_path / "cancel.toml")
    worker = WorkerProcess(url, accounts | env, tmp_path / "w1.log").start(ready="")
    code = worker.wait()
    done = Shell(tmp_path, {"CELERY_BROKER_URL": url} | env).run("rejected", "list")

    for line in (worker.errors().strip(), done.err.strip()):
        assert "CERTIFICATE_VERIFY_FAILED" in line
        assert line.endswith("; see CANCEL_BROKER_CA_FILE and CANCEL_BROKER_SERVER_NAME")
        assert len(line.splitlines()) == 1
    assert (code, done.code) == (os.EX_UNAVAILABLE, os.EX_UNAVAILABLE)


def test_a_host_of_another_name_hears_nothing(signed: Signed, tmp_path: Path) -> None:
    """The system trusts the authority, which is how anybody's certificate would be good."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_listen, args=(server, signed, heard), daemon=True).start()
        url = f"amqps://guest:guest@127.0.0.1:{server.getsockname()[1]}//"
        env = {"CELERY_BROKER_URL": url, "SSL_CERT_FILE": str(signed.authority)}
        done = Shell(tmp_path, env).run("rejected", "list")

    assert "mismatch" in done.err, done.err
    assert b"".join(heard) == b""


def _listen(server: socket.socket, signed: Signed, heard: list[bytes]) -> None:
    """Keep the first words of whoever connects."""
    context = signed.server()
    while True:
        with suppress(ssl.SSLError, ConnectionError):
            try:
                client, _ = server.accept()
            except OSError:
                return
            with context.wrap_socket(client, server_side=True) as secured:
                heard.append(secured.recv(8))
