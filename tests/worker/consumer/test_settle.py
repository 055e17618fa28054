"""What takes the place of a message at the broker, and when the message is let go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.message import Message

from tests.support.messages import ACCOUNTS, IDS, JOB, delivered
from worker.amqp.topology import JOBS, OUTCOMES, REJECTED
from worker.consumer.settle import Settler
from worker.consumer.triage import Bury, Delay, Drop, Reject, Republish, Settlement, triage_dead
from worker.contract.job import InvalidJob
from worker.contract.outcome import utc_now
from worker.jobs.poison import QUARANTINES
from worker.jobs.runtime import Runtime
from worker.settings import Settings

URL = "memory://"
#: The first of the exchanges in which a message waits.
DELAYED = "celery_delayed_27"


class Broker:
    """A broker in this process; `settle` returns what was published, once all is let go."""

    def __init__(self) -> None:
        self.runtime = Runtime(
            Settings(broker_url=URL, accounts=ACCOUNTS), lambda: Connection(URL), {}
        )
        self.released: list[Message] = []
        self.dead: list[Message] = []
        self._settler = Settler(self.runtime, self.released.append, self.dead.append)
        self._connection = Connection(URL)
        self._channel = self._connection.channel()
        self._queues = [
            Queue(f"test.{name}", Exchange(name, "topic"), routing_key="#")(self._channel)
            for name in (JOBS, OUTCOMES, REJECTED, DELAYED)
        ]
        for queue in self._queues:
            queue.declare()
            queue.purge()

    def settle(self, message: Message, settlement: Settlement) -> list[Any]:
        self._settler.settle(message, settlement)
        give_up = time.monotonic() + 5.0
        while not self.released and time.monotonic() < give_up:
            time.sleep(0.001)
        assert self.released == [message]
        found = []
        for queue in self._queues:
            while (published := queue.get(no_ack=True)) is not None:
                found.append(published)
        return found

    def close(self) -> None:
        self.runtime.close()
        self._connection.release()


@pytest.fixture
def broker() -> Iterator[Broker]:
    opened = Broker()
    yield opened
    opened.close()


def body(published: Any) -> bytes:
    found = published.body
    return found if isinstance(found, bytes) else str(found).encode()


def test_a_job_is_published_again_under_a_name(broker: Broker) -> None:
    (job,) = broker.settle(delivered(headers={"tenant": "a"}), Republish("kill.desk-1"))

    assert job.delivery_info["exchange"] == JOBS
    assert job.delivery_info["routing_key"] == "kill.desk-1"
    assert json.loads(body(job)) == JOB
    assert job.headers["tenant"] == "a"
    assert job.properties["message_id"]


def test_a_name_is_kept(broker: Broker) -> None:
    (job,) = broker.settle(delivered(message_id="m-1"), Republish("kill.desk-1"))

    assert job.properties["message_id"] == "m-1"


def test_a_message_is_held_back_without_its_past(broker: Broker) -> None:
    headers = {"x-delivery-count": 7, QUARANTINES: 5, "CC": ["kill.desk-2"]}
    message = delivered(key="kill.desk-1", headers=headers, redelivered=True)
    (delayed,) = broker.settle(message, Delay())

    assert delayed.delivery_info["exchange"] == DELAYED
    assert delayed.delivery_info["routing_key"].endswith(".kill.desk-1")
    assert delayed.headers[QUARANTINES] == 1
    assert delayed.headers.keys().isdisjoint({"x-delivery-count", "CC"})


def test_a_copy_is_let_go_and_nothing_takes_its_place(broker: Broker) -> None:
    assert broker.settle(delivered(), Drop()) == []


def test_what_is_no_job_is_rejected_byte_for_byte(broker: Broker) -> None:
    (rejected,) = broker.settle(delivered(b"{"), Reject(InvalidJob("not_json", "no JSON")))

    assert body(rejected) == b"{"
    assert rejected.headers["x-reason"] == "not_json"
    assert rejected.headers["x-routing-key"] == "routine.desk-1"


def test_a_job_that_is_refused_as_a_whole_has_an_outcome(broker: Broker) -> None:
    refusal = Reject(InvalidJob("too_many_orders", "too many", "j-1"))
    outcome, rejected = broker.settle(delivered(), refusal)

    found = json.loads(body(outcome))
    assert (found["job_id"], found["id"], found["status"]) == ("j-1", "", "rejected")
    assert (found["venue"], found["account"]) == ("coinw", "desk-1")
    assert rejected.headers["x-reason"] == "too_many_orders"


@pytest.mark.parametrize("reason", ["no_orders", "not_json"])
def test_a_refused_job_without_a_name_is_answered_under_its_message_id(
    broker: Broker, reason: str
) -> None:
    message = delivered(b"{}", message_id="m-1")
    outcome, rejected = broker.settle(message, Reject(InvalidJob(reason, "no job")))

    assert json.loads(body(outcome))["job_id"] == "m-1"
    assert outcome.properties["message_id"] == "m-1/"
    assert rejected.headers["x-reason"] == reason


def test_each_id_of_a_buried_job_has_an_outcome(broker: Broker) -> None:
    message = delivered(JOB | {"orders": [*IDS, None]})
    bury = triage_dead(message, ACCOUNTS, utc_now())
    assert isinstance(bury, Bury)
    *outcomes, rejected = broker.settle(message, bury)

    found = {
        said["id"]: (said["status"], said["reason"])
        for said in map(json.loads, map(body, outcomes))
    }
    given_up = dict.fromkeys(IDS, ("unconfirmed", "delivery_limit"))
    assert found == given_up | {"orders[2]": ("rejected", "bad_id")}
    assert rejected.headers["x-reason"] == "delivery_limit"
