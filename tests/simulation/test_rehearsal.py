"""Kills into a backlog, rehearsed on a simulated clock, end within what the bench asks for."""

from __future__ import annotations

import pytest

from tests.bench.bounds import proven_s
from tests.bench.rehearse import Rehearsal

#: As for the bench's `backlog`, where the processes take their time, too.
MOST = 1.15


@pytest.mark.parametrize("seed", range(4))
def test_kills_of_200_are_final_soon_though_a_backlog_waits(seed: int) -> None:
    told: list[str] = []

    took_s = Rehearsal(seed, told.append).run(2)

    assert max(took_s) <= MOST * proven_s(200), "\n".join(told)
    assert min(took_s) > 1.0  # two lags and the rounds of the look-ups: no kill is over sooner
