"""However a message is dressed, the transport reads on and keeps what can be kept."""

from __future__ import annotations

from struct import pack
from typing import Any

import amqp
from hypothesis import given
from hypothesis import strategies as st

from worker.amqp.decoding import decodable_key, decode_properties

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
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@given(dressed)
def test_any_properties(given_: dict[str, Any]) -> None:
    """Every property that was given is found; text that is none is replaced."""
    kept = {name: value for name, value in given_.items() if value is not None}
    raw = amqp.Message("", **kept)._serialize_properties()
    found, end = decode_properties(raw, 0)

    assert end == len(raw)
    assert found.keys() == kept.keys()
    for name in found.keys() - {"application_headers"}:
        assert found[name] == as_text(kept[name])


@given(short, short)
def test_any_routing_key(exchange: bytes, key: bytes) -> None:
    """A delivery's routing key is text in the end, and nothing before it has changed."""
    head = pack(">HH", 60, 60) + b"\x03tag" + pack(">QB", 7, 0)
    head += bytes([len(exchange)]) + exchange
    told = decodable_key(head + bytes([len(key)]) + key)

    assert told.startswith(head)
    assert len(told) == len(head) + 1 + len(key)
    told[len(head) + 1 :].decode()
