"""What happened to others, where a user meets it: a real worker, broker and venue over HTTP.

Rows of docs/testing.md whose other tests are of one module. Before anything else each account
of a quiet night has canceled once; then nobody asks anything for as long as gateways remember.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import ROOT
from tests.support.world import World, new_id
from venues.sandbox.client import SandboxClient
from worker.http.peer import IDLE_S

#: A kill is done this soon (seconds) though the way to the venue is not what it was.
SOON_S = 2.0
TIMEOUT_S = 5.0
#: A gateway that forgets a connection does so a little sooner than the worker.
FORGETS_S = IDLE_S - 2.0
#: Without seconds, or in ISO 8601's basic format.
FORMS = ("%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S+0000", "%Y%m%dT%H%M%SZ")
#: A worker's name server: `localhost` has both families, until `dead` stands beside it.
NAME_SERVER = """
import pathlib, socket, time
asked = socket.getaddrinfo
def answer(host, *args, **kwargs):
    if host != "localhost":
        return asked(host, *args, **kwargs)
    if pathlib.Path(__file__).with_name("dead").exists():
        time.sleep(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")
    return [*asked("::1", *args, **kwargs), *asked("127.0.0.1", *args, **kwargs)]
socket.getaddrinfo = answer
"""


@contextmanager
def black_hole(port: int) -> Iterator[None]:
    """Let connections to a port of `::1` wait without an end, as at a broken route."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_INET6))
        listener.bind(("::1", port))
        listener.listen(0)
        for _ in range(4):  # more than may wait to be taken
            filler = stack.enter_context(socket.socket(socket.AF_INET6))
            filler.setblocking(False)
            filler.connect_ex(("::1", port))
        yield


@pytest.fixture(scope="module")
def ways(sandbox: SandboxClient) -> Iterator[dict[str, Proxy]]:
    """What stands between the worker and the venue, for each account that has such a thing."""
    port = int(sandbox.url.rpartition(":")[2])
    with ExitStack() as stack:
        found = {
            "forgotten": stack.enter_context(Proxy(port, forgets_s=FORGETS_S)),
            "nameless": stack.enter_context(Proxy(port)),
            "broken-route": stack.enter_context(Proxy(port)),
        }
        stack.enter_context(black_hole(found["broken-route"].port))
        yield found


@pytest.fixture(scope="module")
def stage(
    rabbit: RabbitNode,
    sandbox: SandboxClient,
    ways: dict[str, Proxy],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A world after a quiet night."""
    world = World(rabbit.vhost("reports"), sandbox, tmp_path_factory.mktemp("reports"))
    names = world.folder / "names"
    names.mkdir()
    (names / "sitecustomize.py").write_text(NAME_SERVER)
    world.audit()
    for name in ("partly", *(f"time-{number}" for number in range(len(FORMS)))):
        world.desk(name, "kuna")
    world.desk("rounded", "coinw")
    for name, way in ways.items():
        host = "127.0.0.1" if name == "forgotten" else "localhost"
        at = f"http://{host}:{way.port}"
        world.desk(name, "kuna", timeout_s=TIMEOUT_S, base_url=at)
    worker = world.worker()
    worker.set("PYTHONPATH", f"{names}:{ROOT}")
    worker.start(ready="lane_owned")
    for name in ("forgotten", "nameless"):
        world.send(world.desks[name], world.seed(world.desks[name], 20), priority="kill")
    world.hear_all()
    (names / "warmed-up").touch()
    yield world
    world.close()


@pytest.fixture(scope="module")
def night(stage: World, ways: dict[str, Proxy]) -> None:
    """Nobody asks anything; at its end connections are closed, and the name server is dead."""
    names = stage.folder / "names"
    time.sleep(max(0.0, (names / "warmed-up").stat().st_mtime + IDLE_S + 1.0 - time.time()))
    (names / "dead").touch()
    ways["nameless"].cut()


def kill_s(world: World, name: str) -> float:
    """Send a kill of three orders; return how long it took until all were told."""
    desk = world.desks[name]
    ids = world.seed(desk, 3)
    began = time.monotonic()
    outcomes = world.hear_job(world.send(desk, ids, priority="kill"), 30)
    assert {one["status"] for one in outcomes.values()} == {"canceled"}
    return time.monotonic() - began


def test_a_broken_route_of_one_family_is_not_waited_for(stage: World) -> None:
    assert kill_s(stage, "broken-route") < SOON_S


def test_what_was_filled_before_a_cancel_is_told(stage: World) -> None:
    desk = stage.desks["partly"]
    ids = stage.seed(desk, 1, state="partially_filled", quantity=10, filled=4)
    (outcome,) = stage.hear_job(stage.send(desk, ids, priority="kill")).values()

    assert (outcome["status"], outcome.get("cum_qty")) == ("canceled", "4")


def test_a_number_that_a_producer_rounded_is_not_told_as_gone(stage: World) -> None:
    desk = stage.desks["rounded"]
    meant = next(i for i in map(int, map(new_id, itertools.repeat("coinw"))) if i % 4 == 1)
    common = {"venue": desk.venue, "api_key": desk.key, "symbol": "BTC"}
    stage.sandbox.seed([common | {"id": str(meant)}])
    sent = int(float(meant))
    assert sent != meant
    job = {"job_id": "rounded", "account": desk.name, "symbol": "BTC", "orders": [sent]}
    stage.ask(desk, "rounded", [str(sent)])
    stage.publish(f"kill.{desk.name}", json.dumps(job).encode())
    (outcome,) = stage.hear_job("rounded").values()

    assert stage.order(desk, str(meant)).state == "open"
    assert (outcome["status"], outcome["reason"]) == ("unconfirmed", "maybe_rounded")


@pytest.mark.parametrize(("number", "form"), [*enumerate(FORMS)])
def test_a_deadline_of_any_iso_8601_form_is_read(stage: World, number: int, form: str) -> None:
    desk = stage.desks[f"time-{number}"]
    deadline = (datetime.now(UTC) + timedelta(minutes=5)).strftime(form)
    sent = stage.send(desk, stage.seed(desk, 1), priority="kill", deadline=deadline)
    (outcome,) = stage.hear_job(sent, 5).values()

    assert outcome["status"] == "canceled"


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("name", ["forgotten", "nameless"])
def test_the_first_kill_after_a_quiet_night_is_soon(stage: World, name: str) -> None:
    """A gateway forgot the connections; and no name server answers any more."""
    assert kill_s(stage, name) < SOON_S


def test_nothing_was_said_that_is_not_so(stage: World) -> None:
    assert stage.check().false == []
