"""Every table of schema version 2.0, and what the rulings added."""

from __future__ import annotations

from alembic import op

from spotguard.store.migrations.initial import drills, fleet, market, models, probes, record, tenants, work
from spotguard.store.migrations.initial.schema import frozen

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FILES = (tenants, market, fleet, work, record, drills, probes, models)  # importing them fills `frozen`


def upgrade() -> None:
    frozen.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    frozen.drop_all(op.get_bind(), checkfirst=False)
