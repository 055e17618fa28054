"""The main job, end to end: an AMQP client, RabbitMQ, a worker, three venues over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.support.producer import Outcomes, connect, send
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox

PLANTED = ("planted-key-", "planted-secret-")
VENUES = ("coinw", "ztdx", "kuna")


def digits(number: int) -> str:
    return str(33308750270880000 + number)


def uuid(number: int) -> str:
    return f"3fa42833-9508-4061-8d80-{number:012d}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        client.settings({"rtt_ms": 10, "coinw.escalation": "off"})
        for venue in VENUES:
            client.add_account(venue, PLANTED[0] + venue, PLANTED[1] + venue)
        yield client


@pytest.fixture(scope="module")
def worker(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("main-job")
    accounts = {
        f"main-{venue}": {
            "venue": venue,
            "base_url": sandbox.url,
            "key": PLANTED[0] + venue,
            "secret": PLANTED[1] + venue,
        }
        for venue in VENUES
    }
    env = accounts_file(accounts, folder / "cancel.toml")
    with WorkerProcess(rabbit.url, env, folder / "worker.log", name="main") as process:
        yield process


def seed(sandbox: SandboxClient, venue: str, states: dict[str, str], **fields: Any) -> None:
    key, symbol = PLANTED[0] + venue, "BTC" if venue == "coinw" else "BTCUSDT"
    sandbox.seed(
        {"venue": venue, "api_key": key, "id": i, "symbol": symbol, "state": state} | fields
        for i, state in states.items()
    )


def test_each_id_ends_as_the_book_says(
    rabbit: RabbitNode, sandbox: SandboxClient, worker: WorkerProcess, outcomes: Outcomes
) -> None:
    """Given orders in every state at three venues, a bare AMQP client learns the truth."""
    seed(sandbox, "coinw", {digits(1): "open", digits(2): "filled"}, ord_type="limit")
    seed(sandbox, "coinw", {digits(3): "open"}, ord_type="trailing_stop")
    seed(sandbox, "coinw", {digits(4): "partially_filled"}, quantity=10, filled=3)
    states = ["open", "partially_filled", "filled", "canceled", "expired"]
    for venue in ("ztdx", "kuna"):
        seed(sandbox, venue, {uuid(n): state for n, state in enumerate(states)})
    uuids = [uuid(n) for n in range(6)]
    jobs = {
        "coinw": ([*map(digits, range(1, 6)), "risk-42"], "BTC"),
        "ztdx": ([*uuids, "no id\n"], "BTCUSDT"),
        "kuna": ([*uuids, "4po3091bc-p278"], "BTC_USDT"),
    }
    for venue, (orders, symbol) in jobs.items():
        account = f"main-{venue}"
        named = {"job_id": f"truth-{venue}", "account": account, "symbol": symbol}
        send(rabbit.url, [(f"routine.{account}", named | {"orders": orders})])

    found = outcomes.wait(6 + 7 + 7)

    status = {(o["venue"], o["id"]): (o["status"], o["reason"]) for o in found}
    assert {key: status[key] for key in status if key[0] == "coinw"} == {
        ("coinw", digits(1)): ("closed", "no_record"),
        ("coinw", digits(2)): ("filled", "too_late"),
        ("coinw", digits(3)): ("closed", "no_record"),
        ("coinw", digits(4)): ("canceled", ""),
        ("coinw", digits(5)): ("not_found", "no_record_after_cancel"),
        ("coinw", "risk-42"): ("rejected", "unsupported_kind"),
    }
    for venue, bad in (("ztdx", "no id\n"), ("kuna", "4po3091bc-p278")):
        assert {key: status[key][0] for key in status if key[0] == venue} == {
            (venue, uuid(0)): "canceled",
            (venue, uuid(1)): "canceled",
            (venue, uuid(2)): "filled",
            (venue, uuid(3)): "canceled",
            (venue, uuid(4)): "closed",
            (venue, uuid(5)): "not_found",
            (venue, bad): "rejected",
        }
    assert not [o for o in sandbox.book() if o.state in ("open", "partially_filled")]
    assert not [i for i in sandbox.incidents() if i["kind"] == "traded"]


def test_outcomes_are_messages_and_log_lines_with_the_same_keys(
    rabbit: RabbitNode, sandbox: SandboxClient, worker: WorkerProcess, outcomes: Outcomes
) -> None:
    seed(sandbox, "kuna", {uuid(100): "open"})
    job = {
        "job_id": "keys",
        "account": "main-kuna",
        "orders": [uuid(100)],
        "requested_by": "risk-engine-2",
        "tags": {"desk": "7"},
    }
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    send(rabbit.url, [("kill.main-kuna", job)], application_headers={"traceparent": parent})

    (outcome,) = outcomes.wait(1)

    message = outcomes.messages[0]
    assert message.delivery_info["routing_key"] == "kuna.main-kuna.canceled"
    assert message.properties["message_id"] == f"keys/{uuid(100)}"
    assert message.properties["application_headers"]["traceparent"] == parent
    assert message.properties["delivery_mode"] == 2
    assert outcome["tags"] == {"desk": "7"}
    assert outcome["requested_by"] == "risk-engine-2"
    assert outcome["evidence"] == "lookup"
    line = worker.await_event("cancel_outcome", "keys")
    tags = outcome.pop("tags")
    assert outcome.items() <= line.items()
    assert "tags" not in line  # once a job, not once an id
    assert worker.await_event("job_accepted", "keys")["tags"] == tags


def test_a_job_that_comes_again_is_answered_again(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    seed(sandbox, "ztdx", {uuid(200): "open"})
    job = {
        "job_id": "again",
        "account": "main-ztdx",
        "symbol": "BTCUSDT",
        "orders": [uuid(200)],
    }

    send(rabbit.url, [("routine.main-ztdx", job)])
    outcomes.wait(1)
    send(rabbit.url, [("routine.main-ztdx", job)])
    found = outcomes.wait(2)

    assert {(o["id"], o["status"]) for o in found} == {(uuid(200), "canceled")}
    assert {m.properties["message_id"] for m in outcomes.messages} == {f"again/{uuid(200)}"}


def test_a_celery_producer_may_send_the_task(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    seed(sandbox, "kuna", {uuid(300): "open"})
    job = {"job_id": "by-celery", "account": "main-kuna", "orders": [uuid(300)]}

    with Celery(broker=rabbit.url, set_as_current=False) as producer:
        producer.send_task(
            "tasks.cancel_orders",
            kwargs={"job": job},
            exchange="cancel.jobs",
            routing_key="kill.main-kuna",
        )
    found = outcomes.wait(1)

    assert [(o["job_id"], o["status"]) for o in found] == [("by-celery", "canceled")]


def test_a_bare_key_finds_its_lane(
    rabbit: RabbitNode, sandbox: SandboxClient, outcomes: Outcomes
) -> None:
    seed(sandbox, "kuna", {uuid(400): "open"})

    send(rabbit.url, [("kill", {"account": "main-kuna", "orders": [uuid(400)]})])
    found = outcomes.wait(1)

    assert found[0]["status"] == "canceled"
    assert found[0]["job_id"]


def test_a_throttled_account_pauses_and_goes_on_with_what_is_left(
    rabbit: RabbitNode, sandbox: SandboxClient, worker: WorkerProcess, outcomes: Outcomes
) -> None:
    seed(sandbox, "kuna", {uuid(n): "open" for n in range(500, 503)})
    sandbox.fault("throttle", venue="kuna", api_key=PLANTED[0] + "kuna")
    job = {
        "job_id": "throttled",
        "account": "main-kuna",
        "orders": [uuid(n) for n in range(500, 503)],
    }

    send(rabbit.url, [("routine.main-kuna", job)])
    found = outcomes.wait(3)

    assert {o["status"] for o in found} == {"canceled"}
    retry = worker.await_event("cancel_retry", "throttled")
    assert (retry["ids"], retry["why"]) == (3, "throttled")
    assert retry["countdown_s"] >= 1
    assert worker.events("venue_throttled")[0]["pause_s"] >= 1


def test_what_is_no_job_is_kept_byte_for_byte(
    rabbit: RabbitNode, worker: WorkerProcess, outcomes: Outcomes
) -> None:
    body = b'{"job_id": "broken", "account": "main-kuna", "orders": []}   '
    with connect(rabbit.url) as connection:  # others share the queue
        connection.channel().queue_purge("cancel.rejected")

    send(rabbit.url, [("kill.main-kuna", body)])
    (outcome,) = outcomes.wait(1)

    with connect(rabbit.url) as connection:
        message = connection.channel().basic_get("cancel.rejected", no_ack=True)
    assert message.body in (body, body.decode())
    assert message.properties["application_headers"]["x-reason"] == "no_orders"
    assert (outcome["status"], outcome["id"]) == ("rejected", "")
    assert outcomes.messages[0].properties["message_id"] == "broken/"
    assert outcomes.messages[0].delivery_info["routing_key"] == "kuna.main-kuna.rejected"


def test_nothing_that_was_written_holds_a_secret(worker: WorkerProcess) -> None:
    """Runs last: the log of all of the above, every line of it JSON."""
    assert worker.lines()
    everything = worker.log.read_text() + worker.log.with_suffix(".err").read_text()

    for word in PLANTED:
        assert word not in everything
    assert json.dumps(worker.lines()).count("[hidden]") == 0
