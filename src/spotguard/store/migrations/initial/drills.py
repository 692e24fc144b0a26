"""Tables of the first revision, frozen: drills. Written by scripts/freeze_initial_schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

drills = sa.Table(
    "drills",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("kind", sa.String(length=50), nullable=False),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("created_by", sa.String(length=50), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("deadline_at", UtcTime(), nullable=False),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("made_replica", sa.Boolean(), nullable=False),
    sa.Column("image_id", sa.String(length=64), nullable=True),
    sa.Column("image_made_at", UtcTime(), nullable=True),
    sa.Column("instance_id", sa.String(length=64), nullable=True),
    sa.Column("command_id", sa.String(length=36), nullable=True),
    sa.Column("launched_at", UtcTime(), nullable=True),
    sa.Column("healthy_at", UtcTime(), nullable=True),
    sa.Column("seconds", Money(precision=12, scale=3), nullable=True),
    sa.Column("outage_seconds", Money(precision=12, scale=3), nullable=True),
    sa.Column("state_age_seconds", Money(precision=12, scale=3), nullable=True),
    sa.Column("lost_seconds", Money(precision=12, scale=3), nullable=True),
    sa.Column("judged_passed", sa.Boolean(), nullable=True),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column("completed_at", UtcTime(), nullable=True),
    sa.Column(
        "open_agent_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN status IN ('waiting', 'running', 'ending') THEN agent_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_drills"),
    ),
    sa.CheckConstraint(
        "created_by IN ('user', 'coordinator', 'engine', 'system')",
        name=sa.schema.conv("ck_created_by_legal_drills"),
    ),
    sa.CheckConstraint("kind IN ('failover', 'restore')", name=sa.schema.conv("ck_kind_legal_drills")),
    sa.CheckConstraint(
        "status IN ('waiting', 'running', 'ending', 'passed', 'failed')",
        name=sa.schema.conv("ck_status_legal_drills"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_drills_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_drills_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_drills")),
    sa.UniqueConstraint("open_agent_id", name=sa.schema.conv("uq_drills_open_agent_id")),
    sa.Index("idx_drill_agent_time", "agent_id", "created_at"),
    sa.Index("idx_drill_status", "status"),
    **MYSQL,
)

salvages = sa.Table(
    "salvages",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("switch_id", sa.String(length=36), nullable=False),
    sa.Column("volume_id", sa.String(length=64), nullable=True),
    sa.Column("copy_id", sa.String(length=64), nullable=True),
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("command_id", sa.String(length=36), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("deadline_at", UtcTime(), nullable=False),
    sa.Column("compared", sa.Boolean(), nullable=True),
    sa.Column("files", sa.BigInteger(), nullable=True),
    sa.Column("bytes", sa.BigInteger(), nullable=True),
    sa.Column("newest_at", UtcTime(), nullable=True),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column("completed_at", UtcTime(), nullable=True),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_salvages"),
    ),
    sa.CheckConstraint(
        "status IN ('copying', 'waiting', 'attached', 'detaching', 'offered', 'failed')",
        name=sa.schema.conv("ck_status_legal_salvages"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_salvages_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_salvages_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_salvages")),
    sa.UniqueConstraint("switch_id", name=sa.schema.conv("uq_salvages_switch_id")),
    sa.Index("idx_salvage_agent", "agent_id", "created_at"),
    sa.Index("idx_salvage_status", "status"),
    **MYSQL,
)
