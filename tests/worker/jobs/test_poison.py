"""How many workers a message may see die, and what is done about it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from worker.amqp.topology import DELIVERY_LIMIT
from worker.jobs.poison import (
    LONGEST_HOLD_S,
    LONGEST_S,
    QUARANTINES,
    TRIES,
    Disposition,
    Past,
    allowed_hold_s,
    delay_route,
    delayed_headers,
    disposition,
    last_death,
    longest_hold_s,
    may_be_begun,
    past_of,
)

COUNT = "x-delivery-count"
#: How a message is delivered that was set aside.
ASIDE = {"exchange": "celery_delayed_delivery"}


@pytest.mark.parametrize(
    ("past", "judged"),
    [
        (Past(), Disposition.RUN),
        (Past(6), Disposition.RUN),
        (Past(7), Disposition.DELAY),
        (Past(0, 1), Disposition.RUN),
        (Past(7, 1), Disposition.DELAY),
        (Past(5, 2), Disposition.RUN),
        (Past(6, 2), Disposition.BURY),
    ],
)
def test_disposition(past: Past, judged: Disposition) -> None:
    assert disposition(past) is judged


@pytest.mark.parametrize(
    ("headers", "info", "past"),
    [
        ({}, {}, Past()),
        ({COUNT: 20}, {"redelivered": False}, Past()),
        ({COUNT: 6}, {"redelivered": True}, Past(6)),
        ({QUARANTINES: 2}, {"exchange": "cancel.jobs", "redelivered": True}, Past()),
        ({QUARANTINES: 2, COUNT: 9}, ASIDE, Past(0, 2)),
        ({QUARANTINES: 2, COUNT: 3}, ASIDE | {"redelivered": True}, Past(3, 2)),
        ({QUARANTINES: "many", COUNT: None}, ASIDE | {"redelivered": True}, Past()),
        ({QUARANTINES: -9, COUNT: -1}, ASIDE | {"redelivered": True}, Past()),
    ],
)
def test_only_what_the_broker_or_we_wrote_is_believed(
    headers: dict[str, Any], info: dict[str, Any], past: Past
) -> None:
    assert past_of(headers, info) == past


def test_no_message_sees_more_deaths_than_the_limit() -> None:
    """A message that kills each worker that tries it does so twenty times in all."""
    past, killed = Past(), 0
    while disposition(past) is not Disposition.BURY:
        if disposition(past) is Disposition.DELAY:
            past = past_of(delayed_headers({COUNT: past.vain}, past), ASIDE)
        else:
            killed += 1
            past = past._replace(vain=past.vain + 1)

    assert killed == DELIVERY_LIMIT
    assert past.vain < TRIES


def test_what_is_set_aside_has_no_past() -> None:
    """A broker that finds an old death in it may drop it."""
    past = {"x-delivery-count": 7, "x-death": [{}], "x-first-death-queue": "celery_delayed_0"}

    kept = delayed_headers({**past, "tenant": "risk", QUARANTINES: 9}, Past(7))
    assert kept == {"tenant": "risk", QUARANTINES: 1}


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


@pytest.mark.parametrize(
    ("death", "begun"),
    [
        ({}, True),
        ({"reason": "delivery_limit", "queue": "cancel.desk-1.kill"}, True),
        ({"reason": "rejected", "original-expiration": "50"}, True),
        ({"reason": "expired", "queue": "cancel.desk-1.kill"}, True),
        (
            {"reason": "expired", "queue": "cancel.desk-1.kill", "original-expiration": "50"},
            False,
        ),
        ({"reason": "expired", "queue": "cancel.unrouted"}, False),
    ],
)
def test_what_was_never_begun(death: dict[str, Any], begun: bool) -> None:
    """A policy may have a message expire that a worker has begun; its own expiration cannot."""
    assert may_be_begun({"x-death": [death, {"reason": "expired"}]}) is begun


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


@pytest.mark.parametrize(
    ("error", "before_s", "allowed_s"),
    [
        (
            "PRECONDITION_FAILED - delivery acknowledgement on channel 3 timed out. "
            "Timeout value used: 60000 ms. This timeout value can be configured",
            LONGEST_HOLD_S,
            20.0,
        ),
        ("delivery acknowledgement timed out. Timeout value used: 60000 ms", 10.0, 10.0),
        ("PRECONDITION_FAILED - unknown delivery tag 7", LONGEST_HOLD_S, LONGEST_HOLD_S),
    ],
)
def test_the_broker_says_for_how_long_a_message_may_be_held(
    error: str, before_s: float, allowed_s: float
) -> None:
    assert allowed_hold_s(OSError(error), before_s) == allowed_s


@pytest.mark.parametrize(("quarantined", "hold_s"), [(False, 2.0), (True, 2.0)])
def test_no_message_is_held_for_longer_than_the_broker_allows(
    quarantined: bool, hold_s: float
) -> None:
    assert longest_hold_s(quarantined=quarantined, attempt=1, most_s=2.0) == hold_s
