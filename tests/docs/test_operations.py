"""The operations page knows every alert that may wake somebody, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_every_alert_is_explained_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    shipped = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(Cancel\w+)` \|", page, re.MULTILINE))

    assert explained == shipped


def test_every_picture_is_shown_on_a_page() -> None:
    pages = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "tests").rglob("*.md"),
    ]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)

    for picture in (ROOT / "docs/img").iterdir():
        assert f"img/{picture.name})" in text, picture.name
