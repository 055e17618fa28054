"""The page on architecture: its picture is the house, and its links lead to functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.worker.test_house import ROOMS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
#: Who has read two pages knows where to look.
MOST_LINES = 120
STEPS = 16
#: Stands beside the tree, and imports nothing of it.
BESIDE = {"venues.sandbox"}


def _rows() -> list[set[str]]:
    """Return the rooms of the picture, row by row, the highest first."""
    picture = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert picture
    names = [line.partition("│")[0].split() for line in picture[1].splitlines()]
    return [{_room(name) for name in row} for row in names]


def _room(name: str) -> str:
    return name if name in ROOMS else f"worker.{name}"


def test_the_picture_has_every_room_and_no_other() -> None:
    assert set().union(*_rows()) | BESIDE == set(ROOMS)


def test_a_room_of_the_picture_imports_what_is_below_it() -> None:
    rows = _rows()
    for height, row in enumerate(rows):
        below = set().union(*rows[height + 1 :])
        for room in row:
            assert ROOMS[room] <= below | BESIDE, room


@cache
def _functions(path: Path) -> frozenset[str]:
    def names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{prefix}{node.name}.")

    return frozenset(names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def test_every_step_of_an_id_leads_to_functions_that_exist() -> None:
    _, _, life = PAGE.partition("## The life of an id\n")
    steps = re.split(r"^\d+\. ", life.partition("\n## ")[0], flags=re.MULTILINE)[1:]

    assert len(steps) == STEPS
    for step in steps:
        links = re.findall(r"\[`([\w.]+)`\]\(\.\./(\S+\.py)\)", step)
        assert links, step
        assert [name for name, file in links if name not in _functions(ROOT / file)] == []


def test_where_to_put_what_names_paths_that_exist() -> None:
    _, _, places = PAGE.partition("## Where to put what\n")
    paths = re.findall(r"`((?:worker|tasks|venues|tests|docs|deploy)/[\w/.-]*)`", places)

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_page_stays_short() -> None:
    assert len(PAGE.splitlines()) <= MOST_LINES
