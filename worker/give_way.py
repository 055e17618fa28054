"""How long a look-up leaves its tokens, or the processor, to others. Pure but for a count."""

from __future__ import annotations

from collections.abc import Collection

from venues.base import Venue
from worker.load import MOST_YIELD_S, Load
from worker.pace import NEVER
from worker.plan import cancel_routes
from worker.tokens import Tokens
from worker.waiting import PATIENCE_S, Group, Item, is_lookup

#: A kill's first list is put off for so long (seconds) if few of its ids are there yet.
GATHER_S = 0.2


class GiveWay:
    """Knows the kills of a lane. All times are monotonic seconds."""

    def __init__(self, venue: Venue, tokens: Tokens, load: Load) -> None:
        self._venue = venue
        self._tokens = tokens
        self._load = load
        self._kills = 0
        self._kills_since = -NEVER

    def came(self, item: Item, now: float) -> None:
        """Count an id that is in the lane from now on, or that a kill asks for from now on."""
        if item.kill and not self._kills:
            self._kills_since = now
        self._kills += item.kill

    def went(self, item: Item) -> None:
        """Count an id out."""
        self._kills -= item.kill

    def until(self, group: Group, groups: Collection[Group], now: float) -> float:
        """Return until when the group's look-up gives way to others of `groups`."""
        head = group.head()
        if head is None or not is_lookup(group.route):
            return -NEVER
        if head.kill:
            return self._to_kills_on_their_way(group, head, groups, now)
        if head.track.looking:
            # Its cancel could not leave before those of the kills that wait.
            route = cancel_routes(self._venue, head.track.shape)[0]
            kills = any(other.kills and other.route is route for other in groups)
            return NEVER if kills else -NEVER
        if self._kills:
            return self._kills_since + MOST_YIELD_S
        return self._load.proof_at(head.since)

    def _to_kills_on_their_way(
        self, group: Group, head: Item, groups: Collection[Group], now: float
    ) -> float:
        """Return until when a kill's proof waits for the others that it could go with."""
        patience_s = self._patience_s(group, head)
        here = sum(len(other.kills) for other in groups if _asks_like(other, group))
        if not patience_s or here >= self._kills:
            return -NEVER
        return min(head.since + patience_s, self._tokens.plenty_at(group.route, now))

    def _patience_s(self, group: Group, head: Item) -> float:
        """Return how long it waits at most, while tokens are few."""
        route = group.route
        if group.size >= max(route.max_ids, route.wide_ids):
            return 0.0
        if self._tokens.slow(route):
            return PATIENCE_S
        begins = route.wide_ids and not head.track.absent and group.size <= route.max_ids
        return GATHER_S if begins else 0.0


def _asks_like(other: Group, group: Group) -> bool:
    return is_lookup(other.route) and other.route.quotas == group.route.quotas
