"""Tables of the first revision, frozen: work. Written by scripts/freeze_initial_schema.py."""
# ruff: noqa: E501 -- frozen SQL is not folded

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

leases = sa.Table(
    "leases",
    frozen,
    sa.Column("name", sa.String(length=100), nullable=False),
    sa.Column("holder", sa.String(length=100), nullable=False),
    sa.Column("epoch", sa.Integer(), nullable=False),
    sa.Column("until", UtcTime(), nullable=False),
    sa.PrimaryKeyConstraint("name", name=sa.schema.conv("pk_leases")),
    **MYSQL,
)

commands = sa.Table(
    "commands",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=False),
    sa.Column("command_type", sa.String(length=50), nullable=False),
    sa.Column("target_mode", sa.String(length=20), nullable=True),
    sa.Column("target_pool_id", sa.String(length=128), nullable=True),
    sa.Column("priority", sa.Integer(), nullable=False),
    sa.Column("terminate_wait_seconds", sa.Integer(), nullable=True),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("created_by", sa.String(length=50), nullable=False),
    sa.Column("trigger_type", sa.String(length=50), nullable=True),
    sa.Column("reason", sa.Text(), nullable=True),
    sa.Column("payload", sa.JSON(), nullable=False),
    sa.Column("result", sa.JSON(), nullable=True),
    sa.Column("message", sa.Text(), nullable=True),
    sa.Column("lease_holder", sa.String(length=64), nullable=True),
    sa.Column("lease_until", UtcTime(), nullable=True),
    sa.Column("attempt", sa.Integer(), nullable=False),
    sa.Column("epoch", sa.Integer(), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("leased_at", UtcTime(), nullable=True),
    sa.Column("completed_at", UtcTime(), nullable=True),
    sa.Column("expires_at", UtcTime(), nullable=False),
    sa.Column(
        "open_switch_agent_id",
        sa.String(length=36),
        sa.Computed(
            "CASE WHEN command_type = 'switch' AND status IN ('pending', 'leased') THEN agent_id END"
        ),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_commands"),
    ),
    sa.CheckConstraint(
        "command_type IN ('switch', 'launch_replica', 'terminate_instance', 'promote', 'retire_replica', 'drill', 'compare_state')",
        name=sa.schema.conv("ck_command_type_legal_commands"),
    ),
    sa.CheckConstraint(
        "created_by IN ('user', 'coordinator', 'engine', 'system')",
        name=sa.schema.conv("ck_created_by_legal_commands"),
    ),
    sa.CheckConstraint(
        "status IN ('pending', 'leased', 'completed', 'failed', 'refused', 'expired', 'cancelled')",
        name=sa.schema.conv("ck_status_legal_commands"),
    ),
    sa.CheckConstraint(
        "target_mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_target_mode_legal_commands")
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_commands_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_commands_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_commands")),
    sa.UniqueConstraint("open_switch_agent_id", name=sa.schema.conv("uq_commands_open_switch_agent_id")),
    sa.Index("idx_command_agent_time", "agent_id", "created_at"),
    sa.Index("idx_command_instance", "instance_id", "status"),
    **MYSQL,
)

