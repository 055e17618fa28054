"""The control API: seed and read the book, order faults, set limits, see what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from .book import Order, State
from .world import World

Query: TypeAlias = Mapping[str, str]


def answer(world: World, method: str, name: str, query: Query, body: bytes) -> tuple[int, Any]:
    """Answer one control request with a status and a JSON value."""
    world.settle(time.monotonic())
    try:
        return find_answer(world, method, name, query, body)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return 400, {"error": str(error)}


def find_answer(
    world: World, method: str, name: str, query: Query, body: bytes
) -> tuple[int, Any]:
    """Find who answers: by method and name, and for one order by its path."""
    parts = name.split("/")
    if method == "GET" and name in SHOWN:
        return 200, SHOWN[name](world)
    if method == "GET" and name in SOUGHT:
        return 200, SOUGHT[name](world, query)
    if method == "POST" and name in TAKEN:
        return 200, TAKEN[name](world, json.loads(body or b"null"))
    if method == "POST" and len(parts) == 4 and parts[0] == "orders" and parts[3] in CHANGED:
        return 200, CHANGED[parts[3]](world, parts[1], parts[2], json.loads(body))
    if method == "DELETE" and name in CLEARED:
        CLEARED[name](world)
        return 200, {}
    return 404, {"error": f"no control endpoint {method} {name}"}


def as_list(raw: Any) -> list[Any]:
    """Take one thing for a list of one."""
    return raw if isinstance(raw, list) else [raw]


def show_order(order: Order) -> dict[str, Any]:
    """Show an order as it is on the book."""
    return {name: value for name, value in asdict(order).items() if name != "past"}


def add_accounts(world: World, raw: Any) -> Any:
    """POST accounts."""
    return {"added": len([world.add_account(account) for account in as_list(raw)])}


def list_accounts(world: World) -> Any:
    """GET accounts; a secret is never shown."""
    return [
        {
            "venue": account.venue,
            "api_key": account.api_key,
            "signs": account.secret is not None,
            "permissions": sorted(account.permissions),
        }
        for account in world.accounts.values()
    ]


def seed(world: World, raw: Any) -> Any:
    """POST orders."""
    return {"seeded": len([world.seed(order) for order in as_list(raw)])}


def read_book(world: World, query: Query) -> Any:
    """GET orders."""
    ids = [i for i in query.get("id", "").split(",") if i]
    orders = world.book.select(
        venue=query.get("venue", ""), api_key=query.get("api_key", ""), ids=ids
    )
    return [show_order(order) for order in orders]


def set_state(world: World, venue: str, order_id: str, raw: Any) -> Any:
    """POST orders/{venue}/{id}/state: {state, filled?, purged?, triggered?}."""
    order = world.book.get(venue, order_id)
    if order is None:
        raise ValueError(f"no order {order_id} at {venue}")
    if unknown := set(raw) - {"state", "filled", "purged", "triggered"}:
        raise ValueError(f"a state has no field {', '.join(sorted(unknown))}")
    state = State(raw.get("state", order.state))
    if state is State.CANCELED and order.state is not State.CANCELED:
        order.canceled_by = "seed"
    world.book.set_state(
        order,
        state,
        now_s=time.monotonic(),
        now_ms=world.now_ms(),
        filled=raw.get("filled"),
        purged=bool(raw.get("purged", order.purged)),
        triggered=bool(raw.get("triggered", order.triggered)),
    )
    return show_order(order)


def fire(world: World, venue: str, order_id: str, raw: Any) -> Any:
    """POST orders/{venue}/{id}/fire: {id, state?, filled?, ord_type?, late_s?} of the child."""
    order = world.book.get(venue, order_id)
    if order is None:
        raise ValueError(f"no order {order_id} at {venue}")
    return show_order(world.fire(order, raw, time.monotonic()))


def order_faults(world: World, raw: Any) -> Any:
    """POST faults."""
    return {"ids": [world.order_fault(fault).id for fault in as_list(raw)]}


def set_settings(world: World, raw: Any) -> Any:
    """POST settings."""
    world.configure(raw)
    return world.settings


def list_requests(world: World, query: Query) -> Any:
    """GET requests."""
    return world.requests_since(float(query.get("since", "-inf")))


def show_timers(world: World) -> Any:
    """GET timers: those that are armed, with the seconds left, and those that have fired."""
    names, now_s = ("venue", "api_key", "symbol"), time.monotonic()
    return {
        "armed": [
            dict(zip(names, key, strict=True)) | {"fires_in_s": timer.fires_s - now_s}
            for key, timer in world.timers.items()
        ],
        "fired": [dict(zip(names, key, strict=True)) for key in world.fired],
    }


def health(world: World) -> Any:
    """GET health."""
    return {"ok": True, "venues": sorted(world.venues), "orders": len(world.book)}


def clock(world: World) -> Any:
    """GET time."""
    return {"monotonic_s": time.monotonic(), "unix_ms": world.now_ms()}


#: GET without a question
SHOWN: dict[str, Callable[[World], Any]] = {
    "accounts": list_accounts,
    "faults": lambda world: world.faults.report(),
    "settings": lambda world: world.settings,
    "limits": lambda world: world.limits.report(time.monotonic()),
    "incidents": lambda world: world.incidents,
    "timers": show_timers,
    "health": health,
    "time": clock,
}

#: GET with filters in the query
SOUGHT: dict[str, Callable[[World, Query], Any]] = {
    "orders": read_book,
    "requests": list_requests,
}

#: POST
TAKEN: dict[str, Callable[[World, Any], Any]] = {
    "accounts": add_accounts,
    "orders": seed,
    "faults": order_faults,
    "settings": set_settings,
}

#: POST of one order
CHANGED: dict[str, Callable[[World, str, str, Any], Any]] = {
    "state": set_state,
    "fire": fire,
}

#: DELETE
CLEARED: dict[str, Callable[[World], None]] = {
    "accounts": lambda world: world.accounts.clear(),
    "orders": lambda world: world.book.clear(),
    "faults": lambda world: world.faults.clear(),
    "limits": lambda world: world.limits.reset(),
    "requests": lambda world: world.requests.clear(),
    "incidents": lambda world: world.incidents.clear(),
    "everything": lambda world: world.reset(),
}
