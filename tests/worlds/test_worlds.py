"""A quick look at the worlds of the hunt: some fixed seeds, in the ordinary tests."""

from __future__ import annotations

import math

from tests.worlds.draw import draw
from tests.worlds.hunt import NEVER_MAY, hunt, play, story

SEEDS = range(150)


def test_nothing_is_found_that_may_never_be_in_the_first_worlds() -> None:
    tally = hunt(iter(SEEDS), math.inf)
    assert tally.worlds == len(SEEDS)
    found = {key: seeds for key, seeds in tally.seeds.items() if key[0] in NEVER_MAY}
    assert found == {}
    assert tally.ids > 1000


def test_a_seed_is_the_same_world_and_plays_the_same_way() -> None:
    for seed in SEEDS[:20]:
        assert draw(seed) == draw(seed)
        assert play(draw(seed))[0].told == play(draw(seed))[0].told


def test_a_story_tells_what_was_sent_and_said() -> None:
    text = story(draw(3))
    assert "seed 3 at " in text
    assert " is told " in text
