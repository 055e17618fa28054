"""What one seed means: the venue, its limits, its faults, the jobs and who works on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from tests.simulation.book import NEVER, SimOrder
from tests.simulation.meters import Kind
from tests.simulation.toys import Boast, Hasty, Metered, Mute, Plain, Toy
from venues import all_venues
from venues.base import Quota, Venue
from venues.words import IdKind, OrderRef, OrdStatus, OrdType, Purpose

TOYS: tuple[Venue, ...] = (Plain(), Mute(), Hasty(), Boast())
REAL: tuple[str, ...] = ("coinw", "kuna", "ztdx")
#: Venues that only seeds of their own are played at.
APART: Mapping[str, Venue] = {"metered": Metered(), "binance": all_venues()["binance"]}
#: Where the clock starts: not at zero, which means "long ago" to a track.
START_S = 1000.0
#: How much of the lags that a venue's table admits there really is.
SHARES_OF_A_LAG = (0.0, 0.05, 0.5, 0.99)
#: Rows of the record that are of other orders: none, some pages, or more than is read of it.
OLD_ROWS = (0, 0, 0, 45, 700)
#: A calm job has all the time that it needs.
CALM_DEADLINE_S = 3600.0


class Fault(StrEnum):
    """What may befall one request; `NONE` is the rest."""

    NONE = "none"
    NOT_SENT = "not_sent"
    LOST = "lost"  # reset or time-out before the venue saw it
    UNANSWERED = "unanswered"  # had its effect, and no reply came
    THROTTLED = "throttled"
    BANNED = "banned"
    ERROR = "error"  # HTTP 5xx, nothing done
    ERROR_AFTER = "error_after"  # HTTP 5xx after the effect
    PAGE = "page"  # HTML of a gateway, with HTTP 200
    DOWN = "down"  # maintenance, in the venue's own words (toys only)
    LIE = "lie"  # success that did not happen, where a success is not believed
    SILENT = "silent"  # some ids are missing from the answer
    HALT = "halt"  # the key is refused, in the venue's own words (toys only)
    BARRED = "barred"  # HTML of a gateway, with HTTP 401 or 403


class Ending(StrEnum):
    """How the first worker leaves its lanes to the second."""

    KILLED = "killed"
    STOPPED = "stopped"
    DISOWNED = "disowned"


@dataclass(frozen=True, slots=True)
class SimJob:
    """One message of a producer."""

    job_id: str
    account: str
    arrives: float
    kill: bool
    deadline: float
    refs: tuple[OrderRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a venue keeps of orders that are over, and in which order, where it keeps a list."""

    old_rows: int = 0  # of other orders, that ended long ago
    #: By the end of the order, newest first; or else by its making, and the old ones are newer.
    by_end: bool = True
    keeps_all: bool = False  # canceled orders that never traded, too
    page_rows: int = 100  # a page has no more, whatever is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a run needs to know."""

    seed: int
    calm: bool  # no faults, one job an account: the bound is measured
    venue: Venue
    verify: bool
    quotas: Mapping[str, Quota]
    kinds: Mapping[str, Kind]
    accounts: tuple[str, ...]
    rtt_s: tuple[float, float]
    timeout_s: float
    effect_s: float  # how long an accepted cancel may take to have its effect
    read_lag_s: float  # how far a read is behind at most, each by another lag
    record_lag_s: float  # for how long the record lacks what has ended
    faults: Mapping[Fault, float]
    orders: tuple[SimOrder, ...]
    bad_ids: frozenset[str]
    jobs: tuple[SimJob, ...]
    hand_over: tuple[float, float, Ending] | None = None  # when it ends, when the next starts
    probes: tuple[float, ...] = field(default=())
    late: tuple[float, ...] = field(default=())  # when a cancel of some lane leaves late
    record: Record = field(default_factory=Record)
    odd: bool = (
        False  # producers err and forge, and the venue echoes keys (letters.py, echo.py)
    )
    rounded: frozenset[str] = frozenset()  # ids that their producer may have rounded


