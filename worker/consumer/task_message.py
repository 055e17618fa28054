"""Reads what a message of a queue holds, and makes the message of a bundle's task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from kombu.message import Message

from venues.words import Priority
from worker.amqp.decoding import MOST_KEPT_OF_TASKS
from worker.contract.job import (
    MOST_BYTES,
    RESENT_HEADER,
    SENT_BY_HEADER,
    Envelope,
    InvalidJob,
    job_id_of,
    read_json,
)
from worker.jobs.poison import QUARANTINES
from worker.jobs.submit import Bundle

TASK = "tasks.cancel_orders"
#: AMQP properties that are copied when a message is published again.
COPIED_PROPERTIES = (
    "content_type",
    "content_encoding",
    "message_id",
    "correlation_id",
    "reply_to",
    "app_id",
)

#: What says that a message is a task's, how often it was set aside, and its trace.
_NEEDED_HEADERS = (
    "task",
    "id",
    "root_id",
    "retries",
    QUARANTINES,
    SENT_BY_HEADER,
    RESENT_HEADER,
    "traceparent",
    "tracestate",
)
_MOST_HEADER = 512
#: Of so many jobs of a bundle Flower shows the names.
MOST_NAMES = 10

#: Largest message of a task that goes on with a job: what is known of 10,000 ids takes some
#: 6 MiB.
MOST_RETRY_BYTES = MOST_KEPT_OF_TASKS

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_NO_ARGUMENTS = json.dumps([[], {}, _EMBED])


class TaskArguments(NamedTuple):
    """A job as JSON, and what a retry carries of earlier attempts."""

    job: Any
    progress: Any = None


def routing_key_of(message: Any) -> str:
    """Return the key that a message was published with."""
    return str(message.delivery_info.get("routing_key") or "")


def split_key(key: str) -> tuple[str, str]:
    """Return priority and account of a key; delayed delivery puts digits before them."""
    *_, priority, account = ["", *key.split(".")]
    return priority, account


def envelope_of(message: Any, priority: str, account: str, own_user: str = "") -> Envelope:
    """Return what surrounds a job: the words of its key, and what its message says of it.

    `own_user` is as whom workers publish (`sender_of`).
    """
    return Envelope(
        priority=priority,
        account=account,
        content_encoding=_encoding(message),
        message_id=message.properties.get("message_id") or "",
        headers=message.headers,
        sent_by=sender_of(message, own_user),
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
    """Return the AMQP properties to publish a message again with."""
    found = {"content_type": message.content_type, "content_encoding": message.content_encoding}
    found |= {
        key: message.properties[key] for key in COPIED_PROPERTIES if message.properties.get(key)
    }
    return {key: value for key, value in found.items() if value}


def sender_of(message: Any, own_user: str) -> str:
    """Return the user who sent a job, as the broker checked it; "" if that is not known.

    What a worker published once more bears the user of workers, and the first one in a header.
    """
    user = str(message.properties.get("user_id") or "")
    first = message.headers.get(SENT_BY_HEADER)
    return first if user and user == own_user and isinstance(first, str) else user


def is_own(message: Any, own_user: str) -> bool:
    """Say whether a worker wrote a message: no other may say what was done for a job before.

    Where workers have no one user of their own, each message passes for theirs.
    """
    user = str(message.properties.get("user_id") or "")
    return not own_user or (user == own_user and RESENT_HEADER not in message.headers)


def without_copies(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers without those by which the broker would copy a message to others."""
    return {name: value for name, value in headers.items() if name not in ("CC", "BCC")}


