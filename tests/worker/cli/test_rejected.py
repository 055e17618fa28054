"""`rejected`: look at, replay and drop what was no job, over RabbitMQ, without a loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import amqp
import pytest

from tests.support.cli import Shell
from tests.support.producer import Outcomes, connect, send
from tests.support.rabbitmq import RabbitNode
from tests.support.raw import HEADERS, nested, raw
from tests.worker.cli.conftest import KEY, new_ids
from venues.sandbox.client import SandboxClient

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def outcomes(rabbit: RabbitNode) -> Iterator[Outcomes]:
    reader = Outcomes(rabbit.url)
    yield reader
    reader.close()


def listed(shell: Shell) -> list[dict[str, Any]]:
    done = shell.run("rejected", "list", "--json")
    assert done.code == 0
    return done.lines


def rejected_jobs(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes, count: int
) -> list[str]:
    """Send jobs without orders and return their ids once they are rejected."""
    jobs = [f"bad-{uuid4()}" for _ in range(count)]
    body = {"account": "desk-k", "orders": []}
    send(rabbit.url, [("routine.desk-k", body | {"job_id": job}) for job in jobs])
    outcomes.wait(0, until=lambda: set(jobs) <= {o["job_id"] for o in outcomes.found})
    return jobs


def number_of(shell: Shell, job: str) -> str:
    (number,) = [str(line["n"]) for line in listed(shell) if line["job_id"] == job]
    return number


def raw_messages(rabbit: RabbitNode) -> list[Any]:
    """Look at the queue as it is, with another client, and leave it so."""
    with connect(rabbit.url) as connection:
        channel = connection.channel()
        channel.auto_decode = False  # bytes, whatever encoding a message names
        found = []
        while (message := channel.basic_get("cancel.rejected")) is not None:
            found.append(message)
        for message in found:
            channel.basic_reject(message.delivery_tag, requeue=True)
    return found


def test_looking_changes_neither_order_nor_content(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes
) -> None:
    jobs = rejected_jobs(shell, rabbit, outcomes, 5)
    before = [message.body for message in raw_messages(rabbit)]

    lists = [listed(shell) for _ in range(3)]
    shown = shell.run("rejected", "show", number_of(shell, jobs[2]), "--json")

    assert lists[0] == lists[1] == lists[2]
    assert [line["job_id"] for line in lists[0] if line["job_id"] in jobs] == jobs
    assert [message.body for message in raw_messages(rabbit)] == before
    (found,) = shown.lines
    assert (found["reason"], found["key"]) == ("no_orders", "routine.desk-k")
    assert json.loads(found["body"])["job_id"] == jobs[2]


def test_drop_takes_one_and_leaves_the_others(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes
) -> None:
    jobs = rejected_jobs(shell, rabbit, outcomes, 3)

    asked = shell.run("rejected", "drop", number_of(shell, jobs[1]))
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    assert jobs[1] in {line["job_id"] for line in listed(shell)}
    done = shell.run("rejected", "drop", number_of(shell, jobs[1]), "--yes")

    assert (done.code, done.out.endswith("dropped\n")) == (0, True)
    left = [line["job_id"] for line in listed(shell) if line["job_id"] in jobs]
    assert left == [jobs[0], jobs[2]]


def test_replay_sends_the_very_message_again(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes, sandbox: SandboxClient
) -> None:
    """An account that was missing, a restart later: here the order id itself is what is new."""
    (order_id,) = new_ids(1)
    job = f"mend-{uuid4()}"
    body = f'{{"job_id":  "{job}", "account": "desk-k", "orders": ["{order_id}"]}}'.encode()
    row = {"venue": "kuna", "api_key": KEY, "id": order_id, "symbol": "BTC_USDT"}
    sandbox.seed([row])
    # Given a good job that stands among the rejected, as it would after such a mend
    headers = {
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "x-reason": "unknown_account",
        "x-detail": "no account",
        "x-routing-key": "0.1.kill.desk-k",
    }
    with connect(rabbit.url) as connection:
        message = amqp.Message(
            body,
            content_type="application/json",
            message_id="m-1",
            delivery_mode=2,
            application_headers=headers,
        )
        connection.channel().basic_publish(message, "cancel.rejected")

    done = shell.run("rejected", "replay", number_of(shell, job))

    assert done.code == 0
    assert "sent again to kill.desk-k" in done.out
    outcomes.wait(0, until=lambda: any(o["job_id"] == job for o in outcomes.found))
    (at,) = [n for n, o in enumerate(outcomes.found) if o["job_id"] == job]
    told = outcomes.messages[at].properties["application_headers"]
    assert outcomes.found[at]["status"] == "canceled"
    assert told["traceparent"] == headers["traceparent"]
    assert job not in {line["job_id"] for line in listed(shell)}


def test_replay_leaves_out_headers_that_cannot_be_written(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes, sandbox: SandboxClient
) -> None:
    (order_id,) = new_ids(1)
    job = f"deep-{uuid4()}"
    body = json.dumps({"job_id": job, "account": "desk-k", "orders": [order_id]}).encode()
    row = {"venue": "kuna", "api_key": KEY, "id": order_id, "symbol": "BTC_USDT"}
    sandbox.seed([row])
    table = nested(700, x_reason="unknown_account", x_routing_key="kill.desk-k")
    with connect(rabbit.url) as connection:
        connection.channel().basic_publish(raw(body, HEADERS, table), "cancel.rejected")

    done = shell.run("rejected", "replay", number_of(shell, job))

    assert done.code == 0, done.err
    assert "sent again to kill.desk-k; its own headers were" in done.out
    outcomes.wait(0, until=lambda: any(o["job_id"] == job for o in outcomes.found))
    assert [o["status"] for o in outcomes.found if o["job_id"] == job] == ["canceled"]
    assert job not in {line["job_id"] for line in listed(shell)}


def test_a_job_that_is_still_wrong_comes_back_byte_for_byte(
    shell: Shell, rabbit: RabbitNode, outcomes: Outcomes
) -> None:
    marker = uuid4().hex
    body = f'{{"account": "desk-k", "orders": [], "tags": "{marker}", '.encode()
    send(rabbit.url, [("routine.desk-k", body)], message_id=marker, app_id="desk")

    def standing() -> list[Any]:
        return [m for m in raw_messages(rabbit) if marker.encode() in m.body]

    outcomes.wait(0, until=lambda: bool(standing()))
    (before,) = standing()
    (number,) = [
        str(n) for n, m in enumerate(raw_messages(rabbit), 1) if marker.encode() in m.body
    ]
    assert shell.run("rejected", "replay", number).code == 0
    outcomes.wait(0, until=lambda: bool(standing()))
    (after,) = standing()

    assert after.body == before.body == body
    for kept in ("content_type", "message_id", "app_id"):
        assert after.properties[kept] == before.properties[kept]
    known = ("x-reason", "x-routing-key")
    one, two = (m.properties["application_headers"] for m in (before, after))
    assert {key: one[key] for key in known} == {key: two[key] for key in known}


def test_replay_to_where_no_queue_is_keeps_the_message(
    shell: Shell, rabbit: RabbitNode
) -> None:
    marker = uuid4().hex
    with connect(rabbit.url) as connection:
        message = amqp.Message(marker.encode(), delivery_mode=2)
        connection.channel().basic_publish(message, "cancel.rejected")
    number = str(len(listed(shell)))

    done = shell.run("rejected", "replay", number)

    assert done.code == 1
    assert "its routing key is not known" in done.err
    assert raw_messages(rabbit)[-1].body == marker.encode()
    shell.run("rejected", "drop", number, "--yes")


def test_a_number_that_is_none_is_told(shell: Shell) -> None:
    done = shell.run("rejected", "show", "9999")

    assert done.code == 1
    assert "no rejected message number 9999" in done.err
