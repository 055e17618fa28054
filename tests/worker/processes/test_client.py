"""What the two sides of a worker say to each other, and which accounts live where."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest

from venues import all_venues
from venues.base import Quota
from venues.credential import Credential
from venues.words import CancelJob, IdKind, OrderRef, OrdType, Priority
from worker.contract.outcome import utc_now
from worker.jobs.parse import ParsedJob
from worker.jobs.submit import Bundle, JobDelivery
from worker.lane.submission import Submission
from worker.orders.progress import Cohort, new_cohorts
from worker.orders.retry import Returned
from worker.processes.child import serve
from worker.processes.client import Came, Inbox, LaneClient, LaneFailed, partition
from worker.processes.client import start as start_lanes
from worker.processes.protocol import FEW_IDS, Submit
from worker.settings import Account, ConfigError, lane_processes
from worker.stats import NO_OBSERVER

NOWHERE = "http://127.0.0.1:1"
ADDRESS = {"address": Quota(30, 10.0, "address")}
KEY = Quota(10, 1.0)


def account(
    name: str, quotas: Mapping[str, Quota] = MappingProxyType({}), base_url: str = NOWHERE
) -> Account:
    return Account(
        name=name,
        venue=all_venues()["coinw"],
        credential=Credential(api_key=f"key-{name}", api_secret=f"secret-{name}"),
        base_url=base_url,
        quotas=quotas,
    )


def names(parts: list[dict[str, Account]]) -> list[list[str]]:
    return [sorted(part) for part in parts]


def test_accounts_are_dealt_out_evenly() -> None:
    accounts = {name: account(name, {"cancel_batch": KEY}) for name in "abcde"}

    assert names(partition(accounts, 2)) == [["a", "c", "e"], ["b", "d"]]
    assert names(partition(accounts, 9)) == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_who_shares_a_quota_of_the_address_stays_together() -> None:
    here = {name: account(name, ADDRESS) for name in "abc"}
    there = {name: account(name, ADDRESS, "http://127.0.0.1:2") for name in "de"}
    alone = {name: account(name) for name in "f"}

    assert names(partition(here | there | alone, 2)) == [["a", "b", "c"], ["d", "e", "f"]]
    assert names(partition(here, 4)) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("asked", "cores", "processes"), [("", 1, 1), ("", 2, 2), ("", 64, 4), ("7", 2, 7)]
)
def test_as_many_processes_as_cores_or_as_asked_for(
    asked: str, cores: int, processes: int
) -> None:
    assert lane_processes({"CANCEL_LANE_PROCESSES": asked}, cores) == processes


@pytest.mark.parametrize("asked", ["0", "65", "two", "-1", "1.5", "٣"])
def test_no_number_of_processes(asked: str) -> None:
    with pytest.raises(ConfigError, match=r"^CANCEL_LANE_PROCESSES: .* from 1 to 64$"):
        lane_processes({"CANCEL_LANE_PROCESSES": asked}, 2)


PARSED = ParsedJob(
    CancelJob(
        job_id="job-1",
        account="desk",
        venue="coinw",
        priority=Priority.KILL,
        refs=(),
        accepted_at=utc_now(),
        deadline=utc_now(),
    )
)


def orders(*ids: str) -> list[Cohort]:
    return new_cohorts(OrderRef(name, IdKind.VENUE, "BTC", OrdType.LIMIT) for name in ids)


def job() -> Submission:
    deadline = time.monotonic() + 60
    return Submission(account="desk", job_id="job-1", kill=True, deadline=deadline)


def test_few_ids_are_queued_at_once() -> None:
    def submit(count: int) -> Submit:
        return Submit([(job(), [cohort[:] for cohort in orders(*(["1"] * count))])])

    assert submit(FEW_IDS).few
    assert not submit(FEW_IDS + 1).few


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def lanes(lines: list[str]) -> Iterator[LaneClient]:
    """A process with one lane whose venue nobody can reach."""
    quiet = partial(serve, form="json", observed=False)
    process = start_lanes({"desk": account("desk")}, quiet, processes=2)
    process["desk"].listen(NO_OBSERVER.venue_call, lines.append)
    yield process["desk"]
    process["desk"].close()


def handed_in(lanes: LaneClient, cohorts: list[Cohort]) -> tuple[Submission, Inbox]:
    submission, inbox = job(), Inbox("desk")
    lanes.submit([(submission, cohorts)], inbox)
    return submission, inbox


def test_ids_come_back_when_they_are_asked_for(lanes: LaneClient) -> None:
    submission, inbox = handed_in(lanes, orders(*"01234"))
    time.sleep(0.2)
    lanes.withdraw("desk", submission.number, "deadline")
    found: list[Any] = []
    while len(found) < 5:
        came: Came = inbox.queue.get(timeout=10)
        assert not isinstance(came.what, LaneFailed)
        assert came.number == submission.number
        found += came.what

    assert sorted(parked.ref.id for parked in found) == list("01234")
    assert all(isinstance(parked, Returned) for parked in found)
    assert not inbox.released
    assert lanes.stats()["desk"].waiting == 0


def test_jobs_that_are_handed_in_together_come_back_by_themselves(lanes: LaneClient) -> None:
    first, second, inbox = job(), job(), Inbox("desk")
    lanes.submit([(first, orders("1")), (second, orders("2", "3"))], inbox)
    lanes.withdraw("desk", second.number, "deadline")
    found: list[Any] = []
    while len(found) < 2:
        came: Came = inbox.queue.get(timeout=10)
        assert came.number == second.number
        assert not isinstance(came.what, LaneFailed)
        found += came.what

    assert lanes.stats()["desk"].waiting == 1


def test_a_fault_in_the_lane_reaches_the_task_and_the_log(
    lanes: LaneClient, lines: list[str]
) -> None:
    [cohort] = orders("1")
    nonsense = cohort._replace(progress=None)  # type: ignore[arg-type]
    _, failed = handed_in(lanes, [nonsense])
    assert isinstance(failed.queue.get(timeout=10).what, LaneFailed)
    submission, other = handed_in(lanes, orders("1"))
    lanes.withdraw("desk", submission.number, "deadline")

    assert other.queue.get(timeout=10).what, "the lane goes on"
    lanes.close()
    assert "lane_failed" in "".join(lines)


def test_who_gives_a_lane_up_gets_its_ids_back_as_disowned(lanes: LaneClient) -> None:
    _, inbox = handed_in(lanes, orders("1"))
    lanes.release("desk", "disowned")

    assert inbox.released == "disowned"
    assert inbox.queue.get(timeout=10)


def test_a_bundle_says_of_its_jobs_whether_others_follow(lanes: LaneClient) -> None:
    bundle = Bundle("desk", Priority.ROUTINE, 0.0)
    for more in True, False:
        submissions = [job(), job()]
        bundle.waiting = [(submission, orders("1")) for submission in submissions]
        bundle.hand_in(lanes, more=more)

        assert [submission.followed for submission in submissions] == [more, more]


def test_jobs_whose_connection_was_lost_before_their_task_began_leave_nothing(
    lanes: LaneClient,
) -> None:
    bundle = Bundle("desk", Priority.KILL, 0.0)
    submission = job()
    bundle.waiting.append((submission, orders("1")))
    bundle.deliveries.append(JobDelivery(parsed=PARSED, submission=submission))
    bundle.hand_in(lanes)
    bundle.give_up(lanes)
    lanes.release("desk", "disowned")
    _, other = handed_in(lanes, orders("2"))
    lanes.release("desk", "disowned")

    assert other.queue.get(timeout=10), "all that came before has come"
    assert bundle.inbox.queue.empty()


def test_a_process_that_is_closed_ends(lanes: LaneClient) -> None:
    lanes.close()
    lanes.close()

    assert lanes._process.exitcode == 0
