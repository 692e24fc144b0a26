"""Moves: opened once for whoever asks, told step by step, unwound or finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, Executor
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, ImageId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import SWITCH_LIFE, MoveKind, Step, SwitchStatus, Trigger
from spotguard.store import (
    commands,
    deaths,
    events,
    fleet,
    grants,
    intentions,
    move_prices,
    replicas,
    sightings,
    unwinding,
)
from spotguard.store.accounts import executor_of
from spotguard.store.deaths import can_serve
from spotguard.store.fallbacks import Kept
from spotguard.store.move_grants import grant_if_due
from spotguard.store.move_orders import MoveOrder, prepare
from spotguard.store.move_rows import enqueue_switch, get, insert_switch, preparing_of
from spotguard.store.prepared import Prepared
from spotguard.store.steps import SERVER, record_step, recorded_steps
from spotguard.store.tables import agents, instances, switches
from spotguard.store.tables import commands as commands_table

__all__ = [
    "OpenedMove",
    "adopt_standby",
    "can_serve",
    "enrolled",
    "finish",
    "get",
    "grant_if_due",
    "instance_named",
    "open_move",
    "open_recovery",
    "preparing_of",
    "record_step",
    "recorded_steps",
    "target_of",
    "unwind",
]

Row = sa.Row[Any]


_COMMANDED = Prepared(
    sa.update(switches)
    .where(switches.c.id == sa.bindparam("move"))
    .values(command_id=sa.bindparam("command"))
)
_MOVES_NOW = Prepared(
    sa.update(agents)
    .where(
        agents.c.id == sa.bindparam("agent"),
        agents.c.status.in_([AgentStatus.ONLINE.value, AgentStatus.OFFLINE.value]),
    )
    .values(status=AgentStatus.SWITCHING.value)
)
_MACHINE = Prepared(sa.select(instances).where(instances.c.id == sa.bindparam("machine")))
_NAME_NEW = Prepared(
    sa.update(switches)
    .where(
        switches.c.id == sa.bindparam("move"),
        switches.c.new_instance_id.is_(None),
        switches.c.status == SwitchStatus.PREPARING.value,
    )
    .values(
        new_instance_id=sa.bindparam("machine"),
        new_instance_type=sa.bindparam("type"),
        new_region=sa.bindparam("region"),
        new_az=sa.bindparam("az"),
        new_mode=sa.bindparam("mode"),
        new_pool_id=sa.bindparam("pool"),
        new_ami_id=sa.bindparam("image"),
    )
)


@dataclass(frozen=True)
class OpenedMove:
    """A move that has begun. `command_id` None: there is nobody to command (recovery). `kept`: the old instance of the
    last move at the place that was ordered.
    """

    switch_id: SwitchId
    command_id: CommandId | None
    kind: MoveKind
    kept: Kept | None = None


def open_move(  # noqa: PLR0913 - whoever wants a move says all of this
    tx: sa.Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    trigger: Trigger,
    created_by: CreatedBy,
    priority: Priority,
    target_pool: Pool | None,
    target_mode: Mode,
    replica_id: ReplicaId | None = None,
    kind: MoveKind | None = None,
    close_by: datetime | None = None,
    reason: str,
    plan_extra: Mapping[str, Any] | None = None,
) -> OpenedMove:
    """One row in `switches` and the `switch` command for the present holder.

    `target_pool` None with mode on-demand means on demand in the present zone; with a replica its own pool counts.
    `Refused` says which rule forbids it and what to do; `NotFound` for another tenant's agent.
    """
    wish = MoveOrder(
        client_id=client_id,
        agent_id=agent_id,
        trigger=trigger,
        created_by=created_by,
        priority=priority,
        target_pool=target_pool,
        target_mode=target_mode,
        replica_id=replica_id,
        kind=kind,
        close_by=close_by,
        reason=reason,
        plan_extra=dict(plan_extra or {}),
    )
    return open_ordered(tx, now, wish)


def open_ordered(tx: sa.Connection, now: datetime, wish: MoveOrder) -> OpenedMove:
    """The same of a wish that is written down whole, as a preview shows it."""
    fleet.hold(tx, now, wish.agent_id)
    order = prepare(tx, now, wish)
    switch_id = insert_switch(tx, now, order)
    record_step(tx, now, switch_id, Step.DECIDED, now, SERVER, {"because": order.reason})
    if order.replica_id is not None:
        adopt_standby(tx, now, switch_id)
    if order.goes_back is not None:
        _take_kept(tx, now, switch_id, order.goes_back)
    switch = get(tx, switch_id)
    command_id = enqueue_switch(tx, now, order, switch, target_of(tx, switch))
    _COMMANDED.change(tx, {"move": switch_id, "command": command_id})
    _switching(tx, order.agent_id)
    place = order.target.id if order.mode is Mode.SPOT else "on-demand"
    message = f"switch to {place} begins ({order.trigger.told}): {order.reason}"
    detail = {"switch_id": switch_id, "kind": order.plan.kind.value, "command_id": command_id}
    events.append(tx, now, order.client_id, order.agent_id, "switch_opened", message, detail)
    return OpenedMove(switch_id, command_id, order.plan.kind, order.kept)


def open_recovery(
    tx: sa.Connection,
    now: datetime,
    *,
    agent: Row,
    kind: MoveKind,
    replica_id: ReplicaId | None,
    because: str,
    plan: Mapping[str, Any],
) -> OpenedMove:
    """After a death that EC2 confirms: nobody closes a gate; the coordinator runs the move itself.

    `Refused` when a move is open already, or the holder is not dead and has not let go.
    """
    fleet.hold(tx, now, agent.id)
    if fleet.agent_row(tx, agent.id).status == AgentStatus.DELETED:
        raise Refused("its user has deleted this agent")
    held = grants.holder(tx, agent.id)
    if held is None or not (held.released_at is not None or deaths.is_dead(tx, held.instance_id)):
        raise Refused("recovery is for a holder that is proven dead or has let go")
    if preparing_of(tx, agent.id) is not None:
        raise Refused("another move of this agent is open")
    _drop_commands_of(tx, now, agent.id, "its instance has ended")
    switch_id = insert_switch(
        tx, now, MoveOrder.recovery(tx, now, agent, held, kind, replica_id, because, plan)
    )
    record_step(tx, now, switch_id, Step.DECIDED, now, SERVER, {"because": because})
    if replica_id is not None:
        adopt_standby(tx, now, switch_id)
    _switching(tx, agent.id)
    detail = {"switch_id": switch_id, "kind": kind.value}
    events.append(
        tx, now, agent.client_id, agent.id, "recovery_opened", f"recovery begins: {because}", detail
    )
    return OpenedMove(switch_id, None, kind)


def instance_named(  # noqa: PLR0913 - what EC2 says of it
    tx: sa.Connection,
    now: datetime,
    switch_id: SwitchId,
    *,
    instance_id: InstanceId,
    launched_at: datetime,
    pool: Pool,
    mode: Mode,
    image_id: ImageId | str | None,
    actor: str = SERVER,
) -> bool:
    """EC2 has named the move's new instance. False when it had one, or is no longer preparing."""
    named = {
        "move": switch_id,
        "machine": instance_id,
        "type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "mode": mode.value,
        "pool": pool.id if mode is Mode.SPOT else None,
        "image": image_id,
    }
    ordered = get(tx, switch_id)
    if _NAME_NEW.change(tx, named) != 1:
        return False
    move_prices.launched(tx, now, ordered, pool, mode)
    intentions.reserved_is(tx, now, instance_id, switch_id=switch_id)
    record_step(tx, now, switch_id, Step.LAUNCHED, launched_at, actor, {"instance_id": instance_id})
    _was_heard(tx, now, switch_id, instance_id)
    return True


