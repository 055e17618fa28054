"""The database of the record: opened by URL, written in batches, read by job, id and day."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.sql.dml import Insert

from worker.contract.outcome import rfc_3339
from worker.contract.report import SCHEMA_VERSION, ReportMessage, report_id
from worker.record import journal
from worker.record.read import Row
from worker.record.tables import OUTCOMES, RECEIPTS, REPORTS, UNREADABLE, Recorded

DEFAULT_URL = "sqlite:///record.sqlite3"
#: How long a connection may take, and a statement, and a silent peer, in seconds.
_CONNECT_S, _STATEMENT_S, _SILENCE_S = 5, 30, 15
#: How long SQLite waits for another writer, in seconds.
_LOCKED_S = 15.0
_ASK_AGAIN_S = 0.02
#: Any number will do, as long as all that write to this database take the same.
_JOURNAL_LOCK = 7_226_235_002


class RecordError(Exception):
    """The record cannot be opened; one line: why, and how to mend it."""


class DatabaseAway(Exception):
    """The database does not answer now; another try may succeed."""


class Store:
    """One database with the record in it."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        insert = (
            postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        )
        self._writes: dict[str, Insert] = {
            "outcomes": _newest_wins(insert(OUTCOMES)),
            "receipts": insert(RECEIPTS),
            "reports": _newest_report_wins(insert(REPORTS)),
            "unreadable": insert(UNREADABLE).on_conflict_do_nothing(),
        }

    @property
    def where(self) -> str:
        """The address without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows in one transaction; a message that is there already changes nothing.

        Each row goes to the end of the journal, too: so writers wait for each other.

        Raises:
            DatabaseAway: nothing was written; try again.
            ValueError: the database refuses one of the rows.
        """
        try:
            with self.engine.begin() as connection:
                lock(connection, _JOURNAL_LOCK)
                new = journal.append(connection, rows)
                for name, write in self._writes.items():
                    values = [values for table, values in new if table == name]
                    if values:
                        connection.execute(write, values)
        except (OperationalError, InterfaceError) as error:
            raise DatabaseAway(first_line(error)) from error
        except (DBAPIError, OverflowError) as error:
            away = isinstance(error, DBAPIError) and error.connection_invalidated
            raise (DatabaseAway if away else ValueError)(first_line(error)) from error

    def is_there(self) -> bool:
        """Say whether a record has been kept in this database.

        Raises:
            DatabaseAway: it does not answer.
        """
        if _is_missing_file(self.engine.url):
            return False
        with self.reading() as connection:
            return inspect(connection).has_table(OUTCOMES.name)

    def is_current(self) -> bool:
        """Say whether its tables are those of this version, or newer.

        Raises:
            DatabaseAway: it does not answer.
        """
        with self.reading() as connection:
            tables = inspect(connection)
            columns = {column["name"] for column in tables.get_columns(OUTCOMES.name)}
            return tables.has_table(RECEIPTS.name) and columns >= set(OUTCOMES.c.keys())

    def of_job(self, job_id: str) -> list[Recorded]:
        """Return what became of the ids of a job, in the order in which they ended."""
        return self._read(OUTCOMES.c.job_id == job_id)

    def of_id(self, order_id: str) -> list[Recorded]:
        """Return what became of an id in every job that named it, oldest first."""
        return self._read(OUTCOMES.c.id == order_id)

    def _read(self, which: ColumnElement[bool]) -> list[Recorded]:
        query = select(OUTCOMES).where(which).order_by(OUTCOMES.c.finished_at, OUTCOMES.c.id)
        with self.reading() as connection:
            found = connection.execute(query).mappings().all()
        return [Recorded(**row) for row in found]

    def report_on(self, job_id: str) -> ReportMessage | None:
        """Return the newest report on a job; None: it has none, yet."""
        query = select(REPORTS).where(REPORTS.c.job_id == job_id)
        with self.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _report(row) if row else None

    def receipts_for(self, job_id: str) -> list[RowMapping]:
        """Return who asked for a job, each time that a worker took or rejected it."""
        query = select(RECEIPTS).where(RECEIPTS.c.job_id == job_id).order_by(RECEIPTS.c.number)
        with self.reading() as connection:
            return list(connection.execute(query).mappings().all())

    def answers(self) -> None:
        """Check that the database answers.

        Raises:
            DatabaseAway: it does not answer.
        """
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection to read with.

        Raises:
            DatabaseAway: it does not answer.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise DatabaseAway(first_line(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def lock(connection: Connection, key: int) -> None:
    """Wait until no other transaction holds this lock; it is let go with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _newest_wins(insert: Any) -> Insert:
    """Return the write of an outcome.

    The same status again is a duplicate and changes nothing. A job that was sent again may
    be answered otherwise: then the later answer stands, with the earlier status beside it. But
    one by which nothing was asked of the venue tells nothing new of the order: it does not
    replace what the venue has shown.
    """
    table: Table = OUTCOMES
    given = insert.excluded
    changed = {c.name: given[c.name] for c in table.columns if not c.primary_key}
    changed["previous_status"] = table.c.status
    unasked = (given.status == "rejected") | (given.status == "failed")
    tells_nothing = unasked & (given.evidence == "none")
    written: Insert = insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_=changed,
        where=(given.status != table.c.status)
        & (given.finished_at > table.c.finished_at)
        & ~(tells_nothing & (table.c.evidence != "none")),
    )
    return written


def _newest_report_wins(insert: Any) -> Insert:
    """Return the write of a report: a job that is done again is reported again."""
    given = insert.excluded
    written: Insert = insert.on_conflict_do_update(
        index_elements=list(REPORTS.primary_key),
        set_={c.name: given[c.name] for c in REPORTS.columns if not c.primary_key},
        where=given.finished_at > REPORTS.c.finished_at,
    )
    return written


def _report(row: Mapping[Any, Any]) -> ReportMessage:
    said = {k: rfc_3339(v) if isinstance(v, datetime) else v for k, v in row.items()}
    own = {"schema_version": SCHEMA_VERSION, "message_id": report_id(row["job_id"])}
    return ReportMessage.model_validate(said | own)  # which leaves out the journal's number


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise RecordError(
                f"CANCEL_RECORD_URL: {parsed.drivername} is neither sqlite nor postgresql"
            )
        return _made(parsed)
    except ArgumentError:
        raise RecordError(
            "CANCEL_RECORD_URL: not a database URL; write it like sqlite:///record.sqlite3"
        ) from None
    except ModuleNotFoundError as error:
        raise RecordError(
            f"{error.name} is not installed; pip install 'cancel-worker[postgres]'"
        ) from None


def _made(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _LOCKED_S})
        event.listen(engine, "connect", _use_wal)
        return engine
    waits = {
        "connect_timeout": _CONNECT_S,
        "options": f"-c statement_timeout={_STATEMENT_S}s",
        "tcp_user_timeout": _SILENCE_S * 1000,
    }
    return create_engine(url, pool_pre_ping=True, connect_args=waits)


def _use_wal(connection: Any, _record: Any) -> None:
    """Let readers read while the record is written; a commit still reaches the disk.

    SQLite waits for a lock, but not for the one that changes the mode of a new file.
    """
    give_up = time.monotonic() + _LOCKED_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_ASK_AGAIN_S)
    connection.execute("PRAGMA synchronous=FULL")


def _is_missing_file(url: URL) -> bool:
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return in_file and not Path(str(url.database)).exists()


def first_line(error: BaseException) -> str:
    """Return the database's own words, in one line."""
    told = str(getattr(error, "orig", None) or error).strip()
    return told.splitlines()[0] if told else type(error).__name__
