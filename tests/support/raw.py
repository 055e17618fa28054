"""Messages whose properties are bytes of our own, as no client library would write them."""

from __future__ import annotations

import struct

import amqp

#: Which properties follow.
HEADERS = 1 << 13
MESSAGE_ID = 1 << 7


class Raw(amqp.Message):  # type: ignore[misc] # the library has no types
    """A message whose properties are these bytes."""

    raw = b""

    def _serialize_properties(self) -> bytes:
        return self.raw


def raw(body: bytes, flags: int, properties: bytes) -> Raw:
    """Return a message with these properties."""
    message = Raw(body)
    message.raw = struct.pack(">H", flags) + properties
    return message


def short(word: bytes) -> bytes:
    """Return a short string."""
    return struct.pack("B", len(word)) + word


def nested(levels: int, **texts: str) -> bytes:
    """Return a header table in a table in a table, which py-amqp reads and cannot write.

    `texts` are further headers of the outermost one; an underscore is a hyphen.
    """
    table = b""
    for _ in range(levels):
        table = b"\x01tF" + struct.pack(">I", len(table)) + table
    for name, text in texts.items():
        said = text.encode()
        table += (
            short(name.replace("_", "-").encode()) + b"S" + struct.pack(">I", len(said)) + said
        )
    return struct.pack(">I", len(table)) + table
