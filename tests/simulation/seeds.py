"""Runs one seed and says, where a law breaks, what replays it; the fingerprint of many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import astuple

from tests.simulation.bound import check_bound
from tests.simulation.letters import made_odd
from tests.simulation.scenario import draw
from tests.simulation.world import World
from worker.lane.lane import Lane
from worker.pacing.pace import Pace


def run_seed(
    seed: int,
    pace_kind: type[Pace] = Pace,
    lane_kind: type[Lane] = Lane,
    at: str = "",
    *,
    odd: bool = False,
) -> World:
    """Run one seed with these parts, the real ones unless a test spoils one.

    `odd`: with what the field does beside.

    Raises:
        LawBroken: with a note that says how to replay it.
    """
    try:
        scenario = draw(seed, at)
        world = World(made_odd(scenario) if odd else scenario, pace_kind, lane_kind).run()
        check_bound(world)
    except Exception as error:
        how = ["--plain"] * (not odd) + [f"--at {at}"] * bool(at)
        error.add_note(" ".join(["replay: python -m tests.simulation --seed", str(seed), *how]))
        raise
    return world


def fingerprint(seeds: Iterable[int], *, odd: bool = False) -> str:
    """Return a digest of all answers and request counts: the same as long as behaviour is."""
    digest = hashlib.sha256()
    for seed in seeds:
        world = run_seed(seed, odd=odd)
        digest.update(f"{seed} {world.requests}\n".encode())
        for (job_id, ref), outcome in world.truth.answers.items():
            words = job_id, *ref, *astuple(outcome)
            digest.update(("|".join(map(str, words)) + "\n").encode())
        if odd:
            digest.update(" ".join(world.door.rejected).encode())
            for name, told in world.door.told.items():
                words = name, *(f"{word['status']} {word['reason']}" for word in told)
                digest.update(("|".join(words) + "\n").encode())
    return digest.hexdigest()[:16]
