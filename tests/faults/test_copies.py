"""A message that its producer has copied to other lanes is done once, in the lane it names."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.chaos.checker import Asked
from tests.support.world import World


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_a_copy_in_the_lane_of_another_account(world: World, header: str) -> None:
    """The worker of that lane knows the account, too, but its lane is another worker's."""
    own = world.desk("own", "kuna")
    first = world.worker("w1").start(ready="lane_owned")
    other = world.desk("other", "kuna")
    second = world.worker("w2").start(ready="lane_owned")
    ids = world.seed(own, 5)
    world.asked += [Asked("copied", own.venue, order_id) for order_id in ids]
    job = {"job_id": "copied", "account": own.name, "orders": ids}
    copies = {header: [f"kill.{other.name}", f"routine.{own.name}"]}
    world.publish(f"kill.{own.name}", json.dumps(job).encode(), application_headers=copies)
    after = world.send(other, world.seed(other, 1), priority="kill")

    outcomes = world.hear_job("copied")
    world.hear_job(after)
    assert {outcome["status"] for outcome in outcomes.values()} == {"canceled"}
    assert {line["account"] for line in second.events("venue_request")} == {other.name}
    assert len(first.events("job_accepted")) == 1
    assert set(Counter(told.message_id for told in world.told).values()) == {1}
    assert world.lines("job_rejected") == []
