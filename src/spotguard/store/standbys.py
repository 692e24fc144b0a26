"""Keeps an agent's replica rows as its settings ask: the same for a toggle, a click and the coordinator's pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.commands import CreatedBy
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, InstanceId, PoolId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.planning.standby import (
    LaunchReplica,
    LiveReplica,
    Place,
    RetireReplica,
    StandbyNeed,
    plan_standbys,
    wants_launch,
    why_none_is_made,
)
from spotguard.store import agents, fleet, grants, kill, live_signals, moves, outgoing, replicas, silence
from spotguard.store.prepared import Prepared
from spotguard.store.tables import replica_instances

Row = sa.Row[Any]
_FAILURES_COUNT_FOR = timedelta(hours=6)
_r = replica_instances.c
_NEWEST = Prepared(
    sa.select(_r.status, _r.terminated_at)
    .where(_r.agent_id == sa.bindparam("agent"), _r.created_at > sa.bindparam("since"))
    .order_by(_r.created_at.desc(), _r.id)
    .limit(20)
)


def keep(tx: sa.Connection, now: datetime, agent: Row) -> list[ReplicaId]:
    """Make and retire replica rows; the ids of new ones, whose machines the coordinator launches.

    A ready one that is not heard is ready no more.
    """
    made: list[ReplicaId] = []
    for replica_id in silence.silent_standbys(tx, now, agent.id):
        replicas.unheard(tx, now, replica_id)
    for plan in plan_standbys(_need(tx, now, agent)):
        match plan:
            case RetireReplica():
                replicas.retire(tx, now, plan.replica_id, plan.because)
            case LaunchReplica():
                try:
                    with tx.begin_nested():
                        made.append(_replace(tx, now, agent, plan))
                except Refused:
                    continue  # another coordinator made it in the same moment
    return made


def _replace(tx: sa.Connection, now: datetime, agent: Row, plan: LaunchReplica) -> ReplicaId:
    outgoing.give_way(tx, plan.replaces)
    return create(tx, now, agent, plan.replica_type, plan.place, CreatedBy.COORDINATOR, plan.because)


def create(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    replica_type: ReplicaType,
    place: Place,
    created_by: CreatedBy,
    because: str,
) -> ReplicaId:
    return replicas.create(
        tx,
        now,
        agent_id=AgentId(agent.id),
        replica_type=replica_type,
        pool=place.pool,
        mode=place.mode,
        parent_instance_id=None if agent.instance_id is None else InstanceId(agent.instance_id),
        created_by=created_by,
        hourly_cost=place.usd_per_hour,
        because=because,
    )


def why_stopped(tx: sa.Connection, agent: Row, *, is_emergency: bool) -> str | None:
    """Why its user or the kill switch lets no standby be launched now."""
    level = kill.level_for(tx, agent.client_id, agent.id)
    return why_none_is_made(enabled=agent.enabled, kill=level, is_emergency=is_emergency)


def require_may_make(tx: sa.Connection, agent: Row) -> None:
    """`Refused` while the kill switch holds back what a user wishes for."""
    level = kill.level_for(tx, agent.client_id, agent.id)
    because = why_none_is_made(enabled=True, kill=level, is_emergency=False)
    if because is not None:
        raise Refused(f"{because}, {kill.until(tx, agent.client_id, agent.id)}")


def _need(tx: sa.Connection, now: datetime, agent: Row) -> StandbyNeed:
    alive = replicas.live(tx, agent.id)
    doomed = live_signals.signalled(tx, now, [row.instance_id for row in alive])
    unheard = silence.standbys_to_replace(tx, now, agent)
    failures, failed_at = recent_failures(tx, now, agent.id)
    held = grants.holder(tx, agent.id)
    serving = held is not None and held.released_at is None and moves.can_serve(tx, held.instance_id)
    need = StandbyNeed(
        now=now,
        status=AgentStatus(agent.status),
        enabled=agent.enabled,
        protection=fleet.protection(agent),
        kill=kill.level_for(tx, agent.client_id, agent.id),
        primary_pool=None if agent.current_pool_id is None else PoolId(agent.current_pool_id),
        serving=serving,
        moving=moves.preparing_of(tx, agent.id) is not None,
        replicas=tuple(
            LiveReplica(
                replica_id=ReplicaId(row.id),
                replica_type=ReplicaType(row.replica_type),
                pool_id=PoolId(row.pool_id) if row.pool_id is not None else None,
                mode=Mode(row.mode),
                doomed=row.instance_id in doomed,
                unheard=row.id in unheard,
                launched=row.instance_id is not None,
                synced=row.synced_at is not None,
            )
            for row in alive
        ),
        failures=failures,
        failed_at=failed_at,
        places=(),
        can_sync=held is None or agents.can_sync(tx, InstanceId(held.instance_id)),
        signalled=held is not None and bool(live_signals.signalled(tx, now, [held.instance_id])),
    )
    # looking up the whole market is dear, and a healthy standby needs none
    return replace(need, places=fleet.places_for_standby(tx, now, agent)) if wants_launch(need) else need


def recent_failures(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[int, datetime | None]:
    """How many of the newest replicas in a row failed, and when the last of them did; a time to come, by a server's
    clock that was ahead, puts off nothing.
    """
    rows = _NEWEST.rows(tx, {"agent": agent_id, "since": now - _FAILURES_COUNT_FOR})
    failed = []
    for row in rows:
        if row.status != ReplicaStatus.FAILED:
            break
        failed.append(row.terminated_at)
    return len(failed), max((at for at in failed if at is not None and at <= now), default=None)
