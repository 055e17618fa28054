"""A retry carries the same keys whatever the code calls them, and is read by them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from venues.words import Became, CancelStatus, Evidence, IdKind, OrderRef, OrdStatus, OrdType
from worker.contract.outcome import rfc_3339
from worker.jobs.progress_json import (
    Progress,
    carried,
    read_progress,
    track_of,
    write_progress,
)
from worker.orders.follow import FinalWord
from worker.orders.progress import (
    Fired,
    OrderProgress,
    OtherForm,
    Over,
    Phase,
    Search,
    gone_on,
    new_progress,
)
from worker.orders.retry import Returned

REF = OrderRef("1", IdKind.VENUE, "AAA", OrdType.LIMIT)
NEW = {
    "ref": {"id": "1", "kind": "venue_order_id", "symbol": "AAA", "ord_type": "limit"},
    "symbol": "AAA",
    "ord_type": "limit",
    "type_known": False,
    "purpose": "cancel",
    "looking": False,
    "attempts": 0,
    "tried": 0,
    "sent": False,
    "sent_as": "any",
    "settled_at": 0.0,
    "seen_open": False,
    "still_open": False,
    "early": False,
    "absent": [],
    "page": 1,
    "doubts": 0,
    "misses": 0,
    "ord_status": None,
    "why": "",
    "venue_code": "",
    "text": "",
}
LATER = NEW | {
    "symbol": "BBB",
    "type_known": True,
    "purpose": "lookup",
    "attempts": 2,
    "tried": 1,
    "sent": True,
    "sent_as": "limit",
    "seen_open": True,
    "still_open": True,
    "early": True,
    "absent": ["open_limit"],
    "page": 3,
    "doubts": 4,
    "misses": 5,
    "ord_status": "PARTIALLY_FILLED",
    "why": "timeout",
    "venue_code": "-1",
    "text": "words",
}
PROGRESS = {
    "accepted_at": "2026-05-04T03:02:01Z",
    "deadline": "2026-05-04T03:12:01Z",
    "attempt": 2,
    "counts": {"canceled": 1},
    "tracks": [NEW, LATER],
}


def test_what_is_written_has_the_keys_of_the_version_before() -> None:
    known = new_progress(REF)
    later = known._replace(
        symbol="BBB",
        type_known=True,
        phase=Phase.HASTY,
        attempts=2,
        tried=1,
        sent=True,
        sent_as=OrdType.LIMIT,
        settled_at=77.0,  # by the clock of this process alone
        seen_open=True,
        still_open=True,
        search=Search(("open_limit",), 3, 4),
        misses=5,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        why="timeout",
        venue_code="-1",
        text="words",
    )
    progress = Progress(
        accepted_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        deadline=datetime(2026, 5, 4, 3, 12, 1, tzinfo=UTC),
        attempt=2,
        counts={"canceled": 1},
        tracks=(track_of(REF, known), track_of(REF, later)),
    )

    written = json.loads(json.dumps(write_progress(progress)))

    assert written == PROGRESS
    assert list(written["tracks"][0]) == list(NEW)


def test_what_was_written_is_read() -> None:
    read = read_progress(PROGRESS)

    assert read is not None
    assert json.loads(json.dumps(write_progress(read))) == PROGRESS
    assert [track.ref for track in read.tracks] == [REF, REF]
    assert read.tracks[0].progress == new_progress(REF)
    assert read.tracks[1].progress.search == Search(("open_limit",), 3, 4)
    assert read_progress(None) is None


@pytest.mark.parametrize(
    ("purpose", "looking", "early", "phase"),
    [
        ("cancel", False, False, Phase.CANCEL),
        ("lookup", True, True, Phase.PRECHECK),
        ("lookup", False, True, Phase.HASTY),
        ("lookup", False, False, Phase.CONFIRM),
    ],
)
def test_a_phase_is_written_as_three_keys(
    purpose: str, looking: bool, early: bool, phase: Phase
) -> None:
    keys = {"purpose": purpose, "looking": looking, "early": early}
    read = read_progress(PROGRESS | {"tracks": [NEW | keys]})

    assert read is not None
    assert read.tracks[0].progress.phase is phase
    assert json.loads(json.dumps(write_progress(read)))["tracks"] == [NEW | keys]


def test_what_an_older_worker_left_of_a_search_is_dropped_while_a_cancel_is_next() -> None:
    left = {"early": True, "absent": ["open_limit"], "page": 3, "doubts": 4}
    read = read_progress(PROGRESS | {"tracks": [NEW | left]})

    assert read is not None
    assert read.tracks[0].progress == new_progress(REF)


@pytest.mark.parametrize(
    "made_up",
    [
        {"tracks": [NEW | {"page": "first"}]},
        {"deadline": "2026-05-04T03:12:01"},  # no zone: it can be compared with no time of ours
        {"accepted_at": 1},
        {"counts": {"event": 1}},
        {"attempt": 0},
    ],
)
def test_what_nobody_wrote_is_not_read(made_up: Any) -> None:
    with pytest.raises(ValidationError):
        read_progress(PROGRESS | made_up)


def test_a_time_that_is_read_can_be_told() -> None:
    read = read_progress(PROGRESS | {"accepted_at": "0001-01-01T00:00:00+01:00"})

    assert read is not None
    assert rfc_3339(read.accepted_at) == "0001-01-01T00:00:00.000Z"


EITHER = OrderRef("1", IdKind.VENUE, "AAA", or_kind=IdKind.CLIENT, maybe_rounded=True)
DOUBTFUL = new_progress(EITHER)._replace(sent=True, cancel_in_doubt=True)
ASKED = DOUBTFUL._replace(phase=Phase.CONFIRM, attempts=1)
NOT_FOUND = FinalWord(ASKED, CancelStatus.NOT_FOUND, "unknown_order", Evidence.LOOKUP)


@pytest.mark.parametrize(
    "known",
    [
        new_progress(EITHER),
        ASKED,
        ASKED._replace(
            kind=IdKind.CLIENT, other_form=OtherForm(ASKED._replace(other_form=None))
        ),
        ASKED._replace(
            other_form=OtherForm(
                DOUBTFUL._replace(other_form=None, kind=REF.kind), NOT_FOUND[1:]
            )
        ),
    ],
)
def test_an_id_of_two_forms_goes_on_in_both(known: OrderProgress) -> None:
    progress = Progress(
        accepted_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        deadline=datetime(2026, 5, 4, 3, 12, 1, tzinfo=UTC),
        **carried([Returned(REF, known, 0.0, "timeout")]),
    )
    written = json.loads(json.dumps(write_progress(progress)))
    read = read_progress(written)

    assert read is not None
    ((ref, again),) = read.orders().values()
    assert (ref.id, ref.kind) == ("1", known.kind)
    assert again == known


def test_a_cancel_that_was_sent_is_in_doubt_for_the_next_worker() -> None:
    """What its reply said is not written; at worst the record is read once more."""
    taken = new_progress(REF)._replace(sent=True, cancel_in_doubt=False)

    assert track_of(REF, taken).progress.cancel_in_doubt
    assert not track_of(REF, new_progress(REF)).progress.cancel_in_doubt


def test_the_version_before_reads_what_is_written_of_an_id_of_two_forms() -> None:
    known = ASKED._replace(kind=IdKind.CLIENT)
    fields = carried([Returned(REF, known, 0.0, "timeout")])
    written = write_progress(
        Progress(
            accepted_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
            deadline=datetime(2026, 5, 4, 3, 12, 1, tzinfo=UTC),
            **fields,
        )
    )

    assert list(written["tracks"][0]) == list(NEW)
    assert list(written["tracks"][0]["ref"]) == ["id", "kind", "symbol", "ord_type"]
    assert written.keys() - PROGRESS.keys() == {"other_forms", "maybe_rounded"}


def test_lists_that_demand_a_symbol_are_known_to_the_next_worker() -> None:
    """One order's knowledge of the venue counts for all; it is not written for each."""
    lists, other = frozenset({"/orders", "/record"}), REF._replace(id="2")
    left = [
        Returned(REF, new_progress(REF)._replace(by_symbol=lists), 0.0, "timeout"),
        Returned(other, new_progress(other), 0.0, "timeout"),
    ]
    progress = Progress(
        accepted_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        deadline=datetime(2026, 5, 4, 3, 12, 1, tzinfo=UTC),
        **carried(left),
    )
    written = json.loads(json.dumps(write_progress(progress)))
    read = read_progress(written)

    assert read is not None
    assert [known.by_symbol for _, known in read.orders().values()] == [lists, lists]
    assert list(written["tracks"][0]) == list(NEW)  # as the version before reads it


