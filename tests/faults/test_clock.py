"""A worker whose clock is wrong by minutes takes the venue's time, once, and goes on."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from tests.faults.scenes import GONE
from tests.support.rabbitmq import RabbitNode
from tests.support.world import World
from venues.sandbox.client import start_sandbox

TEN_MINUTES_MS = 600_000


def test_clock_wrong_by_minutes(rabbit: RabbitNode, tmp_path: Path) -> None:
    """These two venues answer it like a bad key; only the date of the answer tells."""
    with start_sandbox() as sandbox:
        world = World(rabbit.vhost("clock"), sandbox, tmp_path)
        world.audit()
        desks = [world.desk("clock-coinw", "coinw"), world.desk("clock-kuna", "kuna")]
        venue_ms = int(time.time() * 1000) - TEN_MINUTES_MS
        sandbox.settings({"clock_ms": venue_ms})
        for desk in desks:
            world.send(desk, world.seed(desk, 45), priority="kill")
        world.worker().start()
        world.hear_all(40)
        world.close()

        assert world.check().clean
        for desk in desks:
            told = {t.status for t in world.told if t.body["account"] == desk.name}
            assert told <= {GONE[desk.venue], "not_found"}
            (line,) = world.lines("clock_corrected", account=desk.name)
            corrected_ms = datetime.fromisoformat(line["timestamp"]).timestamp() * 1000
            # The venue's clock stands still, and tells the date in whole seconds.
            assert abs(corrected_ms + line["offset_ms"] - venue_ms) < 2000
            assert world.lines("account_halted", account=desk.name) == []
