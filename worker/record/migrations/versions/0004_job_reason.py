"""Why a job was sent, in its producer's words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; of what was recorded before, nothing is known."""
    op.add_column(
        "outcomes", sa.Column("job_reason", sa.String, nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop the column, and what it told."""
    op.drop_column("outcomes", "job_reason")
