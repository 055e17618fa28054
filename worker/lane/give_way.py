"""How long a look-up leaves its tokens, or the processor, to others. Pure but for a count."""

from __future__ import annotations

from collections.abc import Collection

from venues.base import Venue
from worker.lane.ahead import Ahead
from worker.lane.load import MOST_YIELD_S, Load
from worker.lane.waiting import PATIENCE_S, Group, Item, is_lookup
from worker.orders.plan import cancel_routes
from worker.orders.progress import Phase
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER

#: A kill waits so long (seconds) at a list for the others that come there next: the lag of a
#: burst of cancels ends within some milliseconds.
TOGETHER_S = 0.05
#: At its first list it does so for this long at most, while tokens are few.
GATHER_S = 1.0


class GiveWay:
    """Knows the kills of a lane. All times are monotonic seconds."""

    def __init__(self, venue: Venue, tokens: Tokens, load: Load) -> None:
        self._venue = venue
        self._tokens = tokens
        self._load = load
        self._kills = Ahead(venue)
        self._kills_since = -NEVER

    def note(self, item: Item, now: float) -> None:
        """Note where an id stands: it came, learned something, left, or was answered."""
        if item.kill:
            if not self._kills:
                self._kills_since = now
            self._kills.note(item)

    def went(self, item: Item) -> None:
        """Note that an id is out of the lane."""
        self._kills.forget(item)

    def until(self, group: Group, groups: Collection[Group], most: int, now: float) -> float:
        """Return until when the group's look-up gives way to others of `groups`.

        A request of it may be for so many ids at `most`.
        """
        head = group.head()
        if head is None or not is_lookup(group.route):
            return -NEVER
        if head.kill:
            return self._to_kills_on_their_way(group, head, groups, most, now)
        if head.progress.phase is Phase.PRECHECK:
            return self._to_kills(group, head, groups, now)
        if self._kills:
            return self._kills_since + MOST_YIELD_S
        return self._load.proof_at(head.since)

    def _to_kills(
        self, group: Group, head: Item, groups: Collection[Group], now: float
    ) -> float:
        """Return until when a look before a cancel waits for the kills."""
        # Its cancel could not leave before those of the kills that wait.
        route = cancel_routes(self._venue, head.progress.shape)[0]
        if any(other.kills_here and other.route is route for other in groups):
            return NEVER
        # Their proofs, on their way, need so many tokens.
        requests = -(-self._kills.drawing(group.route) // group.route.max_ids)
        return self._tokens.beside_at(group.route, requests, now)

    def _to_kills_on_their_way(
        self, group: Group, head: Item, groups: Collection[Group], most: int, now: float
    ) -> float:
        """Return until when a kill's proof waits for the others that it could go with."""
        if group.kills_here >= most:
            return -NEVER
        plenty_at = self._tokens.plenty_at(group.route, now)
        if self._tokens.slow(group.route):
            here = sum(other.kills_here for other in groups if _asks_like(other, group))
            all_here = here >= len(self._kills)
            return -NEVER if all_here else min(head.since + PATIENCE_S, plenty_at)
        if group.kills_here >= self._kills.of(group):
            return -NEVER
        first_list = group.route.list_all_ids and not head.progress.search.absent_from
        gathered_at = min(head.since + GATHER_S, plenty_at) if first_list else -NEVER
        return max(head.since + TOGETHER_S, gathered_at)


def _asks_like(other: Group, group: Group) -> bool:
    return is_lookup(other.route) and other.route.quotas == group.route.quotas
