"""The venue's own timer: kept while a producer lives, and what fires when all is dead here."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import requests

from tests.faults.test_dead_man import DEAD_S, REPORTS, Beating, await_event, report
from tests.faults.test_dead_man import audited as audited
from tests.support.proxy import Proxy
from tests.support.rabbitmq import free_port
from tests.support.worker import WorkerProcess
from tests.support.world import Desk, World
from tests.worker.metrics.conftest import Scrape

TIMER_S = 10
OF_VENUE = {
    "binance": ('venue_timer_symbols = ["BTCUSDT"]',),
    "okx": (),
}
#: An order that the timer does not reach: of another symbol, and of another book.
OUT_OF_REACH = {"binance": {"symbol": "ETHUSDT"}, "okx": {"ord_type": "trigger"}}

every_venue = pytest.mark.parametrize("venue", sorted(OF_VENUE))


def desk_of(
    world: World, name: str, venue: str, base_url: str = "", timer_s: int = TIMER_S
) -> Desk:
    lines = (f'dead_man = "{DEAD_S}s"', f'venue_timer = "{timer_s}s"', *OF_VENUE[venue])
    return world.desk(f"timer-{name}-{venue}", venue, *lines, base_url=base_url)


def fires_in_s(world: World, desk: Desk) -> float | None:
    """Return how long until the desk's timer fires; None: it is not armed."""
    armed = world.sandbox.timers()["armed"]
    return next((each["fires_in_s"] for each in armed if each["api_key"] == desk.key), None)


def renewals(worker: WorkerProcess) -> int:
    return len([each for each in worker.events("venue_request") if each["route"] == "timer"])


def has_fired(world: World, desk: Desk) -> bool:
    return desk.key in [each["api_key"] for each in world.sandbox.timers()["fired"]]


def await_that(what: Callable[[], bool], timeout_s: float = 30.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def canceled_by(world: World, desk: Desk, ids: list[str]) -> set[str]:
    return {world.order(desk, each).canceled_by for each in ids}


@every_venue
def test_a_silent_producer_is_killed_for_before_the_timer_fires(
    audited: World, venue: str
) -> None:
    desk = desk_of(audited, "silent", venue)
    ids = audited.seed(desk, 2)
    worker = audited.worker().start()
    with Beating(audited.url, desk) as producer:
        await_event(audited, "venue_timer_armed")
        time.sleep(1.5 * TIMER_S)
        sent = [each.at_s for each in audited.requests(desk) if each.route == "timer"]
        assert not has_fired(audited, desk)
        producer.die()
    await_event(audited, "dead_man_fired")
    left_s = fires_in_s(audited, desk)
    said = report(audited)
    await_that(lambda: has_fired(audited, desk))

    gaps = [after - before for before, after in pairwise(sent)]
    assert gaps and max(gaps) < TIMER_S / 2  # a third of it, on a machine that is not busy
    assert left_s is not None and left_s > TIMER_S / 3
    assert said.result == "empty"
    assert canceled_by(audited, desk, ids) == {"request"}
    assert not audited.lines("venue_timer_not_set")
    told = [each["detail"] for each in worker.events("settings")]
    assert [each for each in told if each.startswith(f"accounts.{desk.name}.venue_timer: it ")]


@every_venue
def test_it_fires_when_all_is_dead_here(audited: World, venue: str) -> None:
    desk = desk_of(audited, "dead", venue)
    ids, others = audited.seed(desk, 2), audited.seed(desk, 1, **OUT_OF_REACH[venue])
    worker = audited.worker().start()
    with Beating(audited.url, desk):
        await_event(audited, "venue_timer_armed")
        worker.kill()
        await_that(lambda: has_fired(audited, desk))

    assert canceled_by(audited, desk, ids) == {"timer"}
    assert [audited.order(desk, each).state for each in others] == ["open"]
    assert not audited.queue(REPORTS)


@every_venue
def test_a_worker_that_stops_hands_it_over_and_a_goodbye_disarms_it(
    audited: World, venue: str
) -> None:
    desk = desk_of(audited, "handed", venue)
    (order,) = audited.seed(desk, 1)
    first = audited.worker("w1").start(ready="lane_owned")
    second = audited.worker("w2").start()
    with Beating(audited.url, desk) as producer:
        await_event(audited, "venue_timer_armed")
        await_that(lambda: (fires_in_s(audited, desk) or 0.0) < TIMER_S - 1)
        before = renewals(first)
        assert first.stop() == 0
        # OKX takes one a second, so what was renewed just now stays as it is.
        assert venue == "okx" or renewals(first) > before, "the next one has the whole time"
        await_event(audited, "venue_timer_armed", 2)
        time.sleep(1.2 * TIMER_S)
        assert fires_in_s(audited, desk) is not None
        producer.bye()
        await_event(audited, "venue_timer_disarmed")
        assert fires_in_s(audited, desk) is None
    assert second.stop() == 0

    assert second.events("venue_timer_armed") and second.events("venue_timer_disarmed")
    assert fires_in_s(audited, desk) is None, "what is disarmed is not armed by stopping"
    assert not has_fired(audited, desk)
    assert audited.order(desk, order).state == "open"


def test_it_fires_for_who_is_cut_off_from_the_venue(audited: World) -> None:
    proxy = Proxy(int(audited.sandbox.url.rpartition(":")[2]))
    desk = desk_of(audited, "cut", "okx", base_url=f"http://127.0.0.1:{proxy.port}")
    ids = audited.seed(desk, 2)
    worker, port = audited.worker(), free_port()
    worker.set("CANCEL_METRICS", f"127.0.0.1:{port}")
    worker.start()
    with Beating(audited.url, desk):
        await_event(audited, "venue_timer_armed")
        proxy.close()
        await_that(lambda: has_fired(audited, desk))
    failed = audited.lines("venue_timer_not_set")
    scrape = Scrape(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)

    assert canceled_by(audited, desk, ids) == {"timer"}
    assert {each["level"] for each in failed} == {"error"}
    assert failed[0]["fires_in_s"] > 0
    assert scrape.by("cancel_venue_timer_failures_total", "account")[desk.name] > 0


def test_the_next_worker_disarms_what_a_goodbye_had_left(audited: World) -> None:
    """The worker died just before; nothing but the stream tells of the goodbye."""
    desk = desk_of(audited, "left", "okx", timer_s=60)
    (order,) = audited.seed(desk, 1)
    first = audited.worker("w1").start()
    with Beating(audited.url, desk) as producer:
        await_event(audited, "venue_timer_armed")
        first.kill()
        producer.bye()
    audited.worker("w2").start()
    await_event(audited, "venue_timer_disarmed")

    assert fires_in_s(audited, desk) is None
    assert not has_fired(audited, desk)
    assert audited.order(desk, order).state == "open"
