"""What may not be told of a world.

At the moment of an outcome and for ten seconds after it, the venue's own book does not
contradict it, and nobody is sent to look where the venue showed the truth for six seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from tests.worlds.book import LIVE, Order, State
from tests.worlds.fake import NEVER
from tests.worlds.plan import FIRST, QUANTITY, Ask, JobPlan
from tests.worlds.play import START_S, Play, Told
from venues.words import CancelStatus, Purpose

#: For so long after an outcome the book may not contradict it.
AFTER_S = 10.0
#: An order that comes later than this after its job is another one.
BIRTH_S = 3.0
#: What the venue shows for so long must be told.
SHOWN_S = 6.0
#: An absence is a proof only after a late order could have come, and been shown.
ABSENCE_S = 6.0
#: The lag of reads for which these times are made.
USUAL_LAG_S = 2.0
#: For so long lists may hide an order, where these times are made.
USUAL_HIDDEN_S = 3.0
#: The fewest ids that a venue's batch may hold, if it has one.
SMALLEST_BATCH = 10
#: Cancels of one id beyond which it is a flood: so many at once, and one each so many seconds.
QUICK_CANCELS = 6
CANCEL_EACH_S = 2.5


class Class(StrEnum):
    """What can be wrong."""

    CRASH = "crash"
    LOST = "lost"  # no outcome at all
    LEAK = "leak"  # a secret is told
    OPEN = "safe while open"
    SOON = "opened soon after"
    WRONG = "wrong"
    CONTRADICTORY = "contradictory"
    HIDDEN = "hidden fill"
    RECORDED = "not_found of a recorded order"
    NEEDLESS = "needless doubt"
    LEFT_OPEN = "left open"
    FLOOD = "flood"
    LATE = "late cancel"


class Find(NamedTuple):
    """One thing that is wrong in a world; `key` says what kind of find it is."""

    kind: Class
    text: str
    key: str = ""
    id: str = ""


_SAFE = {
    CancelStatus.CANCELED,
    CancelStatus.FILLED,
    CancelStatus.CLOSED,
    CancelStatus.NOT_FOUND,
}
#: Refused at the door: what the job says cannot be asked for.
_AT_THE_DOOR = {
    "bad_id",
    "bad_symbol",
    "unknown_kind",
    "unknown_ord_type",
    "unsupported_kind",
    "unsupported_ord_type",
    "missing_symbol",
}


def finds(play: Play) -> list[Find]:
    """Return everything that is wrong in a world that was played."""
    if play.crash:
        return [Find(Class.CRASH, play.crash, play.crash.strip().splitlines()[-1][:80])]
    found = [Find(_kind_of(text), text, text) for text in sorted(set(play.fake.faults))]
    found += _lost(play)
    for told in play.told:
        find = _of_outcome(play, told)
        if find is not None:
            key = f"{told.outcome.status} {told.outcome.reason}"
            found.append(find._replace(key=key, id=told.ask.id))
        if any(word in repr(told.outcome) for word in play.fake.parts.values()):
            found.append(Find(Class.LEAK, told.outcome.text, told.outcome.text[:40]))
    return found + _contradictions(play) + _floods(play) + _late(play)


def _kind_of(fault: str) -> Class:
    return Class.LEAK if fault.startswith("leak") else Class.CRASH


def _lost(play: Play) -> list[Find]:
    told = {(item.job.job_id, item.ask.id) for item in play.told}
    return [
        Find(Class.LOST, f"{ask.id} of {job.job_id}")
        for job in play.world.jobs
        for ask in job.asks
        if (job.job_id, ask.id) not in told
    ]


# -- one outcome ---------------------------------------------------------------------------


def _of_outcome(play: Play, told: Told) -> Find | None:
    orders = play.fake.candidates(told.ask)
    family = [*orders, *(order.child for order in orders if order.child)]
    if told.outcome.status in _SAFE:
        return (
            _open(play, told, family)
            or _wrong(told, family)
            or _hidden(play, told, family)
            or _recorded(play, told, orders)
        )
    return _needless(play, told, orders)


def _open(play: Play, told: Told, family: list[Order]) -> Find | None:
    came = _arrival(told)
    if _of_another_symbol(told, play.fake.candidates(told.ask)):
        # What a trigger of that symbol left behind when it fired: docs/evidence.md.
        family = [order for order in family if order.plan in play.world.orders]
    # Whoever named an order that was open when the job came did not mean one yet to come.
    meant = any((was := order.at(came)) and was.live for order in family)
    for order in family:
        was = order.at(told.at)
        if was is not None and was.state in LIVE:
            soon = came < order.placed <= came + BIRTH_S and order.plan in play.world.orders
            if soon and meant:
                continue
            return _find(Class.SOON if soon else Class.OPEN, told, order)
        born = told.at < order.placed <= min(told.at + AFTER_S, came + BIRTH_S)
        if was is None and born and not meant:
            return _find(Class.SOON, told, order)
    return None


def _wrong(told: Told, family: list[Order]) -> Find | None:
    states = {was.state for order in family if (was := order.at(told.at))}
    if told.outcome.status is CancelStatus.FILLED and State.FILLED not in states:
        return _find(Class.WRONG, told, *family)
    fine = {State.CANCELED, State.EXPIRED, State.REJECTED}
    if told.outcome.status is CancelStatus.CANCELED and not states & fine:
        return _find(Class.WRONG, told, *family)
    return None


def _hidden(play: Play, told: Told, family: list[Order]) -> Find | None:
    word = told.outcome
    named = word.status is CancelStatus.CLOSED and word.reason not in ("", "no_record")
    named = named or _of_a_long_record(play, told, family)
    if (
        named
        or _of_another_symbol(told, family)
        or word.status not in (CancelStatus.CLOSED, CancelStatus.NOT_FOUND)
    ):
        return None
    traded = [order for order in family if _executed(order, told.at + AFTER_S)]
    return _find(Class.HIDDEN, told, *traded) if traded else None


def _of_a_long_record(play: Play, told: Told, orders: list[Order]) -> bool:
    """Say whether a word says that the end may stand where nobody should have to read."""
    too_long = told.outcome.reason == "record_too_long"
    return too_long and any(play.fake.record_is_long(order) for order in orders)


def _of_another_symbol(told: Told, orders: list[Order]) -> bool:
    """Say whether a word leaves open what has ended under another symbol, as these have."""
    of_symbol = told.outcome.reason == "none_of_symbol"
    return of_symbol and all(order.plan.symbol != told.ask.symbol for order in orders)


def _recorded(play: Play, told: Told, orders: list[Order]) -> Find | None:
    if told.outcome.status is not CancelStatus.NOT_FOUND:
        return None
    if _of_another_symbol(told, orders):
        return None
    known = [o for o in orders if o.at(told.at) and play.fake.recorded(o)]
    return _find(Class.RECORDED, told, *known) if known else None


def _needless(play: Play, told: Told, orders: list[Order]) -> Find | None:
    """Say whether somebody was sent to look at what the venue showed."""
    word = told.outcome
    if word.reason in _AT_THE_DOOR:
        return None
    came = _delivered(play, told)
    ends = came + told.job.deadline_s
    shown = play.fake.visible_from(told.ask, orders)
    if shown == NEVER:
        return _left_open(play, told, orders, ends)
    since = max(shown, came, _quiet_since(play, ends))
    later = play.world.venue not in FIRST
    absent = not orders or (
        (later or word.status is CancelStatus.UNCONFIRMED) and _forgotten(play, orders)
    )
    absent = absent or _of_either_kind(play, told.ask)
    needs_s = SHOWN_S + _behind_s(play) + _work_s(play) + (_absence_s(play) if absent else 0.0)
    if ends - since < needs_s:
        return _left_open(play, told, orders, ends)
    text = f"shown since {since - START_S:+.2f} s, until {ends - START_S:+.2f} s"
    return _find(Class.NEEDLESS, told, *orders, text=text)


def _left_open(play: Play, told: Told, orders: list[Order], ends: float) -> Find | None:
    """Say whether an order is open still though long enough its cancel would have worked."""
    if len(orders) != 1 or told.ask.symbol != orders[0].plan.symbol:
        return None
    (order,) = orders
    if (
        not order.now.live
        or order.plan.swallowed
        or not play.fake.takes_cancel(order, told.ask)
    ):
        return None
    since = max(_delivered(play, told), order.placed, _quiet_since(play, ends))
    if ends - since < SHOWN_S + _behind_s(play) + _work_s(play):
        return None
    return _find(Class.LEFT_OPEN, told, order)


def _behind_s(play: Play) -> float:
    """Return how much later than the others a venue's table believes what reads show."""
    return max(0.0, play.venue.read_lag_s - USUAL_LAG_S)