def _was_heard(tx: sa.Connection, now: datetime, switch_id: SwitchId, instance_id: InstanceId) -> None:
    """Before EC2 named it: it registered by the client's token, which does not say what it was launched for."""
    since = tx.scalar(
        sa.select(instances.c.installed_at)
        .join(switches, switches.c.agent_id == instances.c.agent_id)
        .where(switches.c.id == switch_id, instances.c.id == instance_id, instances.c.hears)
    )
    if since is not None:
        record_step(tx, now, switch_id, Step.ENROLLED, since, instance_id)


def adopt_standby(tx: sa.Connection, now: datetime, switch_id: SwitchId) -> bool:
    """A move to a replica learns its instance, its enrolment and its first complete pass, as far as they have come."""
    switch = get(tx, switch_id)
    if switch.replica_id is None:
        return False
    replica = replicas.get(tx, switch.agent_id, switch.replica_id)
    if replica.instance_id is None:
        return False
    machine = sightings.get(tx, replica.instance_id)
    if machine is None:
        return False
    changed = switch.new_instance_id is None and instance_named(
        tx,
        now,
        switch_id,
        instance_id=InstanceId(machine.id),
        launched_at=machine.launched_at or replica.launched_at or now,
        pool=Pool(replica.instance_type, replica.az),
        mode=Mode(replica.mode),
        image_id=machine.ami_id,
    )
    if fleet.is_enrolled(machine):
        changed |= record_step(tx, now, switch_id, Step.ENROLLED, machine.installed_at or now, SERVER)
    if replica.synced_at is not None and switch.kind == MoveKind.SYNCED:
        changed |= record_step(tx, now, switch_id, Step.SYNCED, replica.synced_at, SERVER)
    return changed


