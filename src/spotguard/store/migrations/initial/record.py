"""Tables of the first revision, frozen: record. Written by scripts/freeze_initial_schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

foundlings = sa.Table(
    "foundlings",
    frozen,
    sa.Column("id", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=True),
    sa.Column("kind", sa.String(length=50), nullable=False),
    sa.Column("account", sa.String(length=64), nullable=False),
    sa.Column("agent_tag", sa.String(length=256), nullable=True),
    sa.Column("made_at", UtcTime(), nullable=False),
    sa.Column("usd_per_month", Money(precision=12, scale=6), nullable=True),
    sa.Column("told_at", UtcTime(), nullable=True),
    sa.Column("missed_at", UtcTime(), nullable=True),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_foundlings_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_foundlings")),
    **MYSQL,
)

agent_events = sa.Table(
    "agent_events",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=True),
    sa.Column("at", UtcTime(), nullable=False),
    sa.Column("kind", sa.String(length=50), nullable=False),
    sa.Column("message", sa.Text(), nullable=False),
    sa.Column("detail", sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_agent_events_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_agent_events_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_agent_events")),
    sa.Index("idx_event_agent_time", "agent_id", "at"),
    sa.Index("idx_event_client", "client_id", "id"),
    **MYSQL,
)

decisions = sa.Table(
    "decisions",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("decided_at", UtcTime(), nullable=False),
    sa.Column("policy", sa.String(length=64), nullable=False),
    sa.Column("verdict", sa.String(length=50), nullable=False),
    sa.Column("aim", sa.String(length=50), nullable=True),
    sa.Column("target_mode", sa.String(length=20), nullable=True),
    sa.Column("target_pool_id", sa.String(length=128), nullable=True),
    sa.Column("because", sa.Text(), nullable=False),
    sa.Column("inputs", sa.JSON(), nullable=False),
    sa.Column("command_id", sa.String(length=36), nullable=True),
    sa.CheckConstraint(
        "verdict IN ('stay', 'move', 'recommend', 'await_approval', 'refused')",
        name=sa.schema.conv("ck_verdict_legal_decisions"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_decisions_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_decisions_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_decisions")),
    sa.Index("idx_decision_agent_time", "agent_id", "decided_at"),
    **MYSQL,
)

ledger_entries = sa.Table(
    "ledger_entries",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("kind", sa.String(length=50), nullable=False),
    sa.Column("resource_id", sa.String(length=64), nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=True),
    sa.Column("from_at", UtcTime(), nullable=False),
    sa.Column("to_at", UtcTime(), nullable=False),
    sa.Column("quantity", Money(precision=18, scale=6), nullable=False),
    sa.Column("rate_usd", Money(precision=12, scale=6), nullable=False),
    sa.Column("usd", Money(precision=18, scale=9), nullable=False),
    sa.CheckConstraint(
        "kind IN ('compute', 'replica', 'overlap', 'probe', 'storage', 'ondemand', 'waived', 'unpriced')",
        name=sa.schema.conv("ck_kind_legal_ledger_entries"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_ledger_entries_agent_id")),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_ledger_entries_client_id")
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_ledger_entries")),
    sa.UniqueConstraint(
        "resource_id", "kind", "from_at", name=sa.schema.conv("uq_ledger_entries_resource_id_kind_from_at")
    ),
    sa.Index("idx_ledger_agent_time", "agent_id", "from_at"),
    sa.Index("idx_ledger_client_time", "client_id", "from_at"),
    **MYSQL,
)
