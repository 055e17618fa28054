"""The ladder: too many requests halve an account's limits, more of it bans the account."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import Call
from .world import World


@dataclass(frozen=True, slots=True)
class Ladder:
    """One venue's ladder over its watched limits `escalation` and `errors`."""

    venue: str
    warning_s: float
    ban_s: float
    warning_share: float = 0.5

    def climb(self, world: World, call: Call, refused: bool) -> None:
        """Count a request; over the threshold warn, over it again in a warning perhaps ban."""
        limits, key = world.limits, call.api_key
        if refused:
            limits.draw(self.venue, key, ("errors",), call.at_s)
        quota = limits.quota(self.venue, key, "escalation")
        if world.setting(self.venue, "escalation") == "off" or not quota.enforced:
            return
        errors = limits.arrivals(self.venue, key, "errors", call.at_s)
        share = limits.share(self.venue, key, call.at_s)
        if share == 1.0 and self._counted(world, call, errors) > quota.count:
            self._fall(world, call, "escalation_warning", self.warning_s, self.warning_share)
        elif share == self.warning_share and errors > quota.count and self._bans(world):
            self._fall(world, call, "escalation_ban", self.ban_s, 0.0)

    def _counted(self, world: World, call: Call, errors: int) -> int:
        if world.setting(self.venue, "escalation_counts") == "errors":
            return errors
        return world.limits.arrivals(self.venue, call.api_key, "escalation", call.at_s)

    def _bans(self, world: World) -> bool:
        return bool(world.setting(self.venue, "escalation_bans") == "on")

    def _fall(self, world: World, call: Call, kind: str, seconds: float, share: float) -> None:
        until_s = call.at_s + seconds
        world.limits.penalize(self.venue, call.api_key, until_s=until_s, share=share)
        world.incident(kind, self.venue, call.api_key, until_s=until_s)
