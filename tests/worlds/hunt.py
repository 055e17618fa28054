"""Plays many worlds and gathers what is found; shrinks it and prints what the venue said."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, groupby

from tests.worlds.draw import draw
from tests.worlds.law import Class, Find, finds
from tests.worlds.plan import World, unusual
from tests.worlds.play import REAL, START_S, Exchanged, Parts, Play, venue_of
from tests.worlds.shrink import shrink

#: What is left out of a story: fields of rows that nobody reads, and times of signing.
_BORING = re.compile(
    r'"(cumQuote|origType|price|reduceOnly|side|positionSide|stopPrice|closePosition|timeInForce'
    r"|updateTime|workingType|priceProtect|cumulativeQuoteQty|cost|createdAt|updatedAt|avgPrice"
    r"|createdDate|updatedDate|direction|orderPrice|userId|baseSize|contractType|leverage"
    r'|quantityUnit|currentPiece)":("[^"]*"|[^,}]*),?|&recvWindow=\d+|[&?]?timestamp=\d+'
)
#: What may not be found at all, and what at most so often in 1,000 ids.
NEVER_MAY = (
    Class.CRASH,
    Class.LOST,
    Class.LEAK,
    Class.OPEN,
    Class.SOON,
    Class.WRONG,
    Class.CONTRADICTORY,
    Class.HIDDEN,
    Class.FLOOD,
)
SELDOM_MAY = {Class.NEEDLESS: 1.0, Class.LEFT_OPEN: 1.0}
#: Finds of one kind that are shrunk and printed.
SHOWN_OF_A_KIND = 2


@dataclass(slots=True)
class Tally:
    """What so many worlds came to."""

    worlds: int = 0
    ids: int = 0
    requests: int = 0
    unsettled: int = 0
    found: Counter[str] = field(default_factory=Counter)
    #: What was found in worlds where nothing can tell the truth: see `is_beyond`.
    beyond: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    #: The seeds of each kind of find.
    seeds: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)

    def add(self, world: World, play: Play, found: list[Find]) -> None:
        self.worlds += 1
        self.ids += len(play.told)
        self.requests += len(play.exchanged)
        self.statuses.update(str(told.outcome.status) for told in play.told)
        beyond = is_beyond(world)
        for find in found:
            (self.beyond if beyond else self.found)[find.kind] += 1
            if beyond:
                continue
            seeds = self.seeds.setdefault((find.kind, world.venue, find.key), [])
            if world.seed not in seeds:
                seeds.append(world.seed)

    def merge(self, other: Tally) -> None:
        self.worlds += other.worlds
        self.ids += other.ids
        self.requests += other.requests
        self.found.update(other.found)
        self.beyond.update(other.beyond)
        self.statuses.update(other.statuses)
        for key, seeds in other.seeds.items():
            self.seeds.setdefault(key, []).extend(seeds)

    @property
    def broken(self) -> list[str]:
        """Return the classes of which there are more than there may be."""
        never = [str(kind) for kind in NEVER_MAY if self.found[kind]]
        seldom = [
            str(kind)
            for kind, most in SELDOM_MAY.items()
            if self.found[kind] > most * self.ids / 1000
        ]
        return never + seldom

    def table(self) -> str:
        """Return the figures of a hunt."""
        lines = [
            f"{self.worlds} worlds, {self.ids} ids, {self.requests} requests",
            "  ".join(f"{word} {count}" for word, count in self.statuses.most_common()),
            "",
            f"{'class':34} {'found':>7} {'per 1,000 ids':>14} {'beyond':>8}",
        ]
        for kind in Class:
            count = self.found[kind]
            lines.append(
                f"{kind:34} {count:7} {1000 * count / max(1, self.ids):14.2f}"
                f" {self.beyond[kind]:8}"
            )
        return "\n".join(lines)


def is_beyond(world: World) -> bool:
    """Say whether the truth is beyond what the venue's tables, or any request, can tell."""
    venue, ways = venue_of(world), world.ways
    lags = ways.read_lag_s > venue.read_lag_s or ways.record_lag_s > venue.record_lag_s
    return lags or _out_of_reach(world)