def _take_kept(tx: sa.Connection, now: datetime, switch_id: SwitchId, kept: Kept) -> None:
    """The old instance of the last move runs, is enrolled and has the state: nobody ends it meanwhile."""
    machine = tx.execute(sa.select(instances).where(instances.c.id == kept.instance_id)).one()
    instance_named(
        tx,
        now,
        switch_id,
        instance_id=kept.instance_id,
        launched_at=machine.launched_at or machine.created_at,
        pool=kept.pool,
        mode=kept.mode,
        image_id=machine.ami_id,
    )
    record_step(tx, now, switch_id, Step.ENROLLED, machine.installed_at or now, SERVER)
    if kept.told is not None:
        record_step(tx, now, switch_id, Step.SYNCED, kept.told.told_at, SERVER)
    because = "its workload is going back to the old instance"
    commands.cancel_ends(tx, now, because, commands_table.c.agent_id == machine.agent_id)


def enrolled(tx: sa.Connection, now: datetime, instance_id: InstanceId) -> bool:
    """The agent on this instance is heard with the token of its registration: the move that waits for it learns so.

    An epoch is never taken back, so whoever cannot hear that it was granted must not be given it.
    """
    waiting = tx.execute(
        sa.select(switches.c.id)
        .outerjoin(instances, instances.c.id == instance_id)
        .where(
            switches.c.status == SwitchStatus.PREPARING.value,
            sa.or_(
                switches.c.new_instance_id == instance_id,
                sa.and_(switches.c.replica_id.is_not(None), switches.c.replica_id == instances.c.replica_id),
            ),
        )
    ).scalar_one_or_none()
    if waiting is None:
        return False
    adopt_standby(tx, now, waiting)
    return record_step(tx, now, waiting, Step.ENROLLED, now, instance_id)


def target_of(tx: sa.Connection, switch: Row) -> dict[str, str] | None:
    """`target` as the agent is told: the new instance once it has enrolled."""
    if switch.new_instance_id is None or Step.ENROLLED not in recorded_steps(tx, switch.id):
        return None
    new = _MACHINE.first(tx, {"machine": switch.new_instance_id})
    address = None if new is None else new.private_ip
    return {"instance_id": switch.new_instance_id, "address": address or ""}


def unwind(tx: sa.Connection, now: datetime, switch_id: SwitchId, because: str) -> bool:
    """Before the grant: the old instance serves on, its epoch unchanged. False when it was no longer preparing.

    If the holder has let go already, the coordinator grants it the next epoch. Volumes that the server carried away
    come back first: until then the move stays preparing.
    """
    if unwinding.is_needed(tx, switch := get(tx, switch_id)):
        return unwinding.begin(tx, now, switch, because)
    return _end(tx, now, switch_id, SwitchStatus.UNWOUND, because)


def finish(tx: sa.Connection, now: datetime, switch_id: SwitchId, status: SwitchStatus, because: str) -> bool:
    """`completed` after the last step, `unwound` when the volumes are back, `failed` when nothing helps."""
    return _end(tx, now, switch_id, status, because)


def _end(tx: sa.Connection, now: datetime, switch_id: SwitchId, wanted: SwitchStatus, because: str) -> bool:
    origins = [status.value for status in SWITCH_LIFE.origins(wanted)]
    mine = switches.c.id == switch_id, switches.c.status.in_(origins)
    ended = {"status": wanted.value, "ended_because": because, "completed_at": now}
    if tx.execute(sa.update(switches).where(*mine).values(**ended)).rowcount != 1:
        return False
    switch = get(tx, switch_id)
    intentions.reserved_is(tx, now, switch.new_instance_id, switch_id=switch_id)
    if switch.command_id is not None:
        done = wanted is SwitchStatus.COMPLETED
        (commands.conclude if done else commands.cancel)(tx, now, switch.command_id, because)
    settled(tx, switch.agent_id)
    replicas.touch_config(tx, switch.agent_id)  # nothing is copied back to its old instance any more
    kind, detail = f"switch_{wanted.value}", {"switch_id": switch_id}
    events.append(tx, now, switch.client_id, switch.agent_id, kind, f"switch {wanted}: {because}", detail)
    return True


def executes_itself(tx: sa.Connection, client_id: ClientId | str) -> bool:
    """Agents of this client call EC2 themselves (ruling B18)."""
    return executor_of(tx, client_id) is Executor.AGENT


def _switching(tx: sa.Connection, agent_id: AgentId) -> None:
    _MOVES_NOW.change(tx, {"agent": agent_id})


def settled(tx: sa.Connection, agent_id: AgentId) -> None:
    """No move is before its proof any more; whether it is online its heartbeats say."""
    if preparing_of(tx, agent_id) is None:
        tx.execute(
            sa.update(agents)
            .where(agents.c.id == agent_id, agents.c.status == AgentStatus.SWITCHING.value)
            .values(status=AgentStatus.ONLINE.value)
        )


def _drop_commands_of(tx: sa.Connection, now: datetime, agent_id: AgentId, because: str) -> None:
    open_ones = sa.select(commands_table.c.id).where(commands_table.c.open_switch_agent_id == agent_id)
    for command_id in tx.execute(open_ones).scalars().all():
        commands.cancel(tx, now, command_id, because)
