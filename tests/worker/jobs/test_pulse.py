"""Whether a worker's event loop turns, and whether it has one to turn."""

from __future__ import annotations

import math

from worker.jobs.runtime import STUCK_S, Pulse


def test_a_loop_that_stands_still_is_stuck_only_while_it_consumes() -> None:
    pulse = Pulse()
    assert (pulse.is_healthy(0.0), pulse.is_ready(0.0)) == (True, False)

    pulse.turn(100.0)
    assert (pulse.is_healthy(101.0), pulse.is_ready(101.0)) == (True, True)
    late = 100.0 + STUCK_S
    assert (pulse.is_healthy(late), pulse.is_ready(late)) == (False, False)

    pulse.end()
    assert (pulse.is_healthy(late), pulse.is_ready(late)) == (True, False)


def test_without_a_loop_nothing_can_be_stuck() -> None:
    pulse = Pulse()
    pulse.turn(math.inf)

    assert pulse.is_ready(1e9)
