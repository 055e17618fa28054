"""The written contract says what the code does: files, tables, codes, events and examples."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from venues import all_venues
from venues.words import CancelStatus
from worker.contract.job import JobMessage
from worker.contract.pause import PauseMessage
from worker.contract.receipt import ReceiptMessage
from worker.contract.report import ReportMessage, Result
from worker.settings import load, quota_names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "contract.md").read_text(encoding="utf-8")
GENERATED = (
    "asyncapi.yaml",
    "contract.md",
    "glossary.md",
    "schema/job.json",
    "schema/outcome.json",
    "schema/pause.json",
    "schema/receipt.json",
    "schema/report.json",
    "schema/heartbeat.json",
)

# -- what is generated -------------------------------------------------------------------


def test_generated_files_are_as_the_code_would_write_them_now(tmp_path: Path) -> None:
    command = [sys.executable, "docs/generate.py", str(tmp_path)]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}  # what is installed may lie elsewhere
    subprocess.run(command, cwd=ROOT, env=here, check=True)

    stale = [
        name for name in GENERATED if (tmp_path / name).read_text() != (DOCS / name).read_text()
    ]

    assert stale == [], "run `make docs`"


def test_asyncapi_has_the_channels_and_every_reference_in_it_resolves() -> None:
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))

    assert document["asyncapi"] == "3.0.0"
    assert {name: channel["address"] for name, channel in document["channels"].items()} == {
        "jobs": "{priority}.{account}",
        "jobsByBody": "{priority}",
        "heartbeats": "alive.{account}",
        "outcomes": "{venue}.{account}.{status}",
        "reports": "{venue}.{account}.{result}",
        "receipts": "{venue}.{account}.{answer}",
        "pauses": "cancel.pauses",
        "rejected": "cancel.rejected",
    }
    for reference in _references(document):
        _resolve(document, reference)
    for channel in document["channels"].values():
        named = set(re.findall(r"{(\w+)}", channel["address"]))
        assert named == set(channel.get("parameters", {}))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _resolve(document: Any, reference: str) -> None:
    file, _, pointer = reference.partition("#")
    found = json.loads((DOCS / file).read_text()) if file else document
    for step in pointer.split("/")[1:]:
        found = found[step]


# -- schemas -----------------------------------------------------------------------------


def _schema(name: str) -> Draft202012Validator:
    schema = json.loads((DOCS / f"schema/{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _examples() -> list[Any]:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    return [json.loads(block) for block in blocks]


GOOD_JOBS = [
    {"account": "desk-1", "orders": [33308750270880236]},
    {"account": "desk-1", "orders": ["1"], "job_id": None, "tags": {"a": "b"}},
    {"account": "desk-1", "orders": [{"id": "1", "kind": "nonsense"}]},  # costs this id alone
    {"account": "desk-1", "orders": ["1"], "of_tomorrow": True},
    {"account": "desk-1", "orders": ["1"], "reason": None, "tags": {"a": None}},
    {"account": "desk-1", "orders": [{"id": "1", "ord_type": None}]},
    {"account": "desk-1", "orders": ["", 1.5, True, None, {"symbol": "BTC"}]},  # the same
    json.loads((ROOT / "examples/producers/job.json").read_text()),
    {"account": "desk-1", "scope": "all"},
    {"account": "desk-1", "scope": "all", "orders": None, "hold_s": 3600},
    {"account": "desk-1", "orders": ["1"], "scope": None, "hold_s": None},
    {"account": "desk-1", "scope": {"symbols": ["BTC"], "ord_types": ["limit"]}},
    {"account": "desk-1", "scope": {"side": "buy", "client_order_id_prefix": "mm-"}},
    {"account": "desk-1", "scope": {"except": ["1", 2], "symbols": None}},
]
BAD_JOBS = [
    {"orders": ["1"]},
    {"account": "desk-1"},
    {"account": "desk-1", "orders": []},
    {"account": "desk-1", "orders": ["1"] * 10_001},
    {"account": "desk-1", "orders": "1"},
    {"account": "desk 1", "orders": ["1"]},
    {"account": "desk-1", "orders": ["1"], "job_id": "x" * 129},
    {"account": "desk-1", "orders": ["1"], "tags": {str(n): "" for n in range(17)}},
    {"account": "desk-1", "orders": ["1"], "deadline": 5},
    {"account": "desk-1", "orders": ["1"], "reason": 5},
    {"account": None, "orders": ["1"]},
    {"account": "desk-1", "orders": None},
    {"account": "desk-1", "orders": None, "scope": None},
    {"account": "desk-1", "orders": ["1"], "scope": "all"},
    {"account": "desk-1", "scope": "some"},
    {"account": "desk-1", "scope": {}},
    {"account": "desk-1", "scope": {"colour": "red"}},
    {"account": "desk-1", "scope": {"symbols": []}},
    {"account": "desk-1", "scope": {"side": "both"}},
    {"account": "desk-1", "scope": {"ord_types": ["any"]}},
    {"account": "desk-1", "scope": {"except": [{"id": "1"}]}},
    {"account": "desk-1", "scope": {"except": [""]}},
    {"account": "desk-1", "scope": {"except": [9007199254740993]}},
    {"account": "desk-1", "scope": "all", "hold_s": 3601},
    {"account": "desk-1", "scope": "all", "hold_s": -1},
    ["desk-1"],
]


@pytest.mark.parametrize("job", [*_examples()[:2], *GOOD_JOBS], ids=repr)
def test_schema_and_worker_take_a_good_job(job: Any) -> None:
    assert list(_schema("job").iter_errors(job)) == []
    JobMessage.model_validate(job)


@pytest.mark.parametrize("job", BAD_JOBS, ids=lambda job: repr(job)[:60])
def test_schema_and_worker_refuse_a_bad_job(job: Any) -> None:
    assert not _schema("job").is_valid(job)
    with pytest.raises(ValidationError):
        JobMessage.model_validate(job)


def test_schema_takes_the_outcome_of_the_page_and_no_other_status() -> None:
    outcome, schema = _examples()[3], _schema("outcome")

    assert list(schema.iter_errors(outcome)) == []
    assert not schema.is_valid(outcome | {"status": "cancelled"})
    assert not schema.is_valid(outcome | {"attempts": -1})
    assert not schema.is_valid({k: v for k, v in outcome.items() if k != "evidence"})


def test_schema_takes_the_report_of_the_page_and_no_other_result() -> None:
    report, schema = _examples()[4], _schema("report")

    assert list(schema.iter_errors(report)) == []
    assert not schema.is_valid(report | {"result": "flat"})
    assert not schema.is_valid({k: v for k, v in report.items() if k != "counts"})
    ReportMessage.model_validate(report)


def test_schema_takes_the_receipt_of_the_page_and_no_other_answer() -> None:
    receipt, schema = _examples()[5], _schema("receipt")

    assert list(schema.iter_errors(receipt)) == []
    assert not schema.is_valid(receipt | {"answer": "lost"})
    assert not schema.is_valid({k: v for k, v in receipt.items() if k != "requested_by"})
    ReceiptMessage.model_validate(receipt)


def test_schema_takes_heartbeats_and_nothing_else() -> None:
    schema = _schema("heartbeat")

    assert schema.is_valid({"producer": "mm-7"})
    assert schema.is_valid({"producer": "mm-7", "bye": True, "of_tomorrow": 1})
    assert not schema.is_valid({"producer": "mm 7"})
    assert not schema.is_valid({"bye": True})


def test_schema_and_worker_take_the_pause_of_the_page_and_refuse_others() -> None:
    pause, schema = _examples()[2], _schema("pause")

    assert list(schema.iter_errors(pause)) == []
    PauseMessage.model_validate(pause)
    for bad in ({"action": "stop"}, {"account": "a b"}, {"reason": 5}, {"reason": "x" * 257}):
        assert not schema.is_valid(pause | bad)
        with pytest.raises(ValidationError):
            PauseMessage.model_validate(pause | bad)


# -- tables of the page ------------------------------------------------------------------


def _section(head: str) -> str:
    _, _, rest = PAGE.partition(f"{head}\n")
    assert rest, head
    return re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def _cells(head: str, column: int) -> set[str]:
    rows = [line for line in _section(head).splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.findall(r"`(\w+)`", row.split("|")[column + 1])}


def test_every_status_is_explained() -> None:
    assert _cells("## 4. Outcomes, out", 0) == set(CancelStatus)


def test_every_result_of_a_report_is_explained() -> None:
    assert _cells("### Reports", 0) == set(Result)


def test_every_quota_is_named() -> None:
    assert _cells("## 2. The accounts file", 0) == quota_names()


def test_the_accounts_file_of_the_page_is_read(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", _section("## 2. The accounts file"), re.DOTALL)
    assert block
    path = tmp_path / "cancel.toml"
    path.write_text(block[1])

    found = load({"CANCEL_CONFIG": str(path), "DESK1_KEY": "k", "DESK1_SECRET": "s"})

    assert found.accounts.keys() == tomllib.loads(block[1])["accounts"].keys()
    assert found.warnings == ()


# -- codes and events --------------------------------------------------------------------

#: Which argument of a call is a reason.
_REASON_OF = {
    "InvalidJob": 0,
    "_Refused": 0,
    "Refusal": 4,
    "NotSeen": 0,
    "not_effective": 1,
    "doubted": 1,
    "FinalWord": 2,
    "_in_doubt": 1,
    "_heard": 2,
    "NotSent": 0,
    "InDoubt": 0,
    "_failed": 2,
    "withdraw": 1,
    "withdraw_all": 0,
    "Returned": 3,
    "PydanticCustomError": 0,
}
_REASON_TABLES = {"MEANINGS", "_BY_STATUS", "_FINAL", "ACCOUNT_WIDE", "words"}
_REASON_FUNCTIONS = {("judge.py", "_doubt_at")}
_REASON_NAMES = {"reason", "why", "STOPPING"}
#: The broker's own words, and one of the many HTTP statuses.
_FROM_OUTSIDE = {"maxlen", "http_500", "delivery_limit", "rejected", "expired"}
#: Reasons why ids go back; a reader of the log sees them, not one of outcomes.
_OF_RETRIES = {"stopping", "held_long", "frozen"}
#: Never told to anybody: the job is somebody else's by then.
_SILENT = {"disowned"}


def _constants(node: ast.AST) -> Iterator[str]:
    """Return the words that the expression may come to; what it looks up is none of them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not isinstance(node, ast.Subscript):
        for part in ast.iter_child_nodes(node):
            yield from _constants(part)


