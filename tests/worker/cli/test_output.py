"""What people read: the words of a table's cells."""

from __future__ import annotations

import pytest

from worker.cli.output import why


@pytest.mark.parametrize(
    ("reason", "became", "shown"),
    [
        ("", "", "-"),
        ("too_late", "", "too_late"),
        ("", "5101", "became 5101"),
        ("no_record", "5101", "no_record, became 5101"),
    ],
)
def test_a_reason_names_the_order_that_a_fired_one_became(
    reason: str, became: str, shown: str
) -> None:
    assert why(reason, became) == shown
