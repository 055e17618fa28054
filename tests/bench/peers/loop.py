"""A loop over chunks of twenty with a sleep of a tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.bench.peers.call import Throttled, cancel

CHUNK = 20
SLEEP_S = 0.1


def cancel_orders(base_url: str, key: str, secret: str, orders: Sequence[str]) -> None:
    """Cancel all orders, chunk by chunk."""
    for at in range(0, len(orders), CHUNK):
        body = {"posType": "plan", "sourceIds": orders[at : at + CHUNK]}
        try:
            cancel(base_url, key, secret, "/v1/perpum/batchOrders", body)
        except Throttled:
            time.sleep(1)
            cancel(base_url, key, secret, "/v1/perpum/batchOrders", body)
        time.sleep(SLEEP_S)
