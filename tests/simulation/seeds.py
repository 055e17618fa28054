"""Runs one seed and says, where a law breaks, what replays it."""

from __future__ import annotations

from tests.simulation.bound import check_bound
from tests.simulation.scenario import draw
from tests.simulation.world import World
from worker.lane import Lane
from worker.pace import Pace


def run_seed(seed: int, pace_kind: type[Pace] = Pace, lane_kind: type[Lane] = Lane) -> World:
    """Run one seed with these parts, the real ones unless a test spoils one.

    Raises:
        LawBroken: with a note that says how to replay it.
    """
    try:
        world = World(draw(seed), pace_kind, lane_kind).run()
        check_bound(world)
    except Exception as error:
        error.add_note(f"replay: python -m tests.simulation --seed {seed}")
        raise
    return world
