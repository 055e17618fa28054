"""A job that comes alone has a task soon; the more tasks run, the more share the next."""

from __future__ import annotations

import math
from datetime import timedelta

from venues.words import CancelJob, IdKind, OrderRef, Priority
from worker.consumer.bundles import (
    LONGEST_WAIT_S,
    MOST_AT_ONCE,
    PAUSE_A_TASK_S,
    QUIET_S,
    Bundles,
)
from worker.consumer.task_message import MOST_NAMES, to_task_message
from worker.contract.outcome import utc_now
from worker.jobs.parse import ParsedJob
from worker.jobs.submit import Bundle, CeleryTask, JobDelivery

KILL, ROUTINE = Priority.KILL, Priority.ROUTINE
NOW_S = 1000.0


def delivery(name: str, ids: int = 1, task_id: str = "") -> JobDelivery:
    now = utc_now()
    job = CancelJob(
        job_id=name,
        account="desk",
        venue="coinw",
        priority=ROUTINE,
        refs=tuple(OrderRef(str(n), IdKind.VENUE) for n in range(ids)),
        accepted_at=now,
        deadline=now + timedelta(minutes=1),
    )
    return JobDelivery(parsed=ParsedJob(job), orders=ids, task=CeleryTask(task_id))


class Desk:
    """The bundles of a worker, whose tasks end when they are told to."""

    def __init__(self) -> None:
        self.started: list[Bundle] = []
        self.bundles = Bundles(self.started.append)

    def come(
        self, name: str, now: float, priority: Priority = ROUTINE, account: str = "desk"
    ) -> None:
        self.bundles.of(account, priority, now).deliveries.append(delivery(name))

    def start_due(self, now: float) -> float:
        """Start what is due once nothing has come for a while."""
        return self.bundles.start_due(now + QUIET_S)

    def names(self) -> list[list[str]]:
        return [[d.parsed.job.job_id for d in b.deliveries] for b in self.started]


def test_a_lone_job_has_a_task_of_its_own_soon() -> None:
    desk = Desk()
    desk.come("a", NOW_S)

    assert desk.bundles.start_due(NOW_S) == NOW_S + QUIET_S
    assert desk.start_due(NOW_S) == math.inf
    assert desk.names() == [["a"]]


def test_jobs_of_one_lane_that_were_read_together_share_a_task() -> None:
    desk = Desk()
    for name in "abc":
        desk.come(name, NOW_S)
    desk.come("k", NOW_S, KILL)
    desk.start_due(NOW_S)

    assert desk.names() == [["k"], ["a", "b", "c"]]


def test_messages_are_read_between_the_starts_of_many_tasks_and_a_kills_is_first() -> None:
    desk = Desk()
    for n in range(MOST_AT_ONCE + 1):
        desk.come(f"j{n}", NOW_S, account=f"desk-{n}")
    desk.come("k", NOW_S, KILL, account="last")
    again_at = desk.start_due(NOW_S)

    assert desk.names() == [["k"], ["j0"]]
    assert NOW_S + QUIET_S < again_at < NOW_S + 2 * QUIET_S
    assert desk.bundles.start_due(again_at) == math.inf
    assert desk.names() == [["k"], ["j0"], ["j1"], ["j2"]]


def test_the_next_task_waits_longer_the_more_of_them_run() -> None:
    desk = Desk()
    for n in range(3):
        desk.come(f"j{n}", NOW_S + n)
        desk.start_due(NOW_S + n)
    began = NOW_S + 2
    desk.come("late", began)
    due = desk.start_due(began)

    assert due == began + QUIET_S + 3 * PAUSE_A_TASK_S
    assert len(desk.started) == 3
    desk.come("later", due)
    desk.start_due(due)
    assert desk.names()[-1] == ["late", "later"]


def test_tasks_that_have_ended_hold_nobody_up() -> None:
    desk = Desk()
    for n in range(3):
        desk.come(f"j{n}", NOW_S + n)
        desk.start_due(NOW_S + n)
        desk.started[-1].ended = True
    desk.come("next", NOW_S + 2)
    desk.start_due(NOW_S + 2)

    assert len(desk.started) == 4


def test_no_task_starts_while_messages_keep_coming_but_not_for_ever() -> None:
    desk = Desk()
    for n in range(50):
        desk.come(f"j{n}", NOW_S + n * QUIET_S / 2)
        desk.bundles.start_due(NOW_S + n * QUIET_S / 2)
    assert desk.started == []
    desk.come("last", NOW_S + LONGEST_WAIT_S)
    desk.bundles.start_due(NOW_S + LONGEST_WAIT_S)

    assert [len(names) for names in desk.names()] == [51]


def shown(*deliveries: JobDelivery) -> tuple[str, str]:
    bundle = Bundle("desk", ROUTINE, NOW_S, list(deliveries))
    headers = to_task_message(bundle, "coinw", key="1").headers
    return headers["shadow"], headers["kwargsrepr"]


def test_flower_shows_how_many_jobs_and_ids_a_task_has() -> None:
    assert shown(delivery("a", 20)) == ("cancel 20 @ coinw/desk", "{'job_id': 'a'}")
    assert shown(delivery("a", 2), delivery("b", 3)) == (
        "cancel 2 jobs, 5 ids @ coinw/desk",
        "{'job_ids': ['a', 'b']}",
    )
    many = shown(*(delivery(f"j{n}") for n in range(MOST_NAMES + 1)))
    assert many[1].endswith(f"'j{MOST_NAMES - 1}', ...]}}")


def test_a_job_that_is_alone_keeps_the_id_of_its_task() -> None:
    alone = Bundle("desk", ROUTINE, NOW_S, [delivery("a", task_id="t-1")])
    both = Bundle("desk", ROUTINE, NOW_S, [delivery("a", task_id="t-1"), delivery("b")])

    assert to_task_message(alone, "coinw", key="1").headers["id"] == "t-1"
    assert to_task_message(both, "coinw", key="2").headers["id"] != "t-1"