def _name(node: ast.expr) -> str:
    return str(getattr(node, "attr", None) or getattr(node, "id", ""))


def _reason_nodes(path: Path) -> Iterator[ast.AST]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            place = _REASON_OF.get(_name(node.func), len(node.args))
            yield from node.args[place : place + 1]
            yield from (k.value for k in node.keywords if k.arg in _REASON_NAMES)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {_name(target) for target in targets}
            if names & _REASON_NAMES:
                yield node.value
            elif names & _REASON_TABLES and isinstance(node.value, ast.Dict):
                yield from node.value.values
            elif names & _REASON_TABLES and isinstance(node.value, ast.Tuple):
                yield from (
                    row.elts[-1] for row in node.value.elts if isinstance(row, ast.Tuple)
                )
        elif isinstance(node, ast.FunctionDef) and (path.name, node.name) in _REASON_FUNCTIONS:
            yield from (s for s in ast.walk(node) if isinstance(s, ast.Return))


def _worker() -> list[Path]:
    """Return the modules of a running worker: not of the command line, nor of the record."""
    others = {ROOT / "worker/cli", ROOT / "worker/record"}
    return [p for p in ROOT.glob("worker/**/*.py") if not others & set(p.parents)]


def _codes() -> set[str]:
    paths = [path for path in _worker() if path.name != "metrics.py"]
    words = {w for p in paths for node in _reason_nodes(p) for w in _constants(node)}
    codes = {word for word in words if re.fullmatch(r"[a-z]+(_[a-z]+)*", word)}
    codes |= {rule.reason for venue in all_venues().values() for rule in venue.rules}
    fields = JobMessage.model_fields
    codes |= {f"bad_{name}" for name in fields}
    codes |= {f"no_{name}" for name, field in fields.items() if field.is_required()}
    return codes - {""} - _SILENT


def test_every_reason_in_the_code_is_listed_and_no_other() -> None:
    listed = _cells("### Not a job", 0) | _cells("### Reasons", 1)
    found = _codes()

    assert found - listed - _OF_RETRIES == set()
    assert listed - found - _FROM_OUTSIDE == set()
    assert found >= _OF_RETRIES
    assert all(f"`{word}`" in _section("## 5. Log") for word in _OF_RETRIES)


def _events() -> set[str]:
    found = set()
    for path in (*_worker(), *ROOT.glob("tasks/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _is_log(node.func):
                found |= set(_constants(node.args[0]))
    return found


def _is_log(function: ast.expr) -> bool:
    return _name(function) in {"info", "warning", "error", "exception", "tell"}


def test_every_log_event_in_the_code_is_listed_and_no_other() -> None:
    assert _cells("## 5. Log", 0) == _events()


def test_every_link_of_the_pages_leads_to_a_file() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/**/*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        if "node_modules" not in page.parts
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]

    assert broken == []
