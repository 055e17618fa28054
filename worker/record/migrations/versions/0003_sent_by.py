"""Who sent a job, as the broker checked it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; of what was recorded before, nothing is known."""
    op.add_column(
        "outcomes", sa.Column("sent_by", sa.String, nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop the column, and what it told."""
    op.drop_column("outcomes", "sent_by")
