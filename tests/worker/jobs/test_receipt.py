"""What a receipt says of a job agrees with the schema, is bounded, and holds no secret."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.worker.jobs.test_parse import job, read
from worker.contract.job import InvalidJob
from worker.contract.receipt import MOST_IDS, ReceiptMessage
from worker.jobs.receipt import Rejected, receipt_letter, rejected_receipt, taken_receipt

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def taken(**fields: Any) -> ReceiptMessage:
    return ReceiptMessage.model_validate(taken_receipt(read(job(**fields))), strict=False)


def rejected(value: Any, priority: str = "kill") -> ReceiptMessage:
    found = Rejected(
        value=value,
        body=json.dumps(value).encode(),
        priority=priority,
        sent_by="risk",
        error=InvalidJob("bad_scope", "why", "j"),
    )
    receipt = rejected_receipt(found, "coinw", NOW)
    return ReceiptMessage.model_validate(receipt, strict=False)


def test_who_asked_for_which_ids_when_and_why() -> None:
    said = taken(orders=["1", None, "2"], requested_by="ops-1", reason="max loss")

    assert (said.answer, said.priority, said.account) == ("taken", "kill", "desk-1")
    assert (said.ids, said.ids_count, said.scope) == (["1", "2", "orders[1]"], 3, None)
    assert (said.requested_by, said.reason) == ("ops-1", "max loss")
    assert (said.accepted_at, said.deadline) == (
        "2026-11-21T09:00:00.000Z",
        "2026-11-21T09:05:00.000Z",
    )


def test_who_asked_for_which_scope() -> None:
    said = taken(orders=None, scope={"symbols": ["BTC"]})

    assert (said.scope, said.hold_s, said.ids_count) == ({"symbols": ["BTC"]}, 5.0, 0)


def test_of_many_ids_the_first_are_named_and_all_are_counted() -> None:
    orders = [str(number) for number in range(1, MOST_IDS + 501)]

    for said in (taken(orders=orders), rejected({"orders": orders})):
        assert (said.ids, said.ids_count) == (orders[:MOST_IDS], MOST_IDS + 500)


def test_of_a_rejected_job_all_is_told_whose_form_is_right() -> None:
    asked = {"account": "desk-1", "scope": {"side": "buy"}, "requested_by": "ops-1"}

    said = rejected(asked)

    assert (said.answer, said.rejected_reason, said.rejected_detail) == (
        "rejected",
        "bad_scope",
        "why",
    )
    assert (said.scope, said.requested_by, said.sent_by) == ({"side": "buy"}, "ops-1", "risk")
    body = json.dumps(asked).encode()
    assert said.message_sha256 == hashlib.sha256(body).hexdigest()
    assert said.message_bytes == len(body)


@pytest.mark.parametrize(
    "value",
    [
        None,
        ["planted"],
        {"account": "planted secret", "orders": "planted", "reason": 5, "requested_by": []},
        {"account": 7, "scope": {"planted": 1}, "api_secret": "planted", "tags": ["planted"]},
        {"orders": [{"secret": "planted"}, ["planted"], None], "reason": "x" * 257},
    ],
)  # fmt: skip
def test_of_what_is_no_job_nothing_else_is_told(value: Any) -> None:
    said = rejected(value, priority="planted")

    assert "planted" not in said.model_dump_json()
    assert (said.account, said.priority, said.ids, said.scope) == ("", "", [], None)


def test_a_field_that_means_nothing_is_named_and_not_told() -> None:
    said = taken(api_secret="planted")

    assert said.unknown_fields == ["api_secret"]
    assert "planted" not in said.model_dump_json()


def test_its_key_says_where_and_what_was_answered() -> None:
    letter = receipt_letter(taken_receipt(read(job())), {})

    assert (letter.exchange, letter.routing_key) == ("cancel.receipts", "coinw.desk-1.taken")
    assert letter.properties["message_id"] == "receipt/j"
