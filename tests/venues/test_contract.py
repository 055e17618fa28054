"""The contract that every venue keeps; what is peculiar to one stands in its fixture file."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lane import requests
from tests.venues.cases import (
    VENUES,
    Case,
    called,
    cases,
    entries,
    fixture_of,
    fixture_path,
    replies_of,
)
from venues import base as base_module
from venues.base import Answer, Answers, Batch, HttpReply, Route, Rule, Venue, Verdict
from venues.credential import Credential
from venues.words import OPEN_STATES, Became, IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.jobs.resolve import Refusal, name_order
from worker.orders.judge import Judgement, hear, judge, spelled
from worker.orders.routes import (
    batch_key,
    cancel_routes,
    lookup_routes,
    probe_of,
    single_route,
)

LAW = settings(max_examples=120, derandomize=True, deadline=None, database=None)
#: What a venue file may import: no HTTP, clock, environment, randomness or log. Beside these it
#: may import the modules that its venue names, within a function.
PURE = {
    "__future__",
    "base64",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "hashlib",
    "hmac",
    "json",
    "operator",
    "re",
    "typing",
    "urllib.parse",
    "venues.base",
    "venues.credential",
    "venues.extras",
    "venues.words",
}
#: docs/contract.md section 2, and the quota that is the address's.
QUOTA_NAMES = {
    "cancel_batch",
    "cancel_one",
    "lookup",
    "history",
    "timer",
    "account",
    "escalation",
    "address",
}
#: What a reply that says nothing readable may come to: no knowledge of any order.
UNKNOWING = {
    Verdict.IN_DOUBT,
    Verdict.HALT,
    Verdict.THROTTLED,
    Verdict.BANNED,
    Verdict.NOT_DONE,
    Verdict.REFUSED,
}

every_venue = pytest.mark.parametrize("venue", VENUES, ids=called)
#: Of variants that share their routes one stands for all where only replies are read.
every_wire = pytest.mark.parametrize(
    "venue", {(type(v), id(v.routes)): v for v in VENUES}.values(), ids=called
)


@every_venue
def test_a_venue_has_a_fixture_file(venue: Venue) -> None:
    assert fixture_path(venue).exists(), (
        f"venues/{venue.name}.py has no tests/venues/{venue.name}.json: see venues/README.md"
    )
    assert fixture_of(venue)["venue"] == venue.name


@pytest.mark.parametrize("case", cases("requests"))
def test_a_request_is_reproduced_to_the_byte(case: Case) -> None:
    request = case.venue.sign(
        case.venue.build(case.batch), case.credential, case.file["now_ms"]
    )

    assert case.said["source"]
    assert case.said["method"] == request.method
    assert case.said["target"] == request.target
    assert case.said.get("body", "").encode() == request.body
    assert case.said["headers"] == dict(request.headers)


@every_venue
def test_every_route_has_a_recorded_request(venue: Venue) -> None:
    recorded = {said["route"] for said in entries(venue, "requests")}

    assert {route.name for route in venue.routes} == recorded


@every_venue
def test_a_list_that_may_show_another_ones_orders_names_a_route(venue: Venue) -> None:
    named = {route.overlaps for route in venue.routes} - {""}

    assert named <= {route.name for route in venue.routes}


@pytest.mark.parametrize("case", cases("replies"))
def test_a_reply_is_judged_as_recorded(case: Case) -> None:
    judged, others = hear(case.venue, case.batch, case.reply)

    assert case.said["source"]
    if "others" in case.said:
        assert case.said["others"] == {
            key: said.ord_status for (_, key), said in others.items()
        }
    assert set(case.batch.refs) == set(judged)
    for ref, judgement in judged.items():
        expected = expectation(case.said["expect"][ref.id])
        assert expected == {name: judgement._asdict()[name] for name in expected}, ref.id


def expectation(said: str | dict[str, Any]) -> dict[str, Any]:
    """Read "state FILLED", "in_doubt some_reason" or "absent", or these under the key "is".

    `became`, the id of a plain order, is what a fired order became; left out: none is named.
    """
    more = {} if isinstance(said, str) else dict(said)
    if "became" in more:
        more["became"] = Became(more["became"], OrdType.LIMIT)
    verdict, _, word = (said if isinstance(said, str) else more.pop("is")).partition(" ")
    ord_status = word if verdict == Verdict.STATE else None
    named = {} if verdict == Verdict.STATE or not word else {"reason": word}
    defaults = {"unmapped": False, "more": False, "became": None}
    return {"verdict": verdict, "ord_status": ord_status, **defaults, **named, **more}


@pytest.mark.parametrize("case", cases("plans"))
def test_ids_travel_as_recorded(case: Case) -> None:
    refs = [case.ref(item) for item in case.said["refs"]]
    batches = requests(case.venue, case.route, refs)

    assert case.said["expect"] == [[ref.id for ref in batch.refs] for batch in batches]


@pytest.mark.parametrize("case", cases("sizes"))
def test_requests_are_filled_as_recorded(case: Case) -> None:
    ids = range(1, case.said["ids"] + 1)
    refs = [OrderRef(str(n), IdKind.VENUE, case.file["symbol"]) for n in ids]

    batches = requests(case.venue, case.route, refs)
    assert case.said["expect"] == [len(batch.refs) for batch in batches]


@pytest.mark.parametrize("case", cases("orders"))
def test_an_order_is_named_and_routed_as_recorded(case: Case) -> None:
    order = {"kind": None, "ord_type": "any", "symbol": ""} | case.said["order"]
    words = (order["kind"], order["ord_type"], order["symbol"])
    named = name_order(case.venue, order["id"], words)
    expected = case.said["expect"]

    if isinstance(named, Refusal):
        assert expected == {"reason": named.reason}
        assert named.text.isprintable()
        return
    assert expected["kind"] == named.kind
    assert expected["cancel"] == [
        route.name for route in cancel_routes(case.venue, named.shape)
    ]
    assert expected["lookup"] == [
        route.name for route in lookup_routes(case.venue, named.shape)
    ]
    if "single" in expected:
        alone = single_route(case.venue, named.shape)
        assert alone is not None
        assert expected["single"] == alone.name


# --- the tables


@every_venue
def test_every_row_is_reached_by_some_reply(venue: Venue) -> None:
    replies = [case for each in venue.variants() for case in replies_of(each)]
    replies += [case for each in venue.variants() for case in replies_of(each, "timers")]
    answers = [answer for case in replies for answer in answers_in(case)]
    reached = {row for row in (row_for(venue, a) for a in answers if not a.state) if row}

    assert set(venue.rules) == reached
    seen = {spelled(answer.state) for answer in answers}
    assert {spelled(word) for word in venue.states} <= seen


def answers_in(case: Case) -> Iterator[Answer]:
    try:
        answers = case.venue.parse(case.batch, case.reply)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return
    yield from answers.by_id.values()
    if answers.overall:
        yield answers.overall


def row_for(venue: Venue, answer: Answer) -> Rule | None:
    text = answer.text.casefold()
    rows = (r for r in venue.rules if r.code == answer.code and r.contains.casefold() in text)
    return next(rows, None)


@every_venue
def test_rows_say_what_they_mean(venue: Venue) -> None:
    for row in venue.rules:
        assert row.code or row.contains, "a row must not fit whatever has no code"
        assert (row.verdict is Verdict.STATE) == (row.ord_status is not None), row
        assert row.verdict is not Verdict.ABSENT, "absence is what judge finds, not a code"
        assert row.reason or row.verdict is Verdict.ACCEPTED, row


@every_venue
def test_quotas_and_routes_name_each_other(venue: Venue) -> None:
    drawn = {name for route in sent_by(venue) for name in route.quotas}

    assert set(venue.quotas) == drawn
    assert drawn <= QUOTA_NAMES
    assert all("account" in route.quotas for route in venue.routes)


def sent_by(venue: Venue) -> list[Route]:
    """Return the venue's routes, with that of its timer."""
    return [*venue.routes, *([venue.timer.route] if venue.timer else [])]


