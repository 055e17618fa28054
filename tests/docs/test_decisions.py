"""Decisions are short and of one form, and their index names each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs/decisions"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))
#: Figures, and what was tried, go to tests/bench/NOTES.md.
MOST_LINES = 18
FORM = re.compile(
    r"# \d{4}: .+\n\n\*\*Context\.\*\* .+\n\n\*\*Decision\.\*\* .+\n\n\*\*Price\.\*\* .+",
    re.DOTALL,
)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_its_context_what_was_decided_and_the_price(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert FORM.fullmatch(text)
    assert text.startswith(f"# {path.name[:4]}: ")
    assert len(text.splitlines()) <= MOST_LINES


def test_the_index_has_every_decision_by_its_title_and_no_other() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| (\d{4}) \| \[(.+?)\]\((.+?)\) \| .+ \| .+ \|$", index, re.MULTILINE
    )

    assert listed == [
        (path.name[:4], path.read_text(encoding="utf-8").split("\n")[0][8:], path.name)
        for path in DECISIONS
    ]
