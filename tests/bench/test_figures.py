"""What is asked of a figure, and the bound of the last proof."""

from __future__ import annotations

import pytest

from tests.bench.bounds import RTT_S, SEEN_LAG_S, last_proof_s
from tests.bench.figure import Figure


@pytest.mark.parametrize(("value", "reached"), [(0.39, False), (0.4, True), (2.0, True)])
def test_the_least_that_is_asked(value: float, reached: bool) -> None:
    figure = Figure(case="c", name="n", value=value, unit="ratio", least=0.4)
    assert figure.reached is reached


def test_the_most_that_is_asked_is_of_the_ratio_where_a_time_has_a_bound() -> None:
    figure = Figure(case="c", name="n", value=5.0, unit="s", bound=2.0, must=4.0)
    assert figure.reached is True


@pytest.mark.parametrize(
    ("on_record", "cancel_s", "late_s"),
    [
        (0, 1.0, 0.0),
        (500, 0.0, 0.0),  # five pages in one round
        (501, 0.0, 2.0),
        (3000, 14.0, 0.0),  # 30 pages, read while the cancels leave
        (3000, 4.0, 6.0),
    ],
)
def test_pages_of_the_record_are_read_while_cancels_leave(
    on_record: int, cancel_s: float, late_s: float
) -> None:
    expected = SEEN_LAG_S + 2 * RTT_S + late_s
    assert last_proof_s(cancel_s, on_record) == pytest.approx(expected)
