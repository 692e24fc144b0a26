"""Registration: an instance says who it is and receives its token and its role (rulings B3, B4b, S13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from spotguard.domain.agents import AgentStatus, Autonomy, GuardRails
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId, is_instance_id
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.store import enrolment, events, grants, looks, moves, ondemand, pools, replicas, resuming
from spotguard.store.boots import require_not_over, write_of_boot
from spotguard.store.database import must_last
from spotguard.store.launched_for import require_not_anothers
from spotguard.store.secrets import hash_token as hash_of
from spotguard.store.secrets import new_id, new_token
from spotguard.store.tables import agent_tokens, agents, instances, replica_instances

# of another boot, or of one that holds nothing any more: nobody has said it yet
_UNSAID = {"gate": None, "workload_healthy": None, "healthy_streak": 0, "state_volumes": None}
TOKEN_PREFIX = "sga"  # noqa: S105 -- what an agent's token begins with, not a token


@dataclass(frozen=True)
class Newcomer:
    """An instance as it describes itself, parsed."""

    logical_agent_id: str
    instance_id: InstanceId
    boot_id: str
    pool: Pool
    mode: Mode
    ami_id: str | None
    agent_version: str
    hostname: str
    private_ip: str
    public_ip: str | None
    can_sync: bool | None = None
    has_traffic_script: bool | None = None
    state_on_root: bool | None = None

    @property
    def pool_id(self) -> str | None:
        return self.pool.id if self.mode is Mode.SPOT else None


@dataclass(frozen=True)
class Admission:
    """What registration gives. `again`: the same instance and boot had registered before."""

    agent_id: AgentId
    token: str
    again: bool
    changed_agent: bool  # somebody else may have to act on it: wake the coordinator


def register(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    newcomer: Newcomer,
    *,
    enrolled_by: Row[Any] | None = None,
    autonomy: Autonomy = Autonomy.OBSERVE,
) -> Admission:
    """One row per name and one per instance, a token bound to this instance and boot, the former ones revoked.

    The first of its name holds epoch 1. `Refused`: a deleted name, another agent's instance, a spent enrolment, or a
    boot that is over.
    """
    if not is_instance_id(newcomer.instance_id):
        raise InvalidInput(f"not an instance id: {newcomer.instance_id!r}")
    require_not_over(tx, now, newcomer.instance_id, newcomer.boot_id)
    agent = _agent(tx, now, client_id, newcomer, enrolled_by, autonomy)
    pools.ensure_pools(tx, now, [Pool(newcomer.pool.instance_type, newcomer.pool.az, newcomer.pool.product)])
    seen = _former(tx, client_id, AgentId(agent.id), newcomer.instance_id)
    former = write_instance(tx, now, client_id, agent, newcomer, seen)
    if enrolled_by is not None:
        enrolment.require_its_launch(tx, enrolled_by, former)
        enrolment.redeem(tx, now, enrolled_by.token_hash, newcomer.instance_id)
    again = former is not None and former.boot_id == newcomer.boot_id
    if former is None and enrolled_by is not None and newcomer.mode is Mode.SPOT:
        looks.launched(tx, now, client_id, newcomer.pool, newcomer.instance_id)
    if enrolled_by is not None:
        _take_place(tx, now, enrolled_by, newcomer)
    else:
        replicas.stand_by(tx, newcomer.instance_id)
    if agent.epoch == 0:
        grants.first_grant(tx, now, AgentId(agent.id), newcomer.instance_id)
    elif again:
        grants.order_again(tx, now, AgentId(agent.id), newcomer.instance_id, forgot=True)
    elif former is not None and former.boot_id is not None:
        resuming.resume(tx, now, client_id, AgentId(agent.id), newcomer.instance_id)
    _describe_serving(tx, now, AgentId(agent.id), newcomer)
    replicas.recount(tx, AgentId(agent.id))
    if not again:
        detail = {"instance_id": newcomer.instance_id, "boot_id": newcomer.boot_id}
        message = f"{newcomer.instance_id} has registered as {newcomer.logical_agent_id}"
        events.append(tx, now, client_id, AgentId(agent.id), "registered", message, detail)
    token = _new_token(tx, now, client_id, AgentId(agent.id), newcomer)
    return Admission(AgentId(agent.id), token, again, changed_agent=not again)


def _agent(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    newcomer: Newcomer,
    enrolled_by: Row[Any] | None,
    autonomy: Autonomy,
) -> Row[Any]:
    named = sa.select(agents).where(
        agents.c.client_id == client_id, agents.c.logical_agent_id == newcomer.logical_agent_id
    )
    row = tx.execute(named).first()
    if row is None and enrolled_by is None:
        try:
            with tx.begin_nested():
                tx.execute(sa.insert(agents), _new_agent(tx, now, client_id, newcomer, autonomy))
        except IntegrityError:
            pass  # another instance of the same name was first, in this very moment: it is the primary
        # a locking read sees what has been committed since this transaction began
        row = tx.execute(named.with_for_update()).one()
    if row is None or (enrolled_by is not None and enrolled_by.agent_id != row.id):
        raise Refused(
            "this enrolment token is for another logical agent: register under the name it was given for"
        )
    if row.status == AgentStatus.DELETED:
        raise Refused(
            f"the agent {newcomer.logical_agent_id!r} was deleted: register under another logical_agent_id, or "
            "stop the agent on this instance"
        )
    return row


def _new_agent(
    tx: Connection, now: datetime, client_id: ClientId, newcomer: Newcomer, autonomy: Autonomy
) -> dict[str, Any]:
    rails, pool = GuardRails(), newcomer.pool
    return {
        "id": new_id(),
        "client_id": client_id,
        "logical_agent_id": newcomer.logical_agent_id,
        "instance_id": newcomer.instance_id,
        "instance_type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "ami_id": newcomer.ami_id,
        "current_mode": newcomer.mode.value,
        "current_pool_id": newcomer.pool_id,
        "status": AgentStatus.ONLINE.value,
        "agent_version": newcomer.agent_version,
        "hostname": newcomer.hostname,
        "private_ip": newcomer.private_ip,
        "public_ip": newcomer.public_ip,
        "autonomy": autonomy.value,
        "min_savings_percent": rails.min_savings_percent,
        "max_switches_per_day": rails.max_switches_per_day,
        "max_switches_per_week": rails.max_switches_per_week,
        "min_pool_hours": rails.min_pool_hours,
        "risk_threshold": rails.risk_threshold,
        "allowed_instance_types": list(rails.allowed_instance_types),
        "allowed_azs": list(rails.allowed_azs),
        "max_hourly_usd": rails.max_hourly_usd,
        "baseline_ondemand_price": _ondemand_of(tx, client_id, pool),
        "last_heartbeat_at": now,
        "installed_at": now,
        "created_at": now,
        "updated_at": now,
    }


def _ondemand_of(tx: Connection, client_id: ClientId, pool: Pool) -> Decimal | None:
    return ondemand.price_of(tx, client_id, pool.region, pool.instance_type, pool.product)


def _former(
    tx: Connection, client_id: ClientId, agent_id: AgentId, instance_id: InstanceId, *, locked: bool = False
) -> Row[Any] | None:
    """The instance's row, if there is one; only this agent's may be taken up."""
    found = sa.select(instances).where(instances.c.id == instance_id)
    row = tx.execute(found.with_for_update() if locked else found).first()
    if row is None:
        require_not_anothers(tx, client_id, instance_id)
    if row is not None and row.client_id != client_id:
        raise NotFound(
            "no such instance of this client: an instance that another client has registered cannot be taken over"
        )
    if row is not None and row.probe_id is not None:
        raise Refused(
            "this instance was launched only to see whether its pool has capacity, and is being ended: it carries no "
            "workload"
        )
    if row is not None and row.agent_id not in {None, agent_id}:
        raise Refused(
            "this instance belongs to another logical agent of yours: one instance carries one workload"
        )
    return row


def write_instance(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent: Row[Any],
    newcomer: Newcomer,
    seen: Row[Any] | None,
) -> Row[Any] | None:
    """Its row as it describes itself; what stood there before, None of one that is new.

    `seen`: what stood there a moment ago. One that asks again while its first call is being answered saw nothing yet.
    Whether it hears this answer, its first word with the token in it tells, whatever it has registered with.
    """
    told = _told(now, agent, newcomer)
    if seen is None:
        try:
            with tx.begin_nested():
                tx.execute(sa.insert(instances), told | _first_told(tx, now, client_id, agent, newcomer))
        except IntegrityError:
            seen = _former(tx, client_id, AgentId(agent.id), newcomer.instance_id, locked=True)
            if seen is None:
                raise
        else:
            return None
    first = {} if seen.installed_at is not None else {"installed_at": now}
    goes_on = seen.boot_id == newcomer.boot_id and _holds(tx, agent.id, newcomer.instance_id)
    unsaid = {} if goes_on else _UNSAID
    changed = told | first | unsaid | _started(seen, newcomer) | _still_deaf(seen)
    write_of_boot(tx, newcomer.instance_id, seen.boot_id, changed)
    return seen


def _told(now: datetime, agent: Row[Any], newcomer: Newcomer) -> dict[str, Any]:
    pool = newcomer.pool
    return {
        "agent_id": agent.id,
        "instance_type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "az_id": pool.az_id,
        "ami_id": newcomer.ami_id,
        "current_mode": newcomer.mode.value,
        "current_pool_id": newcomer.pool_id,
        "boot_id": newcomer.boot_id,
        "hostname": newcomer.hostname,
        "private_ip": newcomer.private_ip,
        "public_ip": newcomer.public_ip,
        "agent_version": newcomer.agent_version,
        "can_sync": newcomer.can_sync,
        "has_traffic_script": newcomer.has_traffic_script,
        "state_on_root": newcomer.state_on_root,
        "last_heartbeat_at": now,
        "heard_since": now,
        "hears": False,
        "deaf_since": now,
        "updated_at": now,
    }


def _first_told(
    tx: Connection, now: datetime, client_id: ClientId, agent: Row[Any], newcomer: Newcomer
) -> dict[str, Any]:
    price = _ondemand_of(tx, client_id, newcomer.pool)
    return {
        "id": newcomer.instance_id,
        "client_id": client_id,
        "is_active": True,
        "ondemand_price": price,
        "baseline_ondemand_price": agent.baseline_ondemand_price or price,
        "installed_at": now,
        "created_at": now,
    }


def _started(former: Row[Any], newcomer: Newcomer) -> dict[str, str]:
    """It speaks from another boot: that a look, perhaps the last for long, showed it stopped is no proof any more."""
    was_stopped = former.ec2_state == InstanceState.STOPPED.value and former.boot_id != newcomer.boot_id
    return {"ec2_state": InstanceState.RUNNING.value} if was_stopped else {}


def _still_deaf(former: Row[Any]) -> dict[str, datetime]:
    """Whoever registers again and again, and hears no answer, is so from the first time on."""
    return {} if former.hears or former.deaf_since is None else {"deaf_since": former.deaf_since}


def _holds(tx: Connection, agent_id: str, instance_id: InstanceId) -> bool:
    held = grants.holder(tx, AgentId(agent_id))
    return held is not None and held.instance_id == instance_id


def _take_place(tx: Connection, now: datetime, enrolled_by: Row[Any], newcomer: Newcomer) -> None:
    """The instance takes the place in a move or as a standby for which it was launched, if that is still free.

    A stray of a launch that was tried twice, or of one that was given up, finds it taken or gone: it stays passive,
    and is the clean-up's, which knows by its row what it was launched for.
    """
    made_for = {
        name: getattr(enrolled_by, name)
        for name in ("switch_id", "replica_id")
        if getattr(enrolled_by, name) is not None
    }
    if made_for:
        tx.execute(sa.update(instances).where(instances.c.id == newcomer.instance_id).values(**made_for))
    if enrolled_by.switch_id is not None:
        _take_move(tx, now, SwitchId(enrolled_by.switch_id), newcomer)
    if enrolled_by.replica_id is not None:
        _take_standby(tx, now, ReplicaId(enrolled_by.replica_id), newcomer)
    if enrolled_by.drill_id is not None:
        mine = instances.c.id == newcomer.instance_id
        tx.execute(sa.update(instances).where(mine).values(drill_id=enrolled_by.drill_id))


def _take_move(tx: Connection, now: datetime, switch_id: SwitchId, newcomer: Newcomer) -> None:
    moves.instance_named(
        tx,
        now,
        switch_id,
        instance_id=newcomer.instance_id,
        launched_at=now,
        pool=newcomer.pool,
        mode=newcomer.mode,
        image_id=newcomer.ami_id,
        actor=newcomer.instance_id,
    )


def _take_standby(tx: Connection, now: datetime, replica_id: ReplicaId, newcomer: Newcomer) -> None:
    replicas.machine_named(tx, now, replica_id, newcomer.instance_id)
    row = tx.execute(
        sa.select(replica_instances.c.instance_id, replica_instances.c.agent_id).where(
            replica_instances.c.id == replica_id
        )
    ).one()
    if row.instance_id == newcomer.instance_id:
        replicas.touch_config(tx, AgentId(row.agent_id))  # the primary learns where to push


def _describe_serving(tx: Connection, now: datetime, agent_id: AgentId, newcomer: Newcomer) -> None:
    """The agent's row follows its serving instance only."""
    tx.execute(
        sa.update(agents)
        .where(
            agents.c.id == agent_id,
            agents.c.instance_id == newcomer.instance_id,
            agents.c.status != AgentStatus.DELETED.value,
        )
        .values(
            agent_version=newcomer.agent_version,
            hostname=newcomer.hostname,
            private_ip=newcomer.private_ip,
            public_ip=newcomer.public_ip,
            ami_id=sa.func.coalesce(newcomer.ami_id, agents.c.ami_id),
            last_heartbeat_at=now,
            updated_at=now,
        )
    )


def _new_token(
    tx: Connection, now: datetime, client_id: ClientId, agent_id: AgentId, newcomer: Newcomer
) -> str:
    revoke_tokens(tx, now, [newcomer.instance_id])
    must_last(tx)  # its holder's word of a hand-over is signed with it
    token = new_token(TOKEN_PREFIX)
    tx.execute(
        sa.insert(agent_tokens),
        {
            "token_hash": hash_of(token),
            "client_id": client_id,
            "agent_id": agent_id,
            "instance_id": newcomer.instance_id,
            "boot_id": newcomer.boot_id,
            "created_at": now,
        },
    )
    return token


def revoke_tokens(tx: Connection, now: datetime, instance_ids: Sequence[InstanceId]) -> None:
    tx.execute(
        sa.update(agent_tokens)
        .where(agent_tokens.c.instance_id.in_(instance_ids), agent_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
