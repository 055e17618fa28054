"""The first form of the record: outcomes by job and id, and messages that are none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    words = ("venue", "account", "symbol", "kind", "ord_type", "status", "reason")
    more = ("evidence", "venue_code", "text", "requested_by")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "outcomes",
        sa.Column("job_id", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in (*words, *more)),
        sa.Column("ord_status", sa.String),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("accepted_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("previous_status", sa.String, nullable=False, server_default=""),
    )
    op.create_index("ix_outcomes_id", "outcomes", ["id", "finished_at"])
    op.create_table(
        "unreadable",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("routing_key", sa.String, nullable=False),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables, and the record with them."""
    op.drop_table("unreadable")
    op.drop_table("outcomes")
