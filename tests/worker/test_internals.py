"""The private parts of py-amqp, kombu and Celery that the worker leans on are as they were.

A failure says what changed and which file of ours to read again. When that file is right for
the new release, write the new signature or digest here, and the version into `SEEN`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.metadata
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

#: The versions in which the parts below were last seen.
SEEN = {"amqp": "5.4.2", "kombu": "5.7.0", "celery": "5.7.0"}

#: What exists, and the file of ours that uses it.
NAMES = {
    "amqp.basic_message:Message.PROPERTIES": "worker/amqp/decoding.py",
    "amqp.basic_message:Message._serialize_properties": "worker/amqp/forwarder.py",
    "amqp.serialization:loads": "worker/amqp/decoding.py",
    "amqp.abstract_channel:AbstractChannel.wait": "worker/amqp/transport.py",
    "amqp.connection:Connection.collect": "worker/amqp/transport.py",
    "amqp.transport:TCPTransport._setup_transport": "worker/amqp/buffered.py",
    "amqp.transport:TCPTransport.write": "worker/amqp/buffered.py",
    "amqp.spec:Basic.Deliver": "worker/amqp/decoding.py",
    "amqp.spec:Connection.CloseOk": "worker/amqp/transport.py",
    "celery.app.amqp:AMQP.Connection": "worker/app.py",
    "celery:Celery.amqp_cls": "worker/app.py",
    "celery:Celery.events_cls": "worker/app.py",
    "celery.app.events:Events.dispatcher_cls": "worker/consumer/events.py",
    "celery.bootsteps:RUN": "worker/consumer/consumer.py",
    "celery.worker.consumer:Consumer.Blueprint.default_steps": "worker/consumer/consumer.py",
    "celery.bootsteps:ConsumerStep.get_consumers": "worker/consumer/ownership.py",
    "celery.worker.consumer:Consumer.call_soon": "worker/consumer/ownership.py",
    "celery.worker.consumer:Consumer.call_soon_ack": "worker/consumer/consumer.py",
    "celery.worker.consumer:Consumer.connect": "worker/consumer/consumer.py",
    "celery.worker.consumer:Consumer.on_connection_error_after_connected": (
        "worker/consumer/consumer.py"
    ),
    "celery.worker.consumer:Consumer.stop": "worker/consumer/consumer.py",
    "celery.concurrency.thread:TaskPool.stop": "worker/consumer/consumer.py",
    "celery.worker.state:should_terminate": "worker/consumer/consumer.py",
    "kombu.asynchronous.hub:Hub.create_loop": "worker/consumer/consumer.py",
    "celery.app.control:Control.Mailbox": "worker/consumer/mailbox.py",
    "kombu.pidbox:Mailbox.Node": "worker/consumer/mailbox.py",
    "kombu.pidbox:Mailbox.get_queue": "worker/consumer/mailbox.py",
    "celery.worker.request:Request.revoked": "worker/consumer/request.py",
    "celery.worker.state:revoked": "worker/consumer/consumer.py",
    "celery.worker:WorkController.state": "worker/consumer/consumer.py",
    "kombu.connection:Connection._info": "worker/amqp/connection.py",
    "kombu.connection:Connection.Pool": "worker/amqp/connection.py",
    "kombu.connection:PooledConnection": "worker/amqp/connection.py",
    "kombu.message:Message.ack_log_error": "worker/consumer/consumer.py",
    "kombu.message:Message.reject_log_error": "worker/consumer/consumer.py",
    "kombu.transport.native_delayed_delivery:CELERY_DELAYED_DELIVERY_EXCHANGE": (
        "worker/amqp/topology.py"
    ),
    "kombu.transport.native_delayed_delivery:MAX_LEVEL": "worker/jobs/poison.py",
    "kombu.transport.pyamqp:Channel.Message": "worker/amqp/transport.py",
    "kombu.transport.pyamqp:Connection.Channel": "worker/amqp/transport.py",
    "kombu.transport.pyamqp:SSLTransport.Connection": "worker/amqp/transport.py",
    "kombu.transport.pyamqp:Transport.Connection": "worker/amqp/transport.py",
    "kombu.transport.virtual:Channel.typeof": "worker/cli/broker.py",
}

#: What an object has once it is made, and the file of ours that uses it.
ATTRIBUTES = {
    "amqp.connection:Connection.confirm_publish": "worker/consumer/events.py",
    "amqp.connection:Connection.frame_handler_cls": "worker/amqp/decoding.py",
    "amqp.transport:TCPTransport._quick_recv": "worker/amqp/buffered.py",
    "amqp.transport:TCPTransport._read_buffer": "worker/amqp/buffered.py",
    "celery.events.dispatcher:EventDispatcher._outbound_buffer": "worker/consumer/events.py",
    "celery.worker.consumer:Consumer.initial_prefetch_count": "worker/consumer/consumer.py",
    "kombu.messaging:Consumer._active_tags": "worker/consumer/consumer.py",
}

#: How a function is called, and the file of ours that calls or overrides it.
SIGNATURES = {
    "amqp.abstract_channel:AbstractChannel.wait": (
        "(self, method, callback=None, timeout=None, returns_tuple=False)",
        "worker/amqp/transport.py",
    ),
    "amqp.connection:Connection.Transport": (
        "(self, host, connect_timeout, ssl=False, read_timeout=None, write_timeout=None, "
        "socket_settings=None, **kwargs)",
        "worker/amqp/transport.py",
    ),
    "amqp.method_framing:frame_handler": (
        "(connection, callback, unpack_from, content_methods)",
        "worker/amqp/decoding.py",
    ),
    "amqp.serialization:decode_properties_basic": ("(buf, offset)", "worker/amqp/decoding.py"),
    "amqp.transport:SSLTransport._read": (
        "(self, n, initial=False, _errnos)",
        "worker/amqp/transport.py",
    ),
    "amqp.transport:TCPTransport._read": (
        "(self, n, initial=False, _errnos)",
        "worker/amqp/transport.py and worker/amqp/buffered.py",
    ),
    "celery.events.dispatcher:EventDispatcher.send": (
        "(self, type, blind=False, utcoffset, retry=False, retry_policy=None, Event, **fields)",
        "worker/consumer/events.py",
    ),
    "celery.worker.consumer:Consumer.call_soon": (
        "(self, p, *args, **kwargs)",
        "worker/consumer/ownership.py",
    ),
    "kombu.asynchronous.hub:Hub.call_later": (
        "(self, delay, callback, *args)",
        "worker/amqp/hub.py",
    ),
    "kombu.transport.filesystem:Channel._put": (
        "(self, queue, payload, **kwargs)",
        "worker/amqp/embedded.py",
    ),
    "kombu.transport.native_delayed_delivery:calculate_routing_key": (
        "(countdown, routing_key)",
        "worker/jobs/poison.py",
    ),
    "kombu.transport.native_delayed_delivery:level_name": (
        "(level, prefix=None)",
        "worker/jobs/poison.py",
    ),
}

#: The digest of what a function does, the file of ours that leans on its order, and on what.
DIGESTS = {
    "amqp.abstract_channel:AbstractChannel.wait": (
        "9e304f3da3b0",
        "worker/amqp/transport.py",
        "each read of a wait has its time-out",
    ),
    "amqp.method_framing:frame_handler": (
        "7f7a17ac5eb1",
        "worker/amqp/decoding.py",
        "a message is handed on with its frames' channel",
    ),
    "amqp.serialization:GenericContent.inbound_header": (
        "05904f8a7f27",
        "worker/amqp/decoding.py",
        "properties begin at byte 12",
    ),
    "amqp.transport:SSLTransport._read": (
        "ac86feade577",
        "worker/amqp/transport.py",
        "what was read of a frame is kept",
    ),
    "amqp.transport:TCPTransport._read": (
        "547496a2bf8c",
        "worker/amqp/transport.py",
        "what was read of a frame is kept",
    ),
    "amqp.transport:_AbstractTransport.read_frame": (
        "767375ab77a2",
        "worker/amqp/transport.py",
        "after a TimeoutError the frame is read anew from its first byte",
    ),
    "celery.events.dispatcher:EventDispatcher.enable": (
        "6c76d0051880",
        "worker/consumer/events.py",
        "a channel that is there is used",
    ),
    "celery.events.dispatcher:EventDispatcher.send": (
        "ff0fe9b7fb62",
        "worker/consumer/events.py",
        "an event that cannot leave is kept in the buffer",
    ),
    "celery.worker.consumer:Consumer.create_task_handler": (
        "007b9e085800",
        "worker/consumer/consumer.py",
        "the handler takes a message and acknowledges it by its own means",
    ),
    "celery.worker.loops:asynloop": (
        "eddfee26a1a5",
        "worker/consumer/consumer.py",
        "the handler is made once a connection, before the loop begins",
    ),
    "kombu.asynchronous.hub:Hub.create_loop": (
        "abfdad98fa1f",
        "worker/amqp/hub.py",
        "calls, then timers, then the poll, then readers",
    ),
    "kombu.asynchronous.hub:Hub.fire_timers": (
        "1ab92cb4adc4",
        "worker/amqp/hub.py",
        "an error of a timer is logged, that of a connection is raised",
    ),
    "kombu.connection:Connection.get_transport_cls": (
        "5fcc2732049f",
        "worker/amqp/connection.py",
        "every transport of a connection comes from here",
    ),
    "kombu.connection:ConnectionPool.new": (
        "d15e7a155374",
        "worker/amqp/connection.py",
        "how a pool makes its connections",
    ),
    "kombu.transport.base:Transport._make_reader": (
        "e2cd2122913f",
        "worker/amqp/hub.py",
        "a reader goes on until nothing has come",
    ),
    "kombu.transport.filesystem:Channel._put": (
        "bfeabd169ed2",
        "worker/amqp/embedded.py",
        "where a message's file lies, and what is in it",
    ),
    "kombu.transport.pyamqp:Transport.establish_connection": (
        "0774cefb059c",
        "worker/app.py",
        "transport options are arguments of the connection",
    ),
}


def _find(path: str) -> Any:
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def _tree(found: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(found)))


def _signature(function: Callable[..., Any]) -> str:
    """Return it without annotations, and without defaults that are objects."""
    shown = []
    for parameter in inspect.signature(function).parameters.values():
        bare = parameter.replace(annotation=parameter.empty, default=parameter.empty)
        plain = parameter.default is None or isinstance(parameter.default, bool)
        shown.append(f"{bare}={parameter.default}" if plain else str(bare))
    return f"({', '.join(shown)})"


def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of its source, whatever its layout."""
    words = " ".join(inspect.getsource(function).split())
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _changed(path: str, what: str, ours: str) -> str:
    package = path.partition(".")[0]
    now = importlib.metadata.version(package)
    return (
        f"{package} {now} changed {what} of {path} (last seen in {SEEN[package]}): "
        f"read {ours} again"
    )


