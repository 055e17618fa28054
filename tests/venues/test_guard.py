"""Whatever a job names, only requests leave that have the form of a recorded cancel or read."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.venues.cases import Case, entries, fixture_of
from tests.venues.test_contract import every_venue, path_fits, takes
from venues.base import Batch, HttpRequest, Route, UnknownSymbol, Venue
from venues.words import SYMBOL_SHAPE, OrderRef, OrdType
from worker.orders.routes import batch_key

LAW = settings(max_examples=40, derandomize=True, deadline=None, database=None)
#: Stands for whatever a job said.
SAID = "<said>"


@every_venue
@LAW
@given(data=st.data())
def test_nothing_that_a_job_says_makes_another_request(
    venue: Venue, data: st.DataObject
) -> None:
    """Ids and symbols stand where a recorded request has them; all other words are its words.

    So a path that trades, too, is only ever sent the words that cancel.
    """
    recorded = recorded_forms(venue)
    batch = data.draw(st.sampled_from(venue.routes).flatmap(lambda r: some_batch(venue, r)))
    assume(not words_said(batch) & words_in(recorded))

    try:
        request = venue.build(batch)
    except UnknownSymbol:
        assert venue.symbol_numbers, "and so nothing leaves"
    else:
        assert form_of(request, batch) in recorded


@cache
def recorded_forms(venue: Venue) -> frozenset[Any]:
    """Return the forms of all requests in a venue's fixture."""
    said = entries(venue, "requests")
    batches = [Case(venue, fixture_of(venue), each).batch for each in said]
    return frozenset(form_of(venue.build(batch), batch) for batch in batches)


def some_batch(venue: Venue, route: Route) -> st.SearchStrategy[Batch]:
    """Draw orders that share a request, with ids and symbols of every shape that may come."""
    known = [fixture_of(venue)["symbol"]] if venue.symbol_numbers else []
    orders = st.sampled_from(sorted(route.id_kinds)).flatmap(
        lambda kind: st.builds(
            OrderRef,
            st.from_regex(venue.id_shapes[kind], fullmatch=True),
            st.just(kind),
            st.sampled_from(["", *known]) | st.from_regex(SYMBOL_SHAPE, fullmatch=True),
            st.sampled_from(OrdType),
        )
    )
    taken = orders.filter(lambda ref: takes(route, ref))
    drawn = st.lists(
        taken, min_size=1, max_size=min(route.max_ids, 5), unique_by=lambda r: r.id
    )
    return drawn.map(
        lambda refs: Batch(
            route,
            tuple(ref for ref in refs if batch_key(route, ref) == batch_key(route, refs[0])),
        )
    )


def form_of(request: HttpRequest, batch: Batch) -> Any:
    """Return a request with what the job said taken out; of a list, each form of item once."""
    said = words_said(batch)
    path, _, query = request.target.partition("?")
    assert path_fits(path, batch.route.path)
    if path != batch.route.path:
        assert unquote(path.rpartition("/")[2]) in said
    body = request.body.decode()
    told = json.loads(body) if body[:1] in ("{", "[") else fields(body)
    return request.method, batch.route.path, masked(fields(query), said), masked(told, said)


def words_said(batch: Batch) -> set[str]:
    """Return what a job says, as venues spell it."""
    ids = [ref.id for ref in batch.refs]
    symbols = {ref.symbol for ref in batch.refs} - {""}
    return {*ids, *(each.lower() for each in ids), ",".join(ids), *symbols}


def fields(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []


def masked(value: Any, said: set[str]) -> Any:
    if isinstance(value, dict):
        return frozenset((key, masked(each, said)) for key, each in value.items())
    if isinstance(value, list):
        return frozenset(masked(each, said) for each in value)
    if isinstance(value, tuple):
        return tuple(masked(each, said) for each in value)
    if str(value) in said:
        return SAID
    if isinstance(value, str) and value[:1] in ("{", "["):
        return masked(json.loads(value), said)
    return value


def words_in(forms: Any) -> set[str]:
    """Return every word of some forms."""
    if isinstance(forms, frozenset | list | tuple):
        return {word for each in forms for word in words_in(each)}
    return {str(forms)}
