"""Kuna: refusals with HTTP 500, batches that are half done."""

from __future__ import annotations

import time
from typing import Any

import pytest

from venues.sandbox.client import SandboxClient

from .callers import kuna, order

NOBODY = "00000000-0000-0000-0000-000000000000"


def seed(sandbox: SandboxClient, **fields: Any) -> str:
    """Seed one order and return its id."""
    raw = order("kuna", sandbox.health()["orders"], **fields)
    sandbox.seed([raw])
    return str(raw["id"])


def error_of(answer: Any) -> tuple[int, str, str]:
    (error,) = answer.json["errors"]
    return answer.status, error["code"], error["message"]


def test_one_order_is_canceled_once(sandbox: SandboxClient) -> None:
    live = seed(sandbox)

    first = kuna(sandbox, "POST", "cancel", {"orderId": live})
    second = kuna(sandbox, "POST", "cancel", {"orderId": live})

    assert (first.status, first.json) == (200, {"data": {"success": True}})
    text = "Order with status Canceled can't be canceled"
    assert error_of(second) == (400, "BAD_REQUEST", text)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("cancel", {"orderId": "7"}, (500, "WrongRequestException")),
        ("cancel", {"orderIds": [NOBODY]}, (500, "WrongRequestException")),
        ("cancel", {"orderId": NOBODY}, (404, "NOT_FOUND")),
        ("cancel/multi", {"orderIds": []}, (500, "WrongRequestException")),
    ],
)
def test_a_cancel_that_cannot_be_is_refused(
    sandbox: SandboxClient, path: str, body: Any, expected: tuple[int, str]
) -> None:
    assert error_of(kuna(sandbox, "POST", path, body))[:2] == expected


def test_one_bad_id_spoils_its_batch(sandbox: SandboxClient) -> None:
    live = seed(sandbox)

    answer = kuna(sandbox, "POST", "cancel/multi", {"orderIds": [live, "7"]})

    text = "each value in orderIds must be a UUID"
    assert error_of(answer) == (500, "WrongRequestException", text)
    assert sandbox.order("kuna", live).state == "open"


def test_a_closed_order_fails_the_batch_while_the_rest_is_canceled(
    sandbox: SandboxClient,
) -> None:
    closed, live = seed(sandbox, state="filled"), seed(sandbox)

    answer = kuna(sandbox, "POST", "cancel/multi", {"orderIds": [closed, live]})

    text = "Order with status Closed can't be canceled"
    assert error_of(answer) == (400, "BAD_REQUEST", text)
    assert sandbox.order("kuna", live).state == "canceled"


@pytest.mark.parametrize(("envelope", "key"), [("data", "id"), ("bare", "orderId")])
def test_a_batch_may_answer_with_rows(sandbox: SandboxClient, envelope: str, key: str) -> None:
    sandbox.settings(
        {"kuna.closed_in_multi": "rows", "kuna.envelope": envelope, "kuna.id_key": key}
    )
    closed, live = seed(sandbox, state="filled"), seed(sandbox)

    body = kuna(sandbox, "POST", "cancel/multi", {"orderIds": [closed, live, NOBODY]}).json

    rows = body["data"] if envelope == "data" else body
    assert rows == [
        {key: closed, "success": False},
        {key: live, "success": True},
        {key: NOBODY, "success": False},
    ]


def test_errors_may_come_with_status_200(sandbox: SandboxClient) -> None:
    sandbox.settings({"kuna.errors_status": "200"})

    assert error_of(kuna(sandbox, "POST", "cancel", {"orderId": NOBODY}))[0] == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "Open"),
        ({"state": "partially_filled"}, "Open"),
        ({"ord_type": "trigger"}, "WaitStop"),
        ({"state": "filled"}, "Closed"),
        ({"state": "canceled"}, "Canceled"),
        ({"state": "expired"}, "Expired"),
        ({"state": "rejected"}, "Rejected"),
    ],
)
def test_details_know_any_state(
    sandbox: SandboxClient, fields: dict[str, str], status: str
) -> None:
    order_id = seed(sandbox, **fields)

    row = kuna(sandbox, "GET", f"details/{order_id}?withTrades=false").json["data"]

    assert (row["id"], row["status"]) == (order_id, status)


def test_details_of_an_unknown_or_forgotten_order(sandbox: SandboxClient) -> None:
    gone = seed(sandbox, state="filled", purged=True)

    assert kuna(sandbox, "GET", f"details/{gone}").status == 404
    assert kuna(sandbox, "GET", f"details/{NOBODY}").status == 404
    assert kuna(sandbox, "GET", "details/7").status == 500


def test_the_open_list_goes_back_two_weeks_unless_asked(sandbox: SandboxClient) -> None:
    old = int(time.time() * 1000) - 15 * 86_400_000
    new_id = seed(sandbox)
    old_id = seed(sandbox, created_ms=old)
    seed(sandbox, state="filled")

    def ids(query: str) -> list[str]:
        return [r["id"] for r in kuna(sandbox, "GET", f"active{query}").json["data"]]

    assert ids("") == [new_id]
    assert ids("?start=1") == [new_id, old_id]
    assert ids("?start=1&limit=1") == [new_id]
    assert ids("?start=1&pairs=ETH_USDT") == []


def test_history_filters_by_status(sandbox: SandboxClient) -> None:
    canceled = seed(sandbox, state="canceled")
    seed(sandbox, state="filled")

    rows = kuna(sandbox, "GET", "history?status=Canceled").json["data"]

    assert [row["id"] for row in rows] == [canceled]
