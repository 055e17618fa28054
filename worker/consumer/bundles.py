"""Gathers jobs that were read into bundles, one task each, so that many small jobs cost little.

A job that comes alone starts its task within some milliseconds. The more tasks of a lane run,
the longer its next one waits, and takes the jobs that come meanwhile with it: their ids are in
the lane by then, and the task is only there for what comes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from venues.words import Priority
from worker.amqp.hub import AFTER_POLL_S
from worker.jobs.submit import Bundle

#: A lane's tasks start at least so long after each other (seconds), for each one that runs: 30
#: tasks where jobs take ten seconds each, 170 where they take five minutes.
PAUSE_A_TASK_S = 0.01
#: A task starts when no message came for `QUIET_S`, or after `LONGEST_WAIT_S` (seconds), as it
#: takes the interpreter from who reads, and ids leave as soon as they are read.
QUIET_S, LONGEST_WAIT_S = 0.01, 0.25
#: So many start before the messages that have come are read. To start forty takes 0.1 s.
MOST_AT_ONCE = 2
NEVER = float("inf")


#: One of the two lanes of an account.
LaneKey = tuple[str, Priority]


class Bundles:
    """The bundles that gather jobs, and those whose tasks run. Times: monotonic seconds."""

    def __init__(self, start: Callable[[Bundle], None]) -> None:
        self._start = start
        self._gathering: dict[LaneKey, Bundle] = {}
        self._running: dict[LaneKey, list[Bundle]] = {}
        self._started_at: dict[LaneKey, float] = {}
        self._read_at = -NEVER

    def of(self, account: str, priority: Priority, now: float) -> Bundle:
        """Return the bundle of a lane, for a job that is read now."""
        self._read_at = now
        lane = account, priority
        found = self._gathering.get(lane)
        if found is None:
            found = self._gathering[lane] = Bundle(account, priority, now)
        return found

    def gathering(self) -> Iterable[Bundle]:
        """Return all bundles whose tasks have not started."""
        return self._gathering.values()

    def start_due(self, now: float) -> float:
        """Start tasks whose time has come; return when this is to be asked again."""
        next_at, started = NEVER, 0
        for lane, bundle in sorted(self._gathering.items(), key=_kills_first):
            quiet_at = min(self._read_at + QUIET_S, bundle.began_at + LONGEST_WAIT_S)
            at = max(quiet_at, self._due_at(lane))
            if at > now:
                next_at = min(next_at, at)
                continue
            if started >= MOST_AT_ONCE:
                return now + AFTER_POLL_S
            del self._gathering[lane]
            self._running[lane].append(bundle)
            self._started_at[lane] = now
            self._start(bundle)
            started += 1
        return next_at

    def _due_at(self, lane: LaneKey) -> float:
        running = [bundle for bundle in self._running.get(lane, ()) if not bundle.ended]
        self._running[lane] = running
        return self._started_at.get(lane, -NEVER) + len(running) * PAUSE_A_TASK_S


def _kills_first(gathering: tuple[LaneKey, Bundle]) -> bool:
    return gathering[0][1] is not Priority.KILL
