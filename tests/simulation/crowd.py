"""Scenarios of lanes at one address: some with a backlog, others that begin with few ids."""

from __future__ import annotations

from random import Random

from tests.simulation.book import SimOrder
from tests.simulation.meters import Kind
from tests.simulation.scenario import CALM_DEADLINE_S, START_S, Scenario, SimJob
from tests.simulation.toys import TOY_QUOTAS, Boast, Hasty, Mute, Plain
from venues.base import Quota
from venues.words import IdKind, OrderRef, OrdStatus, OrdType

#: The others begin within so many seconds, half as long again as the window of the address.
BEGIN_S = 15.0
#: What an address allows, in 10 s. Where an account alone may not use it up (`TOY_QUOTAS`),
#: a kill that begins finds a token as a routine id does.
ADDRESS_LIMIT = 75


def draw_crowd(seed: int) -> Scenario:
    """Return the scenario of a seed: no faults, and time for everything."""
    rng = Random(seed)
    venue = rng.choice((Plain(), Mute(), Hasty(), Boast()))
    busy, begin = rng.choice(((1, 2), (2, 1), (2, 2), (2, 4), (3, 3)))
    jobs: list[SimJob] = []
    orders: list[SimOrder] = []
    for number in range(busy + begin):
        backlog = number < busy
        count = rng.choice((60, 200, 400)) if backlog else rng.choice((1, 1, 1, 2))
        some = [_order(f"o{number}{k:04}") for k in range(count)]
        orders += some
        refs = tuple(OrderRef(o.id, o.kind, o.symbol, o.ord_type) for o in some)
        arrives = START_S + rng.uniform(0.0, 3.0 if backlog else BEGIN_S)
        kill = rng.random() < (0.25 if backlog else 0.5)
        size = rng.choice((1, 7, len(refs)))
        jobs += [
            SimJob(
                f"job-{number}-{first}",
                f"desk-{number}",
                arrives,
                kill,
                arrives + CALM_DEADLINE_S,
                refs[first : first + size],
            )
            for first in range(0, len(refs), size)
        ]
    quotas = {**TOY_QUOTAS, "address": Quota(ADDRESS_LIMIT, 10.0, "address")}
    rtt_s = rng.uniform(0.005, 0.2)
    return Scenario(
        seed=seed,
        calm=False,
        venue=venue,
        verify=False,
        quotas=quotas,
        kinds={name: rng.choice([*Kind]) for name in quotas},
        accounts=tuple(f"desk-{number}" for number in range(busy + begin)),
        rtt_s=(rtt_s * 0.5, rtt_s),
        timeout_s=5.0,
        effect_s=0.0,
        read_lag_s=0.0,
        record_lag_s=0.0,
        faults={},
        orders=tuple(orders),
        bad_ids=frozenset(),
        jobs=tuple(jobs),
        probes=tuple(START_S + rng.uniform(0, BEGIN_S) for _ in range(30)),
    )


def _order(name: str) -> SimOrder:
    return SimOrder(
        id=name,
        kind=IdKind.VENUE,
        symbol="AAA",
        ord_type=OrdType.LIMIT,
        traded=False,
        ending=OrdStatus.FILLED,
    )
