"""Replica rows: the role of a standby, from the wish for one to its promotion or end (rulings S8, S9)."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.commands import CreatedBy
from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import AgentId, InstanceId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, REPLICA_LIFE, ReplicaStatus, ReplicaType, SyncStatus
from spotguard.store import events, intentions, outgoing
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.tables import agents, instances, replica_instances

Row = sa.Row[Any]
_LIVE = [status.value for status in LIVE_REPLICA]
_COMPLETE = Decimal(100)
_UNLAUNCHED = replica_instances.c.instance_id.is_(None)
_CREATE = PreparedInsert(replica_instances)


def create(  # noqa: PLR0913 - a role has as many properties
    tx: sa.Connection,
    now: datetime,
    *,
    agent_id: AgentId,
    replica_type: ReplicaType,
    pool: Pool,
    mode: Mode,
    parent_instance_id: InstanceId | None,
    created_by: CreatedBy,
    hourly_cost: Decimal | None,
    because: str,
    attempt: int = 1,
) -> ReplicaId:
    """The wish for a standby; its machine follows. `Refused` while a manual one is alive and another is asked for."""
    replica_id = ReplicaId(str(uuid.uuid4()))
    row = {
        "id": replica_id,
        "agent_id": agent_id,
        "replica_type": replica_type.value,
        "pool_id": pool.id,
        "mode": mode.value,
        "instance_type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "created_at": now,
        "status": ReplicaStatus.LAUNCHING.value,
        "sync_status": SyncStatus.INITIALIZING.value,
        "is_active": True,
        "created_by": created_by.value,
        "parent_instance_id": parent_instance_id,
        "hourly_cost": hourly_cost,
        "because": because,
        "attempt": attempt,
    }
    try:
        _CREATE.add(tx, row)
    except IntegrityError as error:
        raise Refused("a manual replica is alive already: promote or terminate it first") from error
    recount(tx, agent_id)
    _tell(
        tx, now, agent_id, "replica_created", f"standby wanted in {pool.id} ({mode}): {because}", replica_id
    )
    return replica_id


def live(tx: sa.Connection, agent_id: AgentId) -> list[Row]:
    """The specification's third key query: live replicas, newest first."""
    return list(_ALIVE.rows(tx, {"agent": agent_id}))


def get(tx: sa.Connection, agent_id: AgentId, replica_id: ReplicaId) -> Row:
    row = row_of(tx, replica_id)
    if row is None or row.agent_id != agent_id:
        raise NotFound("no such replica")
    return row


_ALIVE = Prepared(
    sa.select(replica_instances)
    .where(
        replica_instances.c.agent_id == sa.bindparam("agent"),
        replica_instances.c.is_active,
        replica_instances.c.status.in_(_LIVE),
    )
    .order_by(replica_instances.c.created_at.desc(), replica_instances.c.id)
)
_ONE = Prepared(sa.select(replica_instances).where(replica_instances.c.id == sa.bindparam("replica")))


def row_of(tx: sa.Connection, replica_id: ReplicaId) -> Row | None:
    """Whoever's it is: for those who have it from a row of their own."""
    return _ONE.first(tx, {"replica": replica_id})


def machine_named(
    tx: sa.Connection,
    now: datetime,
    replica_id: ReplicaId,
    instance_id: InstanceId,
    launched_at: datetime | None = None,
) -> bool:
    """EC2 has named its instance. False when it has one already, is no longer alive, or this is another's."""
    if named_for(tx, instance_id) not in {None, replica_id}:
        return False
    done = tx.execute(
        sa.update(replica_instances)
        .where(
            replica_instances.c.id == replica_id,
            replica_instances.c.instance_id.is_(None),
            replica_instances.c.status.in_(_LIVE),
        )
        .values(instance_id=instance_id, launched_at=launched_at or now)
    )
    if done.rowcount != 1:
        return False
    intentions.reserved_is(tx, now, instance_id, replica_id=replica_id)
    stand_by(tx, instance_id)
    return True


def named_for(tx: sa.Connection, instance_id: InstanceId) -> ReplicaId | None:
    """The live replica whose machine this is."""
    found = tx.scalar(
        sa.select(replica_instances.c.id).where(replica_instances.c.live_instance_id == instance_id)
    )
    return None if found is None else ReplicaId(found)


def stand_by(tx: sa.Connection, instance_id: InstanceId) -> None:
    """An instance that was named for a live replica is its standby, with whatever token it has registered."""
    named = tx.scalar(
        sa.select(replica_instances.c.id).where(
            replica_instances.c.instance_id == instance_id,
            replica_instances.c.agent_id == instances.c.agent_id,
            replica_instances.c.is_active,
            instances.c.id == instance_id,
        )
    )
    if named is not None:
        free = instances.c.id == instance_id, instances.c.replica_id.is_(None)
        tx.execute(sa.update(instances).where(*free).values(replica_id=named))


