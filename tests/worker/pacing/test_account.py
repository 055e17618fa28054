"""A route's quotas together: what look-ups leave to cancels, and who keeps which distance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.toys import Plain
from venues.base import Cost, Quota, Route
from venues.words import Purpose
from worker.pacing.account import Tokens
from worker.pacing.pace import NEVER, Pace

ROUTES: dict[str, Route] = {route.name: route for route in Plain().routes}
BATCH, ONE, LOOKUP = (ROUTES[name] for name in ("cancel_batch", "cancel_one", "lookup"))
TEN = Quota(10, 1.0)
GAP_S = 0.1


def tokens_of(**quotas: Quota) -> Tokens:
    return Tokens({name: Pace(quota) for name, quota in quotas.items()})


def spend(tokens: Tokens, requests: int) -> None:
    """Have so many look-ups under way since long ago."""
    for _ in range(requests):
        tokens.take(LOOKUP, 1.0)


@pytest.mark.parametrize(
    ("own", "requests", "left"),
    [
        (None, 5, 5),
        (Quota(2, 0.5), 5, 4),  # no more than their own quota lets through meanwhile
        (Quota(2, 1.0), 5, 2),
        (Quota(2, 1.0), 1, 1),
    ],
)
def test_a_look_up_leaves_the_tokens_that_waiting_cancels_can_use(
    own: Quota | None, requests: int, left: int
) -> None:
    quotas = {"account": TEN} | ({"cancel_batch": own} if own else {})
    spare = [(BATCH, requests * BATCH.max_ids)]
    for free, ready_at in ((left + 1, 5.0), (left, NEVER)):
        tokens = tokens_of(**quotas)
        spend(tokens, TEN.limit - free)

        assert tokens.ready_at(LOOKUP, 5.0, urgent=False, spare=spare) == ready_at


def test_a_look_up_leaves_nothing_to_cancels_that_draw_from_another_quota() -> None:
    tokens = tokens_of(lookup=Quota(1, 1.0), cancel_batch=TEN)

    assert tokens.ready_at(LOOKUP, 5.0, urgent=False, spare=[(BATCH, 80)]) == 5.0


@pytest.mark.parametrize(("at", "ready_at"), [(5.65, 5.65), (6.5, 6.5), (6.7, 7.1), (7.2, 7.2)])
def test_where_cancels_use_all_of_a_quota_a_look_up_has_its_token_back_before_they_leave(
    at: float, ready_at: float
) -> None:
    """They wait for another quota of theirs until 7.1; the token comes back after 0.5 s."""
    tokens = tokens_of(account=Quota(6, 0.5), cancel_batch=Quota(6, 2.0))
    for _ in range(6):
        tokens.take(BATCH, 5.0)
        tokens.release(BATCH, 5.1)

    waiting = [(BATCH, 6 * BATCH.max_ids), (ONE, 0)]
    assert tokens.ready_at(LOOKUP, at, urgent=True, spare=waiting) == pytest.approx(ready_at)


@pytest.mark.parametrize(("since", "ready_at"), [(5.0, 5.3), (NEVER, 5.3 + GAP_S)])
def test_only_full_requests_make_up_for_a_late_one(since: float, ready_at: float) -> None:
    tokens = tokens_of(cancel_batch=TEN)
    tokens.take(BATCH, 5.3, since=5.0)

    found = tokens.ready_at(BATCH, 5.3, urgent=False, since=since)
    assert found == pytest.approx(ready_at)


def test_cancels_keep_no_distance_from_look_ups() -> None:
    tokens = tokens_of(account=TEN)
    tokens.take(LOOKUP, 5.0)

    assert tokens.ready_at(BATCH, 5.0, urgent=False) == 5.0
    assert tokens.ready_at(LOOKUP, 5.0, urgent=False) == pytest.approx(5.0 + GAP_S)


@pytest.mark.parametrize(("since", "ready_at"), [(5.0, 5.3), (NEVER, 5.3 + GAP_S)])
def test_a_request_by_a_route_of_its_own_counts_where_it_was_planned(
    since: float, ready_at: float
) -> None:
    tokens = tokens_of(cancel_batch=TEN, cancel_one=Quota(1, 1.0))
    tokens.take(ONE, 5.3, since=5.0, planned=BATCH)

    found = tokens.ready_at(BATCH, 5.3, urgent=False, since=since)
    assert found == pytest.approx(ready_at)
    assert not tokens.one_may_leave(ONE, 5.3, urgent=True)


def test_one_kill_leaves_while_a_token_is_free_and_routine_at_its_pace() -> None:
    tokens = tokens_of(cancel_one=TEN)
    tokens.take(ONE, 5.0)

    assert tokens.one_may_leave(ONE, 5.0, urgent=True)
    assert not tokens.one_may_leave(ONE, 5.0, urgent=False)


def test_a_route_without_a_quota_waits_for_nothing() -> None:
    tokens = tokens_of()

    assert tokens.ready_at(LOOKUP, 5.0, urgent=False) == 5.0
    assert tokens.one_may_leave(BATCH, 5.0, urgent=False)
    assert tokens.keeps_pace(BATCH, 5.0)
    assert not tokens.slow(LOOKUP)
    for at in tokens.catch_up_limit(BATCH), tokens.half_free_at(LOOKUP, 5.0):
        assert at == -NEVER


@pytest.mark.parametrize(
    ("purpose", "ready_at"),
    [(Purpose.TIMER, 5.0), (Purpose.LIST, NEVER), (Purpose.CANCEL, 5.0)],
)
def test_only_look_ups_leave_a_kills_share_to_cancels(
    purpose: Purpose, ready_at: float
) -> None:
    """A timer that is not set fires."""
    tokens = tokens_of(account=Quota(10, 60.0))
    spend(tokens, 8)

    assert tokens.ready_at(replace(LOOKUP, purpose=purpose), 5.0, urgent=True) == ready_at


def priced(**cost: int) -> Route:
    """Return a batch that takes this of its quota in place of one token."""
    return replace(BATCH, costs=(Cost("cancel_batch", **cost),))


@pytest.mark.parametrize(
    ("route", "urgent", "ids", "reached"),
    [
        (BATCH, True, 8, 8),  # a request is a token, whatever it holds
        (priced(per_id=1), True, 8, 4),
        (priced(per_id=2), True, 8, 2),
        (priced(per_id=1), False, 8, 1),  # a tenth of ten, and a kill finds the rest
        (priced(per_request=1, per_id=1), True, 3, 3),
        (priced(per_request=1, per_id=1), False, 3, 3),  # less would cost more an id
    ],
)
def test_a_request_reaches_as_far_as_its_tokens(
    route: Route, urgent: bool, ids: int, reached: int
) -> None:
    tokens = tokens_of(cancel_batch=TEN)
    tokens.take(priced(per_id=1), 4.0, ids=6)

    assert tokens.ready_at(route, 5.0, urgent=urgent, ids=ids) == 5.0
    assert tokens.reach(route, ids, 5.0, urgent=urgent) == reached


def test_all_tokens_of_a_request_come_back_one_window_after_its_response() -> None:
    tokens, route = tokens_of(cancel_batch=TEN), priced(per_request=2, per_id=1)
    tokens.take(route, 5.0, ids=8)
    assert tokens.ready_at(route, 5.0, urgent=True, ids=1) == NEVER

    tokens.release(route, 5.5, ids=8)
    assert tokens.ready_at(route, 6.0, urgent=True, ids=1) == 6.5
    assert tokens.reach(route, 8, 6.5, urgent=True) == 8


def test_the_next_routine_request_keeps_the_distance_of_all_tokens_of_the_one_before() -> None:
    tokens, route = tokens_of(cancel_batch=TEN), priced(per_id=1)
    tokens.take(route, 5.0, ids=3)

    assert tokens.ready_at(route, 5.0, urgent=False) == pytest.approx(5.0 + 3 * GAP_S)
    assert tokens.ready_at(route, 5.0, urgent=True) == 5.0


def test_a_look_up_leaves_the_tokens_that_waiting_ids_cost() -> None:
    tokens, route = tokens_of(account=TEN), replace(BATCH, costs=(Cost("account", per_id=1),))
    spend(tokens, 6)

    assert tokens.ready_at(LOOKUP, 5.0, urgent=False, spare=[(route, 3)]) == 5.0
    assert tokens.ready_at(LOOKUP, 5.0, urgent=False, spare=[(route, 4)]) == NEVER


def test_a_request_that_costs_much_is_slow_where_a_token_is_not() -> None:
    tokens = tokens_of(lookup=TEN)

    assert not tokens.slow(LOOKUP)
    assert tokens.slow(replace(LOOKUP, costs=(Cost("lookup", per_request=3),)))
