"""Rehearses what a lane holds back: lanes on a simulated clock, and no process.

`python -m tests.bench.rehearse` says for each scene how long its jobs take and with how many
requests; `--only NAME` plays one, and `--trace SEED` shows the requests of one run. A run takes
some milliseconds and has no noise, so one rule of the lane can be weighed against another.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.bench.bounds import RTT_S, percentile
from tests.bench.scenes import SCENES, Job, Record, Scene
from venues.base import Batch, HttpReply, Route, Verdict
from venues.coinw import RECORDS, place_of
from venues.words import CancelOutcome, IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.lane.holds import Load
from worker.lane.lane import Lane, Sending
from worker.lane.submission import Submission
from worker.orders.judge import Heard, Judgement, hear
from worker.orders.progress import Cohort, new_cohorts
from worker.pacing.pace import NEVER, Pace

JITTER_S = 0.006
_READ_EVERY_S = 0.025
_ACCEPTED, _ABSENT = Judgement(Verdict.ACCEPTED), Judgement(Verdict.ABSENT)
#: A run of more events than this turns in a circle.
_MOST_EVENTS = 200_000


@dataclass(slots=True, eq=False, kw_only=True)
class Task(Submission):
    """One job at its lane, and what was seen of it. Times are seconds."""

    account: str = ""
    job_id: str = ""
    deadline: float = NEVER
    job: Job
    missing: int
    first_s: float = NEVER  # from its coming until its first cancel left
    canceled_s: float = 0.0  # until its last cancel left
    final_s: float = NEVER  # until its last id was final


@dataclass(slots=True, eq=False)
class _Account:
    """One account's lane, the venue behind it, and the single ids that come and go."""

    lane: Lane
    canceled: dict[str, None] = field(default_factory=dict)  # in this order
    singles: int = 0
    singles_done: int = 0
    wakes_at: float = NEVER