def test_an_order_that_fired_is_written_as_it_was_asked_for_with_what_it_became() -> None:
    """The version before asks for the first order again, and can say no false word of it."""
    ref = OrderRef("my-stop", IdKind.CLIENT, "AAA", OrdType.TRIGGER)
    known = new_progress(ref)._replace(attempts=1, sent=True, symbol="AAA", text="placed 77")
    fired = gone_on(known, Became("77"), may_be_reused=False)
    now = fired._replace(phase=Phase.HASTY, attempts=2, seen_open=True, still_open=True)

    raw = json.loads(json.dumps(write_progress(resting(ref, now))))

    assert raw["tracks"][0] == NEW | {
        "ref": {"id": "my-stop", "kind": "client_order_id", "symbol": "AAA",
                "ord_type": "trigger"},
        "ord_type": "trigger", "attempts": 2, "sent": True, "still_open": True,
        "text": "placed 77",
    }  # fmt: skip
    progress = read_progress(raw)
    assert progress is not None
    back, again = progress.orders()["my-stop"]
    assert back == ref
    assert again.known(ref) == OrderRef("77", IdKind.VENUE, "AAA", OrdType.LIMIT)
    assert (again.phase, again.attempts, again.still_open) == (Phase.CANCEL, 2, True)
    # Nobody knows any more when its row was read: it may name a newer order by now.
    assert again.fired == Fired(Became("77"), IdKind.CLIENT, OrdType.TRIGGER, True)


