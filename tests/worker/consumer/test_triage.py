"""What is decided on a message: a table for each kind of queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from kombu.message import Message

from tests.support.messages import ACCOUNTS, JOB, celery_task, delivered
from worker.consumer.triage import (
    Bury,
    Delay,
    Drop,
    NoSwitch,
    Reject,
    Republish,
    Run,
    Settlement,
    triage,
    triage_copy,
    triage_dead,
    triage_unrouted,
)
from worker.contract.job import RESENT_HEADER, SENT_BY_HEADER
from worker.jobs.poison import QUARANTINES
from worker.jobs.submit import NO_TASK

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMELESS = {name: value for name, value in JOB.items() if name != "job_id"}
TASK = {"task": "tasks.cancel_orders", "id": "t-1"}
ASIDE = "celery_delayed_delivery"
GIVEN_UP: dict[str, Any] = {
    "headers": {QUARANTINES: 2, "x-delivery-count": 6},
    "redelivered": True,
    "exchange": ASIDE,
}
EXPIRED = {"x-death": [{"reason": "expired", "original-expiration": "50"}]}


def decide(message: Message) -> Run | Settlement:
    return triage(message, ACCOUNTS, {"t-1"}, 5.0, NOW)


def said(decision: Run | Settlement) -> tuple[Any, ...]:
    """Return the kind of a decision, with a code and a job id where it has them."""
    if isinstance(decision, Bury | Reject):
        return type(decision), decision.error.reason, decision.error.job_id
    if isinstance(decision, Republish):
        return Republish, decision.routing_key
    return (type(decision),)


@pytest.mark.parametrize(
    ("properties", "headers", "own_user", "believed"),
    [
        ({"user_id": "workers"}, {}, "workers", True),
        ({"user_id": "workers"}, {RESENT_HEADER: True}, "workers", False),
        ({"user_id": "risk"}, {}, "workers", False),
        ({}, {SENT_BY_HEADER: "workers"}, "workers", False),
        ({}, {}, "", True),  # workers cannot be told from others
    ],
)
def test_only_what_workers_say_of_earlier_tries_is_believed(
    properties: dict[str, Any], headers: dict[str, Any], own_user: str, believed: bool
) -> None:
    body = celery_task(JOB, {"attempt": 2})
    message = delivered(body, headers={**TASK, **headers}, **properties)
    run = triage(message, ACCOUNTS, (), 5.0, NOW, own_user)

    assert isinstance(run, Run)
    assert run.delivery.progress == ({"attempt": 2} if believed else None)


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (delivered(), (Run,)),
        (delivered(key="0.1.0.routine.desk-1"), (Run,)),
        (delivered(NAMELESS, message_id="m-1"), (Run,)),
        (delivered(celery_task(), headers=TASK | {"id": "t-2"}), (Run,)),
        (delivered(NAMELESS), (Republish, "routine.desk-1")),
        (delivered(b"{"), (Reject, "not_json", "")),
        (delivered(JOB | {"account": "desk-2"}), (Reject, "unknown_account", "j-1")),
        (delivered(key="kill.desk-2"), (Reject, "wrong_routing_key", "j-1")),
        (
            delivered(celery_task(), headers={"task": "tasks.other"}),
            (Reject, "unknown_task", ""),
        ),
        (delivered(b"[1, 2]", headers=TASK), (Reject, "bad_task", "")),
        (delivered(headers={"x-delivery-count": 6}, redelivered=True), (Run,)),
        (delivered(headers={"x-delivery-count": 7}, redelivered=True), (Delay,)),
        (delivered(b"{", headers={"x-delivery-count": 7}, redelivered=True), (Delay,)),
        (delivered(**GIVEN_UP), (Bury, "delivery_limit", "j-1")),
        (delivered(b"{", **GIVEN_UP), (Reject, "delivery_limit", "")),
        (delivered(headers={"x-delivery-count": 20, QUARANTINES: 3}), (Run,)),
        (delivered(expiration="50"), (Republish, "routine.desk-1")),
        (delivered({"task": "x", "kwargs": {"job": JOB}}), (Reject, "bad_task", "j-1")),
        (delivered({"messageType": ["x"], "message": JOB}), (Reject, "envelope", "j-1")),
        (delivered({"specversion": "1.0", "data": NAMELESS}), (Reject, "envelope", "")),
        (delivered(celery_task(), headers=TASK), (Reject, "revoked", "j-1")),
        (delivered(celery_task(), headers=TASK, redelivered=True), (Bury, "revoked", "j-1")),
        (delivered(celery_task(JOB, {"attempt": 2}), headers=TASK), (Bury, "revoked", "j-1")),
        (delivered(celery_task("no job"), headers=TASK), (Reject, "not_an_object", "")),
    ],
)
def test_a_message_of_a_lane(message: Message, decision: tuple[Any, ...]) -> None:
    assert said(decide(message)) == decision


#: The queues of lanes that this worker serves, by the tags of their consumers.
QUEUES = {"t1": "cancel.desk-1.kill", "t2": "cancel.desk-1.routine", "t3": "cancel.desk-9.kill"}


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (delivered(key="kill.desk-1", consumer_tag="t1"), None),
        (delivered(key="kill.desk-1", consumer_tag="t2"), Drop()),
        (delivered(key="routine.desk-1", consumer_tag="t3"), Drop()),
        # Nothing says that the first is anywhere.
        (delivered(key="soon.desk-1", consumer_tag="t1"), None),
        (delivered(key="kill.desk-2", consumer_tag="t1"), None),
        (delivered(key="kill.desk-1", consumer_tag="t3", exchange="theirs"), None),
        (delivered(key="0.1.0.kill.desk-1", consumer_tag="t1", exchange=ASIDE), None),
        (delivered(key="kill.desk-1", consumer_tag="t7"), None),
        (delivered(key="kill.desk-1"), None),
    ],
)
def test_a_copy_is_dropped_where_the_first_is_in_its_lane(
    message: Message, decision: Drop | None
) -> None:
    assert triage_copy(message, ACCOUNTS, QUEUES) == decision


def test_a_copy_is_known_in_a_worker_that_does_not_serve_its_lane() -> None:
    message = delivered(key="kill.desk-1", consumer_tag="t3")

    assert triage_copy(message, ACCOUNTS, {"t3": "cancel.desk-9.kill"}) == Drop()


@pytest.mark.parametrize("name", ["id", "eta", "retries"])
def test_what_celery_writes_means_nothing_in_a_plain_job(name: str) -> None:
    """A job that says when to begin would wait until then at the embedded broker."""
    run = decide(delivered(headers={name: "t-1"}))

    assert isinstance(run, Run)
    assert run.delivery.eta is None
    assert run.delivery.task == NO_TASK


def test_a_job_that_is_run_keeps_what_its_message_says() -> None:
    message = delivered(
        celery_task(JOB, {"attempt": 2}),
        headers={**TASK, "id": "t-2", QUARANTINES: 1},
        redelivered=True,
        exchange=ASIDE,
    )
    run = decide(message)

    assert isinstance(run, Run)
    assert (run.delivery.orders, run.delivery.parsed.came_at) == (3, 5.0)
    assert run.delivery.task.task_id == "t-2"
    assert run.delivery.progress == {"attempt": 2}
    assert run.delivery.redelivered
    assert run.delivery.quarantined


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (delivered(key="routine"), (Republish, "routine.desk-1")),
        (delivered(key="kill"), (Republish, "kill.desk-1")),
        (delivered(NAMELESS, "kill"), (Republish, "kill.desk-1")),
        (delivered(key="routine.desk-2"), (Reject, "wrong_routing_key", "j-1")),
        (delivered(key="soon"), (Reject, "wrong_routing_key", "j-1")),
        (delivered(b"\xff", "routine"), (Reject, "not_json", "")),
    ],
)
def test_a_message_that_matched_no_lane(message: Message, decision: tuple[Any, ...]) -> None:
    assert said(triage_unrouted(message, ACCOUNTS, NOW)) == decision


@pytest.mark.parametrize("body", [b'{"producer": "p"}', b"{"])
def test_a_heartbeat_that_nobody_watches_is_no_job(body: bytes) -> None:
    message = delivered(body, key="alive.desk-7")

    assert triage_unrouted(message, ACCOUNTS, NOW) == NoSwitch("desk-7")


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (delivered(), (Bury, "delivery_limit", "j-1")),
        (delivered(headers={"x-death": [{"reason": "rejected"}]}), (Bury, "rejected", "j-1")),
        (delivered(b"{"), (Reject, "delivery_limit", "")),
        (delivered(headers=EXPIRED), (Bury, "expired", "j-1")),
        # It matched no lane, and waited where nobody came for it.
        (delivered(key="kill", headers=EXPIRED), (Bury, "expired", "j-1")),
        (delivered(key="soon", headers=EXPIRED), (Reject, "expired", "j-1")),
    ],
)
def test_a_message_that_the_broker_gave_up(message: Message, decision: tuple[Any, ...]) -> None:
    assert said(triage_dead(message, ACCOUNTS, NOW)) == decision


def test_what_expired_was_never_begun() -> None:
    """Its ids are told as failed: nobody need look for a cancel that was never sent."""
    unseen, given_up = (
        triage_dead(delivered(headers=headers), ACCOUNTS, NOW) for headers in (EXPIRED, {})
    )

    assert isinstance(unseen, Bury)
    assert isinstance(given_up, Bury)
    assert (unseen.begun, given_up.begun) == (False, True)


def test_only_a_retry_may_be_larger_than_a_job() -> None:
    """What is known of ten thousand ids goes with them."""
    wide = JOB | {"tags": {"x": "y" * (1 << 20)}}
    headers = TASK | {"id": "t-2"}

    assert said(decide(delivered(celery_task(wide), headers=headers)))[1] == "too_large"
    retry = delivered(celery_task(JOB, {"x": "y" * (1 << 20)}), headers=headers)
    assert isinstance(decide(retry), Run)
