"""What an id names, and under which symbol: from job to outcome, over HTTP at the sandbox."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from queue import Queue
from typing import Any

import pytest

from venues import all_venues
from venues.base import Quota, Venue
from venues.credential import Credential
from venues.sandbox.client import SandboxClient, start_sandbox
from venues.words import CancelOutcome
from worker.contract.job import Envelope
from worker.jobs.parse import read_job
from worker.lane.submission import Results, Submission
from worker.orders.progress import new_cohorts
from worker.pacing.pace import NEVER
from worker.processes.engine import Engine
from worker.settings import Account
from worker.stats import NO_OBSERVER

KEY, SECRET = "names-key", "names-secret"
#: No more than the sandbox counts; what is played here is what is asked, not how fast.
QUOTAS = {"account": Quota(10, 1.0)}
#: For longer than any lag of a venue's table.
WAIT_S = 30.0
UUID = "3fa42833-9508-4061-8d80-b68563dcd521"
OTHER_UUID = "9f2a1c4e-5b67-4d8a-bf93-2e1f4a6c8d10"


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxClient]:
    """One sandbox for all of these tests."""
    with start_sandbox() as client:
        yield client


@pytest.fixture
def sandbox(process: SandboxClient) -> SandboxClient:
    """Empty it."""
    process.reset()
    for venue in ("coinw", "ztdx"):
        process.add_account(venue, KEY, SECRET)
    return process


def seed(sandbox: SandboxClient, venue: str, order_id: str, symbol: str, **more: Any) -> None:
    order = {"venue": venue, "api_key": KEY, "id": order_id, "symbol": symbol}
    sandbox.seed([order | more])


def without_lags(name: str) -> Venue:
    """Return a venue that is in no way behind, as the sandbox is in none."""
    venue = copy.copy(all_venues()[name])
    venue.read_lag_s = venue.birth_lag_s = venue.record_lag_s = 0.05
    return venue


def cancel(
    sandbox: SandboxClient, venue: str, priority: str = "kill", **job: Any
) -> Mapping[str, CancelOutcome]:
    """Run a job as a worker does; return the outcome of each id."""
    account = Account(
        name="desk",
        venue=without_lags(venue),
        credential=Credential(api_key=KEY, api_secret=SECRET),
        base_url=sandbox.url,
        quotas=QUOTAS,
    )
    body = json.loads(json.dumps({"job_id": "j", "account": "desk"} | job))
    envelope = Envelope(priority=priority, account="desk")
    parsed = read_job(body, envelope, {"desk": account}, datetime.now(UTC))
    assert not parsed.refused
    inbox: Queue[list[Results]] = Queue()
    engine = Engine({"desk": account}, inbox.put, NO_OBSERVER.venue_call, lambda _: None)
    submission = Submission(account="desk", job_id="j", kill=priority == "kill", deadline=NEVER)
    look_first = account.venue.forgets_canceled and not submission.kill
    ids = new_cohorts(parsed.job.refs, look_first=look_first)
    engine.of("desk").submit([(submission, ids)])
    told: dict[str, CancelOutcome] = {}
    give_up = time.monotonic() + WAIT_S
    while len(told) < len(parsed.job.refs):
        for results in inbox.get(timeout=give_up - time.monotonic()):
            told |= {r.id: r for r in results.results if isinstance(r, CancelOutcome)}
    engine.stop()
    engine.close()
    return told


def cancels(sandbox: SandboxClient) -> int:
    return sum(request.method == "DELETE" for request in sandbox.requests())


@pytest.mark.parametrize("client_ids", ["honoured", "ignored"])
@pytest.mark.parametrize("client_id", [OTHER_UUID, "1234567890"])
def test_a_client_order_id_that_looks_like_a_venues_is_canceled(
    sandbox: SandboxClient, client_id: str, client_ids: str
) -> None:
    sandbox.settings({"ztdx.client_ids": client_ids})
    seed(sandbox, "ztdx", UUID, "BTCUSDT", client_order_id=client_id)

    told = cancel(sandbox, "ztdx", symbol="BTCUSDT", orders=[client_id])[client_id]

    assert sandbox.order("ztdx", UUID).state == "canceled"
    assert (told.status, told.kind) == ("canceled", "client_order_id")


def test_an_id_that_the_venue_shows_as_its_own_is_asked_for_as_nothing_else(
    sandbox: SandboxClient,
) -> None:
    seed(sandbox, "ztdx", UUID, "BTCUSDT")

    told = cancel(sandbox, "ztdx", symbol="BTCUSDT", orders=[UUID])[UUID]

    assert (told.status, told.kind) == ("canceled", "venue_order_id")
    assert cancels(sandbox) == 1


def test_an_id_of_two_orders_stands_for_both_where_the_first_one_is_over(
    sandbox: SandboxClient,
) -> None:
    seed(sandbox, "ztdx", UUID, "BTCUSDT", state="filled")
    seed(sandbox, "ztdx", OTHER_UUID, "BTCUSDT", client_order_id=UUID)

    told = cancel(sandbox, "ztdx", symbol="BTCUSDT", orders=[UUID])[UUID]

    assert sandbox.order("ztdx", OTHER_UUID).state == "canceled"
    assert told.status == "filled"
    assert "as client_order_id canceled" in told.text


def test_an_id_of_no_order_is_not_found_in_either_form(sandbox: SandboxClient) -> None:
    told = cancel(sandbox, "ztdx", symbol="BTCUSDT", orders=[UUID, "1234567890"])

    assert {(w.status, w.reason) for w in told.values()} == {("not_found", "none_of_symbol")}


@pytest.mark.parametrize("item", [UUID, {"id": UUID, "kind": "venue_order_id"}])
def test_an_order_under_another_symbol_than_stated_is_canceled(
    sandbox: SandboxClient, item: Any
) -> None:
    seed(sandbox, "ztdx", UUID, "ETHUSDT")

    told = cancel(sandbox, "ztdx", symbol="BTCUSDT", orders=[item])[UUID]

    assert sandbox.order("ztdx", UUID).state == "canceled"
    assert (told.status, told.symbol) == ("canceled", "ETHUSDT")


TRIGGER_ID, LIMIT_ID = "33308750270880237", "33308750270880238"


@pytest.mark.parametrize("stated", [{}, {"ord_type": "trigger"}])
def test_a_trigger_order_under_another_symbol_than_stated_does_not_rest(
    sandbox: SandboxClient, stated: Mapping[str, str]
) -> None:
    seed(sandbox, "coinw", TRIGGER_ID, "ETH", ord_type="trigger")
    item = {"id": TRIGGER_ID, **stated}

    told = cancel(sandbox, "coinw", symbol="BTC", orders=[item, LIMIT_ID])

    assert sandbox.order("coinw", TRIGGER_ID).state == "canceled"
    assert {word.status for word in told.values()} == {"not_found"}


@pytest.mark.parametrize(
    ("ord_type", "word"),
    [
        ("limit", ("not_found", "no_record_after_cancel")),
        # It may be a trigger order, which the single cancel is not documented to reach.
        ("any", ("unconfirmed", "symbol_missing_for_lookup")),
    ],
)
def test_a_kill_at_coinw_without_a_symbol_pages_nobody_if_it_states_the_type(
    sandbox: SandboxClient, ord_type: str, word: tuple[str, str]
) -> None:
    seed(sandbox, "coinw", LIMIT_ID, "BTC", ord_type="limit")

    told = cancel(sandbox, "coinw", orders=[{"id": LIMIT_ID, "ord_type": ord_type}])[LIMIT_ID]

    assert sandbox.order("coinw", LIMIT_ID).state == "canceled"
    assert (told.status, told.reason) == word


def test_many_ids_without_a_symbol_are_not_asked_for_one_by_one(
    sandbox: SandboxClient,
) -> None:
    ids = [str(33308750270880300 + number) for number in range(35)]  # two batches, none of few

    told = cancel(sandbox, "coinw", orders=ids)

    assert {(w.status, w.reason, w.text) for w in told.values()} == {
        (
            "unconfirmed",
            "symbol_missing_for_lookup",
            "not every list could be asked: state the symbol",
        )
    }
    assert cancels(sandbox) <= 4


def test_many_ids_with_a_symbol_are_believed_to_have_it(sandbox: SandboxClient) -> None:
    ids = [str(33308750270880300 + number) for number in range(30)]

    told = cancel(sandbox, "coinw", symbol="BTC", orders=ids)

    assert {word.status for word in told.values()} == {"not_found"}
    assert cancels(sandbox) <= 4


def test_a_number_that_doubles_may_have_rounded_is_not_told_as_gone(
    sandbox: SandboxClient,
) -> None:
    seed(sandbox, "coinw", TRIGGER_ID, "BTC")
    as_a_double = int(float(TRIGGER_ID))

    told = cancel(sandbox, "coinw", symbol="BTC", orders=[as_a_double])[str(as_a_double)]

    assert sandbox.order("coinw", TRIGGER_ID).state == "open"
    assert (told.status, told.reason) == ("unconfirmed", "maybe_rounded")
    assert "send ids as strings" in told.text


def test_an_honest_number_is_served(sandbox: SandboxClient) -> None:
    seed(sandbox, "coinw", "33308750270880240", "BTC")

    told = cancel(sandbox, "coinw", "routine", symbol="BTC", orders=[33308750270880240])[
        "33308750270880240"
    ]

    assert sandbox.order("coinw", told.id).state == "canceled"
