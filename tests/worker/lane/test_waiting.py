"""The order of groups: kills, cancels, looks, proofs; of proofs the most, within limits."""

from __future__ import annotations

from tests.simulation.toys import Mute
from venues.base import Route
from venues.words import IdKind, OrderRef, Purpose
from worker.lane.waiting import PATIENCE_S, Group, Item, Rank, rank
from worker.orders.progress import Phase, new_progress

NOW_S = 100.0
LOOKUP = next(route for route in Mute().routes if route.purpose is Purpose.LOOKUP)
LATER = next(r for r in Mute().routes if r.life_stage > LOOKUP.life_stage)
CANCEL = next(route for route in Mute().routes if route.purpose is Purpose.CANCEL)


def of(
    route: Route,
    seq: int,
    *,
    size: int = 1,
    kill: bool = False,
    looking: bool = False,
    waited_s: float = 0.0,
) -> Rank:
    """Return the rank of a group whose head came as the seq-th."""
    ref = OrderRef(str(seq), IdKind.VENUE)
    progress = new_progress(ref)._replace(phase=Phase.PRECHECK if looking else Phase.CONFIRM)
    head = Item((seq,), ref, progress, {}, seq, kill, NOW_S, since=NOW_S - waited_s)
    return rank(Group(route, 1, size=size), head, size, NOW_S)


def test_kills_then_cancels_then_looks_then_proofs() -> None:
    ordered = [
        of(CANCEL, 9, kill=True),
        of(LOOKUP, 8, kill=True),
        of(CANCEL, 7),
        of(LOOKUP, 6, looking=True),
        of(LOOKUP, 5),
    ]

    assert sorted(ordered) == ordered


def test_of_cancels_and_looks_the_oldest_goes_first() -> None:
    for route, looking in ((CANCEL, False), (LOOKUP, True)):
        assert of(route, 1, looking=looking) < of(route, 2, size=50, looking=looking)


def test_of_proofs_the_most_go_first_but_none_waits_for_long() -> None:
    many = of(LOOKUP, 2, size=50)

    assert many < of(LOOKUP, 1)
    assert of(LATER, 2, size=50) > of(LOOKUP, 3, size=50)
    assert of(LOOKUP, 1, waited_s=PATIENCE_S) < many
    assert of(LOOKUP, 1, waited_s=PATIENCE_S) < of(LOOKUP, 2, size=50, waited_s=PATIENCE_S)
