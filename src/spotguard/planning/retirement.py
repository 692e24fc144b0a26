"""When an emergency replica is given up (ruling B7): two hours after the recommendation, without a termination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spotguard.domain.agents import KillLevel, Protection
from spotguard.domain.ids import ReplicaId
from spotguard.domain.replicas import ReplicaType
from spotguard.domain.signals import REBALANCE_COUNTS_FOR
from spotguard.planning.standby import RetireReplica


@dataclass(frozen=True)
class EmergencyReplica:
    """A live replica that a signal made. `signalled_at`: the newest signal of the instance it stands by for."""

    replica_id: ReplicaId
    replica_type: ReplicaType
    created_at: datetime
    signalled_at: datetime | None


@dataclass(frozen=True)
class RetirementFacts:
    """What a retirement depends on."""

    now: datetime
    enabled: bool
    kill: KillLevel
    protection: Protection
    open_notice: bool  # a termination notice of the serving instance is unresolved
    moving: bool
    serving: bool  # somebody holds the epoch and lives
    replicas: Sequence[EmergencyReplica]


def plan_retirements(facts: RetirementFacts) -> tuple[RetireReplica, ...]:
    """Never in manual mode, where it does the manual replica's work; never while a notice is open, nor while nobody
    serves: it may hold what is left of the state.
    """
    hands_off = not facts.enabled or facts.kill is KillLevel.ALL or not facts.serving
    if hands_off or facts.open_notice or facts.moving or facts.protection is Protection.MANUAL:
        return ()
    return tuple(
        RetireReplica(replica.replica_id, "two hours without a termination notice: no longer needed")
        for replica in facts.replicas
        if replica.replica_type is not ReplicaType.MANUAL
        and facts.now - max(replica.created_at, replica.signalled_at or replica.created_at)
        >= REBALANCE_COUNTS_FOR
    )
