"""Faults that can be ordered: which requests they hit, how often, and how they bend a reply."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: kind -> the parameters it takes, beside the selectors
KINDS: dict[str, frozenset[str]] = {
    "throttle": frozenset({"retry_after_s"}),
    "ban": frozenset({"duration_s"}),
    "maintenance": frozenset(),
    "clock": frozenset(),
    "auth": frozenset(),
    "permission": frozenset(),
    "timeout_after_effect": frozenset({"hold_s"}),
    "timeout_before_effect": frozenset({"hold_s"}),
    "reset_before_effect": frozenset(),
    "reset_after_effect": frozenset(),
    "status": frozenset({"status", "json", "text", "effect"}),
    "html": frozenset({"status", "effect"}),
    "half_body": frozenset(),
    "slow": frozenset({"delay_s"}),
    "lying_success": frozenset(),
    "partial_success": frozenset({"first", "every_other", "show"}),
    "missing_ids": frozenset({"ids", "first"}),
    "read_lag": frozenset({"lag_s"}),
    "wrong_json": frozenset({"json", "effect"}),
    "huge_body": frozenset({"bytes", "effect"}),
    "redirect": frozenset({"location", "effect"}),
    "echo_key": frozenset({"spelled", "status"}),
}

#: these change a request and leave room for one other fault
MODIFIERS = frozenset({"slow", "read_lag"})

_SELECTORS = frozenset(
    {"kind", "venue", "api_key", "path_contains", "method", "order_id"}
    | {"times", "after", "probability"}
)


_NUMBERS = frozenset(
    {"times", "after", "probability", "retry_after_s", "duration_s", "hold_s", "delay_s"}
    | {"lag_s", "status", "first", "bytes"}
)


@dataclass(slots=True, kw_only=True)
class Fault:
    """One ordered fault; `times` None is for ever, `after` skips that many matches first."""

    id: int
    kind: str
    venue: str = ""
    api_key: str = ""
    path_contains: str = ""
    method: str = ""
    order_id: str = ""
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    params: dict[str, Any] = field(default_factory=dict)
    matched: int = 0
    fired: int = 0

    def number(self, name: str, default: float) -> float:
        """Read a numeric parameter."""
        return float(self.params.get(name, default))

    def report(self) -> dict[str, Any]:
        """Tell what was ordered and how often it fired."""
        selectors = {name: getattr(self, name) for name in sorted(_SELECTORS)}
        return (
            {"id": self.id} | selectors | self.params
            | {"matched": self.matched, "fired": self.fired}
        )  # fmt: skip


class Target(NamedTuple):
    """What a fault may select a request by."""

    venue: str
    api_key: str
    method: str
    path: str
    ids: Sequence[str]


class Faults:
    """The ordered faults, in the order of their ordering."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the dice again from a seed."""
        self._dice = random.Random(seed)  # noqa: S311 (dice, not keys)

    def order(self, raw: Any) -> Fault:
        """Take one fault; raise ValueError, naming the mend, where it is not one."""
        fault = read_fault(raw, next(self._numbers))
        self._faults.append(fault)
        return fault

    def fire(self, target: Target) -> list[Fault]:
        """Return what hits the request: any modifiers and at most one other fault."""
        hits: list[Fault] = []
        for fault in self._faults:
            full = any(hit.kind not in MODIFIERS for hit in hits)
            if (fault.kind in MODIFIERS or not full) and self._fires(fault, target):
                hits.append(fault)
        return hits

    def _fires(self, fault: Fault, target: Target) -> bool:
        if fault.times is not None and fault.fired >= fault.times:
            return False
        if not matches(fault, target):
            return False
        fault.matched += 1
        if fault.matched <= fault.after or self._dice.random() >= fault.probability:
            return False
        fault.fired += 1
        return True

    def report(self) -> list[dict[str, Any]]:
        """List every fault and how often it fired."""
        return [fault.report() for fault in self._faults]

    def clear(self) -> None:
        """Order none any more."""
        self._faults.clear()


def matches(fault: Fault, target: Target) -> bool:
    """Whether a fault's selectors fit a request; one that is left out fits all."""
    return (
        fault.venue in ("", target.venue)
        and fault.api_key in ("", target.api_key)
        and fault.method in ("", target.method)
        and fault.path_contains in target.path
        and (not fault.order_id or fault.order_id in target.ids)
    )


def read_fault(raw: Any, number: int) -> Fault:
    """Check a fault's JSON; raise ValueError, naming the mend, where it is not one."""
    if not isinstance(raw, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004
    kind = raw.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
    unknown = sorted(set(raw) - _SELECTORS - KINDS[kind])
    if unknown:
        raise ValueError(f"fault {kind} takes no {', '.join(unknown)}")
    for name in _NUMBERS & set(raw):
        if raw[name] is not None and type(raw[name]) not in (int, float):
            raise ValueError(f"{name} of a fault is a number, not {raw[name]!r}")
    selectors = {k: v for k, v in raw.items() if k in _SELECTORS and v is not None}
    selectors |= {k: str(v) for k, v in selectors.items() if k not in _NUMBERS}
    if "times" in raw:
        selectors["times"] = raw["times"]
    return Fault(id=number, params={k: raw[k] for k in raw if k in KINDS[kind]}, **selectors)


@dataclass(slots=True)
class Bend:
    """How a request's effect, reply and view of the book are bent; by default not at all."""

    no_effect: bool = False
    first: int | None = None
    every_other: bool = False
    lies: bool = False
    hide_ids: frozenset[str] = frozenset()
    hide_first: int = 0
    read_at: float | None = None
    record_at: float | None = None
    _cancels: int = 0
    _shown: int = 0

    def takes_effect(self) -> bool:
        """Whether the next order that the request would cancel really is canceled."""
        place, self._cancels = self._cancels, self._cancels + 1
        if self.no_effect or (self.every_other and place % 2):
            return False
        return self.first is None or place < self.first

    @property
    def hides_some(self) -> bool:
        """Whether the reply leaves any id out."""
        return bool(self.hide_ids or self.hide_first)

    def hides(self, order_id: str) -> bool:
        """Whether the reply leaves this id out."""
        place, self._shown = self._shown, self._shown + 1
        return order_id in self.hide_ids or place < self.hide_first


def bend_of(faults: Iterable[Fault], at_s: float) -> Bend:
    """Add up what the faults do to a request's effect and view."""
    bend = Bend()
    for fault in faults:
        apply_fault(bend, fault, at_s)
    return bend


def apply_fault(bend: Bend, fault: Fault, at_s: float) -> None:
    """Bend one request by one fault."""
    match fault.kind:
        case "lying_success":
            bend.no_effect = bend.lies = True
        case "partial_success":
            bend.every_other = bool(fault.params.get("every_other", False))
            bend.first = None if bend.every_other else int(fault.params.get("first", 1))
            bend.lies = fault.params.get("show", "lie") == "lie"
        case "missing_ids":
            bend.hide_ids = frozenset(map(str, fault.params.get("ids", ())))
            everything = 0 if bend.hide_ids else 1_000_000
            bend.hide_first = int(fault.params.get("first", everything))
        case "read_lag":
            bend.read_at = at_s - fault.number("lag_s", 1.0)
