"""A route's quotas together: what look-ups leave to cancels, and who keeps which distance."""

from __future__ import annotations

import pytest

from tests.simulation.toys import Plain
from venues.base import Quota, Route
from venues.words import IdKind, OrderRef
from worker.lane.waiting import Group, Item
from worker.orders.progress import new_progress
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER, Pace

ROUTES: dict[str, Route] = {route.name: route for route in Plain().routes}
BATCH, ONE, LOOKUP = (ROUTES[name] for name in ("cancel_batch", "cancel_one", "lookup"))
FULL = BATCH.max_ids
TEN = Quota(10, 1.0)
GAP_S = 0.1


def tokens_of(**quotas: Quota) -> Tokens:
    return Tokens({name: Pace(quota) for name, quota in quotas.items()})


def group_of(route: Route, size: int = 1, *, kill: bool = False, entered: float = 5.0) -> Group:
    """Return a group that is headed by one id and counts so many."""
    ref = OrderRef("1", IdKind.VENUE, "AAA")
    head = Item((1,), ref, new_progress(ref), {}, 1, kill, entered)
    place = (head.place, head.ticket, head)
    if kill:
        return Group(route, 1, kills=[place], size=size, kills_here=1)
    return Group(route, 1, routines=[place], size=size)


def spend(tokens: Tokens, requests: int) -> None:
    """Have so many look-ups under way since long ago."""
    for _ in range(requests):
        tokens.take(LOOKUP, 1.0)


@pytest.mark.parametrize(
    ("own", "ids", "left"),
    [
        (None, 33, 5),  # as many requests as the ids need
        (Quota(2, 0.5), 33, 4),  # but no more than their own quota lets through meanwhile
        (Quota(2, 1.0), 33, 2),
        (Quota(2, 1.0), 8, 1),
    ],
)
def test_a_look_up_leaves_the_tokens_that_waiting_cancels_can_use(
    own: Quota | None, ids: int, left: int
) -> None:
    quotas = {"account": TEN} | ({"cancel_batch": own} if own else {})
    look, cancels = group_of(LOOKUP), group_of(BATCH, ids)
    for free, ready_at in ((left + 1, 5.0), (left, NEVER)):
        tokens = tokens_of(**quotas)
        spend(tokens, TEN.limit - free)

        assert tokens.ready_at(look, [look, cancels], 5.0) == ready_at


def test_a_kills_look_up_leaves_tokens_to_kills_only() -> None:
    look, routine = group_of(LOOKUP, kill=True), group_of(BATCH, 8)
    tokens = tokens_of(account=TEN)
    spend(tokens, 9)

    assert tokens.ready_at(look, [look, routine], 5.0) == 5.0
    assert tokens.ready_at(look, [look, group_of(BATCH, kill=True)], 5.0) == NEVER


def test_a_look_up_leaves_nothing_to_cancels_that_draw_from_another_quota() -> None:
    look, cancels = group_of(LOOKUP), group_of(BATCH, 80)
    tokens = tokens_of(lookup=Quota(1, 1.0), cancel_batch=TEN)

    assert tokens.ready_at(look, [look, cancels], 5.0) == 5.0


@pytest.mark.parametrize(("size", "ready_at"), [(FULL, 5.3), (FULL - 1, 5.3 + GAP_S)])
def test_only_full_requests_make_up_for_a_late_one(size: int, ready_at: float) -> None:
    tokens = tokens_of(cancel_batch=TEN)
    tokens.take(BATCH, 5.3, since=5.0)
    waiting = group_of(BATCH, size)

    assert tokens.ready_at(waiting, [waiting], 5.3) == pytest.approx(ready_at)


def test_cancels_keep_no_distance_from_look_ups() -> None:
    tokens = tokens_of(account=TEN)
    tokens.take(LOOKUP, 5.0)
    look, cancel = group_of(LOOKUP), group_of(BATCH)

    assert tokens.ready_at(cancel, [cancel], 5.0) == 5.0
    assert tokens.ready_at(look, [look], 5.0) == pytest.approx(5.0 + GAP_S)


@pytest.mark.parametrize(("size", "ready_at"), [(FULL, 5.3), (1, 5.3 + GAP_S)])
def test_a_request_by_a_route_of_its_own_counts_where_it_was_planned(
    size: int, ready_at: float
) -> None:
    tokens = tokens_of(cancel_batch=TEN, cancel_one=Quota(1, 1.0))
    tokens.take(ONE, 5.3, since=5.0, planned=BATCH)
    waiting = group_of(BATCH, size)

    assert tokens.ready_at(waiting, [waiting], 5.3) == pytest.approx(ready_at)
    assert not tokens.one_may_leave(ONE, 5.3, urgent=True)


def test_one_kill_leaves_while_a_token_is_free_and_routine_at_its_pace() -> None:
    tokens = tokens_of(cancel_one=TEN)
    tokens.take(ONE, 5.0)

    assert tokens.one_may_leave(ONE, 5.0, urgent=True)
    assert not tokens.one_may_leave(ONE, 5.0, urgent=False)


def test_a_route_without_a_quota_waits_for_nothing() -> None:
    tokens, look = tokens_of(), group_of(LOOKUP)

    assert tokens.ready_at(look, [look], 5.0) == 5.0
    assert tokens.one_may_leave(BATCH, 5.0, urgent=False)
    assert tokens.keeps_pace(BATCH, 5.0)
    assert not tokens.slow(LOOKUP)
    for at in tokens.latest_at(BATCH), tokens.plenty_at(LOOKUP, 5.0):
        assert at == -NEVER
