"""Capacity probes: launches that are made only to look, what they showed, and what they cost."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.probes import ProbeStatus
from spotguard.store.tables_meta import MYSQL, created_at, instance_id, metadata, pool_id, ref, sentence, uuid
from spotguard.store.types import Money, UtcTime, one_of, real_instance_id

probes = sa.Table(
    "probes",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),  # whose launch it tries, and who is charged
    sa.Column("pool_id", pool_id, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    created_at(),
    sa.Column("deadline_at", UtcTime, nullable=False),
    sa.Column("image_id", sa.String(64), nullable=False),
    sa.Column("usd_per_hour", Money(), nullable=False),
    # of the day's budget: what it will cost at least, later what it did, nothing where nothing was made
    sa.Column("usd", Money(18, 9), nullable=False),
    sa.Column("worth_usd", Money(), nullable=False),
    sa.Column("because", sentence, nullable=False),
    sa.Column("instance_id", instance_id),
    sa.Column("up", sa.Boolean),  # whether the pool gave capacity; NULL: nobody knows
    sa.Column("answer", sentence),
    sa.Column("completed_at", UtcTime),
    # one at a time for a client: NULL is free
    sa.Column(
        "open_client_id",
        sa.String(36),
        sa.Computed("CASE WHEN status IN ('waiting', 'ending') THEN client_id END"),
        unique=True,
    ),
    sa.Index("idx_probe_client_time", "client_id", "created_at"),
    sa.Index("idx_probe_status", "status"),
    one_of("status", ProbeStatus),
    real_instance_id("instance_id"),
    sa.CheckConstraint("usd >= 0 AND usd_per_hour > 0", name="ck_probe_costs"),
    **MYSQL,
)
