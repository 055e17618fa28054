"""Venues made for the simulation: one that names all, one that is mute, one that boasts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from venues.base import (
    Answer,
    Answers,
    Batch,
    Cost,
    HttpReply,
    HttpRequest,
    Quota,
    Route,
    Rule,
    Venue,
    Verdict,
)
from venues.credential import Credential
from venues.words import IdKind, OrdStatus, OrdType, Purpose

#: What a toy says of an order, in the words of our own table.
STATES = {str(status): status for status in OrdStatus}
RULES: tuple[Rule, ...] = (
    Rule("0", Verdict.ACCEPTED),
    Rule("unknown", Verdict.UNKNOWN_ORDER, "unknown_order"),
    Rule("bad", Verdict.REFUSED, "bad_request"),
    Rule("down", Verdict.NOT_DONE, "maintenance"),
    Rule("halt", Verdict.HALT, "permission"),
)
BOTH_KINDS = frozenset(IdKind)
PAGE_SIZE = 20
SHARED = ("account", "escalation", "address")


class Toy(Venue):
    """What the toys share: replies are already parsed, and nothing is built or signed."""

    base_url = "https://toy.invalid"
    id_shapes = {IdKind.VENUE: re.compile(r"o\d+"), IdKind.CLIENT: re.compile(r"c\d+")}
    rules = RULES
    states = STATES

    def build(self, batch: Batch) -> HttpRequest:
        raise NotImplementedError

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        raise NotImplementedError

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        if not isinstance(reply.json, Answers):
            raise TypeError("no answers")
        return reply.json


def _cancel(name: str, most: int, **more: Any) -> Route:
    route = Route(name=name, purpose=Purpose.CANCEL, method="POST", path=f"/{name}")
    return replace(route, max_ids=most, quotas=(name, *SHARED), **more)


def _lookup(name: str, most: int, **more: Any) -> Route:
    route = Route(name=name, purpose=Purpose.LOOKUP, method="GET", path=f"/{name}")
    return replace(route, max_ids=most, quotas=("lookup", *SHARED), **more)


#: Every quota that a toy's routes name; a scenario draws the numbers.
TOY_QUOTAS = {
    "cancel_batch": Quota(10, 1.0),
    "cancel_one": Quota(10, 1.0),
    "lookup": Quota(10, 1.0),
    "account": Quota(20, 1.0),
    "escalation": Quota(55, 10.0),
    "address": Quota(75, 10.0, "address"),
}


class Plain(Toy):
    """Names each id and its state, by both kinds of id; grouped by symbol and kind."""

    name = "plain"
    routes = (
        _cancel(
            "cancel_batch",
            8,
            group_by=("symbol", "kind"),
            id_kinds=BOTH_KINDS,
            needs_symbol=True,
        ),
        _cancel("cancel_one", 1, id_kinds=BOTH_KINDS, single_first=frozenset(OrdType)),
        _lookup("lookup", 5, id_kinds=BOTH_KINDS),
    )
    quotas = TOY_QUOTAS


class Mute(Toy):
    """Answers a batch with one word for all; open lists by type, and a paged record."""

    name = "mute"
    forgets_canceled = True
    routes = (
        _cancel("cancel_batch", 20, group_by=("ord_type",)),
        _cancel("cancel_one", 1, single_first=frozenset({OrdType.LIMIT})),
        _lookup(
            "open_limit",
            20,
            list_all_ids=60,
            life_stage=1,
            ord_types=frozenset({OrdType.LIMIT, OrdType.ANY}),
        ),
        _lookup(
            "history",
            50,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.ANY}),
            max_pages=8,
            life_stage=2,
        ),
        _lookup(
            "open_market", 20, life_stage=1, ord_types=frozenset({OrdType.MARKET, OrdType.ANY})
        ),
        _lookup("open_trailing", 20, ord_types=frozenset({OrdType.TRAILING_STOP, OrdType.ANY})),
    )
    quotas = TOY_QUOTAS


class Hasty(Mute):
    """The same, without a look before the cancel."""

    name = "hasty"
    forgets_canceled = False


class Boast(Toy):
    """Claims in a batch what it did not do; one look-up an order."""

    name = "boast"
    routes = (
        _cancel("cancel_batch", 10, trusted=False),
        _cancel("cancel_one", 1),
        _lookup("lookup", 1),
    )
    quotas = TOY_QUOTAS


class Metered(Plain):
    """Counts ids by one of its quotas, by another requests and ids, and weighs look-ups."""

    name = "metered"
    routes = (
        replace(
            Plain.routes[0],
            costs=(Cost("cancel_batch", per_id=1), Cost("escalation", per_request=4, per_id=1)),
        ),
        replace(Plain.routes[1], costs=(Cost("escalation", per_request=5),)),
        replace(Plain.routes[2], costs=(Cost("address", per_request=3),)),
    )


def answer(status: OrdStatus | None, code: str = "unknown") -> Answer:
    """Return a toy's word on an order."""
    return Answer(state=str(status)) if status else Answer(code=code)
