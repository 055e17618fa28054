"""What is shipped for Prometheus and Grafana, against what a worker really shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.need import need
from tests.support.worker import ROOT
from tests.worker.metrics.conftest import Run

PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
#: What alert expressions and panels call a figure, wherever it stands.
METRIC = re.compile(r"\b(?:cancel|process)_[a-z_]+\b")
MUST_PAGE = (
    'status="unconfirmed"',
    'status="failed"',
    "cancel_account_halted",
    "cancel_account_state",
    "cancel_jobs_rejected_total",
    "cancel_throttled_total",
    "cancel_dead_man_fired_total",
    "cancel_escalations_total",
    "cancel_routine_paused",
    "cancel_venue_timer_failures_total",
    "cancel_lane_owned",
    "cancel_oldest_id_seconds",
    "cancel_oldest_unconfirmed_seconds",
    "rabbitmq_detailed_queue_messages_ready",
)


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (
            text for key in ("expr", "query") if isinstance(text := value.get(key), str)
        )
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _expressions(item)


def _dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def test_every_figure_of_the_dashboard_is_one_that_a_worker_shows(run: Run) -> None:
    named = {name for text in _expressions(_dashboard()) for name in METRIC.findall(text)}

    assert len(named) > 10
    assert named - run.after.names == set()


def test_every_figure_of_the_alerts_is_one_that_a_worker_shows(run: Run) -> None:
    lines = (PROMETHEUS / "alerts.yml").read_text().splitlines()
    rules = [
        line for line in lines if not line.strip().startswith(("#", "description", "summary"))
    ]
    named = set(METRIC.findall("\n".join(rules)))

    assert len(named) >= 7
    assert named - run.after.names == set()


def test_every_figure_of_ours_stands_on_the_dashboard(run: Run) -> None:
    shown = {name for text in _expressions(_dashboard()) for name in METRIC.findall(text)}
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    ours = {name for name in run.after.names if name.startswith("cancel_")}
    missing = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in ours} - stems

    assert {name for name in missing if f"{name}_total" not in stems} == set()


@pytest.mark.parametrize("title", ["Rejected jobs", "Deadline misses"])
def test_a_panel_shows_the_first_event_of_its_kind(title: str, tmp_path: Path) -> None:
    """Its row begins with it, and a row that begins shows no increase."""
    need(
        shutil.which("promtool") is not None, "promtool is missing: apt-get install prometheus"
    )
    [panel] = [panel for panel in _dashboard()["panels"] if panel["title"] == title]
    [target] = panel["targets"]
    asked = re.sub(r"\$__\w+", "10m", target["expr"]).replace('"$venue"', '".*"')
    asked = asked.replace('"$account"', '".*"')
    name = METRIC.findall(asked)[0]
    asks = [
        {"expr": f"sum({asked})", "eval_time": when, "exp_samples": [{"value": value}]}
        for when, value in (("14m", 0), ("16m", 2), ("40m", 0))
    ]
    series = [
        {"series": f'{name}{{venue="v",account="a",reason="old"}}', "values": "5x300"},
        {"series": f'{name}{{venue="v",account="a",reason="new"}}', "values": "_x90 2x210"},
    ]
    test = {
        "interval": "10s",
        "input_series": series,
        "promql_expr_test": asks,
    }
    (tmp_path / "test.yml").write_text(json.dumps({"tests": [test]}))

    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_must_wake_somebody_does() -> None:
    text = (PROMETHEUS / "alerts.yml").read_text()

    assert [word for word in MUST_PAGE if word not in text] == []
    assert text.count("severity: page") == text.count("- alert:")


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=lambda words: " ".join(words),
)
def test_prometheus_takes_the_files_and_the_alerts_fire(words: tuple[str, ...]) -> None:
    tool = shutil.which("promtool")
    need(tool is not None, "promtool is missing: apt-get install prometheus")
    done = subprocess.run(
        [str(tool), *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_neither_overlap_nor_leave_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
