"""Every message that is no job ends in cancel.rejected as it came, with a reason."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.rabbitmq import RabbitNode
from tests.support.world import World
from venues.sandbox.client import SandboxClient

DESK = "door"
KEY = f"routine.{DESK}"
GOOD = {"job_id": "good", "account": DESK, "orders": ["3fa42833-9508-4061-8d80-b68563dcd521"]}


@dataclass(frozen=True)
class Bad:
    """A message that no worker can handle, and the reason that it must get."""

    body: bytes
    reason: str
    key: str | bytes = KEY
    properties: dict[str, Any] = field(default_factory=dict)


def job(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


#: As whom workers log in, and the producers of these tests, too.
WORKERS = "guest"


def celery(task: str, kwargs: Any, *args: Any, **properties: Any) -> dict[str, Any]:
    """The body and properties of a message as Celery writes it."""
    body = [list(args), kwargs, {"callbacks": None, "errbacks": None, "chain": None}]
    return {
        "body": json.dumps(body).encode(),
        "properties": {
            "content_encoding": "utf-8",
            "application_headers": {"task": task, "id": "task-id", "lang": "py"},
            **properties,
        },
    }


def headers(**given: Any) -> dict[str, Any]:
    return {"application_headers": given}


#: Values that a header table can hold, and Celery never puts there.
ODD: dict[str, Any] = {
    "none": None,
    "number": 1.5,
    "list": [1, {"a": b"\xff"}],
    "large": 2**62,
    "when": datetime(2026, 1, 1, tzinfo=UTC),
    "x-reason": "mine",
}

BAD = {
    "empty": Bad(b"", "not_json"),
    "not-json": Bad(b"cancel it all", "not_json"),
    "not-utf-8": Bad(b'{"account": "\xff"}', "not_json"),
    "half": Bad(b'{"account": "door", "orders": [', "not_json"),
    "nan": Bad(b'{"account": "door", "orders": [NaN]}', "not_json"),
    "key-twice": Bad(b'{"account": "door", "account": "door", "orders": ["1"]}', "not_json"),
    "too-deep": Bad(b"[" * 100_000, "not_json"),
    "list": Bad(b"[1, 2]", "not_an_object"),
    "too-large": Bad(b'"' + b"x" * (1 << 20) + b'"', "too_large"),
    "no-account": Bad(b'{"job_id": "x", "orders": ["1"]}', "no_account"),
    "no-orders": Bad(job(orders=[]), "no_orders"),
    "too-many": Bad(job(orders=[str(n) for n in range(10_001)]), "too_many_orders"),
    "unknown-account": Bad(job(account="nobody"), "unknown_account", "routine.nobody"),
    "other-account": Bad(job(account="nobody"), "unknown_account"),
    "wrong-venue": Bad(job(venue="coinw"), "wrong_venue"),
    "wrong-key": Bad(job(), "wrong_routing_key", "routine.elsewhere"),
    "wrong-priority": Bad(job(), "wrong_routing_key", f"urgent.{DESK}"),
    "bad-orders": Bad(job(orders="1.5"), "bad_orders"),
    "bad-deadline": Bad(job(deadline="soon"), "bad_deadline"),
    "many-tags": Bad(job(tags={str(n): "x" for n in range(17)}), "bad_tags"),
    "long-tag": Bad(job(tags={"x": "y" * 257}), "bad_tags"),
    "gzip": Bad(
        gzip.compress(job()), "content_encoding", properties={"content_encoding": "gzip"}
    ),
    "compressed": Bad(
        zlib.compress(job()), "content_encoding", properties=headers(compression="zlib")
    ),
    "bomb": Bad(
        zlib.compress(b" " * (64 << 20)),
        "content_encoding",
        properties=headers(compression="gzip"),
    ),
    "odd-compression": Bad(job(), "content_encoding", properties=headers(compression="rot13")),
    "other-task": Bad(**celery("tasks.other", {"job": GOOD}), reason="unknown_task"),
    "arguments": Bad(**celery("tasks.cancel_orders", {"job": GOOD}, 1), reason="bad_task"),
    "no-job": Bad(**celery("tasks.cancel_orders", {"orders": []}), reason="bad_task"),
    "protocol-1": Bad(
        json.dumps(
            {"task": "tasks.cancel_orders", "id": "x", "args": [], "kwargs": {"job": GOOD}}
        ).encode(),
        "bad_task",
    ),
    "masstransit": Bad(
        json.dumps({"messageType": ["urn:message:Cancel"], "message": GOOD}).encode(),
        "envelope",
        properties={"content_type": "application/vnd.masstransit+json"},
    ),
    "task-no-text": Bad(b"{}", "unknown_task", properties=headers(task=5)),
    "bad-progress": Bad(
        **celery(
            "tasks.cancel_orders",
            {"job": {**GOOD, "job_id": "odd"}, "progress": "half"},
            user_id=WORKERS,
        ),
        reason="rejected",
    ),
    "text-id-not-utf-8": Bad(
        b"no job: text-id-not-utf-8", "not_json", properties={"message_id": b"\xff\xfe"}
    ),
    "header-not-utf-8": Bad(
        b"no job: header-not-utf-8", "not_json", properties=headers(odd=b"\xff\xfe")
    ),
    "odd-headers": Bad(b"no job: odd-headers", "not_json", properties=headers(**ODD)),
    "latin-1": Bad(
        '{"account": "d\u00f6\u00f6r"}'.encode("latin-1"),
        "content_encoding",
        properties={"content_encoding": "latin-1"},
    ),
    "identity": Bad(
        b"no job: identity", "not_json", properties={"content_encoding": "identity"}
    ),
    "late-header": Bad(
        b"no job: late header",
        "not_json",
        properties=headers(when=datetime(9999, 12, 31, tzinfo=UTC)),
    ),
    "time-in-ms": Bad(b"no job: time-in-ms", "not_json", properties={"timestamp": 10**15}),
    "no-content-type": Bad(
        b"no job: no-content-type", "not_json", properties={"content_type": None}
    ),
    "key-not-utf-8": Bad(job(reason="odd key"), "wrong_routing_key", key=b"\xff\xfe"),
}


#: What serializers and half-filled books put among the ids; none of it names an order.
ELEMENTS: list[Any] = [None, "", 3.3e16, True, [], {}, {"id": None}, "9" * 101]


@pytest.fixture(scope="module")
def door(
    rabbit: RabbitNode, sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world in which every bad message has been sent, and a good job after each."""
    world = World(rabbit.vhost("door"), sandbox, tmp_path_factory.mktemp("door"))
    world.audit()
    desk = world.desk(DESK, "kuna")
    worker = world.worker().start()
    for bad in BAD.values():
        world.publish(bad.key, bad.body, **bad.properties)
    (order,) = world.seed(desk, 1)
    nulls = {"reason": None, "requested_by": None, "tags": None, "deadline": None}
    elements = [*ELEMENTS, {"id": order, "kind": None}]
    world.publish(KEY, job(job_id="elements", orders=elements, **nulls))
    world.send(desk, world.seed(desk, 1), job_id="after")
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and len(world.lines("job_rejected")) < len(BAD):
        time.sleep(0.2)
    assert worker.process is not None
    yield world
    world.close()


