"""What a person sees when the worker cannot start: one line, no traceback, an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def start(folder: Path, accounts: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = folder / "cancel.toml"
    path.write_text(accounts)
    own = {"CANCEL_CONFIG": str(path), "DESK1_KEY": "planted-key", "DESK1_SECRET": SECRET}
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker"],
        cwd=ROOT,
        env={**os.environ, "CELERY_BROKER_URL": NOBODY, **own, **environment},
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


def test_a_broker_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    done = start(tmp_path, GOOD)

    *warnings, line = done.stderr.strip().splitlines()
    assert done.returncode == os.EX_UNAVAILABLE
    assert "CELERY_BROKER_URL" in line
    assert "127.0.0.1:1" in line
    assert not warnings
    assert "broker-password" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
