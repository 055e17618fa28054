"""What was executed of an order, as the venue wrote it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; of what was recorded before, nothing is known."""
    op.add_column(
        "outcomes", sa.Column("cum_qty", sa.String, nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop the column, and what it told."""
    op.drop_column("outcomes", "cum_qty")