def relocated(
    tx: sa.Connection, replica_id: ReplicaId, *, pool: Pool, mode: Mode, hourly_cost: Decimal | None
) -> None:
    """It was launched in another pool than the wish named."""
    tx.execute(
        sa.update(replica_instances)
        .where(replica_instances.c.id == replica_id, replica_instances.c.status.in_(_LIVE))
        .values(
            pool_id=pool.id,
            mode=mode.value,
            instance_type=pool.instance_type,
            region=pool.region,
            az=pool.az,
            hourly_cost=hourly_cost,
        )
    )


def apply_sync_status(
    tx: sa.Connection,
    now: datetime,
    replica_id: ReplicaId,
    *,
    sync_status: SyncStatus,
    progress: Decimal,
    latency_ms: int | None,
    position: int | None = None,
    measured_at: datetime | None = None,
) -> Row:
    """What the standby has measured, `measured_at` (None: now). Ready is what is synced and complete; anything else is
    no longer ready.

    A replica whose life is over stays as it is, and so does one that has told of a later measurement: the row is
    returned unchanged. Only a complete pass moves `position` and `synced_at`, and `position` never goes back.
    """
    complete = sync_status is SyncStatus.SYNCED and progress == _COMPLETE
    wanted = ReplicaStatus.READY if complete else ReplicaStatus.SYNCING
    values: dict[str, Any] = {
        "replica": replica_id,
        "said_status": sync_status.value,
        "said_progress": progress,
        "said_latency": latency_ms,
        "measured_at": measured_at or now,
        "now": now,
    }
    if complete:
        values |= {"said_position": position}
    changed = (_COMPLETE_REPORT if complete else _PARTIAL_REPORT).change(tx, values)
    row = _stored(tx, replica_id)
    if not changed or row.status == wanted:
        return row
    _walk(tx, now, replica_id, wanted)
    return _stored(tx, replica_id)


def unheard(tx: sa.Connection, now: datetime, replica_id: ReplicaId) -> bool:
    """Nothing is known of it any more: what it said last counts no longer. False when it was not ready."""
    ready = (ReplicaStatus.READY,)
    out = SyncStatus.OUT_OF_SYNC.value
    if not _move(tx, replica_id, ReplicaStatus.SYNCING, origins=ready, sync_status=out):
        return False
    row = _stored(tx, replica_id)
    message = (
        f"nothing is heard of what reaches {row.instance_id}, though its primary is: it is ready no more"
    )
    _tell(tx, now, AgentId(row.agent_id), "replica_silent", message, replica_id)
    return True


def _stored(tx: sa.Connection, replica_id: ReplicaId) -> Row:
    row = row_of(tx, replica_id)
    if row is None:
        raise NotFound("no such replica")
    return row


def _report(**more: Any) -> Prepared:
    r = replica_instances.c
    return Prepared(
        sa.update(replica_instances)
        .where(
            r.id == sa.bindparam("replica"),
            r.status.in_([sa.literal_column(f"'{s}'") for s in _LIVE]),
            sa.or_(
                r.reported_at.is_(None),
                r.reported_at <= sa.bindparam("measured_at"),
                r.reported_at > sa.bindparam("now"),  # by a server's clock that was ahead
            ),
        )
        .values(
            sync_status=sa.bindparam("said_status"),
            state_transfer_progress=sa.bindparam("said_progress"),
            sync_latency_ms=sa.bindparam("said_latency"),
            reported_at=sa.bindparam("measured_at"),
            **more,
        )
    )


_PARTIAL_REPORT = _report()
_COMPLETE_REPORT = _report(
    synced_at=sa.bindparam("measured_at"),
    # the furthest that was ever told: a report that comes late takes nothing back
    position=sa.case(
        (replica_instances.c.position > sa.bindparam("said_position"), replica_instances.c.position),
        else_=sa.func.coalesce(sa.bindparam("said_position"), replica_instances.c.position),
    ),
)


def _walk(tx: sa.Connection, now: datetime, replica_id: ReplicaId, wanted: ReplicaStatus) -> None:
    """Launching becomes syncing with the first report, and ready only from syncing."""
    if wanted is ReplicaStatus.READY:
        _move(tx, replica_id, ReplicaStatus.SYNCING, origins=(ReplicaStatus.LAUNCHING,))
    if _move(tx, replica_id, wanted) and wanted is ReplicaStatus.READY:
        replicas = replica_instances
        tx.execute(
            sa.update(replicas)
            .where(replicas.c.id == replica_id, replicas.c.ready_at.is_(None))
            .values(ready_at=now)
        )
        agent_id = tx.execute(sa.select(replicas.c.agent_id).where(replicas.c.id == replica_id)).scalar_one()
        touch_config(tx, AgentId(agent_id))  # the primary looks in, and is given a handover ticket
        _tell(tx, now, AgentId(agent_id), "replica_ready", "the standby is in sync and ready", replica_id)


