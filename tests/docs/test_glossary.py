"""The glossary holds the words of the code: few nouns for an id, each as its class says it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

PAGE = (Path(__file__).resolve().parents[2] / "docs/glossary.md").read_text(encoding="utf-8")
#: More than these nobody can hold together.
MOST_NOUNS = 16
_NOUN = re.compile(r"^\| \d+ \| `(\w+)` \| (.+) \| \[(.+)\.py\]\(.+\) \|$", re.MULTILINE)


def _rows(head: str) -> list[list[str]]:
    _, _, section = PAGE.partition(f"{head}\n")
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[1:]]


def test_an_id_has_few_nouns_on_its_way_each_with_a_sentence_of_its_own() -> None:
    nouns = _NOUN.findall(PAGE)

    assert 0 < len(nouns) <= MOST_NOUNS
    assert len({sentence for _, sentence, _ in nouns}) == len(nouns)
    assert all(sentence.endswith(".") for _, sentence, _ in nouns)


def test_the_sentence_of_a_noun_is_how_its_class_begins() -> None:
    for noun, sentence, file in _NOUN.findall(PAGE):
        described = getattr(import_module(file.replace("/", ".")), noun)
        assert " ".join((described.__doc__ or "").split()).startswith(sentence), noun


def test_every_word_is_there_once_in_order_and_is_found_in_the_code_by_its_name() -> None:
    rows = _rows("## Other words")
    words = [word for word, _, _ in rows]

    assert words == sorted(set(words))
    for _, _, name in rows:
        assert not name or resolve_name(name.strip("`")) is not None
