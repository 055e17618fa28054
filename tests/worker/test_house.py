"""The house rules that a machine can check: imports go down only, names, silence at import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from venues import all_venues

ROOT = Path(__file__).resolve().parents[2]

#: Each room, and the rooms that it may import. Whatever a room may import stands above it.
ROOMS: dict[str, set[str]] = {
    "venues": set(),
    "venues.sandbox": set(),
    "worker.settings": {"venues"},
    "worker.log": {"venues"},
    "worker.stats": {"venues"},
    "worker.flower": set(),
    "worker.contract": {"venues"},
    "worker.orders": {"venues"},
    "worker.pacing": {"venues"},
    "worker.lane": {"venues", "worker.orders", "worker.pacing"},
    "worker.http": {"venues", "worker.settings"},
    "worker.amqp": {"venues", "worker.settings"},
    "worker.dead_man": {
        "venues",
        "worker.settings",
        "worker.contract",
        "worker.orders",
        "worker.amqp",
    },
    "worker.processes": {
        "venues",
        "worker.settings",
        "worker.log",
        "worker.stats",
        "worker.orders",
        "worker.pacing",
        "worker.lane",
        "worker.http",
    },
    "worker.jobs": {
        "venues",
        "worker.settings",
        "worker.stats",
        "worker.contract",
        "worker.orders",
        "worker.lane",
        "worker.amqp",
        "worker.dead_man",
        "worker.processes",
    },
    "worker.consumer": {
        "venues",
        "worker.settings",
        "worker.contract",
        "worker.orders",
        "worker.amqp",
        "worker.jobs",
    },
    "tasks": {"worker.amqp", "worker.consumer", "worker.contract", "worker.jobs"},
    "worker.record": {"venues", "worker.amqp", "worker.contract"},
    "worker.metrics": {
        "venues",
        "worker.settings",
        "worker.stats",
        "worker.jobs",
        "worker.processes",
    },
    "worker.app": {
        "worker.settings",
        "worker.log",
        "worker.flower",
        "worker.amqp",
        "worker.dead_man",
        "worker.processes",
        "worker.jobs",
        "worker.metrics",
    },
    "worker.celery": {"worker.app"},
    "worker.cli": {
        "venues",
        "venues.sandbox",
        "worker.settings",
        "worker.log",
        "worker.stats",
        "worker.contract",
        "worker.orders",
        "worker.pacing",
        "worker.lane",
        "worker.http",
        "worker.amqp",
        "worker.dead_man",
        "worker.processes",
        "worker.jobs",
        "worker.consumer",
        "worker.record",
    },
}
#: At most this many modules import one another in a row.
DEEPEST = 12


def _name(path: Path) -> str:
    dotted = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    return dotted.removesuffix(".__init__")


@cache
def _modules() -> dict[str, Path]:
    """Return the product's modules; who is without code of its own belongs to nobody."""
    found = (
        path
        for folder in ("worker", "tasks", "venues")
        for path in (ROOT / folder).rglob("*.py")
    )
    return {_name(path): path for path in found}


def _imports(path: Path) -> Iterator[str]:
    """Return the full names of what a module imports, whichever way it says so."""
    package = _name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for name in node.names:
                whole = f"{module}.{name.name}"
                yield whole if whole in _modules() else module


@cache
def _below() -> dict[str, set[str]]:
    """Return for each module the modules of ours that it imports."""
    return {
        name: {found for found in _imports(path) if found in _modules() and found != name}
        for name, path in _modules().items()
    }


def _room(module: str) -> str:
    words = module.split(".")
    if words[0] == "worker" or words[:2] == ["venues", "sandbox"]:
        return ".".join(words[:2])
    return words[0]


def _who_imports(package: str) -> set[str]:
    return {
        name
        for name, path in _modules().items()
        if _room(name) != "venues.sandbox"
        and any(found.split(".")[0] == package for found in _imports(path))
    }


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_go_down_only(module: str) -> None:
    room = _room(module)
    reached = {_room(below) for below in _below()[module]} - {room}

    assert reached <= ROOMS.get(room, set()), f"what {module} imports is not below {room}"


def test_no_room_is_above_itself() -> None:
    seen: set[str] = set()
    while fit := {room for room, below in ROOMS.items() if below <= seen} - seen:
        seen |= fit

    assert seen == set(ROOMS)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert _depths()  # raises where there is a circle


def _depths() -> dict[str, int]:
    depths: dict[str, int] = {}

    def depth(module: str, above: tuple[str, ...]) -> int:
        assert module not in above, " → ".join([*above, module])
        if module not in depths:
            below = (depth(name, (*above, module)) for name in _below()[module])
            depths[module] = 1 + max(below, default=0)
        return depths[module]

    for module in _modules():
        depth(module, ())
    return depths


def test_the_way_down_is_short() -> None:
    depths = _depths()

    assert max(depths.values()) <= DEEPEST, max(depths, key=depths.__getitem__)


def test_each_room_says_what_it_is() -> None:
    packages = [path for path in _modules().values() if path.name == "__init__.py"]

    for path in packages:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_requests_is_imported_once() -> None:
    assert _who_imports("requests") == {"worker.http.transport"}


def test_kombu_is_imported_only_at_the_edges() -> None:
    rooms = {_room(module) for module in _who_imports("kombu")}

    assert rooms <= {
        "worker.amqp",
        "worker.dead_man",
        "worker.consumer",
        "worker.jobs",
        "worker.app",
        "worker.cli",
        "worker.record",
    }


def test_celery_is_imported_only_by_what_it_runs() -> None:
    rooms = {_room(module) for module in _who_imports("celery")}

    assert rooms <= {"worker.consumer", "worker.app", "worker.cli", "tasks"}


@pytest.mark.parametrize(
    "module", sorted(name for name in _modules() if name.split(".")[0] != "venues")
)
def test_no_module_outside_names_a_venue(module: str) -> None:
    text = _modules()[module].read_text(encoding="utf-8").lower()

    # "Gate" is a part of other words, as of "aggregate".
    assert not [name for name in all_venues() if re.search(rf"(?<![a-z]){name}(?![a-z])", text)]


def test_importing_any_module_reads_and_starts_nothing(tmp_path: Path) -> None:
    """In an empty folder, with no environment: no thread, no socket, no file, no output."""
    names = sorted(
        name
        for name, path in _modules().items()
        if path.name != "__main__.py" and "migrations" not in path.parts
    )
    program = (
        "import importlib, os, socket, sys, threading\n"
        "def refuse(*_): raise AssertionError('a module connects at import')\n"
        "socket.socket.connect = refuse\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert os.listdir('.') == [], os.listdir('.')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
