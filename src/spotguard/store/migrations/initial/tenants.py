"""Tables of the first revision, frozen: tenants. Written by scripts/freeze_initial_schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

clients = sa.Table(
    "clients",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("name", sa.String(length=255), nullable=False),
    sa.Column("email", sa.String(length=255), nullable=True),
    sa.Column("api_token", sa.String(length=64), nullable=True),
    sa.Column("executor", sa.String(length=20), nullable=False),
    sa.Column("max_instances", sa.Integer(), nullable=True),
    sa.Column("max_hourly_usd", Money(precision=12, scale=6), nullable=True),
    sa.Column("max_launches_per_hour", sa.Integer(), nullable=True),
    sa.Column("probe_usd_per_day", Money(precision=12, scale=6), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.CheckConstraint("executor IN ('agent', 'server')", name=sa.schema.conv("ck_executor_legal_clients")),
    sa.CheckConstraint(
        "max_instances >= 0 AND max_hourly_usd >= 0 AND max_launches_per_hour >= 0",
        name=sa.schema.conv("ck_caps_clients"),
    ),
    sa.CheckConstraint("probe_usd_per_day >= 0", name=sa.schema.conv("ck_probe_budget_clients")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_clients")),
    sa.UniqueConstraint("api_token", name=sa.schema.conv("uq_clients_api_token")),
    **MYSQL,
)

installations = sa.Table(
    "installations",
    frozen,
    sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
    sa.Column("name", sa.String(length=100), nullable=False),
    sa.Column("public_url", sa.String(length=500), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.CheckConstraint("id = 1", name=sa.schema.conv("ck_only_one_installations")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_installations")),
    **MYSQL,
)

kill_switches = sa.Table(
    "kill_switches",
    frozen,
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("scope", sa.String(length=36), nullable=False),
    sa.Column("level", sa.String(length=20), nullable=False),
    sa.Column("reason", sa.Text(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.CheckConstraint(
        "level IN ('none', 'voluntary', 'all')", name=sa.schema.conv("ck_level_legal_kill_switches")
    ),
    sa.PrimaryKeyConstraint("client_id", "scope", name=sa.schema.conv("pk_kill_switches")),
    **MYSQL,
)

cloud_accounts = sa.Table(
    "cloud_accounts",
    frozen,
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("region", sa.String(length=40), nullable=False),
    sa.Column("role_arn", sa.String(length=2048), nullable=True),
    sa.Column("external_id", sa.String(length=64), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_cloud_accounts_client_id")
    ),
    sa.PrimaryKeyConstraint("client_id", name=sa.schema.conv("pk_cloud_accounts")),
    sa.UniqueConstraint("external_id", name=sa.schema.conv("uq_cloud_accounts_external_id")),
    **MYSQL,
)

sessions = sa.Table(
    "sessions",
    frozen,
    sa.Column("secret_hash", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("api_token", sa.String(length=64), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("expires_at", UtcTime(), nullable=False),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_sessions_client_id")),
    sa.PrimaryKeyConstraint("secret_hash", name=sa.schema.conv("pk_sessions")),
    **MYSQL,
)

agent_tokens = sa.Table(
    "agent_tokens",
    frozen,
    sa.Column("token_hash", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("boot_id", sa.String(length=64), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("revoked_at", UtcTime(), nullable=True),
    sa.Column(
        "live_instance_id",
        sa.String(length=64),
        sa.Computed("CASE WHEN revoked_at IS NULL THEN instance_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_agent_tokens"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_agent_tokens_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_agent_tokens_client_id")),
    sa.PrimaryKeyConstraint("token_hash", name=sa.schema.conv("pk_agent_tokens")),
    sa.UniqueConstraint("live_instance_id", name=sa.schema.conv("uq_agent_tokens_live_instance_id")),
    **MYSQL,
)

enrolments = sa.Table(
    "enrolments",
    frozen,
    sa.Column("token_hash", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("drill_id", sa.String(length=36), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("expires_at", UtcTime(), nullable=False),
    sa.Column("used_at", UtcTime(), nullable=True),
    sa.Column("used_by_instance_id", sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_enrolments_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_enrolments_client_id")),
    sa.PrimaryKeyConstraint("token_hash", name=sa.schema.conv("pk_enrolments")),
    **MYSQL,
)
