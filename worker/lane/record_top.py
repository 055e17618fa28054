"""Reads the newest rows of a record while kills are canceled, before they sink in it.

A venue may show what is over by its record alone, newest first and page by page. An id that is
sought there some seconds after its cancel lies under all that was canceled meanwhile, and in a
stream of cancels each page shows mostly what the one before did. So as soon as there is a page
of canceled ids, the top of the record is read, as many pages at once as were canceled since it
was read last: what it names is proven, whoever it was asked for (docs/decisions/0056).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from venues.base import ENDED_STAGE, Batch, Route, Venue
from venues.words import OrderRef, Purpose
from worker.lane.entry import Entry
from worker.pacing.pace import NEVER

#: A round begins with so many canceled ids. A page of the one such record has as many rows.
WORTH_A_READ = 100
#: Whether rounds prove anything is tried where so many more wait to be canceled: fewer are
#: found on few pages later, and a venue's record may not list canceled orders at all.
WORTH_A_TRIAL = 500
#: This share of a page's rows is not on the page before, as pages overlap.
NEW_SHARE = 0.95
#: So many rounds in a row that prove few ids are the last ones, while the lane has ids: the
#: record does not list canceled orders, or shows others first.
MOST_IN_VAIN = 2
#: These are fewer than one in so many of what was canceled.
FEW_OF = 4
#: A round begins between bursts of cancels, whose rows would come on top of it: when none is in
#: flight, and none leaves `LULL_S` before or after; it waits for that at most `QUIET_S`.
LULL_S, QUIET_S = 0.1, 0.5
#: A page that could not leave so many seconds after its round began is left out: by then others
#: were canceled, whose rows have moved it down.
STALE_S = 0.5


@dataclass(slots=True)
class _Round:
    """One reading of the top. `canceled` ids are new since the one before."""

    began: float
    canceled: int
    pages: int  # that are to be read,
    left: int = 0  # whose reads left,
    came: int = 0  # and came back
    proven: int = 0  # ids

    def is_out(self, now: float) -> bool:
        """Say whether no more of its reads leaves."""
        return self.left == self.pages or now > self.began + STALE_S


class _Canceled(NamedTuple):
    """The last id that was canceled: the record is read in its name."""

    record: Route
    ref: OrderRef


class RecordTop:
    """The rounds of one lane. All times are monotonic seconds."""

    def __init__(self, venue: Venue) -> None:
        self._records = [route for route in venue.routes if _is_record(route)]
        self._in_flight = 0  # cancels,
        self._left_at = -NEVER  # and when the last one left
        self._page_rows = 0  # not known
        self.forget()

    def forget(self) -> None:
        """Begin anew, as no id is in the lane."""
        self._canceled = 0  # since the last round began
        self._is_due = False
        self._able_since = NEVER  # to begin a round, but for cancels
        self._last: _Canceled | None = None
        self._proves = False  # a round has
        self._in_vain = 0
        self._round: _Round | None = None

    # -- what is canceled ----------------------------------------------------------------

    def left(self, head: Entry, ids: int, waiting: int, now: float) -> None:
        """Count a cancel for so many ids that leaves; so many kills are waiting for theirs."""
        self._in_flight += 1
        self._left_at = now
        known = head.progress
        route = next((r for r in self._records if known.ord_type in r.ord_types), None)
        if not head.kill or route is None or known.kind not in route.id_kinds:
            return
        self._canceled += ids
        self._last = _Canceled(route, head.known)
        if waiting < WORTH_A_TRIAL and not self._proves:
            self._is_due = False
        elif self._canceled >= WORTH_A_READ:
            self._is_due = True

    def landed(self) -> None:
        """Count its end."""
        self._in_flight -= 1

    # -- what is read --------------------------------------------------------------------

    def next(self, now: float) -> Batch | None:
        """Return the next read; None: none is due now."""
        if self._round is not None:
            self._end_if_over(self._round, now)
        if self._last is None:
            return None
        route, refs, this = self._last.record, (self._last.ref,), self._round
        if this is None:
            begins = self._is_due and self._in_vain < MOST_IN_VAIN
            return Batch(route, refs) if begins else None
        if this.is_out(now):
            return None
        read = self._page_rows + (this.left - 1) * self._new_rows
        return Batch(route, refs, this.left + 1, read, self._page_rows)

    @property
    def follow(self) -> int:
        """How many reads are to leave together with the next one."""
        return self._pages - 1 if self._round is None else 0

    @property
    def _pages(self) -> int:
        return self._pages_for(self._canceled)

    @property
    def _new_rows(self) -> int:
        """How many rows of a page are not on the one before."""
        return max(1, int(self._page_rows * NEW_SHARE))

    def _pages_for(self, ids: int) -> int:
        """Return how many pages show so many rows; the first of all tells how long they are."""
        if not self._page_rows or self._last is None:
            return 1
        pages = math.ceil(ids / self._new_rows)
        return min(pages, self._last.record.max_pages)

    def leaves_at(self, now: float, tokens_at: float, cancels_at: float) -> float:
        """Return when the next read may leave; the next cancel leaves at `cancels_at`."""
        if self._round is not None or tokens_at > now:
            return tokens_at
        self._able_since = min(self._able_since, now)
        is_soon = now + LULL_S > cancels_at
        quiet_at = NEVER if self._in_flight or is_soon else self._left_at + LULL_S
        return min(quiet_at, self._able_since + QUIET_S)

    def leaves(self, now: float) -> None:
        """Note that the next read leaves."""
        if self._round is None:
            self._round = _Round(now, self._canceled, self._pages)
            self._canceled, self._is_due, self._able_since = 0, False, NEVER
        self._round.left += 1

    def came(self, rows: int, proven: int, now: float) -> None:
        """Take in how many rows a page shows, and how many ids it proved; 0, 0: none came."""
        this, is_first = self._round, proven and not self._page_rows
        if proven:  # a record that lags behind has few rows, or none, at first
            self._page_rows = max(self._page_rows, rows)
        if this is None:
            return  # nobody waits for it any more
        if is_first:
            this.pages = self._pages_for(this.canceled)
        this.came += 1
        this.proven += proven
        self._end_if_over(this, now)

    def _end_if_over(self, this: _Round, now: float) -> None:
        if this.came >= this.left and this.is_out(now):
            self._proves = this.proven * FEW_OF >= this.canceled
            self._in_vain = 0 if self._proves else self._in_vain + 1
            self._round = None


def _is_record(route: Route) -> bool:
    """Say whether a route is a record of the whole account, in pages."""
    is_paged = route.purpose is Purpose.LOOKUP and route.max_pages > 1
    return is_paged and route.life_stage >= ENDED_STAGE and not route.group_by
