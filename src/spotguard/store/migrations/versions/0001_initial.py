"""Every table of schema version 2.0, and what the rulings added."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from spotguard.domain.errors import Refused
from spotguard.store.migrations.initial import drills, fleet, market, models, probes, record, tenants, work
from spotguard.store.migrations.initial.schema import frozen

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FILES = (tenants, market, fleet, work, record, drills, probes, models)  # importing them fills `frozen`


def upgrade() -> None:
    _clear_what_was_cut_off(op.get_bind())
    frozen.create_all(op.get_bind(), checkfirst=False)


def _clear_what_was_cut_off(connection: Connection) -> None:
    """DDL commits by itself on MySQL: an upgrade that was cut off leaves some of the tables, and nobody writes to them
    before it is done.
    """
    names = set(sa.inspect(connection).get_table_names())
    there = [table for table in frozen.sorted_tables if table.name in names]
    filled = [table.name for table in there if connection.execute(sa.select(table).limit(1)).first()]
    if filled:
        raise Refused(
            f"the database has rows in {', '.join(filled)} and tells no revision: it is neither fresh nor whole. Name "
            "an empty one, or put back a backup with its table alembic_version"
        )
    frozen.drop_all(connection, tables=there, checkfirst=False)


def downgrade() -> None:
    frozen.drop_all(op.get_bind(), checkfirst=False)