def _of_either_kind(play: Play, ask: Ask) -> bool:
    """Say whether an id may be of two kinds, so that an order has to be absent under one."""
    shapes = play.venue.id_shapes.values()
    fit = sum(1 for shape in shapes if shape.fullmatch(ask.id))
    return play.world.venue not in FIRST and not ask.kind and fit > 1


def _absence_s(play: Play) -> float:
    """Return how much longer an absence takes, at a venue that may hide an order for longer."""
    return ABSENCE_S + max(0.0, play.venue.hidden_s - USUAL_HIDDEN_S)


def _forgotten(play: Play, orders: list[Order]) -> bool:
    return not any(play.fake.recorded(order) for order in orders)


def _quiet_since(play: Play, ends: float) -> float:
    """Return since when no request met anything but the venue itself, before a time."""
    return max((until for at, until in play.fake.trouble if at < ends), default=-NEVER)


def _work_s(play: Play) -> float:
    """Return how long the quotas may need for everything that the world's jobs ask."""
    ids = 0
    for job in play.world.jobs:
        twice = [ask for ask in job.asks if _of_either_kind(play, ask)]
        ids += play.fake.requests_of([*job.asks, *twice]) * (2 if job.again_s else 1)
    rates = [
        quota.limit / quota.window_s / _weight(play, name)
        for name, quota in play.venue.quotas.items()
        if name not in play.fake.wide_quotas
    ]
    slowest = min(rates, default=5.0)
    ways = play.world.ways
    if play.world.venue == "coinw":
        pages = math.ceil((ways.record_rows + ways.resting) / ways.page_cap)
        requests = 12 + 2 * pages + ids
    else:
        requests = 3 * ids
    return requests / slowest + 10 * ways.rtt_s


