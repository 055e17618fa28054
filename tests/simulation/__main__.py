"""Runs seeds: `python -m tests.simulation --seed N` one, `--seeds N` many.

`--fingerprint` prints digests of all answers and request counts over 2,000 seeds, of the lane
alone and with what the field does: a change that is meant to leave behaviour as it is must
change neither.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.scenario import APART, draw
from tests.simulation.seeds import fingerprint, run_seed

FINGERPRINT_SEEDS = 2000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one and say what it was")
    parser.add_argument("--seeds", type=int, default=1000, help="run so many")
    parser.add_argument("--first", type=int, default=0, help="start at this seed")
    parser.add_argument("--fingerprint", action="store_true", help="digests of 2,000 seeds")
    parser.add_argument("--plain", action="store_true", help="without what the field does")
    parser.add_argument("--at", default="", choices=APART, help="at this venue")
    asked = parser.parse_args()
    if asked.fingerprint:
        print(*(fingerprint(range(FINGERPRINT_SEEDS), odd=odd) for odd in (False, True)))
        return 0
    if asked.seed is not None:
        return _one(asked.seed, at=asked.at, odd=not asked.plain)
    seeds = range(asked.first, asked.first + asked.seeds)
    return _many(seeds, at=asked.at, odd=not asked.plain)


def _one(seed: int, *, at: str, odd: bool) -> int:
    scenario = draw(seed, at)
    print(f"{scenario.venue.name} calm={scenario.calm} jobs={len(scenario.jobs)}")
    world = run_seed(seed, at=at, odd=odd)
    print(f"seed {seed}: {world.requests} requests, all laws hold")
    return 0


def _many(seeds: range, *, at: str, odd: bool) -> int:
    started, broken, requests = time.monotonic(), 0, 0
    for seed in seeds:
        try:
            requests += run_seed(seed, at=at, odd=odd).requests
        except Exception as error:  # noqa: BLE001 - a crash of the machine is a finding, too
            broken += 1
            print("; ".join([str(error), *error.__notes__]), flush=True)
    took_s = time.monotonic() - started
    print(f"{len(seeds)} seeds ({requests} requests) in {took_s:.1f} s, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
