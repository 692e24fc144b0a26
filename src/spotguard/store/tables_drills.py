"""Rehearsals and what they proved."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.commands import CreatedBy
from spotguard.domain.drills import DrillKind, DrillStatus
from spotguard.domain.salvages import SalvageStatus
from spotguard.store.tables_meta import MYSQL, created_at, instance_id, metadata, ref, sentence, uuid, word
from spotguard.store.types import Money, UtcTime, one_of, real_instance_id

drills = sa.Table(
    "drills",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("kind", word, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("created_by", word, nullable=False),
    created_at(),
    sa.Column("deadline_at", UtcTime, nullable=False),
    sa.Column("switch_id", uuid),  # the move that a failover is
    sa.Column("replica_id", uuid),  # to which standby; one that was made for the drill is bound by spend caps
    sa.Column("made_replica", sa.Boolean, nullable=False, default=False),
    sa.Column("image_id", sa.String(64)),  # the restore point that is booted
    sa.Column("image_made_at", UtcTime),
    sa.Column("instance_id", instance_id),  # the clone in quarantine
    sa.Column("command_id", uuid),  # that asks it to open its gate for a probe
    sa.Column("launched_at", UtcTime),
    sa.Column("healthy_at", UtcTime),  # first healthy serving, or the first healthy probe
    # what was measured; NULL where it was not
    sa.Column("seconds", Money(12, 3)),  # from the start (failover) or the launch (restore) until then
    sa.Column("outage_seconds", Money(12, 3)),  # in which nobody served
    sa.Column("state_age_seconds", Money(12, 3)),  # of what was booted, when its clone was launched
    sa.Column("lost_seconds", Money(12, 3)),
    sa.Column("judged_passed", sa.Boolean),  # the verdict, while what was made is being ended
    sa.Column("because", sentence),
    sa.Column("completed_at", UtcTime),
    sa.Column(
        "open_agent_id",
        sa.String(36),
        sa.Computed("CASE WHEN status IN ('waiting', 'running', 'ending') THEN agent_id END"),
        unique=True,
    ),
    sa.Index("idx_drill_agent_time", "agent_id", "created_at"),
    sa.Index("idx_drill_status", "status"),
    one_of("kind", DrillKind),
    one_of("status", DrillStatus),
    one_of("created_by", CreatedBy),
    real_instance_id("instance_id"),
    **MYSQL,
)

salvages = sa.Table(
    "salvages",
    metadata,
    # what a dead holder's volume has that the promoted standby lacks: one look for each recovery
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("switch_id", uuid, nullable=False, unique=True),
    sa.Column("volume_id", sa.String(64)),  # NULL: none that it left could be told to be the state's
    sa.Column("copy_id", sa.String(64)),  # of it, which is attached
    sa.Column("instance_id", instance_id, nullable=False),  # to which the copy is attached
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("command_id", uuid),
    created_at(),
    sa.Column("deadline_at", UtcTime, nullable=False),
    sa.Column("compared", sa.Boolean),
    sa.Column("files", sa.BigInteger),  # missing or older at the new primary
    sa.Column("bytes", sa.BigInteger),
    sa.Column("newest_at", UtcTime),  # of them
    sa.Column("because", sentence),
    sa.Column("completed_at", UtcTime),
    sa.Index("idx_salvage_agent", "agent_id", "created_at"),
    sa.Index("idx_salvage_status", "status"),
    one_of("status", SalvageStatus),
    real_instance_id("instance_id"),
    **MYSQL,
)