class Rehearsal:
    """One run of a scene, with the dice of one seed."""

    def __init__(self, scene: Scene, seed: int, tell: Callable[[str], object] = id) -> None:
        self.now = 0.0
        self.requests = self.cancels = 0
        self.canceled_s = 0.0  # when the last cancel left
        self.tasks: list[Task] = []
        self._scene = scene
        self._tell = tell
        self._dice = random.Random(seed)
        self._load = Load()
        self._ids = itertools.count(33_308_750_270_000_000)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._turns = itertools.count()
        self._accounts = [self._account() for _ in range(scene.accounts)]

    def _account(self) -> _Account:
        paces = {name: Pace(quota) for name, quota in self._scene.quotas.items()}
        return _Account(Lane(self._scene.venue, paces, self._dice, load=self._load))

    def run(self) -> Rehearsal:
        """Let everything happen until all jobs are final; without any, all single ids."""
        for account in self._accounts:
            for job in self._scene.jobs:
                if not job.after_last:
                    self._expect(account, job)
            if self._scene.singles:
                self._read(account)
        for _ in range(_MOST_EVENTS):
            if self._is_over():
                return self
            when, _, happens = heapq.heappop(self._events)
            self.now = max(self.now, when)
            happens()
        raise AssertionError(f"{self._scene.name} turns in a circle")

    def beyond(self) -> list[str]:
        """Return what took longer, or more requests, than the scene says."""
        found = [
            f"{name} of a job of {task.job.ids}: {getattr(task, name):.3f}"
            for task in self.tasks
            for name in ("first_s", "canceled_s", "final_s")
            if getattr(task, name) > (getattr(task.job, name) or NEVER)
        ]
        if self.now > self._scene.over_s:
            found.append(f"over: {self.now:.3f}")
        if self.canceled_s > self._scene.canceled_s:
            found.append(f"last cancel: {self.canceled_s:.3f}")
        if self.requests > self._scene.requests:
            found.append(f"requests: {self.requests}")
        if self.cancels > self._scene.cancels:
            found.append(f"cancels: {self.cancels}")
        return found

    def _is_over(self) -> bool:
        jobs = len(self._scene.jobs) * len(self._accounts)
        if jobs:
            return len(self.tasks) == jobs and not any(task.missing for task in self.tasks)
        return all(a.singles_done == self._scene.singles for a in self._accounts)

    def _at(self, when: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._turns), happens))

    # -- jobs ----------------------------------------------------------------------------

    def _expect(self, account: _Account, job: Job) -> None:
        comes_at = self.now + self._dice.uniform(*job.comes_s)
        self._at(comes_at, partial(self._come, account, job))

    def _come(self, account: _Account, job: Job) -> None:
        task = Task(job=job, kill=job.kill, received_at=self.now, missing=job.ids)
        self.tasks.append(task)
        account.lane.add(task, self._orders(job), self.now)
        self._pump(account)

    def _orders(self, job: Job) -> list[Cohort]:
        kill = job.kill or (job is _SINGLE and self._scene.kill)
        look = self._scene.venue.forgets_canceled and not kill
        numbers = itertools.islice(self._ids, job.ids)
        refs = (OrderRef(str(n), IdKind.VENUE, "BTC", job.stated) for n in numbers)
        return new_cohorts(refs, look_first=look)

    def _read(self, account: _Account) -> None:
        """Let single ids come as fast as a worker reads them."""
        most = min(self._scene.singles, 1 + int(self._scene.read_per_s * self.now))
        while account.singles < min(most, account.singles_done + self._scene.held):
            account.singles += 1
            kill = self._scene.kill
            received_at = self.now - self._scene.read_late_s
            task = Task(job=_SINGLE, kill=kill, received_at=received_at, missing=1)
            task.followed = account.singles < self._scene.singles
            account.lane.add(task, self._orders(_SINGLE), self.now)
        if account.singles < self._scene.singles:
            self._at(self.now + _READ_EVERY_S, partial(self._read, account))
        self._pump(account)

    def _hand_out(self, account: _Account) -> None:
        for task, result in account.lane.take_results():
            if not isinstance(task, Task) or not isinstance(result, CancelOutcome):
                continue
            task.missing -= 1
            if task.job is _SINGLE:
                account.singles_done += 1
            elif not task.missing:
                self._end(account, task)

    def _end(self, account: _Account, task: Task) -> None:
        task.final_s = self.now - task.received_at
        self._tell(f"{task.final_s:.3f} s for {task.job}")
        jobs = self._scene.jobs
        place = jobs.index(task.job) + 1
        if place < len(jobs) and jobs[place].after_last:
            self._expect(account, jobs[place])

    # -- requests ------------------------------------------------------------------------

    def _pump(self, account: _Account, late_s: float = 0.0) -> None:
        """Let leave what may, and have the lane woken for what may leave next."""
        lane = account.lane
        while (sending := lane.next(self.now)) is not None:
            if sending.batch.route.purpose is Purpose.CANCEL:
                self._load.note_lateness(late_s, self.now)
            self._send(account, sending)
        self._hand_out(account)
        if lane.quiet_until not in (account.wakes_at, NEVER):
            account.wakes_at = lane.quiet_until
            self._at(lane.quiet_until, partial(self._wake, account, lane.quiet_until))

    def _wake(self, account: _Account, when: float) -> None:
        if account.wakes_at == when:
            account.wakes_at = NEVER
            self._pump(account, self.now - when)

    def _send(self, account: _Account, sending: Sending) -> None:
        self.requests += 1
        self._note(sending)
        self.now += self._scene.cpu_s
        rtt_s = RTT_S + self._dice.uniform(0.0, JITTER_S)
        arrive = partial(self._arrive, account, sending, self.now + rtt_s)
        self._at(self.now + rtt_s / 2, arrive)

    def _note(self, sending: Sending) -> None:
        route = sending.batch.route
        advisory = " (advisory)" if sending.advisory else ""
        kills = sum(entry.kill for entry in sending.entries)
        self._tell(
            f"{self.now:6.3f}  {kills:3}/{len(sending.entries):<3}  {route.name}{advisory}"
        )
        if route.purpose is Purpose.CANCEL:
            self.cancels, self.canceled_s = self.cancels + 1, self.now
            for owner in sending.owners():
                assert isinstance(owner, Task)
                owner.canceled_s = self.now - owner.received_at
                owner.first_s = min(owner.first_s, owner.canceled_s)

    def _arrive(self, account: _Account, sending: Sending, back_at: float) -> None:
        """Let the venue have its way with a request; the answer is back at `back_at`."""
        batch, scene = sending.batch, self._scene
        is_long = batch.route.name in scene.long_lists and self.now < scene.long_until_s
        if batch.lists_all and is_long:
            self._at(back_at, partial(self._answer, account, sending, None))
            return
        if batch.route.purpose is Purpose.CANCEL:
            account.canceled.update(dict.fromkeys(ref.id for ref in batch.refs))
        if scene.record is not None and batch.route.name in RECORDS:
            heard = hear(
                scene.venue, batch, _page_of(scene.record, list(account.canceled), batch)
            )
        else:
            heard = Heard({ref: self._say(account, ref, batch.route) for ref in batch.refs})
        self._at(back_at, partial(self._answer, account, sending, heard))

    def _answer(self, account: _Account, sending: Sending, heard: Heard | None) -> None:
        self.now += self._scene.cpu_s
        if heard is None:
            account.lane.in_doubt(sending, "body_too_large", self.now)
        else:
            account.lane.answered(sending, heard.asked, self.now, heard.others)
        self._pump(account)

    def _say(self, account: _Account, ref: OrderRef, route: Route) -> Judgement:
        if route.purpose is Purpose.CANCEL:
            return _ACCEPTED
        canceled = ref.id in account.canceled
        if self._scene.venue.forgets_canceled and (canceled or not _shows(route, ref)):
            return _ABSENT
        status = OrdStatus.CANCELED if canceled else OrdStatus.NEW
        ord_type = _true_type(ref)
        return Judgement(Verdict.STATE, ord_status=status, symbol="BTC", ord_type=ord_type)


