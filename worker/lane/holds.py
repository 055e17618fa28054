"""Every reason why a request that could leave waits, and which of those that may goes first.

A request could leave once its ids' time has come, the account is not paused, and each of its
quotas has a token for it (`worker.pacing`). It still waits, because of others:

| what waits               | for whom                       | until               | at most |
|--------------------------|--------------------------------|---------------------|---------|
| kill's look-up           | kills that need this list next | they are here (*)   | 1 s     |
| the same, slow tokens    | all kills of the lane          | they are here (*)   | 2 s     |
| look-up before a cancel  | kills' look-ups to come        | each has a token    | -       |
| routine confirmation,    | others of the lane             | they are here       | 1 s     |
| list of dear tokens (++) |                                |                     |         |
| routine confirmation     | kills of the lane              | none is left        | 3 s     |
| routine confirmation     | late cancels of the process    | 1 s without one     | 3 s     |
| routine look-up to come  | others of its burst            | a tick of the clock | 250 ms  |
| first page of a record   | others who read it (****)      | their next page     | 1 s     |
| routine cancel, not      | jobs of the lane that follow,  | it is full          | 500 ms  |
| full, and look before it | while jobs come late (*****)   |                     |         |
| full routine cancel (**) | lanes that have just begun     | they have caught up | (***)   |
| kill's cancel, not full  | kills that keep coming (+)     | it is full          | 250 ms  |
| kill's last few, alone   | kills that keep coming         | more are here       | 100 ms  |
| routine cancel, and the  | whoever paused the account     | it is resumed       | -       |
| look-up before it        | (`cancel-worker pause`)        |                     |         |

A kill's cancel that is not full waits where one left less than 100 ms ago, or its job is one
of several small ones; never for others of its own job. A confirmation is a look-up after a
cancel. (*) Or half of the tokens are free; but at least 50 ms where tokens are not slow.
(**) While cancels leave late. (***) As long as its lane can make up for it
(docs/decisions/0013). (****) It goes with that page, and later reads what is above it
(docs/decisions/0034), which itself waits from when the first came that goes with it; 1 s is
for a page that is under way. A look-up before a cancel needs no
bound: the kills' look-ups end, and its cancel could not leave before the kills' cancels. Of a
paused account the job's deadline is the bound (docs/decisions/0044). (*****) Or may follow, as
some did within the last second; a cancel waits for those that are looked for, too
(docs/decisions/0047, 0058). (+) Where the worker has no more in its hands, 20 ms if it is for
one id, else 50 ms after the last of them; 100 ms at most (docs/decisions/0057). (++) Of a long
window, which gives many requests at once and then none for a minute, where all ids of the lane
could use them up; a kill's look-up there waits so long, too, however many tokens are free
(docs/decisions/0060).

Each rule is there for a scene of `tests/bench/scenes.py` that takes too long, or too many
requests, without it (`tests/simulation/test_rehearsal.py`):

| without                                 | fails                                            |
|-----------------------------------------|--------------------------------------------------|
| kills wait for each other               | kills into a backlog (13.6 s), a kill of 200     |
| ... for at least 50 ms                  | a kill of 200 (27 requests for 19)               |
| ... with slow tokens, for all           | kills into a backlog (13.5 s), two kills         |
| tokens left to kills' look-ups to come  | kills into a backlog (402 requests for 310)      |
| routine waits while kills are there     | a kill beside a job (127 requests for 116)       |
| routine waits while cancels are late    | none since look-ups wait for the venue's lags    |
| the tick                                | no quotas (407 requests for 164)                 |
| those who begin join others at a record | the same kill, the newest rows are others        |
| `priority`: the most ids first          | kills into a backlog (12.7 s)                    |
| `priority`: an aged confirmation first  | a rare type beside a backlog (295 s)             |
| lanes that have just begun              | `python -m tests.bench --only 40x500`, as it is  |
|                                         | worth something only on real processors          |
| jobs that were read late, and follow    | accounts with jobs of one id                     |
| a kill's cancel that is not full        | a kill as 3,000 jobs of one id                   |
| a kill's last few, before they go alone | none; `tests/worker/lane/test_lane.py`           |
| a pause holds what is routine           | none; `tests/worker/lane/test_lane.py`           |
| ids of a lane at a list of dear tokens  | none; a hunt of worlds (docs/decisions/0060)     |
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from venues.base import ENDED_STAGE, Batch, Route, Venue
from worker.lane.entry import Entry, Group, is_awaited, is_lookup
from worker.lane.submission import Submission
from worker.orders.follow import next_route
from worker.orders.progress import MOST_REMEMBERED, OrderProgress, Phase
from worker.orders.routes import batch_key, lookup_routes
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER

# All in seconds.
#: Kills wait for each other at a list for at most this long.
GATHER_S = 1.0
#: The same where tokens come back slowly.
SLOW_GATHER_S = 2.0
#: A kill's cancel for one id, of a stream of kills, waits for more so long after it came.
STREAM_S = 0.02
#: Kills that come this soon after a kill's cancel left are of a stream; and no kill's cancel
#: waits for others for longer,
STREAM_GAP_S = 0.1
#: but for those of its lane that the worker has in its hands already: so long at most.
IN_HAND_S = 0.25
#: Kills wait for each other for at least this long: a burst of cancels ends within it. So do
#: several of a stream that do not fill their cancel, from when the last of them came.
BURST_S = 0.05
#: So often an id may be looked for in lists: two of them, twice each, as an id of two kinds.
READS_OF_AN_ID = 8
#: A routine confirmation waits for kills, or for late cancels, for at most this long.
YIELD_S = 3.0
#: A cancel that leaves this much later than it could is late.
LATE_S = 0.01
#: Routine confirmations of the process wait for this long after a late cancel.
BUSY_S = 1.0
#: A job that came to its lane so long after its message was read, and that others of it follow,
#: says that the worker does not keep up, for `BUSY_S`. Fifty messages are read within it.
BEHIND_S = 0.01
#: While it does not, routine ids that do not fill a request wait for others of their lane at
#: most this long at each step; and at most `FILL_GAP_S` after the last one where the worker has
#: no more of them in its hands, nor looks for some: the broker hands messages over in bursts.
FILL_S = 0.5
FILL_GAP_S = 0.25
#: A cancel that waits for lanes that begin asks this often whether it still has to.
ASK_AGAIN_S = 0.05
#: Routine look-ups whose time is to come become due on a grid of this width; those that wait
#: out a lag of the venue on a coarser one, so that one list answers for several cancels.
TICK_S = 0.05
LAG_TICK_S = 0.25
#: A confirmation that has waited for this long goes before those for more ids.
AGED_S = 2.0

BEFORE_A_CANCEL = frozenset({Phase.PRECHECK, Phase.CANCEL})


def is_held_by_pause(progress: OrderProgress, *, kill: bool) -> bool:
    """Say whether an id waits while its account is paused; one that was sent is looked up."""
    return not kill and progress.phase in BEFORE_A_CANCEL


#: A list: its route, and what those who are looked for in it share.
ListKey = tuple[str, tuple[str, ...]]


def list_key(batch: Batch) -> ListKey:
    """Return which list a request reads."""
    return batch.route.name, batch_key(batch.route, batch.refs[0])


#: Sorts groups; see `priority`.
PriorityKey = tuple[bool, bool, bool, bool, float, int]


def priority(group: Group, head: Entry, now: float) -> PriorityKey:
    """Return the place of a group among the others: kill, then cancel, then the oldest.

    A kill's id that was sent before and goes alone now comes after other kills' cancels.
    Of confirmations those for the most ids come first, as one request for a whole list proves
    many ids as well as few; an aged one comes before them.
    """
    lookup = is_lookup(group.route)
    alone_again = head.kill and group.route.max_ids == 1 and head.progress.attempts > 0
    confirms = lookup and head.progress.phase is not Phase.PRECHECK
    by_size = confirms and now - head.since < AGED_S
    return (
        not head.kill,
        lookup,
        alone_again,
        confirms,
        -group.size if by_size else -NEVER,
        head.seq,
    )


def on_grid(when: float, delay_s: float) -> float:
    """Return when a routine look-up becomes due whose time comes at `when`, after a delay."""
    tick_s = LAG_TICK_S if delay_s >= 4 * LAG_TICK_S else TICK_S
    return math.ceil(when / tick_s) * tick_s


class Load:
    """How late a process cancels and is given its jobs, and which lanes have just begun."""

    def __init__(self) -> None:
        self.busy_until = -NEVER
        self.behind_until = -NEVER  # jobs come late to their lanes
        self._beginning: set[object] = set()

    def started(self, lane: object) -> None:
        """Note that a lane has ids again."""
        self._beginning.add(lane)

    def caught_up(self, lane: object) -> None:
        """Note that a lane's cancels keep its pace, or that it has none."""
        self._beginning.discard(lane)

    def note_reading(self, late_s: float, now: float) -> None:
        """Note how long after its message was read a job came, and others follow it."""
        if late_s > BEHIND_S:
            self.behind_until = now + BUSY_S

    def note_lateness(self, late_s: float, now: float) -> None:
        """Note by how much a cancel missed its time."""
        if late_s > LATE_S:
            self.busy_until = now + BUSY_S

    def hold_cancel(self, lane: object, latest: float, now: float) -> float:
        """Return until when a full routine cancel leaves the processor to lanes that begin.

        A lane that begins late ends late. At `latest` the lane could not catch up any more.
        """
        if now >= self.busy_until or not self._beginning or lane in self._beginning:
            return -NEVER
        return min(now + ASK_AGAIN_S, latest)

    def hold_look_up(self, since: float) -> float:
        """Return until when a routine confirmation that could leave `since` then waits."""
        return min(self.busy_until, since + YIELD_S)


