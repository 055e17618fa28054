"""The page on testing says where each module is proven, and names nothing that is gone."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
_PATH = re.compile(r"`((?:worker|tasks|venues|tests)/[\w/.-]*)(?:::\w+)?`")
_TEST = re.compile(r"`(tests/[\w/.-]*)::(\w+)`")


def _modules() -> set[str]:
    """Return the product's modules that have code."""
    return {
        str(path.relative_to(ROOT))
        for folder in ("worker", "tasks", "venues")
        for path in (ROOT / folder).rglob("*.py")
        if _has_code(path)
    }


def _has_code(path: Path) -> bool:
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def _mirror(module: str) -> Path:
    path = Path(module)
    return ROOT / "tests" / path.parent / f"test_{path.stem}.py"


def _proven_elsewhere() -> list[tuple[list[str], list[str]]]:
    """Return the rows of the table: modules, and the paths that prove them."""
    _, _, section = PAGE.partition("## Modules without a test of their own\n")
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    return [(_PATH.findall(row[1]), _PATH.findall(row[2])) for row in rows]


def test_every_module_has_a_test_of_its_path_or_a_row_in_the_table() -> None:
    listed = [module for modules, _ in _proven_elsewhere() for module in modules]
    bare = {module for module in _modules() if not _mirror(module).exists()}

    assert bare - set(listed) == set(), "say in docs/testing.md where these are proven"
    assert set(listed) - bare == set(), "these are gone, or have a test of their own"
    assert len(listed) == len(set(listed))


def test_every_row_names_what_proves_it_and_each_of_its_paths_exists() -> None:
    for modules, tests in _proven_elsewhere():
        assert tests, modules
    assert [path for path in _PATH.findall(PAGE) if not (ROOT / path).exists()] == []


def test_every_test_that_is_named_exists() -> None:
    named = set(_TEST.findall(PAGE))

    assert named
    assert [
        f"{path}::{name}"
        for path, name in named
        if f"\ndef {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ] == []


def test_what_happened_to_others_has_a_verdict_and_a_test_each() -> None:
    _, _, section = PAGE.partition("## What happened to others\n")
    lines = section.partition("\n## ")[0].splitlines()
    rows = [line.split(" | ") for line in lines if line[2:3].isdigit()]

    assert len(rows) == 39
    for _, _, verdict, before, tests in rows:
        assert re.match(r"(mended|holds|partly|open)\b", verdict), verdict
        assert re.match(r"(fails|passes|cannot be asked)\b", before), before
        assert _TEST.search(tests), tests


def test_the_settings_for_mutants_name_files_that_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    paths = settings["only_mutate"] + settings["pytest_add_cli_args_test_selection"]

    assert [path for path in paths if not (ROOT / path).exists()] == []