@every_venue
def test_what_a_request_costs_fits_into_its_quota(venue: Venue) -> None:
    for route in sent_by(venue):
        names = [cost.quota for cost in route.costs]
        assert len(set(names)) == len(names)
        assert set(names) <= set(route.quotas)
        for cost in route.costs:
            least = route.tokens(cost.quota, route.max_ids if cost.per_request else 1)
            assert min(cost.per_request, cost.per_id) >= 0
            assert 1 <= least <= venue.quotas[cost.quota].limit


@every_venue
def test_routes_are_told_apart_and_each_kind_can_be_looked_up(venue: Venue) -> None:
    names = [route.name for route in venue.routes]
    canceled = kinds(venue, Purpose.CANCEL)

    assert len(names) == len(set(names))
    assert canceled <= set(venue.id_shapes)
    assert canceled == kinds(venue, Purpose.LOOKUP), "what can be canceled can be looked up"


def kinds(venue: Venue, purpose: Purpose) -> set[IdKind]:
    return {kind for r in venue.routes if r.purpose is purpose for kind in r.id_kinds}


@every_venue
@pytest.mark.parametrize("ord_type", OrdType)
def test_every_order_type_is_canceled_or_refused_in_words(
    venue: Venue, ord_type: OrdType
) -> None:
    for order_id in fixture_of(venue)["ids"]:
        words = (None, str(ord_type), fixture_of(venue)["symbol"])
        named = name_order(venue, order_id, words)

        assert named.text if isinstance(named, Refusal) else cancel_routes(venue, named.shape)


