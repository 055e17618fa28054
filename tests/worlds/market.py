"""What the orders of a venue are like, and how its world may behave: words for fakes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

#: Behaviours by name, each with what draws its value.
Ways = dict[str, Callable[[Random], Any]]
#: Of a batch each order is judged by itself; what pages lists is in their behaviours.
JUDGES_EACH = ("spoils", "empty", "page_cap", "oldest_first")
#: An order that fires is another one.
CHILDREN = ("rests", "fills", "refused")


class Market(NamedTuple):
    """What the orders of a venue are like."""

    symbols: tuple[str, str]
    new_id: Callable[[Random], str]
    #: How client order ids look; each with the share of those up to it.
    client_ids: tuple[tuple[float, Callable[[Random], str]], ...] = ()
    #: A client order id may be used again once its order has ended.
    reuses: bool = True
    ends: tuple[str, ...] = ("expire", "reject")
    #: What may become of a fired order; nothing said: it rests under its own id.
    children: tuple[str, ...] = ("", "rests", "fills", "refused")
    #: Behaviours of all venues that this one cannot have.
    never: tuple[str, ...] = ()
    #: What an account may choose.
    chosen: tuple[tuple[str, str], ...] = ()
    #: What this venue alone may do.
    ways: Ways = {}


def new_uuid(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def digits(*lengths: int) -> Callable[[Random], str]:
    def new_id(rng: Random) -> str:
        length = rng.choice(lengths)
        return str(rng.randrange(10 ** (length - 1), 10**length))

    return new_id


def risk_id(rng: Random) -> str:
    return f"risk-{rng.randrange(10**6)}"


def between(low: float, high: float) -> Callable[[Random], float]:
    return lambda rng: round(rng.uniform(low, high), 2)


def one_of(*values: Any) -> Callable[[Random], Any]:
    return lambda rng: rng.choice(values)
