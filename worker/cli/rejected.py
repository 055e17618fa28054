"""`cancel-worker rejected`: the messages that were no jobs, for somebody to mend or drop.

A message is held unacknowledged while it is acted on, and acknowledged last: whatever dies
meanwhile, it is still in the queue. The others go back in their order.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from kombu import Connection, Consumer

from worker.amqp import topology
from worker.cli.broker import TIMEOUT_S, BrokerTimeout, Unwritable, broker, is_embedded, publish
from worker.cli.output import AsJson, Output, Problem
from worker.consumer.task_message import COPIED_PROPERTIES, body_of, needed_headers
from worker.contract.job import ROUTING_KEY_HEADER, InvalidJob, job_id_of, read_json
from worker.jobs.poison import BY_THE_BROKER
from worker.jobs.report import HEADERS_LEFT_OUT

#: Headers that were added when the message was rejected, and those that the broker adds.
_ADDED = BY_THE_BROKER | {"x-reason", "x-detail", ROUTING_KEY_HEADER}
#: AMQP properties that belong to the message and not to its delivery.
_COPIED_PROPERTIES = (*COPIED_PROPERTIES, "timestamp", "type")

#: The most that AMQP lets a consumer hold.
_MOST_HELD = 65535
#: A broker that is silent for this long (seconds) has no more messages.
_SILENCE_S = 2.0

Number = Annotated[int, typer.Argument(min=1, help="Its number in the list.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

rejected = typer.Typer(help="Look after messages that were no valid job.", no_args_is_help=True)


@rejected.command("list")
def list_(*, broker_timeout: BrokerTimeout = TIMEOUT_S, as_json: AsJson = False) -> None:
    """List the rejected messages, oldest first."""
    output = Output(as_json=as_json)
    with broker(broker_timeout) as connection, _held(connection) as messages:
        rows = [_summary(n, message) for n, message in enumerate(messages, 1)]
    if as_json:
        for row in rows:
            output.emit(row)
    elif rows:
        output.table(list(rows[0]), (list(row.values()) for row in rows))
    else:
        output.line("no rejected messages")


@rejected.command()
def show(
    number: Number, *, broker_timeout: BrokerTimeout = TIMEOUT_S, as_json: AsJson = False
) -> None:
    """Show one rejected message as a whole."""
    with broker(broker_timeout) as connection, _held(connection) as messages:
        message = _chosen(messages, number)
        found = _whole(number, message)
    output = Output(as_json=as_json)
    if as_json:
        output.emit(found)
        return
    for name, value in found.items():
        output.line(f"{name}: {value}")


@rejected.command()
def replay(
    number: Number, *, broker_timeout: BrokerTimeout = TIMEOUT_S, as_json: AsJson = False
) -> None:
    """Send one message again, as it was, and take it off the queue."""

    def act(connection: Connection, message: Any) -> str:
        key, body = _key(message), body_of(message)
        properties, headers = _properties(message), _headers(message)
        try:
            publish(connection, key, body, properties, headers, broker_timeout)
        except Unwritable:
            bare = needed_headers(headers)
            publish(connection, key, body, properties, bare, broker_timeout)
            return f"sent again to {key}; {HEADERS_LEFT_OUT}"
        return f"sent again to {key}"

    _settle(number, broker_timeout, act, Output(as_json=as_json))


@rejected.command()
def drop(
    number: Number,
    *,
    yes: Yes = False,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Delete one message for good."""

    def act(_connection: Connection, message: Any) -> str:
        if not yes:
            _confirm(_summary(number, message))
        return "dropped"

    _settle(number, broker_timeout, act, Output(as_json=as_json))


def _confirm(summary: dict[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise Problem("say --yes to drop it, as nobody can be asked here", 2)
    if not typer.confirm(f"Drop {summary['reason']} of job {summary['job_id'] or '?'}?"):
        raise Problem("nothing was dropped")


def _settle(
    number: int, timeout_s: float, act: Callable[[Connection, Any], str], output: Output
) -> None:
    with broker(timeout_s) as connection, _held(connection) as messages:
        message = _chosen(messages, number)
        done = act(connection, message)
        message.ack()
        summary = _summary(number, message)
    if output.as_json:
        output.emit(summary | {"done": done})
    else:
        output.line(f"{number} {summary['reason']} (job {summary['job_id'] or '?'}): {done}")


@contextmanager
def _held(connection: Connection) -> Iterator[list[Any]]:
    """Hold all messages; those that are not acknowledged go back in their order.

    All, because what is given back goes behind what was not taken. By one consumer, because
    the broker keeps its order even if this process dies.
    """
    messages: list[Any] = []
    with connection.channel() as channel:
        channel.basic_qos(0, _MOST_HELD, False)
        queue = topology.rejected_queue(is_embedded(connection))(channel)
        if is_embedded(connection):
            queue.declare()
        consumer = Consumer(channel, [queue], auto_declare=False, on_message=messages.append)
        _, ready, _ = queue.queue_declare(passive=True)
        consumer.consume()
        _drain(connection, lambda: len(messages) < min(ready, _MOST_HELD))
        consumer.cancel()
        try:
            yield messages
        finally:
            for message in messages:
                if not message.acknowledged:
                    message.requeue()


def _drain(connection: Connection, more: Callable[[], bool]) -> None:
    with suppress(TimeoutError):  # then somebody else has taken the rest
        while more():
            connection.drain_events(timeout=_SILENCE_S)


def _chosen(messages: list[Any], number: int) -> Any:
    if len(messages) < number:
        there = f"there are {len(messages)}" if messages else "the queue is empty"
        raise Problem(f"no rejected message number {number}; {there}")
    return messages[number - 1]


def _summary(number: int, message: Any) -> dict[str, Any]:
    body = body_of(message)
    return {
        "n": number,
        "reason": message.headers.get("x-reason", ""),
        "job_id": _job_id(body),
        "key": message.headers.get(ROUTING_KEY_HEADER, ""),
        "bytes": len(body),
        "detail": message.headers.get("x-detail", ""),
    }


def _job_id(body: bytes) -> str:
    try:
        return job_id_of(read_json(body))
    except InvalidJob:
        return ""


def _whole(number: int, message: Any) -> dict[str, Any]:
    body = body_of(message)
    try:
        shown = {"body": body.decode()}
    except UnicodeDecodeError:
        shown = {"body_base64": base64.b64encode(body).decode()}
    headers = {name: str(value) for name, value in _headers(message).items()}
    properties = {name: str(value) for name, value in _properties(message).items()}
    return _summary(number, message) | {"properties": properties, "headers": headers} | shown


def _key(message: Any) -> str:
    """Return where the message was sent; delayed delivery puts digits before it."""
    key = str(message.headers.get(ROUTING_KEY_HEADER) or "")
    if not key:
        raise Problem("its routing key is not known; send the job anew with submit")
    return ".".join(key.split(".")[-2:])


def _headers(message: Any) -> dict[str, Any]:
    return {name: value for name, value in message.headers.items() if name not in _ADDED}


def _properties(message: Any) -> dict[str, Any]:
    found = {name: message.properties.get(name) for name in _COPIED_PROPERTIES}
    found["content_type"] = message.content_type
    found["content_encoding"] = found["content_encoding"] or message.content_encoding
    return {name: value for name, value in found.items() if value}
