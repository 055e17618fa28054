"""A quota that several lanes share: who has had less goes first. Pure but for state."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from venues.base import Quota
from worker.pacing.pace import EVEN_WINDOW_S, NEVER, Pace

#: A lane begins while it has had fewer tokens than this in the last window. Of a long window a
#: lane leaves one token to others for each so many of its own, or part of so many: the last
#: token is for one that has had none.
BEGINS = 5
#: They need not be there at once, only one after another, the first after so many seconds.
APART_S = 0.5
#: A lane that begins and has waited for so long (seconds) may take of what is kept for a kill,
#: all lanes together one request in so long.
PATIENCE_S = 1.0


@dataclass(slots=True, eq=False)
class _Lane:
    """What one lane had and asked for. All times are monotonic seconds."""

    taken: deque[float] = field(default_factory=deque)  # in the last window
    waits_since: float = NEVER  # when it first asked in vain since its last token
    asked_at: float = -NEVER  # when it last did
    kill_at: float = -NEVER  # when it last did for a kill

    @property
    def kill(self) -> bool:
        """Whether a kill of it waits: a lane asks for its kills first, in the same moment."""
        return self.kill_at == self.asked_at


class SharedPace(Pace):
    """The tokens of a quota that several lanes draw from (docs/decisions/0035).

    While only one of them asks it is no other than `Pace`. A lane that waits is counted for one
    window after it last asked, as nobody says that it waits no more.
    """

    def __init__(self, quota: Quota) -> None:
        super().__init__(quota)
        self._lanes: defaultdict[object, _Lane] = defaultdict(_Lane)
        self._lent_at = -NEVER

    def ready_at(
        self,
        now: float,
        *,
        urgent: bool,
        lookup: bool = False,
        awaited: bool = False,
        spare: int = 0,
        since: float = NEVER,
        tokens: int = 1,
        lane: object = None,
    ) -> float:
        """Return as `Pace` does, with tokens left to lanes that go first or may begin."""
        me = self._lanes[lane]
        spare += self._before(me, now, urgent=urgent)
        kept = spare + self._kept_from(now, urgent=urgent, lookup=lookup)
        at = max(
            super().ready_at(
                now,
                urgent=urgent,
                lookup=lookup,
                awaited=awaited,
                spare=spare,
                since=since,
                tokens=tokens,
            ),
            self._beside_others_at(me, now, kept + tokens),
        )
        if urgent or at <= now or me.kill_at == now:
            return at
        needed = tokens + bool(self._had(me, now))  # the last is for one that has had none
        return min(at, max(now, self._lends_at(me, now), self._free_at(now, needed)))

    def asked(self, lane: object, now: float, *, urgent: bool, ready_at: float) -> None:
        """Note that a lane asked: where it was not `ready_at` once, it waits."""
        me = self._lanes[lane]
        if ready_at <= now:
            return
        if not self._waits(me, now):
            me.waits_since = now
        me.asked_at = now
        if urgent:
            me.kill_at = now

    def take(
        self,
        now: float,
        *,
        lookup: bool = False,
        awaited: bool = False,
        since: float = NEVER,
        tokens: int = 1,
        lane: object = None,
        urgent: bool = False,
    ) -> None:
        """Count a request of the lane that starts."""
        if not urgent and self.free(now) < self._kept + tokens:
            self._lent_at = now
        me = self._lanes[lane]
        me.taken.extend([now] * tokens)
        me.waits_since, me.kill_at = NEVER, -NEVER
        super().take(now, lookup=lookup, awaited=awaited, since=since, tokens=tokens)

    def _had(self, lane: _Lane, now: float) -> int:
        """Return how many tokens the lane has had in the last window."""
        while lane.taken and lane.taken[0] <= now - self.quota.window_s:
            lane.taken.popleft()
        return len(lane.taken)

    def _waits(self, lane: _Lane, now: float) -> bool:
        return lane.waits_since < NEVER and now - lane.asked_at <= self.quota.window_s

    def _waiting(self, now: float) -> Iterator[_Lane]:
        since = now - self.quota.window_s
        return (
            lane
            for lane in self._lanes.values()
            if lane.waits_since < NEVER and lane.asked_at >= since
        )

    def _before(self, me: _Lane, now: float, *, urgent: bool) -> int:
        """Return how many lanes that wait go before me: with a kill, or as they had less."""
        mine = self._had(me, now)
        return sum(
            (other.kill and not urgent)
            or (self._had(other, now) < mine and self._may_go_first(other, now, urgent=urgent))
            for other in self._waiting(now)
            if other is not me
        )

    def _may_go_first(self, other: _Lane, now: float, *, urgent: bool) -> bool:
        """Say whether a lane is as urgent as one that is, or not, or may borrow by now."""
        return other.kill is urgent or (urgent and self._lends_at(other, now) <= now)

    def _beside_others_at(self, me: _Lane, now: float, needed: int) -> float:
        """Return when enough tokens are left, or come back, for lanes that may begin."""
        if self.quota.window_s <= EVEN_WINDOW_S or not self._others_ask(me, now):
            return -NEVER
        left = min(-(-self._had(me, now) // BEGINS), self.quota.limit - needed)
        return max(
            (self._free_at(now, needed + k) - k * APART_S for k in range(1, left + 1)),
            default=-NEVER,
        )

    def _others_ask(self, me: _Lane, now: float) -> bool:
        return any(
            other is not me and (self._waits(other, now) or self._had(other, now))
            for other in self._lanes.values()
        )

    def _lends_at(self, lane: _Lane, now: float) -> float:
        """Return when a lane of routine ids may take of what is kept for a kill."""
        had = self._had(lane, now)
        if had >= BEGINS or not self._kept:
            return NEVER
        others_had_more = any(self._had(other, now) > had for other in self._lanes.values())
        if not others_had_more or any(self._had(o, now) < had for o in self._waiting(now)):
            return NEVER
        asked_since = lane.waits_since if self._waits(lane, now) else now
        return max(asked_since, self._lent_at) + PATIENCE_S
