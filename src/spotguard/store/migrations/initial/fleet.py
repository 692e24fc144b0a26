"""Tables of the first revision, frozen: fleet. Written by scripts/freeze_initial_schema.py."""
# ruff: noqa: E501 -- frozen SQL is not folded

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

agents = sa.Table(
    "agents",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("logical_agent_id", sa.String(length=255), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=True),
    sa.Column("instance_type", sa.String(length=32), nullable=True),
    sa.Column("region", sa.String(length=32), nullable=True),
    sa.Column("az", sa.String(length=32), nullable=True),
    sa.Column("ami_id", sa.String(length=64), nullable=True),
    sa.Column("current_mode", sa.String(length=20), nullable=True),
    sa.Column("current_pool_id", sa.String(length=128), nullable=True),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("agent_version", sa.String(length=32), nullable=True),
    sa.Column("hostname", sa.String(length=255), nullable=True),
    sa.Column("private_ip", sa.String(length=45), nullable=True),
    sa.Column("public_ip", sa.String(length=45), nullable=True),
    sa.Column("auto_switch_enabled", sa.Boolean(), nullable=False),
    sa.Column("manual_replica_enabled", sa.Boolean(), nullable=False),
    sa.Column("auto_terminate_enabled", sa.Boolean(), nullable=False),
    sa.Column("terminate_wait_seconds", sa.Integer(), nullable=False),
    sa.Column("replica_enabled", sa.Boolean(), nullable=False),
    sa.Column("replica_count", sa.Integer(), nullable=False),
    sa.Column("current_replica_id", sa.String(length=36), nullable=True),
    sa.Column("autonomy", sa.String(length=20), nullable=False),
    sa.Column("min_savings_percent", Money(precision=6, scale=2), nullable=False),
    sa.Column("max_switches_per_day", sa.Integer(), nullable=False),
    sa.Column("max_switches_per_week", sa.Integer(), nullable=False),
    sa.Column("min_pool_hours", Money(precision=8, scale=2), nullable=False),
    sa.Column("risk_threshold", Money(precision=6, scale=4), nullable=False),
    sa.Column("allowed_instance_types", sa.JSON(), nullable=False),
    sa.Column("allowed_azs", sa.JSON(), nullable=False),
    sa.Column("max_hourly_usd", Money(precision=12, scale=6), nullable=True),
    sa.Column("restore_point_hours", sa.Integer(), nullable=True),
    sa.Column("restore_points_kept", sa.Integer(), nullable=False),
    sa.Column("fence_after_minutes", sa.Integer(), nullable=True),
    sa.Column("restore_drill_days", sa.Integer(), nullable=False),
    sa.Column("minute_value_usd", Money(precision=12, scale=6), nullable=True),
    sa.Column("quarantine_group", sa.String(length=32), nullable=True),
    sa.Column("traffic", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("config_version", sa.Integer(), nullable=False),
    sa.Column("epoch", sa.Integer(), nullable=False),
    sa.Column("last_heartbeat_at", UtcTime(), nullable=True),
    sa.Column("last_interruption_signal", sa.String(length=50), nullable=True),
    sa.Column("instance_count", sa.Integer(), nullable=False),
    sa.Column("baseline_ondemand_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.Column("installed_at", UtcTime(), nullable=True),
    sa.Column("deleted_at", UtcTime(), nullable=True),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_agents"),
    ),
    sa.CheckConstraint(
        "autonomy IN ('observe', 'recommend', 'approve', 'auto')",
        name=sa.schema.conv("ck_autonomy_legal_agents"),
    ),
    sa.CheckConstraint(
        "current_mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_current_mode_legal_agents")
    ),
    sa.CheckConstraint(
        "status IN ('online', 'offline', 'switching', 'deleted')",
        name=sa.schema.conv("ck_status_legal_agents"),
    ),
    sa.CheckConstraint(
        "NOT (auto_switch_enabled AND manual_replica_enabled)",
        name=sa.schema.conv("ck_exclusive_modes_agents"),
    ),
    sa.CheckConstraint("fence_after_minutes > 0", name=sa.schema.conv("ck_fence_after_agents")),
    sa.CheckConstraint("max_hourly_usd >= 0", name=sa.schema.conv("ck_agent_cap_agents")),
    sa.CheckConstraint(
        "replica_count >= 0 AND instance_count >= 0 AND epoch >= 0", name=sa.schema.conv("ck_counts_agents")
    ),
    sa.CheckConstraint(
        "replica_enabled = manual_replica_enabled", name=sa.schema.conv("ck_replica_enabled_mirrors_agents")
    ),
    sa.CheckConstraint("restore_drill_days >= 0", name=sa.schema.conv("ck_restore_drills_agents")),
    sa.CheckConstraint(
        "restore_point_hours > 0 AND restore_points_kept > 0", name=sa.schema.conv("ck_restore_points_agents")
    ),
    sa.CheckConstraint(
        "terminate_wait_seconds BETWEEN 0 AND 86400", name=sa.schema.conv("ck_terminate_wait_agents")
    ),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_agents_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_agents")),
    sa.UniqueConstraint(
        "client_id", "logical_agent_id", name=sa.schema.conv("uq_agents_client_id_logical_agent_id")
    ),
    sa.Index("idx_client_status", "client_id", "status"),
    sa.Index("idx_heartbeat", "last_heartbeat_at"),
    sa.Index("idx_instance", "instance_id"),
    sa.Index("idx_logical_agent", "logical_agent_id"),
    **MYSQL,
)

