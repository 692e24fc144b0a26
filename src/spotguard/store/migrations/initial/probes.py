"""Tables of the first revision, frozen: probes. Written by scripts/freeze_initial_schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

probes = sa.Table(
    "probes",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=False),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("deadline_at", UtcTime(), nullable=False),
    sa.Column("image_id", sa.String(length=64), nullable=False),
    sa.Column("usd_per_hour", Money(precision=12, scale=6), nullable=False),
    sa.Column("usd", Money(precision=18, scale=9), nullable=False),
    sa.Column("worth_usd", Money(precision=12, scale=6), nullable=False),
    sa.Column("because", sa.Text(), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=True),
    sa.Column("up", sa.Boolean(), nullable=True),
    sa.Column("answer", sa.Text(), nullable=True),
    sa.Column("completed_at", UtcTime(), nullable=True),
    sa.Column(
        "open_client_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN status IN ('waiting', 'ending') THEN client_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_probes"),
    ),
    sa.CheckConstraint(
        "status IN ('waiting', 'ending', 'over')", name=sa.schema.conv("ck_status_legal_probes")
    ),
    sa.CheckConstraint("usd >= 0 AND usd_per_hour > 0", name=sa.schema.conv("ck_probe_costs_probes")),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_probes_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_probes_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_probes")),
    sa.UniqueConstraint("open_client_id", name=sa.schema.conv("uq_probes_open_client_id")),
    sa.Index("idx_probe_client_time", "client_id", "created_at"),
    sa.Index("idx_probe_status", "status"),
    **MYSQL,
)
