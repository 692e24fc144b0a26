"""Work: commands, switches with their steps, intentions (written before the call), signals, storage, leases."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import SyncStatus
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger
from spotguard.store.tables_meta import (
    MYSQL,
    created_at,
    instance_id,
    metadata,
    pool_id,
    ref,
    sentence,
    uuid,
    word,
)
from spotguard.store.types import Money, UtcTime, one_of, real_instance_id

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("instance_id", instance_id, nullable=False),  # who must execute it
    sa.Column("command_type", word, nullable=False),
    sa.Column("target_mode", sa.String(20)),
    sa.Column("target_pool_id", pool_id),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("terminate_wait_seconds", sa.Integer),
    sa.Column("status", sa.String(20), nullable=False, default=CommandStatus.PENDING.value),
    sa.Column("created_by", word, nullable=False),
    sa.Column("trigger_type", word),
    sa.Column("reason", sentence),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("message", sentence),
    sa.Column("lease_holder", instance_id),
    sa.Column("lease_until", UtcTime),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("epoch", sa.Integer),
    created_at(),
    sa.Column("leased_at", UtcTime),
    sa.Column("completed_at", UtcTime),
    sa.Column("expires_at", UtcTime, nullable=False),
    # one open command per agent that moves its workload: a second click is told to wait
    sa.Column(
        "open_switch_agent_id",
        sa.String(36),
        sa.Computed(
            "CASE WHEN command_type = 'switch' AND status IN ('pending', 'leased') THEN agent_id END"
        ),
        unique=True,
    ),
    sa.Index("idx_command_instance", "instance_id", "status"),
    sa.Index("idx_command_agent_time", "agent_id", "created_at"),
    one_of("command_type", CommandType),
    one_of("status", CommandStatus),
    one_of("created_by", CreatedBy),
    one_of("target_mode", Mode),
    real_instance_id("instance_id"),
    **MYSQL,
)

switches = sa.Table(
    "switches",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("command_id", uuid),
    sa.Column("old_instance_id", instance_id),
    sa.Column("old_instance_type", sa.String(32)),
    sa.Column("old_region", sa.String(32)),
    sa.Column("old_az", sa.String(32)),
    sa.Column("old_mode", sa.String(20)),
    sa.Column("old_pool_id", pool_id),
    sa.Column("old_ami_id", sa.String(64)),
    sa.Column("new_instance_id", instance_id),
    sa.Column("new_instance_type", sa.String(32)),
    sa.Column("new_region", sa.String(32)),
    sa.Column("new_az", sa.String(32)),
    sa.Column("new_mode", sa.String(20)),
    sa.Column("new_pool_id", pool_id),
    sa.Column("new_ami_id", sa.String(64)),
    sa.Column("on_demand_price", Money()),
    sa.Column("old_spot_price", Money()),
    sa.Column("new_spot_price", Money()),
    sa.Column("savings_impact", Money()),
    sa.Column("event_trigger", word, nullable=False),
    sa.Column("trigger_type", word, nullable=False),  # the same again (ruling S5): written, never read
    sa.Column("timing_data", sa.JSON, nullable=False),
    sa.Column("initiated_at", UtcTime),
    sa.Column("ami_created_at", UtcTime),
    sa.Column("instance_launched_at", UtcTime),
    sa.Column("instance_ready_at", UtcTime),
    sa.Column("old_terminated_at", UtcTime),
    created_at(),
    # how the move goes
    sa.Column("status", sa.String(20), nullable=False, default=SwitchStatus.PREPARING.value),
    sa.Column("kind", sa.String(20), nullable=False, default=MoveKind.SYNCED.value),
    sa.Column("is_recovery", sa.Boolean, nullable=False, default=False),  # the holder was dead when it began
    sa.Column("replica_id", uuid),
    sa.Column("from_epoch", sa.Integer),
    sa.Column("plan", sa.JSON, nullable=False),  # expected minutes, cost, candidates, because
    sa.Column("terminate_wait_seconds", sa.Integer),
    sa.Column("auto_terminate", sa.Boolean, nullable=False, default=True),
    sa.Column("deadline_at", UtcTime),
    sa.Column("ended_because", sentence),
    sa.Column("unwinding_since", UtcTime),  # given up, and its volumes are being brought back
    sa.Column("completed_at", UtcTime),
    sa.Column(
        "lost_seconds", Money(12, 3)
    ),  # the measured or bounded gap after an unheard death; NULL unknown
    # what the old instance has of the new one's state meanwhile, by its own measurement
    sa.Column("fallback_status", sa.String(20)),
    sa.Column("fallback_lag_ms", sa.BigInteger),
    sa.Column("fallback_position", sa.BigInteger),
    sa.Column("fallback_told_at", UtcTime),
    sa.Column(
        "open_agent_id",
        sa.String(36),
        sa.Computed("CASE WHEN status = 'preparing' THEN agent_id END"),
        unique=True,
    ),
    sa.Index("idx_client_time", "client_id", "initiated_at"),
    sa.Index("idx_switch_agent", "agent_id"),
    sa.Index("idx_old_instance", "old_instance_id"),
    sa.Index("idx_new_instance", "new_instance_id"),
    sa.Index("idx_switch_status", "status"),
    one_of("event_trigger", Trigger),
    one_of("status", SwitchStatus),
    one_of("kind", MoveKind),
    one_of("fallback_status", SyncStatus),
    one_of("old_mode", Mode),
    one_of("new_mode", Mode),
    real_instance_id("old_instance_id"),
    real_instance_id("new_instance_id"),
    **MYSQL,
)

switch_steps = sa.Table(
    "switch_steps",
    metadata,
    ref("switch_id", "switches.id", uuid),
    sa.Column("step", word, nullable=False),
    sa.Column("at", UtcTime, nullable=False),  # as who did it tells
    sa.Column(
        "recorded_at", UtcTime, nullable=False
    ),  # when the server heard of it: deadlines count from here
    sa.Column("actor", sa.String(64), nullable=False),  # 'server' or an instance id
    sa.Column("detail", sa.JSON, nullable=False),
    sa.PrimaryKeyConstraint("switch_id", "step"),  # a step happens once; said again, nothing changes
    one_of("step", Step),
    **MYSQL,
)

intentions = sa.Table(
    "intentions",
    metadata,
    # written and committed before the call that it names; the token is what EC2 is given
    sa.Column("token", sa.String(64), primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("kind", word, nullable=False),
    sa.Column("switch_id", uuid),
    sa.Column("replica_id", uuid),
    sa.Column("drill_id", uuid),
    sa.Column("probe_id", uuid),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("resource_id", sa.String(64)),
    sa.Column("error_code", sa.String(100)),
    sa.Column("hourly_usd", Money()),  # what it reserves of the spend cap while open
    sa.Column("voluntary", sa.Boolean, nullable=False),
    created_at(),
    sa.Column("closed_at", UtcTime),
    sa.Index("idx_intention_status", "status"),
    sa.Index("idx_intention_agent_time", "agent_id", "created_at"),
    sa.CheckConstraint("kind IN ('launch', 'fleet', 'image', 'snapshot', 'volume')", name="ck_kind_legal"),
    sa.CheckConstraint("status IN ('open', 'done', 'failed')", name="ck_status_legal"),
    **MYSQL,
)

spot_interruption_events = sa.Table(
    "spot_interruption_events",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("agent_id", "agents.id", uuid),
    sa.Column("instance_id", instance_id),
    sa.Column("signal_type", word, nullable=False),
    sa.Column("signal_time", UtcTime, nullable=False),
    sa.Column("action_time", UtcTime),
    sa.Column("detected_at", UtcTime, nullable=False),
    sa.Column("action", word, nullable=False),
    sa.Column("because", sentence),
    sa.Column("replica_id", uuid),
    sa.Column("switch_id", uuid),
    sa.Column("failover_completed", sa.Boolean, nullable=False, default=False),
    sa.Column("failover_completed_at", UtcTime),
    sa.Column("resolved_at", UtcTime),  # nothing more is owed to this signal
    created_at(),
    sa.UniqueConstraint("instance_id", "signal_type", "signal_time"),  # the same signal twice is one event
    sa.Index("idx_agent_time", "agent_id", "detected_at"),
    sa.Index("idx_signal_type", "signal_type"),
    one_of("signal_type", SignalType),
    real_instance_id("instance_id"),
    **MYSQL,
)

storage_resources = sa.Table(
    "storage_resources",
    metadata,
    # every volume, snapshot and image that carries our tags, as EC2 shows it
    sa.Column("id", sa.String(64), primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("az", sa.String(32)),
    sa.Column("size_gib", sa.Integer, nullable=False),
    sa.Column("source_id", sa.String(64)),  # a snapshot's volume, a volume's snapshot
    sa.Column("attached_to", instance_id),
    sa.Column("last_attached_to", instance_id),
    sa.Column("is_ours", sa.Boolean, nullable=False, default=True),  # False: its instance's owner's
    sa.Column("delete_with_instance", sa.Boolean, nullable=False, default=False),  # as its owner had set it
    sa.Column(
        "moved_from", instance_id
    ),  # whose state it held before it was attached to its present instance
    sa.Column("device", sa.String(64)),  # a volume's, as last attached: which one holds the state
    sa.Column("switch_id", uuid),
    sa.Column("purpose", sa.String(20)),  # as its tag says
    sa.Column("image_id", sa.String(64)),  # the image that owns a snapshot
    sa.Column(
        "is_partial", sa.Boolean
    ),  # of an image: it lacks a volume of its machine; NULL: not complete yet
    sa.Column("usd_per_gib_month", Money()),  # NULL for images: their snapshots are billed
    sa.Column("state", sa.String(20), nullable=False),
    created_at(),
    sa.Column("metered_from", UtcTime, nullable=False),
    sa.Column("metered_until", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column(
        "suspect_since", UtcTime
    ),  # looked like an orphan in an earlier pass (clean-up is slow: invariant 7)
    sa.Index("idx_storage_agent", "agent_id", "ended_at"),
    sa.CheckConstraint("kind IN ('volume', 'snapshot', 'image')", name="ck_kind_legal"),
    **MYSQL,
)

leases = sa.Table(
    "leases",
    metadata,
    # of coordinators, by compare-and-set; a convenience, never a proof: effects are made harmless by tokens
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("holder", sa.String(100), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("until", UtcTime, nullable=False),
    **MYSQL,
)
