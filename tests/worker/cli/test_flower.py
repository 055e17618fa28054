"""Flower outside the project's folder: as safe as in it, whichever way it is started."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.flower import BY_CELERY, BY_COMMAND, PASSWORD, USER, FlowerProcess

NOWHERE = "amqp://guest:guest@127.0.0.1:1//"
EVERY_WAY = pytest.mark.parametrize("way", [BY_CELERY, BY_COMMAND], ids=["celery", "command"])
START_S = 60.0


@contextmanager
def started(
    folder: Path, way: Sequence[str], password: str = f"{USER}:{PASSWORD}"
) -> Iterator[tuple[FlowerProcess, set[str]]]:
    """Start Flower in a folder; give it and the addresses on which it listens."""
    env = {"FLOWER_BASIC_AUTH": password}
    flower = FlowerProcess(NOWHERE, folder / "flower.log", env, command=way, folder=folder)
    process = psutil.Process(flower.launch().pid)
    give_up = time.monotonic() + START_S
    try:
        while not (found := listens(process)):
            assert time.monotonic() < give_up, flower.log.read_text()
            time.sleep(0.1)
        yield flower, found
    finally:
        flower.end()


def listens(process: psutil.Process) -> set[str]:
    return {str(c.laddr.ip) for c in process.net_connections("tcp") if c.status == "LISTEN"}


@EVERY_WAY
def test_in_another_folder_it_listens_to_this_machine_alone(
    tmp_path: Path, way: Sequence[str]
) -> None:
    with started(tmp_path, way, password="") as (_, addresses):
        assert addresses == {"127.0.0.1"}


@EVERY_WAY
def test_in_another_folder_nobody_stops_a_worker_from_it(
    tmp_path: Path, way: Sequence[str]
) -> None:
    with started(tmp_path, way) as (flower, _):
        url, login = f"{flower.url}/api/worker/shutdown/w@h", (USER, PASSWORD)
        reply = requests.post(url, auth=login, data="{}", timeout=10)

    assert reply.status_code == 403


@EVERY_WAY
def test_options_of_the_command_line_go_before_the_settings(
    tmp_path: Path, way: Sequence[str]
) -> None:
    with started(tmp_path, (*way, "--read-only=false", "--address=127.0.0.2")) as (_, found):
        assert found == {"127.0.0.2"}


@EVERY_WAY
@pytest.mark.parametrize(
    ("file", "words", "where"),
    [
        ("", ("--address=0.0.0.0",), "0.0.0.0"),
        ("max_tasks = 5\n", (), "every address"),
        ("address = '::'\n", (), "::"),
    ],
    ids=["option", "foreign-file", "open-file"],
)
def test_an_open_page_without_a_login_is_refused_in_any_folder(
    tmp_path: Path, way: Sequence[str], file: str, words: Sequence[str], where: str
) -> None:
    if file:
        (tmp_path / "flowerconfig.py").write_text(file)
    env, command = {"FLOWER_BASIC_AUTH": ""}, (*way, *words)
    flower = FlowerProcess(
        NOWHERE, tmp_path / "flower.log", env, command=command, folder=tmp_path
    )

    try:
        code = flower.launch().wait(START_S)
    finally:
        flower.end()

    assert code == os.EX_CONFIG
    assert flower.log.read_text() == (
        f"flower: {where} is open to others; set FLOWER_BASIC_AUTH=user:password"
        " or listen on 127.0.0.1\n"
    )
