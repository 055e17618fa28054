"""What producers write: each job of a scenario as a message, and messages that are no jobs.

An odd seed adds what the field does, from random streams of its own: elements that name no
order, numbers that may be rounded, headers that only a broker or a worker writes, other forms
and keys. What is meant stays beside it, for the laws.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.chaos.draw import BAD_ELEMENTS, forged
from tests.simulation.book import SimOrder
from tests.simulation.scenario import START_S, Scenario, SimJob
from venues.base import Venue
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Priority
from worker.amqp.topology import routing_key
from worker.consumer.task_message import TASK
from worker.contract.job import may_be_rounded
from worker.contract.outcome import message_id, rfc_3339

EPOCH = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=START_S)
#: How long (seconds) a message may live: it expires unseen if its lane has no owner meanwhile.
SHORT_LIVES_S = (0.02, 0.3, 1.5)
#: As whom producers log in, where they say so.
PRODUCER = "desk-user"
#: Bodies that are no jobs, each with the reason that is told; `%s` is a usable job_id.
NO_JOBS: Sequence[tuple[str, str]] = (
    ("{", "not_json"),
    ('{"job_id": "%s", "account": "desk-1", "orders": [NaN]}', "not_json"),
    ('{"job_id": "%s", "job_id": "2", "account": "desk-1", "orders": ["o1"]}', "not_json"),
    ('["%s"]', "not_an_object"),
    ('{"job_id": "%s", "account": "desk-1"}', "no_orders"),
    ('{"job_id": "%s", "account": "desk-1", "orders": []}', "no_orders"),
    ('{"job_id": "%s", "account": "desk-1", "orders": "o1"}', "bad_orders"),
    ('{"job_id": "%s", "account": "desk-99", "orders": ["o1"]}', "unknown_account"),
    (
        '{"job_id": "%s", "account": "desk-1", "orders": ["o1"], "deadline": "soon"}',
        "bad_deadline",
    ),
    ('{"specversion": "1.0", "data": {"job_id": "%s", "orders": ["o1"]}}', "envelope"),
    ('{"task": "x", "kwargs": {"job": {"job_id": "%s", "orders": ["o1"]}}}', "bad_task"),
)


def wall(now: float) -> datetime:
    """Return the time of day at a simulated time."""
    return EPOCH + timedelta(seconds=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message, and what it means."""

    arrives: float
    key: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: SimJob | None = None  # None: it is none
    refs: tuple[OrderRef, ...] = ()  # what the job names
    #: What names no order, by the id under which that is told: why, and what says where it is.
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reason: str = ""  # why it is no job
    job_id: str = ""  # that can be read

    @property
    def name(self) -> str:
        """The id of its job, as far as it can be read."""
        return self.job.job_id if self.job else self.job_id

    def words(self) -> Iterator[tuple[str, str, str]]:
        """Yield the message ids of its outcomes; of rejected ones also why and where."""
        if self.job is None:
            if self.job_id:
                yield message_id(self.job_id, ""), self.reason, ""
            return
        for ref in self.job.refs:
            yield message_id(self.job.job_id, ref.id), "", ""
        for order_id, (why, where) in self.refused.items():
            yield message_id(self.job.job_id, order_id), why, where

    @property
    def dies_at(self) -> float:
        """When it expires, if no worker sees it before."""
        life_ms = self.properties.get("expiration")
        return self.arrives + int(life_ms) / 1000 if life_ms else float("inf")


def letters(scenario: Scenario) -> list[Letter]:
    """Return the messages of a scenario: those of its jobs first, in the order of these."""
    if not scenario.odd:
        return [_plain(job) for job in scenario.jobs]
    rng = Random(f"letters {scenario.seed}")
    lanes = [routing_key(p, name) for p in Priority for name in scenario.accounts]
    written = [_odd(job, scenario, lanes, rng) for job in scenario.jobs]
    broken = [_broken(number, scenario, rng) for number in range(rng.choice((0, 1, 3)))]
    return [*written, *broken]


def _plain(job: SimJob) -> Letter:
    orders = [_whole(ref) for ref in job.refs]
    return Letter(
        arrives=job.arrives,
        key=_key(job),
        body=json.dumps({"job_id": job.job_id, **_said(job), "orders": orders}).encode(),
        job=job,
        refs=job.refs,
    )


def _key(job: SimJob) -> str:
    return routing_key(Priority.KILL if job.kill else Priority.ROUTINE, job.account)


def _said(job: SimJob) -> dict[str, Any]:
    return {"account": job.account, "deadline": rfc_3339(wall(job.deadline))}


def _whole(ref: OrderRef) -> dict[str, Any]:
    return {"id": ref.id, "kind": ref.kind, "ord_type": ref.ord_type, "symbol": ref.symbol}