@pytest.mark.parametrize("venue", [v for v in VENUES if v.symbol_numbers], ids=called)
def test_numbers_of_symbols_are_asked_for_as_recorded(venue: Venue) -> None:
    asked, said = venue.symbol_numbers, fixture_of(venue)["symbol_numbers"]

    assert asked is not None
    assert (asked.method, asked.target) == (said["method"], said["target"])
    assert asked.body.decode() == said["body"]
    assert f"{asked.method} {asked.target}" in {
        f"{r.method} {r.path}" for r in venue.routes if r.purpose is Purpose.LOOKUP
    }


@every_venue
def test_nothing_that_trades_is_among_the_paths(venue: Venue) -> None:
    allowed = set(fixture_of(venue)["paths"])

    routes = [route for each in venue.variants() for route in sent_by(each)]
    assert allowed == {f"{route.method} {route.path}" for route in routes}
    for case in request_cases(venue):
        path = case.venue.build(case.batch).target.partition("?")[0]
        assert any(path_fits(path, entry.split(" ", 1)[1]) for entry in allowed), path


def path_fits(path: str, allowed: str) -> bool:
    return re.fullmatch(re.escape(allowed).replace(r"\{id\}", "[^/]+"), path) is not None


def request_cases(venue: Venue) -> list[Case]:
    return [Case(venue, fixture_of(venue), said) for said in entries(venue, "requests")]


# --- the file


@every_venue
def test_a_venue_file_does_no_work_but_its_own(venue: Venue) -> None:
    tree = ast.parse(inspect.getsource(inspect.getmodule(type(venue)) or base_module))
    imported = {name for node in ast.walk(tree) for name in modules_of(node)}
    at_import = {name for node in tree.body for name in modules_of(node)}
    own = {name for name in imported if name.partition(".")[0] in venue.modules}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert imported - own <= PURE
    assert at_import <= PURE, "an extra is imported where it is used"
    assert not attributes & {"now", "utcnow", "today"}, "a venue file has no clock"
    assert not called & {"open", "print", "eval", "exec", "input", "__import__", "compile"}


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or "."] if isinstance(node, ast.ImportFrom) else []


@every_venue
def test_a_venue_file_lists_its_docs_and_its_quirks(venue: Venue) -> None:
    doc = inspect.getdoc(inspect.getmodule(type(venue))) or ""

    assert "https://" in doc
    assert "\nQuirks\n" in doc
    assert type(venue).__base__ is Venue


# --- signing


