"""Reads the fixture files: one JSON file per venue, found by the venue's name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from venues import all_venues
from venues.base import Batch, HttpReply, Route, Venue
from venues.credential import Credential
from venues.words import IdKind, OrderRef, OrdType

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One entry of a fixture file, together with its venue and what the file says for all."""

    venue: Venue
    file: dict[str, Any]
    said: dict[str, Any]

    @property
    def route(self) -> Route:
        route = route_of(self.venue, self.said["route"])
        return route.by_symbol() if self.said.get("by_symbol") else route

    @property
    def batch(self) -> Batch:
        if "after_s" in self.said:
            return self._of_timer()
        refs = tuple(self.ref(item) for item in self.said["refs"])
        said = self.said
        words = (said.get("page", 1), said.get("read", 0), said.get("size", 0))
        return Batch(self.route, refs, *words, said.get("cursor", ""))

    def _of_timer(self) -> Batch:
        timer, said = self.venue.timer, self.said
        assert timer is not None
        return Batch(timer.route, (), symbol=said.get("symbol", ""), after_s=said["after_s"])

    def ref(self, item: str | dict[str, str]) -> OrderRef:
        given = {"id": item} if isinstance(item, str) else item
        return OrderRef(
            given["id"],
            IdKind(given["kind"]) if "kind" in given else kind_of(self.venue, given["id"]),
            given.get("symbol", self.file["symbol"]),
            OrdType(given.get("ord_type", "any")),
        )

    @property
    def credential(self) -> Credential:
        return Credential(**self.file["credential"] | self.said.get("credential", {}))

    @property
    def reply(self) -> HttpReply:
        """The reply as a client would have it: no JSON where the body is none."""
        said = self.said
        body = unfold(said.get("json"))
        text = said["text"] if "text" in said else json.dumps(body)
        return HttpReply(said.get("status", 200), said.get("headers", {}), body, text)


def called(venue: Venue) -> str:
    """Return a venue's name, with what was chosen of its options."""
    return " ".join([venue.name, *venue.chosen.values()])


def kind_of(venue: Venue, order_id: str) -> IdKind:
    return next(kind for kind, shape in venue.id_shapes.items() if shape.fullmatch(order_id))


def route_of(venue: Venue, name: str) -> Route:
    return next(route for route in venue.routes if route.name == name)


def unfold(body: Any) -> Any:
    """Write out `{"repeat": 100, "item": …}`, which stands for a list of a hundred items."""
    if isinstance(body, dict):
        if body.keys() == {"repeat", "item"}:
            return [body["item"]] * body["repeat"]
        return {key: unfold(value) for key, value in body.items()}
    return body


def fixture_path(venue: Venue) -> Path:
    return FOLDER / f"{venue.name}.json"


@cache
def fixture_of(venue: Venue) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(fixture_path(venue).read_text("utf-8"))
    return content


def knowing(venue: Venue) -> Venue:
    """Return a venue as it knows the symbols that its fixture has numbers of."""
    if venue.symbol_numbers is None or not fixture_path(venue).exists():
        return venue
    return venue.knowing(HttpReply(200, {}, fixture_of(venue)["symbol_numbers"]["json"]))


#: Each venue under every choice of its options.
VENUES = tuple(knowing(each) for venue in all_venues().values() for each in venue.variants())


def cases(section: str) -> list[Any]:
    """Return the entries of a section of every file, as pytest parameters.

    A venue without a file has none here; a test of its own says so.
    """
    return [
        pytest.param(
            Case(venue, fixture_of(venue), said), id=f"{called(venue)}: {said['name']}"
        )
        for venue in VENUES
        if fixture_path(venue).exists()
        for said in entries(venue, section)
    ]


def entries(venue: Venue, section: str) -> list[dict[str, Any]]:
    """Return what a section says of a venue as its account chose it to be."""
    said = fixture_of(venue).get(section, [])
    return [each for each in said if each.get("options", {}).items() <= venue.chosen.items()]


def replies_of(venue: Venue, section: str = "replies") -> list[Case]:
    return [Case(venue, fixture_of(venue), said) for said in entries(venue, section)]
