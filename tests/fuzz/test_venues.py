"""Whatever a venue replies, each id of the request gets exactly one judgement."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.shapes import texts, values
from venues import all_venues
from venues.base import Batch, HttpReply, Route, Venue, Verdict
from venues.words import IdKind, OrderRef
from worker.orders.judge import judge

IDS = ("33308750270880236", "3fa42833-9508-4061-8d80-b68563dcd521")
routes = st.sampled_from(
    [(venue, route) for venue in all_venues().values() for route in venue.routes]
)
#: Words that replies are made of, so that the parsers are entered and not only refused.
words = st.sampled_from(
    [
        "data",
        "rows",
        "total",
        "code",
        "msg",
        "message",
        "id",
        "orderId",
        "clientOrderId",
        "status",
        "orderStatus",
        "success",
        "errors",
        "error",
        "extensions",
        "posType",
    ]
)
said = st.sampled_from(
    [*IDS, 0, "0", 200, -2011, "CANCELED", "Canceled", "cancel", "finish", True]
)
replies = st.recursive(
    said | values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
)


@given(routes, replies, st.integers(100, 599), texts)
@settings(max_examples=400, deadline=None)
def test_any_reply(asked: tuple[Venue, Route], body: Any, status: int, text: str) -> None:
    """One judgement for each id, and a state only where the venue named it."""
    venue, route = asked
    kinds = [kind for kind in route.id_kinds if kind is IdKind.VENUE]
    refs = tuple(OrderRef(order_id, kind, "BTCUSDT") for order_id in IDS for kind in kinds)
    refs = refs[: route.max_ids]
    judged = judge(venue, Batch(route, refs), HttpReply(status, {}, body, text))

    assert judged.keys() == set(refs)
    for judgement in judged.values():
        assert (judgement.ord_status is None) == (judgement.verdict is not Verdict.STATE)
        assert judgement.text.isprintable()
