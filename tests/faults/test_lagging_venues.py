"""Venues that lag and give short pages: what is told is what their book says in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.scenes import GONE, VENUES
from tests.support.rabbitmq import RabbitNode
from tests.support.world import World
from venues.sandbox.client import SandboxClient, start_sandbox

KILL = 30
#: All at once at every venue: a worker must not need that they come one by one.
BEHAVIOR = {"read_lags_s": [1.5], "record_lag_s": 2, "page_rows": 10, "left_out": ["total"]}
#: So many fills are newer than the one that is asked for: it stands on the third page.
NEWER = 25


@pytest.fixture(scope="module")
def lagging() -> Iterator[SandboxClient]:
    """A sandbox of its own, whose settings meet no other test."""
    settings = {f"{venue}.{name}": BEHAVIOR[name] for venue in VENUES for name in BEHAVIOR}
    with start_sandbox({"settings": settings}) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def stage(
    rabbit: RabbitNode, lagging: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world where every job has been sent."""
    world = World(rabbit.vhost("lagging"), lagging, tmp_path_factory.mktemp("lagging"))
    world.audit()
    for venue in VENUES:
        # All desks share the sandbox's address; its quota is not what is played here.
        lines = ["quotas = {address = 'off'}"] if venue == "coinw" else []
        for scene in ("kill", "fill", "pages"):
            world.desk(f"{scene}-{venue}", venue, *lines)
    world.worker().start()
    for venue in VENUES:
        begin_kill(world, venue)
        begin_fill(world, venue)
        begin_pages(world, venue)
    yield world
    world.close()


def begin_kill(world: World, venue: str) -> None:
    """Send a kill of orders that rest."""
    desk = world.desks[f"kill-{venue}"]
    ids = world.seed(desk, KILL)
    world.send(desk, ids, job_id=desk.name, priority="kill")


def begin_fill(world: World, venue: str) -> None:
    """Send a kill of an order that has just filled."""
    desk = world.desks[f"fill-{venue}"]
    (order_id,) = world.seed(desk, 1)
    world.sandbox.set_state(venue, order_id, "filled")
    world.send(desk, [order_id], job_id=desk.name, priority="kill")


def begin_pages(world: World, venue: str) -> None:
    """Send a job for a fill that many others have followed."""
    desk, now_ms = world.desks[f"pages-{venue}"], int(time.time() * 1000)
    (order_id,) = world.seed(desk, 1, state="filled", updated_ms=now_ms - 120_000)
    world.seed(desk, NEWER, state="filled", updated_ms=now_ms - 60_000)
    world.send(desk, [order_id], job_id=desk.name)


@pytest.mark.parametrize("venue", VENUES)
def test_a_kill_where_reads_lag(stage: World, venue: str) -> None:
    """Every order is canceled and told so, and what reads still show is not sent again."""
    desk = stage.desks[f"kill-{venue}"]

    outcomes = stage.hear_job(desk.name, 60)
    book = stage.sandbox.book(venue=venue, api_key=desk.key)

    assert {one["status"] for one in outcomes.values()} == {GONE[venue]}, outcomes
    assert {one.state for one in book} == {"canceled"}
    assert {one.asked for one in book} == {1}


@pytest.mark.parametrize("venue", VENUES)
def test_a_fill_where_the_record_lags(stage: World, venue: str) -> None:
    """An order that no list shows any more and no record yet is told as the fill it was."""
    desk = stage.desks[f"fill-{venue}"]

    ((order_id, outcome),) = stage.hear_job(desk.name, 60).items()

    assert outcome["status"] == "filled", outcome
    assert stage.order(desk, order_id).state == "filled"


@pytest.mark.parametrize("venue", VENUES)
def test_a_fill_on_the_third_page(stage: World, venue: str) -> None:
    """Pages that are shorter than asked and name no total are read on."""
    desk = stage.desks[f"pages-{venue}"]

    ((order_id, outcome),) = stage.hear_job(desk.name, 60).items()
    pages = [one for one in stage.requests(desk) if one.route in ("history", "archive")]

    assert outcome["status"] == "filled", outcome
    assert stage.order(desk, order_id).state == "filled"
    assert venue != "coinw" or len(pages) >= 3


def test_nothing_told_contradicts_the_book(stage: World) -> None:
    stage.hear_all(60)

    assert stage.check().clean, stage.check()