def _weight(play: Play, quota: str) -> int:
    """Return how many tokens a look-up of one id takes of a quota."""
    routes = (route for route in play.venue.routes if route.purpose is Purpose.LOOKUP)
    return max(
        (r.tokens(quota, 1) for r in routes if quota in r.quotas and r.max_ids == 1), default=1
    )


def _arrival(told: Told) -> float:
    return START_S + told.job.at_s


def _delivered(play: Play, told: Told) -> float:
    """Return when the delivery that told this had come: a job may be sent twice."""
    same = [t for t in play.told if t.job is told.job and t.ask == told.ask]
    if not told.job.again_s or (same and same[0] is told):
        return _arrival(told)
    ends = [t.at for t in play.told if t.job is told.job and t.at < told.at]
    return max(ends[: len(told.job.asks)], default=_arrival(told)) + told.job.again_s


def _executed(order: Order, when: float) -> int:
    was = order.at(when)
    return was.executed if was else 0


def _find(kind: Class, told: Told, *orders: Order, text: str = "") -> Find:
    word = told.outcome
    lives = "; ".join(_life(order) for order in orders)
    said = f"{word.status} {word.reason}".strip()
    at = f"{told.at - START_S:+.2f} s"
    return Find(kind, f"{at} {told.ask.id}: {said}, but {lives} {text}".strip())


def _life(order: Order) -> str:
    return f"{order.plan.venue_id[-6:]} " + ", ".join(
        f"{was.state} {was.executed}/{QUANTITY} since {was.since - START_S:+.2f} s"
        for was in order.life
    )


# -- several outcomes, and requests ----------------------------------------------------------


def _contradictions(play: Play) -> list[Find]:
    by_ask: dict[str, list[Told]] = defaultdict(list)
    for told in play.told:
        if told.outcome.status in _SAFE:
            by_ask[told.ask.id].append(told)
    found = []
    for order_id, several in by_ask.items():
        pairs = pairwise(several)
        clash = next(((a, b) for a, b in pairs if _contradict(play, a, b)), None)
        if clash:
            words = [
                f"{t.at - START_S:+.2f} s {t.outcome.status} {t.outcome.reason}" for t in clash
            ]
            statuses = " ".join(str(t.outcome.status) for t in clash)
            found.append(
                Find(
                    Class.CONTRADICTORY,
                    f"{order_id}: " + " / ".join(words),
                    statuses,
                    order_id,
                )
            )
    return found


