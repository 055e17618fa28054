"""Decodes whatever a producer sent: what cannot be read is replaced, and a body stays as it is.

Before Celery or our consumer see a message, the client library decodes its body by
`content_encoding`, kombu unpacks it by its `compression` header, and what is not UTF-8 or no
date in its properties raises and ends the worker.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import amqp
from amqp import method_framing, serialization, spec
from kombu.transport import pyamqp

Frame = tuple[int, int, Any]

_HEADER_FRAME = 2
#: Where a content header's properties begin: after its class, weight and the body's size.
_PROPERTIES_AT = 12
_NO_PROPERTIES = b"\0\0"
#: Where the body's size stands in a content header: after its class and weight.
_SIZE_AT = 4
_COMPRESSION = "compression"
_BODY_FRAME = 3
#: A body of more bytes is not kept by who bounds them: hundreds of messages are here at once.
#: A retry of many ids is larger than any job; RabbitMQ 4 takes nothing larger by default.
MOST_KEPT, MOST_KEPT_OF_TASKS = 1 << 21, 1 << 24
#: What reading a producer's properties may raise.
_UNREADABLE = (ValueError, OverflowError, OSError, struct.error, IndexError, amqp.AMQPError)


class Message(pyamqp.Message):
    """A message that is not unpacked: a small body may unpack to many gigabytes."""

    def __init__(self, msg: Any, channel: Any = None, **kwargs: Any) -> None:
        headers = msg.properties.get("application_headers") or {}
        packed = headers.pop(_COMPRESSION, None)
        super().__init__(msg, channel, **kwargs)
        #: The size of a body that was too large to be kept, else 0.
        self.left_out = getattr(msg, "left_out", 0)
        if packed is not None:
            self.headers[_COMPRESSION] = packed


def frame_handler(
    connection: Any, callback: Callable[..., Any], *, bounded: bool = False
) -> Callable[[Frame], bool]:
    """Return what takes a connection's frames, for the library's argument of that name.

    The library's own is given a header without properties, and the message gets those that
    were decoded here. `bounded`: a body that is too large is passed over; its message is empty.
    """
    properties: dict[int, dict[str, Any]] = {}  # by channel, until the message is complete
    left_out: dict[int, int] = {}  # bytes of a body that is passed over, by channel

    def hand_on(channel: int, method: Any, arguments: Any, content: Any) -> Any:
        if content is not None:
            content.properties = properties.pop(channel)
            content.left_out = left_out.get(channel, 0)
        if method == spec.Basic.Deliver:
            arguments = decodable_key(bytes(arguments))
        return callback(channel, method, arguments, content)

    handle = method_framing.frame_handler(connection, hand_on)

    def on_frame(frame: Frame) -> bool:
        kind, channel, payload = frame
        if kind == _HEADER_FRAME:
            properties[channel], _ = decode_properties(payload, _PROPERTIES_AT)
            payload = bytes(payload[:_PROPERTIES_AT]) + _NO_PROPERTIES
            if bounded and (size := _too_large(payload, properties[channel])):
                left_out[channel] = size
                payload = payload[:_SIZE_AT] + bytes(8) + _NO_PROPERTIES
        elif kind == _BODY_FRAME and channel in left_out:
            left_out[channel] -= len(payload)
            if left_out[channel] <= 0:
                del left_out[channel]
            connection.bytes_recv += 1
            return False
        return bool(handle((kind, channel, payload)))

    return on_frame


def _too_large(header: bytes, properties: Mapping[str, Any]) -> int:
    """Return the size of a body that is too large to be kept; 0 if it is not."""
    (size,) = struct.unpack_from(">Q", header, _SIZE_AT)
    is_task = "task" in (properties.get("application_headers") or {})
    return size if size > (MOST_KEPT_OF_TASKS if is_task else MOST_KEPT) else 0


def decodable_key(deliver: bytes) -> bytes:
    """Return a basic.deliver whose routing key, its last field, is UTF-8."""
    exchange_at = 4 + 1 + deliver[4] + 8 + 1  # method, consumer tag, delivery tag, redelivered
    key_at = exchange_at + 1 + deliver[exchange_at]
    return deliver[: key_at + 1] + _decodable(deliver[key_at + 1 :])


def _decodable(word: bytes) -> bytes:
    try:
        word.decode()
    except UnicodeDecodeError:
        return word.decode("ascii", "replace").replace("\ufffd", "?").encode()
    return word


def decode_properties(buffer: Any, offset: int) -> tuple[dict[str, Any], int]:
    """Return a message's properties, with what cannot be read replaced or left out."""
    try:
        found: tuple[dict[str, Any], int] = serialization.decode_properties_basic(
            buffer, offset
        )
    except _UNREADABLE:
        return _what_can_be_read(bytes(buffer), offset)
    return found


def _what_can_be_read(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    (flags,), offset, found = struct.unpack_from(">H", buffer, offset), offset + 2, {}
    for place, (name, kind) in enumerate(amqp.Message.PROPERTIES):
        if flags & (1 << (15 - place)):
            found[name], offset = _READERS[kind](buffer, offset)
    return found, offset


def _read_text(buffer: bytes, offset: int) -> tuple[str, int]:
    """Read a short string; a word that cannot be read keeps its length, to be written again."""
    end = offset + 1 + buffer[offset]
    return _decodable(buffer[offset + 1 : end]).decode(), end


def _read_octet(buffer: bytes, offset: int) -> tuple[int, int]:
    return buffer[offset], offset + 1


def _read_time(buffer: bytes, offset: int) -> tuple[int, int]:
    return struct.unpack_from(">Q", buffer, offset)[0], offset + 8


def _read_headers(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    (size,) = struct.unpack_from(">I", buffer, offset)
    try:
        headers = serialization.loads("F", buffer, offset)[0][0]
    except (*_UNREADABLE, RecursionError):
        headers = {}
    return headers, offset + 4 + size


_READERS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "s": _read_text,
    "o": _read_octet,
    "L": _read_time,
    "F": _read_headers,
}
