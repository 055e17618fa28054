"""What a person sees when the worker cannot start: one line, no traceback, an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.cli import COMMAND
from tests.support.need import need
from tests.support.rabbitmq import RabbitNode, installed
from tests.support.worker import ROOT

GOOD = """
[accounts.desk-1]
venue = "kuna"
api_key_env = "DESK1_KEY"
api_secret_env = "DESK1_SECRET"
base_url = "http://127.0.0.1:9"
"""
SECRET = "planted-secret"
NOBODY = "amqp://guest:broker-password@127.0.0.1:1//"


WORKER = [sys.executable, "-m", "celery", "-A", "worker", "worker"]


def start(
    folder: Path, accounts: str, command: Sequence[str] = WORKER, **environment: str
) -> subprocess.CompletedProcess[str]:
    path = folder / "cancel.toml"
    path.write_text(accounts)
    own = {"CANCEL_CONFIG": str(path), "DESK1_KEY": "planted-key", "DESK1_SECRET": SECRET}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CELERY_BROKER_URL": NOBODY,
            **own,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("accounts", "environment", "words"),
    [
        ("", {}, ["accounts"]),
        ("not toml", {}, ["not TOML"]),
        (GOOD.replace("kuna", "mtgox"), {}, ["accounts.desk-1.venue", "mtgox", "coinw"]),
        (GOOD, {"DESK1_SECRET": ""}, ["api_secret_env", "DESK1_SECRET"]),
        (GOOD.replace("api_key_env", "api_kee_env"), {}, ["accounts.desk-1.api_kee_env"]),
        (GOOD.replace("http://127.0.0.1:9", "http://api.kuna.io"), {}, ["base_url", "https"]),
        (GOOD.replace("http://127.0.0.1:9", "https://a:b@api.kuna.io"), {}, ["base_url"]),
        (GOOD + "timeout = -1\n", {}, ["accounts.desk-1.timeout"]),
        (GOOD + '[accounts.desk-1.quotas]\nlookup = "many"\n', {}, ["quotas.lookup", "10/1s"]),
        (
            GOOD + '[accounts.desk-1.quotas]\nlookups = "1/1s"\n',
            {},
            ["quotas.lookups", "known"],
        ),
        (GOOD + GOOD.replace("desk-1", "desk-2"), {}, ["desk-2", "same key", "desk-1"]),
        (GOOD.replace("desk-1", '"desk 1"'), {}, ["desk 1"]),
        (GOOD, {"CANCEL_CONFIG": "/nowhere/cancel.toml"}, ["no such file", "CANCEL_CONFIG"]),
        (GOOD + 'proxy = "socks5://127.0.0.1:9"\n', {}, ["proxy", "http://10.0.0.5:3128"]),
        (GOOD + 'proxy = "http://a:b@127.0.0.1:9"\n', {}, ["proxy", "login", "proxy_env"]),
        (GOOD + 'proxy = "http://127.0.0.1:9"\n', {}, ["proxy", "https"]),
        (GOOD + 'proxy_env = "DESK1_PROXY"\n', {}, ["proxy_env", "DESK1_PROXY"]),
        (GOOD + 'ca_file = "/nowhere/ca.pem"\n', {}, ["ca_file", "cannot be read"]),
        (GOOD + 'ca_file = "/dev/null"\n', {}, ["ca_file", "holds no certificate"]),
        (GOOD + 'client_cert = "/dev/null"\n', {}, ["client_cert", "holds no certificate"]),
        (GOOD + 'source_address = "eth0"\n', {}, ["source_address", "IP address"]),
        (GOOD + 'dead_man = "2h"\n', {}, ["accounts.desk-1.dead_man", '"30s"', "1s to 1h"]),
        (
            GOOD.replace("kuna", "bitget")
            + 'api_passphrase_env = "DESK1_KEY"\ndead_man = "30s"\n'
            + 'options.product_type = "usdt-futures"\n',
            {},
            ["accounts.desk-1.dead_man", "bitget has no list", "take dead_man out"],
        ),
        (
            GOOD + 'dead_man = "30s"\nvenue_timer = "60s"\n',
            {},
            ["accounts.desk-1.venue_timer", "kuna has no timer", "take it out"],
        ),
        (
            GOOD.replace("kuna", "binance")
            + 'options.product = "usdm"\ndead_man = "30s"\nvenue_timer = "10s"\n'
            + 'venue_timer_symbols = ["BTCUSDT", "ETHUSDT"]\n',
            {},
            ["accounts.desk-1.venue_timer", "12s or longer", "fewer symbols"],
        ),
        (GOOD, {"CANCEL_LOG": "xml"}, ["CANCEL_LOG", "json"]),
    ],
)
def test_bad_settings_end_with_one_line(
    tmp_path: Path, accounts: str, environment: dict[str, str], words: list[str]
) -> None:
    done = start(tmp_path, accounts, **environment)

    lines = done.stderr.strip().splitlines()
    assert done.returncode == os.EX_CONFIG, done.stderr
    assert len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert SECRET not in done.stderr
    assert done.stdout == ""


UNREADABLE = ["Sup3r/S3cret", "Sup3r#S3cret", "123?S3cret", "Sup3r[S3cret", "123/S3cret"]


@pytest.mark.parametrize("command", [WORKER, [*COMMAND, "record"], [*COMMAND, "watch"]])
@pytest.mark.parametrize("password", UNREADABLE)
def test_a_password_that_breaks_the_address(
    tmp_path: Path, command: list[str], password: str
) -> None:
    """One line, by which nobody learns a part of it; and no supervisor tries it again."""
    url = f"amqp://worker:{password}@127.0.0.1:1/cancel"
    done = start(tmp_path, GOOD, command, CELERY_BROKER_URL=url)

    line = "cancel-worker: CELERY_BROKER_URL cannot be read; percent-encode the password"
    assert done.stderr.strip() == line
    assert (done.returncode, done.stdout) == (os.EX_CONFIG, "")


def test_a_file_of_tls_that_is_not_there(tmp_path: Path) -> None:
    done = start(tmp_path, GOOD, CANCEL_BROKER_CA_FILE="/nowhere/ca.pem")

    assert done.stderr.strip() == (
        "cancel-worker: CANCEL_BROKER_CA_FILE: /nowhere/ca.pem is no file"
    )
    assert done.returncode == os.EX_CONFIG


def test_a_broker_that_came_from_an_older_version(tmp_path: Path) -> None:
    """Streams are off there until somebody says otherwise; the line says how."""
    need(installed(), "RabbitMQ is missing: apt-get install rabbitmq-server")
    flags = "quorum_queue,implicit_default_bindings,virtual_host_metadata,user_limits"
    with RabbitNode(features=f"{flags},maintenance_mode_status") as node:
        known = {flag["name"]: flag["state"] for flag in node.manage("GET", "feature-flags")}
        if known["stream_queue"] == "enabled":
            pytest.skip("this version of RabbitMQ never starts without streams")
        done = start(tmp_path, GOOD, CELERY_BROKER_URL=node.url)

    (line,) = done.stderr.strip().splitlines()
    assert "stream_queue" in line
    assert line.endswith("; on the broker run: rabbitmqctl enable_feature_flag all")
    assert done.returncode == os.EX_UNAVAILABLE


def test_a_broker_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    done = start(tmp_path, GOOD)

    *warnings, line = done.stderr.strip().splitlines()
    assert done.returncode == os.EX_UNAVAILABLE
    assert "CELERY_BROKER_URL" in line
    assert "127.0.0.1:1" in line
    assert not warnings
    assert "broker-password" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