@pytest.mark.parametrize("case", cases("requests"))
def test_signing_is_repeatable_and_changes_nothing_else(case: Case) -> None:
    unsigned = case.venue.build(case.batch)
    before = asdict(unsigned)
    first, second = (
        case.venue.sign(unsigned, case.credential, case.file["now_ms"]) for _ in range(2)
    )

    assert first == second
    assert before == asdict(unsigned)
    assert unsigned.method == first.method
    assert without_signed(case, unsigned.body) == without_signed(case, first.body)
    assert first.target.startswith(unsigned.target)
    assert unsigned.headers.items() <= first.headers.items()


def without_signed(case: Case, body: bytes) -> Any:
    """Return a body without the fields of it that the fixture lets a signature add."""
    added = case.file.get("signed_fields", ())
    return {k: v for k, v in json.loads(body).items() if k not in added} if added else body


@every_venue
def test_a_fixture_has_a_credential_in_all_its_parts(venue: Venue) -> None:
    """Each of the form that the venue demands, and long enough to be found wherever it is."""
    file = fixture_of(venue)
    parts = {part.name: part for part in venue.parts}

    assert list(file["credential"]) == list(parts)
    assert set(file["sent"]) < set(parts), "what is sent proves nothing"
    for name, value in file["credential"].items():
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert parts[name].shape.fullmatch(value)
        assert len(value) > 5
        assert parts[name].form or parts[name].shape.fullmatch("!"), "a form has its words"


@pytest.mark.parametrize("case", cases("requests"))
def test_no_secret_shows(case: Case) -> None:
    """No part leaves but those that the venue is told, and a request shows none at all."""
    unsigned = case.venue.build(case.batch)
    signed = case.venue.sign(unsigned, case.credential, 1)
    added = set(signed.headers.values()) - set(unsigned.headers.values())
    kept = {k: v for k, v in case.credential.given.items() if k not in case.file["sent"]}

    sent = f"{signed.target} {signed.body!r} {dict(signed.headers)}"
    assert Credential(**kept).scrub(sent) == sent
    shown = repr(signed)
    assert case.credential.scrub(shown) == shown
    assert not [value for value in added if len(value) > 9 and value in shown]
    assert "signature" not in shown


# --- laws


@every_venue
@LAW
@given(data=st.data())
def test_a_plan_is_a_partition(venue: Venue, data: st.DataObject) -> None:
    """No reference is lost or doubled, no request is too large, and groups are pure."""
    route = data.draw(st.sampled_from(venue.routes))
    drawn = st.lists(some_ref, max_size=150, unique_by=lambda ref: (ref.kind, ref.id))
    refs = [ref for ref in data.draw(drawn) if takes(route, ref)]
    batches = requests(venue, route, refs)

    assert sorted(map(repr, refs)) == sorted(repr(ref) for b in batches for ref in b.refs)
    for batch in batches:
        assert (batch.route.name, 1 <= len(batch.refs) <= route.max_ids) == (route.name, True)
        assert len({batch_key(route, ref) for ref in batch.refs}) == 1
        assert list(batch.refs) == [ref for ref in refs if ref in batch.refs]
    assert len(batches) == fewest(route, refs)


some_ref = st.builds(
    OrderRef,
    st.integers(1, 999).map(str),
    st.sampled_from(IdKind),
    st.sampled_from(["", "BTC", "ETH"]),
    st.sampled_from(OrdType),
    st.none(),
    st.just(False),
)


def takes(route: Route, ref: OrderRef) -> bool:
    """Say whether a route can name an order; its types are a condition for cancels only."""
    of_type = ref.ord_type in route.ord_types or route.purpose is Purpose.LOOKUP
    return ref.kind in route.id_kinds and of_type and bool(ref.symbol or not route.needs_symbol)


