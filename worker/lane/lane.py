"""The lane of one account: whose id leaves next, with whom, and when. Pure but for its state.

A lane holds the waiting ids of all running tasks. Whenever the quotas of a route allow a
request, the most pressing group of ids that fit together leaves, with as many ids as fit. The
caller brings the clock (monotonic seconds) and a lock, sends, and reports back.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

from venues.base import Batch, Route, Venue, Verdict
from venues.words import (
    OPEN_STATES,
    CancelOutcome,
    CancelStatus,
    IdKind,
    OrderRef,
    OrdStatus,
)
from worker.lane.advisory import AdvisoryLooks
from worker.lane.cancel_alls import Shown
from worker.lane.entry import (
    Entry,
    EntryKey,
    Group,
    Sending,
    dequeue,
    full_since,
    is_awaited,
    is_lookup,
    is_urgent,
    may_share,
    stated,
)
from worker.lane.escalation import Escalations
from worker.lane.groups import Groups
from worker.lane.holds import (
    BEFORE_A_CANCEL,
    Holds,
    Load,
    PriorityKey,
    is_held_by_pause,
    on_grid,
    priority,
)
from worker.lane.list_all import WholeLists
from worker.lane.record_top import RecordTop
from worker.lane.scopes import ScopeRun
from worker.lane.standing import Pause, Standing
from worker.lane.submission import Result, ScopeEnd, Submission
from worker.lane.venue_timer import VenueTimer
from worker.orders.follow import (
    FEW,
    FinalWord,
    NextStep,
    ReplyContext,
    Transition,
    by_symbol,
    inconclusive_list,
    is_current,
    is_served,
    not_effective,
    noted,
    sent,
    sighted,
    still_to_come,
)
from worker.orders.forms import doubted, refuse, step
from worker.orders.judge import Judgement, ListHeard
from worker.orders.progress import (
    Cohort,
    OrderProgress,
    Phase,
    came,
    cohorts,
    hurried,
    joined,
    joining,
)
from worker.orders.retry import LONGEST_SLEEP_S, Returned, backoff_s
from worker.orders.routes import bypassed_quotas, probe_of, quotas_of_cancels, single_route
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER, Pace

__all__ = ["Entry", "Group", "Lane", "Pause", "Sending"]

#: Requests of one account under way at once; quotas are usually tighter.
MOST_IN_FLIGHT = 64

#: Of a kill that finds no token for many, the last ids go alone where they are at most this
#: share of a request: each is a request more, and none waits for a window.
LAST_FEW_SHARE = 2

#: A kill's cancel that surely did nothing leaves again after at most so long (seconds).
KILL_PAUSE_S = 1.0

#: A list of a scope that could not be read is read again after about so long (seconds).
LIST_PAUSE_S = 0.5

#: In place of the kind in the key of an id that may be of either.
_EITHER_KIND = "either"
#: No orders of others in a reply.
_NOTHING: Mapping[tuple[IdKind, str], Judgement] = {}


class _Request(NamedTuple):
    """A request that may leave at some time, and what has it leave then."""

    at: float
    leave: Callable[[float], Sending]


class Lane:
    """All waiting ids of one account, and the tokens of its quotas."""

    def __init__(
        self,
        venue: Venue,
        paces: Mapping[str, Pace],
        rng: random.Random,
        *,
        verify: bool = False,
        escalate: bool = False,
        load: Load | None = None,
        timer: VenueTimer | None = None,
    ) -> None:
        self.venue = venue
        for name in bypassed_quotas(venue) & paces.keys():
            paces[name].leaves_one = False
        for name in paces.keys() - quotas_of_cancels(venue):
            paces[name].of_cancels = False
        self.timer = timer
        self._tokens = Tokens(paces)
        self._load = load or Load()
        self._holds = Holds(venue, self._tokens, self._load, self)
        self.standing = Standing(venue.quiet.longest_s, rng)
        self._asks: Batch | None = None  # a read of an order, of the last request refused
        self.quiet_until = NEVER
        self.in_flight = 0
        self._left_at = -NEVER
        self.routine_held = False  # somebody paused the account
        self._results: list[tuple[Submission, Result]] = []
        self._ended: list[tuple[Submission, ScopeEnd]] = []
        self._rng = rng
        self._verify = verify
        self._lists = WholeLists()
        self._advisory_looks = AdvisoryLooks(venue)
        self._record_top = RecordTop(venue)
        self._escalations = Escalations(venue, allowed=escalate)
        self._seq = itertools.count()
        self._entries: dict[EntryKey, Entry] = {}
        self._scopes: dict[Submission, ScopeRun] = {}
        self._leaving: set[Submission] = set()
        self._ids_in_flight = 0
        self._groups = Groups(venue)

    # -- what tasks do -------------------------------------------------------------------

    def add(self, owner: Submission, cohorts: Iterable[Cohort], now: float) -> None:
        """Take a task's ids in; one that another task asked for is shared with it."""
        for cohort in cohorts:
            if self._may_wait(owner, now):
                self._add(owner, cohort, now)
                continue
            word = refuse(cohort.progress, self.standing.why(now))
            for order_id in cohort.ids:
                self._hand(owner, word.outcome(order_id))

    def add_scope(self, owner: Submission, now: float) -> None:
        """Find the orders of a job's scope; `add` has taken in those that came with it."""
        run = self._scopes[owner] = ScopeRun(owner, self.venue, now)
        if owner.withdrawn:
            self._leaving.add(owner)
        if not self._may_wait(owner, now):
            run.refused = self.standing.why(now)

    def _may_wait(self, owner: Submission, now: float) -> bool:
        """Say whether a job may wait for its turn: at a halted account, to ask once more.

        A kill may always; a routine job only where a cancel asks and none did of late.
        """
        if not self.standing.halted or owner.kill:
            return True
        return self._asks_by_cancel() and now >= self.standing.asks_at(kill=False)

    def _add(self, owner: Submission, cohort: Cohort, now: float) -> None:
        if not self._entries:
            self._load.started(self)
        asked: list[Entry] = []
        fresh: list[Entry] = []
        self._holds.came(owner, now)
        if owner.withdrawn:
            self._leaving.add(owner)
        cohort = cohort._replace(progress=came(cohort.progress, now))
        owner.came_at = cohort.progress.came_at
        progress, came_at = cohort.progress, min(now, owner.received_at)
        # Whoever says the kind does not share with who leaves it open.
        kind = _EITHER_KIND if progress.other_form else progress.id_kind
        words = stated(progress.id_kind, cohort.symbol, cohort.ord_type)
        for order_id in cohort.ids:
            key = _key(kind, order_id)
            entry = self._entries.get(key)
            if entry is not None and not may_share(entry):
                key, entry = (key, next(self._seq)), None
            if entry is None:
                seq, kill = next(self._seq), owner.kill
                entry = Entry(key, order_id, words, progress, (owner,), seq, kill, came_at)
                self._entries[key] = entry
                fresh.append(entry)
            else:
                self._share(entry, owner, progress, now)
            asked.append(entry)
        owner.entries += tuple(asked)
        owner.waits += len(asked)
        self._queue(fresh, now, now)
        if owner.kill and cohort.progress.phase is Phase.CANCEL:
            self._advisory_looks.add(fresh)

    def _share(
        self, entry: Entry, owner: Submission, progress: OrderProgress, now: float
    ) -> None:
        """Another job asks for an id that is here: it may know more, or be in a hurry."""
        self._learn(entry, progress, now)
        entry.owners += (owner,)
        if owner.kill and not entry.kill:
            self._hurry(entry, now)

    def _learn(self, entry: Entry, progress: OrderProgress, now: float) -> None:
        """Merge what another job knows."""
        self._know(entry, joined(entry.progress, progress), now)

    def _know(self, entry: Entry, progress: OrderProgress, now: float) -> None:
        """Go on with what is known of an id now; that may move it to another group."""
        before = entry.known, entry.progress.search
        entry.progress = progress
        if (entry.known, entry.progress.search) != before and not entry.in_flight:
            dequeue(entry)
            self._queue([entry], max(now, entry.since), now)
        self._holds.update(entry, now)

    def _hurry(self, entry: Entry, now: float) -> None:
        """Turn a routine id into a kill, whose cancel waits for no look but one in flight."""
        if entry.in_flight:
            entry.kill = True
            self._holds.update(entry, now)
            return
        dequeue(entry)
        entry.kill, entry.progress = True, hurried(entry.progress)
        self._queue([entry], now, now)

    def withdraw(self, owner: Submission, why: str, now: float) -> None:
        """Give a task its waiting ids back; those in flight follow when their answer is in."""
        run = self._scopes.get(owner)
        if run is not None:
            self._look_for_awaited(run, now)
        owner.withdrawn = why
        if owner.waits:
            self._leaving.add(owner)
        for entry in owner.entries:
            if not entry.in_flight and owner in entry.owners:
                self._part(owner, entry, now)
        self._end_withdrawn(owner)

    def _part(self, owner: Submission, entry: Entry, now: float, later: float = -NEVER) -> None:
        self._disown(owner, entry)
        not_before = max(now, later, self.standing.quiet_until)
        progress = self._blamed(entry, now)
        self._hand(owner, Returned(entry.ref, progress, not_before, owner.withdrawn))
        if not entry.owners:
            self._forget(entry)

    def _blamed(self, entry: Entry, now: float) -> OrderProgress:
        """Return the progress with why the account sends nothing, if so, as its reason."""
        why = "routine_paused" if self._is_held(entry) else entry.progress.why
        return entry.progress._replace(why=self.standing.why(now) or why)

    def _is_held(self, entry: Entry) -> bool:
        return self.routine_held and is_held_by_pause(entry.progress, kill=entry.kill)

    def hold_routine(self, now: float, *, held: bool) -> None:
        """Let nothing routine leave that cancels, nor the look before it, or let it again."""
        if held is self.routine_held:
            return
        some = [entry for entry in self._entries.values() if not entry.in_flight]
        some = [entry for entry in some if is_held_by_pause(entry.progress, kill=entry.kill)]
        self.routine_held = held
        for _, same in groupby(some, key=lambda entry: (entry.progress, entry.since)):
            entries = list(same)
            for entry in entries:
                dequeue(entry)
            self._queue(entries, max(now, entries[0].since), now)

    def take_results(self) -> list[tuple[Submission, Result]]:
        """Return the results since the last call, each with the submission that it is for."""
        taken, self._results = self._results, []
        return taken

    def take_ended(self) -> list[tuple[Submission, ScopeEnd]]:
        """Return the jobs whose scopes have ended since the last call, and how."""
        taken, self._ended = self._ended, []
        return taken

    def withdraw_all(self, why: str, now: float) -> None:
        """Give every task its waiting ids back: the worker stops, or lost the lane."""
        owners = chain(
            self._scopes,
            chain.from_iterable(entry.owners for entry in self._entries.values()),
        )
        for owner in sorted(set(owners), key=lambda owner: owner.number):
            self.withdraw(owner, why, now)
        self.standing.forget()

    # -- what the sender does ------------------------------------------------------------

    def next(self, now: float) -> Sending | None:
        """Return the request that may leave now, its tokens taken; None if none may.

        After None, `quiet_until` says when to ask again, unless something happens before.
        """
        self.quiet_until, request = self._soonest(now)
        return request.leave(now) if request is not None else None

    def next_at(self, now: float) -> float:
        """Return when `next` is worth asking again; NEVER: not before something happens."""
        return self._soonest(now)[0]

    def _soonest(self, now: float) -> tuple[float, _Request | None]:
        """Return when a request may leave, and the one that may leave now."""
        self._groups.wake(now)
        self._end_scopes(now)
        if self.standing.shut and not self._asks_by_cancel():
            return self._probe(now)
        soonest = self._groups.wakes_at
        if self.in_flight >= self.most_in_flight:
            return soonest, None
        in_order_at = self._left_at + self.venue.in_order_s
        if self.in_flight and in_order_at > now:
            return min(soonest, in_order_at), None
        for request in self._requests(now):
            if request.at <= now:
                return now, request
            soonest = min(soonest, request.at)
        return soonest, None

    def _requests(self, now: float) -> Iterator[_Request]:
        """Give the next request of each group, most pressing first, an advisory one last.

        The timer goes before all: a request in a quarter of its time, so that no backlog of
        cancels makes it fire (docs/decisions/0052).
        """
        timer = None if self.standing.shut else self.timer
        if timer is not None and (batch := timer.next) is not None:
            at = max(self._timer_at(batch, now), self._opens_at)
            yield _Request(at, partial(self._set_timer, timer, batch))
        escalation = self._escalations.next
        if escalation is not None:
            at = self._tokens.ready_at(escalation.route, now, urgent=True, ids=0)
            yield _Request(max(at, self._opens_at), self._escalate)
        yield from self._of_scopes(now, kill=True)
        cancels_at = NEVER
        for group in self._by_priority(now):
            request = self._of_group(group, now)
            if not is_lookup(group.route):
                cancels_at = min(cancels_at, request.at)
            yield request
        yield from self._of_scopes(now, kill=False)
        top = self._record_top.next(now)
        if top is not None:
            yield _Request(
                self._top_at(top.route, cancels_at, now), partial(self._read_top, top)
            )
        advisory = self._advisory_looks.group(now)
        if advisory is not None:
            at = max(self._tokens_at(advisory, now), self._opens_at, self._holds.streams_until)
            most = self._most_ids(advisory, now)
            yield _Request(at, partial(self._look, advisory.route, most))

    def _of_scopes(self, now: float, *, kill: bool) -> Iterator[_Request]:
        """Give the next cancel-all and the next read for each scope.

        All reads but those of its first round leave tokens to the cancels that wait.
        """
        for owner, run in self._scopes.items():
            if owner.kill is not kill or run.is_over:
                continue
            cancel_all = run.cancel_alls.next
            is_held = self.routine_held and not kill
            if cancel_all and not (is_held or owner.withdrawn or now >= owner.deadline):
                at = self._tokens.ready_at(cancel_all.route, now, urgent=kill, ids=0)
                yield _Request(max(at, self._opens_at), partial(self._cancel_all, run))
            if run.is_read:
                continue
            at = max(run.reads_at, self._opens_at)
            if at <= now:
                route, rounds = run.search.batch().route, run.search.rounds
                spare = self._groups.cancels(urgent=kill) if rounds else ()
                at = self._tokens.ready_at(route, now, urgent=kill, spare=spare)
            yield _Request(at, partial(self._read_list, run))

    def _of_group(self, group: Group, now: float) -> _Request:
        """Return the next request of a group."""
        tokens_at = self._tokens_at(group, now)
        if tokens_at > now:
            alone_at = self._alone_at(group, now)
            if alone_at < tokens_at:
                return _Request(max(alone_at, self._opens_at), partial(self._fill, group, 1))
        most = self._most_ids(group, now)
        held_until = self._holds.until(
            group, self._groups.groups, most, now, in_lane=len(self._entries)
        )
        at = max(tokens_at, held_until, self._opens_at)
        return _Request(at, partial(self._fill, group, most))

    def _top_at(self, record: Route, cancels_at: float, now: float) -> float:
        """Return when the newest rows of a record may be read: with tokens for all that follow.

        Tokens are left to all cancels that wait.
        """
        spare = self._groups.cancels(urgent=False)
        at = self._tokens.ready_at(record, now, urgent=True, spare=spare)
        at = max(at, self._tokens.spare_at(record, self._record_top.follow, now))
        return max(self._record_top.leaves_at(now, at, cancels_at), self._opens_at)

    @property
    def most_in_flight(self) -> int:
        """How many requests may be under way: one, where it shall show whether others may."""
        return 1 if self.standing.careful or self.standing.shut else MOST_IN_FLIGHT

    @property
    def _opens_at(self) -> float:
        """When the account may send, by what the venue said of it."""
        standing = self.standing
        return standing.asks_at(kill=True) if standing.shut else standing.quiet_until

    def _asks_by_cancel(self) -> bool:
        """Say whether only a cancel shows whether cancels are refused still."""
        return self.standing.takes_reads or self._asks is None

    def _probe(self, now: float) -> tuple[float, _Request | None]:
        """Return when the read that asks again may leave, and the one that may leave now."""
        if self._asks is None or self.in_flight:
            return NEVER, None  # what is in flight comes back, and then this is asked again
        kill = any(group.kills_here for group in self._groups.groups)
        tokens_at = self._tokens.ready_at(self._asks.route, now, urgent=True)
        at = max(tokens_at, self.standing.asks_at(kill=kill))
        return at, _Request(at, partial(self._aside, self._asks)) if at <= now else None

    def _aside(
        self,
        batch: Batch,
        now: float,
        since: float = NEVER,
        waited_s: float = 0.0,
        *,
        entries: tuple[Entry, ...] = (),
        urgent: bool = True,
        scope: Submission | None = None,
        reads_top: bool = False,
    ) -> Sending:
        """Return a request with which no waiting id goes on a step, its tokens taken.

        By itself it is the read that asks whether the key is refused still.
        """
        self._tokens.take(batch.route, now, since, ids=len(batch.refs), urgent=urgent)
        self._count_out(now)
        return Sending(
            batch, entries, now, waited_s, advisory=True, scope=scope, reads_top=reads_top
        )

    def _read_top(self, batch: Batch, now: float) -> Sending:
        """Return the next read of the newest rows of a record."""
        self._record_top.leaves(now)
        return self._aside(batch, now, reads_top=True)

    def _read_list(self, run: ScopeRun, now: float) -> Sending:
        """Return the next read for a scope."""
        waited_s = max(0.0, now - run.reads_at)
        owner, batch = run.owner, run.read_leaves(now)
        return self._aside(batch, now, waited_s=waited_s, urgent=owner.kill, scope=owner)

    def _cancel_all(self, run: ScopeRun, now: float) -> Sending:
        """Return the next cancel-all of a scope."""
        owner, asked = run.owner, run.cancel_alls.leaves(now)
        owner.sent = (owner.sent or (now, now))[0], now
        batch = Batch(asked.route, (), symbol=asked.symbol)
        since = NEVER if owner.kill else owner.received_at
        waited_s = max(0.0, now - owner.received_at)
        return self._aside(batch, now, since, waited_s, urgent=owner.kill, scope=owner)

    def _escalate(self, now: float) -> Sending:
        """Return the next cancel-all of a symbol whose orders no cancel by id removes."""
        asked = self._escalations.leaves()
        return self._aside(Batch(asked.route, (), symbol=asked.symbol), now)

    def _timer_at(self, batch: Batch, now: float) -> float:
        return self._tokens.ready_at(batch.route, now, urgent=True, ids=0)

    def _set_timer(self, timer: VenueTimer, batch: Batch, now: float) -> Sending:
        """Return the request that sets the venue's own timer."""
        timer.leaves(batch)
        return self._aside(batch, now)

    def hand_over_timer(self, now: float) -> list[Sending]:
        """Return what leaves the timer to the next owner, as far as it may leave now."""
        in_order = not self.in_flight or now >= self._left_at + self.venue.in_order_s
        timer = self.timer
        if timer is None or self.standing.shut or now < self._opens_at or not in_order:
            return []
        batches = timer.hand_over()
        return [
            self._set_timer(timer, b, now) for b in batches if self._timer_at(b, now) <= now
        ]

    def timer_answered(self, sending: Sending, now: float, *, done: bool) -> bool:
        """Count a reply to the timer, or that none came; say whether it is what it was not."""
        self.in_flight -= 1
        self._tokens.release(sending.batch.route, now, 0)
        timer = self.timer
        return timer is not None and timer.came(sending.batch, sending.started, done=done)

    def _look(self, route: Route, most: int, now: float) -> Sending:
        """Return an advisory look-up for ids of kills that wait for a token."""
        entries = self._advisory_looks.take(most, now)
        batch = Batch(route, tuple(entry.known for entry in entries))
        return self._aside(batch, now, entries=entries)

    def _count_out(self, now: float) -> None:
        self.in_flight += 1
        self._left_at = now

    def answered(
        self,
        sending: Sending,
        said: Mapping[OrderRef, Judgement],
        now: float,
        others: Mapping[tuple[IdKind, str], Judgement] = _NOTHING,
        *,
        of_each: bool = False,
    ) -> None:
        """Take the judgements of a reply in, one for each reference of the batch.

        `others` are orders that the reply shows though nobody asked about them. `of_each`: they
        are of each order by itself, so that none may have spoiled the others.
        """
        if any(is_served(judged) for judged in said.values()):
            self.standing.served(sending.batch.route, sending.started)
        self._land(sending, now)
        if sending.batch.lists_all:
            self._lists.came(sending.batch.route)
        if is_lookup(sending.batch.route) and sending.entries:
            more = any(judged.more for judged in said.values())
            self._holds.was_read(sending.batch, more=more)
        asked = ReplyContext(
            venue=self.venue,
            route=sending.batch.route,
            started=sending.started,
            ended=now,
            alone=of_each or len(sending.entries) == 1,
            few=len(sending.entries) <= FEW,
            lists_all=sending.batch.lists_all,
            verify=self._verify,
        )
        proven = self._overhear(others, asked)
        if sending.reads_top:
            self._top_came(said, others, proven, asked)
            return
        if sending.is_probe:
            self._hear_probe(said, asked)
        if sending.advisory:
            self._looked(sending, said, now)
            return
        # Most orders share their progress and their judgement: each step is worked out once.
        next_step = cache(lambda progress, judged: step(progress, judged, asked))
        courses = [
            next_step(entry.progress, self._seen(entry, ref, said[ref]))
            for entry, ref in zip(sending.entries, sending.batch.refs, strict=True)
        ]
        self._follow(sending.entries, courses, now)

    def listed(self, sending: Sending, heard: ListHeard, now: float) -> None:
        """Take the reply to a scope's request in: what it shows is to be canceled."""
        if is_served(heard.said):
            self.standing.served(sending.batch.route, sending.started)
        run = self._land_list(sending, now)
        if run is None:
            return
        if sending.cancels_all:
            self._take_over(run, run.cancel_all_came(heard, sending.batch, now), now)
        else:
            pause_s = self._list_pause_s(run)
            self._take_over(run, run.came(heard, sending.started, now, pause_s), now)
        if run.owner.withdrawn:  # no reading follows
            self._look_for_awaited(run, now)

    def _take_over(self, run: ScopeRun, orders: Sequence[Shown], now: float) -> None:
        """Have orders that a scope has found canceled, or looked up."""
        for cohort in cohorts(orders):
            self._add(run.owner, cohort, now)

    def _look_for_awaited(self, run: ScopeRun, now: float) -> None:
        """Have the orders of a scope looked up for which no more reading comes."""
        orders = run.take_awaited()
        if not run.refused:
            self._take_over(run, orders, now)
            return
        for ref, progress in orders:
            self._hand(run.owner, refuse(progress, run.refused).outcome(ref.id))

    def _land_list(self, sending: Sending, now: float) -> ScopeRun | None:
        """Count a scope's request as ended; return whose it is, if that still wants it."""
        self.in_flight -= 1
        self._tokens.release(sending.batch.route, now, 0)
        run = self._scopes.get(sending.scope) if sending.scope else None
        if run is not None and not sending.cancels_all:
            run.is_read = False
        return run

    def _list_pause_s(self, run: ScopeRun) -> float:
        return backoff_s(run.search.failures + 1, LIST_PAUSE_S, self._rng)

    def _list_missed(self, sending: Sending, why: str, now: float, *, sent: bool) -> None:
        """No reply came to a scope's request, which surely never left, or was `sent`."""
        run = self._land_list(sending, now)
        if run is None:
            return
        if sending.cancels_all:
            self._take_over(run, run.cancel_all_missed(sending.batch, now, sent=sent), now)
        else:
            run.missed(why, now, self._list_pause_s(run))

    def _top_came(
        self,
        said: Mapping[OrderRef, Judgement],
        others: Mapping[tuple[IdKind, str], Judgement],
        proven: int,
        asked: ReplyContext,
    ) -> None:
        """Take a page of a record's newest rows in, which was asked for in one id's name."""
        named = {
            (ref.kind, ref.id): judged
            for ref, judged in said.items()
            if judged.verdict is Verdict.STATE
        }
        proven += self._overhear(named, asked)
        self._record_top.came(len(others) + len(named), proven, asked.ended)

    def _overhear(
        self, others: Mapping[tuple[IdKind, str], Judgement], asked: ReplyContext
    ) -> int:
        """Learn what a reply shows of orders that wait here and were not asked about.

        Return of how many that are looked for it showed the end.
        """
        proven = 0
        next_step = cache(lambda progress, judged: step(progress, judged, asked))
        for (kind, order_id), judged in others.items():
            entry = self._entries.get(_key(kind, order_id))
            if entry is None:
                entry = self._entries.get(_key(_EITHER_KIND, order_id))
            if entry is None or entry.progress.kind is not kind or entry.progress.fired:
                continue
            is_open = judged.ord_status in OPEN_STATES
            if is_open:
                progress = sighted(entry.progress, judged.symbol, judged.ord_type)
                self._know(entry, progress, asked.ended)
            looks = entry.progress.phase in (Phase.HASTY, Phase.CONFIRM)
            is_over = looks and not is_open
            proven += is_over
            is_in_sight = is_open and judged.ord_status is not OrdStatus.PENDING_CANCEL
            if is_in_sight or (is_over and entry.in_flight):
                entry.sight = asked.started, judged
            current = is_current(entry.progress, self.venue, asked.started)
            if looks and not entry.in_flight and (current or not is_open):
                dequeue(entry)
                self._follow([entry], [next_step(entry.progress, judged)], asked.ended)
        return proven

    def _hear_probe(self, said: Mapping[OrderRef, Judgement], asked: ReplyContext) -> None:
        """Learn what the read shows that asked whether the key is refused still.

        No other may be answered for long. An order that it shows ended needs no cancel.
        """
        for ref, judged in said.items():
            if judged.verdict is not Verdict.STATE:
                continue
            entry = self._entries.get(_key(ref.kind, ref.id))
            waits = entry is not None and not entry.in_flight and not entry.progress.fired
            is_open = judged.ord_status in OPEN_STATES
            if entry and waits and not is_open and entry.progress.phase in BEFORE_A_CANCEL:
                looked = entry.progress._replace(phase=Phase.PRECHECK)
                dequeue(entry)
                self._follow([entry], [step(looked, judged, asked)], asked.ended)
            else:
                self._overhear({(ref.kind, ref.id): judged}, asked)

    def _seen(self, entry: Entry, ref: OrderRef, judged: Judgement) -> Judgement:
        """Return what is said of an order; one that another look has just shown is not gone.

        Nor is one that was asked for under another symbol than it turned out to have. Once
        another look has shown its end, nothing but a state says more.
        """
        (started, sight), entry.sight = entry.sight or (-NEVER, judged), None
        if sight.ord_status not in OPEN_STATES:
            return judged if judged.verdict is Verdict.STATE else sight
        absent = judged.verdict is Verdict.ABSENT
        misplaced = ref.symbol != entry.progress.symbol
        current = is_current(entry.progress, self.venue, started)
        return sight if absent and (current or misplaced) else judged

    def _looked(self, sending: Sending, said: Mapping[OrderRef, Judgement], now: float) -> None:
        """Learn which orders were seen open; a missing one proves nothing."""
        if not sending.entries:
            return
        again: list[Entry] = []
        for entry, ref in zip(sending.entries, sending.batch.refs, strict=True):
            judged = said[ref]
            if self._entries.get(entry.key) is not entry:
                continue
            if judged.ord_status in OPEN_STATES:
                self._learn(entry, noted(entry.progress, judged), now)
            elif judged.verdict is Verdict.SYMBOL_DEMANDED and entry.progress.symbol:
                self._know(entry, by_symbol(entry.progress, sending.batch.route), now)
                again.append(entry)
        self._advisory_looks.add(reversed(again))

    def not_sent(self, sending: Sending, why: str, now: float) -> None:
        """The request surely never reached the venue."""
        if sending.sets_timer:
            self.timer_answered(sending, now, done=False)
            return
        if sending.scope is not None or sending.cancels_all:
            self._list_missed(sending, why, now, sent=False)
            return
        self._land(sending, now)
        self._top_missed(sending, now)
        self._all_again(sending, lambda progress: not_effective(progress, why), now)

    def in_doubt(self, sending: Sending, why: str, now: float) -> None:
        """No whole reply came: the request may have had its effect."""
        if sending.sets_timer:
            self.timer_answered(sending, now, done=False)
            return
        if sending.scope is not None or sending.cancels_all:
            self._list_missed(sending, why, now, sent=True)
            return
        self._land(sending, now)
        self._top_missed(sending, now)
        if not sending.batch.lists_all:
            self._all_again(
                sending, lambda progress: doubted(progress, why, now, self.venue), now
            )
            return
        self._lists.did_not_come(sending.batch.route, now)
        self._all_again(sending, inconclusive_list, now)

    def _top_missed(self, sending: Sending, now: float) -> None:
        if sending.reads_top:
            self._record_top.came(0, 0, now)

    def _all_again(
        self, sending: Sending, miss: Callable[[OrderProgress], NextStep], now: float
    ) -> None:
        """Have all ids of a request go on that brought no reply."""
        next_step = cache(miss)
        entries = () if sending.advisory else sending.entries
        self._follow(entries, [next_step(entry.progress) for entry in entries], now)

    def _follow(
        self, entries: Sequence[Entry], courses: Sequence[Transition], now: float
    ) -> None:
        """Take ids a step on; neighbors with the same course go together."""
        for course, same in groupby(zip(courses, entries, strict=True), key=itemgetter(0)):
            those = [entry for _, entry in same]
            if isinstance(course, NextStep):
                self._again(those, course, now)
            elif course.status is CancelStatus.NOT_FOUND:
                self._gone(those, course, now)
            else:
                self._finish(those, course)

    # -- what the account suffers --------------------------------------------------------

    def pause(
        self, now: float, asked_s: float | None, *, banned: bool = False, why: str = ""
    ) -> Pause:
        """Pause the account, which is rate-limited; or `why` else something refuses it."""
        asked_s = asked_s or (self.venue.quiet.ban_s if banned else 0.0)
        reason = why or ("banned" if banned else "throttled")
        return self.standing.pause(now, reason, asked_s, barred=bool(why))

    def refused(self, sending: Sending, why: str, now: float) -> bool:
        """The venue refuses the key; say whether that is a new refusal.

        The one that halts the account gives every waiting id its final word.
        """
        if not self.standing.refused(why, sending.batch.route, sending.started, now):
            return False
        if sending.entries:
            self._asks = probe_of(self.venue, sending.batch.refs[0])
        if self.standing.halted:
            for entry in list(self._entries.values()):
                if not entry.in_flight:
                    self._finish([entry], refuse(entry.progress, why))
            for run in self._scopes.values():
                run.refused = why
        return True

    def assume_spent(self, now: float) -> None:
        """Another worker may have used the quotas just now."""
        self._tokens.assume_spent(now)

    # -- figures -------------------------------------------------------------------------

    def waiting(self) -> int:
        """Return how many ids are in the lane and not in flight."""
        return len(self._entries) - self._ids_in_flight

    def entries(self) -> Collection[Entry]:
        """Return all ids in the lane, the oldest first; some may be in flight."""
        return self._entries.values()

    def groups(self) -> Collection[Group]:
        """Return the groups that may leave by their time; some may be empty."""
        return self._groups.groups

    def oldest_s(self, now: float) -> float:
        """Return how long the oldest id has been in the lane, in seconds."""
        oldest = next(iter(self._entries.values()), None)
        return now - oldest.received_at if oldest else 0.0

    # -- inside --------------------------------------------------------------------------

    def _queue(self, entries: Sequence[Entry], not_before: float, now: float) -> None:
        """Have ids wait for their next step: of one progress, and all kills or none."""
        if entries and self._is_held(entries[0]):
            # In no group: no request takes them along, and no look-up leaves tokens to them.
            self._load.caught_up(self)
            for entry in entries:
                entry.since = not_before
            return
        self._groups.put(entries, not_before, now)
        for entry in entries:
            if entry.kill:
                self._holds.update(entry, now)

    def _head(self, group: Group, now: float) -> Entry | None:
        """Return the most pressing id of a group that still may leave."""
        while (head := group.head()) is not None and head.deadline <= now:
            self._expire(head, now)
        return head

    def _by_priority(self, now: float) -> list[Group]:
        """Return the groups with ids, most pressing first."""
        found: list[tuple[PriorityKey, Group]] = []
        for group in self._groups.each():
            head = self._head(group, now)
            if head is None:
                continue
            found.append((priority(group, head, now), group))
        return [group for _, group in sorted(found, key=itemgetter(0))]

    def _tokens_at(self, group: Group, now: float) -> float:
        """Return when there are tokens for a request of the group, beside all that wait."""
        urgent = is_urgent(group)
        spare = self._groups.cancels(urgent=urgent) if is_lookup(group.route) else ()
        since = full_since(group)
        ids = min(group.size, group.route.max_ids)
        return self._tokens.ready_at(
            group.route,
            now,
            urgent=urgent,
            awaited=is_awaited(group.head()),
            since=since,
            spare=spare,
            ids=ids,
        )

    def _alone_at(self, group: Group, now: float) -> float:
        """Return when a kill that finds no token for many goes on with one id, by its route.

        Those are its first, so that it begins, and its last few. NEVER: it does not.
        """
        head = group.head()
        if head is None or not head.kill or is_lookup(group.route):
            return NEVER
        begins = self._holds.kill_left_at < head.received_at
        wait = sum(ids for _, ids in self._groups.cancels(urgent=True))
        few = wait <= group.route.max_ids // LAST_FEW_SHARE
        alone = single_route(self.venue, head.progress.shape) if begins or few else None
        if alone is None or alone is group.route:
            return NEVER
        if not self._tokens.one_may_leave(alone, now, urgent=not begins):
            return NEVER
        if begins:
            return now
        # All that are left: singles may draw from what others of them need for a batch.
        all_leave_at = self._tokens.spare_at(alone, wait - 1, now)
        return max(now, self._holds.last_few_until(head)) if all_leave_at <= now else NEVER

    def _fill(self, group: Group, most: int, now: float) -> Sending:
        """Return the next request of a group, for at most so many ids."""
        entries = self._take(group, now, most)
        looks, awaited = is_lookup(group.route), is_awaited(entries[0])
        for entry in entries:
            entry.in_flight = True
            if not looks:
                entry.progress = sent(entry.progress)
                for owner in entry.owners:
                    if owner.sent is None:
                        owner.sent = now, now
                    elif owner.sent[1] != now:
                        owner.sent = owner.sent[0], now
            elif entry.kill:  # others no longer wait for it at this list
                self._holds.update(entry, now)
        self._ids_in_flight += len(entries)
        route = self._take_tokens(group.route, entries[0], len(entries), now)
        group.left_at = now
        self._count_out(now)
        waited_s = now - min(entry.since for entry in entries)
        refs = tuple([entry.known for entry in entries])
        batch = Batch(route, refs, group.page, group.read, group.page_size, group.cursor)
        if looks:
            self._holds.reads(batch, 1, awaited=awaited)
        else:
            waiting = sum(ids for _, ids in self._groups.cancels(urgent=True))
            self._record_top.left(entries[0], len(entries), waiting, now)
        return Sending(batch, tuple(entries), now, waited_s, awaited=awaited)

    def _take_tokens(self, planned: Route, head: Entry, count: int, now: float) -> Route:
        """Draw the tokens of a request; a single id may take a route of its own."""
        route = planned
        if count == 1 and not is_lookup(planned):
            alone = single_route(self.venue, head.progress.shape)
            if alone and self._tokens.one_may_leave(alone, now, urgent=head.kill):
                route = alone
        if head.kill and not is_lookup(route):
            self._holds.kill_left(now)
        since = NEVER if head.kill else head.received_at
        awaited = is_awaited(head)
        self._tokens.take(route, now, since, planned, count, urgent=head.kill, awaited=awaited)
        if not is_lookup(route) and self._tokens.keeps_pace(route, now):
            self._load.caught_up(self)
        return route

    def _take(self, group: Group, now: float, most: int) -> list[Entry]:
        """Take as many ids out of a group as a request may hold, each id once."""
        entries: list[Entry] = []
        twins: list[Entry] = []
        ids: set[tuple[IdKind, str]] = set()
        for source in (group, *self._groups.joining(group)):
            if source is not group and not entries:
                break
            while len(entries) < most and (taken := source.take(most - len(entries))):
                for entry in taken:
                    fired = entry.progress.fired
                    named = (entry.progress.kind, fired.became.id if fired else entry.id)
                    if entry.deadline <= now:
                        self._expire(entry, now)
                    elif named in ids:
                        twins.append(entry)
                    else:
                        entries.append(entry)
                        ids.add(named)
                        if source is not group:
                            entry.progress = joining(entry.progress, entries[0].progress)
        for twin in twins:
            self._queue([twin], now, now)
        return entries

    def _most_ids(self, group: Group, now: float) -> int:
        """Return how many ids of a group one request may be for now, as far as tokens reach."""
        route, urgent, most = group.route, is_urgent(group), group.route.max_ids
        if route.list_all_ids:
            orders = self._open_orders(group)
            most = self._lists.most_ids(route, group.page, orders, now, urgent=urgent)
        return self._tokens.reach(route, most, now, urgent=urgent)

    def _open_orders(self, asked: Group) -> int:
        """Return how many orders a whole list shows at least: those still to be canceled."""
        head = asked.head()
        looking = (
            asked.size if head is not None and head.progress.phase is Phase.PRECHECK else 0
        )
        cancels = (g.size for g in self._groups.groups if not is_lookup(g.route))
        return looking + sum(cancels)

    def _expire(self, entry: Entry, now: float) -> None:
        progress = self._blamed(entry, now)
        self._give_back(entry, Returned(entry.ref, progress, now, "deadline"))

    def _land(self, sending: Sending, now: float) -> None:
        self.in_flight -= 1
        self._tokens.release(sending.batch.route, now, len(sending.batch.refs))
        if sending.is_probe:
            self.standing.probed(now)
        if sending.advisory:
            return
        self._ids_in_flight -= len(sending.entries)
        if is_lookup(sending.batch.route):
            self._holds.reads(sending.batch, -1, awaited=sending.awaited)
        else:
            self._record_top.landed()
        for entry in sending.entries:
            entry.in_flight = False

    def _again(self, entries: Sequence[Entry], again: NextStep, now: float) -> None:
        """Have ids go on that have the same before them."""
        for entry in entries:
            entry.progress = hurried(again.progress) if entry.kill else again.progress
            if entry.kill and self._escalations.allowed:
                self._escalations.cancel_next(entry.key, entry.progress)
        if self.standing.halted and self._is_refused(again, now):
            for entry in entries:
                self._finish([entry], refuse(entry.progress, self.standing.why(now)))
        elif again.back_off is None:
            self._go_on(entries, again.delay_s, now)
        else:
            self._back_off(entries, again, backoff_s(*again.back_off, self._rng), now)

    def _back_off(
        self, entries: Sequence[Entry], again: NextStep, pause_s: float, now: float
    ) -> None:
        """Have ids wait after a failure: all of a request as long, so that they stay together.

        A kill's cancel waits no longer than it takes to see whether the venue is back.
        """
        for kill in True, False:
            some = [entry for entry in entries if entry.kill is kill]
            cancels = kill and again.progress.phase is Phase.CANCEL
            wait_s = min(pause_s, KILL_PAUSE_S) if cancels else pause_s
            # Since when an order is missing from the open lists is known here only.
            too_long = wait_s > LONGEST_SLEEP_S and not again.progress.left_at
            at_broker = too_long or again.progress.why in _WAIT_AT_BROKER
            if some:
                self._go_on(some, wait_s, now, at_broker=at_broker)

    def _is_refused(self, again: NextStep, now: float) -> bool:
        """Say whether ids that came back to a halted account are refused with it."""
        return not self._asks_by_cancel() or again.progress.why == self.standing.why(now)

    def _go_on(
        self, entries: Sequence[Entry], delay_s: float, now: float, *, at_broker: bool = False
    ) -> None:
        """Have ids wait for their next step: here, as far as it is for a lag of the venue's."""
        for kill in True, False:
            some = [entry for entry in entries if entry.kill is kill]
            not_before = now + delay_s
            if delay_s and not kill and entries[0].progress.phase is not Phase.CANCEL:
                not_before = on_grid(not_before, delay_s)
            if self._leaving:
                some = self._stay(some, not_before, now)
            if at_broker:
                self._park(some, max(not_before, self.standing.quiet_until))
            else:
                self._queue(some, not_before, now)

    def _stay(self, entries: Sequence[Entry], later: float, now: float) -> list[Entry]:
        """Return ids to withdrawn submissions; keep those that another submission asks for."""
        for entry in entries:
            leaving = [owner for owner in entry.owners if owner in self._leaving]
            for owner in leaving:
                self._part(owner, entry, now, later)
        return [entry for entry in entries if entry.owners]

    def _park(self, entries: Sequence[Entry], not_before: float) -> None:
        for entry in entries:
            self._give_back(
                entry, Returned(entry.ref, entry.progress, not_before, entry.progress.why)
            )

    def _gone(self, entries: Sequence[Entry], word: FinalWord, now: float) -> None:
        """Tell that no such order is found, but only jobs that came long enough ago."""
        waiting: dict[float, list[Entry]] = {}
        for entry in entries:
            for owner in entry.owners:
                if owner.came_at <= word.progress.came_at:
                    self._hand(owner, word.outcome(entry.id))
                    self._disown(owner, entry)
            if entry.owners:
                came_at = min(owner.came_at for owner in entry.owners)
                waiting.setdefault(came_at, []).append(entry)
            else:
                self._forget(entry)
        for came_at, late in waiting.items():
            progress = word.progress._replace(came_at=came_at)
            self._again(late, still_to_come(progress, now, self.venue), now)

    def _finish(self, entries: Sequence[Entry], word: FinalWord) -> None:
        for entry in entries:
            self._give_back(entry, word.outcome(entry.id))

    def _give_back(self, entry: Entry, result: Result) -> None:
        for owner in entry.owners:
            self._hand(owner, result)
        self._forget(entry)

    def _hand(self, owner: Submission, result: Result) -> None:
        self._results.append((owner, result))
        run = self._scopes.get(owner) if self._scopes else None
        if run is not None and isinstance(result, CancelOutcome):
            run.told(result)
        elif run is not None and isinstance(result, Returned):
            run.returned = run.returned or result.why

    def _end_scopes(self, now: float) -> None:
        """End the scopes that are over, and whose orders all have their outcomes."""
        for owner, run in list(self._scopes.items()):
            run.turn(now)
            if run.is_over:
                self._look_for_awaited(run, now)
            if run.returned and not owner.withdrawn:
                self.withdraw(owner, run.returned, now)
            elif run.is_over and not owner.waits:
                self._end_scope(owner, run)

    def _end_withdrawn(self, owner: Submission) -> None:
        """End a scope that its job wants back, once none of its orders is in flight."""
        run = self._scopes.get(owner)
        if run is not None and owner.withdrawn and not owner.waits:
            late = owner.withdrawn == "deadline"
            self._end_scope(owner, run, goes_on="" if late else owner.withdrawn)

    def _end_scope(self, owner: Submission, run: ScopeRun, *, goes_on: str = "") -> None:
        del self._scopes[owner]
        self._leaving.discard(owner)
        self._ended.append((owner, run.end(goes_on=goes_on)))

    def _forget(self, entry: Entry) -> None:
        dequeue(entry)
        if self._entries.pop(entry.key, None) is not None:
            self._holds.forget(entry)
            self._escalations.forget(entry.key, entry.progress.symbol)
        if not self._entries:
            self._load.caught_up(self)
            self._record_top.forget()
        for owner in entry.owners:
            self._disown(owner, entry)

    def _disown(self, owner: Submission, entry: Entry) -> None:
        entry.owners = tuple([other for other in entry.owners if other is not owner])
        owner.waits -= 1
        if not owner.waits:
            owner.entries = ()
            if owner in self._scopes:
                self._end_withdrawn(owner)
                return
            self._leaving.discard(owner)

    def asks(self, owner: Submission) -> bool:
        """Say whether a job still waits for ids."""
        return owner.waits > 0 or owner in self._scopes


def _key(kind: str, order_id: str) -> EntryKey:
    return order_id if kind == IdKind.VENUE else (kind, order_id)


#: Ids that were rate-limited just now wait at the broker, not in a thread.
_WAIT_AT_BROKER = frozenset({"throttled", "banned"})
