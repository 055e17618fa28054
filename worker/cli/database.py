"""How the command line opens the record."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from worker.cli.output import Problem
from worker.record.store import RecordError, Store

Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="CANCEL_RECORD_URL", show_envvar=True, help="Address of the database."
    ),
]


def open_store(url: str) -> Store:
    """Open the database of the record.

    Raises:
        Problem: its address is no good.
    """
    try:
        return Store(url)
    except RecordError as error:
        raise Problem(str(error), os.EX_CONFIG) from None