def _odd(job: SimJob, scenario: Scenario, lanes: Sequence[str], rng: Random) -> Letter:
    refs = [ref._replace(maybe_rounded=ref.id in scenario.rounded) for ref in job.refs]
    orders: list[Any] = [_in_a_form(ref, scenario.venue, rng) for ref in refs]
    orders += rng.sample(orders, min(len(orders), rng.choice((0, 0, 0, 1, 3))))
    refused: dict[str, tuple[str, str]] = {}
    for number in range(rng.choice((0, 0, 1, 3))):
        bad = rng.choice(_BAD)(rng, f"b{number}")
        orders.insert(rng.randint(0, len(orders)), _Bad(bad))
    for place, element in enumerate(orders):
        if isinstance(element, _Bad):
            orders[place] = element.value
            refused |= _refusal(element.value, f"orders[{place}]")
    value = {"job_id": job.job_id, **_said(job), "orders": orders}
    value |= {"reason": None, "tags": None} if rng.random() < 0.3 else {}
    headers = forged(rng, lanes) if rng.random() < 0.5 else {}
    properties: dict[str, str] = {}
    key = _key(job)
    if rng.random() < 0.3:
        properties["user_id"] = PRODUCER
    if rng.random() < 0.2:
        life_s = rng.choice((3600.0, *SHORT_LIVES_S))
        properties["expiration"] = str(int(life_s * 1000))
        # RabbitMQ 3 would believe it, and drop what expires: no worker ever saw it.
        headers.pop("x-death", None)
    form = rng.random()
    if form < 0.1:
        properties["message_id"] = value.pop("job_id")
    elif form < 0.25:
        headers.pop("eta", None)  # a Celery producer may state it
        headers |= {"task": TASK, "id": f"task-{job.job_id}", "retries": 0}
    elif form < 0.35 and not headers.keys() & {"CC", "BCC"}:
        key, _, _ = key.partition(".")
    body: Any = [[], {"job": value}, {}] if "task" in headers else value
    return Letter(
        arrives=job.arrives,
        key=key,
        body=json.dumps(body).encode(),
        headers=headers,
        properties=properties,
        job=job,
        refs=tuple(refs),
        refused=refused,
    )


def _in_a_form(ref: OrderRef, venue: Venue, rng: Random) -> Any:
    """Return one of the forms in which an order may stand, all of which mean the same."""
    order = _whole(ref)
    if ref.maybe_rounded:
        return order | {"id": int(ref.id)}
    if ref.id.isdecimal() and rng.random() < 0.3:
        order["id"] = int(ref.id)
    kinds = [kind for kind, shape in venue.id_shapes.items() if shape.fullmatch(ref.id)]
    if kinds == [ref.kind] and rng.random() < 0.5:
        order["kind"] = None
        if ref.ord_type is OrdType.ANY and not ref.symbol:
            return order["id"]
    return {name: word for name, word in order.items() if word or rng.random() < 0.5}


# -- what names no order -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bad:
    value: Any


#: Each with an id of its own, where it has one.
_BAD: Sequence[Callable[[Random, str], Any]] = (
    lambda rng, _: rng.choice(BAD_ELEMENTS),
    lambda rng, _: 10 ** rng.randint(100, 120),
    lambda _, name: f"no id! {name}",
    lambda rng, name: {"id": name, "kind": rng.choice((5, "isin", []))},
    lambda rng, name: {"id": name, "ord_type": rng.choice((5, "iceberg", {}))},
    lambda rng, name: {"id": name, "symbol": rng.choice((5, "no symbol!"))},
)
_FAULTS = {"kind": "unknown_kind", "ord_type": "unknown_ord_type", "symbol": "bad_symbol"}


def _refusal(value: Any, place: str) -> dict[str, tuple[str, str]]:
    """Return under which id an element is told, with which reason and where in its text."""
    inner = value.get("id") if isinstance(value, dict) else value
    if not (isinstance(inner, str) and 0 < len(inner) <= 100):
        return {place: ("bad_id", place)}
    said = value if isinstance(value, dict) else {}
    reason = next((_FAULTS[word] for word in said if word in _FAULTS), "bad_id")
    return {inner: (reason, "")}


def _broken(number: int, scenario: Scenario, rng: Random) -> Letter:
    """Return a message that is no job."""
    text, reason = rng.choice(NO_JOBS)
    job_id = f"broken-{number}"
    body = text.replace("%s", job_id)
    may_be_read = "job_id" in text and reason != "not_json"
    return Letter(
        arrives=START_S + rng.uniform(0.0, 5.0),
        key=routing_key(rng.choice([*Priority]), "desk-1"),
        body=body.encode(),
        headers=forged(rng, ["routine.desk-1"]) if rng.random() < 0.5 else {},
        reason=reason,
        job_id=job_id if may_be_read else "",
    )


# -- numbers that may be rounded -----------------------------------------------------------


def made_odd(scenario: Scenario) -> Scenario:
    """Return a scenario with what the field does beside, and orders named by large numbers."""
    return replace(_with_numbers(scenario), odd=True)


def _with_numbers(scenario: Scenario) -> Scenario:
    """Return a scenario whose jobs name, as JSON numbers beyond 2^53, some orders more.

    Of a calm job all is known, and of these numbers it is not.
    """
    shape = scenario.venue.id_shapes[IdKind.VENUE]
    if scenario.calm or not shape.fullmatch(str(1 << 53)):
        return scenario
    rng = Random(f"numbers {scenario.seed}")
    jobs: list[SimJob] = []
    orders, rounded = list(scenario.orders), set[str]()
    for place, job in enumerate(scenario.jobs):
        refs = {_number(place, rng): None for _ in range(rng.choice((0, 1, 2)))}
        orders += [_resting(ref) for ref in refs if rng.random() < 0.3]
        rounded |= {ref.id for ref in refs}
        jobs.append(replace(job, refs=(*job.refs, *refs)))
    return replace(scenario, jobs=tuple(jobs), orders=tuple(orders), rounded=frozenset(rounded))


def _number(place: int, rng: Random) -> OrderRef:
    """Return an order by a number that a double can hold, of one job alone."""
    number = int(float((1 << 60) + (place << 32) + rng.randrange(1 << 20) * 512))
    assert may_be_rounded(number)
    return OrderRef(str(number), IdKind.VENUE, rng.choice(("AAA", "BBB")))


def _resting(ref: OrderRef) -> SimOrder:
    return SimOrder(
        id=ref.id,
        kind=ref.kind,
        symbol=ref.symbol,
        ord_type=OrdType.LIMIT,
        traded=False,
        ending=OrdStatus.FILLED,
    )