def fewest(route: Route, refs: list[OrderRef]) -> int:
    keys = [batch_key(route, ref) for ref in refs]
    return sum(-(-keys.count(key) // route.max_ids) for key in set(keys))


#: Bodies that no venue's documentation knows.
ODD_BODIES: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    0,
    False,
    "0",
    [[]],
    [{}],
    [None],
    {"data": None},
    {"data": {}},
    {"data": ""},
    {"code": None},
    {"code": 0},
    {"code": 0, "data": None},
    {"code": 0, "data": ""},
    {"code": 0, "data": {}},
    {"code": 0, "data": {"rows": None, "total": 0}},
    {"code": 0, "data": {"rows": [], "total": None}},
    {"code": 0, "data": {"rows": "", "total": 0}},
    {"code": 0, "data": [None]},
    {"code": 0, "data": [{"orderStatus": "cancel"}]},
    {"errors": []},
    {"errors": [None]},
    {"errors": None},
    {"error": None},
    {"error": []},
    {"success": None},
    {"orderId": {}, "status": []},
    {"id": [], "status": {}},
)
ODD_TEXTS = ("", "<html><body>502 Bad Gateway</body></html>", '{"code":0,"dat', "\x00\x1b[2J")


@every_venue
@pytest.mark.parametrize("status", [200, 302, 400, 404, 500, 502, 503])
def test_an_unreadable_reply_teaches_nothing(venue: Venue, status: int) -> None:
    """Whatever has another shape than documented proves neither state nor absence."""
    odd = [HttpReply(status, {}, body, json.dumps(body)) for body in ODD_BODIES]
    odd += [HttpReply(status, {}, None, text) for text in ODD_TEXTS]
    for batch in one_batch_a_route(venue):
        for reply in odd:
            taught = judge(venue, batch, reply)
            assert taught.keys() == set(batch.refs)
            for judgement in taught.values():
                plainly = takes_plain_code(venue, batch, reply, judgement)
                assert judgement.verdict in UNKNOWING or plainly, (batch.route.name, reply)


def takes_plain_code(
    venue: Venue, batch: Batch, reply: HttpReply, judgement: Judgement
) -> bool:
    """A body that is odd for other venues may be this one's plain yes, or a list of nothing."""
    if judgement.verdict is Verdict.ABSENT and batch.route.only_open:
        return reply.status == 200 and reply.text in ("[]", "{}", "null")
    accepted = [row.code for row in venue.rules if row.verdict is Verdict.ACCEPTED]
    return (
        judgement.verdict is Verdict.ACCEPTED
        and batch.route.purpose is Purpose.CANCEL
        and isinstance(reply.json, dict)
        and str(reply.json.get("code")) in accepted
    )


def one_batch_a_route(venue: Venue) -> list[Batch]:
    seen = {case.route.name: case.batch for case in request_cases(venue)}
    return list(seen.values())


@every_venue
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.IN_DOUBT),
        (403, Verdict.IN_DOUBT),
        (429, Verdict.THROTTLED),
        (418, Verdict.BANNED),
    ],
)
def test_where_the_body_says_nothing_the_status_counts(
    venue: Venue, status: int, verdict: Verdict
) -> None:
    page = HttpReply(status, {}, None, "<html><h1>Sorry</h1></html>")
    for batch in one_batch_a_route(venue):
        assert {verdict} == {j.verdict for j in judge(venue, batch, page).values()}


#: Bodies of whatever stands between us and a venue.
PAGES: list[tuple[Any, str]] = [
    (None, "<html><h1>403 Forbidden</h1></html>"),
    (None, ""),
    (None, "Access denied"),
    ({"message": "Forbidden"}, '{"message": "Forbidden"}'),
    ({"error": "denied"}, '{"error": "denied"}'),
    ([], "[]"),
]


@every_venue
@pytest.mark.parametrize("status", [401, 403, 407, 451])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page[1][:20] or "empty")
def test_a_page_of_a_gateway_refuses_no_key(
    venue: Venue, status: int, page: tuple[Any, str]
) -> None:
    for batch in one_batch_a_route(venue):
        said = judge(venue, batch, HttpReply(status, {}, *page))
        assert {(Verdict.IN_DOUBT, True)} == {(j.verdict, j.barred) for j in said.values()}


@every_venue
def test_a_read_asks_again_for_any_order_that_may_be_canceled(venue: Venue) -> None:
    """So a halted account of any venue can be probed, without a word of its file."""
    for case in request_cases(venue):
        for ref in case.batch.refs:
            probe = probe_of(venue, ref)
            assert probe is not None
            assert probe.route.purpose is Purpose.LOOKUP
            assert venue.build(probe).method == probe.route.method


