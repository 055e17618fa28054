"""A world of each kind of find, before a real worker: nothing is wrong in it any more."""

from __future__ import annotations

import pytest

from tests.worlds.law import Find
from tests.worlds.wire import KINDS, play


@pytest.fixture(scope="module")
def found() -> dict[str, list[Find]]:
    return play(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_found_no_more(kind: str, found: dict[str, list[Find]]) -> None:
    assert found[kind] == []
