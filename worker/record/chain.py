"""The chain of the journal: what makes a change of what was recorded show. Pure.

Each row of the journal carries the SHA-256 of the row before it and its own: that of a JSON
object, in one line of ASCII, with its keys sorted and no space between its words,

    {"body_sha256":"…","finished_at":"…","kind":"…","number":8,"previous_sha256":"…",
     "recorded_at":"…","routing_key":"…"}

`number` counts from 1, and is the only number. Times are UTC, as 2026-11-28T09:30:00.000000Z.
`body_sha256` is that of the message, byte for byte as it came; `previous_sha256` is the row
before's own, and 64 zeros in the first row. Other characters than ASCII are written as JSON's
escapes, hashes in lower-case hexadecimal digits.

It shows a row that was changed, taken out or put in. Rows cut off at the end, and a chain that
was written anew as a whole, only show against a hash that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from worker.record.read import Row, storable

#: What the first row has in place of the SHA-256 of a row before it.
NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One row of the journal: a message as it came, and its place in the chain."""

    number: int
    kind: str  # the table that has its values: outcomes, receipts, reports or unreadable
    #: As the message says; of a receipt `accepted_at`; where there is none, when recorded.
    finished_at: datetime
    recorded_at: datetime
    routing_key: str
    body: bytes
    body_sha256: str
    previous_sha256: str
    sha256: str = ""

    def own_sha256(self) -> str:
        """Return what its SHA-256 has to be."""
        said = {
            "number": self.number,
            "kind": self.kind,
            "finished_at": _time(self.finished_at),
            "recorded_at": _time(self.recorded_at),
            "routing_key": self.routing_key,
            "body_sha256": self.body_sha256,
            "previous_sha256": self.previous_sha256,
        }
        return _sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())


@dataclass(frozen=True, slots=True)
class Check:
    """So many rows of a chain fit, and what is wrong with the first that does not.

    `fault` is empty where all fit; `head` is the SHA-256 of the last one that does.
    """

    rows: int
    began_at: datetime | None
    ended_at: datetime | None
    head: str
    fault: str


def chained(rows: Iterable[Row], last: int, head: str) -> Iterator[Link]:
    """Yield the links of new rows after the row of number `last`, whose SHA-256 is `head`."""
    for number, row in enumerate(rows, last + 1):
        link = Link(
            number=number,
            kind=row.table,
            finished_at=_when(row),
            recorded_at=row.recorded_at,
            routing_key=storable(row.message.routing_key),
            body=row.message.body,
            body_sha256=row.message.sha256,
            previous_sha256=head,
        )
        head = link.own_sha256()
        yield replace(link, sha256=head)


def _when(row: Row) -> datetime:
    said = (row.values.get(name) for name in ("finished_at", "accepted_at"))
    return next((moment for moment in said if moment), row.recorded_at)


def check(links: Iterable[Link], kept_head: str = "") -> Check:
    """Say whether each link fits to the one before, up to the first that does not.

    `kept_head`: the SHA-256 of a row that was there at an earlier time.
    """
    last: Link | None = None
    began_at, fault, unseen = None, "", kept_head.lower()
    try:
        for link in links:
            fault = _fault(last, link)
            if fault:
                break
            began_at, last = began_at or link.recorded_at, link
            if link.sha256 == unseen:
                unseen = ""
    except (TypeError, ValueError) as error:  # as where a time is no time any more
        fault = f"a row after row {last.number if last else 0} cannot be read: {error}"
    if unseen and not fault:
        fault = (
            f"no row has the SHA-256 {unseen}: the rows up to it were cut off, or all was "
            "written anew"
        )
    rows, head = (last.number, last.sha256) if last else (0, NOTHING_BEFORE)
    return Check(rows, began_at, last.recorded_at if last else None, head, fault)


def _fault(last: Link | None, link: Link) -> str:
    before, head = (last.number, last.sha256) if last else (0, NOTHING_BEFORE)
    if link.number > before + 1:
        missing = f"row {before + 1} is"
        if link.number > before + 2:
            missing = f"rows {before + 1} to {link.number - 1} are"
        return f"{missing} missing"
    if _sha256(link.body) != link.body_sha256:
        return f"row {link.number} was changed: its message has another SHA-256"
    if link.own_sha256() != link.sha256:
        return f"row {link.number} was changed: it has another SHA-256 than it carries"
    if link.previous_sha256 != head:
        return (
            f"row {link.number} does not follow row {before}: it names another SHA-256 for it, "
            "so a row was put in, taken out or written anew there"
        )
    return ""


def _time(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
