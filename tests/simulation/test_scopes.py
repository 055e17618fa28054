"""`empty` is never false, for many seeds; and a spoiled proof is noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.simulation import scopes
from tests.simulation.laws import LawBroken
from worker.lane import scopes as lane_scopes
from worker.lane.cancel_alls import CancelAlls
from worker.orders.scope import CancelAll, ScopeSearch, search_of

#: Seeds of an ordinary run; `python -m tests.simulation.scopes --seeds 10000` plays more.
SEEDS = 400
#: A spoiled proof is noticed within so many seeds.
SEEDS_TO_NOTICE = 400


def test_the_laws_of_scopes_hold() -> None:
    ends = [scopes.play(seed).end for seed in range(SEEDS)]

    proven = [end for end in ends if end and end.proofs and not (end.resting or end.unread)]
    assert len(proven) > 0.9 * SEEDS


def _at_once(search: ScopeSearch) -> ScopeSearch:
    return replace(search, stays_s=0.0)


def _of_no_birth(search: ScopeSearch) -> ScopeSearch:
    return replace(search, proves_from=search.came_at)


@pytest.mark.parametrize("spoil", [_at_once, _of_no_birth])
def test_a_proof_that_is_too_short_is_noticed(
    spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_scopes, "search_of", lambda *given: spoil(search_of(*given)))

    with pytest.raises(LawBroken):
        for seed in range(SEEDS_TO_NOTICE):
            scopes.play(seed)


def test_a_cancel_all_that_reaches_more_than_the_scope_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_all = (CancelAll(scopes.CANCEL_ALLS[0]),)
    monkeypatch.setattr(lane_scopes, "cancel_alls_of", lambda *_: of_all)

    with pytest.raises(LawBroken, match="cancel-all"):
        for seed in range(SEEDS_TO_NOTICE):
            scopes.play(seed)


def test_orders_that_a_cancel_all_took_and_nobody_tells_of_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CancelAlls, "take", lambda _: [])

    with pytest.raises(LawBroken, match="nothing is told"):
        for seed in range(SEEDS_TO_NOTICE):
            scopes.play(seed)
