"""The engine: one request in, one verdict out, with limits, faults and the venue between."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from .dress import Dress, dressed
from .faults import MODIFIERS, Fault, Target, bend_of
from .messages import Call, Reply, gateway_page, reply_json, with_retry_after
from .venue import Route, Venue
from .world import Request, World

#: path of the page that an ordered redirect leads to; whoever asks for it is recorded
REDIRECTED = "/_redirected"


class Verdict(NamedTuple):
    """What to send back, and how: plainly, cut in half, after a while, or not at all."""

    reply: Reply
    way: str = "send"
    hold_s: float = 0.0


def judge(world: World, venue: Venue, call: Call, received_s: float) -> Verdict:
    """Let a request that has arrived at the venue take its effect; tell what to answer."""
    world.settle(call.at_s)
    route = venue.route(call.method, call.path)
    call.api_key = venue.api_key(call)
    ids = tuple(route.ids(call)) if route else ()
    limits = (route.limit, *venue.always) if route else venue.always
    refused = refusal_by_limit(world, venue, call, limits, route.weight if route else 1)
    verdict = Verdict(refused) if refused else bent(world, venue, call, route, ids)
    if route is not None and route.cancels:
        count_asks(world, venue.name, call.api_key, ids)
    record(world, venue, call, route, ids, verdict.reply, received_s)
    return verdict


def refusal_by_limit(
    world: World, venue: Venue, call: Call, limits: tuple[str, ...], weight: int
) -> Reply | None:
    """Draw the request from its limits; return the venue's refusal if one is used up."""
    banned = world.limits.share(venue.name, call.api_key, call.at_s) == 0
    refused = world.limits.draw(venue.name, call.api_key, limits, call.at_s, weight)
    if venue.paced is not None:
        venue.paced(world, call, refused is not None)
    if banned:
        return venue.refuse(world, "ban")
    return venue.refuse(world, "throttle") if refused else None


def bent(
    world: World, venue: Venue, call: Call, route: Route | None, ids: Sequence[str]
) -> Verdict:
    """Answer the request as the ordered faults have it."""
    target = Target(venue.name, call.api_key, call.method, call.path, ids)
    faults = world.faults.fire(target)
    call.bend = bend_of(faults, call.at_s)
    world.lag(call, venue.name)
    if not faults:
        return Verdict(plain(world, venue, call, route))
    main = next((f for f in faults if f.kind not in MODIFIERS), None)
    verdict = spoil(world, venue, call, route, main)
    slow = sum(f.number("delay_s", 1.0) for f in faults if f.kind == "slow")
    kinds = "+".join(f.kind for f in faults)
    marked = replace(verdict.reply, outcome=f"fault:{kinds}")
    return Verdict(marked, verdict.way, verdict.hold_s + slow)


def plain(world: World, venue: Venue, call: Call, route: Route | None) -> Reply:
    """Answer as the venue does by itself."""
    if route is None:
        world.incident(
            "unknown_route", venue.name, call.api_key, method=call.method, path=call.path
        )
        return venue.refuse(world, "unknown_route")
    refused = authenticate(world, venue, call, route) if route.signed else None
    return refused or dressed(route.answer(world, call), Dress.of(world, venue.name))


def authenticate(world: World, venue: Venue, call: Call, route: Route) -> Reply | None:
    """Return the venue's refusal, or None where key, signature and permission are right."""
    account = world.accounts.get((venue.name, call.api_key))
    if account is None:
        return venue.refuse(world, "auth")
    if ("trade" if route.cancels else "read") not in account.permissions:
        return venue.verify(world, call, account) or venue.refuse(world, "permission")
    return venue.verify(world, call, account)


def spoil(
    world: World, venue: Venue, call: Call, route: Route | None, fault: Fault | None
) -> Verdict:
    """Apply the one fault that stands in the way of a reply."""
    if fault is None or fault.kind in BENT_ONLY:
        return Verdict(plain(world, venue, call, route))
    if fault.params.get("effect", fault.kind in WITH_EFFECT):
        reply = plain(world, venue, call, route)
    else:
        reply = Reply("none", b"")
    if fault.kind in WAYS:
        way = WAYS[fault.kind]
        return Verdict(reply, way, fault.number("hold_s", 30.0) if way == "hold" else 0.0)
    if fault.kind == "echo_key":
        return Verdict(echo_key(call, fault))
    if fault.kind in REPLIES:
        return Verdict(REPLIES[fault.kind](fault))
    return Verdict(refuse(world, venue, call, fault))


