"""From bytes to a job, or to a reason: what producers may send and what they may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from venues import all_venues
from venues.credential import Credential
from venues.words import IdKind, OrdType, Priority, Scope
from worker.contract.job import Envelope, InvalidJob, read_json, scope_json
from worker.contract.outcome import rfc_3339
from worker.jobs.parse import ParsedJob, read_job
from worker.settings import Account

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
VENUE = all_venues()["coinw"]
ACCOUNTS = {
    "desk-1": Account(
        name="desk-1",
        venue=VENUE,
        credential=Credential(api_key="k", api_secret="s"),
        base_url=VENUE.base_url,
    )
}
ENVELOPE = Envelope(priority="kill", account="desk-1", message_id="m-1")


def job(**fields: Any) -> dict[str, Any]:
    return {"job_id": "j", "account": "desk-1", "orders": ["33308750270880236"]} | fields


def read(value: Any, envelope: Envelope = ENVELOPE) -> ParsedJob:
    return read_job(value, envelope, ACCOUNTS, NOW)


def reason(value: Any, envelope: Envelope = ENVELOPE) -> str:
    with pytest.raises(InvalidJob) as caught:
        read(value, envelope)
    return caught.value.reason


def test_the_smallest_job_gets_its_defaults() -> None:
    taken = read({"account": "desk-1", "orders": [33308750270880236]}).job

    assert taken.job_id == "m-1"
    assert taken.priority is Priority.KILL
    assert taken.deadline == NOW + timedelta(minutes=5)
    assert [(r.id, r.kind, r.ord_type) for r in taken.refs] == [
        ("33308750270880236", IdKind.VENUE, OrdType.ANY)
    ]


def test_a_number_beyond_2_53_keeps_its_digits() -> None:
    value = read_json(b'{"account": "desk-1", "orders": [33308750270880237]}')

    assert read(value).job.refs[0].id == "33308750270880237"


def test_an_id_that_stands_twice_counts_once() -> None:
    orders = ["1", 1, {"id": "1", "ord_type": "limit"}]

    assert [ref.id for ref in read(job(orders=orders)).job.refs] == ["1"]


def test_the_first_mention_of_an_id_counts() -> None:
    orders = [{"id": "2", "ord_type": "limit"}, "1", {"id": 2, "ord_type": "market"}]
    taken = read(job(orders=orders))

    assert [(r.id, r.ord_type) for r in taken.job.refs] == [
        ("2", OrdType.LIMIT),
        ("1", OrdType.ANY),
    ]


def test_an_order_without_a_symbol_has_that_of_the_job() -> None:
    orders = ["1", {"id": "2"}, {"id": "3", "symbol": ""}, {"id": "4", "symbol": "ETH"}]
    taken = read(job(orders=orders, symbol="BTC"))

    assert [ref.symbol for ref in taken.job.refs] == ["BTC", "BTC", "BTC", "ETH"]


@pytest.mark.parametrize(
    "orders",
    [
        ["1", {"id": "1", "symbol": "ETH"}],
        [{"id": "1", "symbol": "ETH"}, {"id": 1, "symbol": "BTC"}],
        [{"id": "1", "kind": "venue_order_id"}, "1"],
    ],
)
def test_an_id_with_two_meanings_is_refused_alone(orders: list[Any]) -> None:
    taken = read(job(orders=[*orders, "2"]))

    assert [ref.id for ref in taken.job.refs] == ["2"]
    assert [(o.id, o.reason) for o in taken.refused] == [("1", "contradictory_orders")]


def test_one_bad_id_is_refused_alone() -> None:
    taken = read(job(orders=["1", "risk-42", {"id": "2", "ord_type": "stop"}]))

    assert [ref.id for ref in taken.job.refs] == ["1"]
    assert {o.id: o.reason for o in taken.refused} == {
        "risk-42": "unsupported_kind",
        "2": "unknown_ord_type",
    }


@pytest.mark.parametrize(
    ("element", "said"),
    [
        (None, "orders[1] is null, or missing"),
        ("", "orders[1] is empty"),
        (3.3308750270880236e16, "orders[1] is 3.3308750270880236e+16; send ids as strings"),
        (True, "orders[1] is true, no id"),
        ([], "orders[1] is a list, no id"),
        ("9" * 101, f"orders[1] has 101 characters, an id at most 100: '{'9' * 60}…'"),
        (10**100, f"orders[1] has 101 characters, an id at most 100: '1{'0' * 59}…'"),
        ("\ud800", "orders[1] holds half a character: '\\ud800'"),
        ({}, "orders[1].id is null, or missing"),
        ({"id": None, "symbol": "BTC"}, "orders[1].id is null, or missing"),
        ({"id": {}}, "orders[1].id is an object, no id"),
        ({"id": "", "kind": 5}, "orders[1].id is empty"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_element_that_names_no_order_is_refused_by_its_place(
    element: Any, said: str
) -> None:
    taken = read(job(orders=["1", element, "2"]))

    assert [ref.id for ref in taken.job.refs] == ["1", "2"]
    (refused,) = taken.refused
    assert (refused.id, refused.status, refused.reason) == ("orders[1]", "rejected", "bad_id")
    assert refused.text == said


@pytest.mark.parametrize(
    ("word", "expected"),
    [("kind", "unknown_kind"), ("ord_type", "unknown_ord_type"), ("symbol", "bad_symbol")],
)
@pytest.mark.parametrize("value", [5, "x" * 257, []], ids=["number", "long", "list"])
def test_an_order_whose_words_are_none_is_refused_by_its_id(
    word: str, expected: str, value: Any
) -> None:
    taken = read(job(orders=["1", {"id": 2, word: value}]))

    assert [ref.id for ref in taken.job.refs] == ["1"]
    assert [(o.id, o.reason) for o in taken.refused] == [("2", expected)]
    assert taken.refused[0].text == f"{word} of orders[1] is no text of at most 256 characters"


def test_a_job_of_nothing_but_bad_elements_has_an_outcome_for_each() -> None:
    taken = read(job(orders=[None, "", None]))

    assert taken.job.refs == ()
    assert [o.id for o in taken.refused] == ["orders[0]", "orders[1]", "orders[2]"]


OPTIONAL = ("job_id", "venue", "symbol", "deadline", "reason", "requested_by", "tags", "more")


def test_null_is_left_out_everywhere() -> None:
    order = dict.fromkeys(("kind", "ord_type", "symbol"))
    nulls = dict.fromkeys(OPTIONAL) | {"orders": [{"id": "1", **order}], "account": "desk-1"}

    assert read(nulls).job == read({"account": "desk-1", "orders": ["1"]}).job
    assert read(job(tags={"a": None, "b": "c"})).job.tags == {"b": "c"}


def test_unknown_fields_are_kept_out_and_named() -> None:
    orders = ["1", {"id": "1", "price": 5}, {"id": "2", "side": "buy", "price": 6}]

    assert read(job(colour="red", orders=orders)).job.unknown_fields == (
        "colour",
        "orders.price",
        "orders.side",
    )


@pytest.mark.parametrize(
    "word",
    [
        "2026-11-21T09:30:00Z",
        "2026-11-21t09:30:00z",
        "2026-11-21 09:30:00.000000000+00:00",
        "2026-11-21T09:30Z",
        "2026-11-21T09:30:00+0000",
        "2026-11-21T09:30:00+00",
        "2026-11-21T11:30+02",
        "2026-11-21T09:30:00,000Z",
        "20261121T093000Z",
        "20261121T1030+0100",
        "2026-11-21T09:29:60Z",
        "2026-11-21T09:30Z[UTC]",
        "2026-11-21T10:30+01:00[Europe/Paris]",
    ],
)
def test_a_deadline_is_any_iso_8601_time_with_a_zone(word: str) -> None:
    assert read(job(deadline=word)).job.deadline == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.9999999-08:00", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_deadline_beyond_the_years_of_utc_can_be_told(word: str, meant: str) -> None:
    assert rfc_3339(read(job(deadline=word)).job.deadline) == meant


def test_trace_headers_are_carried_and_nonsense_is_dropped() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    good = Envelope(priority="kill", account="", headers={"traceparent": parent})
    bad = Envelope(priority="kill", account="", headers={"traceparent": "x\r\ny: 1"})

    assert read(job(), good).job.trace == {"traceparent": parent}
    assert read(job(), bad).job.trace == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "not_an_object"),
        ("text", "not_an_object"),
        ({"orders": ["1"]}, "no_account"),
        (job(account="nobody"), "unknown_account"),
        (job(account=7), "bad_account"),
        (job(account="a b"), "bad_account"),
        ({"account": "desk-1"}, "no_orders"),
        (job(orders=[]), "no_orders"),
        (job(orders="1"), "bad_orders"),
        (job(orders={"0": "1"}), "bad_orders"),
        (job(orders=None), "no_orders"),
        (job(account=None), "no_account"),
        (job(orders=["1"] * 10_001), "too_many_orders"),
        (job(job_id=""), "bad_job_id"),
        (job(job_id="x" * 129), "bad_job_id"),
        (job(job_id="\ud800"), "bad_job_id"),
        (job(venue="ztdx"), "wrong_venue"),
        (job(deadline="tomorrow"), "bad_deadline"),
        (job(deadline=1_800_000_000), "bad_deadline"),
        (job(deadline=""), "bad_deadline"),
        (job(deadline="2026-11-21T09:30:00"), "bad_deadline"),
        (job(deadline="2026-11-21"), "bad_deadline"),
        (job(deadline="2026-13-21T09:30:00Z"), "bad_deadline"),
        (job(deadline="2026-11-21T09:30:00+99:00"), "bad_deadline"),
        (job(deadline="٢٠٢٦-11-21T09:30:00Z"), "bad_deadline"),
        (job(deadline="2026-11-21T09:30:00 PST"), "bad_deadline"),
        (job(tags={str(n): "x" for n in range(17)}), "bad_tags"),
        (job(tags={"a": 1}), "bad_tags"),
        (job(reason="x" * 257), "bad_reason"),
    ],
)
def test_what_is_no_job_says_why(value: Any, expected: str) -> None:
    assert reason(value) == expected


def test_a_routing_key_must_fit_the_body() -> None:
    assert reason(job(), Envelope(priority="kill", account="desk-2")) == "wrong_routing_key"
    assert reason(job(), Envelope(priority="soon", account="desk-1")) == "wrong_routing_key"


def test_a_reason_keeps_the_job_id_that_could_be_read() -> None:
    with pytest.raises(InvalidJob) as caught:
        read({"job_id": "mine", "account": "desk-1", "orders": []})

    assert caught.value.job_id == "mine"


@pytest.mark.parametrize(
    ("given", "rounded"),
    [
        (33308750270880236, True),  # what the nearest double is
        (33308750270880240, True),
        (33308750270880237, False),  # no double is that, so none was made of it
        (9007199254740992, False),  # every integer up to here is a double
        (1234567890123456800, True),  # the fewest digits, 1.2345678901234568e18, written out
        ("33308750270880236", False),
    ],
)
def test_a_number_that_doubles_may_have_rounded_is_marked(
    given: int | str, rounded: bool
) -> None:
    (ref,) = read(job(orders=[{"id": given}])).job.refs

    assert (ref.id, ref.maybe_rounded) == (str(given), rounded)


def test_an_id_that_also_came_as_a_string_is_not_marked() -> None:
    (ref,) = read(job(orders=[33308750270880236, "33308750270880236"])).job.refs

    assert not ref.maybe_rounded


def test_kind_and_type_may_stand_on_the_job_and_an_order_says_its_own() -> None:
    orders = ["1", {"id": "2", "ord_type": "any"}, {"id": "3", "kind": "client_order_id"}]
    taken = read(job(kind="venue_order_id", ord_type="limit", orders=orders))

    assert [str(ref.ord_type) for ref in taken.job.refs] == ["limit", "any"]
    assert [outcome.reason for outcome in taken.refused] == ["unsupported_kind"]
    assert taken.job.unknown_fields == ()


# -- scopes ------------------------------------------------------------------------------


def scoped(scope: Any, **fields: Any) -> dict[str, Any]:
    return {"job_id": "j", "account": "desk-1", "scope": scope, **fields}


def test_a_scope_takes_the_place_of_ids() -> None:
    taken = read(scoped({"symbols": ["BTC"], "ord_types": ["limit"], "except": ["7", 8]})).job

    assert taken.refs == ()
    assert taken.scope == Scope(
        symbols=frozenset({"BTC"}),
        ord_types=frozenset({OrdType.LIMIT}),
        excepted=frozenset({"7", "8"}),
        hold_s=5.0,
    )
    assert taken.deadline == NOW + timedelta(minutes=5, seconds=5)


def test_a_routine_job_holds_only_where_it_says_so() -> None:
    routine = Envelope(priority="routine", account="desk-1")

    assert held_s(read(scoped("all"), routine)) == 0.0
    assert held_s(read(scoped("all", hold_s=90), routine)) == 90.0
    assert held_s(read(scoped("all"))) == 5.0


def held_s(parsed: ParsedJob) -> float | None:
    return parsed.job.scope.hold_s if parsed.job.scope else None


def test_a_scope_goes_with_a_retry_as_it_came() -> None:
    said = {"symbols": ["BTC"], "ord_types": ["limit"], "except": ["7"]}
    taken = read(scoped(said)).job.scope
    every = read(scoped("all")).job.scope

    assert taken and scope_json(taken) == said
    assert every and scope_json(every) == "all"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (scoped({"side": "buy"}), "unsupported_scope"),  # rows at CoinW do not tell
        (scoped({"client_order_id_prefix": "mm-"}), "unsupported_scope"),
        (scoped({"ord_types": ["trigger"]}), "unsupported_scope"),  # of a symbol only
        (scoped({"except": ["no id"]}), "bad_scope"),
        (scoped({"symbols": ["B T C"]}), "bad_scope"),
        (scoped("all", symbol="BTC"), "bad_scope"),
        (scoped("all", kind="venue_order_id"), "bad_scope"),
        (scoped("all", ord_type="limit"), "bad_scope"),
        (scoped("all", hold_s="5"), "bad_hold_s"),
    ],
)
def test_a_scope_that_cannot_be_served_is_refused(value: Any, expected: str) -> None:
    assert reason(value) == expected
