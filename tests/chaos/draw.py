"""What is drawn for a run: how its venues behave, and what producers do to their jobs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.chaos.checker import FORGED
from venues import all_venues
from worker.contract.job import SENT_BY_HEADER
from worker.jobs.poison import QUARANTINES

#: The venues whose pages leave open how long a page is, and what a list says of itself.
FIRST = ("coinw", "ztdx", "kuna")
#: The share of a lag in a venue's table that there may really be: replies take time, too.
MOST_OF_A_LAG = 0.9
#: Elements of `orders` that name none.
BAD_ELEMENTS: tuple[Any, ...] = (
    *(None, "", True, 3.3308750270880236e16, [], {}, "9" * 101),
    *({"id": None}, {"id": ""}, {"id": {}, "symbol": "BTC"}),
)
#: The id of a task that somebody revoked; of a message that is no task it says nothing.
REVOKED = "revoked"
_DEATH = {"exchange": "cancel.jobs", "queue": "cancel.dead", "count": 99}


def behavior(rng: random.Random, venue: str) -> dict[str, Any]:
    """Return settings of one venue in the sandbox, within what its table says of its lags."""
    table = all_venues()[venue]
    cancel_lag_s = rng.choice((0.0, 0.0, 0.3, 1.0))
    if venue == "binance":  # its cancels are answered by the engine
        cancel_lag_s = 0.0
    most_s = table.read_lag_s * MOST_OF_A_LAG - cancel_lag_s
    drawn: dict[str, tuple[Any, ...]] = {
        "cancel_lag_s": (cancel_lag_s,),
        # Each read by one of two replicas, or all by one that is behind.
        "read_lags_s": ([], [0.0, rng.uniform(0.1, most_s)], [most_s]),
        "record_lag_s": (0.0, rng.uniform(0.2, table.record_lag_s * MOST_OF_A_LAG)),
        "lists_hide_s": (0.0, rng.uniform(0.2, table.hidden_s * MOST_OF_A_LAG)),
    }
    if venue in FIRST:
        drawn |= {"page_rows": (None, 10), "left_out": ([], ["total"])}
        drawn |= {"empty_lists": ("list", "null")}
    return {f"{venue}.{name}": rng.choice(choices) for name, choices in drawn.items()}


def birth_s(rng: random.Random, venue: str) -> float:
    """Return how long after its job an order comes, in seconds."""
    return rng.uniform(0.1, all_venues()[venue].birth_lag_s * MOST_OF_A_LAG)


def with_bad_elements(rng: random.Random, orders: Sequence[Any]) -> list[Any]:
    """Return a job's orders with up to three elements among them that name none."""
    found = list(orders)
    for _ in range(rng.randint(1, 3)):
        found.insert(rng.randint(0, len(found)), rng.choice(BAD_ELEMENTS))
    return found


def forged(rng: random.Random, lanes: Sequence[str]) -> dict[str, Any]:
    """Return headers that only a broker or a worker writes; `lanes` are some routing keys."""
    kinds: Mapping[str, Callable[[], Any]] = {
        "x-delivery-count": lambda: rng.choice((7, 20, -1)),
        "x-acquired-count": lambda: 20,
        QUARANTINES: lambda: 3,
        "x-death": lambda: [_DEATH | {"reason": rng.choice(("delivery_limit", "expired"))}],
        "x-first-death-reason": lambda: "expired",
        "x-last-death-reason": lambda: "delivery_limit",
        SENT_BY_HEADER: lambda: FORGED,
        "id": lambda: REVOKED,
        "x-reason": lambda: FORGED,
        "eta": lambda: "2099-01-01T00:00:00Z",
        "retries": lambda: 99,
        "large": lambda: "x" * rng.choice((1000, 50_000)),
        "nested": lambda: _nested(rng.choice((3, 30))),
        "CC": lambda: [rng.choice(lanes)],
        "BCC": lambda: [rng.choice(lanes)],
    }
    return {name: kinds[name]() for name in rng.sample(sorted(kinds), rng.randint(1, 3))}


def _nested(depth: int) -> Any:
    found: Any = FORGED
    for _ in range(depth):
        found = {"more": [found]}
    return found
