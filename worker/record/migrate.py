"""Brings the tables of the record to their newest form."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from worker.record.store import DatabaseAway, Store, first_line, lock

_SCRIPTS = Path(__file__).parent / "migrations"
#: Any number will do, as long as all that migrate this database take the same.
_LOCK = 7_226_235_001


def migrate(store: Store, revision: str = "head") -> None:
    """Run the migrations that are due; two that start at once wait for each other.

    Raises:
        DatabaseAway: it does not answer; try again.
    """
    try:
        with store.engine.begin() as connection:
            lock(connection, _LOCK)
            command.upgrade(config(connection), revision)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(first_line(error)) from error


def config(connection: Connection) -> Config:
    """Return Alembic's settings for a connection."""
    found = Config()
    found.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    found.attributes["connection"] = connection
    return found
