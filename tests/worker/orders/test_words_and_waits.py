"""The exact sentences of a refusal, and the exact bounds of a wait."""

from __future__ import annotations

import random

import pytest

from venues import all_venues
from worker.orders.plan import Refusal, Words, name_order
from worker.orders.retry import LONGEST_BACKOFF_S, backoff_s

KUNA, ZTDX = all_venues()["kuna"], all_venues()["ztdx"]
UUID = "3fa42833-9508-4061-8d80-b68563dcd521"


class Longest(random.Random):
    """Dice that always fall on the highest number."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(
    ("attempt", "most_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (5000, 30.0)]
)
def test_a_wait_doubles_up_to_its_bound(attempt: int, most_s: float) -> None:
    assert backoff_s(attempt, 0.5, Longest()) == most_s
    assert most_s <= LONGEST_BACKOFF_S


@pytest.mark.parametrize(
    ("order_id", "words", "kind", "text"),
    [
        (
            UUID,
            (None, "stop", ""),
            "",
            "'stop' is none of any, limit, market, trigger, trailing_stop, tp_sl",
        ),
        (
            UUID,
            ("own", "any", ""),
            "own",
            "'own' is not venue_order_id or client_order_id",
        ),
        (
            "risk-42",
            ("client_order_id", "any", ""),
            "client_order_id",
            "kuna cancels no order by a client order id "
            "(the id that the trader gave the order)",
        ),
        (
            "x" * 60,
            (None, "any", ""),
            "",
            f"'{'x' * 60}' has the shape of no order id at kuna",
        ),
        (
            "x" * 61,
            (None, "any", ""),
            "",
            f"'{'x' * 60}…' has the shape of no order id at kuna",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(
    order_id: str, words: Words, kind: str, text: str
) -> None:
    refused = name_order(KUNA, order_id, words)

    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.text) == (kind, text)
