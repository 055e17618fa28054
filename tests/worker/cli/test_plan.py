"""`plan`: the same requests as `submit` makes, told beforehand; and nothing is sent."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.cli import Shell
from tests.worker.cli.conftest import KEY, SECRET, new_ids
from venues.sandbox.client import SandboxClient, VenueRequest


def coinw_ids(first: int, count: int) -> list[str]:
    return [str(33308750270000000 + first + number) for number in range(count)]


def requests_of(sandbox: SandboxClient, ids: list[str]) -> list[VenueRequest]:
    """Return what was asked of these orders; jobs of other tests may still be on their way."""
    return [each for each in sandbox.requests() if not set(ids).isdisjoint(each.ids)]


def test_plan_needs_no_broker_and_no_venue(offline: Shell) -> None:
    done = offline.run("plan", *new_ids(2), "-a", "desk-k")

    assert done.code == 0
    first = done.out.splitlines()[1].split()
    assert first[:6] == ["1", "0.000", "cancel", "POST", "/v4/order/private/cancel/multi", "2"]
    assert done.out.splitlines()[-1].endswith("nothing was sent")
    assert KEY not in done.out
    assert SECRET not in done.out


@pytest.mark.usefixtures("worker")
def test_submit_makes_the_cancels_that_plan_told(shell: Shell, sandbox: SandboxClient) -> None:
    ids = coinw_ids(1000, 45)
    row = {"venue": "coinw", "api_key": KEY, "symbol": "BTC", "ord_type": "limit"}
    sandbox.seed([row | {"id": order_id} for order_id in ids])
    options = ("-a", "desk-c", "--symbol", "BTC", "--ord-type", "limit", "--kill", "--json")

    planned = shell.run("plan", *ids, *options)
    assert requests_of(sandbox, ids) == []
    done = shell.run("submit", *ids, *options, "--wait")

    told = [r for r in planned.lines if r.get("purpose") == "cancel"]
    made = [r for r in requests_of(sandbox, ids) if r.method == "DELETE"]
    assert done.code == 0, done.lines[-1]
    # A kill leaves in a burst, so the three arrive in any order.
    assert sorted((r["method"], r["target"], sorted(r["ids"])) for r in told) == sorted(
        (r.method, r.path, sorted(r.ids)) for r in made
    )


def test_no_quota_is_overdrawn_in_the_plan(offline: Shell) -> None:
    """A token comes back one window after the answer: eleven cancels never share a second."""
    options = ("-a", "desk-c", "--kill", "--json", "--rtt-ms", "80")
    done = offline.run("plan", "-", *options, stdin="\n".join(coinw_ids(0, 500)))

    *requests, end = done.lines
    cancels = [r for r in requests if r["route"] == "cancel_batch"]
    assert len(cancels) == 25
    for first, eleventh in zip(cancels, cancels[10:], strict=False):
        assert eleventh["sends_s"] >= first["answered_s"] + 1.0
    assert all(b["sends_s"] >= a["sends_s"] for a, b in pairwise(requests))
    assert end["late"] == 0
    assert end["final_s"] == max(r["answered_s"] for r in requests)


def test_ids_that_cannot_make_the_deadline_are_counted(offline: Shell) -> None:
    options = ("-a", "desk-k", "--deadline", "2s", "--json")

    done = offline.run("plan", "-", *options, stdin="\n".join(new_ids(2000)))

    assert done.lines[-1]["late"] > 0
    assert all(r["sends_s"] <= 2.0 for r in done.lines[:-1] if r["purpose"] == "cancel")


def test_an_id_that_the_worker_would_refuse_is_told(offline: Shell) -> None:
    done = offline.run("plan", "no id at all", *new_ids(1), "-a", "desk-k")

    assert done.code == 0
    assert "refused no id at all: bad_id" in done.out


def test_a_plan_without_a_request_is_no_success(offline: Shell) -> None:
    done = offline.run("plan", "no id at all", "nor this", "-a", "desk-k")
    told = offline.run("plan", "no id at all", "-a", "desk-k", "--json")

    assert (done.code, told.code) == (1, 1)
    assert done.out.splitlines()[0].startswith("refused no id at all: bad_id")
    assert done.out.splitlines()[-1] == "2 ids refused; nothing would be sent"
    assert told.lines[-1]["ids"] == 0


def test_a_job_that_the_worker_would_reject_is_a_usage_error(offline: Shell) -> None:
    done = offline.run("plan", "1", "-a", "nobody")

    assert (done.code, done.err) == (
        2,
        "cancel-worker: the worker would reject the job: no account 'nobody' is configured\n",
    )
