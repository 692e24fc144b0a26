"""A clean world in which every invariant has something to look at, and nothing is wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import PLANNED_STEPS, RECOVERY_STEPS, MoveKind, Step, SwitchStatus, Trigger
from spotguard.planning.invariants import (
    AgentFact,
    CapFact,
    Facts,
    GrantFact,
    InstanceFact,
    ReplicaFact,
    StorageFact,
    SwitchFact,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

AGENT = AgentFact(
    agent_id="web",
    client_id="client",
    epoch=3,
    instance_id="i-third",
    auto_switch_enabled=False,
    manual_replica_enabled=True,
    replica_count=1,
    current_replica_id="r-live",
    instance_count=3,
    is_deleted=False,
)


def grant(epoch, instance_id, proof, **known):
    facts = GrantFact(
        agent_id="web",
        epoch=epoch,
        instance_id=instance_id,
        status=GrantStatus.ENDED,
        granted_at=NOW - (10 - epoch) * HOUR,
        proof=proof,
        released_at=None,
        former_released_at=None,
        former_died=False,
    )
    return replace(facts, **known)


FIRST = grant(1, "i-first", Proof.FIRST, released_at=NOW - 8 * HOUR)
SECOND = grant(2, "i-second", Proof.RELEASED, former_released_at=NOW - 8 * HOUR)
THIRD = grant(3, "i-third", Proof.DEAD, former_died=True, status=GrantStatus.HELD)


def machine(instance_id, **known):
    facts = InstanceFact(
        instance_id=instance_id,
        agent_id="web",
        client_id="client",
        is_active=True,
        gate_open=False,
        heard_at=NOW - MINUTE,
        mode=Mode.SPOT,
        usd_per_hour=Decimal("0.040"),
        is_ours=True,
        since=NOW - 7 * HOUR,
        has_role=True,
    )
    return replace(facts, **known)


SERVING = machine("i-third", gate_open=True)
STANDBY = machine("i-standby")
COLD = machine("i-first", is_ours=False, has_role=False)  # the user's own, left running: auto-terminate off
DEAD = machine("i-second", is_active=False, gate_open=True, heard_at=NOW - 8 * HOUR, has_role=False)

LIVE_REPLICA = ReplicaFact(
    replica_id="r-live",
    agent_id="web",
    replica_type=ReplicaType.MANUAL,
    status=ReplicaStatus.READY,
    is_active=True,
    instance_id="i-standby",
    instance_held_epoch=False,
)
PROMOTED_REPLICA = replace(
    LIVE_REPLICA,
    replica_id="r-promoted",
    status=ReplicaStatus.PROMOTED,
    is_active=False,
    instance_id="i-third",
    instance_held_epoch=True,
)


def switch(name, status, steps, **known):
    facts = SwitchFact(
        switch_id=name,
        agent_id="web",
        status=status,
        trigger=Trigger.AUTO_SWITCH,
        steps=frozenset(steps),
        at=NOW - 9 * HOUR,
        deadline_at=NOW - 8 * HOUR,
        voluntary=True,
        old_ended_by_us=False,
    )
    return replace(facts, **known)


COMPLETED = switch(
    "s-completed", SwitchStatus.COMPLETED, PLANNED_STEPS[MoveKind.SYNCED], old_ended_by_us=True
)
RECOVERY = switch(
    "s-recovery",
    SwitchStatus.COMPLETED,
    RECOVERY_STEPS[MoveKind.SYNCED],
    trigger=Trigger.EMERGENCY,
    voluntary=False,
)
UNWOUND = switch("s-unwound", SwitchStatus.UNWOUND, [Step.DECIDED, Step.LAUNCHED, Step.GATE_CLOSED])
COMMITTED = switch(
    "s-committed",
    SwitchStatus.COMMITTED,
    [Step.DECIDED, Step.GRANTED, Step.OPENED],
    trigger=Trigger.MANUAL,
    voluntary=False,
)
PREPARING = switch(
    "s-preparing",
    SwitchStatus.PREPARING,
    [Step.DECIDED, Step.LAUNCHED],
    trigger=Trigger.MANUAL,
    voluntary=False,
    at=NOW - MINUTE,
    deadline_at=NOW + HOUR,
)

HEALTHY = Facts(
    now=NOW,
    agents=(AGENT,),
    grants=(FIRST, SECOND, THIRD),
    instances=(SERVING, STANDBY, COLD, DEAD),
    replicas=(LIVE_REPLICA, PROMOTED_REPLICA),
    switches=(COMPLETED, RECOVERY, UNWOUND, COMMITTED, PREPARING),
    storage=(
        StorageFact("vol-state", referenced=True, suspect_since=None),
        StorageFact("snap-fresh", referenced=False, suspect_since=NOW - MINUTE),
    ),
    caps=(
        CapFact("client", "maxHourlyUsd", Decimal("1.00"), Decimal("1.00")),
        CapFact("client", "maxInstances", Decimal(3), Decimal(3)),
        CapFact("client", "maxLaunchesPerHour", Decimal(2), Decimal(1)),
    ),
)
