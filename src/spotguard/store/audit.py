"""The auditor: do stored counters equal the rows that they count (ruling S6)? Across tenants, for the operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.store.tables import agents, instances, replica_instances

_r = replica_instances.c


def counters_equal_rows(tx: Connection) -> list[str]:
    """One sentence per disagreement; none when all is well."""
    return [*_agents_that_miscount(tx), *_replicas_half_alive(tx), *_instances_half_gone(tx)]


def _agents_that_miscount(tx: Connection) -> Iterator[str]:
    for row in tx.execute(_MISCOUNTED):
        yield from _complaints(row)


def _complaints(row: Row[Any]) -> Iterator[str]:
    if row.replica_count != row.live_replicas:
        yield f"agent {row.id} counts {row.replica_count} replicas, there are {row.live_replicas}"
    if row.current_is_alive != (row.live_replicas > 0):
        yield f"agent {row.id} names {row.current_replica_id} as its replica, {row.live_replicas} are alive"
    if row.instance_count != row.active_instances:
        yield f"agent {row.id} counts {row.instance_count} instances, there are {row.active_instances}"


def _replicas_half_alive(tx: Connection) -> Iterator[str]:
    live = _r.status.in_([status.value for status in LIVE_REPLICA])
    for row in tx.execute(sa.select(_r.id, _r.status, _r.is_active).where(_r.is_active != live)):
        yield f"replica {row.id} is {row.status} and is_active {row.is_active}"


def _instances_half_gone(tx: Connection) -> Iterator[str]:
    gone = sa.select(instances.c.id).where(instances.c.is_active, instances.c.terminated_at.is_not(None))
    for instance_id in tx.scalars(gone):
        yield f"instance {instance_id} is terminated and is_active"


def _miscounted() -> sa.Select[Any]:
    alive = sa.and_(_r.agent_id == agents.c.id, _r.is_active)
    live_replicas = sa.select(sa.func.count()).select_from(replica_instances).where(alive)
    current = sa.select(sa.func.count()).select_from(replica_instances)
    current = current.where(alive, _r.id == agents.c.current_replica_id)
    machines = sa.select(sa.func.count()).select_from(instances)
    machines = machines.where(instances.c.agent_id == agents.c.id, instances.c.is_active)
    counted = (
        sa.select(
            agents.c.id,
            agents.c.replica_count,
            agents.c.current_replica_id,
            agents.c.instance_count,
            live_replicas.scalar_subquery().label("live_replicas"),
            current.scalar_subquery().label("current_is_alive"),
            machines.scalar_subquery().label("active_instances"),
        )
    ).subquery("counted")
    c = counted.c
    wrong = sa.or_(
        c.replica_count != c.live_replicas,
        c.current_is_alive != sa.case((c.live_replicas > 0, 1), else_=0),
        c.instance_count != c.active_instances,
    )
    return sa.select(counted).where(wrong).order_by(c.id)


_MISCOUNTED = _miscounted()
