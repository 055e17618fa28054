"""What was set at the broker: told where it takes something away, read as it is told."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from kombu import Connection

from tests.support.cli import Shell
from tests.support.rabbitmq import RabbitNode
from worker.amqp import topology
from worker.cli.findings import State
from worker.cli.rules import (
    LEAST_CONSUMER_TIMEOUT_MS,
    of_flags,
    of_limits,
    of_queues,
    rules,
    takes_our_word,
)

KILL = "cancel.desk-1.kill"


def queue(name: str = KILL, **definition: Any) -> dict[str, Any]:
    """Return a queue as the management API tells of it, with an effective policy."""
    words = {key.replace("_", "-"): value for key, value in definition.items()}
    policy = {"policy": "all", "operator_policy": None, "effective_policy_definition": words}
    return {"name": name} | policy


@pytest.mark.parametrize(
    "definition",
    [
        {"message_ttl": 86_400_000},
        {"expires": 1},
        {"max_length": 1_000_000},
        {"max_length_bytes": 1_000_000},
        {"dead_letter_routing_key": "x"},
        {"delivery_limit": 19},
        {"consumer_timeout": LEAST_CONSUMER_TIMEOUT_MS - 1},
    ],
)
def test_a_policy_that_takes_something_away(definition: dict[str, Any]) -> None:
    (finding,) = of_queues([queue(**definition), queue("cancel.desk-1.owner", **definition)])

    ((word, value),) = definition.items()
    assert (finding.what, finding.state) == ("policy all", State.BAD)
    assert finding.detail.startswith(f"{word.replace('_', '-')} {value} for {KILL} and 1 more")


@pytest.mark.parametrize(
    "told",
    [
        queue(),
        queue(queue_leader_locator="balanced", max_in_memory_length=5),
        queue(delivery_limit=20, consumer_timeout=LEAST_CONSUMER_TIMEOUT_MS),
        queue("cancel.desk-1.told", max_length_bytes=topology.STREAM_BYTES),
        queue("theirs", message_ttl=1),
        {"name": KILL},  # not counted yet
    ],
)
def test_a_policy_that_hurts_nothing(told: dict[str, Any]) -> None:
    (finding,) = of_queues([told])

    assert finding.state is State.OK


def test_a_short_consumer_timeout_takes_nothing_where_a_worker_states_its_own() -> None:
    """RabbitMQ 4.3 counts what a consumer says, before any policy."""
    short = queue(consumer_timeout=60_000)
    (before,) = of_queues([short], by_worker=takes_our_word("4.2.9"))
    (since,) = of_queues([short], by_worker=takes_our_word("4.3.6"))

    assert (before.state, since.state) == (State.BAD, State.OK)
    assert takes_our_word("5.0.0")
    assert not takes_our_word("")
    assert [finding.what for finding in rules("", None, "/", 1.0, "4.2.9")] == [
        "rules of the broker",
        "consumer_timeout",
    ]
    assert [finding.what for finding in rules("", None, "/", 1.0, "4.3.0")] == [
        "rules of the broker"
    ]


@pytest.mark.parametrize("name", ["cancel.rejected", "cancel.record", "cancel.desk-1.told"])
def test_what_only_people_read_is_a_note(name: str) -> None:
    (finding,) = of_queues([queue(name, message_ttl=1)])

    assert finding.state is State.NOTE


def test_a_retry_that_waits_counts() -> None:
    """Nobody consumes the queues of delays, so they are deleted with all that waits in them."""
    (finding,) = of_queues([queue("celery_delayed_27", expires=60_000)])

    assert finding.state is State.BAD


def test_limits_are_named() -> None:
    (finding,) = of_limits([{"value": {"max-queues": 50, "max-connections": -1}}])

    assert finding.detail == "max-queues 50"
    assert list(of_limits([])) == []


def test_a_flag_that_queues_need() -> None:
    flags = {"quorum_queue": "enabled", "stream_queue": "disabled", "other": "disabled"}
    told = ({"name": name, "state": state} for name, state in flags.items())
    (finding,) = of_flags(told)

    assert (finding.what, finding.state) == ("feature flag stream_queue", State.BAD)


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "http://", "http://a:planted@127.0.0.1:9"),
        *("http://a:planted/x@127.0.0.1:9", "http://a:9/planted@127.0.0.1:9"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_reads_it_by_hand(url: str) -> None:
    *unread, _ = rules(url, None, "/", 1.0)

    assert [finding.state for finding in unread] == [State.NOTE] * 3
    assert all("see rabbitmqctl list_" in finding.detail for finding in unread)
    assert not any("planted" in finding.detail for finding in unread)


def test_policies_of_a_broker_are_told(shell: Shell, rabbit: RabbitNode) -> None:
    """Two policies are in force at once, one of them the operator's."""
    url = rabbit.vhost("bent/rules")
    path = quote("bent/rules", safe="")
    rabbit.policy("bent/rules", ".*", **{"message-ttl": 2000})
    body = {"pattern": "^cancel", "definition": {"max-length": 5}, "apply-to": "queues"}
    rabbit.manage("PUT", f"operator-policies/{path}/theirs", body)
    broker = url.replace("bent/rules", path)
    with Connection(broker) as connection:
        topology.declare(connection, ["desk-c", "desk-k", "desk-z"], embedded=False)
    _wait_until_counted(rabbit, path)
    at = rabbit.management_url.replace("//", "//guest:guest@")

    done = shell.run("check", "--json", CELERY_BROKER_URL=broker, CANCEL_MANAGEMENT_URL=at)

    found = [line["detail"] for line in done.lines if line["what"] == "policy bent and theirs"]
    assert done.code == 1
    assert [detail.partition(" for ")[0] for detail in sorted(found)] == [
        "max-length 5",
        "message-ttl 2000",
    ]
    assert not [line for line in done.lines if line["what"] == "rules of the broker"]


def _wait_until_counted(rabbit: RabbitNode, path: str) -> None:
    """The management API tells of a queue's policies some seconds after its declaration."""
    give_up = time.monotonic() + 30.0
    while True:
        queues = rabbit.manage("GET", f"queues/{path}?columns=name,policy,operator_policy")
        counted = [one for one in queues if one.get("operator_policy")]
        if len(counted) >= 9 or time.monotonic() > give_up:
            return
        time.sleep(0.2)
