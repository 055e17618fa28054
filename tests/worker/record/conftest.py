"""Databases for the record, and outcomes to put into them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import amqp
import pytest
from sqlalchemy import text

from tests.support.need import need
from tests.support.postgres import MISSING, PostgresServer, installed
from tests.support.producer import connect
from worker.record.migrate import migrate
from worker.record.read import Row
from worker.record.store import Store


def outcome(order_id: str, job_id: str = "job-1", **changes: Any) -> dict[str, Any]:
    """Return an outcome as a worker publishes it."""
    return {
        "job_id": job_id,
        "venue": "kuna",
        "account": "desk-k",
        "symbol": "BTC_USDT",
        "id": order_id,
        "kind": "venue_order_id",
        "ord_type": "limit",
        "status": "canceled",
        "reason": "",
        "ord_status": "CANCELED",
        "evidence": "lookup",
        "attempts": 1,
        "venue_code": "",
        "text": "",
        "requested_by": "risk-engine-2",
        "tags": {"desk": "7"},
        "accepted_at": "2026-11-21T09:30:00.000Z",
        "finished_at": "2026-11-21T09:30:00.412Z",
        "latency_ms": 412.7,
    } | changes


def report(job_id: str = "job-1", **changes: Any) -> dict[str, Any]:
    """Return a report as a worker publishes it."""
    return {
        "schema_version": 1,
        "message_id": f"report/{job_id}",
        "job_id": job_id,
        "venue": "kuna",
        "account": "desk-k",
        "priority": "kill",
        "result": "empty",
        "scope": "all",
        "hold_s": 5.0,
        "counts": {"canceled": 1},
        "accepted_at": "2026-11-21T09:30:00.000Z",
        "first_sent_at": "2026-11-21T09:30:00.061Z",
        "last_sent_at": None,
        "finished_at": "2026-11-21T09:30:10.431Z",
        "latency_ms": 10431.0,
        "proof": [
            {
                "list": "list_open",
                "symbol": "",
                "first_read_at": "2026-11-21T09:30:07.301Z",
                "last_read_at": "2026-11-21T09:30:10.377Z",
                "others": 0,
            }
        ],
        "resting": [],
        "resting_count": 0,
        "unread": [],
        "left_out": [],
        "cancel_alls": [],
        "requested_by": "risk-engine-2",
        "sent_by": "risk",
        "reason": "max loss reached",
        "tags": {"desk": "7"},
        "unknown_fields": ["dedline"],
    } | changes


def receipt(job_id: str = "job-1", **changes: Any) -> dict[str, Any]:
    """Return a receipt as a worker publishes it."""
    return {
        "schema_version": 1,
        "message_id": f"receipt/{job_id}",
        "job_id": job_id,
        "venue": "kuna",
        "account": "desk-k",
        "priority": "kill",
        "answer": "taken",
        "rejected_reason": "",
        "rejected_detail": "",
        "ids": ["1"],
        "ids_count": 1,
        "scope": None,
        "hold_s": None,
        "accepted_at": "2026-11-21T09:30:00.000Z",
        "deadline": "2026-11-21T09:35:00.000Z",
        "requested_by": "risk-engine-2",
        "sent_by": "risk",
        "reason": "max loss reached",
        "tags": {"desk": "7"},
        "unknown_fields": ["dedline"],
        "message_bytes": 0,
        "message_sha256": "",
    } | changes


def exchange_of(message: dict[str, Any] | bytes) -> str:
    """Return where a worker publishes a message."""
    if isinstance(message, dict) and "answer" in message:
        return "cancel.receipts"
    of_job = isinstance(message, dict) and "result" in message
    return "cancel.reports" if of_job else "cancel.outcomes"


def publish(url: str, *outcomes: dict[str, Any] | bytes) -> None:
    """Publish outcomes, receipts and reports as a worker does, confirmed."""
    with connect(url) as connection:
        channel = connection.channel()
        for each in outcomes:
            raw = each if isinstance(each, bytes) else json.dumps(each).encode()
            message = amqp.Message(raw, content_type="application/json", delivery_mode=2)
            channel.basic_publish(message, exchange_of(each), "kuna.desk-k.x")


def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    need(installed(), MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/record.sqlite3"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The address of an empty database of a server."""
    store = Store(postgres.url)
    with store.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    store.close()
    return postgres.url


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    """A record that is up to date and empty."""
    opened = Store(empty_url)
    migrate(opened)
    yield opened
    opened.close()


def write_at_once(store: Store, rows: Sequence[Row], each: int) -> None:
    """Have four writers record the same rows at once, `each` at a time, in orders of their own.

    Raises:
        BaseException: the first that a writer raised.
    """
    url = store.engine.url.render_as_string(hide_password=False)

    def write(seed: int) -> None:
        mixed = random.Random(seed).sample(rows, len(rows))
        other = Store(url)
        try:
            for first in range(0, len(rows), each):
                other.write(mixed[first : first + each])
        finally:
            other.close()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
