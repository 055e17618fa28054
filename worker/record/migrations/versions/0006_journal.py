"""The journal: messages as they came, in a chain; what was recorded before is outside of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table, and have each row name its own there."""
    moment = sa.DateTime(timezone=True)
    words = ("kind", "routing_key", "body_sha256", "previous_sha256", "sha256")
    op.create_table(
        "journal",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.String, nullable=False) for name in words),
        sa.Column("finished_at", moment, nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_journal_body_sha256", "journal", ["body_sha256"], unique=True)
    op.create_index("ix_journal_finished_at", "journal", ["finished_at"])
    for table in ("outcomes", "reports"):
        op.add_column(table, sa.Column("number", sa.BigInteger))


def downgrade() -> None:
    """Drop the journal, and the proof with it."""
    for table in ("reports", "outcomes"):
        op.drop_column(table, "number")
    op.drop_table("journal")
