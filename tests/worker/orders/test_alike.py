"""Orders that are alike differ in their id only; a step is thought out once for all of them."""

from __future__ import annotations

import pytest

from venues.words import IdKind, OrderRef, OrdType, Purpose
from worker.orders.alike import Likes, alike, changing, start_all, with_id
from worker.orders.follow import Track, sent, start

REF = OrderRef("1", IdKind.VENUE, "AAA", OrdType.LIMIT)
OTHER = REF._replace(id="2")
#: Another value of every field of a track but its reference.
OTHERWISE = {
    "symbol": "BBB",
    "ord_type": OrdType.MARKET,
    "type_known": True,
    "purpose": Purpose.LOOKUP,
    "attempts": 1,
    "sent": True,
    "seen_open": True,
    "absent": ("open",),
    "page": 2,
    "why": "timeout",
}


@pytest.mark.parametrize(
    "ref",
    [
        OTHER._replace(kind=IdKind.CLIENT),
        OTHER._replace(symbol="BBB"),
        OTHER._replace(ord_type=OrdType.MARKET),
    ],
)
def test_orders_that_a_job_names_otherwise_are_not_alike(ref: OrderRef) -> None:
    tracks = [start(REF), start(REF)._replace(ref=ref)]

    assert [same.refs for same in alike(tracks)] == [[REF], [ref]]
    assert [same.refs for same in start_all([REF, ref])] == [(REF,), (ref,)]
    assert Likes().same(tracks[1]) is tracks[1]


@pytest.mark.parametrize("field", OTHERWISE)
def test_orders_of_which_not_the_same_is_known_are_not_alike(field: str) -> None:
    other = start(OTHER)._replace(**{field: OTHERWISE[field]})  # type: ignore[arg-type]
    likes = Likes()

    assert len(alike([start(REF), other])) == 2
    assert likes.same(start(REF)) is not likes.same(other)


def test_orders_that_differ_in_their_id_have_one_track_between_them() -> None:
    (same,) = alike([start(REF), start(OTHER)])
    likes = Likes()

    assert same.tracks() == [start(REF), start(OTHER)]
    assert likes.same(start(OTHER)) is likes.same(start(REF))


@pytest.mark.parametrize("look_first", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_all_start_as_each_alone_would(look_first: bool, again: bool) -> None:
    refs = [REF, OTHER, OTHER._replace(symbol="BBB"), REF._replace(id="3")]

    found = start_all(refs, look_first=look_first, sent=again)

    assert [len(same.refs) for same in found] == [2, 1, 1]
    assert [track for same in found for track in same.tracks()] == [
        start(ref, look_first=look_first, sent=again) for ref in refs
    ]


def test_a_change_is_made_once_for_all_that_are_alike() -> None:
    like, other = start(REF), start(OTHER._replace(symbol="BBB"))
    asked: list[Track] = []

    def change(track: Track) -> Track:
        asked.append(track)
        return sent(track)

    leave = changing(change)

    assert [leave(track) for track in (like, other, like)] == [
        sent(like),
        sent(other),
        sent(like),
    ]
    assert asked == [like, other]


def test_the_track_of_another_order_has_its_name_and_all_else() -> None:
    known = start(REF)._replace(attempts=2, why="timeout")

    assert with_id(known, OTHER) == known._replace(ref=OTHER)
