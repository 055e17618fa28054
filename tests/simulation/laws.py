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
from worker.orders.routes import batch_key, single_route
from worker.pacing.pace import EVEN_WINDOW_S, KILL_SHARE, LONG_USE_S

#: What could leave waits for others, which it may go with or which are in a hurry, for at most
#: so many seconds. A cancel waits for nobody while the process keeps up.
KILL_WAITS_S = 2.0
ROUTINE_WAITS_S = 3.0

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
    last_sent: float = -float("inf")
    last_cancel: float = -float("inf")
    used_since: float = float("inf")
    ended: deque[float] = field(default_factory=deque)

    def sent(self, route: Route, now: float) -> None:
        if self.free(now) == self.quota.limit:
            self.used_since = now
        self.in_flight += 1
        self.last_sent = now
        if route.purpose is Purpose.CANCEL:
            self.last_cancel = now

    def landed(self, now: float) -> None:
        self.in_flight -= 1
        self.ended.append(now)

    def free(self, now: float) -> int:
        """Return how many requests may start now."""
        while self.ended and self.ended[0] + self.quota.window_s <= now - EPSILON_S:
            self.ended.popleft()
        return self.quota.limit - self.in_flight - len(self.ended)

    def open_to(self, route: Route, kill: bool, now: float) -> bool:
        """Return whether a request may start now, if it has nothing to leave to others."""
        if self.blind_until > now:
            return False
        if kill:
            return self.free(now) > 0
        limit, window_s = self.quota.limit, self.quota.window_s
        if window_s > EVEN_WINDOW_S:
            return self.free(now) > int(limit * KILL_SHARE)
        last = self.last_cancel if route.purpose is Purpose.CANCEL else self.last_sent
        long_use = now - self.used_since >= LONG_USE_S - EPSILON_S
        left_to_a_kill = min(limit - 1, int(long_use))
        return self.free(now) > left_to_a_kill and now - last >= window_s / limit + EPSILON_S


@dataclass(slots=True)
class Watch:
    """Watches one lane of one worker."""

    lane: Lane
    ledgers: Mapping[str, Ledger]
    load: Load
    quiet_until: float = 0.0  # the venue asked for so long
    refusals: int = 0  # of the key
    refused_at: float = 0.0  # the last one
    asking: bool = False  # nobody was answered since
    _able_since: dict[Waiter, float] = field(default_factory=dict)  # what could leave, by now

    def before_send(self, sending: Sending, now: float) -> None:
        """Check a request that is about to leave, then count it."""
        if now < self.quiet_until - EPSILON_S:
            raise LawBroken("quiet", f"sent before {self.quiet_until:.6f}", now)
        if self.asking and (now < self.refused_at + ASK_AGAIN_S or self.lane.in_flight > 1):
            raise LawBroken("quiet", f"the key was refused at {self.refused_at:.6f}", now)
        if sending.is_probe:
            for ledger in self._drawn(sending.batch.route):
                ledger.sent(sending.batch.route, now)
            return
        self._check_ids(sending, now)
        self._check_filled(sending, now)
        if not sending.entries[0].kill:
            self._check_kill_first(now)
        if sending.batch.route.purpose is Purpose.LOOKUP:
            self._check_cancels_first(sending, now)
        for ledger in self._drawn(sending.batch.route):
            ledger.sent(sending.batch.route, now)
        if sending.batch.route.purpose is Purpose.CANCEL:
            for ledger in self._drawn(self._planned(sending)):
                ledger.last_cancel = now

    def landed(self, sending: Sending, now: float) -> None:
        """Count the end of a request."""
        for ledger in self._drawn(sending.batch.route):
            ledger.landed(now)

    def refused(self, sending: Sending, now: float) -> None:
        """Count a refusal of the key; what left before the last one came is one with it."""
        if sending.started >= self.refused_at:
            self.refusals += 1
            self.refused_at, self.asking = now, True

    def served(self, sending: Sending) -> None:
        """Note that the venue answered a request."""
        if sending.started >= self.refused_at:
            self.asking = False

    def _drawn(self, route: Route) -> Iterable[Ledger]:
        return [self.ledgers[name] for name in route.quotas if name in self.ledgers]

    def _open_to(self, route: Route, kill: bool, now: float) -> bool:
        return all(ledger.open_to(route, kill, now) for ledger in self._drawn(route))

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
        if kill and planned is not batch.route and not self._open_to(planned, True, now):
            return  # it begins with one, as no token is there for many
        # After a whole list that proved nothing, a lane may ask by id.
        if len(batch.refs) in (planned.max_ids, planned.list_all_ids):
            return
        refs = {entry.ref for entry in sending.entries}
        mates = [
            entry
            for entry in self._waiting(now)
            if entry.ref not in refs and self._fits(entry, sending)
        ]
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
        kill = sending.entries[0].kill
        for group, head in self._heads(now):
            if (head.kill or not kill) and self._must_leave(group, head, now):
                raise LawBroken("cancels first", f"one waits at {group.route.name}", now)

    def _must_leave(self, group: Group, head: Entry, now: float) -> bool:
        """Say whether a cancel has nothing to wait for.

        One of routine may leave the processor to others while the process is late.
        """
        if group.route.purpose is Purpose.LOOKUP:
            return False
        may_wait = not head.kill and now < self.load.busy_until
        return not may_wait and self._open_to(group.route, head.kill, now)

    def at_rest(self, now: float) -> None:
        """Check that nothing is lost, nothing oversleeps, and nothing waits for too long."""
        able_since, self._able_since = self._able_since, {}
        if self.lane.standing.shut:
            return
        lost = [entry for entry in self._waiting(now) if entry.group is None]
        if lost:
            raise LawBroken("progress", f"{lost[0].ref.id} is in no queue", now)
        lane = self.lane
        if now < lane.standing.quiet_until or lane.in_flight >= lane.most_in_flight:
            return
        heads = self._heads(now)
        for group, head in heads:
            if self._must_leave(group, head, now):
                raise LawBroken("progress", f"{group.route.name} could leave and stays", now)
        cancels = [heading for heading in heads if heading[0].route.purpose is Purpose.CANCEL]
        self._check_patience(cancels or heads, able_since, now)

    def _check_patience(
        self, heads: Heads, able_since: Mapping[Waiter, float], now: float
    ) -> None:
        """Nothing waits for others for longer than is promised; a look-up waits for cancels."""
        for group, head in heads:
            if not self._open_to(group.route, head.kill, now):
                continue
            waiter = head, head.kill  # one that a kill asks for, too, waits anew
            since = self._able_since[waiter] = able_since.get(waiter, now)
            if now - since > (KILL_WAITS_S if head.kill else ROUTINE_WAITS_S) + EPSILON_S:
                seen = f"{group.route.name} could leave since {since:.6f}"
                raise LawBroken("patience", seen, now)