def _contradict(play: Play, one: Told, other: Told) -> bool:
    statuses = {one.outcome.status, other.outcome.status}
    if len(statuses) == 1:
        return False
    forgets = play.world.venue == "coinw"
    orders = play.fake.candidates(one.ask)
    if any(_of_another_symbol(told, orders) for told in (one, other)):
        return False
    if forgets and statuses == {CancelStatus.CLOSED, CancelStatus.NOT_FOUND}:
        return False
    no_record = any(told.outcome.reason == "no_record" for told in (one, other))
    gone = CancelStatus.NOT_FOUND in statuses or no_record
    gone = gone and CancelStatus.FILLED not in statuses
    if gone and play.world.venue not in FIRST and _forgotten(play, orders):
        return False
    # Two words of an id that names two orders may both be true.
    return len(orders) < 2 and not any(order.placed > _arrival(one) for order in orders)


def _floods(play: Play) -> list[Find]:
    found = []
    lasts_s = max(job.deadline_s for job in play.world.jobs)
    most = 2 * (QUICK_CANCELS + lasts_s / CANCEL_EACH_S) * len(play.world.jobs)
    for order_id, times in play.fake.cancels.items():
        if len(times) > most:
            found.append(Find(Class.FLOOD, f"{order_id} in {len(times)} cancels", "id"))
    for key, times in play.fake.arrivals.items():
        limit, window_s = play.fake.limit_of(key)
        over = any(
            later - first < window_s - 0.001
            for first, later in zip(times, times[limit:], strict=False)
        )
        if over:
            found.append(
                Find(Class.FLOOD, f"more than {limit} in {window_s} s: {key}", "quota")
            )
    return found + _one_by_one(play)


def _one_by_one(play: Play) -> list[Find]:
    """Say whether the ids of a batch went again each by itself, though nothing was refused."""
    ways = play.world.ways
    ids = sum(len(job.asks) for job in play.world.jobs)
    slow = 0 < ways.cancel_s <= 2 or 0 < ways.read_lag_s <= 2
    strange = ways.spoils or ways.type_decides or play.fake.trouble or ways.symbol_decides
    strange = strange or any(job.again_s for job in play.world.jobs)
    strange = strange or not ways.batch_takes_triggers or not ways.client_batch
    strange = strange or any(order.swallowed or order.plan.swallowed for order in play.book)
    if ids < 20 or not slow or strange:
        return []
    # What goes alone later is asked of the engine, as the last proof (docs/decisions/0033).
    again = [after_s for after_s in play.fake.alone_after_s.values() if after_s < ABSENCE_S]
    if len(again) <= max(5, ids // 3):
        return []
    return [Find(Class.FLOOD, f"{len(again)} of {ids} ids went again alone", "one by one")]


def _late(play: Play) -> list[Find]:
    """Say whether a job's first cancel left later than quotas and troubles explain."""
    found = []
    for job in play.world.jobs:
        if job.again_s:
            continue
        # A routine job may look for each order first, and give way to kills.
        allowed_s = _cancels_s(play, job) if job.kill else 6.0 + _work_s(play)
        for ask in job.asks:
            left = play.first_cancel.get(ask.id)
            if left is None:
                continue
            came = max(START_S + job.at_s, _quiet_since(play, left))
            if left - came > allowed_s:
                text = (
                    f"{ask.id} left {left - came:.2f} s after it could, {allowed_s:.2f} allowed"
                )
                found.append(Find(Class.LATE, text, "kill" if job.kill else "routine", ask.id))
                break
    return found


def _cancels_s(play: Play, job: JobPlan) -> float:
    """Return how long the cancels of a kill, and of what came before it, may take to leave."""
    company: dict[tuple[str, ...], int] = defaultdict(int)
    for other in play.world.jobs:
        if other.at_s <= job.at_s:
            for ask in other.asks:
                company[ask.kind, ask.ord_type, ask.symbol] += 1
    cancels = [route for route in play.venue.routes if route.purpose is Purpose.CANCEL]
    fewest = min(SMALLEST_BATCH, max(route.max_ids for route in cancels))
    requests = sum(math.ceil(ids / fewest) for ids in company.values())
    quotas = play.venue.quotas
    names = [name for name in quotas if name not in ("lookup", "history")]
    slowest = min((quotas[name].limit / quotas[name].window_s for name in names), default=5.0)
    return 0.8 + 2 * requests / slowest + 2 * play.world.ways.rtt_s
