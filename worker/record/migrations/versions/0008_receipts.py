"""Receipts: who asked for what; and what cancel-alls claim, which no report said before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; of jobs that were recorded before, nothing is known."""
    words = ["job_id", "venue", "account", "priority", "answer", "requested_by", "sent_by"]
    words += ["reason", "rejected_reason", "rejected_detail", "message_sha256"]
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "receipts",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.String, nullable=False) for name in words),
        *(
            sa.Column(name, sa.JSON, nullable=False)
            for name in ("ids", "tags", "unknown_fields")
        ),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("ids_count", "message_bytes")
        ),
        sa.Column("scope", sa.JSON),
        sa.Column("hold_s", sa.Float),
        sa.Column("accepted_at", moment, nullable=False),
        sa.Column("deadline", moment),
    )
    claims = sa.Column("cancel_alls", sa.JSON, nullable=False, server_default="[]")
    op.add_column("reports", claims)
    op.create_index("ix_receipts_job_id", "receipts", ["job_id"])
    op.create_index("ix_receipts_accepted_at", "receipts", ["accepted_at"])


def downgrade() -> None:
    """Drop the table; the journal still has what was in it."""
    op.drop_column("reports", "cancel_alls")
    op.drop_table("receipts")
