"""Reports on whole jobs, and which orders a scope found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table and add the column; of what was recorded before, nothing is known."""
    op.add_column("outcomes", sa.Column("found_by", sa.String))
    words = ("venue", "account", "priority", "result", "requested_by", "sent_by", "reason")
    lists = ("counts", "proof", "resting", "unread", "left_out", "tags", "unknown_fields")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "reports",
        sa.Column("job_id", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in words),
        sa.Column("scope", sa.JSON),
        sa.Column("hold_s", sa.Float),
        sa.Column("accepted_at", moment, nullable=False),
        sa.Column("first_sent_at", moment),
        sa.Column("last_sent_at", moment),
        sa.Column("finished_at", moment, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("resting_count", sa.Integer, nullable=False),
        *(sa.Column(name, sa.JSON, nullable=False) for name in lists),
    )


def downgrade() -> None:
    """Drop both, and what they told."""
    op.drop_table("reports")
    op.drop_column("outcomes", "found_by")
