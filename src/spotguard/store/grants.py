"""Primacy: the one statement that grants an epoch, and the holder's word that it has let go (rulings B4 to B4b)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.commands import CommandType, CreatedBy, Priority
from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.errors import IllegalMove
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store import claims, commands, events, live_signals, replicas, tickets
from spotguard.store.database import must_last
from spotguard.store.deaths import is_dead
from spotguard.store.prepared import Prepared
from spotguard.store.set_apart import is_set_apart
from spotguard.store.steps import SERVER, record_step, recorded_steps
from spotguard.store.tables import agents, epoch_grants, instances, storage_resources, switches

Row = sa.Row[Any]
PROMOTE_VALID = timedelta(hours=24)  # its heartbeat tells the new holder the same: the command only is faster
ORDERED_AGAIN_AFTER = timedelta(minutes=10)

_HELD = Prepared(sa.select(epoch_grants).where(epoch_grants.c.held_agent_id == sa.bindparam("agent")))


def first_grant(tx: sa.Connection, now: datetime, agent_id: AgentId, instance_id: InstanceId) -> bool:
    """Epoch 1 for the first registration of a name. False when the name has had an epoch already."""
    return grant(
        tx,
        now,
        agent_id=agent_id,
        seen_epoch=0,
        to_instance=instance_id,
        proof=Proof.FIRST,
        switch_id=None,
        because="first registration of this name",
    )


def holder(tx: sa.Connection, agent_id: AgentId) -> Row | None:
    """The grant that is held now: epoch, instance_id, released_at and the rest."""
    return _HELD.first(tx, {"agent": agent_id})


def release(
    tx: sa.Connection,
    now: datetime,  # noqa: ARG001 - every statement is given the time
    agent_id: AgentId,
    epoch: int,
    instance_id: InstanceId,
    released_at: datetime,
) -> bool:
    """The holder has let go of its epoch, durably, before it said so. True when that is new."""
    told = tx.execute(
        sa.update(epoch_grants)
        .where(
            epoch_grants.c.agent_id == agent_id,
            epoch_grants.c.epoch == epoch,
            epoch_grants.c.instance_id == instance_id,
            epoch_grants.c.released_at.is_(None),
        )
        .values(released_at=released_at)
    )
    return told.rowcount == 1


def grant(  # noqa: PLR0913 - what a grant is, and why
    tx: sa.Connection,
    now: datetime,
    *,
    agent_id: AgentId,
    seen_epoch: int,
    to_instance: InstanceId,
    proof: Proof,
    switch_id: SwitchId | None,
    because: str,
    posthumous: bool = False,
) -> bool:
    """Epoch `seen_epoch + 1` for `to_instance`; False, and nothing changed, unless all that follows holds.

    The agent's epoch is still `seen_epoch`, the former holder's end is proven by rows (not by the caller's word),
    no ticket for that epoch is out to another one (ruling B4a), no other one that lives claims that epoch or
    a newer one, and, with a switch, the switch is still preparing.
    In the same transaction the switch is committed, a replica promoted, the promote command made and the
    configuration's version raised. `posthumous`: also for one that has ended since, or whose agent was deleted since,
    when it is known to have been the next to serve: what it left is the state, and what it serves is its user's.
    `IllegalMove` when somebody granted in the same moment: nothing of this transaction may be committed.
    """
    former = holder(tx, agent_id)
    if (former.epoch if former is not None else 0) != seen_epoch or not _proven(
        tx, former, proof, to_instance
    ):
        return False
    if tickets.bars(tx, agent_id, seen_epoch + 1, to_instance):
        return False
    if claims.bars(tx, agent_id, seen_epoch + 1, to_instance):
        return False
    new = tx.execute(sa.select(instances).where(instances.c.id == to_instance)).one_or_none()
    if new is None or not _may_hold(tx, new, agent_id, posthumous=posthumous):
        return False
    if switch_id is not None and not _commit(tx, now, switch_id, to_instance):
        return False
    if not _raise_epoch(tx, now, agent_id, seen_epoch, new):
        raise IllegalMove(f"epoch {seen_epoch} of agent {agent_id} has moved on: look again")
    must_last(tx)
    tx.execute(
        sa.update(epoch_grants)
        .where(epoch_grants.c.agent_id == agent_id, epoch_grants.c.status == GrantStatus.HELD.value)
        .values(status=GrantStatus.ENDED.value, ended_at=now)
    )
    _insert(tx, now, agent_id, seen_epoch + 1, to_instance, switch_id, proof, because)
    tickets.granted(tx, now, agent_id, seen_epoch + 1, to_instance)
    if former is not None and former.instance_id != to_instance:
        live_signals.reopen(tx, now, to_instance)
    replicas.recount(tx, agent_id)
    _tell(tx, now, new, seen_epoch + 1, switch_id, proof, because)
    return True


def _may_hold(tx: sa.Connection, new: Row, agent_id: AgentId, *, posthumous: bool) -> bool:
    """It lives and is this agent's; what is set apart never is, and nobody is given an epoch of a deleted agent."""
    is_ours = new.agent_id == agent_id and not is_set_apart(new)
    return is_ours and (posthumous or (new.is_active and not _is_deleted(tx, agent_id)))


def _is_deleted(tx: sa.Connection, agent_id: AgentId) -> bool:
    status = tx.execute(sa.select(agents.c.status).where(agents.c.id == agent_id)).scalar_one()
    return bool(status == AgentStatus.DELETED.value)


def _proven(tx: sa.Connection, former: Row | None, proof: Proof, to_instance: InstanceId) -> bool:
    if former is None:
        return proof is Proof.FIRST
    match proof:
        case Proof.FIRST:
            return False
        case Proof.RELEASED:
            return former.released_at is not None
        case Proof.DEAD | Proof.VANISHED:
            return is_dead(tx, former.instance_id)
        case Proof.VOLUME_MOVED:
            return _volume_moved(tx, former.instance_id, to_instance)


def _volume_moved(tx: sa.Connection, former: str, to_instance: InstanceId) -> bool:
    """Every volume that held the former's state is attached to the new one: single attachment is the fence."""
    volumes = storage_resources
    left = sa.select(volumes.c.id).where(
        volumes.c.kind == "volume",
        volumes.c.attached_to == former,
        volumes.c.ended_at.is_(None),
        sa.func.coalesce(volumes.c.device, "").not_in(sorted(ROOT_DEVICES)),
    )
    if tx.execute(left.limit(1)).first() is not None:
        return False
    moved = tx.execute(
        sa.select(volumes.c.id).where(
            volumes.c.kind == "volume",
            volumes.c.attached_to == to_instance,
            volumes.c.moved_from == former,
            volumes.c.ended_at.is_(None),
        )
    ).all()
    return len(moved) == 1


def _commit(tx: sa.Connection, now: datetime, switch_id: SwitchId, to_instance: InstanceId) -> bool:
    committed = tx.execute(
        sa.update(switches)
        .where(
            switches.c.id == switch_id,
            switches.c.status == SwitchStatus.PREPARING.value,
            switches.c.unwinding_since.is_(None),
            switches.c.new_instance_id == to_instance,
        )
        .values(status=SwitchStatus.COMMITTED.value)
    )
    if committed.rowcount != 1:
        return False
    record_step(tx, now, switch_id, Step.GRANTED, now, SERVER)
    return True


def _raise_epoch(tx: sa.Connection, now: datetime, agent_id: AgentId, seen_epoch: int, new: Row) -> bool:
    """The agent is wherever its epoch is."""
    values = {
        "epoch": seen_epoch + 1,
        "instance_id": new.id,
        "current_mode": new.current_mode,
        "current_pool_id": new.current_pool_id,
        "az": new.az,
        "instance_type": new.instance_type,
        "hostname": new.hostname,
        "private_ip": new.private_ip,
        "public_ip": new.public_ip,
        "config_version": agents.c.config_version + 1,
    }
    if new.ami_id is not None:
        values["ami_id"] = new.ami_id
    if new.last_heartbeat_at is not None:
        values["last_heartbeat_at"] = new.last_heartbeat_at
    raised = tx.execute(
        sa.update(agents).where(agents.c.id == agent_id, agents.c.epoch == seen_epoch).values(**values)
    )
    tx.execute(
        sa.update(instances)
        .where(instances.c.id == new.id)
        .values(last_switch_at=now, healthy_streak=0)  # proven by what it does from now on
    )
    return raised.rowcount == 1


def _insert(
    tx: sa.Connection,
    now: datetime,
    agent_id: AgentId,
    epoch: int,
    to_instance: InstanceId,
    switch_id: SwitchId | None,
    proof: Proof,
    because: str,
) -> None:
    row = {
        "agent_id": agent_id,
        "epoch": epoch,
        "instance_id": to_instance,
        "switch_id": switch_id,
        "status": GrantStatus.HELD.value,
        "granted_at": now,
        "proof": proof.value,
        "because": because,
    }
    tx.execute(sa.insert(epoch_grants), row)


def _former(tx: sa.Connection, agent_id: str, epoch: int) -> dict[str, str | None] | None:
    """Who held the epoch before, as clients reached it: the user's traffic script is told."""
    machine = instances.c
    row = tx.execute(
        sa.select(machine.id, machine.private_ip, machine.public_ip)
        .join(epoch_grants, epoch_grants.c.instance_id == machine.id)
        .where(epoch_grants.c.agent_id == agent_id, epoch_grants.c.epoch == epoch - 1)
    ).one_or_none()
    if row is None:
        return None
    return {"instance_id": row.id, "private_ip": row.private_ip or "", "public_ip": row.public_ip}


def _tell(
    tx: sa.Connection,
    now: datetime,
    new: Row,
    epoch: int,
    switch_id: SwitchId | None,
    proof: Proof,
    because: str,
) -> None:
    """The new holder by command, a replica by its promotion, people by an event."""
    if new.replica_id is not None:
        whole = switch_id is not None and Step.DELTA_SENT in recorded_steps(tx, switch_id)
        replicas.mark_promoted(tx, now, ReplicaId(new.replica_id), whole=whole)
    if proof is not Proof.FIRST:
        _order(tx, now, new, epoch, switch_id, because)
    events.append(
        tx,
        now,
        ClientId(new.client_id),
        AgentId(new.agent_id),
        "epoch_granted",
        f"{new.id} holds epoch {epoch}: {because}",
        {"epoch": epoch, "instance_id": new.id, "proof": proof.value, "switch_id": switch_id},
    )


def _order(
    tx: sa.Connection, now: datetime, new: Row, epoch: int, switch_id: SwitchId | None, because: str
) -> None:
    commands.enqueue(
        tx,
        now,
        client_id=ClientId(new.client_id),
        agent_id=AgentId(new.agent_id),
        instance_id=InstanceId(new.id),
        command_type=CommandType.PROMOTE,
        priority=Priority.EMERGENCY,
        created_by=CreatedBy.COORDINATOR,
        expires_at=now + PROMOTE_VALID,
        reason=because,
        payload={"switch_id": switch_id, "epoch": epoch, "former": _former(tx, new.agent_id, epoch)},
        epoch=epoch,
    )


def order_again(
    tx: sa.Connection, now: datetime, agent_id: AgentId, instance_id: InstanceId, *, forgot: bool
) -> bool:
    """Its holder is told once more of the move that gave it its epoch, while it has not said that its clients have
    followed: at once if it `forgot`, else every ten minutes, since the order or its answer may be lost.
    """
    held = holder(tx, agent_id)
    if held is None or held.instance_id != instance_id or held.released_at is not None:
        return False
    if held.switch_id is None or Step.TRAFFIC_MOVED in recorded_steps(tx, held.switch_id):
        return False
    if commands.is_open(tx, instance_id, CommandType.PROMOTE):
        return False
    last = commands.last_made_at(tx, instance_id, CommandType.PROMOTE)
    if not forgot and last is not None and now - last < ORDERED_AGAIN_AFTER:
        return False
    new = tx.execute(sa.select(instances).where(instances.c.id == instance_id)).one()
    why = "it has registered anew" if forgot else "its clients have not followed for long"
    _order(tx, now, new, held.epoch, held.switch_id, f"{why}, and its move is not done")
    return True
