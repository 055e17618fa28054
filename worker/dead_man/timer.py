"""The venue's own timer beside the dead man's switch: which accounts have it, and its reach."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from venues.base import Timer
from venues.words import ALL_TYPES, SYMBOL_SHAPE
from worker.settings import Account, ConfigError

#: A mark leaves at least so often in the timer's time, as each may renew it: see `VenueTimer`.
_MARKS = 12
#: So often in its time a timer is renewed, and by at most this share of any quota: this
#: project's choice, so that renewals keep no cancel waiting.
_RENEWALS, _MOST_SHARE = 4, 1 / 5


def marks_apart_s(account: Account) -> float:
    """Return the longest time between two marks of an account, as its timer needs it."""
    return account.timer_s / _MARKS if account.timer_s else math.inf


def check_timers(accounts: Mapping[str, Account]) -> None:
    """Refuse a timer whose symbols are none, or whose renewals take too much of a quota.

    Raises:
        ConfigError: there is one.
    """
    for account, timer in _timed(accounts):
        where = f"accounts.{account.name}.venue_timer"
        for symbol in account.timer_symbols if timer.route.needs_symbol else ():
            if not SYMBOL_SHAPE.fullmatch(symbol):
                raise ConfigError(f"{where}_symbols: {symbol!r} is no symbol")
        least_s = math.ceil(max(_least_s(account, timer), default=0))
        if account.timer_s < least_s:
            mend = f"make it {least_s}s or longer"
            if timer.route.needs_symbol:
                mend += ", or name fewer symbols"
            raise ConfigError(f"{where}: its renewals would take cancels' quotas; {mend}")


def _least_s(account: Account, timer: Timer) -> Iterator[float]:
    """Give the shortest time by each quota that cancels or look-ups draw from, too."""
    shared = {name for route in account.venue.routes for name in route.quotas}
    for name in timer.route.quotas:
        if name in shared and (quota := account.quotas.get(name)):
            tokens = timer.route.tokens(name, 0) * len(account.timer_symbols)
            yield _RENEWALS * tokens * quota.window_s / (quota.limit * _MOST_SHARE)


def timers_narrowed(accounts: Mapping[str, Account]) -> Iterator[str]:
    """Say of which accounts the timer does not reach every order."""
    for account, timer in _timed(accounts):
        where = f"accounts.{account.name}.venue_timer"
        if timer.route.needs_symbol:
            yield f"{where}: it reaches orders of {', '.join(account.timer_symbols)} alone"
        if missed := ALL_TYPES - timer.route.ord_types:
            words = ", ".join(sorted(missed))
            yield f"{where}: it is not documented to reach orders of these types: {words}"


def _timed(accounts: Mapping[str, Account]) -> Iterator[tuple[Account, Timer]]:
    for account in accounts.values():
        if account.timer_s and account.venue.timer is not None:
            yield account, account.venue.timer
