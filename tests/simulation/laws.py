"""The laws that every run must keep, each checked against a count of the simulation's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.meters import EPSILON_S
from venues.base import Quota, Route
from venues.words import Purpose
from worker.lane.holds import Load
from worker.lane.lane import Entry, Group, Lane, Sending
from worker.lane.standing import ASK_AGAIN_S
from worker.orders.follow import next_route
from worker.orders.progress import Phase
from worker.orders.routes import batch_key, quotas_of_cancels, single_route
from worker.pacing.pace import EVEN_WINDOW_S, KILL_SHARE, LONG_USE_S, NEVER
from worker.pacing.shared import BEGINS

#: What could leave waits for others, which it may go with or which are in a hurry, for at most
#: so many seconds. A cancel waits for nobody while the process keeps up.
KILL_WAITS_S = 2.0
#: Routine requests that may as well be smaller take no more of a short window than its tenth.
STEPS_A_WINDOW = 10
ROUTINE_WAITS_S = 3.0
#: A lane that begins has a token of the quotas that it shares after so many seconds.
BEGINS_WITHIN_S = 1.5
#: A kill's cancel that is not full waits at least and at most so long for kills that came so
#: soon after one left: longest for those that are in the worker's hands.
STREAM_S, STREAM_GAP_S, IN_HAND_S = 0.02, 0.1, 0.25
#: A routine cancel that is not full waits at most so long for others, while jobs come late.
FILL_S = 0.5

#: The groups of a lane that have ids, each with its most pressing one.
Heads = Sequence[tuple[Group, Entry]]
#: The most pressing id of a group, as a kill's or not.
Waiter = tuple[Entry, bool]


class LawBroken(AssertionError):
    """A law does not hold: which, and what was seen."""

    def __init__(self, law: str, seen: str, now: float) -> None:
        super().__init__(f"law {law!r} at {now:.6f}: {seen}")
        self.law = law


@dataclass(slots=True)
class Ledger:
    """What a worker knows of one quota, counted once more apart from its pace."""

    quota: Quota
    blind_until: float = 0.0  # it took over and does not know what was sent before
    in_flight: int = 0
    #: Until when the next one keeps its distance: from what was sent last, from a cancel.
    after_sent: float = -float("inf")
    after_cancel: float = -float("inf")
    used_since: float = float("inf")
    ended: deque[float] = field(default_factory=deque)
    sent_at: dict[object, deque[float]] = field(default_factory=dict)  # of each lane
    ids_at: dict[object, float] = field(default_factory=dict)  # when a lane last had some

    def sent(self, lane: object, route: Route, now: float, tokens: int) -> None:
        self.sent_at.setdefault(lane, deque()).extend([now] * tokens)
        if self.free(now) == self.quota.limit:
            self.used_since = now
        self.in_flight += tokens
        self.after_sent = now + tokens * self.gap_s
        if route.purpose is Purpose.CANCEL:
            self.after_cancel = self.after_sent

    def landed(self, now: float, tokens: int) -> None:
        self.in_flight -= tokens
        self.ended.extend([now] * tokens)

    @property
    def gap_s(self) -> float:
        """How far routine requests of one token are apart."""
        return self.quota.window_s / self.quota.limit

    def may_be_free(self, now: float) -> int:
        """Return how many tokens are free now, with those that come back at this moment."""
        back = sum(ended + self.quota.window_s <= now + EPSILON_S for ended in self.ended)
        return self.quota.limit - self.in_flight - len(self.ended) + back

    def free(self, now: float) -> int:
        """Return how many tokens may be taken now."""
        while self.ended and self.ended[0] + self.quota.window_s <= now - EPSILON_S:
            self.ended.popleft()
        return self.quota.limit - self.in_flight - len(self.ended)

    def kept(self, kill: bool, now: float, *, looks: bool = False) -> int:
        """Return how many tokens a request leaves to a kill, or a kill's look-up to cancels."""
        if kill and not (looks and self.is_long):
            return 0
        if self.is_long:
            return int(self.quota.limit * KILL_SHARE)
        return int(now - self.used_since >= LONG_USE_S - EPSILON_S)

    @property
    def is_long(self) -> bool:
        return self.quota.window_s > EVEN_WINDOW_S

    def had(self, lane: object, now: float) -> int:
        """Return how many tokens a lane took in the last window."""
        sent_at = self.sent_at.get(lane, deque())
        while sent_at and sent_at[0] <= now - self.quota.window_s - EPSILON_S:
            sent_at.popleft()
        return len(sent_at)

    def first_sent_at(self, now: float) -> list[float]:
        """Return when each lane took the first of its tokens of the last window."""
        return [self.sent_at[lane][0] for lane in self.sent_at if self.had(lane, now)]

    def left_to_lanes(self, lane: object, now: float) -> int:
        """Return how many tokens at most a lane leaves to others: none, if it is alone."""
        since = now - self.quota.window_s - EPSILON_S
        others = sum(other is not lane and at >= since for other, at in self.ids_at.items())
        return others and others + -(-self.had(lane, now) // BEGINS)

    def open_to(self, lane: object, route: Route, kill: bool, now: float, tokens: int) -> bool:
        """Return whether a request may start now, if its lane has nothing else to leave."""
        if self.blind_until > now:
            return False
        after = self.after_cancel if route.purpose is Purpose.CANCEL else self.after_sent
        spaced = kill or self.is_long or now >= after + EPSILON_S
        looks = route.purpose is Purpose.LOOKUP
        left = self.kept(kill, now, looks=looks) + self.left_to_lanes(lane, now)
        return spaced and self.free(now) >= min(tokens + left, self.quota.limit)


@dataclass(slots=True, eq=False)
class Watch:
    """Watches one lane of one worker."""

    lane: Lane
    ledgers: Mapping[str, Ledger]
    load: Load
    quiet_until: float = 0.0  # the venue asked for so long
    refusals: int = 0  # of the key
    refused_at: float = 0.0  # the last one
    asking: bool = False  # nobody was answered since
    _kill_left_at: float = -float("inf")  # a kill's last cancel
    _able_since: dict[Waiter, float] = field(default_factory=dict)  # what could leave, by now
    _begins_since: float = float("inf")  # could leave but for others of its address, at last

    def before_send(self, sending: Sending, now: float) -> None:
        """Check a request that is about to leave, then count it."""
        if now < self.quiet_until - EPSILON_S:
            raise LawBroken("quiet", f"sent before {self.quiet_until:.6f}", now)
        if self.asking and (now < self.refused_at + ASK_AGAIN_S or self.lane.in_flight > 1):
            raise LawBroken("quiet", f"the key was refused at {self.refused_at:.6f}", now)
        if sending.is_probe:
            self._count(sending, now)
            return
        if sending.reads_top:
            self._check_cancels_first(sending, now)
            self._check_cancels_tokens(sending, now)
            self._count(sending, now)
            return
        self._check_ids(sending, now)
        self._check_filled(sending, now)
        if not sending.entries[0].kill:
            self._check_kill_first(now)
        if sending.batch.route.purpose is Purpose.LOOKUP:
            self._check_cancels_first(sending, now)
            self._check_cancels_tokens(sending, now)
            self._check_share_of_kills(sending, now)
        self._check_beginning(now)
        self._count(sending, now)
        planned, ids = self._planned(sending), len(sending.batch.refs)
        if sending.batch.route.purpose is Purpose.CANCEL:
            if sending.entries[0].kill:
                self._kill_left_at = now
            for name, ledger in self._drawn(planned):
                ledger.after_cancel = now + planned.tokens(name, ids) * ledger.gap_s

    def _count(self, sending: Sending, now: float) -> None:
        route, ids = sending.batch.route, len(sending.batch.refs)
        for name, ledger in self._drawn(route):
            ledger.sent(self, route, now, route.tokens(name, ids))

    def landed(self, sending: Sending, now: float) -> None:
        """Count the end of a request."""
        route, ids = sending.batch.route, len(sending.batch.refs)
        for name, ledger in self._drawn(route):
            ledger.landed(now, route.tokens(name, ids))

    def refused(self, sending: Sending, now: float) -> None:
        """Count a refusal of the key; what left before the last one came is one with it."""
        if sending.started >= self.refused_at:
            self.refusals += 1
            self.refused_at, self.asking = now, True

    def served(self, sending: Sending) -> None:
        """Note that the venue answered a request."""
        if sending.started >= self.refused_at:
            self.asking = False

    def _drawn(self, route: Route) -> Iterable[tuple[str, Ledger]]:
        return [(name, self.ledgers[name]) for name in route.quotas if name in self.ledgers]

    def _open_to(self, route: Route, kill: bool, now: float, ids: int) -> bool:
        """Say whether a request for so many ids may start; where only ids cost, for one."""
        least = {name: ids if route.cost_of(name).per_request else 1 for name in route.quotas}
        return all(
            ledger.open_to(self, route, kill, now, route.tokens(name, least[name]))
            for name, ledger in self._drawn(route)
        )

    def _reach(self, route: Route, kill: bool, now: float) -> int:
        """Return for how many ids a request may be as far as the tokens go."""
        most = route.max_ids
        for name, ledger in self._drawn(route):
            cost = route.cost_of(name)
            if cost.per_id:
                free = ledger.free(now) - ledger.kept(kill, now)
                if not (kill or cost.per_request or ledger.is_long):
                    free = min(free, -(-ledger.quota.limit // STEPS_A_WINDOW))
                most = min(most, (free - cost.per_request) // cost.per_id)
        return max(1, most)

    def _check_ids(self, sending: Sending, now: float) -> None:
        refs, route = sending.batch.refs, sending.batch.route
        named = {(ref.kind, ref.id) for ref in refs}
        most = max(route.max_ids, route.list_all_ids)
        if not 1 <= len(refs) <= most or len(named) < len(refs):
            raise LawBroken("batch", f"{len(refs)} ids, of them {len(named)} others", now)
        if len({batch_key(route, ref) for ref in refs}) > 1:
            raise LawBroken("batch", "ids that do not fit together", now)
        if any(entry.deadline <= now for entry in sending.entries):
            raise LawBroken("deadline", "an id leaves after its deadline", now)

    def _check_filled(self, sending: Sending, now: float) -> None:
        """No request is smaller than it could have been; one id may go by its own route."""
        if sending.advisory:
            return  # it is for ids that wait for their cancel
        batch, planned = sending.batch, self._planned(sending)
        if planned is not batch.route and batch.route is not self._alone(sending):
            raise LawBroken("batch", f"{batch.route.name} in place of {planned.name}", now)
        kill = sending.entries[0].kill
        # After a whole list that proved nothing, a lane may ask by id.
        if len(batch.refs) in (planned.max_ids, planned.list_all_ids):
            return
        if len(batch.refs) >= self._reach(planned, kill, now):
            return
        refs = {entry.ref for entry in sending.entries}
        mates = [
            entry
            for entry in self._waiting(now)
            if entry.ref not in refs and self._fits(entry, sending)
        ]
        ids = min(1 + len(mates), planned.max_ids)
        if kill and planned is not batch.route and not self._open_to(planned, True, now, ids):
            return  # it begins with one, as no token is there for many
        if mates:
            raise LawBroken("filled", f"{len(batch.refs)} leave, {len(mates)} could too", now)

    def _planned(self, sending: Sending) -> Route:
        return next_route(sending.entries[0].progress, self.lane.venue)

    def _alone(self, sending: Sending) -> Route | None:
        [first, *more] = sending.batch.refs
        return None if more else single_route(self.lane.venue, first.shape)

    def _fits(self, entry: Entry, sending: Sending) -> bool:
        batch, progress, planned = sending.batch, entry.progress, self._planned(sending)
        page = progress.search.page
        return (
            next_route(progress, self.lane.venue) is planned
            and (page, *progress.search.read[:2]) == (batch.page, batch.read, batch.size)
            and batch_key(planned, progress) == batch_key(planned, batch.refs[0])
        )

    def _waiting(self, now: float) -> list[Entry]:
        return [
            entry
            for entry in self.lane.entries()
            if not entry.in_flight and entry.since <= now < entry.deadline
        ]

    def _heads(self, now: float) -> Heads:
        heads = [(group, group.head()) for group in self.lane.groups()]
        return [(group, head) for group, head in heads if head and head.deadline > now]

    def _check_kill_first(self, now: float) -> None:
        """A request of routine ids leaves only if no cancel of a kill could leave instead."""
        for group, head in self._heads(now):
            if head.kill and self._must_leave(group, head, now):
                raise LawBroken("kill first", f"a kill waits at {group.route.name}", now)

    def _check_cancels_first(self, sending: Sending, now: float) -> None:
        """A look-up leaves only if no cancel of its rank could leave in its place."""
        kill = _is_for_a_kill(sending)
        for group, head in self._heads(now):
            if (head.kill or not kill) and self._must_leave(group, head, now):
                raise LawBroken("cancels first", f"one waits at {group.route.name}", now)

    def _check_cancels_tokens(self, sending: Sending, now: float) -> None:
        """A look-up takes no token that a cancel of its rank waits for, of any quota."""
        kill, drawn = _is_for_a_kill(sending), dict(self._drawn(sending.batch.route))
        for group, head in self._heads(now):
            if group.route.purpose is Purpose.LOOKUP or (kill and not head.kill):
                continue
            for name, ledger in self._drawn(group.route):
                takes = sending.batch.route.tokens(name, len(sending.batch.refs))
                wants = takes + group.route.tokens(name, 1)
                if name in drawn and ledger.may_be_free(now) < min(wants, ledger.quota.limit):
                    raise LawBroken("cancels' tokens", f"one of {name} is taken", now)

    def _check_share_of_kills(self, sending: Sending, now: float) -> None:
        """A kill's look-up leaves a share of a long window to the cancels of kills to come."""
        route, ids = sending.batch.route, len(sending.batch.refs)
        for name, ledger in self._drawn(route):
            if not ledger.is_long or name not in quotas_of_cancels(self.lane.venue):
                continue
            takes, limit = route.tokens(name, ids), ledger.quota.limit
            left = ledger.may_be_free(now) - takes
            if _is_for_a_kill(sending) and left < min(int(limit * KILL_SHARE), limit - takes):
                raise LawBroken("kill's share", f"{left} of {name} are left", now)

    def _must_leave(self, group: Group, head: Entry, now: float) -> bool:
        """Say whether a cancel has nothing to wait for.

        One of routine may leave the processor to others while the process is late, and wait for
        others where it is not full and the process is given its jobs late.
        """
        if group.route.purpose is Purpose.LOOKUP:
            return False
        fills = group.size < group.route.max_ids and now < head.since + FILL_S
        late_until = max(self.load.busy_until, self.load.behind_until if fills else -NEVER)
        may_wait = not head.kill and now < late_until
        return not may_wait and self._open(group, head, now)

    def _open(self, group: Group, head: Entry, now: float) -> bool:
        ids = min(group.size, group.route.max_ids)
        return self._open_to(group.route, head.kill, now, ids)

    def at_rest(self, now: float) -> None:
        """Check that nothing is lost, nothing oversleeps, and nothing waits for too long."""
        able_since, self._able_since = self._able_since, {}
        if self.lane.entries():
            for ledger in self.ledgers.values():
                ledger.ids_at[self] = now
        self._check_beginning(now)
        if self.lane.standing.shut:
            return
        lost = [entry for entry in self._waiting(now) if entry.group is None]
        if lost:
            raise LawBroken("progress", f"{lost[0].ref.id} is in no queue", now)
        lane = self.lane
        if now < lane.standing.quiet_until or lane.in_flight >= lane.most_in_flight:
            return
        heads = self._heads(now)
        stream = [group for group, head in heads if self._waits_for_kills(group, head, now)]
        is_left_room = stream or now < self._kill_left_at + STREAM_S
        for group, head in heads:
            if group in stream or (is_left_room and not head.kill):
                continue  # one more kill may come in a moment; nothing else leaves meanwhile
            if self._must_leave(group, head, now):
                raise LawBroken("progress", f"{group.route.name} could leave and stays", now)
        cancels = [heading for heading in heads if heading[0].route.purpose is Purpose.CANCEL]
        self._check_patience(cancels or heads, able_since, now)

    def _waits_for_kills(self, group: Group, head: Entry, now: float) -> bool:
        """Say whether a kill's cancel that is not full may wait for more kills of a stream."""
        streams = head.since < self._kill_left_at + STREAM_GAP_S
        not_full = head.kill and group.size < group.route.max_ids
        is_cancel = group.route.purpose is Purpose.CANCEL
        return is_cancel and not_full and streams and now < head.since + IN_HAND_S

    def _check_patience(
        self, heads: Heads, able_since: Mapping[Waiter, float], now: float
    ) -> None:
        """Nothing waits for others for longer than is promised; a look-up waits for cancels."""
        for group, head in heads:
            if not self._open(group, head, now):
                continue
            waiter = head, head.kill  # one that a kill asks for, too, waits anew
            since = self._able_since[waiter] = able_since.get(waiter, now)
            if now - since > (KILL_WAITS_S if head.kill else ROUTINE_WAITS_S) + EPSILON_S:
                seen = f"{group.route.name} could leave since {since:.6f}"
                raise LawBroken("patience", seen, now)

    def _check_beginning(self, now: float) -> None:
        """A lane that had no token of late has one soon, whatever the others of its address do.

        That is so after another one that begins has had its own; and not where one lane alone
        took every token, which nobody kept it from.
        """
        waits = [ledger for ledger in self._shared() if self._begins(ledger, now)]
        if not waits:
            self._begins_since = NEVER
            return
        self._begins_since = min(self._begins_since, now)
        first_ones = [at for ledger in waits for at in ledger.first_sent_at(now)]
        since = max([self._begins_since, *first_ones])
        if now - since > BEGINS_WITHIN_S + EPSILON_S:
            raise LawBroken("begins", f"it has waited since {self._begins_since:.6f}", now)

    def _shared(self) -> list[Ledger]:
        return [ledger for ledger in self.ledgers.values() if ledger.quota.scope == "address"]

    def _begins(self, ledger: Ledger, now: float) -> bool:
        """Say whether the lane had nothing of a shared quota, and could leave but for it."""
        lane = self.lane
        busy = now < self.load.busy_until or ledger.blind_until > now
        quiet = lane.standing.shut or now < lane.standing.quiet_until
        if busy or quiet or lane.in_flight or ledger.had(self, now):
            return False
        alone = sum(ledger.had(other, now) > 0 for other in ledger.sent_at) < 2
        if alone and not ledger.free(now):
            return False
        return any(
            head.progress.phase is not Phase.CONFIRM
            and self._open_but_for(ledger, group, head, now)
            for group, head in self._heads(now)
        )

    def _open_but_for(self, shared: Ledger, group: Group, head: Entry, now: float) -> bool:
        route, ids = group.route, min(group.size, group.route.max_ids)
        drawn = dict(self._drawn(route))
        return shared in drawn.values() and all(
            ledger is shared
            or ledger.open_to(self, route, head.kill, now, route.tokens(name, ids))
            for name, ledger in drawn.items()
        )


def _is_for_a_kill(sending: Sending) -> bool:
    """Say whether a kill heads the request; the top of a record leaves all to any cancel."""
    return bool(sending.entries) and sending.entries[0].kill
