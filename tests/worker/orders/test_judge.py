"""The truth table of judging, over a venue made for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from venues.base import (
    Answer,
    Answers,
    Batch,
    HttpReply,
    HttpRequest,
    OpenOrder,
    Quota,
    Route,
    Rule,
    Venue,
    Verdict,
)
from venues.credential import Credential
from venues.words import ALL_TYPES, Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.orders.judge import Judgement, hear, hear_list, judge

CANCEL = Route(name="cancel", purpose=Purpose.CANCEL, method="POST", path="/c", max_ids=9)
BOAST = Route(
    name="boast", purpose=Purpose.CANCEL, method="POST", path="/b", max_ids=9, trusted=False
)
LOOKUP = Route(name="look", purpose=Purpose.LOOKUP, method="GET", path="/l", max_ids=9)
LIST = Route(
    name="list", purpose=Purpose.LOOKUP, method="GET", path="/p", max_ids=9, max_pages=3
)
A, B = (OrderRef(order_id, IdKind.VENUE) for order_id in ("a", "b"))


class Toy(Venue):
    """A venue whose replies are already parsed: the body holds the answers."""

    name = "toy"
    base_url = "https://toy.invalid"
    id_shapes = {IdKind.VENUE: re.compile("[a-z]")}
    routes = (CANCEL, BOAST, LOOKUP, LIST)
    quotas = {"account": Quota(1, 1.0)}
    rules = (
        Rule("ok", Verdict.ACCEPTED),
        Rule("gone", Verdict.STATE, "too_late", "Was Filled", OrdStatus.FILLED),
        Rule("gone", Verdict.UNKNOWN_ORDER, "unknown_order"),
        Rule("bad", Verdict.REFUSED, "bad_request"),
        Rule("busy", Verdict.THROTTLED, "throttled"),
        Rule("no key", Verdict.HALT, "auth"),
        Rule("", Verdict.REFUSED, "plain", "cannot read"),
    )
    states = {
        "open": OrdStatus.NEW,
        "half-open": OrdStatus.PARTIALLY_FILLED,
        "full": OrdStatus.FILLED,
        "dead": OrdStatus.CANCELED,
        "Canceled": OrdStatus.CANCELED,
    }

    def build(self, batch: Batch) -> HttpRequest:
        raise NotImplementedError

    def sign(self, request: HttpRequest, credential: Credential, now_ms: int) -> HttpRequest:
        raise NotImplementedError

    def parse(self, batch: Batch, reply: HttpReply) -> Answers:
        if isinstance(reply.json, type) and issubclass(reply.json, Exception):
            raise reply.json
        answers: Answers = reply.json
        return answers


TOY = Toy()


def reply(body: Any, status: int = 200, **headers: str) -> HttpReply:
    return HttpReply(status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def whole(code: str = "", text: str = "", state: str = "") -> Answers:
    return Answers(overall=Answer(code=code, text=text, state=state))


def named(code: str = "", text: str = "", state: str = "") -> Answers:
    return Answers(by_id={"a": Answer(code=code, text=text, state=state)})


def verdict_of(route: Route, body: Any, status: int = 200, page: int = 1) -> tuple[Any, ...]:
    said = judge(TOY, Batch(route, (A,), page), reply(body, status))[A]
    return (said.verdict, said.ord_status, said.reason)


TABLE = [
    # order state beats code, code beats HTTP status
    (CANCEL, named("bad", state="dead"), 500, (Verdict.STATE, OrdStatus.CANCELED, "")),
    (CANCEL, named("bad", state="open"), 200, (Verdict.STATE, OrdStatus.NEW, "")),
    (CANCEL, named("bad"), 200, (Verdict.REFUSED, None, "bad_request")),
    (CANCEL, named("ok"), 500, (Verdict.ACCEPTED, None, "")),
    (CANCEL, whole("busy"), 200, (Verdict.THROTTLED, None, "throttled")),
    (CANCEL, whole("bad"), 429, (Verdict.REFUSED, None, "bad_request")),
    # the first row that fits wins, text without regard to case
    (
        CANCEL,
        whole("gone", "it WAS FILLED"),
        400,
        (Verdict.STATE, OrdStatus.FILLED, "too_late"),
    ),
    (CANCEL, whole("gone", "who?"), 400, (Verdict.UNKNOWN_ORDER, None, "unknown_order")),
    (CANCEL, whole("", "I cannot read this"), 400, (Verdict.REFUSED, None, "plain")),
    # no row fits: the HTTP status, the last resort
    (CANCEL, whole("odd"), 200, (Verdict.IN_DOUBT, None, "unmapped_code")),
    (CANCEL, whole("odd"), 401, (Verdict.IN_DOUBT, None, "unmapped_code")),
    (CANCEL, whole("no key"), 403, (Verdict.HALT, None, "auth")),
    (CANCEL, whole(), 403, (Verdict.IN_DOUBT, None, "http_403")),
    (CANCEL, whole("odd"), 418, (Verdict.BANNED, None, "banned")),
    (CANCEL, whole("odd"), 429, (Verdict.THROTTLED, None, "throttled")),
    (CANCEL, whole("odd"), 400, (Verdict.IN_DOUBT, None, "unmapped_code")),
    (CANCEL, whole(), 503, (Verdict.IN_DOUBT, None, "http_503")),
    (CANCEL, whole(), 200, (Verdict.IN_DOUBT, None, "unreadable_reply")),
    (CANCEL, whole(), 302, (Verdict.IN_DOUBT, None, "http_302")),
    # an id that the reply does not name
    (CANCEL, Answers(), 200, (Verdict.IN_DOUBT, None, "not_named")),
    (CANCEL, Answers(), 502, (Verdict.IN_DOUBT, None, "http_502")),
    (LOOKUP, Answers(), 200, (Verdict.ABSENT, None, "")),
    (LOOKUP, Answers(), 201, (Verdict.ABSENT, None, "")),
    (LOOKUP, Answers(), 302, (Verdict.IN_DOUBT, None, "http_302")),
    (LOOKUP, Answers(), 500, (Verdict.IN_DOUBT, None, "http_500")),
    (LOOKUP, Answers(), 401, (Verdict.IN_DOUBT, None, "http_401")),
    # a look-up has words of its own
    (LOOKUP, named(state="dead"), 200, (Verdict.STATE, OrdStatus.CANCELED, "")),
    (LOOKUP, whole("gone"), 404, (Verdict.ABSENT, None, "unknown_order")),
    (LOOKUP, whole("ok"), 200, (Verdict.IN_DOUBT, None, "odd_answer")),
    (LOOKUP, whole("bad"), 400, (Verdict.REFUSED, None, "bad_request")),
    # a state that no row knows
    (LOOKUP, named(state="limbo"), 200, (Verdict.IN_DOUBT, None, "unmapped_state")),
    # a known one in any case, and with other dashes
    (LOOKUP, named(state="DEAD"), 200, (Verdict.STATE, OrdStatus.CANCELED, "")),
    (LOOKUP, named(state="Half_Open"), 200, (Verdict.STATE, OrdStatus.PARTIALLY_FILLED, "")),
    (LOOKUP, named(state="cancelled"), 200, (Verdict.STATE, OrdStatus.CANCELED, "")),
    # a route that boasts is believed only in what it shows open
    (BOAST, named(state="dead"), 200, (Verdict.ACCEPTED, None, "")),
    (BOAST, named(state="open"), 200, (Verdict.ACCEPTED, OrdStatus.NEW, "")),
    (BOAST, named("gone", "was filled"), 200, (Verdict.ACCEPTED, None, "too_late")),
    (BOAST, named(state="odd"), 200, (Verdict.IN_DOUBT, None, "unmapped_state")),
    (BOAST, named("bad"), 200, (Verdict.REFUSED, None, "bad_request")),
]


@pytest.mark.parametrize(("route", "body", "status", "expected"), TABLE)
def test_an_answer_is_judged(
    route: Route, body: Answers, status: int, expected: tuple[Any, ...]
) -> None:
    assert expected == verdict_of(route, body, status)


@pytest.mark.parametrize("error", [KeyError, TypeError, ValueError, AttributeError, IndexError])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.IN_DOUBT),
        (302, Verdict.IN_DOUBT),
        (401, Verdict.IN_DOUBT),
        (429, Verdict.THROTTLED),
        (500, Verdict.IN_DOUBT),
    ],
)
def test_what_cannot_be_parsed_goes_by_the_status(
    error: type[Exception], status: int, verdict: Verdict
) -> None:
    judged = judge(TOY, Batch(LOOKUP, (A, B)), reply(error, status))

    assert {A: verdict, B: verdict} == {ref: said.verdict for ref, said in judged.items()}


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        judge(TOY, Batch(CANCEL, (A,)), reply(ZeroDivisionError))


@pytest.mark.parametrize(
    "body", [whole("gone"), whole("gone", "was filled"), whole(state="dead")]
)
@pytest.mark.parametrize("route", [CANCEL, BOAST, LOOKUP])
def test_what_speaks_of_one_order_speaks_for_no_batch(route: Route, body: Answers) -> None:
    judged = judge(TOY, Batch(route, (A, B)), reply(body))

    assert {(Verdict.IN_DOUBT, None, "one_answer_for_many")} == {
        (said.verdict, said.ord_status, said.reason) for said in judged.values()
    }


def test_the_whole_speaks_for_those_who_are_not_named() -> None:
    answers = Answers(overall=Answer(code="busy"), by_id={"a": Answer(state="dead")})
    judged = judge(TOY, Batch(CANCEL, (A, B)), reply(answers))

    assert Verdict.STATE is judged[A].verdict
    assert Verdict.THROTTLED is judged[B].verdict


@pytest.mark.parametrize(
    ("route", "kind", "state", "status"),
    [
        (LOOKUP, IdKind.VENUE, "open", OrdStatus.NEW),
        (LOOKUP, IdKind.VENUE, "dead", OrdStatus.CANCELED),
        (LOOKUP, IdKind.VENUE, "limbo", None),
        (LOOKUP, IdKind.CLIENT, "open", OrdStatus.NEW),
        (LOOKUP, IdKind.CLIENT, "dead", None),
        (BOAST, IdKind.VENUE, "open", OrdStatus.NEW),
        (BOAST, IdKind.VENUE, "dead", None),
    ],
)
def test_what_a_reply_shows_of_others_is_heard_as_far_as_it_is_believed(
    route: Route, kind: IdKind, state: str, status: OrdStatus | None
) -> None:
    answers = Answers(others={kind: {"z": Answer(state=state), "odd": Answer()}})
    others = hear(TOY, Batch(route, (A,)), reply(answers)).others

    assert {key: said.ord_status for key, said in others.items()} == (
        {(kind, "z"): status} if status else {}
    )


def test_ids_match_exactly() -> None:
    near = Answers(by_id={"A": Answer(state="dead"), " a": Answer(state="dead")})

    assert verdict_of(CANCEL, near) == (Verdict.IN_DOUBT, None, "not_named")


@pytest.mark.parametrize(
    ("page", "more", "expected"),
    [
        (1, True, Judgement(Verdict.ABSENT, more=True)),
        (2, True, Judgement(Verdict.ABSENT, more=True)),
        (3, True, Judgement(Verdict.IN_DOUBT, reason="list_too_long")),
        (3, False, Judgement(Verdict.ABSENT)),
    ],
)
def test_a_list_that_is_too_long_proves_no_absence(
    page: int, more: bool, expected: Judgement
) -> None:
    assert expected == judge(TOY, Batch(LIST, (A,), page), reply(Answers(truncated=more)))[A]


def test_unknown_words_are_told_apart_from_known_ones() -> None:
    code = judge(TOY, Batch(CANCEL, (A,)), reply(whole("odd", "why")))[A]
    state = judge(TOY, Batch(CANCEL, (A,)), reply(named(state="limbo")))[A]
    known = judge(TOY, Batch(CANCEL, (A,)), reply(whole("bad", "why")))[A]

    assert (code.unmapped, code.venue_code, code.text) == (True, "odd", "why")
    assert (state.unmapped, state.venue_code) == (True, "limbo")
    assert state.text == "an unknown state: limbo"
    assert (known.unmapped, known.venue_code) == (False, "bad")


@pytest.mark.parametrize(
    ("state", "done", "whole", "expected"),
    [
        ("full", "10", "10", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("full", "4", "10", (Verdict.STATE, OrdStatus.CANCELED, "partially_filled")),
        ("full", "0", "10", (Verdict.IN_DOUBT, None, "nothing_executed")),
        ("full", "0.000", "", (Verdict.IN_DOUBT, None, "nothing_executed")),
        ("full", "4", "", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("full", "4", "0", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("full", "", "10", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("dead", "4", "10", (Verdict.STATE, OrdStatus.CANCELED, "")),
        ("dead", "0", "0", (Verdict.STATE, OrdStatus.CANCELED, "")),
        ("dead", "10.0", "10", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("dead", "0.30000000000000004", "0.3", (Verdict.STATE, OrdStatus.FILLED, "")),
        ("dead", "0.29999999999999999", "0.3", (Verdict.STATE, OrdStatus.CANCELED, "")),
        ("open", "10", "10", (Verdict.STATE, OrdStatus.NEW, "")),
    ],
)
def test_what_was_executed_decides_what_an_end_is(
    state: str, done: str, whole: str, expected: tuple[Any, ...]
) -> None:
    answers = Answers(by_id={"a": Answer(state=state, cum_qty=done, order_qty=whole)})

    assert expected == verdict_of(LOOKUP, answers)


@pytest.mark.parametrize("odd", ["many", "NaN", "-1", "Infinity", "1" * 41, "None"])
def test_a_quantity_that_is_none_decides_nothing_and_is_not_told(odd: str) -> None:
    answers = Answers(by_id={"a": Answer(state="full", cum_qty=odd, order_qty="10")})
    said = judge(TOY, Batch(LOOKUP, (A,)), reply(answers))[A]

    assert (said.verdict, said.ord_status, said.cum_qty) == (
        Verdict.STATE,
        OrdStatus.FILLED,
        "",
    )


def test_an_answer_teaches_symbol_and_type() -> None:
    answer = Answer(state="open", symbol="BTC", ord_type=OrdType.TRIGGER)
    said = judge(TOY, Batch(LOOKUP, (A,)), reply(Answers(by_id={"a": answer})))[A]

    assert (said.symbol, said.ord_type) == ("BTC", OrdType.TRIGGER)


def test_a_symbol_that_could_be_syntax_is_not_learned() -> None:
    answer = Answer(state="open", symbol="BTC&side=SELL")
    said = judge(TOY, Batch(LOOKUP, (A,)), reply(Answers(by_id={"a": answer})))[A]

    assert not said.symbol


def test_a_secret_that_the_venue_says_is_hidden_and_judged_as_it_was_said() -> None:
    scrub = Credential(api_key="bad", api_secret="BTCUSDT").scrub
    answer = Answer(code="bad", text="key bad, symbol BTCUSDT", symbol="BTCUSDT")
    said = judge(TOY, Batch(CANCEL, (A,)), reply(Answers(by_id={"a": answer})), scrub)[A]

    assert (said.verdict, said.reason) == (Verdict.REFUSED, "bad_request")
    assert (said.venue_code, said.symbol) == ("[hidden]", "")
    assert said.text == "key [hidden], symbol [hidden]"


def test_a_list_that_shows_a_secret_as_a_symbol_teaches_none() -> None:
    scrub = Credential(api_key="planted-key", api_secret="planted-secret").scrub
    rows = [
        OpenOrder(x, symbol, ALL_TYPES) for x, symbol in (("a", "BTC"), ("b", "planted-key"))
    ]
    heard = hear_list(TOY, Batch(LIST, ()), reply(Answers(listed=tuple(rows))), scrub)

    assert heard.orders is not None
    assert [(order.id, order.symbol) for order in heard.orders] == [("a", "BTC"), ("b", "")]


def test_a_secret_at_the_end_of_what_is_kept_shows_none_of_itself() -> None:
    scrub = Credential(api_key="0123456789-abcdef").scrub
    for before in (180, 190, 199, 1990):
        text = ("+ " * 1000)[:before] + "0123456789-abcdef"
        said = judge(TOY, Batch(CANCEL, (A,)), reply(whole("bad", text)), scrub)[A]

        assert "01" not in said.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("two\nlines\x1b[31m", "two lines [31m"),
        ("x" * 31 + " " + "y " * 200, ("x" * 31 + " " + "y " * 200)[:200].strip()),
        (f"sign={'0123456789abcdef' * 4} wrong", "… wrong"),
        (f"sign {'0123456789ab%2B' * 4} wrong", "sign … wrong"),
        (f"sign {'0123456789ab%2F' * 4} wrong".replace("%2F", "\\/"), "sign … wrong"),
        ("id 3fa42833-9508-4061-8d80-b68563dcd521", "id 3fa42833-9508-4061-8d80-b68563dcd521"),
        ("é 訂單", "é 訂單"),
    ],
)
def test_text_is_short_printable_and_without_a_signature(text: str, shown: str) -> None:
    assert shown == judge(TOY, Batch(CANCEL, (A,)), reply(whole("bad", text)))[A].text


@pytest.mark.parametrize(
    ("body", "status", "by_status", "barred"),
    [
        (whole(), 403, True, True),
        (whole("odd"), 403, True, True),
        (whole("odd"), 400, False, False),
        (whole(), 502, True, False),
        (whole("no key"), 403, False, False),
        (Answers(), 200, False, False),
    ],
)
def test_what_no_row_knows_is_told_from_words_of_the_venue(
    body: Answers, status: int, by_status: bool, barred: bool
) -> None:
    said = judge(TOY, Batch(LOOKUP, (A,)), reply(body, status))[A]

    assert (said.by_status, said.barred) == (by_status, barred)


@pytest.mark.parametrize(
    ("named", "kept"), [("b", Became("b")), ("b&x=1", None), ("", None), ("k", None)]
)
def test_what_an_order_became_goes_into_requests_so_its_id_must_be_one(
    named: str, kept: Became | None
) -> None:
    """Nor may it be a part of the credential, as it goes out with the outcome."""
    answer = Answer(code="ok", became=Became(named))
    scrub = Credential(api_key="k", api_secret="secret").scrub

    said = judge(TOY, Batch(LOOKUP, (A,)), reply(Answers(by_id={"a": answer})), scrub)[A]

    assert said.became == kept
