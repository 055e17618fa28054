"""What is said at the end of a kill: no more than its report proves, and what it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.record.conftest import report
from venues.words import Priority
from worker.cli.job_draft import Draft
from worker.cli.kill_progress import AccountKill


def sentence(**changes: Any) -> str:
    draft = Draft(job_id="job-1", account="desk-k", priority=Priority.KILL, ids=(), body=b"")
    kill = AccountKill(draft)
    kill.take(report(**changes))
    return kill.sentence()


@pytest.mark.parametrize(
    ("claimed", "says"),
    [
        ([1000], "(1000, it says)"),
        ([3, 4], "(7, it says)"),
        ([3, None], "it does not say how"),
    ],
)
def test_an_empty_account_whose_orders_nobody_saw_is_explained(
    claimed: list[int | None], says: str
) -> None:
    claims = [{"request": "cancel_all", "symbol": "", "claimed": count} for count in claimed]

    said = sentence(counts={}, cancel_alls=claims)

    assert said.startswith(
        "desk-k: empty: no order was found; the venue's cancel-all went first"
    )
    assert says in said


def test_without_a_cancel_all_none_is_spoken_of() -> None:
    assert "cancel-all" not in sentence() + sentence(cancel_alls=[])


def test_orders_of_no_list_are_told_with_what_would_prove_them() -> None:
    for reason in ("missing_symbol", "stated_symbols"):
        left_out = [{"ord_types": ["trigger"], "reason": reason}]
        said = sentence(result="unproven", left_out=left_out)

        assert "not proven empty" in said
        assert "--symbol, for each" in said
        assert f"({reason})" in said