@pytest.mark.parametrize("path", NAMES)
def test_it_is_there(path: str) -> None:
    try:
        _find(path)
    except (ImportError, AttributeError):
        pytest.fail(_changed(path, "the place", NAMES[path]), pytrace=False)


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_an_object_has_it(path: str) -> None:
    owner, _, name = path.rpartition(".")
    kinds = [kind for kind in _find(owner).__mro__ if kind is not object]
    nodes = (node for kind in kinds for node in ast.walk(_tree(kind)))
    if not any(isinstance(node, ast.Attribute) and node.attr == name for node in nodes):
        pytest.fail(_changed(path, "the name", ATTRIBUTES[path]), pytrace=False)


def test_one_step_sets_up_delays() -> None:
    steps = _find("celery.worker.consumer:Consumer.Blueprint.default_steps")
    if len([step for step in steps if step.endswith(":DelayedDelivery")]) != 1:
        path = "celery.worker.consumer:Consumer.Blueprint.default_steps"
        pytest.fail(_changed(path, "the steps", "worker/consumer/consumer.py"), pytrace=False)


@pytest.mark.parametrize("path", SIGNATURES)
def test_it_is_called_as_before(path: str) -> None:
    expected, ours = SIGNATURES[path]
    try:
        found = _signature(_find(path))
    except (ImportError, AttributeError):
        found = "gone"
    if found != expected:
        what = f"the signature, {expected} to {found},"
        pytest.fail(_changed(path, what, ours), pytrace=False)


@pytest.mark.parametrize("path", DIGESTS)
def test_it_does_what_it_did(path: str) -> None:
    expected, ours, why = DIGESTS[path]
    try:
        found = _digest(_find(path))
    except (ImportError, AttributeError):
        found = "gone"
    if found != expected:
        what = f"the code ({expected} to {found})"
        pytest.fail(f"{_changed(path, what, ours)}: {why}", pytrace=False)