def refuse(world: World, venue: Venue, call: Call, fault: Fault) -> Reply:
    """Say the venue's own word: throttle, ban, maintenance, clock, auth or permission."""
    if fault.kind == "ban":
        until_s = call.at_s + fault.number("duration_s", 30.0)
        world.limits.penalize(venue.name, call.api_key, until_s=until_s, share=0)
    return with_retry_after(venue.refuse(world, fault.kind), fault.params.get("retry_after_s"))


def echo_key(call: Call, fault: Fault) -> Reply:
    """Refuse in words of no table, with the key in them, as some venues and proxies do."""
    key = SPELLINGS[str(fault.params.get("spelled", "plain"))](call.api_key)
    error = {"code": 99999, "msg": f"key {key} is odd", "message": f"key {key} is odd"}
    return reply_json(error | {"errors": [error]}, status=int(fault.number("status", 400)))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda key: "".join(f"%{ord(char):02X}" for char in key),
    "base64": lambda key: base64.b64encode(f"key:{key}".encode()).decode(),
    "json": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
}

#: these change what the venue does and leave its reply to it
BENT_ONLY = frozenset({"lying_success", "partial_success", "missing_ids"})

#: with these the effect is done, unless the fault says otherwise
WITH_EFFECT = frozenset(
    {"timeout_after_effect", "reset_after_effect", "half_body", "wrong_json", "huge_body"}
)

#: how the reply is kept back
WAYS = {
    "timeout_after_effect": "hold",
    "timeout_before_effect": "hold",
    "reset_before_effect": "reset",
    "reset_after_effect": "reset",
    "half_body": "half",
}


def _status(fault: Fault) -> Reply:
    status = int(fault.number("status", 500))
    if "json" in fault.params:
        return reply_json(fault.params["json"], status=status)
    return Reply("ok", str(fault.params.get("text", "")).encode(), status)


def _wrong_json(fault: Fault) -> Reply:
    return Reply("ok", json.dumps(fault.params.get("json", ["unexpected", 7])).encode())


def _huge_body(fault: Fault) -> Reply:
    size = int(fault.number("bytes", 8 * 1024 * 1024))
    return Reply("ok", b'{"code":0,"msg":"' + b"x" * max(0, size - 19) + b'"}')


def _redirect(fault: Fault) -> Reply:
    location = str(fault.params.get("location", REDIRECTED))
    return Reply("ok", b"", 302, headers={"Location": location})


def _html(fault: Fault) -> Reply:
    return gateway_page(int(fault.number("status", 502)), outcome="ok")


REPLIES: dict[str, Callable[[Fault], Reply]] = {
    "status": _status,
    "html": _html,
    "wrong_json": _wrong_json,
    "huge_body": _huge_body,
    "redirect": _redirect,
}


def count_asks(world: World, venue: str, api_key: str, ids: Sequence[str]) -> None:
    """Count, for every order that a cancel request named, that it was named."""
    for ref in ids:
        order = world.book.named(venue, api_key, ref)
        if order is not None:
            order.asked += 1


def record(
    world: World,
    venue: Venue,
    call: Call,
    route: Route | None,
    ids: tuple[str, ...],
    reply: Reply,
    received_s: float,
) -> None:
    """Remember the request."""
    world.requests.append(
        Request(
            received_s=received_s,
            at_s=call.at_s,
            venue=venue.name,
            api_key=call.api_key,
            method=call.method,
            path=call.path,
            route=route.limit if route else "unknown_route",
            ids_count=len(ids),
            ids=ids if world.settings["record_ids"] else (),
            outcome=reply.outcome,
            status=reply.status,
        )
    )


def one_way_s(world: World) -> float:
    """Roll how long a request, or its reply, is on the way."""
    settings = world.settings
    jitter_ms = world.dice.uniform(0, settings["jitter_ms"]) if settings["jitter_ms"] else 0.0
    return float(settings["rtt_ms"] + jitter_ms) / 2000
