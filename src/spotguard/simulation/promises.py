"""What the product promises of itself besides serving: compared with what was asked for, and with EC2."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.replicas import ReplicaType
from spotguard.domain.switches import Step, SwitchStatus, Trigger
from spotguard.planning.metering import EntryKind
from spotguard.planning.switching import STATE_DEVICE
from spotguard.simulation import lookups
from spotguard.simulation.world import World
from spotguard.store import ledger
from spotguard.store.tables import epoch_grants, replica_instances, switch_steps, switches

_CENT = Decimal("0.01")
_VOLUNTARY = (Trigger.AUTO_SWITCH.value, Trigger.MANUAL.value)


def taken_from_who_serves(world: World) -> Iterator[str]:
    """A state volume that lies elsewhere than at the running machine whose workload writes to it."""
    for name, register in world.registers.items():
        for instance_id, content in register.written_by().items():
            machine = world.ec2.world.machines[InstanceId(instance_id)]
            volume = machine.volumes.get(STATE_DEVICE)
            is_there = volume is not None and volume.content is content
            if machine.state is InstanceState.RUNNING and not is_there:
                yield f"{name}: the state volume was taken from {instance_id}, which serves"


def untrue(world: World) -> Iterator[str]:
    """When all is calm: who serves is told to be online, and has a standby, or one that comes up, if it wants one."""
    for name, register in world.registers.items():
        agent = lookups.agent(world, name)
        moves = any(row.status == SwitchStatus.PREPARING for row in lookups.moves(world, agent.id))
        if moves or not register.serving():
            continue  # while a person has to say who served last, no standby is made
        if agent.status != AgentStatus.ONLINE:
            yield f"{name} serves, and is told to be {agent.status}"
        has_one = any(row.is_active for row in lookups.replicas(world, agent.id))
        if agent.manual_replica_enabled and agent.enabled and not has_one:
            yield f"{name} wants a standby, and has none"


def stopped_is_stopped(world: World) -> list[str]:
    """Invariant 13: nothing voluntary is begun while a kill switch stands."""
    s, r = switches.c, replica_instances.c
    wished = sa.union_all(
        sa.select(s.agent_id, s.created_at.label("at"), sa.literal("move").label("what")).where(
            s.event_trigger.in_(_VOLUNTARY), sa.not_(s.is_recovery)
        ),
        sa.select(r.agent_id, r.created_at, sa.literal("standby")).where(
            r.replica_type == ReplicaType.MANUAL.value
        ),
    )
    begun = world.db.read(lambda tx: tx.execute(wished).all())
    return [
        f"a {row.what} of {row.agent_id} was begun at {row.at.isoformat()} while the kill switch stood"
        for row in begun
        if _was_stopped(world, row.agent_id, row.at)
    ]


def _was_stopped(world: World, agent_id: str, at: datetime) -> bool:
    """What is begun in the very instant of a turn may have come before it, or after."""
    levels = {"client": "none", agent_id: "none"}
    for turned_at, scope, level in world.stops:
        if scope in levels and (turned_at < at or (turned_at == at and level == "none")):
            levels[scope] = level
    return any(level != "none" for level in levels.values())


def savings_are_of_what_was_served(world: World) -> list[str]:
    """What on-demand would have cost: the whole time at the most; at the least the time that was served, but for what
    a holder by a ticket served before the server heard of the ticket, if nobody ever told it of the opening.
    """
    heard = _heard(world)
    now, least, most = world.clock.now(), Decimal(0), Decimal(0)
    for server in world.servers:
        register = world.registers[server.name]
        pool = world.ec2.world.machines[server.instance_id].pool
        usd_per_second = world.plan.market.ondemand[pool.instance_type] / 3600
        span = (now - world.started_at).total_seconds()
        served = span - register.downtime_seconds(world.started_at, now)
        for instance_id, epoch, opened_at in register.openings():
            unheard = heard.get((instance_id, epoch), now) - opened_at
            served -= max(0.0, unheard.total_seconds())
        most += usd_per_second * Decimal(span)
        least += usd_per_second * Decimal(served)
    told = world.db.read(lambda tx: ledger.totals(tx, world.client_id))[EntryKind.ONDEMAND]
    if least - _CENT <= told <= most + _CENT:
        return []
    return [f"on demand it would have cost {told:.4f} USD, between {least:.4f} and {most:.4f} USD"]


def _heard(world: World) -> dict[tuple[str, int], datetime]:
    """When an epoch was granted, or, if that is earlier, when its holder told that it had opened."""
    g, s = epoch_grants.c, switch_steps.c
    told = epoch_grants.outerjoin(
        switch_steps, sa.and_(s.switch_id == g.switch_id, s.step == Step.OPENED.value)
    )
    rows = sa.select(g.instance_id, g.epoch, g.granted_at, s.at).select_from(told)
    found = world.db.read(lambda tx: tx.execute(rows).all())
    return {(row.instance_id, row.epoch): min(row.granted_at, row.at or row.granted_at) for row in found}
