"""Scenes on a simulated clock are over as soon, and with as few requests, as they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.bounds import last_look_s
from tests.bench.rehearse import JITTER_S, Rehearsal
from tests.bench.scenes import SCENES, Scene

SEEDS = 2
#: Quotas that cancels draw alone.
CANCELS = ("cancel_batch", "cancel_one")
#: Scenes whose proofs ask for much.
LONG_RECORDS = [scene for scene in SCENES if scene.record is not None]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_is_over_in_time_with_few_requests(scene: Scene, seed: int) -> None:
    seen: list[str] = []
    run = Rehearsal(scene, seed, seen.append).run()

    assert run.beyond() == [], "\n".join(seen)


@pytest.mark.parametrize("scene", LONG_RECORDS, ids=lambda scene: scene.name)
def test_no_cancel_leaves_later_because_of_proofs(scene: Scene) -> None:
    """As soon as where look-ups draw no token."""
    cancels = {name: quota for name, quota in scene.quotas.items() if name in CANCELS}
    free = Rehearsal(replace(scene, quotas=cancels), 0).run()

    run = Rehearsal(scene, 0).run()

    assert run.cancels <= free.cancels
    assert run.canceled_s <= free.canceled_s + 2 * JITTER_S


@pytest.mark.parametrize("scene", LONG_RECORDS, ids=lambda scene: scene.name)
def test_a_long_record_is_read_once_more_at_most(scene: Scene) -> None:
    """All is over soon after the venue's own limits allow it."""
    run = Rehearsal(scene, 0).run()

    assert run.now <= scene.canceled_s / 1.1 + last_look_s(0.0) + 3.0
