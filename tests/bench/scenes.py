"""The scenes that a lane rehearses: how long each may take, and with how many requests.

Each says what it is there for: without that rule of the lane it takes longer, or more requests.
Not here is that lanes under way leave the processor to lanes that begin, as that is worth
something only where threads share real processors (`python -m tests.bench --only many`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.bounds import burst_s
from venues.base import Quota, Venue
from venues.coinw import CoinW
from venues.words import OrdType
from venues.ztdx import Ztdx
from worker.pacing.pace import NEVER

_COINW, _ZTDX = CoinW(), Ztdx()
#: As in the bench: without the thresholds of a ban, which a day's traffic must not reach.
_QUOTAS = {n: q for n, q in _COINW.quotas.items() if n not in ("escalation", "address")}
#: Longer than any list that is read: what `open_market` shows, `open_limit` shows, too.
_LONG_LISTS = frozenset({"open_limit", "open_market"})
_BACKLOG = 50_000
#: A tenth more than nobody can be faster than with 3,000 ids, in seconds.
KILL_S = 1.1 * burst_s(3000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The ids of one message, and how soon they leave and are final; all in seconds."""

    ids: int
    kill: bool = False
    comes_s: tuple[float, float] = (0.0, 0.0)  # after the start, drawn from this range
    after_last: bool = False  # or after the end of the job before
    stated: OrdType = OrdType.LIMIT
    first_s: float = 0.0  # its first cancel leaves within
    canceled_s: float = 0.0  # its last
    final_s: float = 0.0  # its last id is final within


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a venue that lists canceled orders, too, shows of what is over."""

    old_rows: int  # ended before
    #: By what it is sorted, newest first: the end of an order, or its making; the old ones were
    #: made after those of the scene.
    by_end: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What happens to one account, or to several of one process, and how well it goes."""

    name: str
    jobs: tuple[Job, ...] = ()
    singles: int = 0  # jobs of one id each, that come as fast as a worker reads them
    kill: bool = False  # the single ones are kills
    held: int = 1100  # single ids that a worker holds of one account
    read_per_s: int = 600  # and how many it reads in a second
    read_late_s: float = 0.0  # so long after their messages came, while others wait
    record: Record | None = None  # None: it forgets what is canceled
    venue: Venue = _COINW
    quotas: Mapping[str, Quota] = field(default_factory=lambda: _QUOTAS)
    long_lists: frozenset[str] = frozenset()  # their bodies are longer than what is read
    long_until_s: float = NEVER
    accounts: int = 1
    cpu_s: float = 0.0  # of a processor that all accounts share, for a request or an answer
    canceled_s: float = NEVER  # the last cancel of a single id leaves within
    cancels: int = 1 << 30  # at most
    over_s: float  # all is over within
    requests: int  # at most


