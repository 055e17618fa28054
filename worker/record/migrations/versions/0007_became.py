"""The order that a conditional order became when it fired."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_OUTCOMES = sa.table("outcomes", sa.column("number", sa.BigInteger), sa.column("became"))
_JOURNAL = sa.table(
    "journal", sa.column("number", sa.BigInteger), sa.column("kind"), sa.column("body")
)
#: Rows in memory at once.
_CHUNK = 1000


def upgrade() -> None:
    """Add the column, and fill it with what the journal has from newer workers."""
    op.add_column("outcomes", sa.Column("became", sa.String, nullable=False, server_default=""))
    connection = op.get_bind()
    query = sa.select(_JOURNAL.c.number, _JOURNAL.c.body)
    query = query.where(_JOURNAL.c.kind == "outcomes").execution_options(yield_per=_CHUNK)
    told = [
        (number, json.loads(body).get("became"))
        for number, body in connection.execute(query)
        if b'"became"' in bytes(body)
    ]
    for number, became in told:
        if became:
            of_row = sa.update(_OUTCOMES).where(_OUTCOMES.c.number == number)
            connection.execute(of_row.values(became=became))


def downgrade() -> None:
    """Drop the column; the journal keeps what it told."""
    op.drop_column("outcomes", "became")