def _out_of_reach(world: World) -> bool:
    """Say whether a trigger order is out of reach of all that can be asked at CoinW.

    No list shows it under another symbol than its own, and no cancel of the venue reaches it
    (docs/decisions/0033).
    """
    ways = world.ways
    if world.venue != "coinw" or ways.single_takes_triggers or ways.batch_takes_triggers:
        return False
    own = {
        order.venue_id: order.symbol for order in world.orders if order.ord_type == "trigger"
    }
    asks = [ask for job in world.jobs for ask in job.asks if ask.symbol]
    return any(own.get(ask.id, ask.symbol) != ask.symbol for ask in asks)


def play(world: World, parts: Parts = REAL) -> tuple[Play, list[Find]]:
    played = Play(world, parts).run()
    return played, finds(played)


def hunt(
    seeds: Iterator[int], until: float, parts: Parts = REAL, venues: Sequence[str] = ("",)
) -> Tally:
    """Play the worlds of some seeds, each at the next venue, until a time (monotonic s)."""
    tally = Tally()
    for seed, venue in zip(seeds, cycle(venues), strict=False):
        world = draw(seed, venue)
        played, found = play(world, parts)
        tally.add(world, played, found)
        if time.monotonic() >= until:
            break
    return tally


def shrunk(world: World, kind: str, key: str, parts: Parts = REAL) -> World:
    """Return the smallest world that has a find of this kind."""

    def breaks(candidate: World) -> bool:
        return any((f.kind, f.key) == (kind, key) for f in play(candidate, parts)[1])

    return shrink(world, breaks)


def story(world: World, parts: Parts = REAL) -> str:
    """Return what a world is, what was sent and said in it, and what is wrong with it."""
    played, found = play(world, parts)
    ways = ", ".join(f"{name}={value!r}" for name, value in unusual(world.ways).items())
    lines = [f"seed {world.seed} at {world.venue}{' verify' if world.verify else ''}: {ways}"]
    lines += [f"  order {unusual(order)}" for order in world.orders]
    for job in world.jobs:
        word = "kill" if job.kill else "routine"
        again = f", again after {job.again_s} s" if job.again_s else ""
        asks = " ".join(
            "/".join(filter(None, ask_words)) for ask_words in map(_words, job.asks)
        )
        lines.append(
            f"  {word} {job.job_id} at {job.at_s} s, {job.deadline_s:g} s{again}: {asks}"
        )
    events = [(call.left, text) for call, text in _exchanges(played.exchanged)]
    for told in played.told:
        said = told.outcome
        text = f"      {told.ask.id} is told {said.status} {said.reason} {said.text!r}"
        events.append((told.at, text))
    lines += [
        f"  {when - START_S:+7.3f} s {text}"
        for when, text in sorted(events, key=lambda event: event[0])
    ]
    lines += [f"  => {find.kind}: {find.text}" for find in found]
    return "\n".join(lines)


def _words(ask: object) -> tuple[str, ...]:
    return tuple(unusual(ask).values())


def _exchanges(calls: list[Exchanged]) -> Iterator[tuple[Exchanged, str]]:
    """Give each call with its text; of neighbors that say the same, the first."""
    for (asked, said), same in groupby(calls, key=_said):
        first, *others = same
        last = others[-1] if others else first
        more = f" ({len(others)} more, until {last.back - START_S:+.3f} s)" if others else ""
        yield first, f"{asked}\n      {first.back - START_S:+7.3f} s   {said}{more}"


def _said(call: Exchanged) -> tuple[str, str]:
    target = call.request.target.partition("&signature=")[0]
    body = f" {call.request.body.decode()}" if call.request.body else ""
    said = _BORING.sub("", call.body)
    said = said if len(said) <= 400 else f"{said[:400]}… ({len(said)})"
    asked = _BORING.sub("", f"{call.request.method} {target[:240]}{body[:300]}")
    return asked, f"{call.status or 'no reply to'} {said}"