def draw(seed: int, at: str = "") -> Scenario:
    """Return the scenario of a seed; `at`: at this venue of those apart."""
    rng = Random(seed)
    calm = rng.random() < 0.2
    real = [all_venues()[name] for name in REAL]
    venue = rng.choice([*TOYS, *TOYS, *real])
    venue = APART.get(at, venue)
    quotas = _quotas(venue, rng)
    accounts = tuple(f"desk-{k}" for k in range(1, rng.choice((1, 1, 2, 3)) + 1))
    slowest = rng.uniform(0.005, 0.3)
    rtt_s = (rng.uniform(0.005, slowest) if rng.random() < 0.7 else slowest * 0.9, slowest)
    orders, refs = _orders(venue, calm, rng)
    jobs = _calm_jobs(accounts, refs, rng) if calm else _jobs(accounts, refs, rng)
    if not calm:
        _be_odd(orders, refs, jobs, venue, rng)
    return Scenario(
        seed=seed,
        calm=calm,
        venue=venue,
        verify=not calm and rng.random() < 0.2,
        quotas=quotas,
        kinds={name: rng.choice([*Kind]) for name in quotas},
        accounts=accounts,
        rtt_s=rtt_s,
        timeout_s=rng.choice((0.5, 1.0, 5.0)),
        effect_s=0.0 if calm else rng.choice((0.0, 0.0, 0.2, 1.5)),
        # What a stale read shows open is sent again, which the bound does not know of.
        read_lag_s=0.0 if calm else venue.read_lag_s * rng.choice(SHARES_OF_A_LAG),
        record_lag_s=venue.record_lag_s * rng.choice(SHARES_OF_A_LAG),
        faults={} if calm else _faults(rng),
        orders=tuple(orders),
        bad_ids=frozenset() if calm else _bad_ids(refs, rng),
        jobs=jobs,
        hand_over=None if calm else _hand_over(rng),
        probes=tuple(START_S + rng.uniform(0, 8) for _ in range(15)),
        late=tuple(START_S + rng.uniform(0, 8) for _ in range(rng.choice((0, 0, 3, 15)))),
        record=_record(rng),
    )


def _record(rng: Random) -> Record:
    return Record(
        old_rows=rng.choice(OLD_ROWS),
        by_end=rng.random() < 0.5,
        keeps_all=rng.random() < 0.3,
        page_rows=rng.choice((100, 20, 10)),
    )


def _quotas(venue: Venue, rng: Random) -> dict[str, Quota]:
    if not isinstance(venue, Toy) and rng.random() < 0.5:
        return dict(venue.quotas)
    return {
        name: _enough(_quota(venue.quotas[name], rng), name, venue)
        for name in venue.quotas
        if name not in ("escalation", "address") or rng.random() < 0.4
    }


def _enough(quota: Quota, name: str, venue: Venue) -> Quota:
    """Return a quota that holds some of the dearest requests, as lanes share it in turns."""
    dearest = max(
        route.tokens(name, route.max_ids if route.cost_of(name).per_request else 1)
        for route in venue.routes
        if name in route.quotas
    )
    return replace(quota, limit=max(quota.limit, 4 * dearest)) if dearest > 1 else quota


def _quota(usual: Quota, rng: Random) -> Quota:
    if usual.window_s > 2.0:
        return Quota(rng.randint(12, 60), rng.choice((5.0, 10.0)), usual.scope)
    return Quota(rng.randint(1, 12), rng.choice((0.5, 1.0, 2.0)), usual.scope)


def _faults(rng: Random) -> dict[Fault, float]:
    """Return the share of requests that each fault befalls: some kinds, rarely or often."""
    level = rng.choice((0.0, 0.02, 0.08, 0.25))
    rare = {Fault.BANNED: 0.1, Fault.HALT: 0.2}
    kinds = rng.sample([*Fault][1:], rng.randint(1, 5))
    return {kind: level * rng.random() * rare.get(kind, 1.0) for kind in kinds}


def _bad_ids(refs: list[OrderRef], rng: Random) -> frozenset[str]:
    """Return ids that the venue refuses, with all that travel with them (toys only)."""
    few = rng.choice((0, 0, 0, 2))
    return frozenset(ref.id for ref in rng.sample(refs, min(few, len(refs))))


def _orders(venue: Venue, calm: bool, rng: Random) -> tuple[list[SimOrder], list[OrderRef]]:
    count = rng.choice((1, 5, 20, 60, 150))
    if calm:
        count = rng.choice((1, 20, 100, 300))
    orders: list[SimOrder] = []
    refs: list[OrderRef] = []
    types = _types(venue)
    cancels = [route for route in venue.routes if route.purpose is Purpose.CANCEL]
    says_symbol = all(r.needs_symbol for r in cancels) or calm or rng.random() < 0.7
    for number in range(1, count + 1):
        order = _order(venue, number, types, calm, rng)
        stated = order.ord_type if rng.random() < 0.5 else OrdType.ANY
        if not calm and rng.random() < 0.05:
            stated = rng.choice(types)
        symbol = order.symbol if says_symbol or rng.random() < 0.5 else ""
        refs.append(OrderRef(order.id, order.kind, symbol, stated))
        if calm or rng.random() > 0.06:
            orders.append(order)
    return orders, refs


def _types(venue: Venue) -> list[OrdType]:
    shown = [route.ord_types for route in venue.routes if route.name.startswith("open_")]
    usual = [OrdType.LIMIT, OrdType.LIMIT, OrdType.MARKET]
    return usual + ([OrdType.TRAILING_STOP] if shown else [OrdType.TRIGGER])


