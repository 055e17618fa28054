"""Asks venues for `check`: an address without a key, an account by signed reads of lists."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from venues.base import Batch, HttpReply, HttpRequest, Venue, Verdict
from venues.words import IdKind, OrderRef
from worker.cli.findings import Finding, State
from worker.http.transport import InDoubt, NotSent, Transport
from worker.orders.judge import Judgement, hear, hear_list
from worker.orders.routes import probe_of
from worker.settings import Account, Egress, environment, not_used

#: A `Date` header has whole seconds, so a smaller difference cannot be seen.
CLOCK_TOLERANCE_S = 1.5
#: Ids in the forms of venues that list no open orders: a look-up shows as well whether a key is
#: taken.
_NOBODYS_IDS = ("1000000000000000000", "00000000-0000-4000-8000-000000000000")
#: Of a list that the venue gives for one symbol alone.
_NOT_TOLD = "not told without a symbol"


# -- an address --------------------------------------------------------------------------


def reached(base_url: str, egress: Egress, timeout_s: float) -> Iterator[Finding]:
    """Ask an address without a key: whether it answers, and what time it is there."""
    transport, begun, at = Transport(base_url, egress), time.monotonic(), time.time()
    try:
        reply = transport.send(HttpRequest("GET", "/"), timeout_s)
    except (NotSent, InDoubt) as error:
        yield _unanswered(base_url, egress, error)
        return
    finally:
        transport.close()
    yield from _answers(base_url, reply, at, time.monotonic() - begun)


def _answers(base_url: str, reply: HttpReply, at: float, took_s: float) -> Iterator[Finding]:
    yield Finding(base_url, State.OK, f"answers in {took_s * 1000:.0f} ms")
    yield _clock(base_url, reply, at + took_s / 2)


def _unanswered(base_url: str, egress: Egress, error: NotSent | InDoubt) -> Finding:
    if isinstance(error, InDoubt):
        return Finding(base_url, State.BAD, f"does not answer ({error}); check the address")
    host = urlsplit(base_url).hostname or ""
    if str(error) == "unreachable" and not egress.proxy and not _is_known(host):
        text = f"the name {host} cannot be resolved; check base_url and the name service"
        return Finding(base_url, State.BAD, text)
    mend = ["check address, name service, firewall and proxy"]
    mend += not_used(environment(), egress)
    return Finding(base_url, State.BAD, f"cannot be reached ({error}); {'; '.join(mend)}")


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _clock(base_url: str, reply: HttpReply, ours_s: float) -> Finding:
    what = f"clock of {base_url}"
    try:
        theirs_s = parsedate_to_datetime(reply.headers["date"]).timestamp() + 0.5
    except (KeyError, ValueError):
        return Finding(what, State.NOTE, "the venue tells no date")
    ahead_s = ours_s - theirs_s
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return Finding(what, State.OK, f"the same within {CLOCK_TOLERANCE_S} s")
    side = "ahead" if ahead_s > 0 else "behind"
    text = f"ours is {abs(ahead_s):.0f} s {side}; synchronise it (NTP)"
    return Finding(what, State.BAD, text)


# -- an account --------------------------------------------------------------------------


def probed(account: Account) -> Iterator[Finding]:
    """Sign reads that change nothing and say what came: each list of open orders, or a look-up.

    A first refusal ends it: a venue may shut out who goes on with a wrong key.
    """
    transport = Transport(account.base_url, account.egress)
    counts: dict[str, str] = {}
    resting: set[str] = set()
    try:
        for batch in _reads(account.venue):
            at, begun = time.time(), time.monotonic()
            try:
                reply = transport.send(_signed(account, batch, at), account.timeout_s)
            except (NotSent, InDoubt) as error:
                yield _unanswered(account.base_url, account.egress, error)
                return
            if not counts:
                yield from _answers(account.base_url, reply, at, time.monotonic() - begun)
            said, count, ids = _heard(account, batch, reply)
            if not count:
                yield _refused(account, reply, said)
                return
            counts[batch.route.name] = count
            resting |= ids
    finally:
        transport.close()
    yield from _of_key(account)
    unread = {r.name: _NOT_TOLD for r in account.venue.lists if r.needs_symbol}
    text = _counted(len(resting), counts | unread)
    yield Finding(f"open orders of {account.name}", State.OK, text)


def _of_key(account: Account) -> Iterator[Finding]:
    """Say what reads that were answered show of the key."""
    key = f"key of {account.name}"
    if account.venue.reads_unsigned:
        yield Finding(key, State.NOTE, "reads are not signed here; a cancel alone shows it")
        return
    signs = len(account.credential.given) > 1
    text = "the venue takes it, and its signature" if signs else "the venue takes it, unsigned"
    yield Finding(key, State.OK, text)
    text = "it may read orders; whether it may cancel, a cancel alone shows"
    yield Finding(f"permission of {account.name}", State.OK, text)


def _counted(resting: int, counts: Mapping[str, str]) -> str:
    each = ", ".join(f"{name}: {count}" for name, count in counts.items())
    if all(count.isdigit() for count in counts.values()):
        return f"{resting} ({each})"
    return f"{resting} or more ({each})" if resting else f"not all are known ({each})"


def _reads(venue: Venue) -> Sequence[Batch]:
    """Return the first page of each list of all symbols, or else the cheapest look-up."""
    if lists := [Batch(route, ()) for route in venue.lists if not route.needs_symbol]:
        return lists
    shape = venue.id_shapes[IdKind.VENUE]
    known = (OrderRef(word, IdKind.VENUE) for word in _NOBODYS_IDS if shape.fullmatch(word))
    probes = (probe_of(venue, ref) for ref in known)
    return [probe for probe in probes if probe][:1]


def _signed(account: Account, batch: Batch, now: float) -> HttpRequest:
    venue = account.venue
    return venue.sign(venue.build(batch), account.credential, int(now * 1000))


def _heard(
    account: Account, batch: Batch, reply: HttpReply
) -> tuple[Judgement, str, frozenset[str]]:
    """Return what the reply says, how many open orders it shows, and which.

    No count: the read was not served. Only a list or a look-up that is answered in full shows
    that the key is taken: a code that nobody knows may refuse it.
    """
    venue, scrub, none = account.venue, account.credential.scrub, frozenset[str]()
    if batch.refs:
        (said,) = hear(venue, batch, reply, scrub).asked.values()
        served = said.verdict in (Verdict.ABSENT, Verdict.STATE)
        return said, "asked for one order, which nobody has" if served else "", none
    heard = hear_list(venue, batch, reply, scrub)
    if heard.orders is not None:
        ids = frozenset(order.id for order in heard.orders)
        return heard.said, f"{len(ids)}{' or more' if heard.more else ''}", ids
    demanded = heard.said.verdict is Verdict.SYMBOL_DEMANDED
    return heard.said, _NOT_TOLD if demanded else "", none


def _refused(account: Account, reply: HttpReply, said: Judgement) -> Finding:
    """Say what is wrong, in the words of the venue and with the mend."""
    words = " ".join(word for word in (said.venue_code, said.text) if word)
    told = f"the venue says {words}" if words else f"HTTP {reply.status}"
    key, permission = f"key of {account.name}", f"permission of {account.name}"
    if said.by_status:
        heard = f"HTTP {reply.status} {words}".rstrip()
        text = (
            "no answer that its pages know; a gateway on the way, or another base_url is right"
        )
        return Finding(key, State.BAD, f"not read: {heard}, {text}")
    if said.verdict is Verdict.HALT and said.reason == "permission":
        mend = "give the key the right to trade, and this address where it is bound to some"
        return Finding(permission, State.BAD, f"refused ({told}); {mend}")
    if said.verdict is Verdict.HALT:
        mend = "check key and secret, that base_url is where the key is from, and its addresses"
        return Finding(key, State.BAD, f"refused ({told}); {mend}")
    if said.verdict is Verdict.CLOCK:
        return Finding(key, State.BAD, f"refused for its time ({told}); synchronise the clock")
    if said.verdict in (Verdict.THROTTLED, Verdict.BANNED):
        return Finding(key, State.BAD, f"not read: {said.verdict} ({told}); try again later")
    return Finding(key, State.BAD, f"not read, and the answer is not understood ({told})")
