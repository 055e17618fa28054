"""Cases of latency: how soon the first byte of a job is at the venue, idle and under load."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import amqp

from tests.bench.awake import awake
from tests.bench.bounds import RTT_S, percentile, proven_s, spent_s
from tests.bench.figure import Figure, Findings, throttled
from tests.bench.producers import Stamper, flood
from tests.bench.stage import Stage, asked, cancels, job
from tests.support.producer import Outcomes, connect
from venues.sandbox.client import VenueRequest

#: So many accounts in turn, so that none has anything to do when its next job comes.
_IDLE_ACCOUNTS = 48
_GAP_S = 0.06
_OTHERS = 8
_KILL_IDS = 200
#: After it a kill meets the backlog, and not what the kill before it left.
_BETWEEN_S = 3.0


@awake()
def idle(stage: Stage, samples: int) -> Findings:
    """One id at a time, nothing else to do: publish to first byte."""
    names = [f"idle-{number}" for number in range(_IDLE_ACCOUNTS)]
    orders = {name: stage.orders(name, samples // len(names) + 1) for name in names}
    sent: dict[str, float] = {}
    with stage.worker(names), stage.outcomes() as outcomes:
        producer = Stamper(stage.url)
        for number in range(samples):
            name = names[number % len(names)]
            order = orders[name].pop()
            sent[order] = producer.publish(f"routine.{name}", job(name, [order]))
            time.sleep(_GAP_S)
        outcomes.wait(samples)
        producer.close()
        waits = _waits_ms(sent, asked(stage.box.requests()))
    broker = _broker_ms(stage.url, samples)
    ours = percentile(waits, 50) - percentile(broker, 50)
    return Findings(
        [
            _ms("idle", "publish to first byte, p50", percentile(waits, 50), 5.0),
            _ms("idle", "publish to first byte, p99", percentile(waits, 99), 15.0),
            _ms("idle", "of it the broker, p50", percentile(broker, 50)),
            _ms("idle", "the broker alone, p99", percentile(broker, 99)),
            _ms("idle", "of it ours, p50", ours),
        ]
    )


def _broker_ms(url: str, samples: int) -> list[float]:
    """Return how long a message takes through a quorum queue to a bare consumer.

    With the pauses that the worker has, too: after them broker and processor wake up first.
    """
    arrived: list[float] = []
    began: list[float] = []
    with connect(url) as consumer, connect(url) as producer:
        taken, given = consumer.channel(), producer.channel()
        quorum = {"x-queue-type": "quorum"}
        taken.queue_declare("bench.bare", durable=True, auto_delete=False, arguments=quorum)
        taken.queue_bind("bench.bare", "amq.topic", "bench.bare")
        tag = taken.basic_consume(
            "bench.bare", no_ack=True, callback=lambda _: arrived.append(time.monotonic())
        )
        for number in range(samples):
            message = amqp.Message(b"{}" * 60, delivery_mode=2)
            began.append(time.monotonic())
            given.basic_publish(message, "amq.topic", "bench.bare")
            while len(arrived) <= number:
                consumer.drain_events(timeout=5)
            time.sleep(_GAP_S)
        taken.basic_cancel(tag)
        taken.queue_delete("bench.bare")
    return [(end - begin) * 1000 for begin, end in zip(began, arrived, strict=True)]


@dataclass(slots=True)
class _Samples:
    """What was published into the backlog, and when; bulks with when they were all final."""

    kills: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)
    bulks: list[tuple[float, list[str], float]] = field(default_factory=list)
    alone_s: float = 0.0
    again_s: float = 0.0
    left: int = 0
    refused: int = 0


def backlog(stage: Stage, waiting: int, samples: int, bulks: int) -> Findings:
    """Kill jobs and other accounts' jobs while so many routine one-id jobs wait."""
    names = ["busy", "calm", *(f"other-{number}" for number in range(_OTHERS))]
    routine = stage.orders("busy", waiting)
    taken = _Samples()
    with stage.worker(names):
        with stage.outcomes("calm") as calm:
            taken.alone_s = _bulk(stage, "calm", calm, _Samples())
        flood(stage.url, [("routine.busy", job("busy", [order])) for order in routine])
        # Later nobody would read what comes; the broker ends such a connection.
        with stage.outcomes("busy") as busy:
            for _ in range(bulks):
                _read_on(busy, _BETWEEN_S)
                _bulk(stage, "busy", busy, taken)
            taken.again_s = _bulk(stage, "busy", busy, _Samples())
        _single_ids(stage, names[2:], samples, taken)
        taken.left = _depth(stage.url)
        taken.refused = stage.throttled(names)
        requests = stage.box.requests()
    return Findings(_judged(f"backlog-{waiting}", taken, requests))


