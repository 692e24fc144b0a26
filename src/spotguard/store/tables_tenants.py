"""Tenants: clients, the tokens of their instances, what may be spent, what is stopped."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.store.tables_meta import (
    MYSQL,
    created_at,
    instance_id,
    metadata,
    ref,
    sentence,
    updated_at,
    uuid,
)
from spotguard.store.types import Money, UtcTime, one_of, real_instance_id

clients = sa.Table(
    "clients",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("email", sa.String(255)),
    sa.Column("api_token", sa.String(64), unique=True),  # SHA-256 hex of the token (ruling S4)
    sa.Column("executor", sa.String(20), nullable=False, default=Executor.AGENT.value),
    sa.Column("max_instances", sa.Integer),
    sa.Column("max_hourly_usd", Money()),
    sa.Column("max_launches_per_hour", sa.Integer),
    sa.Column("probe_usd_per_day", Money(), nullable=False, default=0),  # 0: no launch is made only to look
    created_at(),
    updated_at(),
    one_of("executor", Executor),
    sa.CheckConstraint(
        "max_instances >= 0 AND max_hourly_usd >= 0 AND max_launches_per_hour >= 0", name="ck_caps"
    ),
    sa.CheckConstraint("probe_usd_per_day >= 0", name="ck_probe_budget"),
    **MYSQL,
)

cloud_accounts = sa.Table(
    "cloud_accounts",
    metadata,
    # where a client's instances live; without a role they are reached with the credentials of the server itself
    sa.Column("client_id", uuid, sa.ForeignKey("clients.id"), primary_key=True),
    sa.Column("region", sa.String(40), nullable=False),
    sa.Column("role_arn", sa.String(2048)),
    sa.Column("external_id", sa.String(64), nullable=False, unique=True),
    created_at(),
    updated_at(),
    **MYSQL,
)

agent_tokens = sa.Table(
    "agent_tokens",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("instance_id", instance_id, nullable=False),
    sa.Column("boot_id", sa.String(64), nullable=False),
    created_at(),
    sa.Column("revoked_at", UtcTime),
    # one live token per instance: registering again revokes the former
    sa.Column(
        "live_instance_id",
        sa.String(64),
        sa.Computed("CASE WHEN revoked_at IS NULL THEN instance_id END"),
        unique=True,
    ),
    real_instance_id("instance_id"),
    **MYSQL,
)

sessions = sa.Table(
    "sessions",
    metadata,
    # a browser that signed in; it stands while the token that it was opened with does
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    ref("client_id", "clients.id", uuid),
    sa.Column("api_token", sa.String(64), nullable=False),
    created_at(),
    sa.Column("expires_at", UtcTime, nullable=False),
    **MYSQL,
)

enrolments = sa.Table(
    "enrolments",
    metadata,
    # a single-use credential that travels in a launch's user data and can do nothing but register that instance
    sa.Column("token_hash", sa.String(64), primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("switch_id", uuid),
    sa.Column("replica_id", uuid),
    sa.Column("drill_id", uuid),
    created_at(),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("used_at", UtcTime),
    sa.Column("used_by_instance_id", instance_id),
    **MYSQL,
)

kill_switches = sa.Table(
    "kill_switches",
    metadata,
    # scope: '*' for the whole installation, 'client', or an agent's id
    sa.Column("client_id", uuid, primary_key=True),  # '*' with scope '*'
    sa.Column("scope", sa.String(36), primary_key=True),
    sa.Column("level", sa.String(20), nullable=False),
    sa.Column("reason", sentence, nullable=False),
    updated_at(),
    sa.CheckConstraint("level IN ('none', 'voluntary', 'all')", name="ck_level_legal"),
    **MYSQL,
)

installations = sa.Table(
    "installations",
    metadata,
    # one row, that every process of this installation reads: the tag on everything it makes, and where agents find it
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("public_url", sa.String(500), nullable=False),
    updated_at(),
    sa.CheckConstraint("id = 1", name="ck_only_one"),
    **MYSQL,
)
