"""A quick look at the worlds of the hunt: some fixed seeds, in the ordinary tests."""

from __future__ import annotations

import math

from tests.worlds.draw import draw
from tests.worlds.hunt import hunt, play, story
from tests.worlds.law import Class

SEEDS = range(150)
#: Of these nothing is found in these seeds.
CLEAN = (Class.CRASH, Class.LOST, Class.CONTRADICTORY, Class.FLOOD)


def test_nothing_is_found_in_the_first_worlds() -> None:
    tally = hunt(iter(SEEDS), math.inf)
    assert tally.worlds == len(SEEDS)
    assert {kind: tally.found[kind] for kind in CLEAN} == dict.fromkeys(CLEAN, 0)


def test_a_seed_is_the_same_world_and_plays_the_same_way() -> None:
    for seed in SEEDS[:20]:
        assert draw(seed) == draw(seed)
        assert play(draw(seed))[0].told == play(draw(seed))[0].told


def test_a_story_tells_what_was_sent_and_said() -> None:
    text = story(draw(3))
    assert "seed 3 at " in text
    assert " is told " in text
