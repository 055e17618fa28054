"""However a message is dressed, the transport reads on and keeps what can be kept."""

from __future__ import annotations

from struct import pack
from types import SimpleNamespace
from typing import Any

import amqp
from amqp.serialization import loads
from hypothesis import given
from hypothesis import strategies as st

from worker.amqp.decoding import decodable_key, frame_handler

#: A delivery up to its routing key: method, consumer tag, delivery tag, redelivered, exchange.
DELIVER = pack(">HH", 60, 60) + b"\x03tag" + pack(">QB", 7, 0) + b"\x02ex"

short = st.binary(max_size=40)
written = st.dictionaries(
    short,
    short | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.none(),
    max_size=4,
)
dressed = st.fixed_dictionaries(
    {},
    optional={
        "content_type": short,
        "message_id": short,
        "correlation_id": short,
        "application_headers": written,
        "timestamp": st.integers(0, 2**64 - 1),
        "priority": st.integers(0, 255),
        "app_id": short,
    },
)


def as_text(value: Any) -> Any:
    """Text keeps its length, so that it can be written again."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("ascii", "replace").replace("\ufffd", "?")


def received(properties: bytes, body: bytes = b"", key: bytes = b"key") -> Any:
    """Return the one message that the library makes of a delivery with such properties."""
    found: list[Any] = []
    on_frame = frame_handler(SimpleNamespace(bytes_recv=0), lambda *what: found.append(what))
    on_frame((1, 1, DELIVER + bytes([len(key)]) + key))
    on_frame((2, 1, pack(">HxxQ", 60, len(body)) + properties))
    if body:
        on_frame((3, 1, body))
    [(channel, method, arguments, content)] = found
    assert (channel, method) == (1, (60, 60))
    loads("s", arguments, len(DELIVER))
    return content


@given(dressed, short)
def test_any_properties(given_: dict[str, Any], body: bytes) -> None:
    """Every property that was given is found; text that is none is replaced."""
    kept = {name: value for name, value in given_.items() if value is not None}
    found = received(amqp.Message("", **kept)._serialize_properties(), body)

    assert bytes(found.body or b"") == body
    assert found.properties.keys() == kept.keys()
    for name in found.properties.keys() - {"application_headers"}:
        assert found.properties[name] == as_text(kept[name])


def test_messages_of_two_channels_come_in_between() -> None:
    found: list[Any] = []
    on_frame = frame_handler(SimpleNamespace(bytes_recv=0), lambda *what: found.append(what))
    for channel, name in ((1, "one"), (2, "two")):
        head = amqp.Message("", message_id=name)._serialize_properties()
        on_frame((1, channel, DELIVER + b"\x03key"))
        on_frame((2, channel, pack(">HxxQ", 60, 1) + head))
    for channel in (2, 1):
        on_frame((3, channel, b"x"))

    assert [content.properties for *_, content in found] == [
        {"message_id": "two"},
        {"message_id": "one"},
    ]


@given(short)
def test_any_routing_key(key: bytes) -> None:
    """A message with a routing key that is no text is received all the same."""
    received(b"\0\0", key=key)


@given(short, short)
def test_nothing_before_the_routing_key_changes(exchange: bytes, key: bytes) -> None:
    head = pack(">HH", 60, 60) + b"\x03tag" + pack(">QB", 7, 0)
    head += bytes([len(exchange)]) + exchange
    found = decodable_key(head + bytes([len(key)]) + key)

    assert found.startswith(head)
    assert len(found) == len(head) + 1 + len(key)
    found[len(head) + 1 :].decode()
