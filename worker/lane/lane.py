"""The lane of one account: whose id leaves next, with whom, and when. Pure but for its state.

A lane holds the waiting ids of all running tasks. Whenever the quotas of a route allow a
request, the most pressing group of ids that fit together leaves, filled to the brim. The
caller brings the clock (monotonic seconds) and a lock, sends, and reports back.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter

from venues.base import Batch, Route, Venue
from venues.words import OPEN_STATES, IdKind, OrderRef
from worker.lane.glance import Glances
from worker.lane.holds import Holds, Load, PriorityKey, on_grid, priority
from worker.lane.list_all import WholeLists
from worker.lane.queues import Queues
from worker.lane.submission import Result, Submission
from worker.lane.waiting import (
    Group,
    Item,
    Sending,
    full_since,
    is_lookup,
    is_urgent,
    shareable,
    unqueue,
)
from worker.orders.follow import (
    ACCOUNT_WIDE,
    Again,
    Asked,
    Course,
    FinalWord,
    doubted,
    missed,
    noted,
    refuse,
    sent,
    step,
    unlisted,
)
from worker.orders.judge import Judgement
from worker.orders.progress import Cohort, OrderProgress, Phase, joined
from worker.orders.retry import LONGEST_SLEEP_S, Parked, backoff_s
from worker.orders.routes import alone_route
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER, Pace

__all__ = ["Group", "Item", "Lane", "Pause", "Sending"]

#: Requests of one account under way at once; quotas are usually tighter.
MOST_IN_FLIGHT = 64
#: A throttled account is quiet for at least this long.
SHORTEST_PAUSE_S = 1.0
#: A ban without a stated end is taken to last this long: the shortest that a venue documents.
BAN_S = 30.0


@dataclass(frozen=True, slots=True)
class Pause:
    """The account is quiet for `pause_s`; `attempt` counts the throttled answers in a row."""

    pause_s: float
    attempt: int


class Lane:
    """All waiting ids of one account, and the tokens of its quotas."""

    def __init__(
        self,
        venue: Venue,
        paces: Mapping[str, Pace],
        rng: random.Random,
        *,
        verify: bool = False,
        load: Load | None = None,
    ) -> None:
        self.venue = venue
        self._tokens = Tokens(paces)
        self._load = load or Load()
        self._holds = Holds(venue, self._tokens, self._load, self)
        self.halted = ""
        self.paused_until = -NEVER
        self.quiet_until = NEVER
        self.in_flight = 0
        self._results: list[tuple[Submission, Result]] = []
        self._rng = rng
        self._verify = verify
        self._throttles = 0
        self._lists = WholeLists()
        self._glances = Glances(venue)
        self._seq = itertools.count()
        self._items: dict[tuple[object, ...], Item] = {}
        self._of: dict[Submission, dict[Item, None]] = {}
        self._leaving: set[Submission] = set()
        self._flying = 0
        self._kill_left_at = -NEVER
        self._queues = Queues(venue)

    # -- what tasks do -------------------------------------------------------------------

    def add(self, owner: Submission, cohorts: Iterable[Cohort], now: float) -> None:
        """Take a task's ids in; one that another task asked for is shared with it."""
        for cohort in cohorts:
            if self.halted:
                word = refuse(cohort.progress, self.halted)
                for order_id in cohort.ids:
                    self._hand(owner, word.outcome(order_id))
            else:
                self._add(owner, cohort, now)

    def _add(self, owner: Submission, cohort: Cohort, now: float) -> None:
        if not self._items:
            self._load.started(self)
        asked, fresh = self._of.setdefault(owner, {}), []
        if owner.withdrawn:
            self._leaving.add(owner)
        for ref in cohort.refs():
            key: tuple[object, ...] = (ref.kind, ref.id)
            item = self._items.get(key)
            if item is not None and not shareable(item):
                key, item = (*key, next(self._seq)), None
            if item is None:
                item = self._items[key] = self._item(key, ref, cohort.progress, owner, now)
                fresh.append(item)
            else:
                self._share(item, owner, cohort.progress, now)
            asked[item] = None
        self._queue(fresh, now, now)
        if owner.kill and cohort.progress.phase is Phase.CANCEL:
            self._glances.add(fresh)

    def _item(
        self,
        key: tuple[object, ...],
        ref: OrderRef,
        progress: OrderProgress,
        owner: Submission,
        now: float,
    ) -> Item:
        came_at = min(now, owner.received_at)
        return Item(key, ref, progress, {owner: None}, next(self._seq), owner.kill, came_at)

    def _share(
        self, item: Item, owner: Submission, progress: OrderProgress, now: float
    ) -> None:
        """Another job asks for an id that is here: it may know more, or be in a hurry."""
        self._learn(item, progress, now)
        item.owners[owner] = None
        if owner.kill and not item.kill:
            self._hurry(item, now)

    def _learn(self, item: Item, progress: OrderProgress, now: float) -> None:
        """Another job may know more of the id, and so change with whom it travels."""
        known, item.progress = item.known, joined(item.progress, progress)
        if item.known != known and not item.flying:
            unqueue(item)
            self._queue([item], max(now, item.since), now)
        self._holds.update(item, now)

    def _hurry(self, item: Item, now: float) -> None:
        """A kill job asks for an id that waits as routine: it goes as a kill now."""
        if item.flying:
            item.kill = True
            self._holds.update(item, now)
            return
        unqueue(item)
        item.kill = True
        self._queue([item], now, now)

    def withdraw(self, owner: Submission, why: str, now: float) -> None:
        """Give a task its waiting ids back; those in flight follow when their answer is in."""
        owner.withdrawn = why
        if owner in self._of:
            self._leaving.add(owner)
        for item in list(self._of.get(owner, ())):
            if not item.flying:
                self._part(owner, item, max(now, self.paused_until))

    def _part(self, owner: Submission, item: Item, not_before: float) -> None:
        del item.owners[owner]
        self._disown(owner, item)
        self._hand(owner, Parked(item.ref, item.progress, not_before, owner.withdrawn))
        if not item.owners:
            self._forget(item)

    def take_results(self) -> list[tuple[Submission, Result]]:
        """Return the results since the last call, each with the submission that it is for."""
        taken, self._results = self._results, []
        return taken

    def withdraw_all(self, why: str, now: float) -> None:
        """Give every task its waiting ids back: the worker stops, or lost the lane."""
        for owner in list(self._of):
            self.withdraw(owner, why, now)

    # -- what the sender does ------------------------------------------------------------

    def next(self, now: float) -> Sending | None:
        """Return the request that may leave now, its tokens taken; None if none may.

        After None, `quiet_until` says when to ask again, unless something happens before.
        """
        self.quiet_until, group = self._soonest(now)
        if self.quiet_until > now:
            return None
        return self._glance(now) if group is None else self._fill(group, now)

    def next_at(self, now: float) -> float:
        """Return when `next` is worth asking again; NEVER: not before something happens."""
        return self._soonest(now)[0]

    def _soonest(self, now: float) -> tuple[float, Group | None]:
        """Return when the next request may leave, and of which group; None: a glance."""
        self._queues.wake(now)
        soonest = self._queues.wakes_at
        if self.halted or self.in_flight >= MOST_IN_FLIGHT:
            return (NEVER if self.halted else soonest), None
        for group in self._by_rank(now):
            at = max(self._ready_at(group, now), self.paused_until)
            if at <= now:
                return now, group
            soonest = min(soonest, at)
        glance = self._glances.group()
        if glance is not None:
            at = self._tokens_at(glance, now)
            soonest = min(soonest, max(at, self.paused_until))
        return soonest, None

    def _glance(self, now: float) -> Sending | None:
        """Return a look for ids of kills that wait for a token."""
        group = self._glances.group()
        if group is None:
            return None
        items = self._glances.take(self._most_ids(group, now))
        self._tokens.take(group.route, now)
        self.in_flight += 1
        batch = Batch(group.route, tuple(item.known for item in items))
        return Sending(batch, items, now, 0.0, glance=True)

    def answered(
        self, sending: Sending, said: Mapping[OrderRef, Judgement], now: float
    ) -> None:
        """Take the judgements of a reply in, one for each reference of the batch."""
        self._land(sending, now)
        if sending.batch.lists_all:
            self._lists.came(sending.batch.route)
        refused = any(judged.verdict in ACCOUNT_WIDE for judged in said.values())
        if not refused and sending.started >= self.paused_until:
            self._throttles = 0
        if sending.glance:
            self._glanced(sending, said, now)
            return
        asked = Asked(
            venue=self.venue,
            route=sending.batch.route,
            started=sending.started,
            ended=now,
            alone=len(sending.items) == 1,
            wide=sending.batch.lists_all,
            verify=self._verify,
        )
        # Of many orders most are known alike, and said alike: each step is worked out once.
        next_step = cache(lambda progress, judged: step(progress, judged, asked))
        courses = [
            next_step(item.progress, said[ref])
            for item, ref in zip(sending.items, sending.batch.refs, strict=True)
        ]
        self._follow(sending.items, courses, now)

    def _glanced(
        self, sending: Sending, said: Mapping[OrderRef, Judgement], now: float
    ) -> None:
        """Learn from what was seen open; what was not seen says nothing."""
        for item, ref in zip(sending.items, sending.batch.refs, strict=True):
            seen = said[ref].ord_status in OPEN_STATES
            if seen and self._items.get(item.key) is item:
                self._learn(item, noted(item.progress, said[ref]), now)

    def not_sent(self, sending: Sending, why: str, now: float) -> None:
        """The request surely never reached the venue."""
        self._land(sending, now)
        self._all_again(sending, lambda progress: missed(progress, why), now)

    def in_doubt(self, sending: Sending, why: str, now: float) -> None:
        """No whole reply came: the request may have had its effect."""
        self._land(sending, now)
        if not sending.batch.lists_all:
            self._all_again(
                sending, lambda progress: doubted(progress, why, now, self.venue), now
            )
            return
        self._lists.did_not_come(sending.batch.route, now)
        self._all_again(sending, unlisted, now)

    def _all_again(
        self, sending: Sending, miss: Callable[[OrderProgress], Again], now: float
    ) -> None:
        """Have all ids of a request go on that brought no reply."""
        next_step = cache(miss)
        items = () if sending.glance else sending.items
        self._follow(items, [next_step(item.progress) for item in items], now)

    def _follow(self, items: Sequence[Item], courses: Sequence[Course], now: float) -> None:
        """Take ids a step on; neighbors with the same course go together."""
        for course, same in groupby(zip(courses, items, strict=True), key=itemgetter(0)):
            those = [item for _, item in same]
            if isinstance(course, Again):
                self._again(those, course, now)
            else:
                self._finish(those, course)

    # -- what the account suffers --------------------------------------------------------

    def pause(self, now: float, retry_after_s: float | None, *, banned: bool = False) -> Pause:
        """The venue refused for rate: be quiet, no shorter than it asks for.

        What is refused during a pause had left before it: that is one refusal, not many.
        """
        if now >= self.paused_until:
            self._throttles += 1
        grown = backoff_s(self._throttles, SHORTEST_PAUSE_S, self._rng)
        asked = retry_after_s or (BAN_S if banned else 0.0)
        pause_s = max(SHORTEST_PAUSE_S, asked, grown)
        self.paused_until = max(self.paused_until, now + pause_s)
        return Pause(pause_s, self._throttles)

    def halt(self, reason: str) -> None:
        """Stop the account: every waiting id gets its final word, and every one that comes."""
        self.halted = reason
        for item in list(self._items.values()):
            if not item.flying:
                self._finish([item], refuse(item.progress, reason))

    def start_spent(self, now: float) -> None:
        """Another worker may have used the quotas just now."""
        self._tokens.start_spent(now)

    # -- figures -------------------------------------------------------------------------

    def waiting(self) -> int:
        """Return how many ids are in the lane and not in flight."""
        return len(self._items) - self._flying

    def oldest_s(self, now: float) -> float:
        """Return how long the oldest id has been in the lane, in seconds."""
        oldest = next(iter(self._items.values()), None)
        return now - oldest.entered if oldest else 0.0

    # -- inside --------------------------------------------------------------------------

    def _queue(self, items: Sequence[Item], not_before: float, now: float) -> None:
        """Have ids wait for their next step: of one progress, and all kills or none."""
        self._queues.put(items, not_before, now)
        for item in items:
            if item.kill:
                self._holds.update(item, now)

    def _head(self, group: Group, now: float) -> Item | None:
        """Return the most pressing id of a group that still may leave."""
        while (head := group.head()) is not None and head.deadline <= now:
            self._expire(head, now)
        return head

    def _by_rank(self, now: float) -> list[Group]:
        """Return the groups with ids, most pressing first."""
        found: list[tuple[PriorityKey, Group]] = []
        for group in self._queues.each():
            head = self._head(group, now)
            if head is None:
                continue
            found.append((priority(group, head, now), group))
        return [group for _, group in sorted(found, key=itemgetter(0))]

    def _ready_at(self, group: Group, now: float) -> float:
        ready_at = self._tokens_at(group, now)
        if ready_at > now and self._begins_with_one(group, now):
            return now
        most = self._most_ids(group, now)
        return max(ready_at, self._holds.until(group, self._queues.groups, most, now))

    def _tokens_at(self, group: Group, now: float) -> float:
        """Return when there are tokens for a request of the group, beside all that wait."""
        urgent = is_urgent(group)
        spare = self._queues.cancels(urgent=urgent) if is_lookup(group.route) else ()
        since = full_since(group)
        return self._tokens.ready_at(group.route, now, urgent=urgent, since=since, spare=spare)

    def _begins_with_one(self, group: Group, now: float) -> bool:
        """Say whether a kill that finds no token for many begins with one id, by its route."""
        head = group.head()
        if head is None or not head.kill or self._kill_left_at >= head.entered:
            return False
        alone = None if is_lookup(group.route) else alone_route(self.venue, head.progress.shape)
        if alone is None or alone is group.route:
            return False
        return self._tokens.one_may_leave(alone, now, urgent=False)

    def _fill(self, group: Group, now: float) -> Sending:
        few = self._tokens_at(group, now) > now
        items = self._take(group, now, 1 if few else self._most_ids(group, now))
        looks = is_lookup(group.route)
        for item in items:
            item.flying = True
            if not looks:
                item.progress = sent(item.progress)
            elif item.kill:  # others no longer wait for it at this list
                self._holds.update(item, now)
        self._flying += len(items)
        route = self._take_tokens(group.route, items[0], len(items), now)
        self.in_flight += 1
        waited_s = now - min(item.since for item in items)
        refs = tuple([item.known for item in items])
        return Sending(Batch(route, refs, group.page), tuple(items), now, waited_s)

    def _take_tokens(self, planned: Route, head: Item, count: int, now: float) -> Route:
        """Draw the tokens of a request; a single id may take a route of its own."""
        route = planned
        if count == 1 and not is_lookup(planned):
            alone = alone_route(self.venue, head.progress.shape)
            if alone and self._tokens.one_may_leave(alone, now, urgent=head.kill):
                route = alone
        if head.kill and not is_lookup(route):
            self._kill_left_at = now
        self._tokens.take(route, now, NEVER if head.kill else head.entered, planned)
        if not is_lookup(route) and self._tokens.keeps_pace(route, now):
            self._load.caught_up(self)
        return route

    def _take(self, group: Group, now: float, most: int) -> list[Item]:
        """Take as many ids out of a group as a request may hold, each id once."""
        items: list[Item] = []
        twins: list[Item] = []
        ids: set[tuple[IdKind, str]] = set()
        while len(items) < most and (taken := group.take(most - len(items))):
            for item in taken:
                named = (item.ref.kind, item.ref.id)
                if item.deadline <= now:
                    self._expire(item, now)
                elif named in ids:
                    twins.append(item)
                else:
                    items.append(item)
                    ids.add(named)
        for twin in twins:
            self._queue([twin], now, now)
        return items

    def _most_ids(self, group: Group, now: float) -> int:
        """Return how many ids of a group one request may be for."""
        route = group.route
        if not route.list_all_ids:
            return route.max_ids
        open_orders, urgent = self._open_orders(group), is_urgent(group)
        return self._lists.most_ids(route, group.page, open_orders, now, urgent=urgent)

    def _open_orders(self, asked: Group) -> int:
        """Return how many orders a whole list shows at least: those still to be canceled."""
        head = asked.head()
        looking = (
            asked.size if head is not None and head.progress.phase is Phase.PRECHECK else 0
        )
        cancels = (g.size for g in self._queues.groups if not is_lookup(g.route))
        return looking + sum(cancels)

    def _expire(self, item: Item, now: float) -> None:
        self._give_back(item, Parked(item.ref, item.progress, now, "deadline"))

    def _land(self, sending: Sending, now: float) -> None:
        self.in_flight -= 1
        self._tokens.give_back(sending.batch.route, now)
        if sending.glance:
            return
        self._flying -= len(sending.items)
        for item in sending.items:
            item.flying = False

    def _again(self, items: Sequence[Item], again: Again, now: float) -> None:
        """Have ids go on that have the same before them."""
        for item in items:
            item.progress = again.progress
        if self.halted:
            for item in items:
                self._finish([item], refuse(item.progress, self.halted))
        elif again.back_off is None:
            self._go_on(items, again.delay_s, now)
        else:
            for item in items:
                pause_s = backoff_s(*again.back_off, self._rng)
                self._go_on([item], max(again.delay_s, pause_s), now)

    def _go_on(self, items: Sequence[Item], delay_s: float, now: float) -> None:
        for kill in True, False:
            some = [item for item in items if item.kill is kill]
            not_before = now + delay_s
            if delay_s and not kill and items[0].progress.phase is not Phase.CANCEL:
                not_before = on_grid(not_before)
            parked_until = max(not_before, self.paused_until)
            if self._leaving:
                some = self._stay(some, parked_until)
            if delay_s > LONGEST_SLEEP_S or items[0].progress.why in _WAIT_AT_BROKER:
                self._park(some, parked_until)
            else:
                self._queue(some, not_before, now)

    def _stay(self, items: Sequence[Item], not_before: float) -> list[Item]:
        """Give ids to the tasks that leave; return those that somebody else asks for."""
        for item in items:
            leaving = [owner for owner in item.owners if owner in self._leaving]
            for owner in leaving:
                self._part(owner, item, not_before)
        return [item for item in items if item.owners]

    def _park(self, items: Sequence[Item], not_before: float) -> None:
        for item in items:
            self._give_back(
                item, Parked(item.ref, item.progress, not_before, item.progress.why)
            )

    def _finish(self, items: Sequence[Item], word: FinalWord) -> None:
        for item in items:
            self._give_back(item, word.outcome(item.ref.id))

    def _give_back(self, item: Item, result: Result) -> None:
        for owner in item.owners:
            self._hand(owner, result)
        self._forget(item)

    def _hand(self, owner: Submission, result: Result) -> None:
        self._results.append((owner, result))

    def _forget(self, item: Item) -> None:
        unqueue(item)
        if self._items.pop(item.key, None) is not None:
            self._holds.forget(item)
        if not self._items:
            self._load.caught_up(self)
        for owner in item.owners:
            self._disown(owner, item)

    def _disown(self, owner: Submission, item: Item) -> None:
        asked = self._of[owner]
        del asked[item]
        if not asked:
            del self._of[owner]
            self._leaving.discard(owner)


#: Ids that were refused for rate wait at the broker, not in a thread.
_WAIT_AT_BROKER = frozenset({"throttled", "banned"})