def _single_ids(stage: Stage, others: Sequence[str], samples: int, taken: _Samples) -> None:
    """Send one-id jobs in turn: of another account, and a kill of the busy one."""
    producer = Stamper(stage.url)
    for number in range(samples):
        name = others[number % len(others)]
        [order], [kill] = stage.orders(name, 1), stage.orders("busy", 1)
        taken.others[order] = producer.publish(f"routine.{name}", job(name, [order]))
        time.sleep(0.11)
        taken.kills[kill] = producer.publish("kill.busy", job("busy", [kill]))
        time.sleep(0.17)
    producer.close()
    time.sleep(1.0)


def _judged(case: str, taken: _Samples, requests: Sequence[VenueRequest]) -> list[Figure]:
    first = asked(requests)
    starts = {ids[0]: (min(first[i] for i in ids), began) for began, ids, _ in taken.bulks}
    bulk_ms = [(at - began) * 1000 for at, began in starts.values()]
    kill_ms = _waits_ms(taken.kills, first) + bulk_ms
    other_ms = _waits_ms(taken.others, first)
    canceled_s = max(_canceled_at(requests, ids) - began for began, ids, _ in taken.bulks)
    note = f"{taken.left} jobs of the backlog still in the broker at the end"
    bulk = f"kill of {_KILL_IDS}"
    final_s = sorted(final for *_, final in taken.bulks)
    return [
        _ms(case, "kill: publish to first byte, p50", percentile(kill_ms, 50)),
        _ms(case, "kill: publish to first byte, p99", percentile(kill_ms, 99), 25.0, note),
        Figure(
            case=case,
            name=f"{bulk}: publish to last cancel's response",
            value=canceled_s,
            unit="s",
            bound=spent_s(_KILL_IDS),
            note=f"the slowest one of {len(taken.bulks)}",
        ),
        Figure(
            case=case,
            name=f"{bulk}: all answers final",
            value=final_s[len(final_s) // 2],
            unit="s",
            bound=proven_s(_KILL_IDS),
            must=1.15,
            note=f"the middle one of {len(final_s)}; "
            f"{taken.alone_s:.2f} s on an idle account of this worker",
        ),
        Figure(
            case=case,
            name=f"{bulk}: all answers final, the slowest time",
            value=final_s[-1],
            unit="s",
            bound=proven_s(_KILL_IDS),
        ),
        Figure(
            case=case,
            name=f"{bulk}: all answers final, right after another",
            value=taken.again_s,
            unit="s",
            bound=proven_s(_KILL_IDS),
        ),
        _ms(case, "another account: publish to first byte, p50", percentile(other_ms, 50)),
        _ms(
            case, "another account: publish to first byte, p99", percentile(other_ms, 99), 25.0
        ),
        throttled(case, taken.refused),
    ]


def _bulk(stage: Stage, name: str, outcomes: Outcomes, taken: _Samples) -> float:
    """Send one kill job and wait until all its ids are final; return how long it took."""
    ids = stage.orders(name, _KILL_IDS)
    wanted = set(ids)
    known = len(outcomes.found)
    producer = Stamper(stage.url)
    began = producer.publish(f"kill.{name}", job(name, ids))
    producer.close()

    def all_final() -> bool:
        nonlocal known
        wanted.difference_update(o["id"] for o in outcomes.found[known:])
        known = len(outcomes.found)
        return not wanted

    outcomes.wait(0, 60.0, until=all_final)
    took_s = time.monotonic() - began
    taken.bulks.append((began, ids, took_s))
    return took_s


def _read_on(outcomes: Outcomes, seconds: float) -> None:
    """Take outcomes in for so long."""
    until = time.monotonic() + seconds
    outcomes.wait(0, 2 * seconds, until=lambda: time.monotonic() > until)


def _canceled_at(requests: Sequence[VenueRequest], ids: Sequence[str]) -> float:
    wanted = set(ids)
    found = [request for request in cancels(requests) if not wanted.isdisjoint(request.ids)]
    return max(request.at_s for request in found) + RTT_S / 2


def _depth(url: str) -> int:
    with connect(url) as connection:
        found = connection.channel().queue_declare("cancel.busy.routine", passive=True)
        return int(found.message_count)


def _waits_ms(sent: Mapping[str, float], first: Mapping[str, float]) -> list[float]:
    return [(first[order] - began) * 1000 for order, began in sent.items()]


def _ms(
    case: str, name: str, value: float, must: float | None = None, note: str = ""
) -> Figure:
    return Figure(case=case, name=name, value=value, unit="ms", must=must, note=note)
