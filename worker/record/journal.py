"""The journal in the database: messages are added to its end, and read again in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, insert, select

from worker.amqp import topology
from worker.record.chain import NOTHING_BEFORE, Check, Link, chained, check
from worker.record.read import Message, Row, read
from worker.record.tables import JOURNAL, OUTCOMES, RECEIPTS, REPORTS

#: Rows in memory at once.
_CHUNK = 1000
_COLUMNS = tuple(Link.__annotations__)
#: Tables whose rows name the row of the journal that they come from.
_NUMBERED: Mapping[str, Table] = {
    "outcomes": OUTCOMES,
    "receipts": RECEIPTS,
    "reports": REPORTS,
}
#: By what exchange messages came, by their kind; outcomes, and what is none, by any other.
_EXCHANGES = {"receipts": topology.RECEIPTS, "reports": topology.REPORTS}


def append(connection: Connection, rows: Iterable[Row]) -> list[tuple[str, Mapping[str, Any]]]:
    """Add what is new to the end; return tables, and the values for them.

    Nobody else may do so before this transaction ends.
    """
    new = {row.message.sha256: row for row in rows}
    there = select(JOURNAL.c.body_sha256).where(JOURNAL.c.body_sha256.in_(new))
    for body_sha256 in connection.scalars(there):
        del new[body_sha256]
    if not new:
        return []
    newest = JOURNAL.c.number.desc()
    end = select(JOURNAL.c.number, JOURNAL.c.sha256).order_by(newest).limit(1)
    last, head = connection.execute(end).one_or_none() or (0, NOTHING_BEFORE)
    links = list(chained(new.values(), last, head))
    # `asdict` would take half as long as all the rest.
    added = [{name: getattr(link, name) for name in _COLUMNS} for link in links]
    connection.execute(insert(JOURNAL), added)
    return [
        (
            row.table,
            {**row.values, **({"number": link.number} if row.table in _NUMBERED else {})},
        )
        for link, row in zip(links, new.values(), strict=True)
    ]


def links(
    connection: Connection, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Link]:
    """Yield the rows in their order: all, or those that finished between two times."""
    query = select(JOURNAL).order_by(JOURNAL.c.number)
    if since and until:
        finished_at = JOURNAL.c.finished_at
        query = query.where(finished_at >= since, finished_at < until)
    for row in connection.execute(query.execution_options(yield_per=_CHUNK)).mappings():
        yield _link(row)


def _link(row: Mapping[Any, Any], prefix: str = "") -> Link:
    values = {name: row[prefix + name] for name in _COLUMNS}
    body = values[
        "body"
    ]  # which somebody may have changed to a text, where the database is lax
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return Link(**values | {"body": raw})


def message_of(link: Link) -> Message:
    """Return the message of a row, to be read again."""
    return Message(link.body, link.routing_key, _EXCHANGES.get(link.kind, ""))


def checked(connection: Connection, kept_head: str = "") -> Check:
    """Check the whole chain, and then what stands in the other tables."""
    found = check(links(connection), kept_head)
    if not found.fault and (misfit := first_misfit(connection)):
        return replace(found, fault=misfit)
    return found


def outside(connection: Connection) -> int:
    """Count the outcomes that were recorded before there was a journal."""
    query = select(func.count()).select_from(OUTCOMES).where(OUTCOMES.c.number.is_(None))
    return connection.scalar(query) or 0


def first_misfit(connection: Connection) -> str:
    """Say which row of a table is not as its message in the journal says; "" if all are.

    What stands in their tables is what `status` and `explain` tell.
    """
    for name, table in _NUMBERED.items():
        try:
            row = next(_misfits(connection, name, table), None)
        except (TypeError, ValueError) as error:
            return f"a row of {name} was changed, and cannot be read: {error}"
        if row is not None:
            key = " ".join(str(row[column.name]) for column in table.primary_key)
            what = f"row {row['number']} of the journal"
            return f"the row of {key} in {name} was changed: {what} says otherwise"
    return ""


def _misfits(connection: Connection, name: str, table: Table) -> Iterator[RowMapping]:
    columns = [JOURNAL.c[each].label(f"journal_{each}") for each in _COLUMNS]
    joined = table.outerjoin(JOURNAL, table.c.number == JOURNAL.c.number)
    query = select(table, *columns).select_from(joined).where(table.c.number.is_not(None))
    for row in connection.execute(query.execution_options(yield_per=_CHUNK)).mappings():
        if row["journal_number"] is None:
            yield row
            continue
        link = _link(row, "journal_")
        found = read(message_of(link), link.recorded_at)
        if found.table != name or any(row[k] != v for k, v in found.values.items()):
            yield row
