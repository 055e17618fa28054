"""Jobs that name no ids, while their lane finds and cancels the orders of their scopes.

An order that was told as ended, and that a list shows all the same once it must not, is
canceled anew. One that is refused for good, or shown too often, is stuck: nothing more is done
about it. Where the venue has a cancel-all for just these orders, that leaves first.
"""

from __future__ import annotations

from collections import Counter

from venues.base import Batch, OpenOrder, Route, Venue, Verdict
from venues.words import CancelOutcome, CancelStatus
from worker.lane.cancel_alls import CancelAlls, Shown
from worker.lane.submission import CancelAllSaid, ListProof, ListUnread, ScopeEnd, Submission
from worker.orders.follow import ACCOUNT_WIDE, blame_of, perhaps_canceled
from worker.orders.judge import ListHeard
from worker.orders.scope import (
    ListKey,
    ScopeSearch,
    cancel_alls_of,
    found,
    is_of,
    plan_of,
    search_of,
)
from worker.pacing.pace import NEVER

#: An order that a list still shows after its outcome is canceled anew so often.
MOST_TIMES = 3
#: An order with one of these is not open.
_NOT_OPEN = frozenset(
    {CancelStatus.CANCELED, CancelStatus.FILLED, CancelStatus.CLOSED, CancelStatus.NOT_FOUND}
)
#: After one of these a cancel-all surely had no effect.
_NO_EFFECT = ACCOUNT_WIDE.keys() | {Verdict.NOT_DONE, Verdict.REFUSED}


