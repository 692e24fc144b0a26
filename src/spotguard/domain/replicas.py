"""Standby replicas. A replica row is a *role* of an instance, not the machine (ruling S8)."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.life import Life


class ReplicaType(StrEnum):
    """Why the replica exists."""

    MANUAL = "manual"
    REBALANCE = "automatic-rebalance"
    TERMINATION = "automatic-termination"


class ReplicaStatus(StrEnum):
    """Where the replica is in its life."""

    LAUNCHING = "launching"
    SYNCING = "syncing"
    READY = "ready"
    PROMOTED = "promoted"
    TERMINATED = "terminated"
    FAILED = "failed"


class SyncStatus(StrEnum):
    """How the standby's state stands to the primary's."""

    INITIALIZING = "initializing"
    SYNCING = "syncing"
    SYNCED = "synced"
    OUT_OF_SYNC = "out-of-sync"


LIVE_REPLICA = frozenset({ReplicaStatus.LAUNCHING, ReplicaStatus.SYNCING, ReplicaStatus.READY})

REPLICA_LIFE = Life(
    "replica",
    {
        ReplicaStatus.LAUNCHING: frozenset(
            {ReplicaStatus.SYNCING, ReplicaStatus.TERMINATED, ReplicaStatus.FAILED}
        ),
        # promoted from syncing: an emergency takes the newest complete pass and records the gap (ruling B9)
        ReplicaStatus.SYNCING: frozenset(
            {ReplicaStatus.READY, ReplicaStatus.PROMOTED, ReplicaStatus.TERMINATED, ReplicaStatus.FAILED}
        ),
        # back to syncing: a standby whose link is down is no longer ready
        ReplicaStatus.READY: frozenset(
            {ReplicaStatus.SYNCING, ReplicaStatus.PROMOTED, ReplicaStatus.TERMINATED, ReplicaStatus.FAILED}
        ),
        ReplicaStatus.PROMOTED: frozenset(),
        ReplicaStatus.TERMINATED: frozenset(),
        ReplicaStatus.FAILED: frozenset(),
    },
)