def _move(
    tx: sa.Connection,
    replica_id: ReplicaId,
    wanted: ReplicaStatus,
    origins: tuple[ReplicaStatus, ...] | None = None,
    *while_it: sa.ColumnElement[bool],
    **values: Any,
) -> bool:
    allowed = REPLICA_LIFE.origins(wanted) if origins is None else origins
    moved = tx.execute(
        sa.update(replica_instances)
        .where(
            replica_instances.c.id == replica_id,
            replica_instances.c.status.in_([s.value for s in allowed]),
            *while_it,
        )
        .values(status=wanted.value, **values)
    )
    return moved.rowcount == 1


def retire(tx: sa.Connection, now: datetime, replica_id: ReplicaId, because: str) -> bool:
    """The role ends; its machine, if it never served, is ended by the coordinator's pass. False when it was over."""
    return _end(tx, now, replica_id, ReplicaStatus.TERMINATED, because)


def fail(tx: sa.Connection, now: datetime, replica_id: ReplicaId, because: str) -> bool:
    """No machine could be had, or it died. False when the role was over."""
    return _end(tx, now, replica_id, ReplicaStatus.FAILED, because)


def fail_unlaunched(tx: sa.Connection, now: datetime, replica_id: ReplicaId, because: str) -> bool:
    """The order for its launch came to nothing. A machine that came up all the same is its standby."""
    return _end(tx, now, replica_id, ReplicaStatus.FAILED, because, _UNLAUNCHED)


def _end(
    tx: sa.Connection,
    now: datetime,
    replica_id: ReplicaId,
    wanted: ReplicaStatus,
    because: str,
    *while_it: sa.ColumnElement[bool],
) -> bool:
    if not _move(tx, replica_id, wanted, None, *while_it, is_active=False, terminated_at=now):
        return False
    intentions.reserved_is(tx, now, None, replica_id=replica_id)
    ended = _stored(tx, replica_id)
    if ended.instance_id is None:
        outgoing.stay(tx, ended.agent_id)
    _after(tx, now, replica_id, f"replica_{wanted.value}", because)
    return True


def mark_promoted(tx: sa.Connection, now: datetime, replica_id: ReplicaId, *, whole: bool) -> bool:
    """Its instance holds the epoch now. The row is a role: nothing ends the instance because of it (ruling S8).

    `whole`: the last pass of its move has reached it, whatever its own reports told before, if any has come.
    """
    arrived: dict[str, Any] = {"state_transfer_progress": 100} if whole else {}
    _move(tx, replica_id, ReplicaStatus.SYNCING, origins=(ReplicaStatus.LAUNCHING,))
    if not _move(tx, replica_id, ReplicaStatus.PROMOTED, is_active=False, promoted_at=now, **arrived):
        return False
    _after(tx, now, replica_id, "replica_promoted", "the standby is the primary now")
    return True


def _after(tx: sa.Connection, now: datetime, replica_id: ReplicaId, kind: str, message: str) -> None:
    row = _stored(tx, replica_id)
    recount(tx, row.agent_id)
    touch_config(tx, row.agent_id)
    _tell(tx, now, row.agent_id, kind, message, replica_id)


def recount(tx: sa.Connection, agent_id: AgentId) -> None:
    """Counters equal rows, in the transaction that changed the rows (ruling S6)."""
    _RECOUNT.change(tx, {"agent": agent_id})


def _counts() -> sa.Update:
    replicas, machines = replica_instances, instances
    agent: sa.BindParameter[str] = sa.bindparam("agent")
    alive = sa.and_(replicas.c.agent_id == agent, replicas.c.is_active)
    newest = (
        sa.select(replicas.c.id).where(alive).order_by(replicas.c.created_at.desc(), replicas.c.id).limit(1)
    )
    running = machines.c.agent_id == agent, machines.c.is_active
    return (
        sa.update(agents)
        .where(agents.c.id == agent)
        .values(
            replica_count=sa.select(sa.func.count()).select_from(replicas).where(alive).scalar_subquery(),
            current_replica_id=newest.scalar_subquery(),
            instance_count=sa.select(sa.func.count()).select_from(machines).where(*running).scalar_subquery(),
        )
    )


_RECOUNT = Prepared(_counts())


def touch_config(tx: sa.Connection, agent_id: AgentId) -> None:
    """What `GET config` tells has changed: settings, or the standbys to push to."""
    _TOUCH.change(tx, {"agent": agent_id})


_TOUCH = Prepared(
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("agent"))
    .values(config_version=agents.c.config_version + 1)
)


def _tell(
    tx: sa.Connection, now: datetime, agent_id: AgentId, kind: str, message: str, replica_id: ReplicaId
) -> None:
    events.append_of(tx, now, agent_id, kind, message, {"replica_id": replica_id})
