"""What waits in a lane: ids, the groups that may travel together, and who asked for them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from venues.base import Batch, Route
from venues.words import CANCELS, IdKind, OrderRef, OrdType, Purpose
from worker.lane.submission import Submission
from worker.orders.judge import Judgement
from worker.orders.progress import MOST_REMEMBERED, OrderProgress, Phase
from worker.pacing.pace import NEVER

#: Route, page, and what ids must share to travel together.
GroupKey = tuple[str, int, tuple[str, ...]]
#: What finds an id in the lane. A venue order id is its own key, as nearly all are such.
EntryKey = str | tuple[object, ...]
#: What a job stated of an order beside its id: one value for all of which it states the same.
Stated = tuple[IdKind, str, OrdType]
#: Up to this many times the ids wanted, sorting the heap is faster than popping it.
_WHOLE_QUEUE = 32
#: Sorts an id whose cancel waits for its look before all others: beyond any number.
_BEFORE_ALL = -(1 << 60)


@dataclass(slots=True, eq=False)
class Entry:
    """One id in the lane, once however many tasks ask for it: 100,000 may be here."""

    key: EntryKey
    id: str
    stated: Stated
    progress: OrderProgress
    owners: tuple[Submission, ...]  # in the order in which they came
    seq: int
    kill: bool
    received_at: float  # when the worker read the message of the first that asked for it
    since: float = 0.0  # when its present step could have left first
    version: int = 0  # of its newest place in a queue; older places are void
    group: Group | None = None
    in_flight: bool = False
    sight: tuple[float, Judgement] | None = None  # shown open to a look for others, begun when

    @property
    def ref(self) -> OrderRef:
        """Its reference, as the first job stated it."""
        return OrderRef(self.id, *self.stated)

    @property
    def known(self) -> OrderRef:
        """Its reference with what the venue taught us of it."""
        return self.progress.known(self.ref)

    @property
    def place(self) -> int:
        """Its place in its group: first look-ups that a cancel waits for, then by age."""
        return self.seq + _BEFORE_ALL if self.progress.phase is Phase.PRECHECK else self.seq

    @property
    def deadline(self) -> float:
        """The last of its owners' deadlines: until then a cancel may be sent for it."""
        deadline = -NEVER
        for owner in self.owners:  # nearly always one, and asked for each id that leaves
            deadline = max(deadline, owner.deadline)
        return deadline


@lru_cache(maxsize=MOST_REMEMBERED)
def stated(*words: *Stated) -> Stated:
    """Return one value for all orders of which jobs state the same."""
    return words


@dataclass(slots=True)
class Group:
    """Ids that may share a request: same route, page and group key."""

    route: Route
    page: int
    read: int = 0  # as in `Batch`
    page_size: int = 0
    cursor: str = ""
    again: bool = False  # what is above the page where they joined others (`Search.until`)
    company: tuple[str, ...] = ()  # what they must share
    kills: list[tuple[int, int, Entry]] = field(default_factory=list)
    routines: list[tuple[int, int, Entry]] = field(default_factory=list)
    size: int = 0
    kills_here: int = 0  # of `size`
    left_at: float = -NEVER  # its last request

    @property
    def goes_on(self) -> bool:
        """Whether others may join it in reading its list on, as its pages tell their rows."""
        return self.again or self.read > 0

    def head(self) -> Entry | None:
        """Return the most pressing id, or None if the group is empty."""
        for queue in self.kills, self.routines:
            while queue:
                _, version, entry = queue[0]
                if version == entry.version:
                    return entry
                heapq.heappop(queue)
        return None

    def take(self, most: int) -> list[Entry]:
        """Take out the most pressing ids, at most `most`; their places are void then."""
        kills = _taken(self.kills, most)
        routines = _taken(self.routines, most - len(kills)) if len(kills) < most else []
        self.size -= len(kills) + len(routines)
        self.kills_here -= len(kills)
        return kills + routines


def _taken(queue: list[tuple[int, int, Entry]], most: int) -> list[Entry]:
    """Take at most `most` ids off a queue, of those whose places there are not void."""
    taken: list[Entry] = []
    while queue and len(taken) < most:
        for _, version, entry in _first(queue, most - len(taken)):
            if version == entry.version:
                entry.version, entry.group = 0, None
                taken.append(entry)
    return taken


def _first(queue: list[tuple[int, int, Entry]], most: int) -> list[tuple[int, int, Entry]]:
    """Take the first places off a queue, at most `most`."""
    if len(queue) > most * _WHOLE_QUEUE:
        return [heapq.heappop(queue) for _ in range(most)]
    queue.sort()  # nearly is already; and what is sorted is a heap, too
    first = queue[:most]
    del queue[:most]
    return first


@dataclass(frozen=True, slots=True, eq=False)
class Sending:
    """A request on its way to the venue, with the ids that it carries."""

    batch: Batch
    entries: tuple[Entry, ...]
    started: float
    waited_s: float
    advisory: bool = False  # no step waits for it: it only adds to what is known
    awaited: bool = False  # its ids are canceled next
    reads_top: bool = False  # it is for the newest rows of a record, whatever they name
    scope: Submission | None = None  # a list is read, or all canceled, for this job's scope

    @property
    def cancels_all(self) -> bool:
        """Whether it is a cancel-all, which names no ids."""
        return self.batch.route.purpose is Purpose.CANCEL_ALL

    @property
    def is_probe(self) -> bool:
        """Whether it only asks if the account is served again."""
        asks_else = self.cancels_all or self.sets_timer or self.reads_top
        return self.advisory and not (self.entries or asks_else)

    @property
    def sets_timer(self) -> bool:
        """Whether it sets the venue's own timer."""
        return self.batch.route.purpose is Purpose.TIMER

    @property
    def is_escalation(self) -> bool:
        """Whether it cancels all of a symbol, as an order of it stays open."""
        return self.cancels_all and self.scope is None

    def owners(self) -> list[Submission]:
        """Return the submissions that it is for, each once."""
        if self.scope is not None:
            return [self.scope]
        return list(dict.fromkeys(chain.from_iterable(entry.owners for entry in self.entries)))


def dequeue(entry: Entry) -> None:
    """Void the item's place, wherever it waits."""
    entry.version = 0
    if entry.group is not None:
        entry.group.size -= 1
        entry.group.kills_here -= entry.kill
        entry.group = None


def full_since(group: Group) -> float:
    """Return since when the first id of a full request is here; NEVER: more may join it."""
    head = group.head()
    full = group.size >= group.route.max_ids
    return head.received_at if full and head is not None else NEVER


def is_urgent(group: Group) -> bool:
    """Return whether a kill heads the group."""
    head = group.head()
    return head is not None and head.kill


def is_lookup(route: Route) -> bool:
    """Return whether the route only looks."""
    return route.purpose not in CANCELS


def is_awaited(head: Entry | None) -> bool:
    """Return whether the id that heads a request is looked for before its cancel."""
    return head is not None and head.progress.phase is Phase.PRECHECK


def may_share(entry: Entry) -> bool:
    """A client order id may name a newer order by now, so only an unsent one is shared."""
    progress = entry.progress
    by_venue_id = progress.id_kind is IdKind.VENUE and progress.other_form is None
    return by_venue_id or not (entry.in_flight or progress.attempts)