json_words = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
any_json = st.recursive(
    json_words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def vocabulary(venue: Venue) -> st.SearchStrategy[Any]:
    """Bodies out of the words that the venue's recorded replies are made of."""
    bodies = [case.reply.json for case in replies_of(venue)]
    keys = sorted({key for body in bodies for key in keys_in(body)})
    leaves = st.sampled_from(
        sorted({repr(leaf) for body in bodies for leaf in leaves_in(body)})
    )
    words = leaves.map(ast.literal_eval) | json_words
    return st.recursive(
        words,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys), inner, max_size=5)
        ),
        max_leaves=12,
    )


def keys_in(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        yield from body
    for inner in inner_of(body):
        yield from keys_in(inner)


def leaves_in(body: Any) -> Iterator[Any]:
    if not isinstance(body, dict | list):
        yield body
    for inner in inner_of(body):
        yield from leaves_in(inner)


def inner_of(body: Any) -> list[Any]:
    return (
        list(body.values())
        if isinstance(body, dict)
        else body
        if isinstance(body, list)
        else []
    )


@every_wire
@LAW
@given(data=st.data())
def test_any_reply_gives_each_id_one_honest_judgement(
    venue: Venue, data: st.DataObject
) -> None:
    """One judgement per id whatever comes, and no closed state that the reply does not name."""
    body = data.draw(any_json | vocabulary(venue))
    status = data.draw(st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500, 503]))
    batch = data.draw(st.sampled_from(one_batch_a_route(venue)))
    assert_honest(venue, batch, HttpReply(status, {}, body, json.dumps(body)))


@every_wire
def test_a_reply_that_is_spoiled_anywhere_stays_honest(venue: Venue) -> None:
    """Every part of every recorded reply is replaced by something of a wrong type."""
    for case in replies_of(venue):
        for spoiled in spoil(case.said.get("json")):
            reply = HttpReply(case.said["status"], {}, spoiled, json.dumps(spoiled))
            assert_honest(venue, case.batch, reply)


def spoil(body: Any) -> Iterator[Any]:
    yield from (None, "", 0, True, [], {}, {"x": 1}, [1])
    if isinstance(body, dict):
        for key, value in body.items():
            yield from ({**body, key: other} for other in spoil(value))
            yield {k: v for k, v in body.items() if k != key}
    if isinstance(body, list):
        for at, value in enumerate(body):
            yield from ([*body[:at], other, *body[at + 1 :]] for other in spoil(value))


def assert_honest(venue: Venue, batch: Batch, reply: HttpReply) -> None:
    judged = judge(venue, batch, reply)

    assert judged.keys() == set(batch.refs)
    for ref, said in judged.items():
        assert (said.verdict is Verdict.STATE) == (said.ord_status is not None)
        assert not said.more or said.verdict is Verdict.ABSENT
        if said.ord_status in {OrdStatus.CANCELED, OrdStatus.FILLED, OrdStatus.EXPIRED}:
            assert batch.route.trusted or batch.route.purpose is Purpose.LOOKUP
            assert names_it(venue, said, ref, len(batch.refs), reply.text)
        if said.verdict in {Verdict.ABSENT, Verdict.UNKNOWN_ORDER}:
            assert not is_shown(venue, batch, reply, ref), "what is shown is not absent"
        for value in said:
            assert "\n" not in str(value)


def names_it(venue: Venue, said: Judgement, ref: OrderRef, count: int, text: str) -> bool:
    """Whether the text holds the state's word, and the id unless it is the only one asked.

    Where the quantities decided, the word may be that of another end.
    """
    ends = {said.ord_status} if not said.cum_qty else set(OrdStatus) - OPEN_STATES
    words = [word for word, status in venue.states.items() if status in ends]
    words += [row.contains for row in venue.rules if row.ord_status in ends]
    named = (count == 1 and said.venue_code) or ref.id.casefold() in text.casefold()
    return bool(named) and any(spelled(word) in spelled(text) for word in words)


def is_shown(venue: Venue, batch: Batch, reply: HttpReply, ref: OrderRef) -> bool:
    try:
        answers: Answers = venue.parse(batch, reply)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return False
    return bool(ref.id in answers.by_id and answers.by_id[ref.id].state)
