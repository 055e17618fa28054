"""What is known of orders is shared by all that differ in their id only."""

from __future__ import annotations

from typing import Any

import pytest

from venues.words import Became, IdKind, OrderRef, OrdStatus, OrdType
from worker.orders.progress import (
    Cohort,
    Fired,
    OrderProgress,
    OtherForm,
    Phase,
    Search,
    came,
    cohorts,
    is_untouched,
    new_cohorts,
    new_progress,
)

REF = OrderRef("1", IdKind.VENUE, "AAA", OrdType.LIMIT)
OTHER = REF._replace(id="2")
#: Another value for each of some fields.
OTHERWISE = {
    "symbol": "BBB",
    "ord_type": OrdType.MARKET,
    "type_known": True,
    "phase": Phase.CONFIRM,
    "attempts": 1,
    "sent": True,
    "seen_open": True,
    "search": Search(("open",), 2),
    "why": "timeout",
}


def progress_of(found: list[Cohort]) -> list[tuple[OrderRef, OrderProgress]]:
    return [(ref, cohort.progress) for cohort in found for ref in cohort.refs()]


@pytest.mark.parametrize(
    "ref",
    [
        OTHER._replace(kind=IdKind.CLIENT),
        OTHER._replace(symbol="BBB"),
        OTHER._replace(ord_type=OrdType.MARKET),
    ],
)
def test_orders_that_a_job_states_in_other_words_are_apart(ref: OrderRef) -> None:
    known = new_progress(REF)._replace(kind=ref.kind)

    assert [cohort.ids for cohort in cohorts([(REF, new_progress(REF)), (ref, known)])] == [
        ("1",),
        ("2",),
    ]
    assert [cohort.refs() for cohort in new_cohorts([REF, ref])] == [[REF], [ref]]


@pytest.mark.parametrize("field", OTHERWISE)
def test_orders_of_which_not_the_same_is_known_are_apart(field: str) -> None:
    known = new_progress(OTHER)._replace(**{field: OTHERWISE[field]})  # type: ignore[arg-type]

    assert len(cohorts([(REF, new_progress(REF)), (OTHER, known)])) == 2


@pytest.mark.parametrize("look_first", [True, False])
@pytest.mark.parametrize("sent", [True, False])
def test_new_orders_keep_their_order_and_start_as_each_alone_would(
    look_first: bool, sent: bool
) -> None:
    refs = [REF, OTHER, OTHER._replace(symbol="BBB"), REF._replace(id="3")]
    alone = [(ref, new_progress(ref, look_first=look_first, sent=sent)) for ref in refs]

    found = new_cohorts(refs, look_first=look_first, sent=sent)

    assert [cohort.ids for cohort in found] == [("1", "2"), ("2",), ("3",)]
    assert progress_of(found) == alone
    assert found == cohorts(alone)


def test_a_reference_is_completed_by_what_was_learned() -> None:
    learned = new_progress(REF)._replace(symbol="BBB", ord_type=OrdType.MARKET)

    assert new_progress(REF).known(REF) is REF
    assert learned.known(OTHER) == OrderRef("2", IdKind.VENUE, "BBB", OrdType.MARKET)


def test_an_order_is_untouched_until_it_is_asked_for_or_shown_in_either_form() -> None:
    new = new_progress(OrderRef("7", IdKind.VENUE, or_kind=IdKind.CLIENT))
    assert new.other_form is not None

    asked: list[dict[str, Any]] = [
        {"attempts": 1},
        {"search": new.search.after("open_orders")},
        {"missing_since": 5.0},
        {"seen_open": True},
        {"ord_status": OrdStatus.NEW},
        {"misses": 1},
        {"fired": Fired(Became("8"), IdKind.VENUE, OrdType.TRIGGER, may_be_reused=False)},
    ]
    touched = [new._replace(**each) for each in asked]
    touched += [new._replace(other_form=OtherForm(each)) for each in touched]
    touched.append(new._replace(other_form=new.other_form._replace(word=("failed",))))

    assert is_untouched(new)
    assert is_untouched(came(new, 5.0))
    assert [is_untouched(each) for each in touched] == [False] * len(touched)
