"""Hunts: `python -m tests.worlds --minutes 10`, `--seeds N`; `--seed K --show` one world;
`--venue binance` at a venue that a seed alone does not draw.

Ends with 1 if a must is broken.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.worlds.draw import draw
from tests.worlds.fakes import FAKES
from tests.worlds.hunt import SHOWN_OF_A_KIND, Tally, hunt, play, shrunk, story
from tests.worlds.plan import FIRST, World

#: All venues but the first three.
LATER = "later"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--minutes", type=float, help="hunt for so long")
    parser.add_argument("--seeds", type=int, help="play so many worlds")
    parser.add_argument("--first", type=int, default=0, help="begin with this seed")
    parser.add_argument("--jobs", type=int, default=1, help="in so many processes")
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--show", action="store_true", help="print all of it, not shrunk")
    parser.add_argument(
        "--class", dest="kind", default="", help="shrink finds of this class only"
    )
    parser.add_argument(
        "--venue",
        default="",
        choices=(*FAKES, LATER),
        help=f"at this venue, or at all of the {LATER} ones; else seeds draw one of the first",
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(draw(asked.seed, asked.venue), show=asked.show)
    return _many(asked)


def _one(world: World, *, show: bool) -> int:
    _, found = play(world)
    if show:
        print(story(world))
    for find in {(find.kind, find.key): find for find in found}.values():
        print(f"\n-- {find.kind}, {find.key}, as small as it gets:")
        print(story(shrunk(world, find.kind, find.key)))
    return 1 if found else 0


def _many(asked: argparse.Namespace) -> int:
    started = time.monotonic()
    tally = Tally()
    with ProcessPoolExecutor(asked.jobs) as pool:
        parts = [pool.submit(_part, asked, number) for number in range(asked.jobs)]
        for part in parts:
            tally.merge(part.result())
    took_s = time.monotonic() - started
    print(tally.table())
    print(f"{took_s:.0f} s, {60 * tally.worlds / took_s:.0f} worlds a minute")
    if tally.broken:
        print(f"broken: {', '.join(tally.broken)}")
    sys.stdout.flush()  # to shrink what was found takes its time
    _print_finds(tally, asked.kind)
    return 1 if tally.broken else 0


def _part(asked: argparse.Namespace, number: int) -> Tally:
    seeds = itertools.count(asked.first + number, asked.jobs)
    if asked.seeds is not None:
        seeds = itertools.islice(seeds, -(-asked.seeds // asked.jobs))  # type: ignore[assignment]
    minutes = asked.minutes if asked.minutes is not None else 1e9
    return hunt(iter(seeds), time.monotonic() + 60 * minutes, venues=_venues(asked.venue))


def _venues(asked: str) -> tuple[str, ...]:
    return tuple(name for name in FAKES if name not in FIRST) if asked == LATER else (asked,)


def _print_finds(tally: Tally, only: str) -> None:
    for (kind, venue, key), seeds in sorted(tally.seeds.items()):
        print(f"\n== {kind} at {venue}, {key}: {len(seeds)} worlds, first {seeds[:5]}")
        if only and only not in kind:
            continue
        for seed in seeds[:SHOWN_OF_A_KIND]:
            print(story(shrunk(draw(seed, "" if venue in FIRST else venue), kind, key)))
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