@pytest.mark.parametrize("fired_is_first", [True, False])
def test_of_an_id_of_two_kinds_each_form_keeps_what_it_became(fired_is_first: bool) -> None:
    ref = OrderRef("1000", IdKind.VENUE, "AAA", or_kind=IdKind.CLIENT)
    either = new_progress(ref)
    assert either.other_form
    fired = gone_on(
        either._replace(other_form=None, sent=True), Became("77"), may_be_reused=False
    )
    known = fired._replace(other_form=either.other_form)
    if not fired_is_first:
        known = either.other_form.progress._replace(other_form=OtherForm(fired))

    raw = json.loads(json.dumps(write_progress(resting(ref, known))))
    progress = read_progress(raw)

    assert progress is not None
    _, again = progress.orders()["1000"]
    assert again.other_form
    forms = [again, again.other_form.progress]
    assert [form.known(ref).id for form in forms] == (
        ["77", "1000"] if fired_is_first else ["1000", "77"]
    )


def resting(ref: OrderRef, known: OrderProgress) -> Progress:
    """Return what a job takes along of which one order is left."""
    return Progress(
        accepted_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        deadline=datetime(2026, 5, 4, 3, 12, 1, tzinfo=UTC),
        **carried([Returned(ref, known, 0.0, "stopping")]),
    )


def test_what_an_order_came_to_before_its_other_door_was_asked_is_known_to_the_next() -> None:
    over = Over(CancelStatus.FILLED, "too_late", Evidence.LOOKUP, "10", OrdType.LIMIT)
    known = new_progress(REF)._replace(over=over)
    both = known._replace(other_form=OtherForm(known._replace(kind=IdKind.CLIENT)))
    read = read_progress(json.loads(json.dumps(write_progress(resting(REF, both)))))

    assert read is not None
    ((_, again),) = read.orders().values()
    assert again.other_form is not None
    assert (again.over, again.other_form.progress.over) == (over, over)
