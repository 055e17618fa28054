"""Scenes on a simulated clock are over as soon, and with as few requests, as they should be."""

from __future__ import annotations

import pytest

from tests.bench.rehearse import Rehearsal
from tests.bench.scenes import SCENES, Scene

SEEDS = 2


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_is_over_in_time_with_few_requests(scene: Scene, seed: int) -> None:
    seen: list[str] = []
    run = Rehearsal(scene, seed, seen.append).run()

    assert run.beyond() == [], "\n".join(seen)
