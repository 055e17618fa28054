"""The log line and the figures of one venue request."""

from __future__ import annotations

import pytest
from structlog.testing import CapturingLogger

from tests.support.lane import FAST, lane_of, leaves, orders
from venues import all_venues
from venues.base import Verdict
from venues.credential import Credential
from worker.lane.entry import Sending
from worker.lane.submission import Submission
from worker.orders.judge import Judgement
from worker.processes.call_log import MOST_JOBS_NAMED, CallLog, result_of
from worker.settings import Account
from worker.stats import VenueCall

ACCOUNT = Account(
    name="desk",
    venue=all_venues()["coinw"],
    credential=Credential(api_key="key", api_secret="secret"),
    base_url="http://127.0.0.1:1",
)
ACCEPTED = Judgement(Verdict.ACCEPTED, venue_code="0")


def request(jobs: int) -> Sending:
    """Return a request with two ids that each of so many jobs asks for."""
    lane = lane_of(FAST)
    for number in range(jobs):
        job = Submission(
            account="desk",
            job_id=f"job-{number}",
            kill=True,
            deadline=60.0,
            trace=f"{number}" * number,
        )
        lane.add(job, orders(1, 2), 0.0)
    return leaves(lane, 0.0)


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def seen() -> list[VenueCall]:
    return []


@pytest.fixture
def calls(log: CapturingLogger, seen: list[VenueCall]) -> CallLog:
    return CallLog(ACCOUNT, log, seen.append)


def test_an_answered_request(
    calls: CallLog, log: CapturingLogger, seen: list[VenueCall]
) -> None:
    calls.answered(request(jobs=2), 200, [ACCEPTED])

    [(method, args, line)] = log.calls
    assert (method, args) == ("info", ("venue_request",))
    assert list(line) == [
        "route",
        "ids",
        "jobs",
        "job_ids",
        "traceparents",
        "elapsed_ms",
        "waited_ms",
        "attempt",
        "http_status",
        "venue_code",
    ]
    assert (line["ids"], line["jobs"], line["job_ids"]) == (2, 2, ["job-0", "job-1"])
    assert line["traceparents"] == ["1"], "the first job has none"
    assert (line["http_status"], line["venue_code"]) == (200, "0")
    assert [(call.account, call.ids, call.result) for call in seen] == [("desk", 2, "accepted")]


def test_a_request_without_a_reply(
    calls: CallLog, log: CapturingLogger, seen: list[VenueCall]
) -> None:
    calls.failed(request(jobs=1), "timeout")

    [(_, _, line)] = log.calls
    assert (line["why"], line["http_status"], line["venue_code"]) == ("timeout", None, "")
    assert [call.result for call in seen] == ["timeout"]


def test_of_many_jobs_some_are_named(calls: CallLog, log: CapturingLogger) -> None:
    calls.failed(request(jobs=MOST_JOBS_NAMED + 5), "timeout")

    [(_, _, line)] = log.calls
    assert line["jobs"] == MOST_JOBS_NAMED + 5
    assert len(line["job_ids"]) == MOST_JOBS_NAMED


def test_each_unknown_code_has_a_line(calls: CallLog, log: CapturingLogger) -> None:
    unknown = [
        Judgement(Verdict.IN_DOUBT, venue_code=code, text="?", unmapped=True)
        for code in ("9", "8", "9")
    ]

    calls.answered(request(jobs=1), 200, [*unknown, ACCEPTED])

    assert [call.kwargs["venue_code"] for call in log.calls[1:]] == ["8", "9"]
    assert {(call.method_name, call.args) for call in log.calls[1:]} == {
        ("warning", ("unmapped_code",))
    }


@pytest.mark.parametrize(
    ("verdicts", "result"),
    [
        ({Verdict.ACCEPTED}, "accepted"),
        ({Verdict.ACCEPTED, Verdict.STATE}, "mixed"),
        ({Verdict.ACCEPTED, Verdict.THROTTLED}, "throttled"),
        ({Verdict.THROTTLED, Verdict.BANNED}, "banned"),
        ({Verdict.BANNED, Verdict.HALT, Verdict.CLOCK}, "halt"),
    ],
)
def test_one_word_for_all_ids(verdicts: set[Verdict], result: str) -> None:
    assert result_of(verdicts) == result