@pytest.fixture(scope="module")
def rejected(door: World) -> list[Any]:
    return door.queue("cancel.rejected")


def raw(message: Any) -> bytes:
    return message.body if isinstance(message.body, bytes) else message.body.encode()


@pytest.mark.parametrize("name", BAD)
def test_rejected_byte_for_byte(rejected: list[Any], name: str) -> None:
    """The message is in cancel.rejected once, its bytes are its own, and it says why."""
    bad = BAD[name]
    reasons = [m.headers["x-reason"] for m in rejected if raw(m) == bad.body]

    assert bad.reason in reasons
    assert all(m.headers["x-detail"] for m in rejected)


def test_a_bad_element_costs_itself_alone(door: World) -> None:
    """Each has its own outcome, under its place, and the order beside them is canceled."""
    door.hear(lambda: len(door.outcomes("elements")) > len(ELEMENTS))

    outcomes = door.outcomes("elements")
    bad = {f"orders[{place}]" for place in range(len(ELEMENTS))}
    assert {o["reason"] for name, o in outcomes.items() if name in bad} == {"bad_id"}
    assert all(o["text"] for name, o in outcomes.items() if name in bad)
    assert [o["status"] for name, o in outcomes.items() if name not in bad] == ["canceled"]


def test_the_worker_lives(door: World, rejected: list[Any]) -> None:
    """No message brings it down, or keeps a good job from being done."""
    outcomes = door.hear_job("after")
    (worker,) = door.workers

    assert {o["status"] for o in outcomes.values()} == {"canceled"}
    assert worker.process is not None
    assert worker.process.poll() is None
    assert len(rejected) == len(BAD)
