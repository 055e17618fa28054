"""The job that a silence files, and the venues that could not do it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from venues import all_venues
from venues.credential import Credential
from worker.contract.job import JobMessage
from worker.dead_man.kill import (
    check_accounts,
    job_id_of,
    kill_of,
    killed_of,
    narrowed,
    reason_of,
)
from worker.dead_man.watch import Beat, Silent
from worker.settings import Account, ConfigError

A = Silent("a", Beat(3, 10.0, "2026-11-29T10:00:00.000Z"))
B = Silent("b", Beat(9, 11.0, "2026-11-29T10:00:01.000Z"))


def _accounts(venue: str, dead_man_s: int, options: Mapping[str, str]) -> dict[str, Account]:
    found = type(all_venues()[venue])(dict(options))
    account = Account(
        name="d",
        venue=found,
        credential=Credential(api_key="planted", api_secret="planted"),
        base_url=found.base_url,
        dead_man_s=dead_man_s,
    )
    return {"d": account}


def test_a_kill_is_a_job_of_the_contract() -> None:
    kill = kill_of("desk-1", [A, B], "worker")

    job = JobMessage.model_validate_json(kill.body)
    assert (kill.exchange, kill.routing_key) == ("cancel.jobs", "kill.desk-1")
    assert (job.account, job.scope, job.orders) == ("desk-1", "all", None)
    assert job.requested_by == "dead man's switch"
    assert job.reason == (
        "silent: a since 2026-11-29T10:00:00.000Z, b since 2026-11-29T10:00:01.000Z"
    )
    assert kill.properties["message_id"] == job.job_id == job_id_of("desk-1", [A, B])
    assert kill.properties["user_id"] == "worker"
    assert "user_id" not in kill_of("desk-1", [A], "").properties


def test_each_worker_gives_the_same_silence_the_same_name() -> None:
    """When it was read is the worker's own; the place in the stream is not."""
    again = Silent("b", Beat(9, 99.0, "before 2026-11-29T10:09:00.000Z"))
    later = Silent("b", Beat(12, 11.0, B.beat.since))
    names = {
        job_id_of("desk-1", [A, B]),
        job_id_of("desk-1", [again]),
        job_id_of("desk-1", [later]),
        job_id_of("desk-2", [B]),
    }

    assert job_id_of("desk-1", [A, B]) == job_id_of("desk-1", [again])
    assert len(names) == 3


def test_what_is_kept_of_a_kill_names_the_last_heartbeats() -> None:
    kept = killed_of("desk-1", [A, B])

    assert (kept.exchange, kept.routing_key) == ("", "cancel.desk-1.alive")
    assert json.loads(kept.body) == {"a": 3, "b": 9}


def test_a_reason_of_many_names_fits_the_contract() -> None:
    many = [Silent(f"{number:064}", A.beat) for number in range(40)]

    assert reason_of(many).endswith(" and 38 more")
    assert len(reason_of(many)) <= 256


def test_a_venue_that_lists_nothing_is_refused_by_name() -> None:
    (venue,) = [v for v in all_venues().values() if not v.lists and "settle" in v.chosen]

    with pytest.raises(ConfigError, match=r"accounts\.d\.dead_man: .* has no list") as caught:
        check_accounts(_accounts(venue.name, 30, venue.chosen))
    assert "\n" not in str(caught.value)
    check_accounts(_accounts(venue.name, 0, venue.chosen))


def test_a_kill_that_does_not_reach_all_orders_says_so() -> None:
    assert list(narrowed(_accounts("coinw", 30, {}))) == [
        "accounts.d.dead_man: its kill does not reach orders of these types: "
        "trigger (missing_symbol)"
    ]
    assert list(narrowed(_accounts("coinw", 0, {}))) == []
    assert list(narrowed(_accounts("kuna", 30, {}))) == []
