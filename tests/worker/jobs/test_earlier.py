"""Words that were told before: those of a run that died stand, and no open order is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from venues.words import CancelOutcome, CancelStatus, Evidence
from worker.jobs.earlier import EarlierOutcomes, earlier_outcomes, standing

IDS = frozenset({"1", "2", "3"})


def word(order_id: str, status: str = "closed", at: str = "09:00") -> dict[str, Any]:
    return {"id": order_id, "status": status, "accepted_at": at}


def news(status: CancelStatus, evidence: Evidence = Evidence.NONE) -> CancelOutcome:
    return CancelOutcome(id="1", status=status, evidence=evidence)


def test_a_run_that_died() -> None:
    earlier = earlier_outcomes([word("1"), word("2", "failed")], IDS)

    assert earlier.of_crashed_runs == {"1": word("1"), "2": word("2", "failed")}
    assert earlier.of_full_run == {}
    assert earlier.accepted_at == "09:00"


def test_the_first_word_of_many() -> None:
    """Copies of one job die together: each told the same, and the oldest counts."""
    earlier = earlier_outcomes([word("1", at="09:01"), word("1", "not_found", at="09:02")], IDS)

    assert earlier.of_crashed_runs == {"1": word("1", at="09:01")}
    assert earlier.accepted_at == "09:01"


def test_a_run_after_a_whole_one() -> None:
    whole = [word(order_id, "failed", "08:00") for order_id in IDS]
    earlier = earlier_outcomes([*whole, word("2")], IDS)

    assert earlier.of_crashed_runs == {"2": word("2")}
    assert earlier.of_full_run["1"] == word("1", "failed", "08:00")
    assert earlier.accepted_at == "09:00"


def test_what_died_before_a_whole_run_counts_no_more() -> None:
    whole = [word(order_id, at="09:00") for order_id in IDS]
    earlier = earlier_outcomes([word("1", "failed", "08:00"), *whole], IDS)

    assert earlier.of_crashed_runs == {}
    assert earlier.accepted_at == ""


@pytest.mark.parametrize("status", list(CancelStatus))
@pytest.mark.parametrize("before", list(CancelStatus))
def test_a_run_that_died_has_the_first_word(before: CancelStatus, status: CancelStatus) -> None:
    first = word("1", before)

    assert standing(EarlierOutcomes(of_crashed_runs={"1": first}), news(status)) == first
    assert standing(EarlierOutcomes(of_crashed_runs={"2": first}), news(status)) is None


@pytest.mark.parametrize("before", list(CancelStatus))
def test_an_order_that_shows_as_open_is_news(before: CancelStatus) -> None:
    seen = news(CancelStatus.FAILED, Evidence.LOOKUP)

    assert standing(EarlierOutcomes(of_crashed_runs={"1": word("1", before)}), seen) is None
    assert standing(EarlierOutcomes(of_full_run={"1": word("1", before)}), seen) is None


@pytest.mark.parametrize(
    ("before", "status", "stands"),
    [
        ("closed", CancelStatus.NOT_FOUND, True),
        ("not_found", CancelStatus.CLOSED, True),
        ("canceled", CancelStatus.FILLED, True),
        ("failed", CancelStatus.CANCELED, False),
        ("unconfirmed", CancelStatus.NOT_FOUND, False),
        ("canceled", CancelStatus.UNCONFIRMED, False),
        ("canceled", CancelStatus.FAILED, False),
        ("canceled", CancelStatus.REJECTED, False),
    ],
)
def test_a_whole_run_may_have_been_another(
    before: str, status: CancelStatus, stands: bool
) -> None:
    first = word("1", before)

    assert (
        standing(EarlierOutcomes(of_full_run={"1": first}), news(status)) == first
    ) is stands