class ScopeRun:
    """One job with a scope at its lane: what is read, and what was told of what it found."""

    def __init__(self, owner: Submission, venue: Venue, now: float) -> None:
        assert owner.scope is not None  # noqa: S101 - the lane has asked
        scope, accepted_at, is_begun = owner.scope
        self.owner = owner
        plan, came_at = plan_of(venue, scope), min(now, accepted_at)
        self.search: ScopeSearch = search_of(venue, scope, plan, came_at, now)
        self.cancel_alls = CancelAlls(() if is_begun else cancel_alls_of(venue, scope))
        self._said: list[CancelAllSaid] = []  # of the cancel-alls that are over
        self.is_read = False  # a read is under way
        self.returned = ""  # why an id of it came back, so that all goes on later
        self.refused = ""  # why the account is halted
        self._lag_s = venue.read_lag_s
        self._told: dict[str, tuple[CancelStatus, float]] = {}  # how an order ended, and when
        self._just_told: dict[str, CancelStatus] = {}
        #: So often an order was found, or came along with the job from an earlier worker.
        self._times = Counter(entry.id for entry in owner.entries)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to read."""
        return bool(self.refused) or (self.search.is_clean and not self.cancel_alls.under_way)

    @property
    def reads_at(self) -> float:
        """When the next read may leave: soon where orders wait for it."""
        search = self.search
        if self.cancel_alls.awaited and search.is_between_rounds:
            return search.sooner(self.cancel_alls.settled_at).next_at
        return search.next_at

    def read_leaves(self, now: float) -> Batch:
        """Return the next read, which leaves now."""
        self.search = self.search.sooner(now)
        self.is_read = True
        return self.search.batch()

    def told(self, outcome: CancelOutcome) -> None:
        """Note how an order ended."""
        self._just_told[outcome.id] = outcome.status

    def turn(self, now: float) -> None:
        """Note the time: what was told is told by now."""
        for order_id, status in self._just_told.items():
            self._told[order_id] = status, now
        self._just_told.clear()

    def came(self, heard: ListHeard, started: float, now: float, pause_s: float) -> list[Shown]:
        """Take a reply in; return the orders that are to be canceled, now or once more.

        Those that a cancel-all may have canceled are looked up first, or wait for that.

        A list that could not be read is read again after `pause_s`.
        """
        if heard.orders is None:
            self._not_read(heard, now, pause_s)
            return []
        self.turn(now)
        search = self.search
        route, began = search.batch().route, search.reading.began if search.reading else started
        of_scope = [order for order in heard.orders if is_of(search.scope, order)]
        new = [order for order in of_scope if self._is_to_be_canceled(order.id, began)]
        goes_on = self._sort(new, route, began)
        stuck = [order_id for order_id in self._told if self._is_stuck(order_id)]
        self.search = search.page_came(
            heard.orders,
            heard.page,
            more=heard.more,
            started=started,
            stuck=stuck,
            pause_s=pause_s,
        )
        if self.search.rounds > search.rounds:
            self.cancel_alls.too_late()
            goes_on += self._not_shown()
        return goes_on

    def _sort(self, new: list[OpenOrder], route: Route, began: float) -> list[Shown]:
        """Return those of newly shown orders that are canceled by id; the others wait."""
        goes_on: list[Shown] = []
        for order in new:
            ref, progress = found(order, route)
            if self.cancel_alls.may_have_canceled(began, self._lag_s):
                progress = progress._replace(sent=True)
            if not self._times[order.id] and self.cancel_alls.may_have_canceled(began):
                self.cancel_alls.wait((ref, progress))
                continue
            self.cancel_alls.still_shown(order.id)
            self._times[order.id] += 1
            self._told.pop(order.id, None)
            goes_on.append((ref, progress))
        return goes_on

    def _not_shown(self) -> list[Shown]:
        """Return the orders that wait, if the round that has ended should have shown them."""
        began = min((reading.began for reading in self.search.last_round), default=-NEVER)
        waited = began >= self.cancel_alls.settled_at
        return self.take_awaited() if waited else []

    def take_awaited(self) -> list[Shown]:
        """Return the orders that wait for a reading; they are looked up instead."""
        taken = self.cancel_alls.take()
        self._times.update(ref.id for ref, _ in taken)
        return [(ref, perhaps_canceled(progress)) for ref, progress in taken]

    def cancel_all_came(self, heard: ListHeard, batch: Batch, now: float) -> list[Shown]:
        """Take the reply to a cancel-all in; return the orders that are canceled by id now."""
        had_effect = heard.said.verdict not in _NO_EFFECT
        goes_on = self.cancel_all_missed(batch, now, sent=had_effect, claimed=heard.claimed)
        for order in heard.orders or ():
            named = order._replace(symbol=order.symbol or batch.symbol)
            if is_of(self.search.scope, named) and not self._times[order.id]:
                ref, progress = found(named, batch.route)
                self.cancel_alls.wait((ref, progress._replace(sent=True, seen_open=False)))
        return goes_on

    def cancel_all_missed(
        self, batch: Batch, now: float, *, sent: bool, claimed: int | None = None
    ) -> list[Shown]:
        """Do without a reply; return the orders that are canceled by id now."""
        if sent:
            self._said.append(CancelAllSaid(batch.route.name, batch.symbol, claimed))
        goes_on = self.cancel_alls.came_back(now, had_effect=sent)
        self._times.update(ref.id for ref, _ in goes_on)
        return [(ref, progress._replace(sent=False)) for ref, progress in goes_on]

    def missed(self, why: str, now: float, pause_s: float) -> None:
        """Have the list read again after a pause: no reply came that says anything of it."""
        self.search = self.search.missed(why, now, pause_s)

    def end(self, *, goes_on: str = "") -> ScopeEnd:
        """Return what is known at the end."""
        search = self.search
        shown = search.resting()
        if not search.is_clean:
            shown = [(key, order) for key, order in shown if not self._has_ended(order.id)]
        return ScopeEnd(
            proofs=tuple(
                ListProof(key.route.name, key.symbol, first, last, others)
                for key, first, last, others in (search.proofs() if search.is_clean else ())
            ),
            resting=tuple(found(order, key.route)[0] for key, order in shown),
            unread=tuple(
                ListUnread(key.route.name, key.symbol, why)
                for key, why in self._unread().items()
            ),
            left_out=tuple(search.plan.left_out),
            cancel_alls=tuple(self._said),
            goes_on=goes_on,
        )

    def _unread(self) -> dict[ListKey, str]:
        """Return which lists prove nothing, and why."""
        search = self.search
        known = {each.key: each.reason for each in search.unread()}
        if search.is_clean:
            return known
        why = self.refused or "deadline"
        return dict.fromkeys(search.lists, why) | known

    def _not_read(self, heard: ListHeard, now: float, pause_s: float) -> None:
        said, search = heard.said, self.search
        if said.verdict in ACCOUNT_WIDE:  # the account waits, and so does this
            self.search = search.missed(blame_of(said), now)
        elif said.verdict is Verdict.SYMBOL_DEMANDED:
            self.search = search.symbol_demanded()
        elif said.verdict is Verdict.REFUSED:
            self.search = search.gave_up(said.reason)
        else:
            self.search = search.missed(said.reason or "odd_answer", now, pause_s)

    def _is_to_be_canceled(self, order_id: str, began: float) -> bool:
        """Say whether an order that a list shows, read since a time, is not taken care of."""
        if not self._times[order_id]:
            return True
        told = self._told.get(order_id)
        return (
            told is not None and not self._is_stuck(order_id) and began >= told[1] + self._lag_s
        )

    def _is_stuck(self, order_id: str) -> bool:
        """Say whether nothing more is done about an order that was told of."""
        told = self._told.get(order_id)
        refused = told is not None and told[0] is CancelStatus.REJECTED
        return refused or (told is not None and self._times[order_id] >= MOST_TIMES)

    def _has_ended(self, order_id: str) -> bool:
        told = self._told.get(order_id)
        return told is not None and told[0] in _NOT_OPEN and not self._is_stuck(order_id)
