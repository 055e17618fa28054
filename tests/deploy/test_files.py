"""The files that deploy the product: whole, pinned, without secrets and open to nobody."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.need import need
from tests.support.worker import ROOT

SECRETS = re.findall(r"^(\w+_PASSWORD)=", (ROOT / "deploy/env.example").read_text(), re.M)
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))


def _compose(*files: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Let compose read the files; docker-compose 1 reads them without what it does not know."""
    command = ["docker", "compose"] if shutil.which("docker") else []
    if (
        not command
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        command = [shutil.which("docker-compose") or ""]
    need(command != [""], "docker-compose is missing: apt-get install docker-compose")
    old = len(command) == 1
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(("docker-compose.yml", *files)):
            text = (ROOT / name).read_text()
            if old:
                text = text.replace("        bind: {create_host_path: false}\n", "")
            copy = Path(folder, f"{number}.yml")
            copy.write_text(text)
            command += ["-f", str(copy)]
        return subprocess.run(
            [*command, "--project-directory", str(ROOT), "--profile", "monitoring", "config"],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
            capture_output=True, text=True, check=False,
        )  # fmt: skip


@cache
def _services(*files: str) -> dict[str, Any]:
    done = _compose(*files, **dict.fromkeys(SECRETS, "planted"))
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout)["services"])


def test_compose_takes_the_file() -> None:
    expected = {"rabbitmq", "worker", "record", "postgres", "flower", "prometheus"}

    assert set(_services()) == expected | {"grafana"}


@pytest.mark.parametrize("name", [name for name in SECRETS if not name.startswith("GRAFANA")])
def test_without_a_password_nothing_starts(name: str) -> None:
    done = _compose(**{other: "planted" for other in SECRETS if other != name})

    assert done.returncode != 0
    assert name in done.stderr


def test_no_secret_stands_in_the_files() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    assert "planted" not in text
    for line in text.splitlines():
        if "PASSWORD" in line and not line.lstrip().startswith("#"):
            assert "${" in line, line
    assert all(f"{name}=\n" in (ROOT / "deploy/env.example").read_text() for name in SECRETS)


def test_the_head_of_compose_names_all_that_must_be_made_first() -> None:
    head = (ROOT / "docker-compose.yml").read_text().partition("\nx-app:")[0]
    ours = (ROOT / "deploy/env.example").read_text()
    made = {".env", *re.findall(r"^CANCEL_\w+=\./(\S+)$", ours, re.M)}
    steps = head.partition("Start:")[2].partition("docker compose up")[0]

    assert made == {".env", "cancel.toml", "secrets"}
    for name in made:
        assert re.search(rf"(?<!\w){re.escape(name)}(?= )", steps), name


def test_git_keeps_no_secret_by_mistake() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    assert {"/.env", "cancel.toml", "/secrets/"} <= set(ignored)


def test_every_service_is_restarted_and_watched() -> None:
    for name, service in _services().items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name


def test_what_is_missing_is_no_folder_of_dockers() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounts = {mount["target"]: mount for mount in services["worker"]["volumes"]}

    for target in ("/etc/cancel/cancel.toml", "/run/secrets"):
        assert mounts[target]["bind"] == {"create_host_path": False}


def test_the_sandbox_outlives_a_restart_of_the_worker() -> None:
    """Whose network it is, that one's end takes it from the other."""
    services = _services("deploy/sandbox.yml")

    assert services["worker"]["network_mode"] == "service:sandbox"
    assert "network_mode" not in services["sandbox"]
    assert "worker" in services["sandbox"]["networks"]["default"]["aliases"]


def test_one_service_builds_the_image() -> None:
    assert [name for name, service in _services().items() if "build" in service] == ["worker"]


def test_the_worker_is_not_judged_by_its_broker() -> None:
    check = " ".join(_services()["worker"]["healthcheck"]["test"])

    assert "9464/-/healthy" in check
    assert "celery" not in check


def test_every_port_is_bound_to_loopback() -> None:
    for name, service in _services().items():
        for port in service.get("ports", ()):
            host = port["host_ip"] if isinstance(port, dict) else str(port).split(":")[0]
            assert host == "127.0.0.1", name


def test_images_are_pinned_and_what_is_mounted_is_there() -> None:
    for name, service in _services().items():
        assert re.search(r":[\w.-]*\d", service["image"]), name
        for volume in service.get("volumes", ()):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            ours = source.startswith(str(ROOT)) and not source.endswith(
                ("cancel.toml", "secrets")
            )
            assert not ours or os.path.exists(source), source  # noqa: PTH110


def test_the_image_is_locked_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    installs = [line for line in lines if "pip install" in line]
    users = [line.split()[1] for line in lines if line.startswith("USER")]

    assert installs
    assert all("-c requirements.lock" in line for line in installs)
    assert any("venv --without-pip" in line for line in lines)
    assert any("pip uninstall --yes setuptools" in line for line in lines)
    assert users == ["10001:10001"]
    assert max(i for i, line in enumerate(lines) if line.startswith("FROM")) < lines.index(
        "USER 10001:10001"
    )


def test_all_that_the_image_copies_is_there_and_let_through() -> None:
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    let_through = (ROOT / ".dockerignore").read_text().splitlines()

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_through, source


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_as_nobody_special_and_is_restarted(path: Any) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    service = unit["Service"]

    assert service["User"] == "cancel"
    assert service["Restart"] == "always"
    assert service.get("LogRateLimitIntervalSec") == (
        "0" if "flower" not in path.name else None
    )
    assert service["RestartPreventExitStatus"] == str(os.EX_CONFIG)
    assert service["UMask"] == "0077"
    if "flower" not in path.name:
        assert service["LogRateLimitIntervalSec"] == "0", "journald drops lines of outcomes"
    assert re.search(r"\.venv/bin/(celery -A worker|cancel-worker) ", service["ExecStart"])
