"""The bounds: how fast the venue's own limits let anybody be. Pure."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from venues.coinw import MAX_PAGES, CoinW


class Limits(NamedTuple):
    """How fast a venue lets an account cancel."""

    tokens: int
    window_s: float
    batch: int  # ids in one request
    by_id: bool = False  # each id takes a token; else each request does


#: CoinW's batch cancel, as the sandbox enforces it.
COINW = Limits(tokens=10, window_s=1.0, batch=20)
#: Time from request to response at the sandbox, in seconds.
RTT_S = 0.05
#: How long it takes, in seconds, until absence proves an order gone that nobody saw: it may
#: come late, two lists are read one after the other's lag, and then the record. And the lists.
#: CoinW's page Get Order Information warns that `execute` may show limit orders; the sandbox's
#: does.
LAG_S = CoinW.birth_lag_s + 2 * CoinW.read_lag_s + CoinW.record_lag_s
LONG_LISTS, SHORT_LISTS, CLOSED_LISTS = 2, 3, 2
#: The same of an order that a look-up showed open: missing from the list it was in, once reads
#: are current, and then from the record.
SEEN_LAG_S = CoinW.read_lag_s + CoinW.record_lag_s
#: CoinW's record, as the sandbox enforces it: requests, seconds, rows of one page.
RECORD_LIMIT, RECORD_WINDOW_S, RECORD_ROWS = 5, 2.0, 100


def requests_for(ids: int, limits: Limits = COINW) -> int:
    """Return the fewest cancel requests that carry so many ids."""
    return ceil(ids / limits.batch)


def even_s(ids: int, limits: Limits = COINW) -> float:
    """Return the even-pace bound: one request every W/L seconds, or an id."""
    tokens = limits.batch if limits.by_id else 1
    gap_s = limits.window_s / limits.tokens * tokens
    return RTT_S + (requests_for(ids, limits) - 1) * gap_s


def burst_s(ids: int) -> float:
    """Return the burst bound at CoinW: L requests at once, as often as the window allows."""
    return RTT_S + COINW.window_s * (ceil(requests_for(ids) / COINW.tokens) - 1)


def spent_s(ids: int) -> float:
    """Return the bound of a kill whose account is in full use: one token comes each W/L."""
    return RTT_S + requests_for(ids) * COINW.window_s / COINW.tokens


def proven_s(ids: int) -> float:
    """Return the bound of a kill whose proofs share an account that is in full use.

    A token comes back each W/L from when the kill comes. Two of CoinW's lists of open orders
    are too long then to be read whole, so they are asked by id; the others, once each; and the
    two of closed orders after that. Absence is proven when the venue's lags are over.
    """
    lookups = LONG_LISTS * requests_for(ids) + SHORT_LISTS
    in_turn = (lookups - 1) * COINW.window_s / COINW.tokens + RTT_S
    return in_turn + LAG_S + CLOSED_LISTS * RTT_S


def last_proof_s(cancel_s: float, on_record: int = 0) -> float:
    """Return the bound from the last cancel's response to the last id's final status.

    A look-up can have shown the orders open before they were canceled. Then one list of open
    orders is asked after the read lag, and the record after its own. A record that has a row of
    each order canceled (`on_record` of them) is read page by page from the first cancel on;
    what its quota does not let through in the `cancel_s` until the last one comes on top.
    """
    rounds = ceil(ceil(on_record / RECORD_ROWS) / RECORD_LIMIT)
    reading_s = RECORD_WINDOW_S * max(0, rounds - 1)
    return SEEN_LAG_S + 2 * RTT_S + max(0.0, reading_s - cancel_s)


def last_look_s(cancel_s: float) -> float:
    """Return the same bound of ids that the record does not name in the pages that are read.

    They are read once after the last order is found missing, as many as are read of it.
    """
    reading_s = RECORD_WINDOW_S * (ceil(MAX_PAGES / RECORD_LIMIT) - 1)
    return last_proof_s(cancel_s) + reading_s


def percentile(values: list[float], percent: float) -> float:
    """Return the value that so many percent do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, ceil(len(ranked) * percent / 100) - 1)]
