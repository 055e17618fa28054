"""The house rules that a machine can check: imports, names, and silence at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from venues import all_venues

ROOT = Path(__file__).resolve().parents[2]
CORE = [*ROOT.glob("worker/*.py"), *ROOT.glob("tasks/*.py"), ROOT / "celeryconfig.py"]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _who_imports(package: str, paths: list[Path]) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if any(name.split(".")[0] == package for name in _imports(path))
    }


def _code() -> list[Path]:
    return [*CORE, *ROOT.glob("venues/*.py")]


def test_model_imports_nothing_of_ours() -> None:
    ours = {"worker", "tasks", "venues"}

    assert not {name.split(".")[0] for name in _imports(ROOT / "worker/model.py")} & ours


def test_venue_files_import_only_the_interface_and_the_model() -> None:
    allowed = {"venues.base", "worker.model"}

    for path in ROOT.glob("venues/*.py"):
        ours = {n for n in _imports(path) if n.split(".")[0] in {"worker", "tasks", "venues"}}
        assert ours <= allowed, path.name


def test_requests_is_imported_once() -> None:
    assert _who_imports("requests", _code()) == {"worker/send.py"}


def test_nothing_of_the_core_imports_the_tasks() -> None:
    assert _who_imports("tasks", _code()) <= set()


def test_kombu_is_imported_only_at_the_edges() -> None:
    edges = {
        f"worker/{name}.py"
        for name in (
            "app",
            "bulk",
            "consumer",
            "folder",
            "publish",
            "recall",
            "runtime",
            "topology",
            "wire",
            "suspect",
        )
    }

    assert _who_imports("kombu", _code()) <= edges


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_no_module_of_the_core_names_a_venue(path: Path) -> None:
    text = path.read_text(encoding="utf-8").lower()

    assert not [name for name in all_venues() if name in text]


def test_importing_any_module_reads_and_starts_nothing(tmp_path: Path) -> None:
    """In an empty folder, with no environment: no thread, no socket, no file, no output."""
    names = sorted(
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for folder in ("worker", "tasks", "venues")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("__main__.py", "__init__.py") and "migrations" not in path.parts
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
