"""How an outcome is named, and how its times are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from worker.contract.outcome import message_id, rfc_3339


def test_a_message_id_says_job_and_order() -> None:
    assert message_id("job-1", "42") == "job-1/42"


def test_a_message_id_fits_into_255_bytes_and_stays_its_own() -> None:
    names = {message_id("é" * 128, order_id) for order_id in ("1" * 100, "2" * 100)}

    assert len(names) == 2
    assert all(len(name.encode()) <= 255 for name in names)


def test_a_time_is_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 21, 11, 30, 0, 412_700, tzinfo=timezone(timedelta(hours=2)))

    assert rfc_3339(moment) == "2026-11-21T09:30:00.412Z"
    assert rfc_3339(datetime(2026, 11, 21, tzinfo=UTC)) == "2026-11-21T00:00:00.000Z"
