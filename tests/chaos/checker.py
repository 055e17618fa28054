"""Judges a run from the outside: what went in, what came out, and the sandbox's own book.

It shares no code with the worker, so that no mistake can hide on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from venues.sandbox.client import BookOrder

OPEN = frozenset({"open", "partially_filled"})
#: What may still be so, or nobody knows: allowed of any order, but counted.
UNPROVEN = frozenset({"rejected", "failed", "unconfirmed"})
#: What a producer writes where only the broker's word counts; no outcome may bear it.
FORGED = "forged"
#: Venues that keep a record of every order: one that is on their book was never "not found".
KEEPS_RECORDS = frozenset({"kuna", "ztdx"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One id of one job that went in; a place (`orders[3]`) is of an element that has none."""

    job_id: str
    venue: str
    id: str

    @property
    def is_place(self) -> bool:
        """Say whether no order is meant."""
        return self.id.startswith("orders[")

    @property
    def message_id(self) -> str:
        """Return what its outcome's AMQP message_id must be."""
        return f"{self.job_id}/{self.id}"


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome message that came out."""

    message_id: str
    body: Mapping[str, Any]

    @property
    def status(self) -> str:
        """Return its final status."""
        return str(self.body["status"])


@dataclass(slots=True)
class Findings:
    """What is wrong with a run: each list should be empty."""

    lost: list[str] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    duplicates: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Say whether nothing was lost, contradictory, false, unasked for or secret."""
        wrong = self.lost, self.contradictory, self.false, self.unasked, self.leaked
        return not any(wrong)

    def summary(self) -> str:
        """Return the figures in one line."""
        counts = ", ".join(f"{word} {count}" for word, count in sorted(self.statuses.items()))
        return (
            f"lost {len(self.lost)}, contradictory {len(self.contradictory)}, "
            f"false {len(self.false)}, unasked {len(self.unasked)}, "
            f"leaked {len(self.leaked)}, duplicates {self.duplicates}; {counts}"
        )


def check(
    asked: Iterable[Asked],
    told: Iterable[Told],
    order: Callable[[str, str], BookOrder | None],
) -> Findings:
    """Compare what came out with what went in and with the book.

    `order` returns the book's order of a venue and id, None if there is none.
    """
    wanted = {one.message_id: one for one in asked}
    heard: dict[str, list[Told]] = {}
    for one in told:
        heard.setdefault(one.message_id, []).append(one)
    findings = Findings(lost=sorted(wanted.keys() - heard.keys()))
    for message_id, outcomes in heard.items():
        _check_one(findings, wanted.get(message_id), outcomes, order)
    return findings


def _check_one(
    findings: Findings,
    asked: Asked | None,
    outcomes: list[Told],
    order: Callable[[str, str], BookOrder | None],
) -> None:
    first = outcomes[0]
    if asked is None:
        findings.unasked.append(f"{first.message_id} {first.status}")
        return
    findings.duplicates += len(outcomes) - 1
    statuses = sorted({one.status for one in outcomes})
    findings.statuses.update([first.status])
    if len(statuses) > 1:
        findings.contradictory.append(f"{first.message_id} {' and '.join(statuses)}")
    if any(one.body.get("sent_by") == FORGED for one in outcomes):
        findings.false.append(f"{first.message_id}: sent_by is what its producer wrote")
    for status in statuses:
        why = falsehood(status, order(asked.venue, asked.id))
        if asked.is_place and status != "rejected":
            why = "no order is meant"
        if why:
            findings.false.append(f"{first.message_id} {status}: {why}")


def falsehood(status: str, order: BookOrder | None) -> str:
    """Return why a status cannot be true of an order on the book; "" if it can."""
    state = "absent" if order is None else order.state
    if status in UNPROVEN:
        return ""
    if status in ("canceled", "filled"):
        return "" if state == status else f"the book says {state}"
    if state in OPEN:
        return f"the book says {state}"
    if status == "closed" and order is None:
        return "there never was such an order"
    if order is not None and order.state == "filled" and _fill_is_on_record(order):
        return "the venue has a record of its fill"
    if status == "not_found" and order is not None and _on_record(order):
        return f"the venue has a record of it: {state}"
    return ""


def _fill_is_on_record(order: BookOrder) -> bool:
    return order.ord_type in ("limit", "market") and not order.purged


def _on_record(order: BookOrder) -> bool:
    return order.venue in KEEPS_RECORDS and not order.purged