intentions = sa.Table(
    "intentions",
    frozen,
    sa.Column("token", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("kind", sa.String(length=50), nullable=False),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("drill_id", sa.String(length=36), nullable=True),
    sa.Column("probe_id", sa.String(length=36), nullable=True),
    sa.Column("request", sa.JSON(), nullable=False),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("resource_id", sa.String(length=64), nullable=True),
    sa.Column("error_code", sa.String(length=100), nullable=True),
    sa.Column("hourly_usd", Money(precision=12, scale=6), nullable=True),
    sa.Column("voluntary", sa.Boolean(), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("closed_at", UtcTime(), nullable=True),
    sa.CheckConstraint(
        "kind IN ('launch', 'fleet', 'image', 'snapshot', 'volume')",
        name=sa.schema.conv("ck_kind_legal_intentions"),
    ),
    sa.CheckConstraint(
        "status IN ('open', 'done', 'failed')", name=sa.schema.conv("ck_status_legal_intentions")
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_intentions_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_intentions_client_id")),
    sa.PrimaryKeyConstraint("token", name=sa.schema.conv("pk_intentions")),
    sa.Index("idx_intention_agent_time", "agent_id", "created_at"),
    sa.Index("idx_intention_status", "status"),
    **MYSQL,
)

spot_interruption_events = sa.Table(
    "spot_interruption_events",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("instance_id", sa.String(length=64), nullable=True),
    sa.Column("signal_type", sa.String(length=50), nullable=False),
    sa.Column("signal_time", UtcTime(), nullable=False),
    sa.Column("action_time", UtcTime(), nullable=True),
    sa.Column("detected_at", UtcTime(), nullable=False),
    sa.Column("action", sa.String(length=50), nullable=False),
    sa.Column("because", sa.Text(), nullable=True),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("failover_completed", sa.Boolean(), nullable=False),
    sa.Column("failover_completed_at", UtcTime(), nullable=True),
    sa.Column("resolved_at", UtcTime(), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.CheckConstraint(
        "(instance_id LIKE 'i-________' OR instance_id LIKE 'i-_________________') AND instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_instance_id_real_spot_interruption_events"),
    ),
    sa.CheckConstraint(
        "signal_type IN ('rebalance-recommendation', 'instance-termination')",
        name=sa.schema.conv("ck_signal_type_legal_spot_interruption_events"),
    ),
    sa.ForeignKeyConstraint(
        ["agent_id"], ["agents.id"], name=sa.schema.conv("fk_spot_interruption_events_agent_id")
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_spot_interruption_events")),
    sa.UniqueConstraint(
        "instance_id",
        "signal_type",
        "signal_time",
        name=sa.schema.conv("uq_spot_interruption_events_instance_id_signal_type_signal_time"),
    ),
    sa.Index("idx_agent_time", "agent_id", "detected_at"),
    sa.Index("idx_signal_type", "signal_type"),
    **MYSQL,
)

storage_resources = sa.Table(
    "storage_resources",
    frozen,
    sa.Column("id", sa.String(length=64), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("kind", sa.String(length=20), nullable=False),
    sa.Column("az", sa.String(length=32), nullable=True),
    sa.Column("size_gib", sa.Integer(), nullable=False),
    sa.Column("source_id", sa.String(length=64), nullable=True),
    sa.Column("attached_to", sa.String(length=64), nullable=True),
    sa.Column("last_attached_to", sa.String(length=64), nullable=True),
    sa.Column("is_ours", sa.Boolean(), nullable=False),
    sa.Column("delete_with_instance", sa.Boolean(), nullable=False),
    sa.Column("moved_from", sa.String(length=64), nullable=True),
    sa.Column("device", sa.String(length=64), nullable=True),
    sa.Column("switch_id", sa.String(length=36), nullable=True),
    sa.Column("purpose", sa.String(length=20), nullable=True),
    sa.Column("image_id", sa.String(length=64), nullable=True),
    sa.Column("is_partial", sa.Boolean(), nullable=True),
    sa.Column("usd_per_gib_month", Money(precision=12, scale=6), nullable=True),
    sa.Column("state", sa.String(length=20), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("metered_from", UtcTime(), nullable=False),
    sa.Column("metered_until", UtcTime(), nullable=True),
    sa.Column("ended_at", UtcTime(), nullable=True),
    sa.Column("suspect_since", UtcTime(), nullable=True),
    sa.CheckConstraint(
        "kind IN ('volume', 'snapshot', 'image')", name=sa.schema.conv("ck_kind_legal_storage_resources")
    ),
    sa.ForeignKeyConstraint(
        ["agent_id"], ["agents.id"], name=sa.schema.conv("fk_storage_resources_agent_id")
    ),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_storage_resources_client_id")
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_storage_resources")),
    sa.Index("idx_storage_agent", "agent_id", "ended_at"),
    **MYSQL,
)

switches = sa.Table(
    "switches",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("command_id", sa.String(length=36), nullable=True),
    sa.Column("old_instance_id", sa.String(length=64), nullable=True),
    sa.Column("old_instance_type", sa.String(length=32), nullable=True),
    sa.Column("old_region", sa.String(length=32), nullable=True),
    sa.Column("old_az", sa.String(length=32), nullable=True),
    sa.Column("old_mode", sa.String(length=20), nullable=True),
    sa.Column("old_pool_id", sa.String(length=128), nullable=True),
    sa.Column("old_ami_id", sa.String(length=64), nullable=True),
    sa.Column("new_instance_id", sa.String(length=64), nullable=True),
    sa.Column("new_instance_type", sa.String(length=32), nullable=True),
    sa.Column("new_region", sa.String(length=32), nullable=True),
    sa.Column("new_az", sa.String(length=32), nullable=True),
    sa.Column("new_mode", sa.String(length=20), nullable=True),
    sa.Column("new_pool_id", sa.String(length=128), nullable=True),
    sa.Column("new_ami_id", sa.String(length=64), nullable=True),
    sa.Column("on_demand_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("old_spot_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("new_spot_price", Money(precision=12, scale=6), nullable=True),
    sa.Column("savings_impact", Money(precision=12, scale=6), nullable=True),
    sa.Column("event_trigger", sa.String(length=50), nullable=False),
    sa.Column("trigger_type", sa.String(length=50), nullable=False),
    sa.Column("timing_data", sa.JSON(), nullable=False),
    sa.Column("initiated_at", UtcTime(), nullable=True),
    sa.Column("ami_created_at", UtcTime(), nullable=True),
    sa.Column("instance_launched_at", UtcTime(), nullable=True),
    sa.Column("instance_ready_at", UtcTime(), nullable=True),
    sa.Column("old_terminated_at", UtcTime(), nullable=True),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("status", sa.String(length=20), nullable=False),
    sa.Column("kind", sa.String(length=20), nullable=False),
    sa.Column("is_recovery", sa.Boolean(), nullable=False),
    sa.Column("replica_id", sa.String(length=36), nullable=True),
    sa.Column("from_epoch", sa.Integer(), nullable=True),
    sa.Column("plan", sa.JSON(), nullable=False),
    sa.Column("terminate_wait_seconds", sa.Integer(), nullable=True),
    sa.Column("auto_terminate", sa.Boolean(), nullable=False),
    sa.Column("deadline_at", UtcTime(), nullable=True),
    sa.Column("ended_because", sa.Text(), nullable=True),
    sa.Column("unwinding_since", UtcTime(), nullable=True),
    sa.Column("completed_at", UtcTime(), nullable=True),
    sa.Column("lost_seconds", Money(precision=12, scale=3), nullable=True),
    sa.Column("fallback_status", sa.String(length=20), nullable=True),
    sa.Column("fallback_lag_ms", sa.BigInteger(), nullable=True),
    sa.Column("fallback_position", sa.BigInteger(), nullable=True),
    sa.Column("fallback_told_at", UtcTime(), nullable=True),
    sa.Column(
        "open_agent_id",
        sa.String(length=36),
        sa.Computed("CASE WHEN status = 'preparing' THEN agent_id END"),
        nullable=True,
    ),
    sa.CheckConstraint(
        "(new_instance_id LIKE 'i-________' OR new_instance_id LIKE 'i-_________________') AND new_instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_new_instance_id_real_switches"),
    ),
    sa.CheckConstraint(
        "(old_instance_id LIKE 'i-________' OR old_instance_id LIKE 'i-_________________') AND old_instance_id NOT LIKE '% %'",
        name=sa.schema.conv("ck_old_instance_id_real_switches"),
    ),
    sa.CheckConstraint(
        "event_trigger IN ('auto_switch', 'manual', 'emergency', 'rebalance')",
        name=sa.schema.conv("ck_event_trigger_legal_switches"),
    ),
    sa.CheckConstraint(
        "fallback_status IN ('initializing', 'syncing', 'synced', 'out-of-sync')",
        name=sa.schema.conv("ck_fallback_status_legal_switches"),
    ),
    sa.CheckConstraint(
        "kind IN ('synced', 'volume', 'image', 'snapshot')", name=sa.schema.conv("ck_kind_legal_switches")
    ),
    sa.CheckConstraint("new_mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_new_mode_legal_switches")),
    sa.CheckConstraint("old_mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_old_mode_legal_switches")),
    sa.CheckConstraint(
        "status IN ('preparing', 'committed', 'completed', 'unwound', 'failed')",
        name=sa.schema.conv("ck_status_legal_switches"),
    ),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_switches_agent_id")),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_switches_client_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_switches")),
    sa.UniqueConstraint("open_agent_id", name=sa.schema.conv("uq_switches_open_agent_id")),
    sa.Index("idx_client_time", "client_id", "initiated_at"),
    sa.Index("idx_new_instance", "new_instance_id"),
    sa.Index("idx_old_instance", "old_instance_id"),
    sa.Index("idx_switch_agent", "agent_id"),
    sa.Index("idx_switch_status", "status"),
    **MYSQL,
)

switch_steps = sa.Table(
    "switch_steps",
    frozen,
    sa.Column("switch_id", sa.String(length=36), nullable=False),
    sa.Column("step", sa.String(length=50), nullable=False),
    sa.Column("at", UtcTime(), nullable=False),
    sa.Column("recorded_at", UtcTime(), nullable=False),
    sa.Column("actor", sa.String(length=64), nullable=False),
    sa.Column("detail", sa.JSON(), nullable=False),
    sa.CheckConstraint(
        "step IN ('decided', 'launched', 'enrolled', 'synced', 'gate_closed', 'delta_sent', 'imaged', 'snapshotted', 'volumes_moved', 'released', 'granted', 'opened', 'traffic_moved', 'verified', 'old_ended', 'pruned')",
        name=sa.schema.conv("ck_step_legal_switch_steps"),
    ),
    sa.ForeignKeyConstraint(["switch_id"], ["switches.id"], name=sa.schema.conv("fk_switch_steps_switch_id")),
    sa.PrimaryKeyConstraint("switch_id", "step", name=sa.schema.conv("pk_switch_steps")),
    **MYSQL,
)