def needed_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers without which a job is another one, where the others are too large."""
    found = {name: headers[name] for name in _NEEDED_HEADERS if name in headers}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int) or (isinstance(value, str) and len(value) <= _MOST_HEADER)
    }


def job_or_none(message: Any) -> Any:
    """Return what may be the job of a message; None if nothing in it may be one."""
    try:
        return arguments_of(message).job
    except InvalidJob:
        return None


def arguments_of(message: Any) -> TaskArguments:
    """Return the job, and what a retry carries, of a message from Celery or any producer.

    Raises:
        InvalidJob: it is no JSON, a task of another kind, or a job in a wrapping.
    """
    if "task" in message.headers:
        return celery_arguments(message)
    value = read_json(body_of(message), _encoding(message))
    if isinstance(value, dict) and not value.keys() & {"account", "orders", "scope"}:
        _refuse_wrapped(value)
    return TaskArguments(value)


def _refuse_wrapped(value: Mapping[str, Any]) -> None:
    """Name the wrapping that a bus or an old client puts around a job."""
    kwargs = value.get("kwargs")
    if "task" in value and isinstance(kwargs, dict):
        text = "a Celery message of protocol 1; send protocol 2, or the job alone as plain JSON"
        raise InvalidJob("bad_task", text, job_id_of(kwargs.get("job")))
    for name, inner in value.items():
        if isinstance(inner, dict) and inner.keys() & {"orders", "scope"}:
            text = f"an envelope, with the job in {name[:64]!r}; send the job alone as raw JSON"
            raise InvalidJob("envelope", text, job_id_of(inner))


def celery_arguments(message: Any) -> TaskArguments:
    """Return the job, and what a retry carries, of a message that Celery wrote.

    Raises:
        InvalidJob: another task, another protocol, or no job in it.
    """
    if message.headers.get("task") != TASK:
        raise InvalidJob("unknown_task", f"only {TASK} is run here")
    body = body_of(message)
    value = read_json(body, _encoding(message), MOST_RETRY_BYTES)
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[1], dict)):
        raise InvalidJob("bad_task", "not a Celery message of protocol 2")
    kwargs: Mapping[str, Any] = value[1]
    if kwargs.get("progress") is None and len(body) > MOST_BYTES:
        text = f"{len(body)} bytes; at most {MOST_BYTES}"
        raise InvalidJob("too_large", text, job_id_of(kwargs.get("job")))
    if value[0] or not kwargs.keys() <= {"job", "progress"} or "job" not in kwargs:
        job_id = job_id_of(kwargs.get("job"))
        raise InvalidJob("bad_task", "the one argument is the keyword job", job_id)
    return TaskArguments(**kwargs)


def usable_id(given: Any) -> str:
    """Return an id that Celery may use as a key, or ""; a producer may put anything there."""
    usable = isinstance(given, str) and 0 < len(given.encode("utf-8", "replace")) <= 255
    return str(given) if usable else ""


class TaskMessage(Message):
    """The message of a task. The broker knows none such: the jobs of it have messages."""

    def ack_log_error(self, *_: Any, **__: Any) -> None:
        """Do nothing: the message of each job was let go when that ended."""

    def reject_log_error(self, *_: Any, **__: Any) -> None:
        """Do nothing: the message of each job was let go when that ended."""


def to_task_message(
    bundle: Bundle, venue: str, *, key: str, embedded: bool = False
) -> TaskMessage:
    """Return the message of the task that runs the jobs of a bundle.

    Its body is empty, as the task finds the jobs by `key`. Flower shows the headers, so they
    hold no payload. A job that is alone keeps the id that its producer knows the task by. The
    embedded broker leaves a retry's countdown to Celery.
    """
    found = bundle.deliveries
    first, alone = found[0], len(found) == 1
    task_id = (alone and first.task.task_id) or str(uuid4())
    return TaskMessage(
        _NO_ARGUMENTS,
        delivery_info={"routing_key": f"{bundle.priority}.{bundle.account}"},
        content_type="application/json",
        content_encoding="utf-8",
        accept={"application/json"},
        properties={"correlation_id": task_id},
        headers={
            **({"eta": first.eta} if embedded else {}),
            **(first.parsed.job.trace if alone else {}),
            "lang": "py",
            "task": TASK,
            "id": task_id,
            "root_id": (alone and first.task.root_id) or task_id,
            "retries": first.task.retries if alone else 0,
            "shadow": f"{_what(bundle)} @ {venue}/{bundle.account}",
            "argsrepr": "()",
            "kwargsrepr": _names(bundle),
            "cancel_bundle": key,
            "ignore_result": True,
        },
    )


def _what(bundle: Bundle) -> str:
    kind = "kill" if bundle.priority is Priority.KILL else "cancel"
    ids = sum(delivery.orders for delivery in bundle.deliveries)
    jobs = len(bundle.deliveries)
    return f"{kind} {ids}" if jobs == 1 else f"{kind} {jobs} jobs, {ids} ids"


def _names(bundle: Bundle) -> str:
    """Return the first names of the jobs, as Celery's tools show arguments."""
    names = [delivery.parsed.job.job_id for delivery in bundle.deliveries]
    if len(names) == 1:
        return f"{{'job_id': {names[0]!r}}}"
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f"{{'job_ids': [{', '.join(map(repr, names[:MOST_NAMES]))}{more}]}}"
