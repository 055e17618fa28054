"""How many workers a message may see die, and what is done about it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from worker.amqp.topology import DELIVERY_LIMIT
from worker.jobs.poison import (
    LONGEST_S,
    QUARANTINES,
    TRIES,
    Disposition,
    delay_route,
    delayed_headers,
    disposition,
    is_quarantined,
    last_death,
    longest_hold_s,
)


@pytest.mark.parametrize(
    ("headers", "judged"),
    [
        ({}, Disposition.RUN),
        ({"x-delivery-count": 6}, Disposition.RUN),
        ({"x-delivery-count": 7}, Disposition.DELAY),
        ({QUARANTINES: 1}, Disposition.RUN),
        ({QUARANTINES: 1, "x-delivery-count": 7}, Disposition.DELAY),
        ({QUARANTINES: 2, "x-delivery-count": 5}, Disposition.RUN),
        ({QUARANTINES: 2, "x-delivery-count": 6}, Disposition.BURY),
        ({QUARANTINES: "many", "x-delivery-count": None}, Disposition.RUN),
        ({QUARANTINES: -9, "x-delivery-count": 7}, Disposition.DELAY),
    ],
)
def test_disposition(headers: dict[str, Any], judged: Disposition) -> None:
    assert disposition(headers) is judged


def test_no_message_sees_more_deaths_than_the_limit() -> None:
    """A message that kills each worker that tries it does so twenty times in all."""
    headers: dict[str, Any] = {}
    killed = 0
    while disposition(headers) is not Disposition.BURY:
        if disposition(headers) is Disposition.DELAY:
            headers = delayed_headers(headers)
        else:
            killed += 1
            headers["x-delivery-count"] = headers.get("x-delivery-count", 0) + 1

    assert killed == DELIVERY_LIMIT
    assert headers["x-delivery-count"] < TRIES


def test_what_is_set_aside_has_no_past() -> None:
    """A broker that finds an old death in it may drop it."""
    past = {"x-delivery-count": 7, "x-death": [{}], "x-first-death-queue": "celery_delayed_0"}

    assert delayed_headers({**past, "tenant": "risk"}) == {"tenant": "risk", QUARANTINES: 1}


@pytest.mark.parametrize(
    ("quarantined", "attempt", "held_s"),
    [
        (True, 1, 3.0),
        (True, DELIVERY_LIMIT, 3.0),
        (True, DELIVERY_LIMIT + 1, 900.0),
        (False, 1, 900.0),
    ],
)
def test_hold(quarantined: bool, attempt: int, held_s: float) -> None:
    assert longest_hold_s(quarantined=quarantined, attempt=attempt) == held_s


def test_suspicion_lasts_until_the_message_is_written_anew() -> None:
    assert not is_quarantined({"x-delivery-count": 6})
    assert is_quarantined(delayed_headers({"x-delivery-count": 7}))


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"x-death": [{"reason": "delivery_limit"}, {"reason": "expired"}]}, "delivery_limit"),
        ({"x-death": [{"reason": "maxlen"}], "x-first-death-reason": "expired"}, "maxlen"),
        ({"x-death": "odd"}, "delivery_limit"),
        ({"x-death": [{}]}, "delivery_limit"),
        ({}, "delivery_limit"),
    ],
)
def test_last_death(headers: dict[str, Any], why: str) -> None:
    assert last_death(headers) == why


def test_the_way_aside_leads_back() -> None:
    """The key is the delay in binary, then the lane's own, however often it is set aside."""
    dice = random.Random(3)
    key = "kill.desk-1"
    waits = set()
    for _ in range(50):
        exchange, key = delay_route(key, dice)
        *digits, priority, account = key.split(".")
        waits.add(int("".join(digits), 2))
        assert (exchange, priority, account) == ("celery_delayed_27", "kill", "desk-1")

    assert waits <= set(range(1, LONGEST_S + 1))
    assert len(waits) > 10
