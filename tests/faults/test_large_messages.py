"""Messages that are larger than any job: none of them is kept in memory, and none is lost."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.support.producer import connect
from tests.support.worker import WorkerProcess
from tests.support.world import World
from worker.amqp import topology

BODY = b"\xff" * (8 << 20)


def peak_mib(worker: WorkerProcess) -> float:
    """Return the most memory that a worker's main process ever had."""
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(found) / 1024


def test_what_no_job_can_be_is_left_to_the_broker(world: World) -> None:
    """Hundreds may be here at once; they are moved as they came, and a kill is done."""
    desk = world.desk("noise", "kuna")
    worker = world.worker().start(ready="lane_owned")
    before = peak_mib(worker)
    for _ in range(12):
        world.publish(f"kill.{desk.name}", BODY)
    world.send(desk, world.seed(desk, 1), priority="kill")
    world.hear_all(30)
    give_up, size = time.monotonic() + 30, 0
    with connect(world.url) as connection:
        channel = connection.channel()
        while size < 12 and time.monotonic() < give_up:
            time.sleep(0.1)
            _, size, _ = channel.queue_declare(topology.REJECTED, passive=True)
        channel.auto_decode = False
        message = channel.basic_get(topology.REJECTED)

    assert size == 12
    assert bytes(message.body) == BODY
    assert [line["reason"] for line in worker.events("job_rejected")] == ["too_large"] * 12
    assert peak_mib(worker) - before < 30
