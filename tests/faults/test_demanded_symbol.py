"""A CoinW that demands for its lists what its pages call optional."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitNode
from tests.support.world import World
from venues.sandbox.client import SandboxClient, start_sandbox

VENUE = "coinw"
KILL = 5


@pytest.fixture(scope="module")
def demanding() -> Iterator[SandboxClient]:
    """A sandbox of its own, whose settings meet no other test."""
    with start_sandbox({"settings": {f"{VENUE}.instrument": "demanded"}}) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def stage(
    rabbit: RabbitNode, demanding: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world with a desk for each job."""
    world = World(rabbit.vhost("demanding"), demanding, tmp_path_factory.mktemp("demanding"))
    world.audit()
    for name in "kill", "routine", "fill":
        # All desks share the sandbox's address; its quota is not what is played here.
        world.desk(name, VENUE, "quotas = {address = 'off'}")
    world.worker().start()
    yield world
    world.close()


@pytest.mark.parametrize(
    ("name", "state", "told"),
    [
        ("kill", "open", ("not_found", "none_of_symbol")),
        ("routine", "open", ("closed", "no_record")),
        ("fill", "filled", ("filled", "too_late")),
    ],
)
def test_what_lists_show_of_one_symbol_is_told(
    stage: World, name: str, state: str, told: tuple[str, str]
) -> None:
    desk = stage.desks[name]
    ids = stage.seed(desk, KILL, state=state)
    stage.send(desk, ids, job_id=name, priority="kill" if name == "kill" else "routine")

    outcomes = stage.hear_job(name, 60)

    assert {(one["status"], one["reason"]) for one in outcomes.values()} == {told}, outcomes


def test_nothing_told_contradicts_the_book(stage: World) -> None:
    stage.hear_all(60)

    assert stage.check().clean, stage.check()
