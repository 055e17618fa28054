"""The simulated venue's own truth: its orders, and what each is at any time."""

from __future__ import annotations

from dataclasses import dataclass

from venues.words import OPEN_STATES, IdKind, OrdStatus, OrdType

NEVER = float("inf")


@dataclass(slots=True)
class SimOrder:
    """One order: open until it is canceled or comes to its own end."""

    id: str
    kind: IdKind
    symbol: str
    ord_type: OrdType
    traded: bool  # partly filled: some venues keep a record of such orders only
    ending: OrdStatus  # what it becomes if nobody cancels it
    ends_at: float = NEVER
    canceled_at: float = NEVER
    born_at: float = -NEVER  # when it came to be; a job may come before it
    hidden: tuple[float, float] = (NEVER, NEVER)  # no look-up shows it open meanwhile

    def status(self, when: float) -> OrdStatus:
        """Return what the order is at that time."""
        if self.canceled_at <= when:
            return OrdStatus.CANCELED
        if self.ends_at <= when:
            return self.ending
        return OrdStatus.PARTIALLY_FILLED if self.traded else OrdStatus.NEW

    def is_open(self, when: float) -> bool:
        """Return whether it may trade at that time."""
        return self.born_at <= when and self.status(when) in OPEN_STATES

    def is_shown(self, when: float, now: float) -> bool:
        """Return whether a look-up now shows it, if it shows what was so at that time."""
        hides = self.hidden[0] <= now <= self.hidden[1] and self.is_open(when)
        return self.born_at <= when and not hides

    def ended_at(self) -> float:
        """Return when it ended, as far as is decided by now."""
        return min(self.canceled_at, self.ends_at)

    def cancel(self, now: float, effect_s: float) -> None:
        """Take a cancel that has its effect a little later, unless the order ends before."""
        if now + effect_s < min(self.ends_at, self.canceled_at):
            self.canceled_at = now + effect_s
