"""What rests at the venues now: each account's lists of open orders, read once in full.

The workers are not asked, and know nothing of these requests, which take some look-ups of the
accounts' quotas, at the pace that the accounts file allows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from venues.base import OpenOrder, Route, Verdict
from venues.words import Scope
from worker.http.transport import InDoubt, NotSent, Transport
from worker.orders.follow import ACCOUNT_WIDE, blame_of
from worker.orders.judge import ListHeard, hear_list
from worker.orders.scope import NotSeen, ScopeSearch, is_of, plan_of, search_of
from worker.pacing.account import Tokens
from worker.processes.engine import Host, host_of
from worker.settings import Account, ConfigError, Egress

#: A list that does not come is asked for so often, after pauses (seconds).
MOST_TRIES, PAUSE_S = 3, 0.5
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Rests:
    """An open order, and the list that shows it."""

    list: str
    order: OpenOrder


@dataclass(frozen=True, slots=True)
class Resting:
    """What the lists of an account show; `unread` says, in words, what nobody saw in full."""

    orders: tuple[Rests, ...] = ()
    unread: tuple[str, ...] = ()


def read_resting(
    accounts: Mapping[str, Account | ConfigError], scope: Scope, until: float
) -> dict[str, Resting]:
    """Read the lists that show a scope, of all accounts at once, until a monotonic time."""
    usable = [account for account in accounts.values() if isinstance(account, Account)]
    hosts: dict[tuple[str, str], Host] = {}
    ways: dict[tuple[str, Egress], Transport] = {}
    readers: dict[str, _Reader] = {}
    with ExitStack() as stack, ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        for account in usable:
            key = account.base_url, account.venue.name
            way = account.base_url, account.egress
            if key not in hosts:
                hosts[key] = host_of(account, usable)
            if way not in ways:
                ways[way] = stack.enter_context(closing(Transport(*way)))
            readers[account.name] = _Reader(account, hosts[key], ways[way], until)
        read = pool.map(lambda one: one.read(scope), readers.values())
        found = dict(zip(readers, read, strict=True))
    unusable = {
        name: Resting(unread=(str(account),))
        for name, account in accounts.items()
        if isinstance(account, ConfigError)
    }
    return {name: (found | unusable)[name] for name in accounts}


class _Reader:
    """Reads the lists of one account; those of one address share its quotas."""

    def __init__(
        self, account: Account, host: Host, transport: Transport, until: float
    ) -> None:
        self._account, self._transport, self._until = account, transport, until
        self._tokens = Tokens(host.paces(account.quotas))
        self._changed: threading.Condition = host.changed
        self._seen: dict[str, Rests] = {}  # also in lists that are not read to their end

    def read(self, scope: Scope) -> Resting:
        venue, scope = self._account.venue, replace(scope, stated=self._account.symbols)
        try:
            plan = plan_of(venue, scope)
        except NotSeen as error:
            return Resting(unread=(str(error),))
        now = time.monotonic()
        search = search_of(venue, scope, plan, now, now)
        while not search.rounds:
            search = self._read_page(search)
        return Resting(tuple(self._seen.values()), tuple(_unread(search)))

    def _read_page(self, search: ScopeSearch) -> ScopeSearch:
        batch, account, scope = search.batch(), self._account, search.scope
        time.sleep(max(0.0, search.not_before - time.monotonic()))
        if not self._take_tokens(batch.route):
            return _all_given_up(search, "deadline")
        started = time.monotonic()
        request = account.venue.build(batch)
        now_ms = int(time.time() * 1000)
        signed = account.venue.sign(request, account.credential, now_ms)
        try:
            reply = self._transport.send(signed, account.timeout_s)
        except (NotSent, InDoubt) as error:
            search = search.missed(str(error), started, PAUSE_S)
        else:
            heard = hear_list(account.venue, batch, reply, account.credential.scrub)
            for order in heard.orders or ():
                if is_of(scope, order):
                    self._seen.setdefault(order.id, Rests(batch.route.name, order))
            search = _taken(search, heard, started)
        finally:
            with self._changed:
                self._tokens.release(batch.route, time.monotonic())
                self._changed.notify_all()
        hopeless = search.failures >= MOST_TRIES or search.why == "list_too_long"
        return search.gave_up(search.why) if hopeless else search

    def _take_tokens(self, route: Route) -> bool:
        """Wait until a request may leave; say whether it is not too late then."""
        with self._changed:
            while (now := time.monotonic()) < self._until:
                leaves_at = self._tokens.ready_at(route, now, urgent=True)
                if leaves_at <= now:
                    self._tokens.take(route, now)
                    return True
                self._changed.wait(min(leaves_at, self._until) - now)
        return False


def _taken(search: ScopeSearch, heard: ListHeard, started: float) -> ScopeSearch:
    said = heard.said
    if heard.orders is not None:
        return search.page_came(
            heard.orders, heard.page, more=heard.more, started=started, pause_s=PAUSE_S
        )
    if said.verdict in ACCOUNT_WIDE:  # the workers need what is left of the venue's patience
        return _all_given_up(search, blame_of(said))
    if said.verdict is Verdict.SYMBOL_DEMANDED:
        return search.symbol_demanded()
    if said.verdict is Verdict.REFUSED:
        return search.gave_up(said.reason)
    return search.missed(said.reason or "odd_answer", started, PAUSE_S)


def _all_given_up(search: ScopeSearch, why: str) -> ScopeSearch:
    while not search.rounds:
        search = search.gave_up(why)
    return search


def _unread(search: ScopeSearch) -> Iterator[str]:
    for key, why in search.unread():
        yield f"{key.route.name}{f' of {key.symbol}' if key.symbol else ''} ({why})"
    for ord_types, why in search.plan.left_out:
        yield f"{', '.join(ord_types)} orders ({why})"
