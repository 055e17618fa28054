"""Gateways' pages, refused keys, long quiet times: an account heals by itself, and tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenes import CANCEL, GONE, VENUES
from tests.support.cli import Shell
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import accounts_file
from tests.support.world import World
from venues.sandbox.client import SandboxClient

#: What becomes of a kill's order that nobody saw before it was canceled.
UNSEEN = {"coinw": {"not_found"}}
#: What stands between us and a venue says this.
PAGES: dict[str, dict[str, Any]] = {
    "html-403": {"kind": "html", "status": 403},
    "html-401": {"kind": "html", "status": 401},
    "empty-401": {"kind": "status", "status": 401, "text": ""},
    "json-403": {"kind": "status", "status": 403, "json": {"message": "Forbidden"}},
}


#: Which page is met at which venue.
SEEN = [
    *(("html-403", venue) for venue in VENUES),
    ("html-401", "coinw"),
    ("empty-401", "kuna"),
    ("json-403", "ztdx"),
]


@pytest.fixture(scope="module")
def stage(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world with a desk for each scene and one worker."""
    world = World(rabbit.vhost("states"), sandbox, tmp_path_factory.mktemp("states"))
    world.audit()
    for page, venue in SEEN:
        world.desk(f"{page}-{venue}", venue, *quotas(venue))
    for name in "barred", "once", "halted", "slow-heal", "told-until":
        world.desk(name, "ztdx")
    world.desk("reader", "kuna")
    world.desk("quiet", "coinw", *quotas("coinw"))
    world.desk("healthy", "kuna")
    world.worker().start()
    yield world
    world.close()


@pytest.fixture(scope="module")
def shell(stage: World) -> Shell:
    """Where an operator sits: the same accounts file, the same broker."""
    folder: Path = stage.folder / "operator"
    folder.mkdir()
    env = accounts_file(stage._files, folder / "cancel.toml")
    return Shell(folder, env | {"CELERY_BROKER_URL": stage.url})


def quotas(venue: str) -> list[str]:
    """All desks share the sandbox's address; its quota is not what is played here."""
    return ["quotas = {address = 'off'}"] if venue == "coinw" else []


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def fault(stage: World, name: str, kind: str, **more: Any) -> None:
    stage.sandbox.fault(kind, api_key=stage.desks[name].key, **more)


def kill(stage: World, name: str, **fields: Any) -> tuple[set[tuple[str, str]], list[str]]:
    """Send a kill of two orders; return status and reason of what came of them, and ids."""
    desk = stage.desks[name]
    ids = stage.seed(desk, 2)
    outcomes = stage.hear_job(stage.send(desk, ids, priority="kill", **fields), 40)
    return {(one["status"], one["reason"]) for one in outcomes.values()}, ids


def at_venue(shell: Shell, name: str) -> tuple[dict[str, Any], int]:
    """Return what `check` says of an account at its venue, and its exit code."""
    done = shell.run("check", "--json")
    found = {line["what"]: line for line in done.lines}
    return found[f"account {name} at its venue"], done.code


@pytest.mark.parametrize(("page", "venue"), SEEN)
def test_a_page_in_the_way_turns_no_kill_off(stage: World, venue: str, page: str) -> None:
    name = f"{page}-{venue}"
    given = dict(PAGES[page])
    fault(stage, name, given.pop("kind"), method=CANCEL[venue], **given)

    for _ in range(2):
        said, _ids = kill(stage, name)
        # At CoinW only who saw an order knows afterwards that there was one.
        assert {status for status, _ in said} <= {GONE[venue], *UNSEEN.get(venue, ())}
    (line,) = stage.await_lines("account_barred", account=name)
    assert line["level"] == "error"
    assert line["reason"] == f"http_{given['status']}"
    assert stage.lines("account_halted", account=name) == []


def test_a_page_that_stays_is_tried_again_by_one_request_at_a_time(
    stage: World, shell: Shell
) -> None:
    fault(stage, "barred", "html", status=403, times=None)
    desk = stage.desks["barred"]
    first = stage.send(desk, stage.seed(desk, 30), priority="kill", deadline=in_s(5))
    stage.await_lines("account_barred", account="barred")
    later = stage.send(desk, stage.seed(desk, 30), priority="kill", deadline=in_s(4))
    finding, _ = at_venue(shell, "barred")
    said = [*stage.hear_job(first).values(), *stage.hear_job(later).values()]

    assert {one["reason"] for one in said} == {"http_403"}
    assert {one["status"] for one in said} <= {"unconfirmed", "failed"}
    assert "barred since" in finding["detail"]
    assert "http_403" in finding["detail"]
    assert len(stage.requests(desk)) <= 3 + 6  # what had left together, then one by one


