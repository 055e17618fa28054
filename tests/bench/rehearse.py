"""Kills into a backlog on a simulated clock: one lane with CoinW's tables, and no process.

`python -m tests.bench.rehearse` says how long two kills of 200 take whose account has thousands
of routine one-id jobs waiting; `--trace SEED` shows the requests of one run. One takes a tenth
of a second and has no noise, so one rule of the lane can be weighed against another.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.bounds import RTT_S, percentile, proven_s
from venues.base import Verdict
from venues.coinw import CoinW
from venues.words import CancelOutcome, IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.lane.lane import Lane, Sending, take_deliveries
from worker.orders.follow import Track, start
from worker.orders.judge import Judgement
from worker.pacing.pace import NEVER, Pace

_KILL_IDS = 200
#: As measured with `--only backlog`: ids of routine in memory, and how many a second come in.
_IN_MEMORY, _TAKEN_PER_S = 1100, 600
#: The first kill comes while the routine ids are still looked for and canceled evenly.
_KILL_COMES_S = (2.2, 3.4)
#: Longer than any list that is read; what `execute` shows, `plan` orders are, too.
_TOO_LONG = frozenset({"open_limit", "open_market"})
_JITTER_S = 0.006
_OPEN = Judgement(Verdict.STATE, ord_status=OrdStatus.NEW, symbol="BTC", ord_type=OrdType.LIMIT)
_ACCEPTED, _ABSENT = Judgement(Verdict.ACCEPTED), Judgement(Verdict.ABSENT)


@dataclass(slots=True, eq=False)
class _Job:
    kill: bool
    came_at: float
    missing: int
    deadline: float = NEVER
    leaving: str = ""


class Rehearsal:
    """One account's lane, the venue behind it, and what was seen of its kills."""

    def __init__(self, seed: int, tell: Callable[[str], object]) -> None:
        self.now = 0.0
        self.took_s: list[float] = []
        self._tell = tell
        self._dice = random.Random(seed)
        venue = CoinW()
        ban_guard = ("escalation", "address")
        paces = {n: Pace(q) for n, q in venue.quotas.items() if n not in ban_guard}
        self._lane = Lane(venue, paces, self._dice)
        self._ids = itertools.count(33_308_750_270_000_000)
        self._canceled: set[str] = set()
        self._routine = 0
        self._kill: _Job | None = None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._turns = itertools.count()
        self._wake_turn = -1

    def run(self, kills: int) -> list[float]:
        """Let so many kills come, one after the other; return how many seconds each took."""
        for number in range(200):
            self._at(number * 0.025, lambda: None)
        self._at(self._dice.uniform(*_KILL_COMES_S), self._begin)
        while len(self.took_s) < kills:
            self.now, turn, happens = heapq.heappop(self._events)
            if happens is _wake and turn != self._wake_turn:
                continue  # the lane asked to be woken at another time since
            happens()
            self._hand_out()
            self._pump()
        return self.took_s

    def _at(self, when: float, happens: Callable[[], None]) -> int:
        turn = next(self._turns)
        heapq.heappush(self._events, (when, turn, happens))
        return turn

    def _begin(self) -> None:
        self._kill = _Job(True, self.now, _KILL_IDS)
        self._lane.add(
            self._kill, [self._track(look=False) for _ in range(_KILL_IDS)], self.now
        )

    def _track(self, *, look: bool) -> Track:
        ref = OrderRef(str(next(self._ids)), IdKind.VENUE, "BTC", OrdType.LIMIT)
        return start(ref, look_first=look)

    def _hand_out(self) -> None:
        for delivery in take_deliveries(self._lane):
            job = delivery.owner
            if not isinstance(job, _Job) or not isinstance(delivery.result, CancelOutcome):
                continue
            job.missing -= 1
            self._routine -= not job.kill
            if job.kill and not job.missing:
                self.took_s.append(self.now - job.came_at)
                self._tell(f"{self.took_s[-1]:.3f} s")
                self._at(self.now + 0.01, self._begin)

    def _pump(self) -> None:
        while self._routine < min(_IN_MEMORY, 1 + _TAKEN_PER_S * self.now):
            self._routine += 1
            self._lane.add(_Job(False, self.now, 1), [self._track(look=True)], self.now)
        while (sending := self._lane.next(self.now)) is not None:
            self._send(sending)
        wake_at = self._lane.next_at(self.now)
        if wake_at < NEVER:
            self._wake_turn = self._at(max(wake_at, self.now) + 1e-6, _wake)

    def _send(self, sending: Sending) -> None:
        if self._kill is not None:
            kills = sum(item.kill for item in sending.items)
            glance = " (glance)" if sending.glance else ""
            since_s, route = self.now - self._kill.came_at, sending.batch.route.name
            self._tell(f"{since_s:6.3f}  {kills:3}/{len(sending.items):<3}  {route}{glance}")
        rtt_s = RTT_S + self._dice.uniform(0.0, _JITTER_S)
        self._at(self.now + rtt_s / 2, lambda: self._take(sending, self.now + rtt_s / 2))

    def _take(self, sending: Sending, back_at: float) -> None:
        """Let the venue have its way with a request; the answer is back at `back_at`."""
        batch = sending.batch
        if batch.lists_all and batch.route.name in _TOO_LONG:
            self._at(back_at, lambda: self._lane.in_doubt(sending, "body_too_large", self.now))
            return
        if batch.route.purpose is Purpose.CANCEL:
            self._canceled.update(ref.id for ref in batch.refs)
        said = {
            ref: self._say(ref, batch.route.name, batch.route.purpose) for ref in batch.refs
        }
        self._at(back_at, lambda: self._lane.answered(sending, said, self.now))

    def _say(self, ref: OrderRef, route: str, purpose: Purpose) -> Judgement:
        if purpose is Purpose.CANCEL:
            return _ACCEPTED
        return _OPEN if route in _TOO_LONG and ref.id not in self._canceled else _ABSENT


def _wake() -> None:
    """Let the lane say what may leave now."""


def _line(name: str, values: Sequence[float]) -> str:
    parts = (
        f"p{percent} {percentile(list(values), percent):.2f} s" for percent in (50, 90, 100)
    )
    return f"{name}: {', '.join(parts)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rehearse", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="runs, of two kills each")
    parser.add_argument("--trace", type=int, metavar="SEED", help="show one run's requests")
    asked = parser.parse_args(arguments)
    if asked.trace is not None:
        Rehearsal(asked.trace, print).run(2)
        return 0
    took = [Rehearsal(seed, lambda _: None).run(2) for seed in range(asked.runs)]
    print(f"bound: {proven_s(_KILL_IDS):.2f} s")
    print(_line("first kill", [first for first, _ in took]))
    print(_line("second kill", [second for _, second in took]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
