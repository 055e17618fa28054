"""Whatever arrives is a job, or is refused with a reason: nothing else comes of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kombu.message import Message

from tests.fuzz.shapes import ACCOUNTS, good_jobs, jobs, texts, values
from venues.words import SYMBOL_SHAPE
from worker.consumer.task_message import (
    body_of,
    celery_arguments,
    envelope_of,
    properties_of,
    split_key,
    to_task_message,
    usable_id,
)
from worker.contract.job import Envelope, InvalidJob, read_json
from worker.contract.outcome import message_id, rfc_3339
from worker.jobs.parse import ParsedJob, read_job
from worker.jobs.submit import Bundle, CeleryTask, JobDelivery

NOW = datetime(2026, 11, 21, tzinfo=UTC)
pytestmark = pytest.mark.filterwarnings("ignore")
envelopes = st.builds(
    Envelope,
    priority=st.sampled_from(["routine", "kill"]),
    account=st.just(""),
    content_encoding=st.sampled_from(["", "utf-8", "UTF-8", "gzip"]),
    message_id=texts,
    headers=st.dictionaries(texts, values, max_size=3),
)

#: Half a character can be a name in the library's eyes, but in no message.
HALF_NAMED = Envelope(priority="routine", account="", message_id="\ud800")


def well_said(error: InvalidJob) -> bool:
    code = re.fullmatch(r"[a-z0-9_]{3,40}", error.reason)
    return bool(code) and bool(error.detail) and len(error.job_id) <= 128


@given(st.binary(max_size=200) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=400)
def test_any_bytes(body: bytes) -> None:
    """Bytes become a JSON value or a refusal."""
    try:
        value = read_json(body)
    except InvalidJob as error:
        assert well_said(error)
    else:
        assert json.loads(body) == value


@given(values | jobs | good_jobs, envelopes)
@example({"account": "ztdx", "orders": ["risk-42"], "symbol": "BTCUSDT"}, HALF_NAMED)
@settings(max_examples=500, deadline=None)
def test_any_json(value: Any, envelope: Envelope) -> None:
    """A value becomes a job that names each id once, with ids fit for a URL, or a refusal."""
    try:
        parsed = read_job(value, envelope, ACCOUNTS, NOW)
    except InvalidJob as error:
        assert well_said(error)
    else:
        check(parsed, value)


def named(element: Any) -> str:
    """Return the id that an element states, as the contract says; "" if it states none."""
    if isinstance(element, dict):
        element = element.get("id")
    if isinstance(element, bool) or not isinstance(element, str | int):
        return ""
    word = str(element)
    return word if len(word) <= 100 and not re.search("[\ud800-\udfff]", word) else ""


def check(parsed: ParsedJob, value: dict[str, Any]) -> None:
    asked = {named(item) or f"orders[{place}]" for place, item in enumerate(value["orders"])}
    told = [ref.id for ref in parsed.job.refs] + [refused.id for refused in parsed.refused]

    assert sorted(told) == sorted(asked)
    assert 1 <= len(parsed.job.job_id) <= 128
    assert all(re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", ref.id) for ref in parsed.job.refs)
    symbols = [ref.symbol for ref in parsed.job.refs if ref.symbol]
    assert all(SYMBOL_SHAPE.fullmatch(symbol) for symbol in symbols)
    read_back = datetime.fromisoformat(rfc_3339(parsed.job.deadline))
    assert abs(read_back - parsed.job.deadline) < timedelta(milliseconds=1)
    for order_id in told:
        name = message_id(parsed.job.job_id, order_id).encode("utf-8", "replace")
        assert 0 < len(name) <= 255


@given(jobs | good_jobs, envelopes)
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_can_be_told(value: Any, envelope: Envelope) -> None:
    """Every word of an accepted job can stand in a message and in a log line."""
    try:
        parsed = read_job(value, envelope, ACCOUNTS, NOW)
    except InvalidJob:
        return
    job = parsed.job
    words = [job.job_id, job.reason, job.requested_by, *job.tags, *job.tags.values()]
    words += [word for refused in parsed.refused for word in (refused.id, refused.text)]

    assert json.loads(json.dumps(words)) == words


bodies = st.builds(
    lambda kwargs: json.dumps([[], kwargs, {}]).encode(),
    st.fixed_dictionaries(
        {"job": jobs | good_jobs}, optional={"progress": values, "more": values}
    )
    | values,
) | st.binary(max_size=100)


odd_headers = st.fixed_dictionaries(
    {}, optional={"id": values, "retries": values, "root_id": values, "eta": values}
)


@given(bodies, odd_headers, st.sampled_from([None, "utf-8", "gzip"]))
@settings(max_examples=300, deadline=None)
def test_any_celery_message(body: bytes, headers: dict[str, Any], encoding: str | None) -> None:
    """A message with Celery's header becomes the task's arguments, or a refusal."""
    message = Message(
        body=body,
        content_type="application/json",
        content_encoding=encoding,
        headers={**headers, "task": "tasks.cancel_orders"},
        delivery_info={"routing_key": "0.1.kill.kuna"},
    )
    priority, account = split_key(message.delivery_info["routing_key"])
    try:
        arguments = celery_arguments(message)
        parsed = read_job(arguments.job, envelope_of(message, priority, account), ACCOUNTS, NOW)
    except InvalidJob as error:
        assert well_said(error)
        assert body_of(message) == body
        assert "content_type" in properties_of(message)
    else:
        found = message.headers
        task = CeleryTask(usable_id(found.get("id")), usable_id(found.get("root_id")))
        delivery = JobDelivery(parsed=parsed, task=task)
        bundle = Bundle(parsed.job.account, parsed.job.priority, 0.0, [delivery])
        task_message = to_task_message(bundle, parsed.job.venue, key="7")
        assert task_message.decode()[:2] == [[], {}]
        assert body_of(message) == body