_SINGLE = Job(ids=1)


def _page_of(record: Record, canceled: list[str], batch: Batch) -> HttpReply:
    """Return a page of CoinW's record, of orders that were canceled in this order."""
    old = [f"9{number:018}" for number in range(record.old_rows)]
    ids = [*canceled[::-1], *old] if record.by_end else [*old, *sorted(canceled)[::-1]]
    number, size = place_of(batch)
    rows = [
        {"id": order_id, "orderStatus": "cancel", "tradePiece": 0, "totalPiece": "1"}
        for order_id in ids[(number - 1) * size : number * size]
    ]
    data = {"rows": rows, "total": len(ids)}
    return HttpReply(200, {}, {"code": 0, "data": data, "msg": ""})


def _true_type(ref: OrderRef) -> OrdType:
    return OrdType.LIMIT if ref.ord_type is OrdType.ANY else ref.ord_type


def _shows(route: Route, ref: OrderRef) -> bool:
    """Say whether a list of open orders shows an order that is open."""
    lists = {route.name.removeprefix("open_"), route.overlaps.removeprefix("open_")}
    return _true_type(ref) in lists


def _line(name: str, values: Sequence[float], unit: str) -> str:
    shares = (f"p{p} {percentile(list(values), p):.2f}" for p in (50, 90, 100))
    return f"{name:36} {', '.join(shares)} {unit}"


def _report(scene: Scene, runs: Sequence[Rehearsal]) -> None:
    print(f"{scene.name}:")
    for place, job in enumerate(scene.jobs):
        tasks = [task for run in runs for task in run.tasks if task.job is job]
        kind = f"  {'kill' if job.kill else 'job'} {place + 1}"
        print(_line(f"{kind} of {job.ids}, first cancel", [t.first_s for t in tasks], "s"))
        print(_line(f"{kind} of {job.ids}, last cancel", [t.canceled_s for t in tasks], "s"))
        print(_line(f"{kind} of {job.ids}, final", [t.final_s for t in tasks], "s"))
    print(_line("  last cancel", [run.canceled_s for run in runs], "s"))
    print(_line("  all over", [run.now for run in runs], "s"))
    print(_line("  cancels", [float(run.cancels) for run in runs], ""))
    print(_line("  requests", [float(run.requests) for run in runs], ""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rehearse", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="runs of each scene")
    parser.add_argument("--only", metavar="NAME", help="play one scene")
    parser.add_argument("--trace", type=int, metavar="SEED", help="show one run's requests")
    asked = parser.parse_args(arguments)
    for scene in SCENES:
        if asked.only in (None, scene.name) and asked.trace is not None:
            Rehearsal(scene, asked.trace, print).run()
        elif asked.only in (None, scene.name):
            _report(scene, [Rehearsal(scene, seed).run() for seed in range(asked.runs)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
