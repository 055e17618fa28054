"""Whether a status is the truth of the sandbox's own book, and nothing less."""

from __future__ import annotations

from collections.abc import Mapping

#: What the book must say for each status; None is an id that the book does not hold.
ALLOWED: Mapping[str, frozenset[str | None]] = {
    "canceled": frozenset({"canceled"}),
    "filled": frozenset({"filled"}),
    # Of these the venue keeps no record, so that its look-ups cannot say more.
    "closed": frozenset({"canceled", "expired", "rejected"}),
    "not_found": frozenset({None, "canceled"}),
    "rejected": frozenset({None}),
}


def is_true(status: str, book: str | None) -> bool:
    """Say whether the book bears a status out; failed and unconfirmed are no answers here."""
    return book in ALLOWED.get(status, frozenset())
