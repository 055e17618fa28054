"""A quick look at the worlds of the hunt: some fixed seeds, in the ordinary tests."""

from __future__ import annotations

import math

import pytest

from tests.worlds.draw import draw
from tests.worlds.hunt import NEVER_MAY, hunt, play, story

SEEDS = range(150)
#: Worlds in which an order was told as safe while open.
ONCE_OPEN: dict[str, tuple[int, ...]] = {
    "two orders of one id, under another symbol than stated": (332505,),
    "a trigger that the single cancel does not reach": (9508, 22320, 45150, 56721, 804154),
    "a trigger, and both its type and its symbol are stated wrongly": (90011908,),
}
#: Worlds in which somebody was sent to look at what the venue had shown all the time.
ONCE_NEEDLESS: dict[str, tuple[int, ...]] = {
    "lists that demand a symbol": (600045, 600230, 600381),
    "a code of its own for an unknown order": (600034, 600422),
    "an unknown order under a code of cancels": (600994, 601049),
}


def test_nothing_is_found_that_may_never_be_in_the_first_worlds() -> None:
    tally = hunt(iter(SEEDS), math.inf)
    assert tally.worlds == len(SEEDS)
    found = {key: seeds for key, seeds in tally.seeds.items() if key[0] in NEVER_MAY}
    assert found == {}
    assert tally.ids > 1000


@pytest.mark.parametrize("why", ONCE_OPEN | ONCE_NEEDLESS)
def test_what_was_found_once_is_found_no_more(why: str) -> None:
    for seed in (ONCE_OPEN | ONCE_NEEDLESS)[why]:
        assert play(draw(seed))[1] == []


def test_a_seed_is_the_same_world_and_plays_the_same_way() -> None:
    for seed in SEEDS[:20]:
        assert draw(seed) == draw(seed)
        assert play(draw(seed))[0].told == play(draw(seed))[0].told


def test_a_story_tells_what_was_sent_and_said() -> None:
    text = story(draw(3))
    assert "seed 3 at " in text
    assert " is told " in text