epoch_grants = sa.Table(
    "epoch_grants",
    frozen,
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("epoch", sa.Integer(), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("granted_at", UtcTime(), nullable=False),
    sa.Column("served_since", UtcTime(), nullable=True),
    sa.Column("served_heard_at", UtcTime(), nullable=True),
    sa.Column("proof", sa.String(length=20), nullable=False),
    sa.Column("released_at", UtcTime(), nullable=True),
    sa.Column("ended_at", UtcTime(), nullable=True),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column(
        "held_agent_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN status = 'held' THEN agent_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_epoch_grants"),
    ),
    sa.CheckConstraint(
        "proof IN ('first', 'released', 'dead', 'vanished', 'volume-moved')",
        name=sa.schema.conv("ck_proof_legal_epoch_grants"),
    ),
    sa.CheckConstraint("status IN ('held', 'ended')", name=sa.schema.conv("ck_status_legal_epoch_grants")),
    sa.CheckConstraint("epoch >= 1", name=sa.schema.conv("ck_epoch_counts_epoch_grants")),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_epoch_grants_agent_id")),
    sa.PrimaryKeyConstraint("agent_id", "epoch", name=sa.schema.conv("pk_epoch_grants")),
    sa.UniqueConstraint("held_agent_id", name=sa.schema.conv("uq_epoch_grants_held_agent_id")),
    sa.Index("idx_grant_instance", "instance_id"),
    **MYSQL,
)

handover_tickets = sa.Table(
    "handover_tickets",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("epoch", sa.Integer(), nullable=False),
    sa.Column("from_instance_id", sa.String(length=64), nullable=False),
    sa.Column("to_instance_id", sa.String(length=64), nullable=False),
    sa.Column("to_boot_id", sa.String(length=64), nullable=False),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("issued_at", UtcTime(), nullable=False),
    sa.Column("acknowledged_at", UtcTime(), nullable=True),
    sa.Column("asked_back_at", UtcTime(), nullable=True),
    sa.Column("ended_at", UtcTime(), nullable=True),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column(
        "out_agent_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN status = 'out' THEN agent_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(from_instance_id LIKE 'i-________' OR from_instance_id LIKE 'i-_________________') AND from_instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_from_instance_id_real_handover_tickets"),
    ),
    sa.CheckConstraint(
        "(to_instance_id LIKE 'i-________' OR to_instance_id LIKE 'i-_________________') AND to_instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_to_instance_id_real_handover_tickets"),
    ),
    sa.CheckConstraint(
        "status IN ('out', 'used', 'destroyed', 'over')",
        name=sa.schema.conv("ck_status_legal_handover_tickets"),
    ),
    sa.CheckConstraint("epoch >= 2", name=sa.schema.conv("ck_ticket_epoch_handover_tickets")),
    sa.CheckConstraint(
        "from_instance_id <> to_instance_id", name=sa.schema.conv("ck_ticket_ends_handover_tickets")
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_handover_tickets_agent_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_handover_tickets")),
    sa.UniqueConstraint("out_agent_id", name=sa.schema.conv("uq_handover_tickets_out_agent_id")),
    sa.Index("idx_ticket_agent", "agent_id", "epoch"),
    sa.Index("idx_ticket_standby", "to_instance_id"),
    **MYSQL,
)