SCENES = (
    Scene(  # kills gather, are counted by list, and take first what proves most
        name="kills into a backlog",
        jobs=(
            Job(
                ids=200,
                kill=True,
                comes_s=(2.2, 3.4),
                first_s=0.02,
                canceled_s=1.1,
                final_s=12.7,
            ),
            Job(
                ids=200,
                kill=True,
                comes_s=(0.01, 0.01),
                after_last=True,
                canceled_s=0.9,
                final_s=12.85,
            ),
        ),
        singles=_BACKLOG,
        long_lists=_LONG_LISTS,
        over_s=27.7,
        requests=310,
    ),
    Scene(  # the second kill's look-ups go with the first one's
        name="two kills half a second apart",
        jobs=(
            Job(ids=200, kill=True, comes_s=(2.5, 2.5), canceled_s=1.05, final_s=12.6),
            Job(ids=200, kill=True, comes_s=(3.0, 3.0), canceled_s=1.6, final_s=12.15),
        ),
        singles=_BACKLOG,
        long_lists=_LONG_LISTS,
        over_s=15.2,
        requests=208,
    ),
    Scene(  # kills wait at a list for those of one burst of cancels
        name="a kill of 200",
        jobs=(Job(ids=200, kill=True, canceled_s=0.01, final_s=10.4),),
        over_s=10.4,
        requests=19,
    ),
    Scene(  # ids are looked for while they wait for a token
        name="a kill of 1,000",
        jobs=(Job(ids=1000, kill=True, canceled_s=4.25, final_s=10.4),),
        over_s=10.4,
        requests=74,
    ),
    Scene(  # routine's look-ups wait for the kill, whose first id goes by a route of its own
        name="a kill beside a job",
        jobs=(
            Job(ids=1000, canceled_s=6.2, final_s=12.5),
            Job(
                ids=200,
                kill=True,
                comes_s=(0.8, 2.4),
                first_s=0.06,
                canceled_s=1.1,
                final_s=11.4,
            ),
        ),
        over_s=13.0,
        requests=116,
    ),
    Scene(  # whole lists in place of ids
        name="a job of 1,000",
        jobs=(Job(ids=1000, canceled_s=5.15, final_s=10.95),),
        over_s=10.95,
        requests=103,
    ),
    Scene(  # and the same for jobs of one id, of which most wait for others
        name="1,000 jobs of one id", singles=1000, over_s=10.95, requests=121
    ),
    Scene(  # where the worker reads late, routine ids wait for those that it has in its hands
        name="accounts with jobs of one id",
        singles=200,
        read_per_s=80,
        read_late_s=0.3,
        canceled_s=2.8,
        cancels=11,
        over_s=8.6,
        requests=44,
    ),
    Scene(  # a list that was too long is tried again, after a pause that grows
        name="lists too long at first",
        jobs=(Job(ids=1500, canceled_s=8.1, final_s=14.0),),
        long_lists=frozenset(r.name for r in _COINW.routes if r.list_all_ids),
        long_until_s=3.0,
        over_s=14.0,
        requests=180,
    ),
    Scene(  # where tokens come back slowly, kills wait for all kills of the lane
        name="slow look-ups",
        jobs=(
            Job(ids=100, kill=True, canceled_s=0.01, final_s=10.9),
            Job(ids=60, kill=True, comes_s=(0.1, 0.5), canceled_s=0.01, final_s=14.4),
        ),
        quotas=_QUOTAS | {"lookup": Quota(5, 2.0)},
        over_s=14.6,
        requests=31,
    ),
    Scene(  # look-ups become due on a grid, as no quota gathers them
        name="no quotas", singles=1000, quotas={}, over_s=7.4, requests=164
    ),
    Scene(  # look-ups by id, one each
        name="a venue that keeps records",
        jobs=(Job(ids=20, kill=True, comes_s=(1.2, 2.4), canceled_s=0.45, final_s=4.8),),
        singles=_BACKLOG,
        venue=_ZTDX,
        quotas=_ZTDX.quotas,
        over_s=7.2,
        requests=35,
    ),
    Scene(  # every list may show an order whose type nobody stated
        name="types that nobody stated",
        jobs=(Job(ids=200, kill=True, stated=OrdType.ANY, canceled_s=0.01, final_s=12.7),),
        over_s=12.7,
        requests=46,
    ),
    Scene(  # few ids at a list of their own are not put off for many for ever
        name="a rare type beside a backlog",
        jobs=(Job(ids=3, stated=OrdType.TRAILING_STOP, comes_s=(2.0, 3.0), final_s=15.5),),
        singles=_BACKLOG,
        over_s=17.6,
        requests=330,
    ),
    Scene(  # look-ups leave a short processor to cancels, and late starts are made up for
        name="accounts that begin",
        jobs=(Job(ids=200, comes_s=(0.0, 1.0), canceled_s=1.3, final_s=7.5),),
        accounts=12,
        cpu_s=0.006,
        over_s=8.1,
        requests=295,
    ),
    Scene(  # a record's newest rows are read while the cancels leave, between their bursts
        name="a kill of 3,000 jobs, a long record",
        singles=3000,
        kill=True,
        held=3000,
        read_per_s=10_000,
        record=Record(old_rows=5000),
        canceled_s=KILL_S,
        cancels=155,
        over_s=16.2,
        requests=232,
    ),
    Scene(  # those who come while it is read join those who read it
        name="the same, the newest rows are others",
        singles=3000,
        kill=True,
        held=3000,
        read_per_s=10_000,
        record=Record(old_rows=5000, by_end=False),
        canceled_s=KILL_S,
        cancels=155,
        over_s=31.5,
        requests=304,
    ),
)
