"""Whatever a venue does wrong, no status is a guess: all scenes play at once in one worker."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.scenes import SCENES, VENUES, Scene
from tests.support.rabbitmq import RabbitNode
from tests.support.world import EVENTS, World
from venues.sandbox.client import SandboxClient

by_name = {scene.name: scene for scene in SCENES}


@pytest.fixture(scope="module")
def stage(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world where every scene has been begun."""
    folder: Path = tmp_path_factory.mktemp("stage")
    world = World(rabbit.vhost("stage"), sandbox, folder)
    world.audit()
    world.watch()
    for scene in SCENES:
        prepare(world, scene)
    unreachable = world.desk("unreachable", "kuna", base_url="http://127.0.0.1:1")
    world.worker("w1", "-E").start()
    for scene in SCENES:
        begin(world, scene)
    nowhere = ["3fa42833-9508-4061-8d80-b68563dcd521"]
    world.send(unreachable, nowhere, job_id="unreachable", deadline=in_s(3.0))
    yield world
    world.close()


def prepare(world: World, scene: Scene) -> None:
    # All desks share the sandbox's address; its quota is not what is played here.
    lines = ["quotas = {address = 'off'}"] if scene.venue == "coinw" else []
    desk = world.desk(scene.name, scene.venue, *lines, timeout_s=scene.timeout_s)
    for fault in scene.faults:
        world.sandbox.fault(api_key=desk.key, **fault)


def begin(world: World, scene: Scene) -> None:
    desk = world.desks[scene.name]
    ids = world.seed(desk, scene.count, **scene.order)
    fields = {} if scene.deadline_s is None else {"deadline": in_s(scene.deadline_s)}
    items = [{"id": order_id, **scene.item} for order_id in ids]
    world.send(desk, items, job_id=scene.name, priority=scene.priority, **fields)


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("name", by_name)
def test_status_is_true(stage: World, name: str) -> None:
    """The fault fires, each id gets a status that it allows, and the book agrees."""
    scene, desk = by_name[name], stage.desks[name]
    outcomes = stage.hear_job(name, 45)
    fired = [f["fired"] for f in stage.sandbox.faults() if f["api_key"] == desk.key]

    said = {(o["status"], o["reason"]) for o in outcomes.values()} - scene.or_else
    assert {status for status, _ in said} <= scene.allowed, outcomes
    assert all(fired)
    if scene.reason:
        assert {reason for _, reason in said} <= {scene.reason}
    loud = {"failed", "unconfirmed"}
    for line in stage.lines("cancel_outcome", job_id=name):
        assert (line["level"] == "error") == (line["status"] in loud)


def test_unreachable_venue(stage: World) -> None:
    """What never left is failed, not in doubt."""
    outcomes = stage.hear_job("unreachable")

    (found,) = outcomes.values()
    assert (found["status"], found["reason"]) == ("failed", "unreachable")


def test_nothing_is_sent_past_the_deadline(stage: World) -> None:
    stage.hear_job("past-deadline-coinw")

    assert stage.requests(stage.desks["past-deadline-coinw"]) == []


@pytest.mark.parametrize("venue", VENUES)
def test_retry_after_is_obeyed(stage: World, venue: str) -> None:
    """After a throttled answer the whole account is quiet for as long as it was told."""
    stage.hear_job(f"throttle-{venue}")
    made = stage.requests(stage.desks[f"throttle-{venue}"])
    (refused,) = [n for n, one in enumerate(made) if one.outcome == "fault:throttle"]

    assert made[refused + 1].received_s - made[refused].at_s >= 2.0
    (line,) = stage.await_lines("venue_throttled", account=f"throttle-{venue}")
    assert line["pause_s"] >= 2.0


@pytest.mark.parametrize("venue", VENUES)
def test_open_after_a_batch_goes_as_a_batch_once_more(stage: World, venue: str) -> None:
    """Orders that a batch left open take its route again before the one for one order."""
    stage.hear_job(f"lying-success-{venue}")
    made = stage.requests(stage.desks[f"lying-success-{venue}"])
    cancels = [one for one in made if one.route.startswith("cancel")]
    times = Counter(order_id for one in cancels for order_id in one.ids)

    assert {one.route for one in cancels} == {"cancel_batch"}
    assert set(times.values()) == {2}


def test_many_ids_are_sought_in_the_whole_list(stage: World) -> None:
    """One request that names none shows which of many orders a lying batch left open."""
    outcomes = stage.hear_job("whole-list-coinw", 45)
    made = stage.requests(stage.desks["whole-list-coinw"])

    assert any(one.route == "lookup" and not one.ids for one in made)
    (lie,) = [one for one in made if one.outcome == "fault:lying_success"]
    assert {name for name, o in outcomes.items() if o["status"] == "closed"} == set(lie.ids)


@pytest.mark.parametrize("name", ["auth-coinw", "permission-kuna", "clock-ztdx"])
def test_halted_account(stage: World, name: str) -> None:
    """After a refusal of the key nothing more is sent, and every id is told so."""
    desk = stage.desks[name]
    stage.hear_job(name)
    before = len(stage.requests(desk))
    outcomes = stage.hear_job(stage.send(desk, stage.seed(desk, 3)))

    assert {o["status"] for o in outcomes.values()} == {"rejected"}
    assert len(stage.requests(desk)) == before
    (line,) = stage.await_lines("account_halted", account=name)
    assert line["reason"] == by_name[name].reason


def test_one_correction_of_the_clock(stage: World) -> None:
    """Requests that left together before the clock was set do not halt the account."""
    stage.hear_job("clock-once-ztdx")

    assert len(stage.await_lines("clock_corrected", account="clock-once-ztdx")) == 1
    assert stage.await_lines("account_halted", account="clock-once-ztdx") == []


def test_no_redirect_is_followed(stage: World) -> None:
    stage.hear_job("redirect-coinw")

    assert stage.sandbox.incidents() == []


def test_everything_is_answered_once_and_true(stage: World) -> None:
    stage.hear_all(45)
    found = stage.check()

    assert found.clean, found
    assert found.duplicates == 0


def test_no_secret_anywhere(stage: World) -> None:
    """Keys and secrets are planted; nothing that the run wrote holds one, or a signature."""
    stage.hear_all(45)
    (worker,) = stage.workers
    events = [str(m.body) + str(m.properties) for m in stage.queue(EVENTS)]
    written = [worker.log.read_text(), worker.log.with_suffix(".err").read_text(), *events]
    written += [f"{told.message_id} {told.body}" for told in stage.told]
    whole = "\n".join(written)
    echoes = [t.body["text"] for t in stage.told if t.body["job_id"].startswith("echoed-")]

    assert any("task-succeeded" in event for event in events)
    assert echoes
    assert all("[hidden]" in text for text in echoes), "nothing was echoed"
    assert "planted-" not in whole
    assert "%70%6C%61" not in whole
    assert base64.b64encode(b"key:planted-key-").decode() not in whole
    assert not re.search(r"signature=|[0-9a-f]{64}", whole)