instances = sa.Table(
    "instances",
    frozen,
    sa.Column("id", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=True),
    sa.Column("instance_type", sa.String(length=32), nullable=True),
    sa.Column("region", sa.String(length=32), nullable=True),
    sa.Column("az", sa.String(length=32), nullable=True),
    sa.Column("az_id", sa.String(length=32), nullable=True),
    sa.Column("ami_id", sa.String(length=64), nullable=True),
    sa.Column("current_mode", sa.String(length=20), nullable=True),
    sa.Column("current_pool_id", sa.String(length=128), nullable=True),
    sa.Column("spot_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("ondemand_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("baseline_ondemand_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("is_active", sa.Boolean(), nullable=False),
    sa.Column("installed_at", UtcTime(), nullable=True),
    sa.Column("last_switch_at", UtcTime(), nullable=True),
    sa.Column("terminated_at", UtcTime(), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.Column("last_heartbeat_at", UtcTime(), nullable=True),
    sa.Column("heard_since", UtcTime(), nullable=True),
    sa.Column("hears", sa.Boolean(), nullable=False),
    sa.Column("deaf_since", UtcTime(), nullable=True),
    sa.Column("gate", sa.String(length=20), nullable=True),
    sa.Column("workload_healthy", sa.Boolean(), nullable=True),
    sa.Column("healthy_streak", sa.Integer(), nullable=False),
    sa.Column("can_sync", sa.Boolean(), nullable=True),
    sa.Column("has_traffic_script", sa.Boolean(), nullable=True),
    sa.Column("state_on_root", sa.Boolean(), nullable=True),
    sa.Column("state_volumes", sa.String(length=1000), nullable=True),
    sa.Column("claimed_epoch", sa.Integer(), nullable=True),
    sa.Column("claimed_boot", sa.String(length=64), nullable=True),
    sa.Column("boot_id", sa.String(length=64), nullable=True),
    sa.Column("hostname", sa.String(length=255), nullable=True),
    sa.Column("private_ip", sa.String(length=45), nullable=True),
    sa.Column("public_ip", sa.String(length=45), nullable=True),
    sa.Column("agent_version", sa.String(length=32), nullable=True),
    sa.Column("ec2_state", sa.String(length=20), nullable=True),
    sa.Column("hibernates", sa.Boolean(), nullable=True),
    sa.Column("seen_at", UtcTime(), nullable=True),
    sa.Column("absent_since", UtcTime(), nullable=True),
    sa.Column("absent_looks", sa.Integer(), nullable=False),
    sa.Column("launched_at", UtcTime(), nullable=True),
    sa.Column("ended_at", UtcTime(), nullable=True),
    sa.Column("end_reason", sa.String(length=20), nullable=True),
    sa.Column("metered_from", UtcTime(), nullable=True),
    sa.Column("metered_until", UtcTime(), nullable=True),
    sa.Column("intention_token", sa.String(length=64), nullable=True),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("drill_id", sa.String(length=36), nullable=True),
    sa.Column("probe_id", sa.String(length=36), nullable=True),
    sa.Column("suspect_since", UtcTime(), nullable=True),
    sa.CheckConstraint(
        "(id LIKE 'i-________' OR id LIKE 'i-_________________') AND id NOT LIKE '% %'",
        name=sa.schema.conv("ck_id_real_instances"),
    ),
    sa.CheckConstraint(
        "current_mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_current_mode_legal_instances")
    ),
    sa.CheckConstraint("gate IN ('open', 'closed')", name=sa.schema.conv("ck_gate_legal_instances")),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_instances_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_instances_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_instances")),
    sa.Index("idx_agent", "agent_id"),
    sa.Index("idx_client_active", "client_id", "is_active"),
    sa.Index("idx_mode", "current_mode"),
    **MYSQL,
)

replica_instances = sa.Table(
    "replica_instances",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=True),
    sa.Column("replica_type", sa.String(length=50), nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=True),
    sa.Column("mode", sa.String(length=20), nullable=False),
    sa.Column("instance_type", sa.String(length=32), nullable=True),
    sa.Column("region", sa.String(length=32), nullable=True),
    sa.Column("az", sa.String(length=32), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("launched_at", UtcTime(), nullable=True),
    sa.Column("ready_at", UtcTime(), nullable=True),
    sa.Column("promoted_at", UtcTime(), nullable=True),
    sa.Column("terminated_at", UtcTime(), nullable=True),
    sa.Column("status", sa.String(length=50), nullable=False),
    sa.Column("sync_status", sa.String(length=50), nullable=True),
    sa.Column("state_transfer_progress", Money(precision=5, scale=2), nullable=False),
    sa.Column("sync_latency_ms", sa.Integer(), nullable=True),
    sa.Column("position", sa.BigInteger(), nullable=True),
    sa.Column("synced_at", UtcTime(), nullable=True),
    sa.Column("reported_at", UtcTime(), nullable=True),
    sa.Column("is_active", sa.Boolean(), nullable=False),
    sa.Column("created_by", sa.String(length=50), nullable=True),
    sa.Column("parent_instance_id", sa.String(length=64), nullable=True),
    sa.Column("hourly_cost", Money(precision=12, scale=6), nullable=True),
    sa.Column("attempt", sa.Integer(), nullable=False),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column("is_outgoing", sa.Boolean(), nullable=False),
    sa.Column(
        "live_manual_agent_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN is_active AND NOT is_outgoing AND replica_type = 'manual' THEN agent_id END"),
        nullable=True,
    ),
    sa.Column(
        "live_instance_id",
        sa.String(length=64),
        sa.Computed("CASE WHEN is_active THEN instance_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_replica_instances"),
    ),
    sa.CheckConstraint(
        "is_active = (status IN ('launching', 'syncing', 'ready'))",
        name=sa.schema.conv("ck_active_is_live_replica_instances"),
    ),
    sa.CheckConstraint(
        "mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_mode_legal_replica_instances")
    ),
    sa.CheckConstraint(
        "replica_type IN ('manual', 'automatic-rebalance', 'automatic-termination')",
        name=sa.schema.conv("ck_replica_type_legal_replica_instances"),
    ),
    sa.CheckConstraint(
        "status IN ('launching', 'syncing', 'ready', 'promoted', 'terminated', 'failed')",
        name=sa.schema.conv("ck_status_legal_replica_instances"),
    ),
    sa.CheckConstraint(
        "status NOT IN ('ready', 'promoted') OR instance_id IS NOT NULL",
        name=sa.schema.conv("ck_ready_is_somewhere_replica_instances"),
    ),
    sa.CheckConstraint(
        "sync_status IN ('initializing', 'syncing', 'synced', 'out-of-sync')",
        name=sa.schema.conv("ck_sync_status_legal_replica_instances"),
    ),
    sa.CheckConstraint(
        "state_transfer_progress BETWEEN 0 AND 100", name=sa.schema.conv("ck_progress_replica_instances")
    ),
    sa.ForeignKeyConstraint(
        ["agent_id"], ["agents.id"], name=sa.schema.conv("fk_replica_instances_agent_id")
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_replica_instances")),
    sa.UniqueConstraint("live_instance_id", name=sa.schema.conv("uq_replica_instances_live_instance_id")),
    sa.UniqueConstraint(
        "live_manual_agent_id", name=sa.schema.conv("uq_replica_instances_live_manual_agent_id")
    ),
    sa.Index("idx_agent_active", "agent_id", "is_active"),
    sa.Index("idx_status", "status"),
    sa.Index("idx_type", "replica_type"),
    **MYSQL,
)

instance_runs = sa.Table(
    "instance_runs",
    frozen,
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("launched_at", UtcTime(), nullable=False),
    sa.Column("metered_from", UtcTime(), nullable=False),
    sa.Column("ended_at", UtcTime(), nullable=False),
    sa.ForeignKeyConstraint(
        ["instance_id"], ["instances.id"], name=sa.schema.conv("fk_instance_runs_instance_id")
    ),
    sa.PrimaryKeyConstraint("instance_id", "launched_at", name=sa.schema.conv("pk_instance_runs")),
    **MYSQL,
)

instance_shapes = sa.Table(
    "instance_shapes",
    frozen,
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("shape", sa.JSON(), nullable=False),
    sa.Column("seen_at", UtcTime(), nullable=False),
    sa.ForeignKeyConstraint(
        ["instance_id"], ["instances.id"], name=sa.schema.conv("fk_instance_shapes_instance_id")
    ),
    sa.PrimaryKeyConstraint("instance_id", name=sa.schema.conv("pk_instance_shapes")),
    **MYSQL,
)