def test_one_refusal_of_the_key_is_asked_again_and_halts_nobody(stage: World) -> None:
    fault(stage, "once", "auth")
    said, _ = kill(stage, "once")
    made = stage.requests(stage.desks["once"])
    gap_s = made[1].received_s - made[0].at_s

    assert said == {("canceled", "")}
    assert made[0].outcome == "fault:auth"
    assert made[1].route == "lookup"
    assert 1.0 <= gap_s < 2.0
    assert len(stage.await_lines("account_refused", account="once")) == 1
    assert len(stage.await_lines("account_resumed", account="once")) == 1
    assert stage.lines("account_halted", account="once") == []


def test_a_halted_account_is_told_and_the_next_kill_that_is_served_ends_the_halt(
    stage: World, shell: Shell
) -> None:
    """Three refusals halt; the fourth answers the first kill that asks; then all is well."""
    desk = stage.desks["halted"]
    fault(stage, "halted", "auth", times=4)
    assert kill(stage, "halted")[0] == {("rejected", "auth")}
    (line,) = stage.await_lines("account_halted", account="halted")
    assert (line["level"], line["reason"]) == ("error", "auth")
    finding, code = at_venue(shell, "halted")
    assert (finding["state"], code) == ("not ok", 1), finding
    assert "halted since" in finding["detail"]
    status = {line["account"]: line for line in shell.run("status", "--json").lines}
    assert (status["halted"]["state"], status["halted"]["why"]) == ("halted", "auth")
    assert status["healthy"]["state"] == "running"
    assert "halted since" in shell.run("status").out

    before = len(stage.requests(desk))
    routine = stage.hear_job(stage.send(desk, stage.seed(desk, 1)))
    assert {one["status"] for one in routine.values()} == {"rejected"}
    assert len(stage.requests(desk)) == before
    assert kill(stage, "halted")[0] == {("rejected", "auth")}
    assert len(stage.requests(desk)) == before + 1

    assert kill(stage, "halted")[0] == {("canceled", "")}
    assert stage.await_lines("account_resumed", account="halted")
    assert at_venue(shell, "halted")[0]["state"] == "ok"


def test_a_kill_waits_while_nothing_tells_whether_the_key_is_refused_still(
    stage: World,
) -> None:
    """The read that asks hits a broken venue twice; then it is answered."""
    fault(stage, "slow-heal", "auth", times=1)
    fault(stage, "slow-heal", "html", status=502, times=2)

    assert kill(stage, "slow-heal")[0] == {("canceled", "")}
    assert [one.outcome for one in stage.requests(stage.desks["slow-heal"])][:3] == [
        "fault:auth",
        "fault:html",
        "fault:html",
    ]


def test_a_key_that_may_only_read_halts_and_is_asked_by_a_cancel(stage: World) -> None:
    desk = stage.desks["reader"]
    fault(stage, "reader", "permission", method=CANCEL["kuna"], times=4)
    assert kill(stage, "reader")[0] == {("rejected", "permission")}
    before = len(stage.requests(desk))
    assert kill(stage, "reader")[0] == {("rejected", "permission")}
    (asked,) = stage.requests(desk)[before:]
    assert asked.route.startswith("cancel")
    assert kill(stage, "reader")[0] == {("canceled", "")}


def test_quiet_time_is_believed_within_reason_and_named_at_the_deadline(
    stage: World, shell: Shell
) -> None:
    fault(stage, "quiet", "throttle", retry_after_s=30000)

    for _ in range(2):
        assert kill(stage, "quiet", deadline=in_s(4))[0] == {("failed", "throttled")}
    (line,) = stage.await_lines("venue_throttled", account="quiet")
    assert (line["pause_s"], line["asked_s"]) == (600.0, 30000.0)
    finding, code = at_venue(shell, "quiet")
    assert (finding["state"], code) == ("not ok", 1), finding
    assert "paused since" in finding["detail"]
    assert "(throttled); until" in finding["detail"]


def test_a_rate_limit_with_http_200_that_names_a_time_is_waited_out(stage: World) -> None:
    until_ms = int((time.time() + 4) * 1000)
    said = {"code": -1003, "msg": f"Too many requests; IP banned until {until_ms}."}
    fault(stage, "told-until", "status", status=200, json=said)

    assert kill(stage, "told-until")[0] == {("canceled", "")}
    (line,) = stage.await_lines("venue_throttled", account="told-until")
    assert 2.5 < line["asked_s"] < 5.5
    refused, following = stage.requests(stage.desks["told-until"])[:2]
    assert following.received_s - refused.at_s >= 2.5


def test_nothing_was_said_that_is_not_so(stage: World) -> None:
    stage.hear_all(45)

    assert stage.check().clean
