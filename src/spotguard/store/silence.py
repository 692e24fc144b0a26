"""Who serves and when it was last heard; whether a client's voluntary action is frozen by it (ruling B10a).

And which standbys are silent, or tell no more what has reached them. The server may have been away itself: a standby
counts so only while its primary was heard without a gap for as long, so that whoever could speak has had the time to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import OFFLINE_AFTER, AgentStatus
from spotguard.domain.ids import AgentId, ClientId, ReplicaId
from spotguard.planning.presence import REPLACED_AFTER, UNMEASURED_AFTER, Presence, frozen_because
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, epoch_grants, instances, replica_instances

Row = sa.Row[Any]

_FLEET: sa.Select[Any] = (
    sa.select(
        agents.c.id,
        agents.c.client_id,
        agents.c.status,
        agents.c.enabled,
        instances.c.last_heartbeat_at,
        instances.c.is_active,
        epoch_grants.c.granted_at,
        epoch_grants.c.instance_id,
    )
    .join(epoch_grants, sa.and_(epoch_grants.c.agent_id == agents.c.id, epoch_grants.c.status == "held"))
    .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
    .where(agents.c.status != AgentStatus.DELETED.value)
)
_FLEET_OF: sa.Select[Any] = _FLEET.where(agents.c.client_id == sa.bindparam("client"))


_r = replica_instances.c
_standby, _primary, _held = instances.alias("standby"), instances.alias("primary"), epoch_grants.alias("held")


def unheard_since(at: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """For a WHERE over replicas that binds `silent`: not a word of it since `at`, of its primary without a gap."""
    return sa.exists().where(
        _standby.c.id == _r.instance_id,
        _standby.c.is_active,
        _standby.c.last_heartbeat_at < at,
        sa.or_(_r.synced_at.is_(None), _r.synced_at < at),
        *_primary_is_heard_since(at),
    )


def unmeasured_since(at: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """The same, of one whose agent tells what reaches it, and has told nothing of that since `at`: what it said last
    may be long over. An agent of the contract alone need not tell it again and again.
    """
    return sa.exists().where(
        _standby.c.id == _r.instance_id,
        _standby.c.is_active,
        _standby.c.can_sync.is_(True),
        _r.reported_at < at,
        *_primary_is_heard_since(at),
    )


def _primary_is_heard_since(at: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _held.c.held_agent_id == _r.agent_id,
        _held.c.released_at.is_(None),
        _primary.c.id == _held.c.instance_id,
        _primary.c.last_heartbeat_at >= sa.bindparam("silent"),
        _primary.c.heard_since < at,
    )


def is_lost() -> sa.ColumnElement[bool]:
    """For a WHERE over replicas that binds `silent` and `unmeasured`: nobody knows what has reached it by now."""
    return sa.or_(unheard_since(sa.bindparam("silent")), unmeasured_since(sa.bindparam("unmeasured")))


def _live(where: sa.ColumnElement[bool]) -> Prepared:
    return Prepared(sa.select(_r.id).where(_r.agent_id == sa.bindparam("agent"), _r.is_active, where))


_SILENT = _live(is_lost())
_GIVEN_UP = _live(unheard_since(sa.bindparam("given_up")))


def silent_standbys(tx: sa.Connection, now: datetime, agent_id: AgentId) -> set[ReplicaId]:
    """Live replicas that could not take over, as far as anybody knows."""
    bounds = {"silent": now - OFFLINE_AFTER, "unmeasured": now - UNMEASURED_AFTER}
    rows = _SILENT.rows(tx, {"agent": agent_id, **bounds})
    return {ReplicaId(row.id) for row in rows}


def standbys_to_replace(tx: sa.Connection, now: datetime, agent: Row) -> set[ReplicaId]:
    """Those that are silent for long; none while the client's voluntary action is frozen."""
    bounds = {"silent": now - OFFLINE_AFTER, "given_up": now - REPLACED_AFTER}
    rows = _GIVEN_UP.rows(tx, {"agent": agent.id, **bounds})
    if rows and frozen(tx, now, agent.client_id) is not None:
        return set()
    return {ReplicaId(row.id) for row in rows}


def fleet(tx: sa.Connection) -> Sequence[Any]:
    """Every agent that serves, with its holder's last heartbeat."""
    return tx.execute(_FLEET).all()


def presence_of(row: Any, listened_since: datetime | None = None) -> Presence:
    return Presence(AgentId(row.id), row.last_heartbeat_at, row.granted_at, listened_since)


def frozen(tx: sa.Connection, now: datetime, client_id: ClientId) -> str | None:
    """Why nothing voluntary is done for this client now, or None."""
    rows = tx.execute(_FLEET_OF, {"client": client_id}).all()
    return frozen_because([presence_of(row) for row in rows], now)
