"""Alembic's environment: the connection is given by `spotguard.store.migrations.upgrade`."""

from __future__ import annotations

from alembic import context

from spotguard.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
context.run_migrations()