def _order(
    venue: Venue, number: int, types: list[OrdType], calm: bool, rng: Random
) -> SimOrder:
    kinds = {kind for route in venue.routes for kind in route.id_kinds}
    kind = IdKind.CLIENT if IdKind.CLIENT in kinds and rng.random() < 0.2 else IdKind.VENUE
    order = SimOrder(
        id=_id(venue, number, kind),
        kind=kind,
        symbol=rng.choice(("AAA", "AAA", "BBB")),
        ord_type=rng.choice(types),
        traded=rng.random() < 0.2,
        ending=rng.choice((OrdStatus.FILLED, OrdStatus.FILLED, OrdStatus.EXPIRED)),
    )
    if not calm and rng.random() < 0.3:
        order.ends_at = START_S + rng.uniform(-5.0, 8.0)
    if not calm and rng.random() < 0.05:
        order.canceled_at, order.ends_at = START_S - 1, NEVER
    return order


def _be_odd(
    orders: list[SimOrder],
    refs: list[OrderRef],
    jobs: tuple[SimJob, ...],
    venue: Venue,
    rng: Random,
) -> None:
    """Let orders come after their job, hide for a while, and bear the id of an older one."""
    late, hides, reused = (share * rng.random() for share in (0.3, 0.2, 0.6))
    stated = {(ref.kind, ref.id): ref.ord_type for ref in refs}
    named = {(ref.kind, ref.id): job for job in jobs for ref in job.refs}
    for order in tuple(orders):
        key = order.kind, order.id
        if order.kind is IdKind.CLIENT and rng.random() < reused:
            orders.append(_older(order, rng))
        if key in named and order.canceled_at == NEVER and rng.random() < late:
            order.born_at = named[key].arrives + rng.uniform(0.2, 0.97) * venue.birth_lag_s
            if order.ends_at < order.born_at:
                order.ends_at = order.born_at + rng.uniform(0.05, 4.0)
        elif stated[key] in (OrdType.ANY, order.ord_type) and rng.random() < hides:
            begins = START_S + rng.uniform(0.0, 8.0)
            order.hidden = begins, begins + rng.uniform(0.3, 0.97) * venue.hidden_s


def _older(order: SimOrder, rng: Random) -> SimOrder:
    """Return an order that ended before, and whose client order id another one bears now."""
    ended_at = START_S - rng.uniform(1.0, 100.0)
    order.born_at = ended_at
    return replace(order, born_at=-NEVER, ends_at=ended_at, canceled_at=NEVER)


def _id(venue: Venue, number: int, kind: IdKind) -> str:
    if isinstance(venue, Toy):
        return f"{'c' if kind is IdKind.CLIENT else 'o'}{number}"
    if kind is IdKind.CLIENT:
        return f"mine-{number}"
    return f"{number:08x}-0000-4000-8000-000000000000" if venue.name == "kuna" else str(number)


def _jobs(accounts: tuple[str, ...], refs: list[OrderRef], rng: Random) -> tuple[SimJob, ...]:
    """Return jobs over time; an id belongs to one account, and may be in several jobs."""
    jobs: list[SimJob] = []
    for place, account in enumerate(accounts):
        own = refs[place :: len(accounts)]
        for _ in range(rng.randint(1, 6) if own else 0):
            arrives = START_S + rng.choice((0.0, rng.uniform(0, 5)))
            most = rng.choice((1, 3, len(own)))
            chosen = tuple(rng.sample(own, rng.randint(1, min(most, len(own)))))
            jobs.append(_job(len(jobs), account, arrives, rng.random() < 0.3, chosen, rng))
    return tuple(jobs)


def _job(
    number: int,
    account: str,
    arrives: float,
    kill: bool,
    refs: tuple[OrderRef, ...],
    rng: Random,
) -> SimJob:
    deadline = arrives + rng.choice((2.0, 10.0, 40.0, 120.0))
    return SimJob(f"job-{number}", account, arrives, kill, deadline, refs)


def _calm_jobs(
    accounts: tuple[str, ...], refs: list[OrderRef], rng: Random
) -> tuple[SimJob, ...]:
    kill = rng.random() < 0.5
    split = {name: tuple(refs[k :: len(accounts)]) for k, name in enumerate(accounts)}
    return tuple(
        SimJob(f"job-{name}", name, START_S, kill, START_S + CALM_DEADLINE_S, own)
        for name, own in split.items()
        if own
    )


def _hand_over(rng: Random) -> tuple[float, float, Ending] | None:
    if rng.random() < 0.7:
        return None
    ends = START_S + rng.uniform(0.1, 6)
    return ends, ends + rng.uniform(0.12, 1.5), rng.choice([*Ending])
