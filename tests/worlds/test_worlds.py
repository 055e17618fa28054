"""A quick look at the worlds of the hunt: some fixed seeds, in the ordinary tests."""

from __future__ import annotations

import math

import pytest

from tests.worlds.draw import draw
from tests.worlds.fakes import FAKES
from tests.worlds.hunt import NEVER_MAY, hunt, play, story
from tests.worlds.law import Class
from tests.worlds.plan import FIRST

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
#: Worlds of the later venues in which something was found that may never be, or no cancel came.
ONCE_LATER: dict[str, tuple[tuple[str, int], ...]] = {
    "an order that ended hides one of its client id": (
        *(("okx", 64), ("okx", 97), ("okx", 370)),
        *(("bitget", 1), ("bitget", 127), ("bitget", 142)),
    ),
    "an older order of the book, told of a plan order": (("bitget", 4), ("bitget", 135)),
    "what an order left that fired, of a kind that no cancel takes": (
        *(("bitget", 243), ("bitget", 375), ("bitget", 380)),
    ),
    "what an order left that fired and is forgotten by its id": (
        *(("deribit", 43), ("deribit", 59), ("deribit", 258)),
    ),
    "the same after a cancel that was taken": (("binance", 1), ("binance", 8)),
    "a refusal of what rests, told as absence": (("okx", 42), ("okx", 45)),
    "a cancel by the door of other types": (("okx", 16), ("okx", 57)),
    "an order that was canceled and is shown no more": (("binance", 63), ("binance", 339)),
    "an end under another instrument than stated": (
        *(("okx", 11), ("okx", 38), ("deribit", 7), ("deribit", 11)),
    ),
    "another spelling of a conditional order's state": (
        *(("okx", 127), ("okx", 180), ("bybit", 5040)),
    ),
    "an older order where a newer one is forgotten": (("binance", 5100),),
    "an older order's end after a cancel in doubt": (
        *(("binance", 40715), ("binance", 41817), ("binance", 41834)),
        *(("bitget", 370), ("bitget", 638), ("bitget", 800)),
    ),
    "a canceled order that no look-up shows, though replies are verified": (
        *(("binance", 40195), ("binance", 41084), ("binance", 42678)),
    ),
    "a client order id that looks like the venue's, without its symbol": (
        *(("kucoin", 192), ("kucoin", 1330), ("kucoin", 1669)),
    ),
    "a trailing order, which is in a list of its own": (
        *(("gate", 15), ("gate", 30), ("gate", 43)),
    ),
    "an order that stands in another one's row": (
        *(("hyperliquid", 87), ("hyperliquid", 425), ("hyperliquid", 926)),
    ),
    "filled, and its rest was dropped": (("hyperliquid", 481), ("hyperliquid", 893)),
    "a stop that fired, which a look-up calls canceled": (
        *(("kraken_futures", 612), ("kraken_futures", 875), ("kraken_futures", 1179)),
    ),
    "a stop that fired, which is not among what has ended": (
        *(("kraken_futures", 1020), ("kraken_futures", 1121), ("kraken_futures", 1254)),
    ),
    "a contract that expired, told as canceled by the record": (
        *(("kraken_futures", 226), ("kraken_futures", 774)),
    ),
    "tokens of the record that are gone at once": (
        ("kraken_futures", 2),
        ("kraken_futures", 40),
    ),
    "another order in place of the one that was asked for": (
        *(("kraken_spot", 455), ("kraken_spot", 2257)),
    ),
}
#: Worlds of each later venue that the ordinary tests play.
LATER_SEEDS = range(40)


@pytest.mark.parametrize("venue", [name for name in FAKES if name not in FIRST])
def test_nothing_is_found_that_may_never_be_at_a_later_venue(venue: str) -> None:
    tally = hunt(iter(LATER_SEEDS), math.inf, venues=(venue,))
    found = {key: seeds for key, seeds in tally.seeds.items() if key[0] in NEVER_MAY}
    assert found == {}
    assert tally.ids > 100


@pytest.mark.parametrize("why", ONCE_LATER)
def test_what_was_found_once_at_a_later_venue_is_found_no_more(why: str) -> None:
    for venue, seed in ONCE_LATER[why]:
        serious = {Class.LEFT_OPEN, *NEVER_MAY}
        assert [f for f in play(draw(seed, venue))[1] if f.kind in serious] == []


def test_a_seed_alone_draws_none_of_the_later_venues() -> None:
    assert {draw(seed).venue for seed in SEEDS} == set(FIRST)


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
