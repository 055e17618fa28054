"""The venue faults that are played, each on an account of its own, and what may come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: How the request that cancels is sent.
CANCEL = {"coinw": "DELETE", "ztdx": "DELETE", "kuna": "POST"}
#: An order that was open and was canceled: CoinW keeps no record of it.
GONE = {"coinw": "closed", "ztdx": "canceled", "kuna": "canceled"}
VENUES = tuple(GONE)
#: Faults of one request after which every order is canceled all the same.
ONCE: dict[str, Mapping[str, Any]] = {
    "timeout_after_effect": {},
    "timeout_before_effect": {},
    "reset_after_effect": {},
    "reset_before_effect": {},
    "status": {"status": 500, "effect": False},
    "html": {"status": 502, "effect": True},
    "half_body": {},
    "slow": {"delay_s": 0.5},
    "lying_success": {},
    "partial_success": {"first": 1, "show": "lie"},
    "missing_ids": {},
    "read_lag": {"lag_s": 1.5, "times": None},  # until the world is closed
    "wrong_json": {"json": {"odd": [1]}},
    "huge_body": {},
    "redirect": {},
    "throttle": {"retry_after_s": 2},
    "maintenance": {},
    "ban": {"duration_s": 2},
}
#: So long a request waits where no time-out is played: on a busy machine all replies are late.
PATIENT_S = 5.0
#: So long it waits for a reply that does not come, with time for the replies that do.
HUNG_S = 2.5
#: They bend what is read as well.
OF_READS = {"read_lag"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One account, one fault or more, one job; `allowed` are the statuses that may follow."""

    name: str
    venue: str
    faults: tuple[Mapping[str, Any], ...] = ()
    allowed: frozenset[str]
    reason: str = ""
    or_else: frozenset[tuple[str, str]] = frozenset()  # status and reason
    count: int = 2
    order: Mapping[str, Any] = field(default_factory=dict)
    item: Mapping[str, Any] = field(default_factory=dict)
    deadline_s: float | None = None
    priority: str = "routine"
    timeout_s: float = PATIENT_S


def once(kind: str, venue: str) -> Scene:
    """Return the scene of a fault that hits the first cancel and no more."""
    fault = {"kind": kind, **ONCE[kind]}
    if kind not in OF_READS:
        fault["method"] = CANCEL[venue]
    return Scene(
        name=f"{kind.replace('_', '-')}-{venue}",
        venue=venue,
        faults=(fault,),
        allowed=frozenset({GONE[venue]}),
        timeout_s=HUNG_S if kind.startswith("timeout_") else PATIENT_S,
    )


#: What `ending` is given of the scene; all else is the fault's.
SCENE_FIELDS = {"or_else", "deadline_s", "timeout_s"}


def ending(name: str, venue: str, kind: str, *allowed: str, reason: str, **more: Any) -> Scene:
    """Return the scene of a fault that does not go away."""
    given = {name: more.pop(name) for name in SCENE_FIELDS & more.keys()}
    fault = {"kind": kind, "times": None, **more}
    return Scene(
        name=f"{name}-{venue}",
        venue=venue,
        faults=(fault,),
        allowed=frozenset(allowed),
        reason=reason,
        **given,
    )


#: The deadline may fall between a further cancel and its look-up: nobody knows what that did.
CUT_OFF = frozenset({("unconfirmed", "in_doubt")})
#: What a venue says of an order that it never cancels.
STILL_OPEN: dict[str, Any] = {"reason": "still_open", "or_else": CUT_OFF, "deadline_s": 10}
#: What is said of a venue that never answers.
HUNG: dict[str, Any] = {"reason": "timeout", "deadline_s": 4, "timeout_s": 1.0}
#: What is said of a venue that answers with a word of no table.
ECHOED: dict[str, Any] = {"reason": "unmapped_code", "deadline_s": 4}
LASTING = [
    ending("auth", "coinw", "auth", "rejected", reason="auth"),
    ending("auth", "ztdx", "auth", "rejected", reason="auth"),
    ending("auth", "kuna", "auth", "rejected", reason="auth"),
    ending("permission", "coinw", "permission", "rejected", reason="permission"),
    ending("permission", "kuna", "permission", "rejected", reason="permission"),
    ending("clock", "ztdx", "clock", "rejected", reason="clock"),
    ending("throttled", "coinw", "throttle", "failed", reason="throttled", deadline_s=4),
    ending("throttled", "ztdx", "throttle", "failed", reason="throttled", deadline_s=4),
    ending("banned", "ztdx", "ban", "failed", reason="banned", deadline_s=4),
    ending("banned", "kuna", "ban", "failed", reason="banned", deadline_s=4),
    ending("still-open", "kuna", "lying_success", "failed", **STILL_OPEN),
    ending("still-open", "coinw", "lying_success", "failed", **STILL_OPEN),
    ending("hung", "ztdx", "timeout_before_effect", "unconfirmed", **HUNG),
    ending("echoed", "coinw", "echo_key", "unconfirmed", **ECHOED, spelled="base64"),
    ending("echoed", "ztdx", "echo_key", "unconfirmed", **ECHOED, spelled="plain"),
    ending("echoed", "kuna", "echo_key", "unconfirmed", **ECHOED, spelled="url"),
    ending("broken", "kuna", "status", "unconfirmed", reason="http_500", deadline_s=4),
]
OTHERS = [
    Scene(
        name="clock-once-ztdx",
        venue="ztdx",
        # All four have left before the first refusal comes.
        faults=({"kind": "clock", "times": 4}, {"kind": "slow", "times": 4, "delay_s": 1.0}),
        allowed=frozenset({"canceled"}),
        count=40,
        priority="kill",
    ),
    Scene(
        name="wrong-type-coinw",
        venue="coinw",
        allowed=frozenset({"closed"}),
        order={"ord_type": "limit"},
        item={"ord_type": "trailing_stop"},
    ),
    Scene(
        name="trigger-coinw",
        venue="coinw",
        allowed=frozenset({"closed"}),
        order={"ord_type": "trigger"},
        item={"ord_type": "limit"},
    ),
    Scene(
        name="filled-first-ztdx",
        venue="ztdx",
        allowed=frozenset({"filled"}),
        order={"state": "filled"},
    ),
    Scene(
        name="filled-first-coinw",
        venue="coinw",
        allowed=frozenset({"filled"}),
        order={"state": "filled"},
        faults=({"kind": "reset_after_effect", "method": "DELETE"},),
        priority="kill",  # a routine job looks first and needs no cancel
    ),
    Scene(
        name="whole-list-coinw",
        venue="coinw",
        # What the batch left open is seen, and ends as closed; a kill looked for none before.
        allowed=frozenset({"closed", "not_found"}),
        faults=({"kind": "lying_success", "method": "DELETE"},),
        count=70,
        priority="kill",
    ),
    Scene(
        name="past-deadline-coinw",
        venue="coinw",
        allowed=frozenset({"failed"}),
        reason="deadline",
        deadline_s=-1.0,
    ),
]
#: Only CoinW's ban is known to end, and soon; the other two are among the lasting ones.
NOT_PLAYED = {("ban", "ztdx"), ("ban", "kuna")}
SCENES = [
    *(
        once(kind, venue)
        for kind in ONCE
        for venue in VENUES
        if (kind, venue) not in NOT_PLAYED
    ),
    *LASTING,
    *OTHERS,
]
