"""The fleet: logical agents, their instances, their standby replicas, and who holds which epoch."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, Autonomy
from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.replicas import ReplicaStatus, ReplicaType, SyncStatus
from spotguard.domain.tickets import TicketStatus
from spotguard.store.tables_meta import (
    MYSQL,
    created_at,
    instance_id,
    metadata,
    pool_id,
    ref,
    sentence,
    updated_at,
    uuid,
    word,
)
from spotguard.store.types import Money, UtcTime, one_of, real_instance_id

agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    sa.Column("logical_agent_id", sa.String(255), nullable=False),
    sa.Column("instance_id", instance_id),
    sa.Column("instance_type", sa.String(32)),
    sa.Column("region", sa.String(32)),
    sa.Column("az", sa.String(32)),
    sa.Column("ami_id", sa.String(64)),
    sa.Column("current_mode", sa.String(20)),
    sa.Column("current_pool_id", pool_id),
    # state
    sa.Column("status", sa.String(20), nullable=False, default=AgentStatus.ONLINE.value),
    sa.Column("enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("agent_version", sa.String(32)),
    sa.Column("hostname", sa.String(255)),
    sa.Column("private_ip", sa.String(45)),
    sa.Column("public_ip", sa.String(45)),
    # protection
    sa.Column("auto_switch_enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("manual_replica_enabled", sa.Boolean, nullable=False, default=False),
    sa.Column("auto_terminate_enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("terminate_wait_seconds", sa.Integer, nullable=False, default=1800),
    sa.Column("replica_enabled", sa.Boolean, nullable=False, default=False),
    sa.Column("replica_count", sa.Integer, nullable=False, default=0),
    sa.Column("current_replica_id", uuid),
    sa.Column("autonomy", sa.String(20), nullable=False, default=Autonomy.OBSERVE.value),
    # guard-rails
    sa.Column("min_savings_percent", Money(6, 2), nullable=False, default=5),
    sa.Column("max_switches_per_day", sa.Integer, nullable=False, default=3),
    sa.Column("max_switches_per_week", sa.Integer, nullable=False, default=10),
    sa.Column("min_pool_hours", Money(8, 2), nullable=False, default=2),
    sa.Column("risk_threshold", Money(6, 4), nullable=False),
    sa.Column("allowed_instance_types", sa.JSON, nullable=False),
    sa.Column("allowed_azs", sa.JSON, nullable=False),
    sa.Column("max_hourly_usd", Money()),
    # restore points: NULL makes none
    sa.Column("restore_point_hours", sa.Integer),
    sa.Column("restore_points_kept", sa.Integer, nullable=False, default=3),
    sa.Column("fence_after_minutes", sa.Integer),  # NULL: a primary that hangs is never ended
    # the newest of them is booted in quarantine every so many days; 0: never
    sa.Column("restore_drill_days", sa.Integer, nullable=False, default=7),
    # what a minute of downtime is worth to its user; NULL: ten times its on-demand price
    sa.Column("minute_value_usd", Money()),
    sa.Column("quarantine_group", sa.String(32)),  # security group of those clones; NULL: the original's own
    sa.Column("traffic", sa.JSON(none_as_null=True)),  # the route to the workload; NULL: none is configured
    sa.Column("config_version", sa.Integer, nullable=False, default=1),
    # primacy: the number of the epoch that was granted last; who holds it stands in epoch_grants
    sa.Column("epoch", sa.Integer, nullable=False, default=0),
    # monitoring
    sa.Column("last_heartbeat_at", UtcTime),
    sa.Column("last_interruption_signal", word),
    sa.Column("instance_count", sa.Integer, nullable=False, default=0),
    sa.Column("baseline_ondemand_price", Money()),
    created_at(),
    updated_at(),
    sa.Column("installed_at", UtcTime),
    sa.Column("deleted_at", UtcTime),
    sa.UniqueConstraint("client_id", "logical_agent_id"),
    sa.Index("idx_client_status", "client_id", "status"),
    sa.Index("idx_logical_agent", "logical_agent_id"),
    sa.Index("idx_instance", "instance_id"),
    sa.Index("idx_heartbeat", "last_heartbeat_at"),
    one_of("status", AgentStatus),
    one_of("autonomy", Autonomy),
    one_of("current_mode", Mode),
    real_instance_id("instance_id"),
    sa.CheckConstraint("NOT (auto_switch_enabled AND manual_replica_enabled)", name="ck_exclusive_modes"),
    sa.CheckConstraint("replica_enabled = manual_replica_enabled", name="ck_replica_enabled_mirrors"),
    sa.CheckConstraint("terminate_wait_seconds BETWEEN 0 AND 86400", name="ck_terminate_wait"),
    sa.CheckConstraint("restore_point_hours > 0 AND restore_points_kept > 0", name="ck_restore_points"),
    sa.CheckConstraint("fence_after_minutes > 0", name="ck_fence_after"),
    sa.CheckConstraint("restore_drill_days >= 0", name="ck_restore_drills"),
    sa.CheckConstraint("max_hourly_usd >= 0", name="ck_agent_cap"),
    sa.CheckConstraint("replica_count >= 0 AND instance_count >= 0 AND epoch >= 0", name="ck_counts"),
    **MYSQL,
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", instance_id, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid, nullable=True),
    sa.Column("instance_type", sa.String(32)),
    sa.Column("region", sa.String(32)),
    sa.Column("az", sa.String(32)),
    sa.Column("az_id", sa.String(32)),
    sa.Column("ami_id", sa.String(64)),
    # mode and pricing
    sa.Column("current_mode", sa.String(20)),
    sa.Column("current_pool_id", pool_id),
    sa.Column("spot_price", Money()),
    sa.Column("ondemand_price", Money()),
    sa.Column("baseline_ondemand_price", Money()),
    # lifecycle
    sa.Column("is_active", sa.Boolean, nullable=False, default=True),
    sa.Column("installed_at", UtcTime),
    sa.Column("last_switch_at", UtcTime),
    sa.Column("terminated_at", UtcTime),
    created_at(),
    updated_at(),
    # presence, per instance (ruling S15)
    sa.Column("last_heartbeat_at", UtcTime),
    sa.Column(
        "heard_since", UtcTime
    ),  # the first heartbeat of an unbroken row, none two minutes after another
    sa.Column("hears", sa.Boolean, nullable=False, default=False),  # the answer to this boot's registration
    sa.Column("deaf_since", UtcTime),  # while it does not: the first registration that it heard no answer to
    sa.Column("gate", sa.String(20)),
    sa.Column("workload_healthy", sa.Boolean),
    sa.Column("healthy_streak", sa.Integer, nullable=False, default=0),
    sa.Column("can_sync", sa.Boolean),  # its agent's word; NULL: it has not said
    sa.Column("has_traffic_script", sa.Boolean),  # the same
    sa.Column("state_on_root", sa.Boolean),  # the same
    sa.Column(
        "state_volumes", sa.String(1000)
    ),  # the same: all on which the state lies; empty: it could not say
    sa.Column("claimed_epoch", sa.Integer),  # what it says it holds and no row granted it; NULL: nothing
    sa.Column("claimed_boot", sa.String(64)),  # in which it said so
    sa.Column("boot_id", sa.String(64)),
    sa.Column("hostname", sa.String(255)),
    sa.Column("private_ip", sa.String(45)),
    sa.Column("public_ip", sa.String(45)),
    sa.Column("agent_version", sa.String(32)),
    # what EC2 says, as last seen
    sa.Column("ec2_state", sa.String(20)),
    sa.Column("hibernates", sa.Boolean),  # hibernation is configured: a stop proves no death (ruling B4)
    sa.Column("seen_at", UtcTime),  # in the newest look that showed it
    sa.Column(
        "absent_since", UtcTime
    ),  # first look of an unbroken row of looks that did not show it (ruling B4)
    sa.Column("absent_looks", sa.Integer, nullable=False, default=0),
    sa.Column("launched_at", UtcTime),  # billing begins
    sa.Column("ended_at", UtcTime),  # billing stops
    sa.Column("end_reason", sa.String(20)),
    sa.Column(
        "metered_from", UtcTime
    ),  # enrolment of an instance that was not launched by us, else launched_at
    sa.Column("metered_until", UtcTime),  # the ledger has settled up to here
    sa.Column("intention_token", sa.String(64)),
    sa.Column("switch_id", uuid),
    sa.Column("replica_id", uuid),
    sa.Column("drill_id", uuid),  # a clone in quarantine: it never holds an epoch
    sa.Column("probe_id", uuid),  # launched only to look at its pool: nor does it
    sa.Column("suspect_since", UtcTime),  # nothing referred to it in an earlier look (invariant 7)
    sa.Index("idx_client_active", "client_id", "is_active"),
    sa.Index("idx_agent", "agent_id"),
    sa.Index("idx_mode", "current_mode"),
    one_of("current_mode", Mode),
    one_of("gate", GateState),
    real_instance_id("id"),
    **MYSQL,
)

instance_shapes = sa.Table(
    "instance_shapes",
    metadata,
    # what a clone must keep, as EC2 showed it last: it is needed when EC2 shows the instance no more
    sa.Column("instance_id", instance_id, sa.ForeignKey("instances.id"), primary_key=True),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    **MYSQL,
)

instance_runs = sa.Table(
    "instance_runs",
    metadata,
    # runs that are over of instances that were stopped and started again: EC2 bills each; the newest is in `instances`
    ref("instance_id", "instances.id", instance_id),
    sa.Column("launched_at", UtcTime, nullable=False),
    sa.Column("metered_from", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("instance_id", "launched_at"),
    **MYSQL,
)

replica_instances = sa.Table(
    "replica_instances",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("agent_id", "agents.id", uuid),
    sa.Column("instance_id", instance_id),  # NULL until EC2 has named a real one (ruling S9)
    sa.Column("replica_type", word, nullable=False),
    sa.Column("pool_id", pool_id),
    sa.Column("mode", sa.String(20), nullable=False, default=Mode.SPOT.value),
    sa.Column("instance_type", sa.String(32)),
    sa.Column("region", sa.String(32)),
    sa.Column("az", sa.String(32)),
    created_at(),
    sa.Column("launched_at", UtcTime),
    sa.Column("ready_at", UtcTime),
    sa.Column("promoted_at", UtcTime),
    sa.Column("terminated_at", UtcTime),
    sa.Column("status", word, nullable=False, default=ReplicaStatus.LAUNCHING.value),
    sa.Column("sync_status", word),
    sa.Column("state_transfer_progress", Money(5, 2), nullable=False, default=0),
    sa.Column("sync_latency_ms", sa.Integer),
    sa.Column("position", sa.BigInteger),  # newest complete pass
    sa.Column("synced_at", UtcTime),  # when that was measured
    sa.Column("reported_at", UtcTime),  # when the newest report was measured, whatever it said
    sa.Column("is_active", sa.Boolean, nullable=False, default=True),
    sa.Column("created_by", word),
    sa.Column("parent_instance_id", instance_id),
    sa.Column("hourly_cost", Money()),
    sa.Column("attempt", sa.Integer, nullable=False, default=1),
    sa.Column("because", sentence),
    sa.Column(
        "is_outgoing", sa.Boolean, nullable=False, default=False
    ),  # until a pass has reached its successor
    # one live manual replica per agent: NULL is free, so that only live manual rows compete
    sa.Column(
        "live_manual_agent_id",
        sa.String(36),
        sa.Computed("CASE WHEN is_active AND NOT is_outgoing AND replica_type = 'manual' THEN agent_id END"),
        unique=True,
    ),
    # and a machine stands by for one of them
    sa.Column(
        "live_instance_id",
        sa.String(64),
        sa.Computed("CASE WHEN is_active THEN instance_id END"),
        unique=True,
    ),
    sa.Index("idx_agent_active", "agent_id", "is_active"),
    sa.Index("idx_status", "status"),
    sa.Index("idx_type", "replica_type"),
    one_of("replica_type", ReplicaType),
    one_of("status", ReplicaStatus),
    one_of("sync_status", SyncStatus),
    one_of("mode", Mode),
    real_instance_id("instance_id"),
    sa.CheckConstraint(
        "status NOT IN ('ready', 'promoted') OR instance_id IS NOT NULL", name="ck_ready_is_somewhere"
    ),
    sa.CheckConstraint("state_transfer_progress BETWEEN 0 AND 100", name="ck_progress"),
    sa.CheckConstraint("is_active = (status IN ('launching', 'syncing', 'ready'))", name="ck_active_is_live"),
    **MYSQL,
)

epoch_grants = sa.Table(
    "epoch_grants",
    metadata,
    ref("agent_id", "agents.id", uuid),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("instance_id", instance_id, nullable=False),
    sa.Column("switch_id", uuid),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("granted_at", UtcTime, nullable=False),
    # by its ticket it opened before the server heard of that: from when on, and when the server was told
    sa.Column("served_since", UtcTime),
    sa.Column("served_heard_at", UtcTime),
    sa.Column("proof", sa.String(20), nullable=False),  # why the former epoch was over
    sa.Column("released_at", UtcTime),  # the holder's own word; never taken back
    sa.Column("ended_at", UtcTime),
    sa.Column("because", sentence),
    sa.PrimaryKeyConstraint("agent_id", "epoch"),  # one grant per epoch
    sa.Index("idx_grant_instance", "instance_id"),
    # and one holder at a time
    sa.Column(
        "held_agent_id",
        sa.String(36),
        sa.Computed("CASE WHEN status = 'held' THEN agent_id END"),
        unique=True,
    ),
    one_of("status", GrantStatus),
    one_of("proof", Proof),
    sa.CheckConstraint("epoch >= 1", name="ck_epoch_counts"),
    real_instance_id("instance_id"),
    **MYSQL,
)

handover_tickets = sa.Table(
    "handover_tickets",
    metadata,
    # who may be handed the next epoch by its holder, the server being away (ruling B4a)
    sa.Column("id", uuid, primary_key=True),
    ref("agent_id", "agents.id", uuid),
    sa.Column("epoch", sa.Integer, nullable=False),  # the one that it gives
    sa.Column("from_instance_id", instance_id, nullable=False),
    sa.Column("to_instance_id", instance_id, nullable=False),
    sa.Column("to_boot_id", sa.String(64), nullable=False),
    sa.Column("replica_id", uuid),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("issued_at", UtcTime, nullable=False),
    sa.Column("acknowledged_at", UtcTime),  # its holder has said that it has it
    sa.Column("asked_back_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("because", sentence),
    # one is out at a time: NULL is free
    sa.Column(
        "out_agent_id",
        sa.String(36),
        sa.Computed("CASE WHEN status = 'out' THEN agent_id END"),
        unique=True,
    ),
    sa.Index("idx_ticket_agent", "agent_id", "epoch"),
    sa.Index("idx_ticket_standby", "to_instance_id"),
    one_of("status", TicketStatus),
    sa.CheckConstraint("epoch >= 2", name="ck_ticket_epoch"),
    sa.CheckConstraint("from_instance_id <> to_instance_id", name="ck_ticket_ends"),
    real_instance_id("from_instance_id"),
    real_instance_id("to_instance_id"),
    **MYSQL,
)
