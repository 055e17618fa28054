"""Runs the migrations on the connection that `record.migrate` hands over."""

from __future__ import annotations

from alembic import context

from worker.record.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
