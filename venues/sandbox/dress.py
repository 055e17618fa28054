"""Replies in other clothes: words, fields and empty lists as another venue might write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .messages import Reply
from .world import World

#: how a row names its order; what has none of these is an envelope
_ID_FIELDS = frozenset({"id", "orderId"})


@dataclass(frozen=True, slots=True)
class Dress:
    """What replies look like; by default as they are documented."""

    words: Mapping[str, str]
    row_fields: Mapping[str, Any]
    left_out: frozenset[str]
    empty_lists: str

    @classmethod
    def of(cls, world: World, venue: str) -> Dress:
        """Return how the venue's settings dress its replies."""
        return cls(
            words=world.setting(venue, "words"),
            row_fields=world.setting(venue, "row_fields"),
            left_out=frozenset(world.setting(venue, "left_out")),
            empty_lists=world.setting(venue, "empty_lists"),
        )

    @property
    def is_plain(self) -> bool:
        """Whether nothing is changed."""
        changes = self.words or self.row_fields or self.left_out
        return not changes and self.empty_lists == "list"

    def put_on(self, value: Any) -> Any:
        """Return a reply's JSON value as this venue writes it."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self.put_on(item) for item in value] or self._nothing()
        return self.words.get(value, value) if isinstance(value, str) else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: self.put_on(item)
            for name, item in value.items()
            if name not in self.left_out and not (item == [] and self.empty_lists == "missing")
        }
        return kept | dict(self.row_fields) if _ID_FIELDS & value.keys() else kept

    def _nothing(self) -> Any:
        """Return what stands for an empty list; where it is all of a reply none can miss."""
        return {"list": [], "object": {}}.get(self.empty_lists)


def dressed(reply: Reply, dress: Dress) -> Reply:
    """Return a reply of JSON as the dress has it; any other stays as it is."""
    if dress.is_plain:
        return reply
    body = b"".join(reply.parts()) if reply.parts else reply.body
    try:
        value = json.loads(body)
    except ValueError:
        return reply
    written = json.dumps(dress.put_on(value), separators=(",", ":"))
    return replace(reply, body=written.encode(), parts=None)
