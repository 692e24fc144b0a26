"""The record: decisions with their reasons, the ledger, and what happened to each agent."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.decisions import Verdict
from spotguard.store.tables_meta import MYSQL, metadata, pool_id, ref, sentence, uuid, word
from spotguard.store.types import Money, UtcTime, one_of

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", uuid, primary_key=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    sa.Column("decided_at", UtcTime, nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("verdict", word, nullable=False),
    sa.Column("aim", word),
    sa.Column("target_mode", sa.String(20)),
    sa.Column("target_pool_id", pool_id),
    sa.Column("because", sentence, nullable=False),
    sa.Column(
        "inputs", sa.JSON, nullable=False
    ),  # price and age of each allowed pool, the present one, the rails
    sa.Column("command_id", uuid),
    sa.Index("idx_decision_agent_time", "agent_id", "decided_at"),
    one_of("verdict", Verdict),
    **MYSQL,
)

ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    # compute: the serving instance; replica: a standby; overlap: a second instance of a move; probe: a launch to look;
    # storage: volumes and snapshots; ondemand: what the workload would have cost;
    # waived: AWS ended it in its first hour; unpriced: its price is unknown, usd is the counterfactual meanwhile
    sa.Column("kind", word, nullable=False),
    sa.Column("resource_id", sa.String(64), nullable=False),
    sa.Column("pool_id", pool_id),
    sa.Column("from_at", UtcTime, nullable=False),
    sa.Column("to_at", UtcTime, nullable=False),
    sa.Column("quantity", Money(18, 6), nullable=False),  # seconds, or GiB-seconds of storage
    sa.Column("rate_usd", Money(), nullable=False),  # per hour, or per GiB-month of storage
    sa.Column("usd", Money(18, 9), nullable=False),  # quantity × rate, rounded half-even
    sa.UniqueConstraint("resource_id", "kind", "from_at"),  # settled twice is settled once
    sa.Index("idx_ledger_agent_time", "agent_id", "from_at"),
    sa.Index("idx_ledger_client_time", "client_id", "from_at"),
    sa.CheckConstraint(
        "kind IN ('compute', 'replica', 'overlap', 'probe', 'storage', 'ondemand', 'waived', 'unpriced')",
        name="ck_kind_legal",
    ),
    **MYSQL,
)

agent_events = sa.Table(
    "agent_events",
    metadata,
    # what the event stream resumes from: ids only grow within one database node; the stream re-reads by id
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid, nullable=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("kind", word, nullable=False),
    sa.Column("message", sentence, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Index("idx_event_client", "client_id", "id"),
    sa.Index("idx_event_agent_time", "agent_id", "at"),
    **MYSQL,
)

foundlings = sa.Table(
    "foundlings",
    metadata,
    # carries our tag and names no agent that a row knows: told once, never deleted by itself
    sa.Column("id", sa.String(64), primary_key=True),
    ref(
        "client_id", "clients.id", uuid, nullable=True
    ),  # NULL: whose of an account's several clients nobody can say
    sa.Column("kind", word, nullable=False),
    sa.Column("account", sa.String(64), nullable=False),  # number and region: each look tells of one
    sa.Column("agent_tag", sa.String(256)),  # as it stands there; NULL: it has none
    sa.Column("made_at", UtcTime, nullable=False),
    sa.Column("usd_per_month", Money()),  # NULL: not known, or nothing of its own is billed
    sa.Column("told_at", UtcTime),
    sa.Column("missed_at", UtcTime),  # since when no look has shown it
    **MYSQL,
)
