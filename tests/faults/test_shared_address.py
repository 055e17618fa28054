"""Accounts that leave through one address share what a venue allows it."""

from __future__ import annotations

import time

from tests.support.world import Desk, World

#: What an account that begins waits at most for its first token, and for a busy machine.
BEGINS_WITHIN_S = 1.5
SPARE_S = 0.5
#: Enough for both busy accounts to use up what the address allows to routine ids.
BACKLOG = 1_200
#: By then they have.
USED_UP_S = 5.0
#: At most so many requests in any ten seconds: `address` of CoinW's table.
LIMIT, WINDOW_S = 75, 10.0


def most_in_a_window(world: World, desks: list[Desk]) -> int:
    """Return the most requests that the venue saw in any window."""
    times = sorted(one.at_s for desk in desks for one in world.requests(desk))
    return max(sum(start <= at < start + WINDOW_S for at in times) for start in times)


def test_an_account_that_begins_does_not_wait_for_busy_ones(world: World) -> None:
    desks = [world.desk(name) for name in ("busy-1", "busy-2", "begins")]
    *busy, begins = desks
    (order_id,) = world.seed(begins, 1)
    worker = world.worker().start(ready="lane_owned")
    for desk in busy:
        world.send(desk, world.seed(desk, BACKLOG))
    time.sleep(USED_UP_S)
    sent_s = world.sandbox.time_s()
    job_id = world.send(begins, [order_id])
    world.hear_job(job_id)
    told_s = world.sandbox.time_s()

    first_s = world.requests(begins)[0].at_s - sent_s
    print(f"first request after {first_s:.2f} s, told after {told_s - sent_s:.2f} s")
    assert first_s < BEGINS_WITHIN_S + SPARE_S
    time.sleep(WINDOW_S)
    worker.kill()
    assert most_in_a_window(world, desks) <= LIMIT
