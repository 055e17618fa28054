"""The bounds: how fast the venue's own limits let anybody be. Pure."""

from __future__ import annotations

from math import ceil

#: CoinW's batch cancel, as the sandbox enforces it: requests, seconds, ids in one request.
LIMIT, WINDOW_S, BATCH = 10, 1.0, 20
#: Time from request to response at the sandbox, in seconds.
RTT_S = 0.05


def requests_for(ids: int) -> int:
    """Return the fewest cancel requests that carry so many ids."""
    return ceil(ids / BATCH)


def even_s(ids: int) -> float:
    """Return the even-pace bound: one request every W/L seconds."""
    return RTT_S + (requests_for(ids) - 1) * WINDOW_S / LIMIT


def burst_s(ids: int) -> float:
    """Return the burst bound: L requests at once, as often as the window allows."""
    return RTT_S + WINDOW_S * (ceil(requests_for(ids) / LIMIT) - 1)


def percentile(values: list[float], percent: float) -> float:
    """Return the value that so many percent do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, ceil(len(ranked) * percent / 100) - 1)]
