"""The control API, the process and its client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient, SandboxError, start_sandbox
from venues.sandbox.server import find_venues

from .callers import KEY, SECRET, coinw, order, send

COMMAND = [sys.executable, "-m", "venues.sandbox"]


def test_thousands_of_orders_are_seeded_at_once(sandbox: SandboxClient) -> None:
    count = sandbox.seed(order("coinw", i) for i in range(5_000))

    assert count == sandbox.health()["orders"] == len(sandbox.book()) == 5_000


def test_the_book_can_be_filtered_and_cleared(sandbox: SandboxClient) -> None:
    raw = order("ztdx", 1, client_order_id="risk-1")
    sandbox.seed([raw, order("coinw", 1), order("coinw", 2, api_key="other")])

    assert [o.symbol for o in sandbox.book(venue="ztdx")] == ["BTCUSDT"]
    assert [o.api_key for o in sandbox.book(api_key="other")] == ["other"]
    assert [o.id for o in sandbox.book(ids=["risk-1"])] == [raw["id"]]
    sandbox.clear_book()
    assert sandbox.book() == []


def test_the_book_counts_requests_and_effects(sandbox: SandboxClient) -> None:
    raw = order("coinw", 1)
    sandbox.seed([raw])

    begun = time.monotonic()
    for _ in range(3):
        coinw(sandbox, "DELETE", "batchOrders", {"sourceIds": [raw["id"]]})

    after = sandbox.order("coinw", raw["id"])
    assert (after.asked, after.canceled_times, after.canceled_by) == (3, 1, "request")
    assert after.canceled_at_s is not None
    assert begun < after.canceled_at_s < time.monotonic()


def test_an_order_seeded_again_is_new(sandbox: SandboxClient) -> None:
    raw = order("coinw", 1)
    sandbox.seed([raw])
    coinw(sandbox, "DELETE", "order", {"id": raw["id"]})
    sandbox.seed([raw])

    assert [(o.state, o.asked) for o in sandbox.book()] == [("open", 0)]


def test_the_market_changes_an_order(sandbox: SandboxClient) -> None:
    raw = order("coinw", 1, ord_type="trigger")
    sandbox.seed([raw])

    part = sandbox.set_state("coinw", raw["id"], "partially_filled", triggered=True)
    full = sandbox.set_state("coinw", raw["id"], "filled")
    gone = sandbox.set_state("coinw", raw["id"], purged=True)
    dead = sandbox.set_state("coinw", raw["id"], "canceled", purged=False)

    assert (part.filled, part.triggered) == (500, True)
    assert (full.state, full.filled) == ("filled", 1000)
    assert (gone.state, gone.purged) == ("filled", True)
    assert dead.canceled_by == "seed"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"venue": "nasdaq"}, "venue must be one of"),
        ({"id": "not-a-number"}, "could not have given"),
        ({"state": "asleep"}, "asleep"),
        ({"ord_type": "iceberg"}, "iceberg"),
        ({"colour": "red"}, "no field colour"),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    sandbox: SandboxClient, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(SandboxError, match=text):
        sandbox.seed([order("coinw", 1) | change])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rtt": 5}, "no setting"),
        ({"ztdx.client_ids": "maybe"}, r"must be one of \(.honoured., .ignored.\)"),
        ({"limits": {"coinw": {"account": "often"}}}, "10/1s"),
        ({"limits": {"coinw": {"acount": "1/1s"}}}, "has no limit acount"),
        ({"limits": {"conw": "off"}}, "venue must be one of"),
        ({"key_limits": {"coinw": {"k": {"nothing": "off"}}}}, "has no limit nothing"),
        ({"rtt_ms": "slow"}, "cannot be 'slow'"),
        ({"coinw.skew_s": True}, "cannot be True"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_changes_nothing(
    sandbox: SandboxClient, settings: dict[str, Any], text: str
) -> None:
    before = sandbox.settings()

    with pytest.raises(SandboxError, match=text):
        sandbox.settings({"rtt_ms": 9} | settings)

    assert sandbox.settings() == before


def test_requests_are_remembered_in_order(sandbox: SandboxClient) -> None:
    ids = ["33308750270880236", "33308750270538609"]
    coinw(sandbox, "DELETE", "batchOrders", {"sourceIds": ids})
    between = time.monotonic()
    sandbox.settings({"record_ids": False})
    coinw(sandbox, "GET", "order", query=f"positionType=plan&sourceIds={','.join(ids)}")

    first, second = sandbox.requests()
    assert (first.route, first.method, list(first.ids)) == ("cancel_batch", "DELETE", ids)
    assert (second.route, list(second.ids), second.ids_count) == ("lookup", [], 2)
    assert sandbox.requests(since_s=between) == [second]
    sandbox.clear_requests()
    assert sandbox.requests() == []


def test_no_secret_is_ever_shown(sandbox: SandboxClient) -> None:
    names = ("accounts", "orders", "settings", "faults", "limits", "requests", "incidents")

    shown = b"".join(send(sandbox, "GET", f"/_sandbox/{n}", {}).body for n in names)

    assert KEY.encode() in shown
    assert SECRET.encode() not in shown


def test_clocks_can_be_compared(sandbox: SandboxClient) -> None:
    begun, there = time.monotonic(), sandbox.time_s()

    assert begun < there < time.monotonic()


def test_unknown_paths_are_404(sandbox: SandboxClient) -> None:
    assert send(sandbox, "GET", "/_sandbox/secrets", {}).status == 404
    assert send(sandbox, "GET", "/elsewhere", {}).status == 404


def test_venues_are_found_by_their_files() -> None:
    assert sorted(find_venues()) == [
        *["binance", "bybit", "coinw", "kraken_spot", "kuna", "okx", "ztdx"]
    ]


def test_a_configuration_fills_the_sandbox() -> None:
    config = {
        "settings": {"rtt_ms": 1},
        "accounts": [{"venue": "coinw", "api_key": KEY, "api_secret": SECRET}],
        "orders": [order("coinw", 1)],
        "faults": [{"kind": "throttle"}],
    }

    with start_sandbox(config) as sandbox:
        assert sandbox.settings()["rtt_ms"] == 1
        assert len(sandbox.book()) == len(sandbox.faults()) == 1
        assert coinw(sandbox, "GET", "orders/openQuantity").json["code"] == 29001


def test_a_bad_configuration_stops_the_start() -> None:
    with (
        pytest.raises(SandboxError, match="did not start: sandbox: no setting"),
        start_sandbox({"settings": {"rtt": 1}}),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org", "192.168.0.1"])
def test_only_loopback_is_listened_on(host: str) -> None:
    done = subprocess.run([*COMMAND, "--host", host], capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "loopback" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_ends_on_a_signal(number: signal.Signals) -> None:
    process = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())

    process.send_signal(number)
    out, errors = process.communicate(timeout=5)

    assert ready["event"] == "sandbox_ready"
    assert ready["url"].startswith("http://127.0.0.1:")
    assert (process.returncode, out, errors) == (0, "", "")


def test_a_dead_sandbox_is_named_so() -> None:
    with start_sandbox() as sandbox:
        assert sandbox._process is not None
        sandbox._process.kill()
        sandbox._process.wait()

        with pytest.raises(SandboxError, match="ended with code -9"):
            sandbox.health()