class _Request(NamedTuple):
    """A request that could leave, beside what else the lane has."""

    group: Group
    head: Entry
    groups: Collection[Group]
    most: int  # ids that it may be for
    in_lane: int  # ids, some of them in flight


class Holds:
    """Says until when the requests of one lane wait for others. Times: monotonic seconds."""

    def __init__(self, venue: Venue, tokens: Tokens, load: Load, lane: object) -> None:
        self._venue = venue
        self._tokens = tokens
        self._load = load
        self._lane = lane
        self._kills = Demand(venue)
        self._kills_since = -NEVER
        self.kill_left_at = -NEVER  # a kill's last cancel
        self.streams_until = -NEVER  # a kill's cancel waits so long for more kills
        self._last: Submission | None = None  # the last job that came, and when it did
        self._came_at = -NEVER
        self._kill_came_at = -NEVER  # the last kill
        self._kill_follows = False  # the worker has more kills of the lane in its hands
        self._follows = False  # the worker has more of the lane's in its hands
        self._fills_until = -NEVER  # jobs of this lane come one after the other
        self._looks_out = 0  # looks in flight that cancels wait for
        self._reading: Counter[ListKey] = Counter()
        self._of_one_page: set[ListKey] = set()

    def reads(self, batch: Batch, requests: int, *, awaited: bool) -> None:
        """Count requests after which more ids may read a list on, until they are answered.

        Cancels wait for one that is `awaited`.
        """
        self._looks_out += requests * awaited
        has_room = len(batch.refs) < batch.route.max_ids
        if has_room and (batch.page == 1 or batch.read):
            self._reading[list_key(batch)] += requests

    def was_read(self, batch: Batch, *, more: bool) -> None:
        """Note of a list whether there is more of it than its first page."""
        if batch.page == 1:
            (self._of_one_page.discard if more else self._of_one_page.add)(list_key(batch))

    def came(self, owner: Submission, now: float) -> None:
        """Note that a job came."""
        follows = owner is not self._last and now - self._came_at < FILL_GAP_S
        self._last, self._came_at, self._follows = owner, now, owner.followed
        if owner.kill:
            self._kill_came_at, self._kill_follows = now, owner.followed
        if owner.followed or follows:
            self._fills_until = now + BUSY_S
        if owner.followed:
            self._load.note_reading(now - owner.received_at, now)

    def kill_left(self, now: float) -> None:
        """Note that a kill's cancel left: what it waited for has come, or comes in a moment."""
        self.kill_left_at = now
        self.streams_until = min(self.streams_until, now + STREAM_S)

    def update(self, entry: Entry, now: float) -> None:
        """Note where an id stands: it came, learned something, left, or was answered."""
        if entry.kill:
            if not self._kills:
                self._kills_since = now
            self._kills.update(entry)

    def forget(self, entry: Entry) -> None:
        """Note that an id is out of the lane."""
        self._kills.forget(entry)

    def until(
        self,
        group: Group,
        groups: Collection[Group],
        most: int,
        now: float,
        *,
        in_lane: int,
    ) -> float:
        """Return until when a request of the group waits for others of `groups`.

        It may be for at most `most` ids; the lane has so many, some of them in flight.
        """
        head = group.head()
        if head is None:
            return -NEVER
        if not is_lookup(group.route) and head.kill:
            return self._kills_cancel(group, head)
        # What a stream of kills will need in a moment is left to it.
        others_at = self._other(_Request(group, head, groups, most, in_lane), now)
        return max(self.streams_until, others_at)

    def _other(self, request: _Request, now: float) -> float:
        group, head, groups, most, in_lane = request
        if not is_lookup(group.route):
            return max(self._filling(group, head, groups, now), self._cancel(group, now))
        joins_at = self._joins_at(group, head, groups)
        if joins_at > now:
            return joins_at
        if head.kill and group.page == 1:
            return self._kills_look_up(request, now)
        if head.kill:
            return -NEVER
        if head.progress.phase is Phase.PRECHECK:
            return max(
                self._filling(group, head, groups, now), self._precheck(group.route, now)
            )
        since = _first_since(group, head, groups)
        others_come = group.size < min(in_lane, most)
        gathers = others_come and self._are_dear(group.route, in_lane, now)
        return max(self._confirmation(since), since + GATHER_S if gathers else -NEVER)

    def _kills_cancel(self, group: Group, head: Entry) -> float:
        if group.size >= group.route.max_ids or not self._streams(group, head):
            return -NEVER
        self.streams_until = head.since + IN_HAND_S
        if not self._kill_follows:
            gap_s = STREAM_S if group.size == 1 else BURST_S
            ends_at = max(head.since, self._kill_came_at) + gap_s
            self.streams_until = min(head.since + STREAM_GAP_S, ends_at)
        return self.streams_until

    def last_few_until(self, head: Entry) -> float:
        """Return until when the last ids of a kill wait for more before each goes alone."""
        return head.since + STREAM_GAP_S

    def _streams(self, group: Group, head: Entry) -> bool:
        """Say whether more kills may come in a moment: small jobs do, and one left just now.

        What came before that one left waits only where it is of the same stream.
        """
        small = min(owner.waits for owner in head.owners) < group.route.max_ids
        is_left_over = head.since <= self.kill_left_at
        if is_left_over:
            return small and group.left_at == self.kill_left_at
        return head.since < self.kill_left_at + STREAM_GAP_S

    def _filling(
        self, group: Group, head: Entry, groups: Collection[Group], now: float
    ) -> float:
        """Return until when routine ids wait for others: requests keep a late worker late."""
        fills_until = min(self._fills_until, self._load.behind_until)
        if group.size >= group.route.max_ids or now >= fills_until:
            return -NEVER
        more_comes = self._follows or (
            not is_lookup(group.route) and self._are_looked_for(groups)
        )
        more_until = NEVER if more_comes else self._came_at + FILL_GAP_S
        return min(head.since + FILL_S, more_until, fills_until)

    def _are_looked_for(self, groups: Collection[Group]) -> bool:
        """Say whether ids of the lane are looked for that are to be canceled next."""
        return self._looks_out > 0 or any(is_awaited(group.head()) for group in groups)

    def _cancel(self, group: Group, now: float) -> float:
        if group.size < group.route.max_ids:
            return -NEVER  # more may join it, so it could not be made up for
        return self._load.hold_cancel(self._lane, self._tokens.catch_up_limit(group.route), now)

    def _joins_at(self, group: Group, head: Entry, groups: Collection[Group]) -> float:
        """Return until when those who begin with a record wait to join others at it."""
        if group.page > 1 or group.again or group.route.life_stage < ENDED_STAGE:
            return -NEVER
        key = group.route.name, group.company
        for other in groups:
            reads_it = other.goes_on and (other.route.name, other.company) == key
            has_room = 0 < other.size < other.route.max_ids
            if reads_it and has_room and (other.kills_here or not head.kill):
                return NEVER  # they go with its next page
        is_read = key not in self._of_one_page and self._reading[key] > 0
        return head.since + GATHER_S if is_read else -NEVER

    def _kills_look_up(self, request: _Request, now: float) -> float:
        group, head, groups, most, in_lane = request
        slow = self._tokens.slow(group.route)
        here, due = group.kills_here, self._kills.due_at(group)
        if slow:
            here, due = (
                sum(g.kills_here for g in groups if _asks_like(g, group)),
                len(self._kills),
            )
        if here >= due or group.kills_here >= most:
            return -NEVER
        since = _first_since(group, head, groups)
        if self._are_dear(group.route, in_lane, now):
            return since + GATHER_S
        longest_s, shortest_s = (SLOW_GATHER_S, 0.0) if slow else (GATHER_S, BURST_S)
        half_free_at = self._tokens.half_free_at(group.route, now)
        return max(since + shortest_s, min(since + longest_s, half_free_at))

    def _are_dear(self, route: Route, in_lane: int, now: float) -> bool:
        """Say whether ids that each read the list for itself may use up its tokens."""
        return self._tokens.dear(route, in_lane * READS_OF_AN_ID, now)

    def _precheck(self, route: Route, now: float) -> float:
        requests = -(-self._kills.due_from(route) // route.max_ids)
        return self._tokens.spare_at(route, requests, now)

    def _confirmation(self, since: float) -> float:
        for_kills = self._kills_since + YIELD_S if self._kills else -NEVER
        return max(for_kills, self._load.hold_look_up(since))


def _first_since(group: Group, head: Entry, groups: Collection[Group]) -> float:
    """Return since when the first waits of those that a request of the group takes along.

    Those that begin with a record wait for the next page of others at it, and may have waited
    before: no page waits for longer than they may. A kill's does not leave for routine ones.
    """
    if not group.goes_on or group.size >= group.route.max_ids:
        return head.since
    key, since = (group.route.name, group.company), head.since
    for other in groups:
        begins = (
            other.page == 1 and not other.again and (other.route.name, other.company) == key
        )
        first = other.head() if begins else None
        if first is not None and (first.kill or not head.kill):
            since = min(since, first.since)
    return since


def _asks_like(other: Group, group: Group) -> bool:
    return is_lookup(other.route) and other.route.quotas == group.route.quotas


@dataclass(slots=True, eq=False)
class _Due:
    """How many kills need a list next, whether they wait for it or are on their way to it."""

    route: Route
    kills: int = 0


class Demand:
    """Counts the kills of a lane by the list that they need next, while they are in it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._lists: dict[ListKey, _Due] = {}
        self._at: dict[Entry, _Due | None] = {}

    def __len__(self) -> int:
        """Return how many kills are in the lane."""
        return len(self._at)

    def update(self, entry: Entry) -> None:
        """Note where a kill stands now; while it is looked for, it is due nowhere."""
        looked_for = entry.in_flight and entry.progress.phase is not Phase.CANCEL
        self._move(entry, None if looked_for else self._next(entry.progress))

    def forget(self, entry: Entry) -> None:
        """Note that an id is out of the lane."""
        left = self._at.pop(entry, None)
        if left is not None:
            left.kills -= 1

    def due_at(self, group: Group) -> int:
        """Return how many kills need the group's list next, at its first page."""
        head = group.head()
        key = batch_key(group.route, head.progress) if head is not None else ()
        due = self._lists.get((group.route.name, key))
        return due.kills if due is not None else 0

    def due_from(self, route: Route) -> int:
        """Return how many kills need a list next that draws the route's quotas."""
        return sum(
            due.kills for due in self._lists.values() if due.route.quotas == route.quotas
        )

    def _move(self, entry: Entry, due: _Due | None) -> None:
        left = self._at.get(entry)
        if left is not None:
            left.kills -= 1
        if due is not None:
            due.kills += 1
        self._at[entry] = due

    def _next(self, progress: OrderProgress) -> _Due | None:
        found = _next_list(progress, self._venue)
        if found is None:
            return None
        route, key = found
        return self._lists.setdefault((route.name, key), _Due(route))


@lru_cache(maxsize=MOST_REMEMBERED)
def _next_list(progress: OrderProgress, venue: Venue) -> tuple[Route, tuple[str, ...]] | None:
    """Return the list that a kill needs next and its group key; None: no list."""
    if progress.phase is Phase.CANCEL:
        progress = progress._replace(phase=Phase.CONFIRM)
    if progress.search.page > 1 or not lookup_routes(venue, progress.shape):
        return None
    route = next_route(progress, venue)
    return route, batch_key(route, progress)
