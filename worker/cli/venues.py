"""`cancel-worker venues`: what each venue's adapter can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from venues import all_venues
from venues.base import Route, Venue
from venues.credential import Part
from venues.words import OrdType
from worker.cli.accounts import rate
from worker.cli.output import AsJson, Output, Problem

Name = Annotated[str, typer.Argument(help="One venue; all if left out.")]


def venues(name: Name = "", *, as_json: AsJson = False) -> None:
    """Show the routes, batch sizes, quotas and id kinds of each venue."""
    known = all_venues()
    if name and name not in known:
        raise Problem(f"no venue {name!r}; known are {', '.join(sorted(known))}", 2)
    output = Output(as_json=as_json)
    for word in [name] if name else sorted(known):
        for venue in known[word].variants():
            if as_json:
                output.emit(_as_json(venue))
            else:
                _show(output, venue)


def _show(output: Output, venue: Venue) -> None:
    chosen = "".join(f", {name} {value}" for name, value in venue.chosen.items())
    output.line(f"{venue.name}{chosen}  {venue.base_url}", "bold")
    output.line(f"ids: {', '.join(venue.id_shapes)}; {_proof(venue)}")
    columns = ("route", "for", "request", "ids", "id kinds", "order types", "shares", "quotas")
    output.table(columns, (_row(route) for route in venue.routes))
    quotas = ", ".join(f"{n} {rate(q)} per {q.scope}" for n, q in venue.quotas.items())
    output.line(f"quotas: {quotas}")
    output.line(f"credential: {', '.join(map(_part, venue.parts))}")
    output.line()


def _part(part: Part) -> str:
    notes = [note for note in (part.form, "optional" if part.optional else "") if note]
    return f"{part.name} ({', '.join(notes)})" if notes else part.name


def _proof(venue: Venue) -> str:
    if venue.forgets_canceled:
        return "routine jobs look before they cancel: not every canceled order leaves a record"
    return "canceled orders stay on record"


def _row(route: Route) -> tuple[object, ...]:
    return (
        route.name,
        route.purpose,
        f"{route.method} {route.path}",
        f"{route.max_ids} (or {route.list_all_ids})"
        if route.list_all_ids
        else str(route.max_ids),
        " ".join(sorted(route.id_kinds)),
        "all" if route.ord_types >= set(OrdType) else " ".join(_in_order(route)),
        " ".join(route.group_by) or "-",
        " ".join(_price(route, quota) for quota in route.quotas),
    )


def _price(route: Route, quota: str) -> str:
    """Return a quota with what a request takes of it: "orders (1 an id)"."""
    cost = route.cost_of(quota)
    each = [str(cost.per_request)] if cost.per_request else []
    each += [f"{cost.per_id} an id"] if cost.per_id else []
    return f"{quota} ({' + '.join(each)})" if cost in route.costs else quota


def _in_order(route: Route) -> Iterator[OrdType]:
    return (word for word in OrdType if word in route.ord_types)


def _as_json(venue: Venue) -> dict[str, Any]:
    quotas = {n: {"rate": rate(q), "scope": q.scope} for n, q in venue.quotas.items()}
    return {
        "venue": venue.name,
        "base_url": venue.base_url,
        "id_kinds": list(venue.id_shapes),
        "looks_first": venue.forgets_canceled,
        "secret_optional": any(part.optional for part in venue.parts),
        "credential": [part.name for part in venue.parts],
        "options": venue.chosen,
        "quotas": quotas,
        "routes": [_route_json(route) for route in venue.routes],
    }


def _route_json(route: Route) -> dict[str, Any]:
    return {
        "route": route.name,
        "purpose": route.purpose,
        "method": route.method,
        "path": route.path,
        "max_ids": route.max_ids,
        "wide_ids": route.list_all_ids,
        "id_kinds": sorted(route.id_kinds),
        "ord_types": list(_in_order(route)),
        "shares": list(route.group_by),
        "needs_symbol": route.needs_symbol,
        "quotas": list(route.quotas),
        "costs": {
            cost.quota: {"request": cost.per_request, "id": cost.per_id} for cost in route.costs
        },
    }
