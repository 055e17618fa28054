"""The worker's figures, scraped while it works, against what really happened."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.worker.metrics.conftest import (
    LONG_IDS,
    PLANTED_KEY,
    PLANTED_SECRET,
    WRONG_SECRET,
    Run,
)


def test_before_the_first_job_every_status_of_every_account_stands_at_zero(run: Run) -> None:
    rows = [s for s in run.before.samples if s.name == "cancel_outcomes_total"]

    assert len(rows) == 4 * 7
    assert run.before.sum("cancel_outcomes_total") == 0
    assert run.before.by("cancel_throttled_total", "account") == {}
    assert "cancel_throttled_total" in run.before.names


def test_outcomes_are_counted_as_they_were_published(run: Run) -> None:
    ids = [outcome for outcome in run.outcomes if outcome["id"]]
    published = Counter((o["venue"], o["account"], o["status"]) for o in ids)

    for (venue, account, status), count in published.items():
        labels = {"venue": venue, "account": account, "status": status}
        assert run.after.sum("cancel_outcomes_total", **labels) == count
    assert run.after.sum("cancel_outcomes_total") == len(ids)


def test_every_outcome_has_a_time_to_its_final_word(run: Run) -> None:
    assert run.after.sum("cancel_time_to_final_seconds_count") == LONG_IDS + 1 + 5 + 3 + 5 + 2
    slowest_s = max(outcome["latency_ms"] for outcome in run.outcomes) / 1000
    assert run.after.sum("cancel_time_to_final_seconds_sum") >= slowest_s


def test_venue_requests_are_counted_as_the_venues_saw_them(run: Run) -> None:
    seen = Counter(request.venue for request in run.requests)

    for venue, count in seen.items():
        assert run.after.sum("cancel_venue_requests_total", venue=venue) == count
        assert run.after.sum("cancel_token_wait_seconds_count", venue=venue) == count
    results = run.after.by("cancel_venue_requests_total", "result")
    assert {"throttled", "timeout", "halt", "accepted"} <= results.keys()


def test_a_throttled_answer_is_counted_at_its_account(run: Run) -> None:
    assert run.after.by("cancel_throttled_total", "account") == {"m-slowed": 1.0}


def test_a_refused_key_halts_its_account_alone(run: Run) -> None:
    assert run.after.by("cancel_account_halted", "account") == {"m-halt": 1.0}
    for account, state in {"m-halt": "halted", "m-hang": "running"}.items():
        assert run.after.sum("cancel_account_state", account=account) == 1
        assert run.after.sum("cancel_account_state", account=account, state=state) == 1


def test_missed_deadlines_are_counted_by_reason(run: Run) -> None:
    misses = "cancel_deadline_misses_total"

    assert run.after.sum(misses, account="m-hang", status="unconfirmed") == 5
    assert run.after.sum(misses, account="m-long", status="failed", reason="deadline") == 2


def test_rejected_jobs_are_counted_by_reason(run: Run) -> None:
    assert run.after.by("cancel_jobs_rejected_total", "reason") == {
        "not_json": 1,
        "no_orders": 1,
    }


def test_a_busy_lane_tells_how_much_waits_and_for_how_long(run: Run) -> None:
    assert LONG_IDS / 2 < run.busy.sum("cancel_waiting_ids", account="m-long") <= LONG_IDS
    assert 0 < run.busy.sum("cancel_oldest_id_seconds", account="m-long") < 60
    assert run.after.sum("cancel_oldest_id_seconds") == 0


@pytest.mark.parametrize("secret", [PLANTED_KEY, PLANTED_SECRET, WRONG_SECRET])
def test_no_secret_is_shown(run: Run, secret: str) -> None:
    for scrape in (run.before, run.busy, run.after):
        assert secret not in scrape.text


def test_every_process_of_the_worker_is_shown(run: Run) -> None:
    memory = run.after.by("cancel_process_memory_bytes", "process")
    cpu = run.after.by("cancel_process_cpu_seconds_total", "process")

    assert {"celery", "lanes-0"} <= memory.keys()
    assert all(size > 10_000_000 for size in memory.values())
    assert cpu.keys() == memory.keys()
