"""The message id of a report."""

from __future__ import annotations

from worker.contract.report import report_id


def test_a_report_goes_under_the_id_of_its_job() -> None:
    assert report_id("6f1d") == "report/6f1d"


def test_a_long_id_ends_in_a_digest_that_tells_jobs_apart() -> None:
    one, other = report_id("é" * 127 + "a"), report_id("é" * 127 + "b")

    assert one != other
    assert len(one.encode()) <= 255
