"""`orders`: what rests at the venues, read once in full; no broker and no worker is needed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Shell
from tests.support.worker import accounts_file
from tests.worker.cli.conftest import KEY, SECRET, accounts, new_ids
from venues.sandbox.client import SandboxClient, start_sandbox


@pytest.fixture(scope="module")
def venue() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        for name in ("coinw", "ztdx", "kuna"):
            client.add_account(name, KEY, SECRET)
        yield client


@pytest.fixture
def desk(venue: SandboxClient, tmp_path: Path) -> Iterator[Shell]:
    """A shell without any broker, and an empty book."""
    venue.clear_book()
    env = accounts_file(accounts(venue.url), tmp_path / "cancel.toml")
    yield Shell(tmp_path, env | {"CELERY_BROKER_URL": "amqp://127.0.0.1:9//"})
    venue.clear_faults()


def seed(venue: SandboxClient, name: str, ids: list[str], **fields: object) -> list[str]:
    row = {"venue": name, "api_key": KEY, "ord_type": "limit"}
    venue.seed([row | {"id": order_id} | fields for order_id in ids])
    return ids


def test_every_open_order_is_listed_and_no_other(desk: Shell, venue: SandboxClient) -> None:
    ids = seed(venue, "ztdx", new_ids(130), symbol="BTCUSDT", side="sell")
    seed(venue, "ztdx", new_ids(2), symbol="BTCUSDT", state="canceled")

    listed = desk.run("orders", "desk-z", "desk-k", "--json")
    rows = csv.DictReader(io.StringIO(desk.run("orders", "desk-z", "--csv").out))
    shown = desk.run("orders", "desk-z", "desk-k")

    assert (listed.code, listed.err) == (0, "")
    *orders, ztdx, kuna = listed.lines
    assert sorted(one["id"] for one in orders) == ids
    assert {(one["venue"], one["list"], one["side"]) for one in orders} == {
        ("ztdx", "list_open", "sell")
    }
    assert (ztdx["orders"], kuna["orders"]) == (130, 0)
    assert sorted(row["id"] for row in rows) == ids
    assert shown.out.splitlines()[-2:] == [
        "desk-z: 130 open orders",
        "desk-k: no list shows an open order",
    ]


def test_a_list_that_may_be_cut_is_shown_and_called_so(
    desk: Shell, venue: SandboxClient
) -> None:
    """Kuna's list has a hundred rows, and no second page."""
    seed(venue, "kuna", new_ids(130), symbol="BTC_USDT")

    done = desk.run("orders", "desk-k")
    told = desk.run("orders", "desk-k", "--json").lines[-1]

    assert done.code == 1
    assert told["orders"] == 100
    assert told["unread"] == ["list_active (list_too_long)"]
    assert "desk-k: 100 open orders seen, and more may rest, as not all was read" in done.err


def test_what_is_not_read_is_named_and_nobody_says_that_there_is_none(
    desk: Shell, venue: SandboxClient
) -> None:
    seed(venue, "ztdx", new_ids(1), symbol="BTCUSDT")
    venue.fault("status", venue="kuna", status=502, times=None)

    done = desk.run("orders")
    by_symbol = desk.run("orders", "desk-c", "--symbol", "BTC")

    assert done.code == 1
    assert "no list shows" not in done.out
    assert done.out.splitlines()[-1] == "desk-z: 1 open order"
    assert done.err.splitlines() == [
        "cancel-worker: desk-c: orders may rest, as not all was read: "
        "trigger orders (missing_symbol)",
        "cancel-worker: desk-k: orders may rest, as not all was read: list_active (http_502)",
    ]
    assert (by_symbol.code, by_symbol.err) == (0, "")


def test_an_account_without_its_key_is_told_and_the_others_are_read(desk: Shell) -> None:
    done = desk.run("orders", DESK_K_SECRET="")

    assert done.code == 1
    assert "desk-k" in done.err
    assert KEY not in done.out + done.err


def test_reads_leave_as_the_accounts_file_allows(desk: Shell, venue: SandboxClient) -> None:
    """Five lists of CoinW, two a second; the workers use the same quotas of the key."""
    seed(venue, "coinw", [f"33308750270{name[-6:]}" for name in new_ids(150)], symbol="BTC")
    careful = {**accounts(venue.url)["desk-c"], "extra": ['quotas = {lookup = "2/1s"}']}
    env = accounts_file({"desk-c": careful}, desk.folder / "careful.toml")
    venue.clear_requests()

    shell = Shell(desk.folder, desk.env | env)
    done = shell.run("orders", "desk-c", "--symbol", "BTC", "--json")

    assert (done.code, done.lines[-1]["orders"]) == (0, 150)
    times = [one.at_s for one in venue.requests()]
    assert len(times) >= 5
    assert all(third - first >= 0.99 for first, third in zip(times, times[2:], strict=False))


def test_a_refusal_for_rate_is_the_last_word(desk: Shell, venue: SandboxClient) -> None:
    """The workers need what is left of the venue's patience."""
    venue.fault("throttle", venue="coinw", times=1)
    venue.clear_requests()

    refused = desk.run("orders", "desk-c", "--symbol", "BTC")

    assert refused.code == 1
    assert "(throttled)" in refused.err
    assert len(venue.requests()) == 1


def test_a_venue_that_is_silent_is_told_in_time(desk: Shell, venue: SandboxClient) -> None:
    venue.fault("timeout_before_effect", venue="kuna", hold_s=30, times=None)

    done = desk.run("orders", "desk-k", "--seconds", "1", timeout_s=20)

    assert done.code == 1
    assert "orders may rest, as not all was read: list_active (deadline)" in done.err
