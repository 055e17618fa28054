"""Reads what a message of a queue holds, and rewrites a job as the task that runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from venues.words import CancelJob, Priority
from worker.contract.job import Envelope, InvalidJob, job_id_of, read_json

TASK = "tasks.cancel_orders"
#: AMQP properties that a message keeps when it is moved.
KEPT = (
    "content_type",
    "content_encoding",
    "message_id",
    "correlation_id",
    "reply_to",
    "app_id",
)


def split_key(key: str) -> tuple[str, str]:
    """Return priority and account of a key; delayed delivery puts digits before them."""
    *_, priority, account = ["", *key.split(".")]
    return priority, account


def envelope_of(message: Any, priority: str, account: str) -> Envelope:
    """Return what surrounds a job: its key's words, and what its message says of it."""
    return Envelope(
        priority=priority,
        account=account,
        content_encoding=_encoding(message),
        message_id=message.properties.get("message_id") or "",
        headers=message.headers,
    )


def _encoding(message: Any) -> str:
    packed = message.headers.get("compression")
    # The embedded broker wraps bodies in base64 and says so in another place.
    named = message.properties.get("content_encoding") or message.content_encoding
    return str(packed or named or "")


def body_of(message: Any) -> bytes:
    """Return the very bytes of a message; the embedded broker hands over text."""
    body = message.body
    return body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")


def properties_of(message: Any) -> dict[str, Any]:
    """Return the AMQP properties that a message keeps when it is moved."""
    found = {"content_type": message.content_type, "content_encoding": message.content_encoding}
    found |= {key: message.properties.get(key) for key in KEPT if message.properties.get(key)}
    return {key: value for key, value in found.items() if value}


def json_or_none(body: bytes) -> Any:
    """Return what a body holds; None if it is no JSON that a job may be."""
    try:
        return read_json(body)
    except InvalidJob:
        return None


def task_kwargs(message: Any) -> dict[str, Any]:
    """Return the job, and what a retry carries, of a message, whoever wrote it.

    Raises:
        InvalidJob: it is no JSON, or a task of another kind.
    """
    if "task" in message.headers:
        return kwargs_of(message)
    return {"job": read_json(body_of(message), _encoding(message))}


def kwargs_of(message: Any) -> dict[str, Any]:
    """Return the job, and what a retry carries, of a message that Celery wrote.

    Raises:
        InvalidJob: another task, another protocol, or no job in it.
    """
    if message.headers.get("task") != TASK:
        raise InvalidJob("unknown_task", f"only {TASK} is run here")
    value = read_json(body_of(message), _encoding(message))
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[1], dict)):
        raise InvalidJob("bad_task", "not a Celery message of protocol 2")
    kwargs: Mapping[str, Any] = value[1]
    if value[0] or not kwargs.keys() <= {"job", "progress"} or "job" not in kwargs:
        raise InvalidJob("bad_task", "the one argument is the keyword job", _inner_id(kwargs))
    return dict(kwargs)


def _inner_id(kwargs: Mapping[str, Any]) -> str:
    return job_id_of(kwargs.get("job"))


def _name_or(given: Any, otherwise: str) -> str:
    """Return a header that Celery uses as a key; a producer may have put anything there."""
    usable = isinstance(given, str) and 0 < len(given.encode("utf-8", "replace")) <= 255
    return given if usable else otherwise


def dress(
    message: Any,
    job: CancelJob,
    kwargs: Mapping[str, Any],
    *,
    reading: str = "",
    embedded: bool = False,
) -> None:
    """Rewrite a message as the task that runs it; Flower shows its headers, so no payload.

    `reading` is the key under which the task finds the job as it was read already, so its body
    need not hold it: Celery would read that twice. The embedded broker takes a message back as
    it stands here, and leaves a retry's countdown to Celery.
    """
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    carried = kwargs if embedded else {**kwargs, "job": None}
    message.body = json.dumps([[], carried, embed])
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message._decoded_cache = None
    count, urgent = len(kwargs["job"]["orders"]), job.priority is Priority.KILL
    task_id = _name_or(message.headers.get("id"), str(uuid4()))
    retries = message.headers.get("retries")
    message.properties["correlation_id"] = task_id
    eta = {"eta": message.headers.get("eta")} if embedded else {}
    message.headers = {
        **eta,
        **job.trace,
        "lang": "py",
        "task": TASK,
        "id": task_id,
        "root_id": _name_or(message.headers.get("root_id"), task_id),
        "retries": retries if isinstance(retries, int) else 0,
        "shadow": f"{'kill' if urgent else 'cancel'} {count} @ {job.venue}/{job.account}",
        "argsrepr": "()",
        "kwargsrepr": f"{{'job_id': {job.job_id!r}}}",
        "cancel_priority": str(job.priority),
        "cancel_reading": reading,
        "ignore_result": True,
    }
